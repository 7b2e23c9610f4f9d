"""The client as a contender.

``python -m benchmarks.client worker URL ID``, the same with ``worker-once``, and ``… caller URL ID CALLS CONCURRENCY SIZE``.
"""

from __future__ import annotations

import sys
from typing import Any

import trio

from benchmarks.load import TIMEOUT, call_under_load, payload_of
from benchmarks.process import tell_cpu
from iii_trio import InitOptions, open_iii


async def work(url: str, function_id: str, heals: bool) -> None:
    async def echo(payload: Any) -> Any:
        return payload

    async with open_iii(url, InitOptions(heal_early_results=heals)) as iii:
        await iii.register_function(function_id, echo).wait_registered()
        await tell_cpu()


async def call(url: str, function_id: str, calls: str, concurrency: str, size: str) -> None:
    async with open_iii(url, InitOptions(invocation_timeout_ms=TIMEOUT * 1000)) as iii:

        async def trigger(payload: Any) -> Any:
            return await iii.trigger(function_id, payload)

        await call_under_load(trigger, int(calls), int(concurrency), payload_of(int(size)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["worker" | "worker-once" as role, url, function_id]:
            trio.run(work, url, function_id, role == "worker")
        case ["caller", url, function_id, calls, concurrency, size]:
            trio.run(call, url, function_id, calls, concurrency, size)
