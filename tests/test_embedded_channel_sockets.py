"""Channels on WebSockets: order, backpressure, ends, and what a hostile peer can do to the other one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._embedded.channels import UNTAKEN_LIFE, Channel
from iii_trio._embedded.core import Engine
from iii_trio._embedded.memory import CAPACITY
from iii_trio._embedded.server import Server
from tests.replay import NO_CLOSE, NO_CODE, Refused, Socket

PIECE: Final = b"x" * 65_536
BARE_END: Final = ("close", (NO_CLOSE, ""))


class Peers:
    """A server in memory, and who talks to it."""

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self.server = server
        self._nursery = nursery

    def create(self, capacity: int = 64) -> Channel:
        """A channel."""
        return self.server.engine.channels.create(capacity)

    async def open(self, channel: Channel, direction: str) -> Socket:
        """Take an end."""
        socket = Socket(self.server.open_stream())
        await socket.upgrade(f"/ws/channels/{channel.id}?key={channel.access_key}&dir={direction}", {})
        self._nursery.start_soon(socket.pump)
        return socket


@asynccontextmanager
async def opened() -> AsyncIterator[Peers]:
    """A server in memory for the length of a block."""
    async with trio.open_nursery() as nursery:
        server = Server(Engine())
        await nursery.start(server.run)
        server.engine.tick(trio.current_time())
        yield Peers(server, nursery)
        nursery.cancel_scope.cancel()


async def test_a_reader_gets_what_was_written_and_then_a_close(autojump_clock: MockClock) -> None:
    """The writer's own Close is echoed, with its code and reason."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        for message in ("a", b"b", ""):
            await writer.send(message, None)
        await writer.close(4_000, "that was all")
        assert [await reader.get(1) for _ in range(5)] == [
            ("text", "a"),
            ("binary", b"b"),
            ("text", ""),
            ("close", (NO_CODE, "")),
            BARE_END,
        ]
        assert [await writer.get(1) for _ in range(2)] == [("close", (4_000, "that was all")), BARE_END]


async def test_a_reader_that_stalls_stalls_its_writer(autojump_clock: MockClock) -> None:
    """What the engine holds meanwhile has a bound, the writer's ping waits, and nothing is lost."""
    async with opened() as they, trio.open_nursery() as nursery:
        channel = they.create(4)
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        reader.reading = trio.Event()
        count = await writer.flood(PIECE, 1_000, 1.0, nursery)
        in_streams = 2 * CAPACITY // len(PIECE)
        assert (
            count <= in_streams + 4 + 8
        )  # the queue; one message on each way in and out, and what is unmasked of more
        nursery.start_soon(writer.ping, b"stuck")
        assert await writer.get(60) is None
        reader.reading.set()
        assert [await reader.get(1) for _ in range(count)] == [("binary", PIECE)] * count
        assert await writer.get(1) == ("pong", b"stuck")


async def test_a_close_is_echoed_when_all_before_it_was_taken(autojump_clock: MockClock) -> None:
    """Not before a reader has made room."""
    async with opened() as they:
        channel = they.create(1)
        writer = await they.open(channel, "write")
        await writer.send("1", None)
        await writer.send("2", None)
        await writer.close(1_000, "")
        assert await writer.get(100) is None
        reader = await they.open(channel, "read")
        assert [await reader.get(1) for _ in range(2)] == [("text", "1"), ("text", "2")]
        assert await writer.get(1) == ("close", (1_000, ""))


@pytest.mark.parametrize(
    ("tail", "leaves"),
    [
        pytest.param(b"", True, id="Leaves"),
        pytest.param(b"\x82\xff" + (65_536).to_bytes(8, "big") + bytes(4), True, id="LeavesInAFrame"),
        pytest.param(b"\x83\x80\0\0\0\0", False, id="BreaksARule"),
        pytest.param(b"\x82\xff" + (16 * 1024 * 1024 + 1).to_bytes(8, "big") + bytes(4), False, id="TooLong"),
    ],
)
async def test_however_a_writer_ends_its_reader_gets_a_clean_end(
    tail: bytes, leaves: bool, autojump_clock: MockClock
) -> None:
    """Behind what was written. The writer is dropped without a Close."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        await writer.send("left behind", None)
        await writer.stream.send_all(tail)
        if leaves:
            await writer.stream.aclose()
        assert await writer.get(1) == BARE_END
        assert [await reader.get(1) for _ in range(2)] == [("text", "left behind"), ("close", (NO_CODE, ""))]


async def test_what_a_reader_says_is_never_read(autojump_clock: MockClock) -> None:
    """Neither a ping nor a Close of its own changes anything."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        await reader.ping(b"?")
        await reader.close(1_000, "")
        await writer.send("all the same", None)
        assert await reader.get(1) == ("text", "all the same")


async def test_a_writer_notices_a_reader_that_left_when_it_writes(autojump_clock: MockClock) -> None:
    """Not before; then it is dropped without a Close."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        await reader.stream.aclose()
        assert await writer.get(60) is None
        await writer.send("noticed by the engine", None)
        await wait_all_tasks_blocked()
        await writer.send("noticed by the writer", None)
        assert await writer.get(1) == BARE_END


async def test_a_second_taker_is_let_in_and_sent_away(autojump_clock: MockClock) -> None:
    """The first one goes on."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        for direction in ("read", "write"):
            late = await they.open(channel, direction)
            assert [await late.get(1) for _ in range(2)] == [("close", (NO_CODE, "")), BARE_END]
        await writer.send("still here", None)
        assert await reader.get(1) == ("text", "still here")


async def test_an_end_has_to_be_taken_within_five_minutes(autojump_clock: MockClock) -> None:
    """Afterwards there is no such channel, and who waits at the other end has an empty stream."""
    async with opened() as they:
        channel = they.create()
        reader = await they.open(channel, "read")
        assert await reader.get(UNTAKEN_LIFE - 1) is None
        assert await reader.get(2) == ("close", (NO_CODE, ""))
        with pytest.raises(Refused) as refused:
            await they.open(channel, "write")
        assert (refused.value.status, refused.value.text) == (404, "Channel not found")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param("key=a&dir=read&key=b", "duplicate field `key`", id="key-twice"),
        pytest.param("dir=read&key=a&dir=write", "duplicate field `dir`", id="dir-twice"),
        pytest.param("key=a&dir=", "dir: unknown variant ``, expected `read` or `write`", id="empty-dir"),
        pytest.param("dir=read&other=1", "missing field `key`", id="no-key"),
        pytest.param("key=", "missing field `dir`", id="no-dir"),
    ],
)
async def test_a_bad_query_is_refused(query: str, text: str, autojump_clock: MockClock) -> None:
    """Before it is asked whether there is such a channel."""
    async with opened() as they:
        with pytest.raises(Refused) as refused:
            await Socket(they.server.open_stream()).upgrade(f"/ws/channels/x?{query}", {})
        assert (refused.value.status, refused.value.text) == (400, f"Failed to deserialize query string: {text}")


async def test_channels_need_no_login(autojump_clock: MockClock) -> None:
    """The key is the permission."""
    async with opened() as they:
        they.server.refusal = "no"
        reader = await they.open(they.create(), "read")
        assert await reader.get(1) is None


async def test_links_of_channels_can_be_dropped(autojump_clock: MockClock) -> None:
    """Without a Close on either end, which a reader can tell from an end."""
    async with opened() as they:
        for drop in (they.server.drop_channels, they.server.drop_links):
            channel = they.create()
            writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
            drop()
            assert [await writer.get(1), await reader.get(1)] == [BARE_END, BARE_END]
            assert channel.is_over


async def test_a_restart_forgets_channels_and_drops_their_links(autojump_clock: MockClock) -> None:
    """As a new process would."""
    async with opened() as they:
        channel = they.create()
        reader = await they.open(channel, "read")
        they.server.restart()
        assert await reader.get(1) == BARE_END
        with pytest.raises(Refused):
            await they.open(channel, "write")


async def test_an_engine_that_reads_nothing_reads_no_channel(autojump_clock: MockClock) -> None:
    """It goes on with what has piled up."""
    async with opened() as they:
        channel = they.create()
        writer, reader = await they.open(channel, "write"), await they.open(channel, "read")
        they.server.stall_reading()
        await writer.send("piles up", None)
        assert await reader.get(60) is None
        they.server.resume_reading()
        assert await reader.get(1) == ("text", "piles up")
