"""What a writer sends, when its end is the end, and what it is told when it is not."""

from __future__ import annotations

import array
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from iii_trio._channels.buffer import MAX_BYTES, TURN
from iii_trio._channels.writer import PIECE
from iii_trio.channel import ChannelWriter
from iii_trio.errors import (
    ChannelBroken,
    ChannelBusy,
    ChannelClosed,
    ChannelNotFound,
    ChannelTaken,
    PayloadError,
)
from tests._relay import Relay, Turns, relayed
from tests._websocket import CLOSE, PING, close, frame


@pytest.fixture(params=["trio-websocket", "websockets"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[Relay]:
    """A channel, over each transport."""
    async with relayed(request.param) as relay:
        yield relay


async def hear(relay: Relay) -> list[bytes | str]:
    """Everything that the channel carries, in order."""
    heard: list[bytes | str] = []
    reader = relay.reader()
    reader.on_message(heard.append)
    async for chunk in reader:
        heard.append(chunk)
    return heard


async def test_long_bytes_go_in_messages_of_64_kib(relay: Relay, autojump_clock: MockClock) -> None:
    """Which the piece of one byte more shows."""
    async with relay.writer() as writer:
        for size in (PIECE - 1, PIECE, PIECE + 1, 3 * PIECE):
            await writer.write(b"x" * size)
    assert [len(message) for message in await hear(relay)] == [65_535, 65_536, 65_536, 1, 65_536, 65_536, 65_536]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(array.array("H", data))])
async def test_any_kind_of_bytes(relay: Relay, autojump_clock: MockClock, kind: Callable[[bytes], Any]) -> None:
    """As they were when they were written: what is changed afterwards is not sent."""
    data = kind(b"\x01\x02")
    expected = bytes(data)
    async with relay.writer() as writer:
        await writer.write(data)
        if isinstance(data, bytearray):
            data[:] = b"zz"
    assert await hear(relay) == [expected]


async def test_text_keeps_its_place(relay: Relay, autojump_clock: MockClock) -> None:
    """Among the bytes."""
    async with relay.writer() as writer:
        await writer.write(b"1")
        await writer.send_message("é")
        await writer.stream.write(b"2")
        await writer.stream.send_all(b"")
        await writer.stream.end(b"3")
    assert await hear(relay) == [b"1", "é", b"2", b"3"]


async def test_a_writer_that_comes_and_goes_is_an_empty_stream(relay: Relay, autojump_clock: MockClock) -> None:
    """A writer that never comes would be none."""
    async with relay.writer():
        pass
    assert await relay.reader().stream.receive_some() == b""
    assert len(relay.requests) == 2


@pytest.mark.parametrize("data", ["text", None, 7, [1, 2]])
async def test_only_bytes_are_bytes(relay: Relay, autojump_clock: MockClock, data: Any) -> None:
    """And nothing is opened for anything else."""
    with pytest.raises(PayloadError, match="write takes bytes"):
        await relay.writer().write(data)
    assert relay.requests == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"bytes", "send_message takes text"),
        ("half a pair \ud800", "lone surrogate"),
        ("x" * 10_000_001, "at most 10000000"),
    ],
)
async def test_only_text_that_can_be_sent_is_text(
    relay: Relay, autojump_clock: MockClock, text: Any, words: str
) -> None:
    """The engine would drop the connection for some of it."""
    with pytest.raises(PayloadError, match=words):
        await relay.writer().send_message(text)
    assert relay.requests == []


# ---- the end --------------------------------------------------------------------------------------------------------


async def test_closing_waits_until_the_engine_has_everything(relay: Relay, autojump_clock: MockClock) -> None:
    """However long the reader takes: the Close is repeated behind the last message only."""
    writer, reader = relay.writer(), relay.reader()
    await writer.open()
    closed_at = []

    async def write() -> None:
        for _ in range(100):
            await writer.write(b"x")
        await writer.aclose()
        closed_at.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.sleep(1000)
        assert closed_at == []
        begin = trio.current_time()
        assert len(await reader.read_all()) == 100
    assert closed_at[0] >= begin


async def test_an_end_without_the_echo_is_no_end(relay: Relay, autojump_clock: MockClock) -> None:
    """It is raised once; closing again is quiet."""
    relay.keeps_close = True
    writer = relay.writer()
    await writer.write(b"x")
    with pytest.raises(ChannelBroken, match="before the engine had taken everything"):
        await writer.aclose()
    await writer.aclose()


async def test_a_writer_hears_that_the_link_is_gone(relay: Relay, autojump_clock: MockClock) -> None:
    """At the next write, and at each further one; after that closing is quiet."""
    writer = relay.writer()
    await writer.write(b"x")
    await wait_all_tasks_blocked()
    await relay.cut("write")
    await wait_all_tasks_blocked()
    for _ in range(2):
        with pytest.raises(ChannelBroken, match="without a Close"):
            await writer.write(b"y")
    await writer.aclose()


async def test_a_loss_that_nobody_was_told_of_comes_out_of_closing(relay: Relay, autojump_clock: MockClock) -> None:
    """Else who only writes once would never know."""
    writer = relay.writer()
    await writer.write(b"x")
    await wait_all_tasks_blocked()
    await relay.cut("write")
    with pytest.raises(ChannelBroken):
        await writer.aclose()


async def test_a_reader_that_goes_away_fails_the_writer(relay: Relay, autojump_clock: MockClock) -> None:
    """A blocked one too."""
    writer, reader = relay.writer(), relay.reader()
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            with pytest.raises(ChannelBroken):  # noqa: PT012
                while True:
                    await writer.write(bytes(PIECE))

        nursery.start_soon(write)
        await reader.receive()
        await wait_all_tasks_blocked()
        await reader.aclose()


async def test_a_reader_that_never_came_and_closes_fails_the_writer(relay: Relay, autojump_clock: MockClock) -> None:
    """The end is taken for that, as else the writer would wait for somebody to come."""
    writer = relay.writer()
    await relay.reader().aclose()
    with pytest.raises(ChannelBroken):  # noqa: PT012
        while True:
            await writer.write(bytes(PIECE))


@pytest.mark.parametrize("wrote", [False, True])
async def test_an_end_that_somebody_has_taken(relay: Relay, autojump_clock: MockClock, wrote: bool) -> None:
    """Is told as that, also when nothing was written."""
    await relay.writer().open()
    writer = relay.writer()
    with pytest.raises(ChannelTaken):  # noqa: PT012
        if wrote:
            await writer.write(b"x")
            await wait_all_tasks_blocked()
            await writer.write(b"y")
        await writer.aclose()
    await writer.aclose()


async def test_an_unknown_channel(relay: Relay, autojump_clock: MockClock) -> None:
    """Nothing is sent, and the first write says so."""
    relay.status = 404
    writer = relay.writer()
    for _ in range(2):
        with pytest.raises(ChannelNotFound):
            await writer.write(b"x")
    await writer.aclose()
    unused = relay.writer()
    with pytest.raises(ChannelNotFound):
        await unused.aclose()


async def test_a_body_that_fails_does_not_wait(relay: Relay, autojump_clock: MockClock) -> None:
    """For nobody, and sends no end: the error leaves the block, and the socket is let go."""
    relay.keeps_close = True
    with pytest.raises(ValueError, match="mine"):  # noqa: PT012
        async with relay.writer() as writer:
            await writer.write(b"x")
            await wait_all_tasks_blocked()
            raise ValueError("mine")
    await wait_all_tasks_blocked()
    assert relay.clients["write"].closed
    assert not any(data[0] & 0x0F == CLOSE for data in relay.clients["write"].writes[1:])


async def test_a_client_that_is_gone(relay: Relay, autojump_clock: MockClock) -> None:
    """The stream cannot even be ended, and who thinks that it was is told."""
    relay.home.nursery = None
    writer = relay.writer()
    with pytest.raises(ChannelClosed, match="client is closed"):
        await writer.aclose()
    await writer.aclose()


async def test_the_end_of_the_client_is_no_end_of_the_stream(relay: Relay, autojump_clock: MockClock) -> None:
    """Who closes afterwards is told."""
    async with trio.open_nursery() as services:
        relay.home.nursery = services
        writer = relay.writer()
        await writer.write(b"x")
        services.cancel_scope.cancel()
    with pytest.raises(ChannelClosed, match="client was closed"):
        await writer.aclose()


# ---- manners --------------------------------------------------------------------------------------------------------


async def test_small_messages_share_a_write(relay: Relay, autojump_clock: MockClock) -> None:
    """What was written while the socket was busy goes in one piece."""
    writer = relay.writer()
    await writer.open()
    sent = len(relay.clients["write"].writes)
    for _ in range(50):
        await writer.write(b"x" * 200)
    await wait_all_tasks_blocked()
    assert len(relay.clients["write"].writes) - sent < 50
    await writer.aclose()
    assert len(await hear(relay)) == 50


async def test_a_writer_answers_pings(relay: Relay, autojump_clock: MockClock) -> None:
    """Also one that has nothing to say: between it and the engine may be somebody who asks."""
    relay.extra = frame(PING, b"there?")
    writer = relay.writer()
    await writer.open()
    await wait_all_tasks_blocked()
    assert len(relay.clients["write"].writes) == 2
    await writer.aclose()


async def test_a_full_channel_blocks_the_writer(relay: Relay, autojump_clock: MockClock) -> None:
    """With bounded memory, and the time is the caller's."""
    writer = relay.writer()
    written = 0
    with trio.move_on_after(60) as scope:
        while True:
            await writer.write(bytes(PIECE))
            written += 1
    assert scope.cancelled_caught
    assert (written - 64) * PIECE <= 3 * MAX_BYTES
    with trio.move_on_after(60) as scope:
        await writer.aclose()
    assert scope.cancelled_caught


async def test_writers_take_turns(relay: Relay, autojump_clock: MockClock) -> None:
    """Each write stays in one piece, also a long one that has to wait for room in the middle."""
    async with relay.writer() as writer:

        async def write(letter: bytes) -> None:
            for _ in range(3):
                await writer.write(letter * (20 * PIECE))

        async with trio.open_nursery() as nursery:
            reading: list[bytes] = []

            async def read() -> None:
                reading.append(await relay.reader().read_all())

            nursery.start_soon(read)
            async with writer, trio.open_nursery() as writers:
                for letter in (b"a", b"b", b"c"):
                    writers.start_soon(write, letter)
    runs = [bytes({*reading[0][at : at + 20 * PIECE]}) for at in range(0, len(reading[0]), 20 * PIECE)]
    assert sorted(runs) == [b"a"] * 3 + [b"b"] * 3 + [b"c"] * 3


async def test_the_view_refuses_a_second_task(relay: Relay, autojump_clock: MockClock) -> None:
    """As trio's streams do."""
    stream = relay.writer().stream
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, bytes(100 * PIECE))
        await wait_all_tasks_blocked()
        with pytest.raises(ChannelBusy):
            await stream.send_all(b"x")
        with pytest.raises(ChannelBusy):
            await stream.wait_send_all_might_not_block()
        nursery.cancel_scope.cancel()


USES: list[Callable[[ChannelWriter], Any]] = [
    lambda writer: writer.write(b"x"),
    lambda writer: writer.send_message("x"),
    lambda writer: writer.open(),
    lambda writer: writer.stream.send_all(b""),
    lambda writer: writer.stream.write(b"x"),
    lambda writer: writer.stream.end(b"x"),
    lambda writer: writer.stream.wait_send_all_might_not_block(),
]


@pytest.mark.parametrize("use", USES)
async def test_a_closed_writer_is_closed(
    relay: Relay, autojump_clock: MockClock, use: Callable[[ChannelWriter], Any]
) -> None:
    """Closing again does nothing."""
    writer = relay.writer()
    await writer.aclose()
    with pytest.raises(ChannelClosed, match="was closed"):
        await use(writer)
    await writer.aclose()
    await writer.stream.end()


async def test_a_cancelled_write_leaves_the_socket_whole(relay: Relay, autojump_clock: MockClock) -> None:
    """Cancelled at every step, it has sent whole messages or none, and what is written afterwards arrives."""
    written = bytearray()
    sizes = (1, PIECE, 3 * PIECE)

    async def write(writer: ChannelWriter, steps: int) -> None:
        data = bytes([steps]) * sizes[steps % 3]
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()

                nursery.start_soon(cancel)
                await writer.write(data)
        if not scope.cancelled_caught:
            written.extend(data)

    reading: list[bytes] = []

    async def read() -> None:
        reading.append(await relay.reader().read_all())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        async with relay.writer() as writer:
            for steps in range(30):
                await write(writer, steps)
            await writer.write(b"end")
    assert reading[0].endswith(b"end")
    assert len(reading[0]) >= len(written)
    for steps in range(30):
        count = reading[0].count(bytes([steps])) if steps not in b"end" else 0
        assert count % PIECE in (0, 1)


async def test_a_cancelled_close_gives_the_end_up(relay: Relay, autojump_clock: MockClock) -> None:
    """Nobody is waited for, and the socket goes."""
    writer = relay.writer()
    for _ in range(70):
        await writer.write(b"x")
    await wait_all_tasks_blocked()
    with trio.CancelScope() as scope:
        scope.cancel()
        await writer.aclose()
    assert scope.cancelled_caught
    await wait_all_tasks_blocked()
    assert relay.clients["write"].closed
    with pytest.raises(ChannelClosed):
        await writer.write(b"x")


async def test_a_broken_socket_that_says_nothing_is_not_waited_for(relay: Relay, autojump_clock: MockClock) -> None:
    """A tunnel of somebody's may fail to send and still pretend to be there."""
    writer = relay.writer()
    await writer.open()
    relay.clients["write"].broken_by = RuntimeError("the tunnel collapsed")
    await writer.write(b"x")
    with trio.fail_after(5), pytest.raises(ChannelBroken):
        await writer.aclose()


async def test_every_coroutine_of_a_writer_checkpoints(relay: Relay, autojump_clock: MockClock) -> None:
    """Also where there is nothing to wait for."""
    writer = relay.writer()
    with assert_checkpoints():
        await writer.open()
    with assert_checkpoints():
        await writer.open()
    with assert_checkpoints():
        await writer.write(b"")
    with assert_checkpoints():
        await writer.write(bytearray(100_000))
    with assert_checkpoints():
        await writer.send_message("x")
    with assert_checkpoints():
        await writer.stream.write(b"x")
    with assert_checkpoints():
        await writer.stream.send_all(b"")
    with assert_checkpoints():
        await writer.stream.send_all(b"x")
    with assert_checkpoints():
        await writer.stream.wait_send_all_might_not_block()
    with assert_checkpoints():
        await writer.stream.end(b"x")
    with assert_checkpoints():
        await writer.stream.end()
    with assert_checkpoints():
        await writer.aclose()


async def test_small_writes_share_a_turn(relay: Relay, autojump_clock: MockClock) -> None:
    """The first makes a checkpoint, and at least every 17th, so at most 16 go in at once; so does one that has to wait."""
    writer = relay.writer()
    await writer.open()
    turns = Turns()
    trio.lowlevel.add_instrument(turns)
    shared = []
    for _ in range(100):
        turns.had_one()
        await writer.write(b"x")
        shared.append(not turns.had_one())
    assert not shared[0]
    assert max(len(list(run)) for is_shared, run in itertools.groupby(shared) if is_shared) <= TURN
    assert shared.count(True) > 50
    turns.had_one()
    with trio.move_on_after(5):
        while True:
            await writer.write(bytes(PIECE))
            turns.had_one()
    assert turns.had_one()
    trio.lowlevel.remove_instrument(turns)


@pytest.mark.parametrize("written", range(2 * TURN))
async def test_a_cancellation_stops_the_next_write(relay: Relay, autojump_clock: MockClock, written: int) -> None:
    """Wherever in a turn it is, and nothing of that one is sent."""
    async with relay.writer() as writer:
        with trio.CancelScope() as scope:
            for _ in range(written):
                await writer.write(b"x")
            scope.cancel()
            await writer.write(b"never")
        assert scope.cancelled_caught
        await writer.write(b"last")
    assert await hear(relay) == [b"x"] * written + [b"last"]


# ---- verified -------------------------------------------------------------------------------------------------------


async def test_a_verified_stream_that_is_whole(relay: Relay, autojump_clock: MockClock) -> None:
    """Its reader sees nothing of the trailer."""
    async with relay.writer(verified=True) as writer:
        await writer.write(b"x" * 200_000)
        await writer.send_message("é")
        await writer.write(b"")
    reader = relay.reader(verified=True)
    heard: list[str] = []
    reader.on_message(heard.append)
    assert await reader.read_all() == b"x" * 200_000
    assert heard == ["é"]


async def test_a_verified_empty_stream(relay: Relay, autojump_clock: MockClock) -> None:
    """Has a trailer too."""
    async with relay.writer(verified=True):
        pass
    assert await relay.reader(verified=True).read_all() == b""


@pytest.mark.parametrize("verified", [True, False])
async def test_a_writer_that_fails_is_told_from_one_that_ends(
    relay: Relay, autojump_clock: MockClock, verified: bool
) -> None:
    """On a verified channel only: to the engine both are an end."""
    with pytest.raises(ValueError, match="mine"):  # noqa: PT012
        async with relay.writer(verified=verified) as writer:
            await writer.write(b"part")
            await wait_all_tasks_blocked()
            raise ValueError("mine")
    reader = relay.reader(verified=verified)
    if not verified:
        assert await reader.read_all() == b"part"
        return
    with pytest.raises(ChannelBroken, match="last word is missing") as caught:
        await reader.read_all()
    assert caught.value.partial == b"part"


async def test_a_spent_verified_read_end_is_told(relay: Relay, autojump_clock: MockClock) -> None:
    """It looks like an empty stream, and that has a trailer."""
    await relay.reader().open()
    with pytest.raises(ChannelBroken):
        await relay.reader(verified=True).read_all()


async def test_a_stream_that_was_changed_on_its_way(relay: Relay, autojump_clock: MockClock) -> None:
    """Is told from a whole one."""
    async with relay.writer() as writer:
        await writer.write(b"abd")
        await writer.send_message('{"iii_trio.end": {"messages": 1, "bytes": 3, "crc32": 891568578}}')  # of b"abc"
    with pytest.raises(ChannelBroken, match="not what was sent"):
        await relay.reader(verified=True).read_all()


async def test_a_foreign_reader_finds_one_more_message(relay: Relay, autojump_clock: MockClock) -> None:
    """Behind the bytes, which are as they were written."""
    async with relay.writer(verified=True) as writer:
        await writer.write(b"abc")
    assert await hear(relay) == [b"abc", '{"iii_trio.end": {"messages": 1, "bytes": 3, "crc32": 891568578}}']


async def test_the_bound_of_a_message_is_the_smaller_one(relay: Relay) -> None:
    """What the transport can send, or what the client takes."""
    assert relay.writer()._max_message == 10_000_000
    home = attrs.evolve(relay.home)
    home.target = attrs.evolve(home.target, max_message_size=100_000_000)
    assert ChannelWriter(home, relay.ref("write"))._max_message == home.target.transport.MAX_OUTGOING


async def test_a_proxy_that_goes_away_is_no_taker(relay: Relay, autojump_clock: MockClock) -> None:
    """Its Close has a code."""
    relay.extra = close(1001)
    writer = relay.writer()
    await writer.open()
    await wait_all_tasks_blocked()
    with pytest.raises(ChannelBroken, match="code 1001") as caught:
        await writer.write(b"x")
    assert not isinstance(caught.value, ChannelTaken)
