"""The stream under a WebSocket library: what is noted, and what becomes of a fault."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

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
