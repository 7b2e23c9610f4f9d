"""trio around the core: streams become connections, and time passes.

Every connection has a reader and a writer. What ends one of them ends the connection, and the stream is always dropped
without a Close, which is how the real engine leaves (docs/wire.md, "Closing").
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import attrs
import trio

from iii_trio._embedded import encoder, handshake, websocket
from iii_trio._embedded.channel_sockets import serve_channel
from iii_trio._embedded.connection import CLOSE, QUEUE_SIZE, TEXT, Connection, Outgoing
from iii_trio._embedded.core import Engine
from iii_trio._embedded.handshake import Accepted, ChannelEnd
from iii_trio._embedded.http_server import DEFAULT_TIMEOUT, HttpServer
from iii_trio._embedded.memory import MemoryStream, memory_stream_pair
from iii_trio._embedded.signals import Signal

LOOPBACK: Final = "127.0.0.1"

_CHUNK: Final = 262_144
_BATCH_BYTES: Final = 262_144
_CLOSE_LINGER: Final = 1.0
"""Seconds that a client has to leave after a Close that a test asked for."""
_REFUSAL_LINGER: Final = 1.0
"""Seconds to wait for a client that reads its refusal: a socket that is closed with unread bytes loses what it sent."""


async def open_listeners(host: str, port: int) -> tuple[list[trio.SocketListener], int]:
    """Listeners, and the port of the first of them: the given one, or a free one for 0.

    Raises:
        OSError: The address cannot be used.
    """
    listeners = await trio.open_tcp_listeners(port, host=host)
    return listeners, listeners[0].socket.getsockname()[1]


def url_of(host: str, port: int) -> str:
    """How a worker reaches a listener."""
    return f"ws://{_authority(host, port)}"


def http_url_of(host: str, port: int) -> str:
    """How an HTTP client does."""
    return f"http://{_authority(host, port)}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@attrs.define(eq=False)
class Server:
    """Serves an engine to streams, in memory or from a listener."""

    engine: Engine
    http_timeout: float = DEFAULT_TIMEOUT
    """Seconds from an HTTP request to the head of its response."""
    refusal: str | None = None
    """When set, every login is refused with this message."""
    _stall: trio.Event | None = attrs.field(default=None, init=False)
    """Set when reading goes on; None while nobody has stopped it."""
    _streams: set[trio.CancelScope] = attrs.field(factory=set, init=False)
    _channel_links: set[trio.CancelScope] = attrs.field(factory=set, init=False)
    _timers: Signal = attrs.field(factory=Signal, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.engine.on_alarm = self._timers.set

    async def run(
        self,
        listeners: list[trio.SocketListener] | None = None,
        http_listeners: list[trio.SocketListener] | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Let time pass and accept connections, until cancelled; then every link is dropped and no listener is left."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._keep_time)
            for handler, each in ((self.serve, listeners), (self.serve_http, http_listeners)):
                if each is not None:
                    nursery.start_soon(partial(trio.serve_listeners, handler, each, handler_nursery=nursery))
            task_status.started()

    def open_stream(self) -> trio.abc.Stream:
        """A new connection in memory, while it runs: the client's end of it."""
        return self._open(self.serve)

    def open_http_stream(self) -> trio.abc.HalfCloseableStream:
        """A new connection to what serves HTTP, likewise."""
        return self._open(self.serve_http)

    def _open(self, serve: Callable[[trio.abc.Stream], Awaitable[None]]) -> MemoryStream:
        assert self._nursery is not None, "the server is not running"
        ours, theirs = memory_stream_pair()
        self._nursery.start_soon(serve, ours)
        return theirs

    def drop_links(self) -> None:
        """End every connection without a Close, as a crash of the network would, those of channels too."""
        for connection in self.engine.connections:
            self.engine.disconnect(connection)
        self.drop_channels()

    def drop_channels(self) -> None:
        """End every connection of a channel without a Close."""
        for scope in self._channel_links:
            scope.cancel()

    def close_links(self, payload: bytes) -> None:
        """Send every connection a Close; who does not leave within a second is dropped."""
        ends_at = trio.current_time() + _CLOSE_LINGER
        for connection in self.engine.connections:
            self.engine.close(connection, payload, ends_at)
        self._timers.set()

    def stall_reading(self) -> None:
        """Take in no message any more, and no request of a new stream."""
        if self._stall is None:
            self._stall = trio.Event()

    def resume_reading(self) -> None:
        """Go on."""
        if self._stall is not None:
            self._stall.set()
            self._stall = None

    def restart(self) -> None:
        """End every stream without a Close, also those that are no connections yet, and forget everything."""
        self.engine.restart()
        for scope in self._streams:
            scope.cancel()

    async def serve(self, stream: trio.abc.Stream) -> None:
        """The life of one stream of a worker or a channel."""
        await self._live(stream, self._serve)

    async def serve_http(self, stream: trio.abc.Stream) -> None:
        """The life of one stream of an HTTP client."""
        await self._live(stream, HttpServer(self.engine, self.http_timeout).serve)

    async def _live(self, stream: trio.abc.Stream, serve: Callable[[trio.abc.Stream], Awaitable[None]]) -> None:
        with trio.CancelScope() as scope:
            self._streams.add(scope)
            try:
                await serve(stream)
            except trio.BrokenResourceError:
                return  # The client is gone: there is nobody to tell.
            finally:
                self._streams.discard(scope)
                await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        await self._reading()
        accepted = await handshake.accept(stream, self.engine.channels)
        if accepted is None:
            return
        if accepted.end is not None:
            await self._serve_channel(stream, accepted, accepted.end)
        elif self.refusal is not None:
            await _refuse_login(stream, self.refusal)
        else:
            await self._converse(stream, accepted.trailing)

    async def _serve_channel(self, stream: trio.abc.Stream, accepted: Accepted, end: ChannelEnd) -> None:
        with trio.CancelScope() as scope:
            self._channel_links.add(scope)
            try:
                await serve_channel(stream, self.engine.channels, accepted, end, self._reading)
            finally:
                self._channel_links.discard(scope)

    async def _reading(self) -> None:
        while self._stall is not None:
            await self._stall.wait()

    # ---- one connection ---------------------------------------------------------------------------------------------

    async def _converse(self, stream: trio.abc.Stream, trailing: bytes) -> None:
        waiting, drained = Signal(), Signal()
        async with trio.open_nursery() as nursery:
            connection = self.engine.connect(
                trio.current_time(), ip_address=_peer(stream), wake=waiting.set, drop=nursery.cancel_scope.cancel
            )
            self._timers.set()
            try:
                nursery.start_soon(self._write, stream, connection, waiting, drained)
                await self._read(stream, connection, websocket.Inbound(trailing), drained)
            finally:
                self.engine.disconnect(connection)

    async def _read(
        self, stream: trio.abc.Stream, connection: Connection, inbound: websocket.Inbound, drained: Signal
    ) -> None:
        """Act on what the client sends, until it leaves or breaks a rule."""
        receive = self.engine.receive
        try:
            while True:
                now = trio.current_time()
                for event in inbound.events():
                    if isinstance(event, (str, bytes)):
                        receive(connection, event, now)
                    elif isinstance(event, websocket.PingReceived):
                        # The real engine's library answers, and then the engine does.
                        connection.pong(event.payload)
                        connection.pong(event.payload)
                    else:
                        return
                    while connection.is_full:
                        await drained.wait()
                data = await stream.receive_some(_CHUNK)
                await self._reading()
                if not data:
                    return
                inbound.feed(bytes(data))
        except trio.BrokenResourceError:
            return

    async def _write(self, stream: trio.abc.Stream, connection: Connection, waiting: Signal, drained: Signal) -> None:
        """Send what waits, as much as possible at once."""
        outbox = connection.outbox
        try:
            while True:
                await waiting.wait()
                while outbox:
                    batch = _next_batch(outbox)
                    drained.set()
                    await stream.send_all(batch)
        except trio.BrokenResourceError:
            self.engine.disconnect(connection)

    # ---- time -------------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        while True:
            deadline = self.engine.next_deadline()
            with trio.move_on_at(math.inf if deadline is None else deadline):
                await self._timers.wait()
            self.engine.tick(trio.current_time())


def _next_batch(outbox: deque[Outgoing]) -> bytes:
    """The frames of what waits longest, as many as the engine's queue holds."""
    frames: list[bytes] = []
    size = 0
    while outbox and len(frames) < QUEUE_SIZE and size < _BATCH_BYTES:
        frames.append(websocket.frame(outbox.popleft()))
        size += len(frames[-1])
    return b"".join(frames)


async def _refuse_login(stream: trio.abc.Stream, message: str) -> None:
    """Say why, send Close, and wait until the client has seen it."""
    farewell: list[Outgoing] = [(TEXT, encoder.login_refused(message)), (CLOSE, b"")]
    await stream.send_all(b"".join(websocket.frame(outgoing) for outgoing in farewell))
    with trio.move_on_after(_REFUSAL_LINGER):
        while await stream.receive_some(_CHUNK):
            pass


def _peer(stream: trio.abc.Stream) -> str:
    if isinstance(stream, trio.SocketStream):
        return str(stream.socket.getpeername()[0])
    return LOOPBACK
