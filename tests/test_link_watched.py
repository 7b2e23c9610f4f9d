"""The stream under a WebSocket library: what is noted, and what becomes of a fault."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import AsyncIterator
from errno import ECONNRESET, EPIPE

import pytest
import trio
from trio.testing import MockClock, assert_no_checkpoints, memory_stream_pair, wait_all_tasks_blocked

from iii_trio._link.watched import WatchedStream
from tests._hostile import CannotClose, Recorder


class Under:
    """A watched stream with both of its ends."""

    def __init__(self, kind: type[Recorder] = Recorder) -> None:
        ours, self.peer = memory_stream_pair()
        self.wire = kind(ours)
        self.stream = WatchedStream(self.wire)


async def test_the_last_byte_is_noted(autojump_clock: MockClock) -> None:
    """Any byte counts, and the end does not."""
    under = Under()
    assert under.stream.last_received == 0
    await trio.sleep(5)
    await under.peer.send_all(b"x")
    await under.stream.receive_some(10)
    assert under.stream.last_received == 5
    await trio.sleep(5)
    await under.peer.aclose()
    assert await under.stream.receive_some(10) == b""
    assert under.stream.last_received == 5
    assert under.stream.ended
    assert under.stream.hopeless.is_set()
    assert under.stream.fault is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (trio.BrokenResourceError("reset"), "reset"),
        (trio.BrokenResourceError(), "BrokenResourceError"),
        (OSError("bad"), "bad"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("way", ["send", "receive"])
async def test_every_fault_becomes_a_broken_stream(fault: Exception, words: str, way: str) -> None:
    """A stream of somebody's may raise anything: above there is only trio's word, and the reason is kept."""
    under = Under()
    under.wire.broken_by = fault
    await under.peer.send_all(b"x")
    act = {"send": under.stream.send_all(b"x"), "receive": under.stream.receive_some()}
    with pytest.raises(trio.BrokenResourceError):
        await act.pop(way)
    for unused in act.values():
        unused.close()
    assert under.stream.fault == words
    assert under.stream.ended


@pytest.mark.parametrize("way", ["send", "receive"])
async def test_a_closed_stream_says_so(way: str) -> None:
    """Our own closing is no fault of the peer's."""
    under = Under()
    await under.stream.aclose()
    assert under.wire.closed
    with pytest.raises(trio.ClosedResourceError):
        await (under.stream.send_all(b"x") if way == "send" else under.stream.receive_some())
    assert under.stream.fault is None
    assert under.stream.ended


async def test_closing_raises_nothing() -> None:
    """A stream that cannot close is closed all the same."""
    under = Under(CannotClose)
    await under.stream.aclose()
    assert under.wire.closed


@pytest.mark.parametrize(
    ("pieces", "refusal", "hopeless"),
    [
        pytest.param([b"HTTP/1.1 101 Switching Protocols\r\n"], None, False, id="upgrade"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n"], None, False, id="preliminary"),
        pytest.param([b"HTTP/1.1 404 Not Found\r\n"], 404, True, id="refusal"),
        pytest.param([b"HTTP/1.0 503 Unavailable\r\n"], 503, True, id="an old server"),
        pytest.param([b"HTTP", b"/1.1 4", b"0", b"1"], 401, True, id="in pieces"),
        pytest.param([b"HTTP/1.1 40"], None, False, id="incomplete"),
        pytest.param([b"220 mail.example ESMTP"], None, True, id="no HTTP"),
        pytest.param([b"HTTP/1.1 abc Hmm"], None, True, id="no status"),
    ],
)
async def test_a_refusal_is_seen_in_the_first_line(pieces: list[bytes], refusal: int | None, hopeless: bool) -> None:
    """An HTTP status is known before its body comes, if it ever does."""
    under = Under()
    for piece in pieces:
        await under.peer.send_all(piece)
        await under.stream.receive_some()
    assert under.stream.refusal == refusal
    assert under.stream.hopeless.is_set() is hopeless
    assert (under.stream.fault is not None) is (hopeless and refusal is None)
    assert not under.stream.ended


async def test_after_the_handshake_nothing_looks_like_a_refusal() -> None:
    """A frame may hold any bytes."""
    under = Under()
    under.stream.upgraded = True
    await under.peer.send_all(b"HTTP/1.1 404 Not Found\r\n")
    await under.stream.receive_some()
    assert under.stream.refusal is None
    assert not under.stream.hopeless.is_set()


# ---- past the stream ------------------------------------------------------------------------------------------------

MIB = 1024 * 1024
SOCKETS_ARE_FILES = pytest.mark.skipif(sys.platform == "win32", reason="a socket is no file there")


class OnSockets:
    """A watched socket, and its peer."""

    def __init__(self, ours: trio.SocketStream, peer: trio.SocketStream) -> None:
        self.socket = ours.socket
        self.stream = WatchedStream(ours)
        self.stream.upgraded = True
        self.peer = peer

    async def something_came(self) -> None:
        """Wait until there is something to read, an end or a reset included."""
        await trio.lowlevel.wait_readable(self.socket)

    async def reset(self) -> None:
        """Have the peer reset the connection, and wait until that came."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.peer.aclose()
        await self.something_came()


@pytest.fixture
async def wired() -> AsyncIterator[OnSockets]:
    """Both over loopback, for at most ten seconds."""
    with trio.fail_after(10):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            ours = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            async with ours, await listener.accept() as peer:
                yield OnSockets(ours, peer)


@SOCKETS_ARE_FILES
async def test_a_socket_is_sent_to_at_once(wired: OnSockets) -> None:
    """Without a checkpoint, when it takes everything."""
    with assert_no_checkpoints():
        await wired.stream.send_eagerly(b"some")
        await wired.stream.send_eagerly(b"thing")
    assert await wired.peer.receive_some() in (b"some", b"something")


async def test_a_socket_that_is_full_is_waited_for(wired: OnSockets) -> None:
    """It takes a part, and the rest when its peer reads; one that takes nothing gets everything then."""
    data = os.urandom(16 * MIB)
    sent = 0

    async def send() -> None:
        nonlocal sent
        for piece in (data, b"and more"):
            await wired.stream.send_eagerly(piece)
            sent += 1

    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert sent == 0
        while len(received) < len(data) + 8:
            received += await wired.peer.receive_some()
    assert received == data + b"and more"


@SOCKETS_ARE_FILES
async def test_what_a_socket_has_is_received_at_once(wired: OnSockets) -> None:
    """At most as much as was asked for, and nothing when there is nothing; when it came is noted."""
    assert wired.stream.receive_nowait(10) == b""
    await wired.peer.send_all(b"abc")
    await wired.something_came()
    wired.stream.last_received = -1.0
    assert wired.stream.receive_nowait(2) == b"ab"
    assert wired.stream.last_received > 0
    assert wired.stream.receive_nowait(2) == b"c"
    assert wired.stream.receive_nowait(2) == b""
    assert not wired.stream.ended


async def test_the_end_is_left_to_who_waits_for_it(wired: OnSockets) -> None:
    """It can be seen as often as one looks."""
    await wired.peer.aclose()
    await wired.something_came()
    assert wired.stream.receive_nowait(10) == b""
    assert not wired.stream.ended
    assert await wired.stream.receive_some(10) == b""
    assert wired.stream.ended
    assert wired.stream.fault is None


@SOCKETS_ARE_FILES
async def test_a_reset_is_kept_for_who_waits(wired: OnSockets) -> None:
    """A socket says it once: its words are kept, and who receives next finds the end."""
    await wired.reset()
    assert wired.stream.receive_nowait(10) == b""
    assert wired.stream.ended
    fault = wired.stream.fault
    assert fault is not None
    assert os.strerror(ECONNRESET) in fault
    assert await wired.stream.receive_some(10) == b""
    assert wired.stream.fault == fault


async def test_a_reset_comes_out_of_sending(wired: OnSockets) -> None:
    """With its words."""
    await wired.reset()
    with pytest.raises(trio.BrokenResourceError):
        await wired.stream.send_eagerly(b"x")
    assert wired.stream.ended
    assert wired.stream.fault is not None
    assert any(os.strerror(number) in wired.stream.fault for number in (ECONNRESET, EPIPE))


async def test_a_socket_that_we_closed(wired: OnSockets) -> None:
    """Has nothing, takes nothing, and is nobody's fault."""
    await wired.stream.aclose()
    assert wired.stream.receive_nowait(10) == b""
    with pytest.raises(trio.ClosedResourceError):
        await wired.stream.send_eagerly(b"x")
    assert wired.stream.fault is None


class ClosesFirst(trio.abc.Instrument):
    """Closes a socket when a task is about to go on, and has its number given to a pipe with something in it."""

    def __init__(self, task: trio.lowlevel.Task, closed: trio.socket.SocketType) -> None:
        self._task = task
        self._closed = closed
        self.pipe: tuple[int, int] = (-1, -1)
        self.number = closed.fileno()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            trio.lowlevel.remove_instrument(self)
            self._closed.close()
            self.pipe = os.pipe()
            os.write(self.pipe[1], b"of somebody else")


@SOCKETS_ARE_FILES
async def test_a_socket_that_we_closed_after_something_came(wired: OnSockets) -> None:
    """Nothing is read from whatever has its number by then, and it is nobody's fault."""
    raised: list[type[Exception]] = []

    async def receive() -> None:
        try:
            await wired.stream.receive_some(10)
        except Exception as error:
            raised.append(type(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        (task,) = nursery.child_tasks
        closer = ClosesFirst(task, wired.socket)
        trio.lowlevel.add_instrument(closer)
        await wired.peer.send_all(b"x")
    try:
        assert closer.number in closer.pipe
        assert raised == [trio.ClosedResourceError]
        assert wired.stream.fault is None
        assert os.read(closer.pipe[0], 100) == b"of somebody else"
    finally:
        for end in closer.pipe:
            os.close(end)


async def test_what_is_no_socket_is_not_passed_by() -> None:
    """It gets what is sent in its own way, and has nothing without waiting; so has TLS, whose bytes are no one else's."""
    under = Under()
    await under.stream.send_eagerly(b"x")
    assert under.wire.writes == [b"x"]
    await under.peer.send_all(b"there")
    assert under.stream.receive_nowait(10) == b""
    assert await under.stream.receive_some(10) == b"there"
