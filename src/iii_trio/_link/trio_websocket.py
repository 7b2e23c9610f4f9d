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

from iii_trio._link.coalescing import CoalescingStream
from iii_trio._link.transport import ConnectFailed, LinkLost, Transport
from iii_trio._wire.urls import EngineUrl
from iii_trio.errors import AuthenticationError, HandshakeRefused

logger = logging.getLogger("iii_trio")

_RECEIVE_BYTES: Final = 64 * 1024
_QUEUED_MESSAGES: Final = 64


class TrioWebSocketTransport(Transport):
    """One WebSocket of trio-websocket."""

    NAME: ClassVar = "trio-websocket"

    # It cannot send a message in pieces, and the engine takes no larger frame (docs/engine.md, "Sizes").
    MAX_OUTGOING: ClassVar = 16 * 1024 * 1024

    def __init__(self, socket: trio_websocket.WebSocketConnection, stream: CoalescingStream) -> None:
        self._socket = socket
        self._stream = stream

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
        stream.batching = True
        try:
            for message in messages:
                await self._socket.send_message(message.decode())
            await stream.flush()
        except (trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise _loss(error) from None
        finally:
            stream.batching = False

    async def receive(self) -> Sequence[str | bytes]:
        """See `Transport`."""
        try:
            return (await self._socket.get_message(),)
        except trio_websocket.ConnectionClosed as error:
            raise _loss(error) from None

    async def aclose(self) -> None:
        """See `Transport`."""
        self._stream.corked = False
        try:
            await self._socket.aclose()
        except trio.BrokenResourceError:
            logger.debug("the connection broke while it was closed")
        finally:
            await trio.aclose_forcefully(self._stream)


def _loss(error: Exception) -> LinkLost:
    if not isinstance(error, trio_websocket.ConnectionClosed):
        return LinkLost(f"the connection broke ({error})" if str(error) else "the connection broke")
    reason = error.reason
    if reason is None or reason.code == 1006:
        return LinkLost("the connection ended without a Close")
    said = f" {reason.reason!r}" if reason.reason else ""
    return LinkLost(f"the engine closed the connection (code {reason.code}{said})")


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
    try:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as handshake:
                # trio-websocket waits for ever when the stream ends in the middle of the handshake.
                nursery.start_soon(_cancel_at_end, wrapped, handshake)
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
                opened = True
                wrapped.corked = True
                task_status.started(TrioWebSocketTransport(socket, wrapped))
    except* Exception as group:  # whatever the peer did to the library's task ends this connection and nothing else
        if not opened:
            raise _refusal(group) from None
        logger.debug("trio-websocket's task ended with %r", group)
    finally:
        await trio.aclose_forcefully(wrapped)
    if not opened:
        raise ConnectFailed("the connection ended before the WebSocket handshake was done")


async def _cancel_at_end(stream: CoalescingStream, handshake: trio.CancelScope) -> None:
    await stream.ended.wait()
    handshake.cancel(reason="the stream ended during the handshake")


def _refusal(group: BaseExceptionGroup[Exception]) -> Exception:
    """The one error that stands for a failed handshake."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, trio_websocket.ConnectionRejected):
        return ConnectFailed(f"the WebSocket handshake failed: {str(error) or type(error).__name__}")
    status = error.status_code
    if status in (401, 403):
        return AuthenticationError(f"the server refused the login with HTTP status {status}", code=str(status))
    return HandshakeRefused(f"the server answered the WebSocket handshake with HTTP status {status}", status=status)
