"""What an installed iii-trio is: its metadata, its files, its commands and extras."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LIMIT: Final = 60.0
"""Seconds for any process that a test starts."""

EXTRAS: Final = ("fast", "engine", "cli", "testing", "all", "dev", "docs")


def project() -> dict[str, Any]:
    """The project table of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def metadata() -> importlib.metadata.PackageMetadata:
    """What is installed."""
    return importlib.metadata.metadata("iii-trio")


def test_the_installed_version_is_the_one_of_the_source() -> None:
    """Else the tests run against something else."""
    assert importlib.metadata.version("iii-trio") == project()["version"]


def test_the_changelog_begins_with_this_version() -> None:
    """Or with what comes after it."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[?([^\]\s]+)", text, re.MULTILINE)
    assert project()["version"] in [version for version in versions if version != "Unreleased"][:1]


def test_types_are_shipped() -> None:
    """Type checkers look for the marker (PEP 561)."""
    assert importlib.resources.files("iii_trio").joinpath("py.typed").is_file()
    assert "Typing :: Typed" in project()["classifiers"]


def test_the_licence_is_an_expression_with_its_text() -> None:
    """PEP 639: no licence classifier beside it."""
    assert metadata()["License-Expression"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert not [each for each in project()["classifiers"] if each.startswith("License ::")]


def test_the_classifiers_name_the_pythons_that_are_required() -> None:
    """The oldest of them is the least that is required, and none is left out between."""
    minors = [int(each.rsplit(".", 1)[1]) for each in project()["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert project()["requires-python"] == f">=3.{minors[0]}"
    assert sys.version_info[:2] >= (3, minors[0])


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_that_is_advertised_exists(extra: str) -> None:
    """``pip`` only warns about one that does not."""
    assert extra in project()["optional-dependencies"]
    assert extra in (metadata().get_all("Provides-Extra") or [])


def test_all_means_everything_that_a_user_may_want() -> None:
    """What is not in it is for people who work on iii-trio itself."""
    every = set(project()["optional-dependencies"]) - {"all", "dev", "docs"}
    (named,) = project()["optional-dependencies"]["all"]
    assert set(re.findall(r"\[(.*)\]", named)[0].split(",")) == every


def test_the_entry_points_lead_somewhere() -> None:
    """The command, and the plugin that pytest finds by itself."""
    for group, name in (("console_scripts", "iii-trio"), ("pytest11", "iii_trio")):
        (entry,) = [each for each in importlib.metadata.entry_points(group=group) if each.name == name]
        assert entry.load() is not None


def test_the_command_says_its_version() -> None:
    """Through the entry point, as it was installed."""
    code = "from iii_trio._cli import main; main()"
    told = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=LIMIT)
    assert told.stdout.strip() == project()["version"]
    assert told.returncode == 0


def test_the_command_without_its_extra_says_what_to_install() -> None:
    """One line, and no traceback."""
    code = "import sys; sys.modules['cyclopts'] = None; from iii_trio._cli import main; main()"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT)
    assert told.returncode == 2
    assert told.stderr.strip() == "iii-trio: the command line needs an extra: pip install iii-trio[cli]"


def test_every_public_name_is_there() -> None:
    """``__all__`` of the doors names what they have."""
    for door in ("iii_trio", "iii_trio.errors", "iii_trio.protocol", "iii_trio.runtime", "iii_trio.trigger"):
        module = importlib.import_module(door)
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
