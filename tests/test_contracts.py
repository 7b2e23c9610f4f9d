"""The house keeps its order: who may import whom, and how large a file or a function may become."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ROOT / "src" / "iii_trio"

MAX_LINES: Final = 600
MAX_FUNCTION_LINES: Final = 60
LIMIT: Final = 60.0
"""Seconds for any process that a test starts."""

SHELLS: Final = {
    "channel_ends",
    "channel_sockets",
    "handshake",
    "http_connection",
    "http_exchange",
    "http_server",
    "memory",
    "server",
    "signals",
    "websocket",
}
"""What of the embedded engine does I/O, or speaks a library's language."""

# `iii_trio` itself imports everything, so it is replaced by an empty package of the same name.
IMPORT_ALONE: Final = """
import importlib, sys, types
package = types.ModuleType("iii_trio")
package.__path__ = [{path!r}]
sys.modules["iii_trio"] = package
importlib.import_module({module!r})
print(*sorted(sys.modules))
"""


def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def contract(id: str) -> dict[str, Any]:
    """One import contract."""
    contracts: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if each["id"] == id)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)


def test_imports_run_downwards() -> None:
    """The contracts of pyproject.toml hold: layers, the embedded engine's wall, and no I/O in the protocol."""
    code = "import sys; from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    checked = run(sys.executable, "-c", code)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_nothing_below_the_doors_uses_them() -> None:
    """The root hands names on, so a module of the machinery that imported from it would import everything above it."""
    below = [path for path in SOURCES.rglob("*.py") if path.relative_to(SOURCES).parts[0] not in ("_cli", "testing")]
    for path in below:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "iii_trio"), f"{path}:{node.lineno}"
            assert not (isinstance(node, ast.Import) and "iii_trio" in [name.name for name in node.names]), path


def test_every_module_of_the_embedded_engine_is_core_or_shell() -> None:
    """A new one has to be put under the contract, or among the shells."""
    modules = {path.stem for path in (SOURCES / "_embedded").glob("*.py")} - {"__init__"}
    prefix = "iii_trio._embedded."
    core = {name.removeprefix(prefix) for name in contract("sans-io")["source_modules"] if name.startswith(prefix)}
    assert core.isdisjoint(SHELLS)
    assert modules == core | SHELLS


@pytest.mark.parametrize(
    "module", ["_session.session", "_session.backoff", "_wire.codec", "_embedded.core", "_embedded.decoder"]
)
def test_the_protocol_loads_without_a_websocket_library(module: str) -> None:
    """Seen in a fresh interpreter, where nothing else can have loaded it, nor hidden the import in a function."""
    loaded = run(sys.executable, "-c", IMPORT_ALONE.format(path=str(SOURCES), module=f"iii_trio.{module}"))
    assert loaded.returncode == 0, loaded.stderr
    names = set(loaded.stdout.split())
    assert f"iii_trio.{module}" in names
    assert names.isdisjoint({"trio_websocket", "websockets", "wsproto", "h11", "rich", "cyclopts", "pytest"})
    assert not any(name.startswith(("iii_trio._link", "iii_trio._client", "iii_trio._handlers")) for name in names)


def test_the_client_loads_without_the_extras() -> None:
    """``import iii_trio`` takes neither the command line's libraries, nor a test runner, nor the embedded engine."""
    loaded = run(sys.executable, "-c", "import sys, iii_trio; print(*sorted(sys.modules))")
    assert loaded.returncode == 0, loaded.stderr
    names = set(loaded.stdout.split())
    assert names.isdisjoint({"rich", "cyclopts", "pytest", "iii_trio._embedded", "iii_trio.testing", "iii_trio._cli"})


def test_the_pytest_plugin_imports_no_part_of_the_client() -> None:
    """pytest loads it in every run, also in those that never use it."""
    loaded = run(sys.executable, "-c", IMPORT_ALONE.format(path=str(SOURCES), module="iii_trio.testing._plugin"))
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_nothing_is_raised_inside_of_except_star(path: Path) -> None:
    """Python before 3.11.4, which Debian 12 has, wraps it in a group that nobody made."""
    blocks = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.TryStar)]
    raises = [node for block in blocks for handler in block.handlers for node in ast.walk(handler)]
    assert [node.lineno for node in raises if isinstance(node, ast.Raise)] == []


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with the lines of it that are neither its docstring nor its overloads."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
        prose = 0 if docstring is None or docstring.end_lineno is None else docstring.end_lineno - docstring.lineno + 1
        yield node.name, node.end_lineno - node.lineno + 1 - prose


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCES)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    """A file is one idea, and a function fits on a screen."""
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES
    assert [name for name, lines in functions(path) if lines > MAX_FUNCTION_LINES] == []
