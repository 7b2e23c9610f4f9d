"""The stream under trio-websocket: it collects what is to be sent, and watches what comes.

trio-websocket sends every message, pong and Close by itself, and its pongs come from the task that reads. A reader that
waits for the socket to take a pong would stop reading, so while the stream is *corked* sending only collects, and the
writer task flushes: many messages then share one system call, and nobody but the writer ever waits for the socket.

What comes is counted as life, and what the library keeps to itself is noted: that the stream ended, what broke it, and an
HTTP status that is no upgrade. The stream below may be anybody's, so whatever it raises becomes one of trio's two words.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

import trio

logger = logging.getLogger("iii_trio")

MAX_UNASKED: Final = 1024 * 1024
"""Bytes of pongs and the like that may wait for the writer. An engine sends none; a peer that makes us collect more is
flooding us with pings that it does not read the answers to, and the connection is given up."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d\d\d)")
_STATUS_LINE_BYTES: Final = 12


class CoalescingStream(trio.abc.Stream):
    """A stream around another one, with a cork."""

    def __init__(self, inner: trio.abc.Stream, on_pending: Callable[[], None]) -> None:
        """`on_pending` is called when something was collected that the writer did not send itself."""
        self._inner = inner
        self._on_pending = on_pending
        self._collected: list[bytes | bytearray | memoryview] = []
        self._unasked = 0
        self._head = b""
        self.corked = False
        self.batching = False
        """Set by the writer while it hands over messages that it is going to flush."""

        self.ended = False
        """Whether the peer's end, or a fault, was seen."""

        self.fault: str | None = None
        """What is wrong with the stream, for people."""

        self.refusal: int | None = None
        """The HTTP status of an answer to the handshake that is no upgrade."""

        self.hopeless = trio.Event()
        """Set when no handshake can come of this stream any more: it ended, or the answer is none."""

        self.last_received = trio.current_time()
        """When the last byte came."""

    @property
    def has_pending(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._collected)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Collect `data` while corked, send it at once otherwise."""
        if not self.corked:
            await self._send(data)
            return
        self._collected.append(data)
        if not self.batching:
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                raise self._broken("the peer asks with pings and does not read the answers")
            self._on_pending()

    async def flush(self) -> None:
        """Send everything that was collected. Cancelled, part of it may have been sent."""
        data = b"".join(self._collected)
        self._collected.clear()
        self._unasked = 0
        await self._send(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, and note when; see `trio.abc.ReceiveStream`."""
        try:
            data = await self._inner.receive_some(max_bytes)
        except trio.ClosedResourceError:
            self._end()
            raise
        except Exception as error:
            raise self._broken(_words(error)) from error
        if not data:
            self._end()
            return data
        self.last_received = trio.current_time()
        if not self.corked:
            self._look_for_refusal(data)
        return data

    async def aclose(self) -> None:
        """Close the inner stream."""
        self._end()
        try:
            await self._inner.aclose()
        except Exception as error:  # it is closed all the same, and there is nobody to tell
            logger.debug("closing a stream raised %r", error)

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._inner.send_all(data)
        except trio.ClosedResourceError:
            raise
        except Exception as error:
            raise self._broken(_words(error)) from error

    def _broken(self, fault: str) -> trio.BrokenResourceError:
        self.fault = self.fault or fault
        self._end()
        return trio.BrokenResourceError(fault)

    def _end(self) -> None:
        self.ended = True
        self.hopeless.set()

    def _look_for_refusal(self, data: bytes | bytearray) -> None:
        # trio-websocket tells of a refusal when its body has ended, and a body may be endless, or end with the stream.
        if len(self._head) < _STATUS_LINE_BYTES:
            self._head += data[: _STATUS_LINE_BYTES - len(self._head)]
            if len(self._head) == _STATUS_LINE_BYTES:
                self._judge(_STATUS_LINE.match(self._head))

    def _judge(self, status_line: re.Match[bytes] | None) -> None:
        if status_line is None:
            self.fault = "the server does not speak HTTP"
            self.hopeless.set()
        elif (status := int(status_line[1])) >= 200:
            self.refusal = status
            self.hopeless.set()


def _words(error: Exception) -> str:
    return str(error.__cause__ or error) or type(error).__name__
