"""The embedded engine as tests use it: a handle on the server, with what came in and switches for faults."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Final

import attrs
import trio

from iii_trio._embedded.connection import Connection
from iii_trio._embedded.core import Engine, UndecodableMessage
from iii_trio._embedded.server import LOOPBACK, Server, open_listeners, url_of
from iii_trio._wire.messages import Frame, TelemetryFrame

Undecodable = UndecodableMessage

_KEPT_FRAMES: Final = 10_000
# Nothing resolves it, so a client that was not given `open_stream` fails at once instead of meeting a real engine.
_MEMORY_URL: Final = "ws://embedded-engine.invalid"


@attrs.frozen
class Received:
    """A frame that the engine received and could decode."""

    connection_id: str
    frame: Frame | TelemetryFrame


class EmbeddedEngine:
    """An engine in this process. Made by `open_engine`, and of use until that block is left or `aclose` was called."""

    def __init__(self, *, grace: float, host: str | None, port: int | None) -> None:
        self._core = Engine(grace=grace, on_frame=self._record)
        self._server = Server(self._core)
        self._scope = trio.CancelScope()
        self._stopped = trio.Event()
        self._listens = host is not None or port is not None
        self._host = LOOPBACK if host is None else host
        self._port = 0 if port is None else port
        self._received: deque[Received] = deque(maxlen=_KEPT_FRAMES)
        self._counts: Counter[type[Any]] = Counter()
        self._news = trio.lowlevel.ParkingLot()

    # ---- how to reach it --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """What a client takes as the engine's URL. In memory it leads nowhere without `open_stream`."""
        if not self._listens:
            return _MEMORY_URL
        return url_of(self._host, self._port)

    @property
    def port(self) -> int | None:
        """The port it listens on; None in memory."""
        return self._port if self._listens else None

    async def open_stream(self) -> trio.abc.Stream:
        """A new stream to the engine, for a client's `open_stream`. The caller closes it.

        Raises:
            trio.ClosedResourceError: The engine was closed.
            OSError: It listens, and the connection failed.
        """
        if self._scope.cancel_called:
            raise trio.ClosedResourceError("the engine was closed")
        if self._listens:
            return await trio.open_tcp_stream(self._host, self._port)
        await trio.lowlevel.checkpoint()
        return self._server.open_stream()

    # ---- what came in -----------------------------------------------------------------------------------------------

    @property
    def connections(self) -> tuple[str, ...]:
        """The worker ids of the live connections, oldest first."""
        return tuple(connection.id for connection in self._core.connections)

    @property
    def received(self) -> Sequence[Received]:
        """The newest frames that could be decoded, of all connections, oldest first; at most 10,000."""
        return tuple(self._received)

    @property
    def undecodable(self) -> Sequence[Undecodable]:
        """The newest messages that the engine dropped without an answer; at most 1,000. A good client causes none."""
        return tuple(self._core.undecodable)

    async def wait_received(self, count: int, frame_type: type[Frame | TelemetryFrame]) -> None:
        """Wait until so many frames of a type have come in since the engine was opened, over all connections.

        Cancelling it is safe. It waits for ever if they do not come: put a time-out around it.
        """
        await trio.lowlevel.checkpoint()
        while self._counts[frame_type] < count:
            await self._news.park()

    def _record(self, connection: Connection, frame: Frame | TelemetryFrame) -> None:
        self._received.append(Received(connection.id, frame))
        self._counts[type(frame)] += 1
        self._news.unpark_all()

    # ---- faults -----------------------------------------------------------------------------------------------------

    def drop_links(self) -> None:
        """End every connection without a Close frame, as a broken network does. New ones are accepted."""
        self._server.drop_links()

    def refuse_logins(self, message: str) -> None:
        """Refuse every new connection from now on as the engine does it: it opens, gets an error frame, and a Close."""
        self._server.refusal = message

    def accept_logins(self) -> None:
        """Accept new connections again."""
        self._server.refusal = None

    # ---- its life ---------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Stop: drop every link without a Close frame, and stop listening. Calling it again does nothing.

        Cancelling it does not keep the engine from stopping.
        """
        self._scope.cancel()
        await self._stopped.wait()

    async def _listen(self) -> list[trio.SocketListener] | None:
        if not self._listens:
            return None
        listeners, self._port = await open_listeners(self._host, self._port)
        return listeners

    async def _run(self, listeners: list[trio.SocketListener] | None, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scope:
                await self._server.run(listeners, task_status=task_status)
        finally:
            self._stopped.set()


class _Opening(AbstractAsyncContextManager[EmbeddedEngine]):
    """Runs an engine beside a body.

    Leaving it cancels the engine and nothing else, and hands the nursery no exception of the body: a test that fails
    raises its own exception, not a group with it.
    """

    def __init__(self, engine: EmbeddedEngine) -> None:
        self._engine = engine
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery

    async def __aenter__(self) -> EmbeddedEngine:
        listeners = await self._engine._listen()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._engine._run, listeners)
        except BaseException:
            await self._leave()
            raise
        return self._engine

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        # Everything in there is cancelled, so it takes no time and needs no deadline.
        self._nursery.cancel_scope.shield = True
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)


def open_engine(
    *, host: str | None = None, port: int | None = None, namespace_grace_ms: int = 5_000
) -> AbstractAsyncContextManager[EmbeddedEngine]:
    """An engine in this process for the length of a block.

    Args:
        host: Address to listen on, 127.0.0.1 when only `port` is given.
        port: Port to listen on, 0 for a free one, which is also the default when only `host` is given. With neither,
            the engine is reached in memory, through its `open_stream`.
        namespace_grace_ms: Milliseconds after which a worker that does not register itself is put into the default
            namespace.

    Raises:
        OSError: On entering, when the address cannot be used.

    Leaving the block drops every link without a Close frame.
    """
    return _Opening(EmbeddedEngine(grace=namespace_grace_ms / 1_000, host=host, port=port))
