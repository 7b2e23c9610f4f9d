"""Above the connections: it makes one, watches it, and makes the next when it is lost, until the client is closed."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

import attrs
import trio

from iii_trio._link.bell import Bell
from iii_trio._link.connect import Target, connect, is_fatal
from iii_trio._link.connection import Connection, Liveness
from iii_trio._link.reattach_file import ReattachFile
from iii_trio._link.transport import ConnectFailed, Transport
from iii_trio._options import ReconnectionConfig
from iii_trio._session.backoff import delay, standby_delay
from iii_trio._session.engine_identity import EngineIdentity
from iii_trio._session.events import Conflict, Event, Fatal, Misplaced, Ready, Withdrawn
from iii_trio._session.session import Session
from iii_trio._wire.messages import InvokeFunction, RegisterTrigger, UnregisterTrigger
from iii_trio.errors import (
    AuthenticationError,
    ConfigurationError,
    EngineUnavailable,
    HandshakeRefused,
    IIIError,
)

logger = logging.getLogger("iii_trio")


@attrs.define(eq=False, kw_only=True)
class Supervisor:
    """Keeps a session connected."""

    session: Session
    target: Target
    liveness: Liveness
    backoff: ReconnectionConfig
    open_timeout: float
    close_timeout: float
    on_invocation: Callable[[InvokeFunction], None]
    on_loss: Callable[[str], object]
    """Called with the reason when a connection is gone, and the session knows."""

    on_binding: Callable[[RegisterTrigger | UnregisterTrigger], None] = attrs.field(default=lambda frame: None)
    """Gets the bindings of this worker's trigger types, and their ends."""

    on_ready: Callable[[], object] = attrs.field(default=lambda: None)
    """Called when a connection is ready: the engine has handed over every binding by then."""

    on_change: Callable[[], object] = attrs.field(default=lambda: None)
    """Called when the session's state may have changed."""

    ends_with: Callable[[IIIError, bool], bool | None] | None = None
    """What the user says of a refusal, and whether it is of the first connection: that it ends the client, or does not."""

    reattach_file: ReattachFile | None = None
    """Where the successor of this process finds what it has to retire."""

    bell: Bell = attrs.field(factory=Bell)
    room: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    engine: EngineIdentity = attrs.field(factory=EngineIdentity)
    connects: int = 0
    """Connections that were opened."""

    reconnects: int = 0
    """Times that a client which had been ready before was ready again."""

    connect_failures: int = 0
    """Attempts that led to no connection."""

    last_loss: str | None = None
    """How the last attempt or connection ended."""

    _connection: Connection | None = attrs.field(default=None, init=False)
    _waiting: trio.CancelScope | None = attrs.field(default=None, init=False)
    _fatal: IIIError | None = attrs.field(default=None, init=False)
    _conflict: IIIError | None = attrs.field(default=None, init=False)
    """Why the present connection is given up, if another worker has our name."""

    _given_up: str | None = attrs.field(default=None, init=False)
    """Why it is given up, if the next may be better: the engine refused us otherwise, or has us where we do not belong."""

    _failures: int = attrs.field(default=0, init=False)
    _goodbye: trio.CancelScope | None = attrs.field(default=None, init=False)
    _answer: Any = attrs.field(default=None, init=False)
    """What the engine said of itself before the connection was ready."""

    _was_ready: bool = attrs.field(default=False, init=False)

    @property
    def transport(self) -> Transport | None:
        """The open WebSocket, if there is one."""
        return None if self._connection is None else self._connection.transport

    @property
    def latency(self) -> float | None:
        """Seconds that the last heartbeat of the open connection took, if there was one."""
        return None if self._connection is None else self._connection.latency

    async def run(self) -> IIIError | None:
        """Stay connected until the session is closed; returns the error that ended it otherwise."""
        if self.reattach_file is None:
            return await self._stay_connected()
        await self.reattach_file.load(self.session)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.reattach_file.keep, self.session)
            error = await self._stay_connected()
            nursery.cancel_scope.cancel(reason="the last connection is over")
        await self.reattach_file.save(self.session)
        return error

    async def _stay_connected(self) -> IIIError | None:
        give_up_at = trio.current_time() + self.open_timeout
        while not self.session.is_final:
            refused = await self._attempt()
            if self.session.is_final:
                break
            if self._fatal is not None:
                return self._fatal
            if self._conflict is not None:
                # The engine is there, so nothing has failed, and the time on standby is none that it was away.
                await self._stand_by()
                give_up_at = trio.current_time() + self.open_timeout
                continue
            wait = delay(self._failures, self.backoff, random.random(), refused=refused)  # noqa: S311 - it spreads clients, and keeps no secret
            self._failures += 1
            if self._is_hopeless(trio.current_time() + wait, give_up_at):
                return EngineUnavailable("OFFLINE", f"no engine at {self.target.url}: {self.last_loss}")
            await self._pause(wait)
        return None

    async def flush(self) -> None:
        """Wait until what may be sent was handed to the socket; returns at once without a connection."""
        if self._connection is not None:
            await self._connection.flush()

    def stop(self, close_timeout: float) -> None:
        """End the connection, or the attempt to make one. `run` says goodbye to the engine, for as long, and returns."""
        self.close_timeout = close_timeout
        if self._waiting is not None:
            self._waiting.cancel(reason="the client is being closed")
        if self._connection is not None:
            self.session.closing()
            self._connection.stop()

    def hurry(self, close_timeout: float) -> None:
        """Wait no longer for the end of a goodbye, which may have begun."""
        self.close_timeout = min(self.close_timeout, close_timeout)
        if self._goodbye is not None:
            self._goodbye.deadline = min(self._goodbye.deadline, trio.current_time() + close_timeout)

    def _is_hopeless(self, next_attempt: float, give_up_at: float) -> bool:
        if not self._was_ready and next_attempt > give_up_at:
            return True
        return 0 <= self.backoff.max_retries < self._failures

    async def _attempt(self) -> bool:
        """One connection from its beginning to its end; returns whether the port refused it."""
        failure: Exception | None = None
        self._tell("connect.started", url=str(self.target.url))
        async with trio.open_nursery() as nursery:
            transport = None
            try:
                with trio.CancelScope() as self._waiting:
                    transport = await connect(self.target, nursery, self.bell.ring)
                self._waiting = None
                if transport is not None and not self.session.is_final:
                    await self._carry(transport)
            except (ConnectFailed, AuthenticationError, HandshakeRefused, ConfigurationError) as error:
                failure = error
            nursery.cancel_scope.cancel(reason="the connection is over")
        if failure is not None:
            self._note_failure(failure)
        return isinstance(failure, ConnectFailed) and failure.refused

    async def _carry(self, transport: Transport) -> None:
        """Run the session over an open transport until one of them ends, then close it."""
        self.connects += 1
        last_id = self.session.worker_id
        self.session.connected()
        self._tell("connection.opened", transport=transport.NAME)
        self._connection = connection = Connection(
            transport, self.session, self.liveness, self._handle, bell=self.bell, room=self.room
        )
        reason = "the connection was closed"
        try:
            reason = await connection.run()
        finally:
            self._connection = None
            with trio.move_on_after(0 if connection.is_silent else self.close_timeout, shield=True) as self._goodbye:
                await transport.aclose()
            worker_id = self.session.worker_id
            if connection.is_whole and not self._goodbye.cancelled_caught and worker_id != last_id:
                self.session.ghosts.departed(worker_id)
            if self._conflict is not None:
                reason = str(self._conflict)
            if self._given_up is not None:
                reason, self._given_up = self._given_up, None
            self.last_loss = reason
            self.session.disconnected(reason, trio.current_time())
            self.on_loss(reason)
            self.room.unpark_all()
            self.on_change()
            logger.info("the connection to %s ended: %s", self.target.url, reason)
            self._tell("connection.lost", reason=reason)

    def _note_failure(self, error: Exception) -> None:
        self.connect_failures += 1
        self.last_loss = str(error)
        logger.info("no connection to %s: %s", self.target.url, error)
        self._tell("connect.failed", url=str(self.target.url), reason=str(error))
        if isinstance(error, IIIError) and self._is_fatal(error, is_fatal(error, first=not self._was_ready)):
            self._fatal = error

    def _is_fatal(self, error: IIIError, usually: bool) -> bool:
        """Whether a refusal ends the client: what the user says of it, or what is usual."""
        if self.ends_with is None:
            return usually
        try:
            answer = self.ends_with(error, not self._was_ready)
        except Exception:  # a bug of the user's is no reason to end, nor to go on
            logger.exception("InitOptions.is_fatal failed")
            return usually
        return usually if answer is None else answer

    def _handle(self, event: Event) -> None:
        if type(event) is InvokeFunction:
            self.on_invocation(event)
        elif isinstance(event, (RegisterTrigger, UnregisterTrigger)):
            self.on_binding(event)
        elif isinstance(event, Ready):
            self._failures = 0
            self.reconnects += self._was_ready
            self._was_ready = True
            self.session.renew(trio.current_time())
            self.on_ready()
            self.on_change()
            self._tell("connection.ready", worker_id=self.session.worker_id)
            self._compare()
        elif isinstance(event, Withdrawn):
            self.on_change()
        elif isinstance(event, Fatal):
            if self._is_fatal(event.error, True):
                self._fatal = event.error
            else:
                self._given_up = str(event.error)
            self.stop(self.close_timeout)
        elif isinstance(event, Conflict):
            self._conflict = event.error
            self.stop(self.close_timeout)
        elif isinstance(event, Misplaced):
            logger.warning("%s; the connection is renewed", event.reason)
            self._given_up = event.reason
            self.stop(self.close_timeout)

    def hear(self, answer: Any) -> None:
        """Take what the engine says of itself, and compare it as soon as the connection is ready."""
        self._answer = answer
        if self.session.is_ready:
            self._compare()

    def _compare(self) -> None:
        """What was only in the engine's memory is gone with it; the link alone tells nothing of that."""
        answer, self._answer = self._answer, None
        if self.engine.learn(answer):
            logger.info("the engine at %s was restarted", self.target.url)
            self.session.on_move(None, "the engine was restarted", "session_lost")
            self._tell("engine.restarted")

    def _tell(self, event: str, **facts: Any) -> None:
        if self.session.trace is not None:
            self.session.trace(event, **facts)

    async def _stand_by(self) -> None:
        """Wait until it is time to ask for our name again."""
        self._conflict, self._failures = None, 0
        await self._pause(standby_delay(random.random()))  # noqa: S311 - it spreads clients, and keeps no secret

    async def _pause(self, seconds: float) -> None:
        with trio.CancelScope() as self._waiting:
            await trio.sleep(seconds)
        self._waiting = None
