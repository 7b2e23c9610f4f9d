"""The transport that works everywhere: trio-websocket on a stream of ours.

Its own keepalive, message limit and buffer sizes are not used: the heartbeat is the client's, the limit is the client's,
and its queue is drained at once by the reader task, since a full one stops its pongs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

import trio
import trio_websocket
from wsproto.utilities import LocalProtocolError

from iii_trio._link.coalescing import CoalescingStream
from iii_trio._link.transport import ConnectFailed, LinkLost, Transport
from iii_trio._wire.urls import EngineUrl
from iii_trio.errors import AuthenticationError, HandshakeRefused

logger = logging.getLogger("iii_trio")

_RECEIVE_BYTES: Final = 64 * 1024
_QUEUED_MESSAGES: Final = 64
_ABNORMAL: Final = 1006


class TrioWebSocketTransport(Transport):
    """One WebSocket of trio-websocket."""

    NAME: ClassVar = "trio-websocket"

    # It cannot send a message in pieces, and the engine takes no larger frame (docs/engine.md, "Sizes").
    MAX_OUTGOING: ClassVar = 16 * 1024 * 1024

    def __init__(
        self, socket: trio_websocket.WebSocketConnection, stream: CoalescingStream, max_message_size: int
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._max_message_size = max_message_size
        self._was_cut = False

    @property
    def last_received(self) -> float:
        """See `Transport`."""
        return self._stream.last_received

    @property
    def has_pending(self) -> bool:
        """See `Transport`."""
        return self._stream.has_pending

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Transport`."""
        stream = self._stream
        try:
            stream.batching = True
            try:
                for message in messages:
                    await self._socket.send_message(message.decode())
            finally:
                stream.batching = False
            await stream.flush()
        # The library sends no Close before it says that the peer broke a rule, so it may refuse to send anything else.
        except (trio_websocket.ConnectionClosed, LocalProtocolError) as error:
            raise self._loss(error) from None
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._loss(error) from None
        except trio.Cancelled:
            self._was_cut = True
            raise

    async def receive(self) -> Sequence[str | bytes]:
        """See `Transport`."""
        try:
            return (await self._socket.get_message(),)
        except trio_websocket.ConnectionClosed as error:
            raise self._loss(error) from None

    async def aclose(self) -> None:
        """See `Transport`."""
        stream = self._stream
        try:
            # Behind half a frame, and at a stream that has ended, there is nothing to say and nobody to wait for.
            if not self._was_cut and not stream.ended:
                stream.corked = False
                await self._socket.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("the connection broke while it was closed")
        finally:
            await trio.aclose_forcefully(stream)

    def _loss(self, error: Exception) -> LinkLost:
        reason = error.reason if isinstance(error, trio_websocket.ConnectionClosed) else None
        if reason is not None and reason.reason == f"Exceeded maximum message size: {self._max_message_size} bytes":
            return LinkLost(f"the engine sent a message of more than {self._max_message_size} bytes")
        if reason is not None and reason.code != _ABNORMAL:
            said = f" {reason.reason!r}" if reason.reason else ""
            return LinkLost(f"the engine closed the connection (code {reason.code}{said})")
        if self._stream.fault is not None:
            return LinkLost(f"the connection broke ({self._stream.fault})")
        return LinkLost("the connection ended without a Close")


async def serve_trio_websocket(
    stream: trio.abc.Stream,
    url: EngineUrl,
    headers: Sequence[tuple[str, str]],
    max_message_size: int,
    on_pending: Callable[[], None],
    *,
    task_status: trio.TaskStatus[TrioWebSocketTransport] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Do the handshake on `stream`, report the transport, and run trio-websocket's own task until the stream ends.

    Raises:
        ConnectFailed: The stream ended, or said something that is no handshake.
        AuthenticationError: HTTP status 401 or 403.
        HandshakeRefused: Any other status.
    """
    wrapped = CoalescingStream(stream, on_pending)
    opened = False
    ended_by: ExceptionGroup[Exception] | None = None
    try:
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as handshake:
                # trio-websocket waits for ever when the stream ends in the middle of the handshake.
                handshake.start_soon(_cancel_when_hopeless, wrapped, nursery.cancel_scope)
                socket = await trio_websocket.wrap_client_stream(
                    nursery,
                    wrapped,  # type: ignore[arg-type]  # any stream will do: it asks for no more than the ABC has
                    url.authority,
                    url.resource,
                    extra_headers=[(name.encode(), value.encode()) for name, value in headers],
                    message_queue_size=_QUEUED_MESSAGES,
                    max_message_size=max_message_size,
                    receive_buffer_size=_RECEIVE_BYTES,
                )
                handshake.cancel_scope.cancel(reason="the handshake is done")
            opened = True
            wrapped.corked = True
            task_status.started(TrioWebSocketTransport(socket, wrapped, max_message_size))
    except* Exception as group:  # whatever the peer did to the library's task ends this connection and nothing else
        ended_by = group
        logger.debug("trio-websocket's task ended with %r", group)
    finally:
        await trio.aclose_forcefully(wrapped)
    if not opened:
        # Not in `except*`: Python before 3.11.4 wraps what is raised there in a group.
        raise _refusal(ended_by, wrapped) from None


async def _cancel_when_hopeless(stream: CoalescingStream, scope: trio.CancelScope) -> None:
    await stream.hopeless.wait()
    scope.cancel(reason="no handshake can come of this stream")


def _refusal(group: BaseExceptionGroup[Exception] | None, stream: CoalescingStream) -> Exception:
    """The one error that stands for a failed handshake."""
    status = stream.refusal
    if status in (401, 403):
        return AuthenticationError(f"the server refused the login with HTTP status {status}", code=str(status))
    if status is not None:
        return HandshakeRefused(f"the server answered the WebSocket handshake with HTTP status {status}", status=status)
    if stream.fault is not None:
        return ConnectFailed(f"the WebSocket handshake failed: {stream.fault}")
    if group is None:
        return ConnectFailed("the connection ended before the WebSocket handshake was done")
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return ConnectFailed(f"the WebSocket handshake failed: {str(error) or type(error).__name__}")
