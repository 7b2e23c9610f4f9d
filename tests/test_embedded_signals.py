"""What a task waits for."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from iii_trio._embedded.signals import Signal


async def test_what_happened_before_is_not_missed() -> None:
    """However often it happened, it counts once."""
    signal = Signal()
    signal.set()
    signal.set()
    await signal.wait()
    with trio.move_on_after(0) as scope:
        await signal.wait()
    assert scope.cancelled_caught


async def test_it_wakes_who_waits(autojump_clock: MockClock) -> None:
    """At once."""
    signal = Signal()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signal.wait)
        await trio.testing.wait_all_tasks_blocked()
        signal.set()
    assert trio.current_time() == 0
