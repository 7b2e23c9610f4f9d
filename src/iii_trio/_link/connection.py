"""The three tasks of one connection: reader, writer, heartbeat. They live and die together, and nothing outlives them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
import trio

from iii_trio._link.bell import Bell
from iii_trio._link.transport import LinkLost, Transport
from iii_trio._session.events import Event
from iii_trio._session.session import Session
from iii_trio._session.states import Connection as State

_BATCH: Final = 256 * 1024
"""Bytes that are handed to the socket in one go: what is handed over counts as sent, so it is not more than it takes to
make system calls cheap."""

_LATE: Final = 1.0
"""Seconds by which the heartbeat may wake too late before the loop, and not the engine, is what it complains about."""


@attrs.frozen(kw_only=True)
class Liveness:
    """Seconds after which silence means something."""

    greeting_timeout: float
    """The engine's first word comes within this, and after it the answers to the replay within as much silence, or the
    attempt has failed."""

    heartbeat_interval: float
    """Silence after which the engine is pinged."""

    heartbeat_timeout: float
    """Silence after which the link is lost. A replay takes no longer even when the engine is not silent."""


@attrs.define(eq=False)
class Connection:
    """One open WebSocket and the session that it carries."""

    transport: Transport
    session: Session
    liveness: Liveness
    on_event: Callable[[Event], None]
    """Called by the reader for what the session does not settle itself; it must not block."""

    bell: Bell
    """Rung when there is something to send."""

    room: trio.lowlevel.ParkingLot
    """Where those wait who found the outbox full."""

    is_silent: bool = attrs.field(default=False, init=False)
    """Whether it was given up because the engine said nothing: a goodbye would only wait for more silence."""

    is_whole: bool = attrs.field(default=True, init=False)
    """Whether it was not lost, nor given up in the middle of a frame: only then can the engine hear a goodbye."""

    latency: float | None = attrs.field(default=None, init=False)
    """Seconds from the last heartbeat's ping to its pong."""

    _idle: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _writing: bool = attrs.field(default=False, init=False)
    _is_over: bool = attrs.field(default=False, init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _blocked: float = attrs.field(default=0.0, init=False)
    """Seconds of the present silence in which our own loop did not run, as far as it was noticed."""

    _loss: str = attrs.field(default="the connection was closed", init=False)

    async def run(self) -> str:
        """Move frames until the connection is lost or `stop` is called; returns how it ended, for people."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for loop in (self._read, self._write, self._watch):
                        nursery.start_soon(self._until_lost, loop)
        finally:
            self._is_over = True
            self._idle.unpark_all()
        return self._loss

    def stop(self) -> None:
        """End the three tasks, so that the transport can be closed."""
        self._scope.cancel(reason="the connection is being closed")

    async def flush(self) -> None:
        """Wait until everything that may be sent was handed to the socket, or the connection is over."""
        while not self._is_over and (self._writing or self.transport.has_pending or self._has_output()):
            await self._idle.park()

    def _has_output(self) -> bool:
        outbox = self.session.outbox
        again = outbox.again.frames or self.session.healing
        calls = outbox.calls.frames and self.session.is_ready
        return bool(outbox.first.frames or outbox.results.frames or again or calls)

    async def _until_lost(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except LinkLost as error:
            self._loss, self.is_whole = str(error), False
            self._scope.cancel(reason=f"the link is lost: {error}")

    async def _read(self) -> None:
        while True:
            messages = await self.transport.receive()
            if self.session.trace is not None:
                self.session.trace("frame.received", frames=len(messages))
            for message in messages:
                event = self.session.receive(message)
                if event is not None:
                    self.on_event(event)
            if self.session.answered_ping is not None:
                self.latency = trio.current_time() - self.session.answered_ping
                self.session.answered_ping = None

    async def _write(self) -> None:
        while True:
            batch = self.session.take(_BATCH)
            if not batch and not self.transport.has_pending:
                self._idle.unpark_all()
                await self.bell.wait()
                continue
            self.room.unpark_all()
            self._writing = True
            try:
                await self.transport.send(batch)
            except trio.Cancelled:
                self.is_whole = False
                raise
            finally:
                self._writing = False
            if self.session.trace is not None and batch:
                self.session.trace("frame.sent", frames=len(batch), bytes=sum(map(len, batch)))
            if self.session.outbox.frames:  # a socket that takes everything lets nobody else run
                await trio.lowlevel.checkpoint()

    async def _watch(self) -> None:
        """Ping after some silence, and give the connection up after more.

        Any byte counts as life and only silence is pinged: the engine answers pings from the queue that calls use, so a
        late pong means a busy link and silence a dead one (docs/engine.md, "Liveness").
        """
        opened, pinged, last_heard = trio.current_time(), -math.inf, -math.inf
        while True:
            now, heard = trio.current_time(), self.transport.last_received
            if heard != last_heard:
                self._blocked, last_heard = 0.0, heard
            give_up_at, reason = self._patience(opened, heard)
            if now >= give_up_at:
                self.is_silent = True
                raise LinkLost(self._with_blame(reason))
            # Compared as it is slept for: with `now - heard` rounding could make the due ping early, for ever.
            if now >= max(heard, pinged) + self.liveness.heartbeat_interval:
                self.session.ping(now)
                pinged = now
            await self._sleep_until(min(give_up_at, max(heard, pinged) + self.liveness.heartbeat_interval))

    async def _sleep_until(self, planned: float) -> None:
        await trio.sleep_until(planned)
        late = trio.current_time() - planned
        if late >= _LATE:
            self._blocked += late
            # What came meanwhile lies in the socket, and the reader is awake: it tells before anybody is blamed.
            await trio.lowlevel.checkpoint()

    def _with_blame(self, reason: str) -> str:
        if self._blocked:
            return f"our own event loop was blocked for {self._blocked:.3g} s, and nothing was received: {reason}"
        return reason

    def _patience(self, opened: float, heard: float) -> tuple[float, str]:
        """When the engine will have been waited for long enough, and how that is put."""
        greeting, silence = self.liveness.greeting_timeout, self.liveness.heartbeat_timeout
        state = None if self.session.connection is None else self.session.connection.state
        if state is State.OPENING:
            return opened + greeting, f"the engine did not greet within {greeting:g} s"
        if state in (State.GREETED, State.REPLAYING):
            return min(heard + greeting, opened + greeting + silence), "the engine did not answer the registration"
        return heard + silence, f"the engine was silent for {silence:g} s"
