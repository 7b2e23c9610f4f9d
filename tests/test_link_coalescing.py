"""The stream under trio-websocket: what is collected, and when it is sent."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair

from iii_trio._link.coalescing import CoalescingStream
from iii_trio._link.watched import MAX_UNASKED
from tests._hostile import Recorder


class Under:
    """A coalescing stream with both of its ends."""

    def __init__(self) -> None:
        ours, self.peer = memory_stream_pair()
        self.wire = Recorder(ours)
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


async def test_a_flush_that_fails_breaks_the_stream() -> None:
    """As sending at once does."""
    under = Under()
    under.stream.corked = True
    await under.stream.send_all(b"x")
    under.wire.broken_by = OSError("cable cut")
    with pytest.raises(trio.BrokenResourceError):
        await under.stream.flush()
    assert under.stream.fault == "cable cut"


@pytest.mark.parametrize("corked", [True, False])
async def test_a_close_that_was_sent_is_known(corked: bool) -> None:
    """It tells a Close that the peer said from one that the library made up."""
    under = Under()
    under.stream.corked = corked
    await under.stream.send_all(b"\x8a\x80\x88\x88\x88\x88")
    assert not under.stream.said_close
    await under.stream.send_all(b"\x88\x80\x00\x00\x00\x00")
    assert under.stream.said_close
