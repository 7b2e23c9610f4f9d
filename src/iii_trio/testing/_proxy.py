"""A TCP proxy for tests that stands between a client and an engine, and breaks what passes through it."""

from __future__ import annotations

import math
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, Literal, TypeAlias

import attrs
import trio

from iii_trio._embedded.server import LOOPBACK, open_listeners, url_of
from iii_trio.testing._opening import Opening
from iii_trio.testing._port import Port

Side: TypeAlias = Literal["client", "engine"]
"""Whom bytes are for."""

_CHUNK: Final = 65_536
_BUFFER: Final = 1024 * 1024
"""Bytes that one direction of a connection holds back; then its sender is not read from."""
_TURN: Final = 0.02
"""Seconds of a throttled direction that are sent at once."""
# How the system takes "on, and wait for nothing": a close with it is a reset.
_RESET: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@attrs.frozen(kw_only=True)
class ProxyCounters:
    """What has gone through a `FaultProxy` since it was opened."""

    accepted: int = 0
    """Connections that were taken in; one that was refused leaves no trace."""
    open: int = 0
    """Present connections: those with both sides, and those of clients that are met with silence."""
    held: int = 0
    """Connections of which only the engine's side is left."""
    bytes_to_client: int = 0
    """Handed to the system, for clients."""
    bytes_to_engine: int = 0
    """Handed to the system, for the engine."""
    bytes_swallowed: int = 0
    """Taken from either side, and handed to nobody."""


@attrs.define(eq=False)
class _Lane:
    """One direction of one connection: bytes that wait for their time, at most `_BUFFER`."""

    side: Side
    source: trio.SocketStream = attrs.field(init=False)
    sink: trio.SocketStream | None = attrs.field(default=None, init=False)
    """None until both sides are there; switches work before."""
    cut_after: int | None = None
    """Bytes until the connection ends; None for never."""
    is_shut: bool = False
    """Whether the sink was told that nothing more comes; the rest is swallowed."""
    waiting: deque[tuple[float, bytes]] = attrs.field(factory=deque)
    """When each piece came, and the piece; an empty one is the end."""
    size: int = 0
    changed: trio.Event = attrs.field(factory=trio.Event)

    def notify(self) -> None:
        """Have both tasks of the lane look again."""
        self.changed.set()
        self.changed = trio.Event()


@attrs.define(eq=False)
class _Connection:
    """A client, and, as soon as it is there, the engine's side."""

    client: trio.SocketStream
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    engine: trio.SocketStream | None = None
    lanes: tuple[_Lane, _Lane] = attrs.field(factory=lambda: (_Lane("engine"), _Lane("client")))
    is_held: bool = False
    is_ended: bool = False

    def end(self, *, reset: bool = False) -> None:
        """Close what it has, at once."""
        # The tasks are cancelled first: they must not see their sockets closed by somebody else.
        self.is_ended = True
        self.scope.cancel()
        for stream in (self.client, self.engine):
            if stream is not None:
                _close(stream, reset=reset)


class FaultProxy:
    """A proxy in this process. Made by `open_fault_proxy`, and of use until that block is left.

    The switches `refuse` and `be_silent` are about connections that come; `delay`, `throttle` and `blackhole` about all
    bytes from now on, those of present connections and those that wait in the proxy; the other ones about present
    connections, once. `pass_again` switches everything off. No switch waits, and none can fail.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._port: Port
        self._is_silent = False
        self._delay = 0.0
        self._rate = math.inf
        self._is_black = False
        self._next_cut: tuple[Side, int] | None = None
        self._connections: dict[_Connection, None] = {}
        self._counters = ProxyCounters()
        self._news = trio.lowlevel.ParkingLot()

    # ---- how to reach it, and what it saw ---------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port on the loopback interface. It stays the same, also while connections are refused."""
        return self._port.number

    @property
    def url(self) -> str:
        """What a client takes as the engine's URL."""
        return url_of(LOOPBACK, self.port)

    @property
    def counters(self) -> ProxyCounters:
        """What has happened so far."""
        return self._counters

    async def wait_until(self, condition: Callable[[ProxyCounters], bool]) -> None:
        """Wait until the counters are as the condition wants them: ``lambda seen: seen.accepted == 2``.

        Raises what the condition raises, and cancelling it is safe. It waits for ever if they never are: put a time-out
        around it.
        """
        await trio.lowlevel.checkpoint()
        while not condition(self._counters):
            await self._news.park()

    def _count(self, **more: int) -> None:
        changed = {name: getattr(self._counters, name) + number for name, number in more.items()}
        self._counters = attrs.evolve(self._counters, **changed)
        self._news.unpark_all()

    @contextmanager
    def _counting(self, name: str) -> Iterator[None]:
        self._count(**{name: 1})
        try:
            yield
        finally:
            self._count(**{name: -1})

    # ---- connections that come --------------------------------------------------------------------------------------

    def refuse(self) -> None:
        """Refuse connections, as a port does on which nobody listens. Present ones go on."""
        self._port.shut()

    def accept(self) -> None:
        """Take connections in again, and lead them to the engine."""
        self._is_silent = False
        self._port.open()

    def be_silent(self) -> None:
        """Take connections in and say nothing to them, not even once `accept` was called. The engine sees none of it."""
        self._is_silent = True
        self._port.open()

    # ---- bytes ------------------------------------------------------------------------------------------------------

    def delay(self, seconds: float) -> None:
        """Let every byte take so long, in each direction. Beyond a mebibyte on its way, its sender has to wait.

        Raises:
            ValueError: It is negative.
        """
        if not seconds >= 0:
            raise ValueError("a delay is not negative")
        self._delay = seconds
        self._notify()

    def throttle(self, bytes_per_second: float) -> None:
        """Let no more than so many bytes a second through, in each direction of each connection.

        Raises:
            ValueError: It is not positive.
        """
        if not bytes_per_second > 0:
            raise ValueError("a rate is positive")
        self._rate = bytes_per_second
        self._notify()

    def blackhole(self) -> None:
        """Swallow every byte, and hold back every end: nobody hears anything, and nobody is told.

        A connection that has lost bytes makes no sense afterwards.
        """
        self._is_black = True
        self._notify()

    def pass_again(self) -> None:
        """Switch everything off: connections are taken in, and bytes pass. What was cut or is held stays so."""
        self._delay, self._rate, self._is_black, self._next_cut = 0.0, math.inf, False, None
        for connection in self._connections:
            for lane in connection.lanes:
                lane.cut_after = None
        self._notify()
        self.accept()

    def _notify(self) -> None:
        for connection in self._connections:
            for lane in connection.lanes:
                lane.notify()

    # ---- present connections ----------------------------------------------------------------------------------------

    def cut(self) -> None:
        """End both sides of every present connection without a word, and every side that is held."""
        for connection in list(self._connections):
            connection.end()

    def cut_after(self, side: Side, size: int) -> None:
        """End every present connection as `cut` does, once so many more bytes have been sent to one side of it.

        Where it falls in the middle of a frame, that side has the beginning of the frame.

        Raises:
            ValueError: The size is not positive.
        """
        _check_size(size)
        for connection in self._connections:
            for lane in connection.lanes:
                if lane.side == side:
                    lane.cut_after = size

    def cut_next_after(self, side: Side, size: int) -> None:
        """End the next connection that comes once so many bytes have been sent to one side of it. Further ones pass.

        Raises:
            ValueError: The size is not positive.
        """
        _check_size(size)
        self._next_cut = (side, size)

    def reset(self) -> None:
        """End both sides of every present connection with a reset (RST): what they still had to read is lost."""
        for connection in list(self._connections):
            connection.end(reset=True)

    def half_close(self, side: Side) -> None:
        """Tell one side of every present connection that nothing more comes. What it sends goes on to the other side."""
        for connection in self._connections:
            for lane in connection.lanes:
                if lane.side == side:
                    _shut(lane)
                    lane.notify()

    def hold_engine(self) -> None:
        """End the client's side of every present connection, and keep the engine's side: it sees a client that is quiet.

        What the engine sends there is swallowed. It lasts until `release_engine`, or until the engine lets go.
        """
        for connection in self._connections:
            if connection.engine is not None and not connection.is_held:
                connection.is_held = True
                connection.scope.cancel()
                _close(connection.client)

    def release_engine(self) -> None:
        """End the engine's sides that are held."""
        for connection in list(self._connections):
            if connection.is_held:
                connection.end()

    # ---- its life ---------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        listeners, _ = await open_listeners(LOOPBACK, 0)
        self._port = Port(listeners, self._serve)

    async def _run(self, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await self._port.run()

    async def _serve(self, client: trio.SocketStream) -> None:
        """The life of one connection, and of what is left of it."""
        connection = _Connection(client)
        self._connections[connection] = None
        self._count(accepted=1)
        try:
            with connection.scope:
                await (self._be_silent(client) if self._is_silent else self._connect(connection))
            if connection.is_held and connection.engine is not None and not connection.is_ended:
                with trio.CancelScope() as connection.scope:
                    await self._hold(connection.engine)
        finally:
            connection.end()
            del self._connections[connection]

    async def _be_silent(self, client: trio.SocketStream) -> None:
        with self._counting("open"):
            await self._ignore(client)

    async def _hold(self, engine: trio.SocketStream) -> None:
        with self._counting("held"):
            await self._ignore(engine)

    async def _ignore(self, stream: trio.SocketStream) -> None:
        """Read until the end."""
        try:
            while data := await stream.receive_some(_CHUNK):
                self._count(bytes_swallowed=len(data))
        except trio.BrokenResourceError:
            return

    async def _connect(self, connection: _Connection) -> None:
        cut, self._next_cut = self._next_cut, None
        try:
            engine = await trio.open_tcp_stream(*self._target)
        except OSError:
            connection.end(reset=True)
            return
        connection.engine = engine
        to_engine, to_client = connection.lanes
        to_engine.source, to_engine.sink = connection.client, engine
        to_client.source, to_client.sink = engine, connection.client
        for lane in connection.lanes:
            if cut is not None and cut[0] == lane.side:
                lane.cut_after = cut[1]
            if lane.is_shut:
                _shut(lane)
        with self._counting("open"):
            async with trio.open_nursery() as nursery:
                for lane in connection.lanes:
                    nursery.start_soon(self._take, connection, lane)
                    nursery.start_soon(self._give, connection, lane)

    async def _take(self, connection: _Connection, lane: _Lane) -> None:
        """Read one side, as far as there is room."""
        try:
            while True:
                while lane.size >= _BUFFER:
                    await lane.changed.wait()
                data = bytes(await lane.source.receive_some(_CHUNK))
                lane.waiting.append((trio.current_time(), data))
                lane.size += len(data)
                lane.notify()
                if not data:
                    return
        except trio.BrokenResourceError:
            # A reset travels on, but not out of a black hole.
            while self._is_black:
                await lane.changed.wait()
            connection.end(reset=True)

    async def _give(self, connection: _Connection, lane: _Lane) -> None:
        """Send to the other side what has waited long enough."""
        try:
            while True:
                piece = await self._next(lane)
                if not piece:
                    break
                if self._is_black or lane.is_shut:
                    self._count(bytes_swallowed=len(piece))
                    continue
                assert lane.sink is not None, "it runs between two sides"
                # A switch that comes while this piece is sent counts from the next one.
                rate, is_last = self._rate, lane.cut_after == len(piece)
                if lane.cut_after is not None:
                    lane.cut_after -= len(piece)
                try:
                    await lane.sink.send_all(piece)
                except trio.BrokenResourceError:
                    if lane.is_shut:
                        continue  # It was, in the middle of this piece.
                    raise
                self._count(**{f"bytes_to_{lane.side}": len(piece)})
                if is_last:
                    connection.end()
                    return
                await self._pace(lane, len(piece), rate)
            _shut(lane)
        except trio.BrokenResourceError:
            connection.end(reset=True)

    async def _next(self, lane: _Lane) -> bytes:
        """The next piece whose time has come, no longer than it may be; none at the end."""
        while True:
            due = math.inf
            if lane.waiting:
                came, data = lane.waiting[0]
                if not self._is_black:
                    due = came + self._delay
                elif data:
                    due = -math.inf
                if due <= trio.current_time():
                    break
            with trio.move_on_at(due):
                await lane.changed.wait()
        lane.waiting.popleft()
        size = len(data)
        if self._rate < math.inf:
            size = max(1, int(self._rate * _TURN))
        if lane.cut_after is not None:
            size = min(size, lane.cut_after)
        piece, rest = data[:size], data[size:]
        if rest:
            lane.waiting.appendleft((came, rest))
        lane.size -= len(piece)
        lane.notify()
        return piece

    async def _pace(self, lane: _Lane, size: int, rate: float) -> None:
        """Wait as long as the bytes before take, or until there is another rate."""
        until = trio.current_time() + size / rate
        while self._rate == rate and trio.current_time() < until:
            with trio.move_on_at(until):
                await lane.changed.wait()


def open_fault_proxy(target_host: str, target_port: int) -> AbstractAsyncContextManager[FaultProxy]:
    """A proxy on a free port of the loopback interface for the length of a block, with faults to switch on.

    Args:
        target_host: Where the engine listens. It is asked anew for every connection; one that it refuses ends with a
            reset.
        target_port: On which port.

    Raises:
        OSError: On entering, when there is no port.

    Its sockets are real: times are real ones too, unless the test brings a clock of its own. Leaving the block ends every
    connection, in no time.
    """
    proxy = FaultProxy(target_host, target_port)
    return Opening(proxy, proxy._prepare, proxy._run)


def _check_size(size: int) -> None:
    if not size > 0:
        raise ValueError("a cut comes after one byte at the earliest")


def _shut(lane: _Lane) -> None:
    """Tell the sink that nothing more comes. Not by `send_eof`: a send may be under way, and has to fail."""
    lane.is_shut = True
    if lane.sink is None:
        return
    try:
        lane.sink.socket.shutdown(socket.SHUT_WR)
    except OSError:
        return  # It is gone already.


def _close(stream: trio.SocketStream, *, reset: bool = False) -> None:
    if reset and stream.socket.fileno() >= 0:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    stream.socket.close()
