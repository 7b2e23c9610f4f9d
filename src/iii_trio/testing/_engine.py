"""The embedded engine as tests use it: a handle on the server, with what came in and switches for faults."""

from __future__ import annotations

import errno
import random
import struct
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import attrs
import trio

from iii_trio._embedded.connection import Connection
from iii_trio._embedded.core import Engine, UndecodableMessage
from iii_trio._embedded.server import LOOPBACK, Server, http_url_of, open_listeners, url_of
from iii_trio._wire.messages import Frame, TelemetryFrame
from iii_trio.testing._opening import Opening
from iii_trio.testing._port import Port

Undecodable = UndecodableMessage

_KEPT_FRAMES: Final = 10_000
_MAX_CLOSE: Final = 125
"""Bytes in a Close frame."""
# Nothing resolves it, so a client that was not given `open_stream` fails at once instead of meeting a real engine.
_MEMORY_URL: Final = "ws://embedded-engine.invalid"
_MEMORY_HTTP_URL: Final = "http://embedded-engine.invalid"


@attrs.frozen
class Received:
    """A frame that the engine received and could decode."""

    connection_id: str
    frame: Frame | TelemetryFrame


class EmbeddedEngine:
    """An engine in this process. Made by `open_engine`, and of use until that block is left or `aclose` was called."""

    def __init__(
        self, *, grace: float, host: str | None, port: int | None, http_port: int | None, http_timeout: float
    ) -> None:
        self._core = Engine(grace=grace, on_frame=self._record)
        self._server = Server(self._core, http_timeout)
        self._scope = trio.CancelScope()
        self._stopped = trio.Event()
        self._listens = host is not None or port is not None
        self._host = LOOPBACK if host is None else host
        self._asked_port = 0 if port is None else port
        self._asked_http_port = http_port
        self._port: Port | None = None
        self._http_port: Port | None = None
        self._downs = 0
        self._received: deque[Received] = deque(maxlen=_KEPT_FRAMES)
        self._counts: Counter[type[Any]] = Counter()
        self._news = trio.lowlevel.ParkingLot()

    # ---- how to reach it --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """What a client takes as the engine's URL. In memory it leads nowhere without `open_stream`."""
        return _MEMORY_URL if self._port is None else url_of(self._host, self._port.number)

    @property
    def port(self) -> int | None:
        """The port it listens on; None in memory."""
        return None if self._port is None else self._port.number

    @property
    def http_url(self) -> str:
        """Where bindings of type `http` are served. In memory it leads nowhere without `open_http_stream`."""
        if self._http_port is None:
            return _MEMORY_HTTP_URL
        return http_url_of(self._host, self._http_port.number)

    async def open_http_stream(self) -> trio.abc.Stream:
        """A new stream to what serves HTTP, for an HTTP client that takes one. The caller closes it.

        Raises:
            trio.ClosedResourceError: The engine was closed.
            OSError: The connection failed; it does so while the engine is down.

        Cancelling it is safe.
        """
        return await self._open(self._http_port, self._server.open_http_stream)

    async def open_stream(self) -> trio.abc.Stream:
        """A new stream to the engine, for a client's `open_stream`. The caller closes it.

        Raises:
            trio.ClosedResourceError: The engine was closed.
            OSError: The connection failed; it does so while the engine is down.

        Cancelling it is safe.
        """
        return await self._open(self._port, self._server.open_stream)

    async def _open(self, port: Port | None, open_in_memory: Callable[[], trio.abc.Stream]) -> trio.abc.Stream:
        if self._scope.cancel_called:
            raise trio.ClosedResourceError("the engine was closed")
        if port is not None:
            return await trio.open_tcp_stream(self._host, port.number)
        await trio.lowlevel.checkpoint()
        if self._downs:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the engine is down")
        return open_in_memory()

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

        Raises nothing, and cancelling it is safe. It waits for ever if they do not come: put a time-out around it.
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
        """End every connection without a Close frame, as a broken network does, those of channels as well.

        New ones are accepted.
        """
        self._server.drop_links()

    def drop_channels(self) -> None:
        """End every connection of a channel without a Close frame, at both ends. The channels are spent."""
        self._server.drop_channels()

    def refuse_logins(self, message: str) -> None:
        """Refuse every new connection from now on as the engine does it: it opens, gets an error frame, and a Close."""
        self._server.refusal = message

    def accept_logins(self) -> None:
        """Accept new connections again."""
        self._server.refusal = None

    def refuse_function(self, function_id: str) -> None:
        """Refuse every registration of a function from now on, as if another worker owned it: a worker nobody knows.

        One that is registered already stays, and so does its definition.
        """
        self._core.refused_functions.add(function_id)

    def accept_function(self, function_id: str) -> None:
        """Accept registrations of a function again. Whoever was refused has to ask again: nobody is told."""
        self._core.refused_functions.discard(function_id)

    def never_answers(self, function_id: str) -> None:
        """Swallow every call of a function from now on, whoever makes it: no worker gets it, and nobody an answer.

        The function need not exist.
        """
        self._core.call_faults.swallowed.add(function_id)

    def answers_again(self, function_id: str) -> None:
        """Treat calls of a function as usual again. What was swallowed stays unanswered."""
        self._core.call_faults.swallowed.discard(function_id)

    def answer_twice(self, function_id: str) -> None:
        """Send the caller of a function every answer two times from now on, an error as well as a result."""
        self._core.call_faults.answered_twice.add(function_id)

    def answer_once(self, function_id: str) -> None:
        """Send every answer of a function once again."""
        self._core.call_faults.answered_twice.discard(function_id)

    def lose_early_answers(self, share: float, stored_after: float = 0.02, *, seed: int = 0) -> None:
        """Lose answers that come too early, as the real engine does it, only more often.

        An engine remembers a call only after it has told the worker of it. For some of the calls this now takes a while.
        What comes in the meantime finds no call: an answer is ignored, and the end of the worker or of the caller does
        not end it. Such a call has no answer then, unless its result is sent once more.

        Args:
            share: How many of the calls, between 0 and 1. Those that nobody waits for count as well.
            stored_after: Seconds until such a call is remembered.
            seed: Which of the calls. The same seed picks the same ones out of the same sequence.

        Raises:
            ValueError: The share is not between 0 and 1, or the time is negative.
        """
        if not 0 <= share <= 1 or not stored_after >= 0:
            raise ValueError("the share must be between 0 and 1, and the time not negative")
        faults = self._core.call_faults
        faults.late_share, faults.late_by, faults.chance = share, stored_after, random.Random(seed)  # noqa: S311

    def keep_early_answers(self) -> None:
        """Remember every call at once again. Those that still wait for it are remembered when it is their time."""
        self._core.call_faults.late_share = 0.0

    @property
    def early_answers_lost(self) -> int:
        """How many answers `lose_early_answers` has made the engine ignore so far."""
        return self._core.call_faults.early_answers

    def stall_reading(self) -> None:
        """Take nothing in from any connection, so that what its client sends piles up; new ones get no answer either.

        What the engine has to send is sent. It notices no client's end meanwhile.
        """
        self._server.stall_reading()

    def resume_reading(self) -> None:
        """Take everything in again, beginning with what has piled up."""
        self._server.resume_reading()

    def close_links(self, code: int | None = None, reason: str = "") -> None:
        """Send every connection a Close behind what waits for it already. New ones are accepted.

        A connection ends when its client answers with a Close or leaves, and is dropped after a second at the latest.

        Args:
            code: Any number of 16 bits, also one that no peer may send; None for a Close without a code, which is the
                only one that the real engine sends.
            reason: At most 123 bytes of UTF-8; of no effect without a code.

        Raises:
            ValueError: The code or the reason does not fit into a Close frame.
        """
        if code is not None and not 0 <= code <= 0xFFFF:
            raise ValueError("a code has 16 bits")
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        if len(payload) > _MAX_CLOSE:
            raise ValueError("a reason has at most 123 bytes")
        self._server.close_links(payload)

    async def restart(self, *, down_for: float = 0.0) -> None:
        """End every connection without a Close, forget everything, and come up again, as a process that was killed.

        Workers get new ids, and tokens of before are unknown. The switches stay as they are, and so does what was
        received. An engine that listens comes back on its port.

        Args:
            down_for: Seconds in which connections are refused.

        Raises:
            trio.ClosedResourceError: The engine was closed.

        It returns when the engine is up. Cancelling it brings the engine up at once.
        """
        if self._scope.cancel_called:
            raise trio.ClosedResourceError("the engine was closed")
        self._downs += 1
        if self._downs == 1:
            for port in self._ports():
                port.shut()
        self._server.restart()
        try:
            await trio.sleep(down_for)
        finally:
            self._downs -= 1
            if self._downs == 0:
                for port in self._ports():
                    port.open()

    # ---- its life ---------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Stop: drop every link without a Close frame, and stop listening. Calling it again does nothing.

        Raises nothing. Cancelling it does not keep the engine from stopping.
        """
        self._scope.cancel()
        await self._stopped.wait()

    async def _prepare(self) -> None:
        if self._listens:
            listeners, _ = await open_listeners(self._host, self._asked_port)
            self._port = Port(listeners, self._server.serve)
        if self._asked_http_port is not None:
            try:
                listeners, _ = await open_listeners(self._host, self._asked_http_port)
            except BaseException:
                if self._port is not None:
                    self._port.close()
                raise
            self._http_port = Port(listeners, self._server.serve_http)

    def _ports(self) -> list[Port]:
        return [port for port in (self._port, self._http_port) if port is not None]

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await nursery.start(self._server.run)
                    for port in self._ports():
                        nursery.start_soon(port.run)
                    task_status.started()
        finally:
            self._stopped.set()


def open_engine(
    *,
    host: str | None = None,
    port: int | None = None,
    http_port: int | None = None,
    namespace_grace_ms: int = 5_000,
    http_timeout_ms: int = 30_000,
) -> AbstractAsyncContextManager[EmbeddedEngine]:
    """An engine in this process for the length of a block.

    Functions, triggers, channels, HTTP, state, streams, queues, publish and subscribe, cron and configuration are in it,
    in memory and empty at first.

    Args:
        host: Address to listen on, 127.0.0.1 when only a port is given.
        port: Port to listen on, 0 for a free one, which is also the default when only `host` is given. With neither,
            the engine is reached in memory, through its `open_stream`.
        http_port: Port that serves the bindings of type `http`, 0 for a free one. Without it they are reached in memory,
            through `open_http_stream`.
        namespace_grace_ms: Milliseconds after which a worker that does not register itself is put into the default
            namespace.
        http_timeout_ms: Milliseconds from an HTTP request to the head of its response; after that it is a 504.

    Raises:
        OSError: On entering, when an address cannot be used.

    Leaving the block drops every link without a Close frame.
    """
    engine = EmbeddedEngine(
        grace=namespace_grace_ms / 1_000,
        host=host,
        port=port,
        http_port=http_port,
        http_timeout=http_timeout_ms / 1_000,
    )
    return Opening(engine, engine._prepare, engine._run)
