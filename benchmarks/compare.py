"""The client beside the bare probe, in one run: CPU a call, calls a second, and the ratios.

Each round runs the probe, then the client, then the client without second sendings of early answers, each as a worker
process and a caller process on the same engine, which is the embedded one unless ``III_TEST_URL`` names another. What is
shown is the median of the rounds. Absolute figures belong to the machine and the day; the ratios are what counts. The
embedded engine is itself the bottleneck, so there calls a second say nothing about the client.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import uuid
from typing import Any, Final

from benchmarks.process import Process

CONTENDERS: Final = {
    "probe": ("benchmarks.probe", "worker"),
    "client": ("benchmarks.client", "worker"),
    "client once": ("benchmarks.client", "worker-once"),
}
"""Module and role of each one's worker. The last sends early answers once only (docs/engine.md, "Early answers")."""

FIGURES: Final = ("caller_us", "worker_us", "calls_per_second")
"""CPU of the caller and of the worker, in microseconds a call, and what they reach together."""


def measure(contender: str, url: str, calls: int, concurrency: int, size: int) -> dict[str, float]:
    """One round of one contender."""
    module, role = CONTENDERS[contender]
    function_id = f"bench::{uuid.uuid4().hex}"
    with Process(module, role, url, function_id) as worker:
        worker.next()
        with Process(module, "caller", url, function_id, str(calls), str(concurrency), str(size)) as caller:
            caller.next()
            before = worker.step()["cpu"]
            result = caller.step()
            after = worker.step()["cpu"]
    return {
        "caller_us": result["cpu"] / calls * 1e6,
        "worker_us": (after - before) / calls * 1e6,
        "calls_per_second": (calls - result["lost"]) / result["seconds"],
        "lost": result["lost"],
    }


def compare(url: str | None, rounds: int, calls: int, concurrency: int, size: int) -> dict[str, Any]:
    """All rounds, in turns, and what comes out of them."""
    seen: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
    with contextlib.ExitStack() as stack:
        if url is None:
            url = str(stack.enter_context(Process("benchmarks.engine")).next()["url"])
        for _ in range(rounds):
            for contender in CONTENDERS:
                seen[contender].append(measure(contender, url, calls, concurrency, size))
    medians = {
        contender: {figure: statistics.median(each[figure] for each in results) for figure in FIGURES}
        for contender, results in seen.items()
    }
    for contender, results in seen.items():
        medians[contender]["lost"] = sum(each["lost"] for each in results)
    ratios = {figure: medians["client"][figure] / medians["probe"][figure] for figure in FIGURES}
    healing = {figure: medians["client"][figure] / medians["client once"][figure] for figure in FIGURES}
    return {
        **medians,
        "ratios": ratios,
        "healing": healing,
        "rounds": rounds,
        "calls": calls,
        "concurrency": concurrency,
        "bytes": size,
    }


def show(result: dict[str, Any]) -> None:
    """The result as a table."""
    print(f"{result['rounds']} rounds of {result['calls']} calls, {result['concurrency']} at once, ", end="")
    print(f"{result['bytes']} bytes of payload, medians")
    print(f"{'':16}{'caller µs/call':>16}{'worker µs/call':>16}{'calls/s':>12}{'lost':>8}")
    for row in CONTENDERS:
        caller, worker, rate = (result[row][figure] for figure in FIGURES)
        print(f"{row:16}{caller:16.1f}{worker:16.1f}{rate:12.0f}{result[row]['lost']:8.0f}")
    for name, key in (("client / probe", "ratios"), ("client / once", "healing")):
        caller, worker, rate = (result[key][figure] for figure in FIGURES)
        print(f"{name:16}{caller:16.2f}{worker:16.2f}{rate:12.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=200, help="of payload")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    asked = parser.parse_args()
    url = os.environ.get("III_TEST_URL") or None
    result = compare(url, asked.rounds, asked.calls, asked.concurrency, asked.bytes)
    if asked.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
