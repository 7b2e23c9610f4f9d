"""The stream under trio-websocket: what is collected, what is noted, and what becomes of a fault."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from iii_trio._link.coalescing import MAX_UNASKED, CoalescingStream
from tests._hostile import CannotClose, Recorder


class Under:
    """A coalescing stream with both of its ends."""

    def __init__(self, kind: type[Recorder] = Recorder) -> None:
        ours, self.peer = memory_stream_pair()
        self.wire = kind(ours)
        self.pending = 0
        self.stream = CoalescingStream(self.wire, self._note)

    def _note(self) -> None:
        self.pending += 1


async def test_uncorked_it_sends_at_once() -> None:
    """Without the cork nothing is collected."""
    under = Under()
    await under.stream.send_all(b"hello")
    assert under.wire.writes == [b"hello"]
    assert not under.stream.has_pending
    await under.stream.wait_send_all_might_not_block()


async def test_corked_it_collects_until_the_flush() -> None:
    """Everything goes out in one piece, in order, and whoever did not batch it rings for the writer."""
    under = Under()
    under.stream.corked = True
    under.stream.batching = True
    await under.stream.send_all(b"one ")
    await under.stream.send_all(bytearray(b"two "))
    under.stream.batching = False
    assert under.pending == 0
    await under.stream.send_all(b"pong")
    assert under.pending == 1
    assert under.stream.has_pending
    assert under.wire.writes == []
    await under.stream.flush()
    assert under.wire.writes == [b"one two pong"]
    assert not under.stream.has_pending


async def test_what_was_not_asked_for_is_bounded() -> None:
    """Up to the bound pongs are collected; the one beyond it gives the stream up. A flush starts the count over."""
    under = Under()
    under.stream.corked = True
    await under.stream.send_all(bytes(MAX_UNASKED))
    await under.stream.flush()
    await under.stream.send_all(bytes(MAX_UNASKED))
    with pytest.raises(trio.BrokenResourceError):
        await under.stream.send_all(b"!")
    assert under.stream.ended
    assert under.stream.fault is not None


async def test_what_the_writer_batches_is_not_counted() -> None:
    """The outbox has bounds of its own."""
    under = Under()
    under.stream.corked = under.stream.batching = True
    for _ in range(4):
        await under.stream.send_all(bytes(MAX_UNASKED))
    await under.stream.flush()
    assert len(under.wire.writes[0]) == 4 * MAX_UNASKED


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
@pytest.mark.parametrize("way", ["send", "flush", "receive"])
async def test_every_fault_becomes_a_broken_stream(fault: Exception, words: str, way: str) -> None:
    """A stream of somebody's may raise anything: above there is only trio's word, and the reason is kept."""
    under = Under()
    under.wire.broken_by = fault
    await under.peer.send_all(b"x")
    act = {"send": under.stream.send_all(b"x"), "flush": under.stream.flush(), "receive": under.stream.receive_some()}
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
    under.stream.corked = True
    await under.peer.send_all(b"HTTP/1.1 404 Not Found\r\n")
    await under.stream.receive_some()
    assert under.stream.refusal is None
    assert not under.stream.hopeless.is_set()
