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
from iii_trio._link.transport import READ_AHEAD, LinkLost, Transport
from iii_trio._wire.codec import MAX_FRAME_SIZE
from iii_trio._wire.urls import EngineUrl

logger = logging.getLogger("iii_trio")

_RECEIVE_BYTES: Final = 64 * 1024
_ABNORMAL: Final = 1006


class TrioWebSocketTransport(Transport):
    """One WebSocket of trio-websocket."""

    NAME: ClassVar = "trio-websocket"

    # It cannot send a message in pieces.
    MAX_OUTGOING: ClassVar = MAX_FRAME_SIZE

    def __init__(
        self, socket: trio_websocket.WebSocketConnection, stream: CoalescingStream, max_message_size: int
    ) -> None:
        self._socket = socket
        self._stream = stream
        self._max_message_size = max_message_size
        self._was_cut = False
        self._own_close: object = None
        """What the library calls the reason of the end since we said Close, which is ours and not the peer's."""

        stream.on_close = self._note_close

    @classmethod
    async def serve(
        cls,
        stream: trio.abc.Stream,
        url: EngineUrl,
        headers: Sequence[tuple[str, str]],
        max_message_size: int,
        on_pending: Callable[[], None],
        read_ahead: int = READ_AHEAD,
        *,
        task_status: trio.TaskStatus[Transport] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `Transport`. What runs until the stream ends is trio-websocket's own task."""
        wrapped = CoalescingStream(stream, on_pending)
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
                        message_queue_size=read_ahead,
                        max_message_size=max_message_size,
                        receive_buffer_size=_RECEIVE_BYTES,
                    )
                    handshake.cancel_scope.cancel(reason="the handshake is done")
                wrapped.upgraded = True
                task_status.started(cls(socket, wrapped, max_message_size))
        except* Exception as group:  # whatever the peer did to the library's task ends this connection and nothing else
            ended_by = group
            logger.debug("trio-websocket's task ended with %r", group)
        finally:
            await trio.aclose_forcefully(wrapped)
        if not wrapped.upgraded:
            # Not in `except*`: Python before 3.11.4 wraps what is raised there in a group.
            raise wrapped.handshake_error(_words(ended_by)) from None

    @property
    def last_received(self) -> float:
        """See `Transport`."""
        return self._stream.last_received

    @property
    def has_pending(self) -> bool:
        """See `Transport`."""
        return self._stream.has_pending

    @property
    def close_code(self) -> int | None:
        """See `Transport`."""
        reason = self._socket.closed
        if reason is None or reason is self._own_close or reason.code == _ABNORMAL or not self._stream.said_close:
            return None
        return int(reason.code)

    def _note_close(self) -> None:
        self._own_close = self._socket.closed

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Transport`."""
        await self.write([message.decode() for message in messages])

    async def write(self, messages: Sequence[str | bytes]) -> None:
        """See `Transport`."""
        stream = self._stream
        try:
            stream.batching = True
            try:
                for message in messages:
                    await self._socket.send_message(message)
            finally:
                stream.batching = False
            await stream.flush()
        except LocalProtocolError:  # the library has found a breach, and its reader is about to say so
            raise LinkLost.by_breach() from None
        except (trio_websocket.ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError) as error:
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
                if stream.has_pending:
                    await stream.flush()
                await self._socket.aclose()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("the connection broke while it was closed")
        finally:
            await trio.aclose_forcefully(stream)

    def _loss(self, error: Exception) -> LinkLost:
        if not isinstance(error, trio_websocket.ConnectionClosed):
            return LinkLost.by_end(self._stream.fault)
        reason = error.reason
        if reason is None:  # the library's own task died of what the peer sent
            return LinkLost.by_breach()
        if reason.reason == f"Exceeded maximum message size: {self._max_message_size} bytes":
            return LinkLost.by_size(self._max_message_size)
        if reason.code == _ABNORMAL:
            return LinkLost.by_end(self._stream.fault)
        # The codec reports a breach as if the peer had said Close, but only a real Close is answered.
        if not self._stream.said_close:
            return LinkLost.by_breach(reason.reason)
        return LinkLost.by_close(reason.code, reason.reason)


async def _cancel_when_hopeless(stream: CoalescingStream, scope: trio.CancelScope) -> None:
    await stream.hopeless.wait()
    scope.cancel(reason="no handshake can come of this stream")


def _words(error: BaseException | None) -> str | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return None if error is None else str(error) or type(error).__name__
