"""The stream under trio-websocket: it collects what is to be sent, counts what comes, and knows when the end was seen.

trio-websocket sends every message, pong and Close by itself, and its pongs come from the task that reads. A reader that
waits for the socket to take a pong would stop reading, so while the stream is *corked* sending only collects, and the
writer task flushes: many messages then share one system call, and nobody but the writer ever waits for the socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

MAX_UNASKED: Final = 1024 * 1024
"""Bytes of pongs and the like that may wait for the writer. An engine sends none; a peer that makes us collect more is
flooding us with pings that it does not read the answers to, and the connection is given up."""


class CoalescingStream(trio.abc.Stream):
    """A stream around another one, with a cork."""

    def __init__(self, inner: trio.abc.Stream, on_pending: Callable[[], None]) -> None:
        """`on_pending` is called when something was collected that the writer did not send itself."""
        self._inner = inner
        self._on_pending = on_pending
        self._collected: list[bytes | bytearray | memoryview] = []
        self._unasked = 0
        self.corked = False
        self.batching = False
        """Set by the writer while it hands over messages that it is going to flush."""

        self.ended = trio.Event()
        """Set when the peer's end, or a fault, was seen."""

        self.last_received = trio.current_time()
        """When the last byte came."""

    @property
    def has_pending(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._collected)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Collect `data` while corked, send it at once otherwise."""
        if not self.corked:
            await self._inner.send_all(data)
            return
        self._collected.append(data)
        if not self.batching:
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                raise trio.BrokenResourceError("too many answers to pings wait to be sent")
            self._on_pending()

    async def flush(self) -> None:
        """Send everything that was collected. Cancelled, part of it may have been sent."""
        data = b"".join(self._collected)
        self._collected.clear()
        self._unasked = 0
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, and note when; see `trio.abc.ReceiveStream`."""
        try:
            data = await self._inner.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.ended.set()
            raise
        if data:
            self.last_received = trio.current_time()
        else:
            self.ended.set()
        return data

    async def aclose(self) -> None:
        """Close the inner stream."""
        self.ended.set()
        await self._inner.aclose()
