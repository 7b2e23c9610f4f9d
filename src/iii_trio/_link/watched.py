"""The stream under a WebSocket library: it watches what passes, and notes what the library keeps to itself.

That is when something came last, that the stream ended, what broke it, and an HTTP status that is no upgrade. The stream
below may be anybody's, so whatever it raises becomes one of trio's two words.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from contextlib import suppress
from typing import Final

import trio

from iii_trio._link.transport import ConnectFailed
from iii_trio.errors import AuthenticationError, HandshakeRefused

logger = logging.getLogger("iii_trio")

MAX_UNASKED: Final = 1024 * 1024
"""Bytes of pongs and the like that may wait for the writer. An engine sends none; a peer that makes us collect more is
flooding us with pings that it does not read the answers to, and the connection is given up."""

FLOOD: Final = "the peer asks with pings and does not read the answers"

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d\d\d)")
_STATUS_LINE_BYTES: Final = 12


class WatchedStream(trio.abc.Stream):
    """A stream around another one."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self._head = b""
        self.upgraded = False
        """Set when the handshake is done: after it, nothing that comes is HTTP."""

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

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        try:
            await self._inner.send_all(data)
        except trio.ClosedResourceError:
            raise
        except Exception as error:
            raise self.broken(_words(error)) from error

    async def send_eagerly(self, data: bytes) -> None:
        """Send, with no checkpoint when a socket takes everything at once; who sends on and on makes one of his own."""
        sent = 0
        if (descriptor := self._descriptor) >= 0:
            try:
                sent = os.write(descriptor, data)
            except BlockingIOError:
                pass
            except OSError as error:  # the socket says it once
                raise self.broken(_words(error)) from error
        if sent < len(data):
            await self.send_all(memoryview(data)[sent:] if sent else data)

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive, and note when; see `trio.abc.ReceiveStream`."""
        try:
            data = await self._receive(max_bytes)
        except trio.ClosedResourceError:
            self._end()
            raise
        except Exception as error:
            raise self.broken(_words(error)) from error
        if not data:
            self._end()
            return data
        self.last_received = trio.current_time()
        if not self.upgraded:
            self._look_for_refusal(data)
        return data

    async def _receive(self, max_bytes: int | None) -> bytes | bytearray:
        if max_bytes is None or (descriptor := self._descriptor) < 0:
            return await self._inner.receive_some(max_bytes)
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            if self._descriptor < 0:  # closed between waking and running: the number may be another file's by now
                raise trio.ClosedResourceError("the socket was closed meanwhile")
            with suppress(BlockingIOError):
                return os.read(descriptor, max_bytes)

    def receive_nowait(self, max_bytes: int) -> bytes:
        """What a socket has already; nothing when that is nothing, the end, or not to be had without waiting."""
        if (descriptor := self._descriptor) < 0:
            return b""
        try:
            data = os.read(descriptor, max_bytes)
        except BlockingIOError:
            return b""
        except OSError as error:  # likewise; who receives next sees the end
            self.broken(_words(error))
            return b""
        if data:
            self.last_received = trio.current_time()
        return data

    @property
    def _descriptor(self) -> int:
        """The file that the socket is, to pass by trio's streams (docs/decisions.md, "Large frames"); -1 when it is none."""
        if sys.platform == "win32" or not isinstance(self._inner, trio.SocketStream):
            return -1
        return self._inner.socket.fileno()

    async def aclose(self) -> None:
        """Close the inner stream."""
        self._end()
        try:
            await self._inner.aclose()
        except Exception as error:  # it is closed all the same, and there is nobody to tell
            logger.debug("closing a stream raised %r", error)

    def broken(self, fault: str) -> trio.BrokenResourceError:
        """Note that nothing more can come of this stream; returns what to raise."""
        self.fault = self.fault or fault
        self._end()
        return trio.BrokenResourceError(fault)

    def handshake_error(self, words: str | None) -> Exception:
        """The one error that stands for a failed handshake; `words` are the library's, if it has any."""
        status = self.refusal
        if status in (401, 403):
            return AuthenticationError(f"the server refused the login with HTTP status {status}", code=str(status))
        if status is not None:
            told = f"the server answered the WebSocket handshake with HTTP status {status}"
            return HandshakeRefused(told, status=status)
        reason = self.fault or words
        if reason is None:
            return ConnectFailed("the connection ended before the WebSocket handshake was done")
        return ConnectFailed(f"the WebSocket handshake failed: {reason}")

    def _end(self) -> None:
        self.ended = True
        self.hopeless.set()

    def _look_for_refusal(self, data: bytes | bytearray) -> None:
        # The libraries tell of a refusal when its body has ended, and a body may be endless, or end with the stream.
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
