"""The ends of a channel, as tasks use them."""

from __future__ import annotations

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._embedded.channel_ends import ReadEnd, WriteEnd
from iii_trio._embedded.channels import Channel, Channels
from iii_trio._embedded.clock import Clock


def ends(capacity: int) -> tuple[WriteEnd, ReadEnd, Channel]:
    """Of one channel."""
    channels = Channels(Clock(epoch_ms=lambda: 0, on_alarm=lambda: None, now=0.0), iter("abcdef").__next__)
    channel = channels.create(capacity)
    channels.take(channel.id, channel.access_key, "write")
    channels.take(channel.id, channel.access_key, "read")
    return WriteEnd(channels, channel), ReadEnd(channels, channel), channel


async def test_a_writer_waits_for_room(autojump_clock: MockClock) -> None:
    """And a reader for messages, until the end."""
    writer, reader, _ = ends(1)
    written: list[str] = []

    async def write() -> None:
        with writer:
            for message in ("1", "2", "3"):
                assert await writer.put(message)
                written.append(message)

    with reader:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await wait_all_tasks_blocked()
            assert written == ["1"]
            assert not reader.is_empty
            assert [await reader.get() for _ in range(4)] == ["1", "2", "3", None]
            assert not reader.is_empty


async def test_a_writer_that_waits_hears_that_nobody_reads(autojump_clock: MockClock) -> None:
    """It is told so, and not left waiting."""
    writer, reader, channel = ends(1)
    answers: list[bool] = []

    async def write() -> None:
        with writer:
            answers.append(await writer.put("1"))
            answers.append(await writer.put("2"))

    async with trio.open_nursery() as nursery:
        with reader:
            nursery.start_soon(write)
            await wait_all_tasks_blocked()
    assert answers == [True, False]
    assert channel.is_over


async def test_a_writer_can_end_before_its_block_does(autojump_clock: MockClock) -> None:
    """The reader has its end at once."""
    writer, reader, _ = ends(1)
    with writer, reader:
        writer.end()
        assert await reader.get() is None
