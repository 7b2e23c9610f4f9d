"""The load that every contender on trio is put under, and a worker's side of it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, TypeAlias

import attrs
import trio

from benchmarks.cases import Load
from benchmarks.steps import STDIN, SyncEcho, cpu_seconds, say, say_made
from iii_trio.errors import InvocationTimeout

Call: TypeAlias = Callable[[Any], Awaitable[Any]]


async def next_step() -> bool:
    """Wait until the next step is wanted; False at the end."""
    return bool(await trio.to_thread.run_sync(os.read, STDIN, 1, abandon_on_cancel=True))


async def tell_cpu(sync_echo: SyncEcho, **facts: Any) -> None:
    """A worker's life beside its work: say that it is ready, with what else is true, and its CPU each time somebody asks."""
    say(ready=True, **facts)
    while await next_step():
        say(cpu=cpu_seconds(), threads=sync_echo.threads)


@attrs.define
class _Round:
    """Calls that are made, and what became of them."""

    call: Call
    calls: int
    payload: Any
    answered: list[tuple[float, float]] = attrs.field(factory=list)

    async def run(self, concurrency: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(concurrency):
                nursery.start_soon(self._call_on)

    async def _call_on(self) -> None:
        while self.calls > 0:
            self.calls -= 1
            started = perf_counter()
            try:
                answer = await self.call(self.payload)
            except (trio.TooSlowError, InvocationTimeout):
                continue  # The real engine loses an answer that comes too early (docs/engine.md, "Early answers").
            self.answered.append((started, perf_counter()))
            assert answer == self.payload, answer


async def call_under_load(call: Call, load: Load, **facts: Any) -> None:
    """Warm up, say so, with what else is true, wait for the go, make the calls, and say what they took."""
    await _Round(call, load.warm_up(), load.payload()).run(load.concurrency)
    say(ready=True, **facts)
    await next_step()
    began, cpu = perf_counter(), cpu_seconds()
    made = _Round(call, load.calls, load.payload())
    await made.run(load.concurrency)
    say_made(began, cpu, made.answered, load.calls)
