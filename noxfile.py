"""The one front door to every check: ``nox`` runs all, ``nox -l`` lists them (CONTRIBUTING.md)."""

from __future__ import annotations

import re
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["tests", "lint", "typing", "docs"]

OFFICIAL_SDK = "0.25.0"
"""The release of iii-sdk that the `interop` session talks to."""

PROJECT: dict[str, Any] = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = [
    found[1] for each in PROJECT["classifiers"] if (found := re.fullmatch(r".*:: Python :: (3\.\d+)", each)) is not None
]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test-suite, over each transport, with the coverage of everything below src; arguments go to pytest."""
    session.install("-e", ".[dev,docs]")
    session.run("coverage", "erase")
    for transport in ("websockets", "trio-websocket"):
        session.run("coverage", "run", "-m", "pytest", *session.posargs, env={"III_TEST_TRANSPORT": transport})
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


@nox.session
def lowest(session: nox.Session) -> None:
    """The test-suite with the oldest release of every library that a user may have; arguments go to pytest."""
    session.install("-e", ".[dev]")
    extras = PROJECT["optional-dependencies"]
    wanted = [PROJECT["dependencies"], extras["fast"], extras["engine"], extras["cli"], extras["testing"]]
    session.install(*(each.replace(">=", "==") for each in chain(*wanted)))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, import contracts, and the sizes of files and functions."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")
    session.run("pytest", "-q", "tests/test_contracts.py")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy, strict, on everything; pyright on what users see, all of which has a known type."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "iii_trio", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into docs/_build; a broken link or anchor is an error."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", "--fresh-env", "docs", "docs/_build")


@nox.session
def interop(session: nox.Session) -> None:
    """The official SDK and ours together, each in an environment of its own; arguments go to pytest."""
    session.install("-e", ".[dev]")
    official = Path(session.create_tmp()).resolve() / "official"
    # Their dependencies need not agree with ours, and what they patch must not reach us.
    session.run("python", "-m", "venv", "--clear", str(official))
    python = official / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    session.run(str(python), "-m", "pip", "install", "--quiet", f"iii-sdk=={OFFICIAL_SDK}", external=True)
    names = ("test_the_official_sdk_calls_in_each_of_its_ways", "test_the_official_sdk_has_its_turn_with_channels")
    benchmarks = [f"tests/test_benchmarks.py::{name}" for name in names]
    arguments = session.posargs or ["tests/test_interop_official.py", *benchmarks]
    session.run("pytest", *arguments, env={"III_TEST_OFFICIAL_PYTHON": str(python)})


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks (docs/benchmarks.md); arguments go to the first of them."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "benchmarks.compare", *session.posargs)
    if not session.posargs:
        session.run("python", "-m", "benchmarks.channels")
        session.run("python", "-m", "benchmarks.json_libraries")
