"""The bounded streams in memory behave as sockets do."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from iii_trio._embedded.memory import CAPACITY, MemoryStream, memory_stream_pair


async def _make() -> tuple[MemoryStream, MemoryStream]:
    return memory_stream_pair()


async def _make_clogged() -> tuple[MemoryStream, MemoryStream]:
    one, other = memory_stream_pair()
    await one.send_all(bytes(CAPACITY))
    await other.send_all(bytes(CAPACITY))
    return one, other


async def test_they_keep_the_contract_of_a_half_closeable_stream() -> None:
    """trio's own checks of a stream."""
    await trio.testing.check_half_closeable_stream(_make, _make_clogged)


async def test_a_writer_waits_for_a_slow_reader(autojump_clock: trio.testing.MockClock) -> None:
    """What is sent beyond the capacity stays with the sender."""
    one, other = memory_stream_pair()
    async with one, other:
        with trio.move_on_after(1) as patience:
            await one.send_all(bytes(CAPACITY + 1))
        assert patience.cancelled_caught
        assert len(await other.receive_some()) == CAPACITY


async def test_waiting_for_room_ends_when_the_other_side_leaves() -> None:
    """As a send does."""
    one, other = await _make_clogged()
    async with one, other, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await one.wait_send_all_might_not_block()

        await trio.testing.wait_all_tasks_blocked()
        await other.aclose()
