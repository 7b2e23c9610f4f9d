"""The client, the official SDK and two bare probes in one run: CPU a call, calls a second, latency, and the ratios.

Every contender is a worker process and a caller process. Absolute figures belong to the machine and the day; the ratios are
what counts. The embedded engine is itself the bottleneck, so there calls a second say nothing about the contenders.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.cases import CASES, Load
from benchmarks.process import Process
from benchmarks.report import report_of
from benchmarks.turns import Contender, Contenders, chosen, engine, parser_of, take_turns, tell

CONTENDERS: Final[Contenders] = {
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
    python = contender.interpreter()
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


def compare(rounds: int, calls: int | None, cases: Sequence[str], contenders: Contenders) -> dict[str, Any]:
    """All rounds of all cases, in turns, and what comes out of them."""
    skipped: dict[str, str] = {}
    reports: dict[str, Any] = {}
    with engine() as (name, url):
        for case in cases:
            load = CASES[case] if calls is None else dataclasses.replace(CASES[case], calls=calls)
            taking_part = {each: contenders[each] for each in contenders_of(case) if each in contenders}

            def one_turn(contender: Contender, load: Load = load) -> dict[str, float]:
                return measure(contender, url, load)

            seen = take_turns(rounds, taking_part, skipped, "calls_per_second", one_turn)
            reports[case] = {"load": dataclasses.asdict(load), "words": load.words(), **report_of(seen)}
    return {"engine": name, "rounds": rounds, "skipped": skipped, "cases": reports}


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0], [*CASES], CONTENDERS)
    parser.add_argument("--calls", type=int, help="in place of each case's own number")
    asked = parser.parse_args()
    tell(compare(asked.rounds, asked.calls, asked.case, chosen(CONTENDERS, asked.only)), as_json=asked.json)


if __name__ == "__main__":
    main()
