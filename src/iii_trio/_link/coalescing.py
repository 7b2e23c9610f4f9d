"""The stream under trio-websocket: it collects what is to be sent.

trio-websocket sends every message, pong and Close by itself, and its pongs come from the task that reads. A reader that
waits for the socket to take a pong would stop reading, so while the stream is *corked* sending only collects, and the
writer task flushes: many messages then share one system call, and nobody but the writer ever waits for the socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from iii_trio._link.watched import FLOOD, MAX_UNASKED, WatchedStream

_CLOSE: Final = 0x88
"""The first byte of a Close."""


def _ignore() -> None:
    """Nobody wants to know."""


class CoalescingStream(WatchedStream):
    """A watched stream with a cork."""

    def __init__(self, inner: trio.abc.Stream, on_pending: Callable[[], None]) -> None:
        """`on_pending` is called when something was collected that the writer did not send itself."""
        super().__init__(inner)
        self._on_pending = on_pending
        self._collected: list[bytes | bytearray | memoryview] = []
        self._unasked = 0
        self.corked = False
        self.batching = False
        """Set by the writer while it hands over messages that it is going to flush."""

        self.said_close = False
        """Whether the library sent a Close, which it does in one piece."""

        self.on_close: Callable[[], None] = _ignore
        """Called when it does."""

    @property
    def has_pending(self) -> bool:
        """Whether something waits for `flush`."""
        return bool(self._collected)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Collect `data` while corked, send it at once otherwise."""
        if data[0] == _CLOSE:
            self.said_close = True
            self.on_close()
        if not self.corked:
            # Of the handshake the request alone goes by itself: a ping may come in one piece with the answer.
            self.corked = not self.upgraded
            await super().send_all(data)
            return
        self._collected.append(data)
        if not self.batching:
            self._unasked += len(data)
            if self._unasked > MAX_UNASKED:
                raise self.broken(FLOOD)
            self._on_pending()

    async def flush(self) -> None:
        """Send everything that was collected. Cancelled, part of it may have been sent."""
        data = b"".join(self._collected)
        self._collected.clear()
        self._unasked = 0
        await super().send_all(data)
