"""Every example in the README and in docs/ runs, as a reader would run it: a file of its own, beside an engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio.testing import open_engine

ROOT: Final = Path(__file__).parents[1]
LIMIT: Final = 60.0
"""Seconds for one example."""

FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Example:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(path: Path) -> Iterator[Example]:
    """The fenced blocks of one document, in order."""
    text = path.read_text("utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(str(path.relative_to(ROOT)), line, found[1], found[2])


README: Final = list(blocks(ROOT / "README.md"))
DOCUMENTS: Final = [block for path in sorted((ROOT / "docs").glob("*.md")) for block in blocks(path)]
PYTHON: Final = [block for block in [*README, *DOCUMENTS] if block.language == "python"]
SHELL: Final = [block for block in README if block.language == "sh"]


async def run(command: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A process that ends within the limit, whatever it does; what it prints is captured."""
    with trio.fail_after(LIMIT):
        return await trio.run_process(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )


def command_for(example: Example, file: Path) -> list[str]:
    """An example with tests that it does not run itself is run by pytest."""
    tests = "def test_" in example.text and "trio.run(" not in example.text
    plain = ["-m", "pytest", "-q", "-o", "trio_mode=true", "-p", "no:cacheprovider"] if tests else ["-W", "error"]
    return [sys.executable, *plain, str(file)]


@pytest.mark.parametrize("example", PYTHON, ids=str)
async def test_an_example_runs(example: Example, tmp_path: Path) -> None:
    """With an engine where III_URL says, and every warning an error."""
    file = tmp_path / "test_example.py"
    file.write_text(example.text, "utf-8")
    async with open_engine(port=0) as engine:
        done = await run(command_for(example, file), tmp_path, III_URL=engine.url)
        assert done.returncode == 0, done.stdout.decode()
        assert not engine.undecodable


def test_the_readme_begins_with_the_two_things_a_stranger_does() -> None:
    """The first sh block runs the demo, the second the tests, and there is no third that could be taken for them."""
    assert [block.language for block in README[:2]] == ["sh", "sh"]
    assert len(SHELL) == 2
    assert SHELL[0].text.splitlines()[-1] == "iii-trio demo"
    assert SHELL[1].text.splitlines()[-1].startswith("python -m pytest")


@pytest.mark.parametrize("block", SHELL, ids=["demo", "tests"])
def test_a_shell_block_needs_nothing_but_python(block: Example) -> None:
    """Each makes its own environment, so that it does not matter in which shell, or order, they are pasted."""
    commands = block.text.splitlines()
    assert commands[:2] == ["python3 -m venv .venv", ". .venv/bin/activate"]
    assert {command.split()[0] for command in commands} <= {"python3", ".", "pip", "iii-trio", "python"}


def test_the_extras_in_the_shell_blocks_exist() -> None:
    """``pip`` only warns about one that does not."""
    import tomllib

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {extra for block in SHELL for group in re.findall(r"\[(.*?)\]", block.text) for extra in group.split(",")}
    assert named == {"cli", "engine", "fast", "dev"}
    assert named <= set(project["optional-dependencies"])
