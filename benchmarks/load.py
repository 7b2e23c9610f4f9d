"""The load that every contender is put under: so many calls at once, each with a payload of so many bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from benchmarks.process import cpu_seconds, next_step, say
from iii_trio.errors import InvocationTimeout

WARM_UP: Final = 500
"""Calls before those that count."""

TIMEOUT: Final = 5.0
"""Seconds after which a call counts as lost."""

Call: TypeAlias = Callable[[Any], Awaitable[Any]]


def payload_of(size: int) -> dict[str, str]:
    """An object whose JSON text has `size` bytes."""
    return {"text": "x" * (size - len('{"text":""}'))}


@attrs.define
class _Round:
    """Calls that are made, and what became of them."""

    call: Call
    calls: int
    payload: Any
    lost: int = 0
    last_answer: float = 0.0

    async def run(self, concurrency: int) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(concurrency):
                nursery.start_soon(self._call_on)

    async def _call_on(self) -> None:
        while self.calls > 0:
            self.calls -= 1
            try:
                answer = await self.call(self.payload)
            except (trio.TooSlowError, InvocationTimeout):
                self.lost += (
                    1  # The real engine loses an answer that comes too early (docs/engine.md, "Early answers").
                )
                continue
            assert answer == self.payload, answer
            self.last_answer = trio.current_time()


async def call_under_load(call: Call, calls: int, concurrency: int, payload: Any) -> None:
    """Warm up, say so, wait for the go, make the calls, and say what they took."""
    await _Round(call, WARM_UP, payload).run(concurrency)
    say(ready=True)
    await next_step()
    began, cpu = trio.current_time(), cpu_seconds()
    made = _Round(call, calls, payload)
    await made.run(concurrency)
    # Up to the last answer: who waits for a lost one does nothing, and is not what is measured.
    say(seconds=made.last_answer - began, cpu=cpu_seconds() - cpu, lost=made.lost)
