"""The bell: no ring is lost."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from iii_trio._link.bell import Bell


async def test_a_ring_wakes_the_waiting_task(autojump_clock: MockClock) -> None:
    """Who waits is woken by the ring, and not before."""
    bell = Bell()
    woken: list[float] = []

    async def wait() -> None:
        await bell.wait()
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(3)
        bell.ring()
        bell.ring()
    assert woken == [3]


@pytest.mark.parametrize("rings", [1, 2, 5])
async def test_rings_before_the_wait_count_once(autojump_clock: MockClock, rings: int) -> None:
    """However often it rang, one wait returns at once, and the next one waits."""
    bell = Bell()
    for _ in range(rings):
        bell.ring()
    with assert_checkpoints():
        await bell.wait()
    with trio.move_on_after(1) as scope:
        await bell.wait()
    assert scope.cancelled_caught


@pytest.mark.parametrize("moment", ["before the ring", "after the ring"])
async def test_a_cancelled_wait_loses_no_ring(autojump_clock: MockClock, moment: str) -> None:
    """The next wait gets the ring that the cancelled one did not."""
    bell = Bell()
    if moment == "after the ring":
        bell.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    assert scope.cancelled_caught
    if moment == "before the ring":
        bell.ring()
    with trio.fail_after(1):
        await bell.wait()


async def test_a_ring_between_waking_and_waiting_again(autojump_clock: MockClock) -> None:
    """A ring that comes while the woken task has not run yet is for its next wait."""
    bell = Bell()
    waits = 0

    async def wait_twice() -> None:
        nonlocal waits
        for _ in range(2):
            await bell.wait()
            waits += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_twice)
        await wait_all_tasks_blocked()
        bell.ring()
        bell.ring()
        await wait_all_tasks_blocked()
        assert waits == 2
