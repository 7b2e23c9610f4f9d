"""What the comparisons share: contenders, the engine they meet on, and their turns.

In each round of a case every contender has its turn, as two worker processes on the same engine, which is the embedded one
unless ``III_TEST_URL`` names another.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from benchmarks.process import CannotRun, Process
from benchmarks.report import Round, show

OFFICIAL_PYTHON: Final = "III_TEST_OFFICIAL_PYTHON"
"""Names an interpreter that has ``iii-sdk``."""

EMBEDDED: Final = "embedded"
"""The engine when no URL names another."""


@attrs.frozen
class Contender:
    """Whose processes have a turn."""

    module: str
    variant: str
    """Its transport, or its way to call."""

    worker: str = "worker"
    """The role of the process that is called."""

    def interpreter(self) -> str | None:
        """What runs it, when it is not this interpreter.

        Raises:
            CannotRun: None is named.
        """
        if not self.module.startswith("benchmarks.official"):
            return None
        python = os.environ.get(OFFICIAL_PYTHON)
        if not python:
            raise CannotRun(f"{OFFICIAL_PYTHON} names no interpreter that has iii-sdk")
        return python


Contenders: TypeAlias = Mapping[str, Contender]
Measure: TypeAlias = Callable[[Contender], dict[str, float]]


@contextlib.contextmanager
def engine() -> Iterator[tuple[str, str]]:
    """The engine to measure on: what the report calls it, and its URL."""
    url = os.environ.get("III_TEST_URL")
    if url:
        yield url, url
    else:
        with Process("benchmarks.engine") as process:
            yield EMBEDDED, str(process.next()["url"])


def take_turns(
    rounds: int, contenders: Contenders, skipped: dict[str, str], rate: str, measure: Measure
) -> dict[str, list[Round]]:
    """What each contender did in each round; who cannot run is noted in `skipped`, and not asked again.

    `rate` is the figure that is told on the way.
    """
    seen: dict[str, list[Round]] = {}
    for number in range(rounds):
        for name, contender in contenders.items():
            if name in skipped:
                continue
            try:
                figures = measure(contender)
            except CannotRun as reason:
                skipped[name] = str(reason)
                continue
            seen.setdefault(name, []).append(figures)
            print(f"{number + 1}/{rounds} {name}: {figures[rate]:.0f}/s", file=sys.stderr)
    return seen


def parser_of(description: str, cases: Sequence[str], contenders: Contenders) -> argparse.ArgumentParser:
    """What every comparison can be asked."""

    def beginning(text: str) -> str:
        if not any(name.startswith(text) for name in contenders):
            raise argparse.ArgumentTypeError(f"nobody's name begins with {text!r}; there are {', '.join(contenders)}")
        return text

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", nargs="+", choices=cases, default=cases, help="these cases only")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", type=beginning, default=[""], help="contenders whose names begin so"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    return parser


def chosen(contenders: Contenders, only: Sequence[str]) -> Contenders:
    """Those whose names begin so."""
    return {name: contender for name, contender in contenders.items() if name.startswith(tuple(only))}


def tell(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the report."""
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
