"""What a reader gives out, and how it tells an end from a loss."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from iii_trio._channels.buffer import MAX_BYTES, MAX_MESSAGES, TURN
from iii_trio._channels.reader import MAX_READ_ALL
from iii_trio.channel import ChannelReader
from iii_trio.errors import (
    ChannelBroken,
    ChannelBusy,
    ChannelClosed,
    ChannelEnded,
    ChannelNotFound,
    ChannelOverflow,
    ConfigurationError,
    PayloadError,
)
from tests._relay import Relay, Turns, relayed
from tests._websocket import BINARY, PING, TEXT, close, frame


@pytest.fixture(params=["trio-websocket", "websockets"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[Relay]:
    """A channel, over each transport."""
    async with relayed(request.param) as relay:
        yield relay


async def test_a_reader_gives_what_was_written(relay: Relay, autojump_clock: MockClock) -> None:
    """Message by message, empty ones too, and then it ends; asked again it ends again."""
    async with relay.writer() as writer:
        for data in (b"one", b"", b"two"):
            await writer.write(data)
    reader = relay.reader()
    assert [chunk async for chunk in reader] == [b"one", b"", b"two"]
    assert [chunk async for chunk in reader] == []
    with pytest.raises(ChannelEnded):
        await reader.receive()


async def test_read_all_reads_to_the_end(relay: Relay, autojump_clock: MockClock) -> None:
    """Up to a limit, which the whole may have and not exceed."""
    async with relay.writer() as writer:
        await writer.write(b"x" * 100_000)
    assert await relay.reader().read_all(100_000) == b"x" * 100_000


async def test_read_all_refuses_more_than_was_asked_for(relay: Relay, autojump_clock: MockClock) -> None:
    """One byte is enough."""
    async with relay.writer() as writer:
        await writer.write(b"x" * 101)
    with pytest.raises(ChannelOverflow, match="more than 100 bytes"):
        await relay.reader().read_all(100)


def test_read_all_has_a_limit_of_its_own() -> None:
    """64 MiB, so that a stranger cannot fill the memory."""
    assert MAX_READ_ALL == 64 * 1024 * 1024
    assert ChannelReader.read_all.__defaults__ == (MAX_READ_ALL,)


# ---- text -----------------------------------------------------------------------------------------------------------


async def test_listeners_hear_text_in_its_place(relay: Relay, autojump_clock: MockClock) -> None:
    """All of them, in the task that reads, between the bytes."""
    async with relay.writer() as writer:
        await writer.send_message("a")
        await writer.write(b"1")
        await writer.send_message("b")
        await writer.write(b"2")
    reader = relay.reader()
    heard: list[Any] = []
    reader.on_message(heard.append)
    reader.on_message(lambda text: heard.append(text.upper()))
    async for chunk in reader:
        heard.append(chunk)
    assert heard == ["a", "A", b"1", "b", "B", b"2"]
    assert reader.skipped_messages == 0


async def test_text_that_nobody_listens_to_is_counted(
    relay: Relay, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """And told once."""
    async with relay.writer() as writer:
        for data in (b"1", b"2"):
            await writer.send_message("s3cret text")
            await writer.write(data)
    reader = relay.reader()
    with caplog.at_level(logging.WARNING, "iii_trio"):
        assert await reader.read_all() == b"12"
    assert reader.skipped_messages == 2
    assert len(caplog.messages) == 1
    assert "s3cret" not in caplog.text


async def test_messages_are_the_text(relay: Relay, autojump_clock: MockClock) -> None:
    """Up to the end."""
    async with relay.writer() as writer:
        for text in ("a", "", "€"):
            await writer.send_message(text)
    assert [text async for text in relay.reader().messages()] == ["a", "", "€"]


async def test_bytes_among_messages_are_not_lost(relay: Relay, autojump_clock: MockClock) -> None:
    """They raise where text was expected, and are read next."""
    async with relay.writer() as writer:
        await writer.send_message("a")
        await writer.write(b"bytes")
    reader = relay.reader()
    heard = []
    with pytest.raises(PayloadError, match="bytes came"):  # noqa: PT012
        async for text in reader.messages():
            heard.append(text)
    assert heard == ["a"]
    assert await reader.receive() == b"bytes"


async def _not_sync(_: str) -> None:
    raise AssertionError("nobody awaits it")


@pytest.mark.parametrize("listener", [None, "text", _not_sync])
async def test_a_listener_is_a_sync_function(relay: Relay, autojump_clock: MockClock, listener: Any) -> None:
    """Anything else is refused at once."""
    with pytest.raises(ConfigurationError):
        relay.reader().on_message(listener)


async def test_what_a_listener_raises_comes_out_of_reading(relay: Relay, autojump_clock: MockClock) -> None:
    """And the reader can go on."""
    async with relay.writer() as writer:
        await writer.send_message("boom")
        await writer.write(b"1")
    reader = relay.reader()
    reader.on_message(int)
    with pytest.raises(ValueError, match="boom"):
        await reader.receive()
    assert await reader.receive() == b"1"


# ---- ends -----------------------------------------------------------------------------------------------------------


async def test_a_loss_is_no_end(relay: Relay, autojump_clock: MockClock) -> None:
    """What came before it is given out, then it raises, as often as it is asked, with the bytes that were received."""
    writer, reader = relay.writer(), relay.reader()
    await writer.write(b"whole")
    await reader.open()
    await wait_all_tasks_blocked()
    await relay.cut("read")
    assert await reader.receive() == b"whole"
    for _ in range(2):
        with pytest.raises(ChannelBroken, match="without a Close") as caught:
            await reader.receive()
        assert (caught.value.received, caught.value.partial) == (5, b"")
        with pytest.raises(ChannelBroken):
            await reader.stream.receive_some()


async def test_read_all_keeps_what_came_before_a_loss(relay: Relay, autojump_clock: MockClock) -> None:
    """In the error."""
    writer, reader = relay.writer(), relay.reader()
    await writer.write(b"who")
    await writer.write(b"le")
    await reader.open()
    await wait_all_tasks_blocked()
    await relay.cut("read")
    with pytest.raises(ChannelBroken) as caught:
        await reader.read_all()
    assert (caught.value.partial, caught.value.received) == (b"whole", 5)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param(close(1001, "restart"), "code 1001", id="a proxy that goes away"),
        pytest.param(close(1011), "code 1011", id="a proxy that fails"),
        pytest.param(frame(3), "broke the rules", id="a breach"),
        pytest.param(frame(BINARY, bytes(10_000_001)), "more than 10000000 bytes", id="too large"),
    ],
)
async def test_what_else_is_no_end(relay: Relay, autojump_clock: MockClock, said: bytes, words: str) -> None:
    """Only the engine's Close is one."""
    relay.extra = said
    with pytest.raises(ChannelBroken, match=words):
        await relay.reader().receive()


@pytest.mark.parametrize("code", [1000, None])
async def test_the_engines_close_is_an_end(relay: Relay, autojump_clock: MockClock, code: int | None) -> None:
    """With a code and without."""
    relay.extra = frame(BINARY, b"all") + close(code)
    assert await relay.reader().read_all() == b"all"


async def test_an_unknown_channel(relay: Relay, autojump_clock: MockClock) -> None:
    """A wrong id, a wrong key, or too late: it says so at the first use, and again at the next."""
    relay.status = 404
    reader = relay.reader()
    for use in (reader.open, reader.receive, reader.read_all, reader.stream.receive_some):
        with pytest.raises(ChannelNotFound, match="no channel 6b1f0b0c"):
            await use()
    assert len(relay.requests) == 1


async def test_a_client_that_is_gone(relay: Relay, autojump_clock: MockClock) -> None:
    """Nothing can be opened any more, and closing is quiet."""
    relay.home.nursery = None
    reader = relay.reader()
    with pytest.raises(ChannelClosed, match="client is closed"):
        await reader.receive()
    await reader.aclose()


# ---- manners --------------------------------------------------------------------------------------------------------


async def test_nothing_is_ever_sent(relay: Relay, autojump_clock: MockClock) -> None:
    """No pong, no answer to a Close, no goodbye, however it ends."""
    relay.extra = frame(PING, b"?")
    writer, reader = relay.writer(), relay.reader()
    await writer.write(b"1")
    assert await reader.receive() == b"1"
    await writer.aclose()
    assert await reader.read_all() == b""
    await reader.aclose()
    await wait_all_tasks_blocked()
    wire = relay.clients["read"]
    assert len(wire.writes) == 1
    assert wire.closed


async def test_a_slow_reader_stops_the_engine(relay: Relay, autojump_clock: MockClock) -> None:
    """What is taken ahead is bounded by bytes, and nothing of it is lost."""
    big = bytes(60_000)
    writer, reader = relay.writer(), relay.reader()
    written = 0

    async def write() -> None:
        nonlocal written
        async with writer:
            for _ in range(200):
                await writer.write(big)
                written += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await reader.open()
        await wait_all_tasks_blocked(0.01)
        held = written * len(big) - 64 * len(big)  # of which the engine holds 64 messages
        assert held < 4 * MAX_BYTES  # a buffer at each end, what is being sent, and what the transports hold
        assert len(await reader.read_all()) == 200 * len(big)
    assert written == 200


async def test_small_messages_are_bounded_too(relay: Relay, autojump_clock: MockClock) -> None:
    """By their number: a million empty ones have no bytes."""
    total, written = 8 * MAX_MESSAGES, 0

    async def write() -> None:
        nonlocal written
        async with relay.writer() as writer:
            for _ in range(total):
                await writer.write(b"")
                written += 1

    reader = relay.reader()
    await reader.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await wait_all_tasks_blocked(0.01)
        assert written < 6 * MAX_MESSAGES  # a buffer at each end, what is being sent, and what the other side holds
        assert len([message async for message in reader]) == total


async def test_what_was_received_at_once_waits_at_once(relay: Relay, autojump_clock: MockClock) -> None:
    """Beyond the bound, since it is in memory anyway; and nothing is lost of it."""
    relay.extra = frame(TEXT) * (4 * MAX_MESSAGES) + close()
    reader = relay.reader()
    await reader.open()
    await wait_all_tasks_blocked()
    assert len([text async for text in reader.messages()]) == 4 * MAX_MESSAGES


USES: list[Callable[[ChannelReader], Any]] = [
    lambda reader: reader.receive(),
    lambda reader: reader.read_all(),
    lambda reader: reader.stream.receive_some(),
    lambda reader: anext(reader.messages()),
]


@pytest.mark.parametrize("use", USES)
async def test_two_tasks_cannot_read_at_once(
    relay: Relay, autojump_clock: MockClock, use: Callable[[ChannelReader], Any]
) -> None:
    """The second is refused, and the first not disturbed."""
    writer, reader = relay.writer(), relay.reader()
    async with trio.open_nursery() as nursery:
        got: list[bytes] = []

        async def read() -> None:
            got.append(await reader.receive())

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        with pytest.raises(ChannelBusy):
            await use(reader)
        await writer.write(b"mine")
    assert got == [b"mine"]


@pytest.mark.parametrize("use", USES)
async def test_a_closed_reader_is_closed(
    relay: Relay, autojump_clock: MockClock, use: Callable[[ChannelReader], Any]
) -> None:
    """Whatever it still had; closing again does nothing."""
    writer, reader = relay.writer(), relay.reader()
    await writer.write(b"12")
    assert await reader.stream.receive_some(1) == b"1"
    await reader.aclose()
    with pytest.raises(ChannelClosed):
        await use(reader)
    with pytest.raises(ChannelClosed):
        await reader.open()
    await reader.aclose()


async def test_closing_wakes_who_reads(relay: Relay, autojump_clock: MockClock) -> None:
    """And tells him."""
    reader = relay.reader()
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(ChannelClosed):
                await reader.receive()

        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        await reader.aclose()


async def test_the_end_of_the_client_ends_a_reader(relay: Relay, autojump_clock: MockClock) -> None:
    """Who reads is told so."""
    async with trio.open_nursery() as services:
        relay.home.nursery = services
        reader = relay.reader()
        await reader.open()
        services.cancel_scope.cancel()
    with pytest.raises(ChannelClosed, match="client was closed"):
        await reader.receive()


async def test_a_cancelled_read_loses_nothing(relay: Relay, autojump_clock: MockClock) -> None:
    """Wherever it is cancelled: while it opens, while it waits, and at every step between."""
    async with relay.writer() as writer:
        for number in range(20):
            await writer.write(bytes([number]))
    reader = relay.reader()
    got = b""
    steps = 0
    while len(got) < 20:
        with trio.CancelScope() as scope:
            for _ in range(steps % 7):
                await trio.lowlevel.checkpoint()
            if steps % 2:
                scope.cancel()
            got += await reader.receive()
        steps += 1
    assert got == bytes(range(20))
    assert steps > 20


async def full(relay: Relay, messages: Sequence[str | bytes]) -> ChannelReader:
    """A reader whose buffer has these messages, and then the end."""
    relay.extra = b"".join(
        frame(BINARY, each) if isinstance(each, bytes) else frame(TEXT, each.encode()) for each in messages
    )
    relay.extra += close()
    reader = relay.reader()
    await reader.open()
    await wait_all_tasks_blocked()
    return reader


async def test_what_is_there_shares_a_turn(relay: Relay, autojump_clock: MockClock) -> None:
    """Iteration makes a checkpoint at the first and at least at every 17th message: 16 at most come at once."""
    reader = await full(relay, [b"x"] * 100)
    turns = Turns()
    trio.lowlevel.add_instrument(turns)
    shared = []
    async for _ in reader:
        shared.append(not turns.had_one())
    trio.lowlevel.remove_instrument(turns)
    assert len(shared) == 100
    assert max(len(list(run)) for is_shared, run in itertools.groupby(shared) if is_shared) <= TURN
    assert shared.count(True) > 50


async def test_a_cancellation_stops_the_next_message(relay: Relay, autojump_clock: MockClock) -> None:
    """Wherever in a turn it is, and nothing is lost."""
    numbers = [bytes([number]) for number in range(3 * TURN)]
    reader = await full(relay, numbers)
    got = []
    for number in numbers:
        with trio.CancelScope() as scope:
            scope.cancel()
            got.append(await anext(reader))
        assert scope.cancelled_caught
        got.append(await anext(reader))
        assert got[-1] == number
    assert got == numbers


@pytest.mark.parametrize("seed", range(20))
async def test_ways_of_reading_can_be_mixed(relay: Relay, autojump_clock: MockClock, seed: int) -> None:
    """Whatever is used next goes on where the last one stopped, text in its place among the bytes."""
    chance = random.Random(seed)
    said: list[str | bytes] = []
    for number in range(120):
        kind = chance.randrange(8)
        said.append(f"<{number}>" if kind == 0 else b"" if kind == 1 else f"{number} ".encode())
    reader = await full(relay, said)
    got: list[str | bytes] = []
    reader.on_message(got.append)
    ways: list[Callable[[], Any]] = [
        lambda: anext(reader),
        lambda: anext(reader),
        lambda: anext(reader),
        reader.receive,
        reader.stream.receive_some,
        lambda: reader.stream.receive_some(1),
        lambda: anext(reader.messages()),
    ]
    while True:
        try:
            got.append(await chance.choice(ways)())
        except PayloadError:
            continue
        except (ChannelEnded, StopAsyncIteration):
            break
    assert _joined(got) == _joined(said)


def _joined(messages: Sequence[str | bytes]) -> list[str | bytes]:
    runs = ((kind, list(run)) for kind, run in itertools.groupby((each for each in messages if each), type))
    return [joined for kind, run in runs for joined in ([b"".join(run)] if kind is bytes else run)]  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["aclose", "abandon"])
async def test_closing_forgets_what_iteration_had_ready(relay: Relay, autojump_clock: MockClock, way: str) -> None:
    """And who iterates on is told."""
    reader = await full(relay, [b"1", b"2", b"3"])
    assert await anext(reader) == b"1"
    if way == "aclose":
        await reader.aclose()
    else:
        reader.abandon()
    with pytest.raises(ChannelClosed):
        await anext(reader)


@pytest.mark.parametrize(
    "use",
    [
        lambda reader: reader.receive(),
        lambda reader: reader.stream.receive_some(),
        lambda reader: anext(reader.messages()),
    ],
)
async def test_closing_in_the_middle_of_a_checkpoint(
    relay: Relay, autojump_clock: MockClock, use: Callable[[ChannelReader], Any]
) -> None:
    """Who reads was about to get what is gone now, and is told that this end is closed."""
    reader = await full(relay, [b"1", b"2", b"3"])
    assert await anext(reader) == b"1"

    class Closes(trio.abc.Instrument):
        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            if reader._turn.is_taken:
                reader.abandon()

    closes = Closes()
    trio.lowlevel.add_instrument(closes)
    with pytest.raises(ChannelClosed):
        await use(reader)
    trio.lowlevel.remove_instrument(closes)


async def test_every_coroutine_of_a_reader_checkpoints(relay: Relay, autojump_clock: MockClock) -> None:
    """Also where there is nothing to wait for."""
    async with relay.writer() as writer:
        for _ in range(4):
            await writer.write(b"12")
        await writer.send_message("3")
    reader = relay.reader()
    with assert_checkpoints():
        await reader.open()
    await wait_all_tasks_blocked()
    with assert_checkpoints():
        await reader.open()
    with assert_checkpoints():
        await reader.receive()
    with assert_checkpoints():
        await reader.stream.receive_some(1)
    with assert_checkpoints():
        await reader.stream.receive_some()
    with assert_checkpoints():
        await reader.stream.receive_some(1)
    with assert_checkpoints():
        await reader.receive()
    with assert_checkpoints():
        await anext(aiter(reader))
    with assert_checkpoints():
        await anext(reader.messages())
    with assert_checkpoints(), pytest.raises(ChannelEnded):
        await reader.receive()
    with assert_checkpoints():
        await reader.read_all()
    with assert_checkpoints():
        await reader.stream.receive_some()
    with assert_checkpoints():
        await reader.aclose()
    with assert_checkpoints():
        await reader.stream.aclose()


async def test_the_view_gives_any_pieces(relay: Relay, autojump_clock: MockClock) -> None:
    """An empty message is no end there, and what a piece leaves over comes next, also to others."""
    async with relay.writer() as writer:
        for data in (b"", b"abc", b"", b"de"):
            await writer.write(data)
    reader = relay.reader()
    stream = reader.stream
    assert await stream.receive_some(2) == b"ab"
    assert await reader.receive() == b"c"
    assert [piece async for piece in stream] == [b"de"]
    assert await stream.receive_some() == b""
