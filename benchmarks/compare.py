"""The client, the official SDK and two bare probes in one run: CPU a call, calls a second, latency, and the ratios.

In each round of a case every contender has its turn, as a worker process and a caller process on the same engine, which is
the embedded one unless ``III_TEST_URL`` names another. Absolute figures belong to the machine and the day; the ratios are
what counts. The embedded engine is itself the bottleneck, so there calls a second say nothing about the contenders.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from benchmarks.cases import CASES, Load
from benchmarks.process import CannotRun, Process
from benchmarks.report import report_of, show

OFFICIAL_PYTHON: Final = "III_TEST_OFFICIAL_PYTHON"
"""Names an interpreter that has ``iii-sdk``."""


@attrs.frozen
class Contender:
    """Who works and calls."""

    module: str
    variant: str
    """Its transport, or its way to call."""

    worker: str = "worker"
    """The role of its worker."""


CONTENDERS: Final[Mapping[str, Contender]] = {
    "ours-trio-websocket": Contender("benchmarks.client", "trio-websocket"),
    "ours-websockets": Contender("benchmarks.client", "websockets"),
    "official-threads": Contender("benchmarks.official", "threads"),
    "official-loop": Contender("benchmarks.official", "loop"),
    "official-handler": Contender("benchmarks.official", "handler"),
    "probe-trio-websocket": Contender("benchmarks.probe", "trio-websocket"),
    "probe-websockets": Contender("benchmarks.probe", "websockets"),
    "ours-trio-websocket-once": Contender("benchmarks.client", "trio-websocket", "worker-once"),
    "ours-websockets-once": Contender("benchmarks.client", "websockets", "worker-once"),
}
"""In the order of their turns. The last send early answers once only (docs/engine.md, "Early answers")."""

HEALING: Final = "healing"
"""The case of those that send once, beside the client as it is."""


def contenders_of(case: str) -> list[str]:
    """Who takes part in a case."""
    once = {name for name, contender in CONTENDERS.items() if contender.worker == "worker-once"}
    if case == HEALING:
        return [name for name in CONTENDERS if name in once or f"{name}-once" in once]
    return [name for name in CONTENDERS if name not in once]


def measure(contender: Contender, url: str, load: Load) -> dict[str, float]:
    """One round of one contender.

    Raises:
        CannotRun: Something that it needs is missing.
    """
    python = None
    if contender.module == "benchmarks.official":
        python = os.environ.get(OFFICIAL_PYTHON)
        if not python:
            raise CannotRun(f"{OFFICIAL_PYTHON} names no interpreter that has iii-sdk")
    arguments = (contender.variant, url, f"bench::{uuid.uuid4().hex}", load.dump())
    with Process(contender.module, contender.worker, *arguments, python=python) as worker:
        worker.next()
        with Process(contender.module, "caller", *arguments, python=python) as caller:
            caller.next()
            before = worker.step()
            result = caller.step()
            after = worker.step()
    figures = {
        "caller_us": result["cpu"] / load.calls * 1e6,
        "worker_us": (after["cpu"] - before["cpu"]) / load.calls * 1e6,
        "calls_per_second": (load.calls - result["lost"]) / result["seconds"],
        "p50_us": result["p50"] * 1e6,
        "p99_us": result["p99"] * 1e6,
        "lost": result["lost"],
    }
    return {**figures, "threads": after["threads"]} if load.sync else figures


def compare(
    url: str | None, rounds: int, calls: int | None, cases: Sequence[str], contenders: Sequence[str]
) -> dict[str, Any]:
    """All rounds of all cases, in turns, and what comes out of them."""
    skipped: dict[str, str] = {}
    reports: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        engine = url or "embedded"
        if url is None:
            url = str(stack.enter_context(Process("benchmarks.engine")).next()["url"])
        for case in cases:
            load = CASES[case] if calls is None else dataclasses.replace(CASES[case], calls=calls)
            names = [name for name in contenders_of(case) if name in contenders]
            seen = _rounds(url, rounds, load, names, skipped)
            reports[case] = {"load": dataclasses.asdict(load), **report_of(seen)}
    return {"engine": engine, "rounds": rounds, "skipped": skipped, "cases": reports}


def _rounds(
    url: str, rounds: int, load: Load, names: Sequence[str], skipped: dict[str, str]
) -> dict[str, list[dict[str, float]]]:
    seen: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        for name in names:
            if name in skipped:
                continue
            try:
                figures = measure(CONTENDERS[name], url, load)
            except CannotRun as reason:
                skipped[name] = str(reason)
                continue
            seen.setdefault(name, []).append(figures)
            print(f"{number + 1}/{rounds} {name}: {figures['calls_per_second']:.0f} calls/s", file=sys.stderr)
    return seen


def _beginning(text: str) -> str:
    if not any(name.startswith(text) for name in CONTENDERS):
        raise argparse.ArgumentTypeError(f"nobody's name begins with {text!r}; there are {', '.join(CONTENDERS)}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, help="in place of each case's own number")
    parser.add_argument("--case", nargs="+", choices=[*CASES], default=[*CASES], help="these cases only")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", type=_beginning, default=[""], help="contenders whose names begin so"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    asked = parser.parse_args()
    contenders = [name for name in CONTENDERS if name.startswith(tuple(asked.only))]
    result = compare(os.environ.get("III_TEST_URL") or None, asked.rounds, asked.calls, asked.case, contenders)
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
