"""The engine without I/O: messages of workers go in, messages to workers come out of their connections.

Time is an argument, and what is random can be given. A shell calls `connect`, `receive` and `disconnect`, sends what it
finds in a connection's outbox, and calls `tick` when `next_deadline` has come (docs/engine.md, "The embedded engine").
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from iii_trio._embedded import encoder
from iii_trio._embedded.channels import Channels
from iii_trio._embedded.clock import Clock
from iii_trio._embedded.configuration import configuration
from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection, Phase
from iii_trio._embedded.cron import cron
from iii_trio._embedded.decoder import Undecodable, decode
from iii_trio._embedded.engine_part import WORKERS_AVAILABLE, engine_part
from iii_trio._embedded.http_routes import Routes
from iii_trio._embedded.introspection import ENGINE_WORKER, Introspection
from iii_trio._embedded.invocations import CallFaults, Invocations
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.pubsub import pubsub
from iii_trio._embedded.queues import queues
from iii_trio._embedded.registering import REGISTER, Announcement, read_announcement
from iii_trio._embedded.registry import Finish, Function, Registry
from iii_trio._embedded.state import state
from iii_trio._embedded.streams import streams
from iii_trio._embedded.tracing import NO_TRACE, Trace
from iii_trio._embedded.triggers import Triggers
from iii_trio._wire.messages import (
    Frame,
    InvocationResult,
    InvokeFunction,
    Json,
    Ping,
    Reattach,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
    TelemetryFrame,
    TriggerRegistrationResult,
    UnregisterFunction,
    UnregisterTrigger,
)

DEFAULT_GRACE: Final = 5.0
"""Seconds that registrations wait for `engine::workers::register`."""

PARTS: Final[tuple[Callable[[Host], Part], ...]] = (state, streams, queues, pubsub, cron, configuration)
"""What this engine has beside the engine's own functions."""

_KEPT_UNDECODABLE: Final = 1_000
_KEPT_CHARACTERS: Final = 4_096
_KEPT_TELEMETRY: Final = 1_000

FUNCTION_CONFLICT: Final = "FUNCTION_NAMESPACE_CONFLICT"
WORKER_CONFLICT: Final = "WORKER_NAMESPACE_CONFLICT"

# What waits until the connection's namespace is known. (docs/engine.md, "Namespaces")
_PARKED: Final = frozenset(
    {RegisterFunction, UnregisterFunction, RegisterTriggerType, RegisterTrigger, UnregisterTrigger, RegisterService}
)


@attrs.frozen
class UndecodableMessage:
    """A message that the engine dropped without an answer."""

    connection_id: str
    reason: str
    raw: str | bytes
    """Its beginning."""


def _new_id() -> str:
    return str(uuid.uuid4())


def _epoch_ms() -> int:
    return int(time.time() * 1_000)


@attrs.define(kw_only=True)
class Engine:
    """Every worker's connection, and what happens between them."""

    grace: float = DEFAULT_GRACE
    """Seconds until a connection's namespace is fixed without its help."""
    new_id: Callable[[], str] = _new_id
    """Makes worker ids, tokens, receipts, and ids of calls that have none."""
    epoch_ms: Callable[[], int] = _epoch_ms
    """The wall clock, for `connected_at_ms`."""
    on_frame: Callable[[Connection, Frame | TelemetryFrame], None] | None = None
    """Told of every decoded frame before it takes effect."""
    on_alarm: Callable[[], None] | None = None
    """Called when `next_deadline` becomes earlier than it was."""
    undecodable: deque[UndecodableMessage] = attrs.field(
        factory=lambda: deque(maxlen=_KEPT_UNDECODABLE), init=False, repr=False
    )
    """The newest messages that were dropped."""
    telemetry: deque[TelemetryFrame] = attrs.field(
        factory=lambda: deque(maxlen=_KEPT_TELEMETRY), init=False, repr=False
    )
    """The newest telemetry frames."""
    refused_functions: set[str] = attrs.field(factory=set, init=False, repr=False)
    """A fault: ids that are refused as if somebody else owned them."""
    call_faults: CallFaults = attrs.field(factory=CallFaults, init=False, repr=False)
    channels: Channels = attrs.field(init=False, repr=False)
    """Every channel; a new register after a restart."""
    routes: Routes = attrs.field(init=False, repr=False)
    """Who serves which HTTP request; a new register after a restart."""
    _started_at_ms: int = attrs.field(default=-1, init=False, repr=False)
    """Later than before a restart, however short it was."""
    _clock: Clock = attrs.field(init=False, repr=False)
    _registry: Registry = attrs.field(init=False, repr=False)
    _triggers: Triggers = attrs.field(init=False, repr=False)
    _invocations: Invocations = attrs.field(init=False, repr=False)
    _handlers: Mapping[type[Any], Callable[[Connection, Any], None]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._clock = Clock(epoch_ms=self.epoch_ms, on_alarm=self._set_alarm)
        self._start()

    def _start(self) -> None:
        """Begin with nothing but the builtins."""
        self._clock.clear()
        self._registry = Registry()
        self._invocations = Invocations(self._registry, self._clock, self.new_id, self.call_faults)
        self._triggers = Triggers(self._clock, self._invocations)
        self.channels = Channels(self._clock, self.new_id)
        self.routes = Routes()
        self._handlers = {
            InvokeFunction: self._invocations.invoke,
            InvocationResult: self._invocations.settle,
            RegisterFunction: self._register_function,
            UnregisterFunction: self._unregister_function,
            RegisterTriggerType: self._triggers.register_type,
            RegisterTrigger: self._triggers.register,
            TriggerRegistrationResult: self._triggers.hear,
            UnregisterTrigger: self._triggers.unregister_frame,
            Reattach: self._reattach,
            Ping: self._ping,
            TelemetryFrame: self._keep_telemetry,
        }
        self._started_at_ms = max(self.epoch_ms(), self._started_at_ms + 1)
        host = Host(
            clock=self._clock,
            registry=self._registry,
            calls=self._invocations,
            triggers=self._triggers,
            channels=self.channels,
            new_id=self.new_id,
        )
        parts = [*(make(host) for make in PARTS), self.routes.part()]
        register = Function(
            id=REGISTER, description="Register worker metadata", run=self._register_worker, worker=ENGINE_WORKER
        )
        introspection = Introspection(self._registry, self._triggers, parts, self._started_at_ms)
        parts.append(engine_part(host, introspection, register))
        for part in parts:
            for function in part.functions:
                self._registry.put(function)
            for trigger_type in part.trigger_types:
                self._triggers.provide(trigger_type)

    def _set_alarm(self) -> None:
        if self.on_alarm is not None:
            self.on_alarm()

    # ---- what the shell calls ---------------------------------------------------------------------------------------

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The live ones, oldest first."""
        return tuple(self._registry.connections.values())

    def connect(self, now: float, *, ip_address: str, wake: Callable[[], None], drop: Callable[[], None]) -> Connection:
        """Take in a worker, and greet it.

        Args:
            now: Seconds of a clock that never goes back.
            ip_address: Where it comes from.
            wake: Called whenever an empty outbox gets something.
            drop: Called once, when the engine wants the connection to end without a Close.
        """
        self._clock.now = now
        connection = Connection(
            id=self.new_id(),
            reattach_token=self.new_id(),
            ip_address=ip_address,
            connected_at_ms=self.epoch_ms(),
            wake=wake,
            drop=drop,
            grace_ends=now + self.grace,
        )
        self._registry.connections[connection.id] = connection
        connection.send(encoder.worker_registered(connection.id, connection.reattach_token))
        self._tell("worker_connected", connection)
        self._clock.settle()
        return connection

    def receive(self, connection: Connection, message: str | bytes, now: float | None = None) -> None:
        """Act on one message; one that cannot be decoded is only remembered, one of a dead connection is not read.

        A reader may have taken it in before it heard of the end, and nothing may be filed under a worker that left.

        Args:
            connection: Whose message it is.
            message: Text, or bytes.
            now: The time, on the clock of `connect`; the one that the engine was told last when left out.
        """
        if connection.phase is Phase.GONE:
            return
        if now is not None:
            self._clock.now = now
        try:
            frame = decode(message)
        except Undecodable as error:
            self.undecodable.append(UndecodableMessage(connection.id, str(error), message[:_KEPT_CHARACTERS]))
            return
        if frame is None:
            return
        if self.on_frame is not None:
            self.on_frame(connection, frame)
        if connection.namespace is None and type(frame) in _PARKED:
            connection.parked.append(frame)
        else:
            self._apply(connection, frame)
            self._clock.settle()

    def disconnect(self, connection: Connection) -> None:
        """Tear down what a connection has; nothing happens the second time."""
        if connection.phase is Phase.GONE:
            return
        connection.phase = Phase.GONE
        connection.grace_ends = connection.ends_at = None
        connection.parked.clear()
        connection.outbox.clear()
        for function_id in list(connection.functions):
            self._registry.withdraw(connection, function_id)
        self._invocations.stop(connection)
        self._triggers.forget(connection)
        self._registry.release_names(connection)
        del self._registry.connections[connection.id]
        connection.drop()
        self._tell("worker_disconnected", connection)
        self._clock.settle()

    def call(
        self,
        now: float,
        namespace: str,
        function_id: str,
        data: Json,
        *,
        metadata: Json = None,
        trace: Trace = NO_TRACE,
        finish: Finish,
    ) -> None:
        """Call a function for somebody who is no worker; `finish` is told how it ended, before or after this returns."""
        self._clock.now = now
        self._invocations.call(namespace, function_id, data, metadata=metadata, trace=trace, finish=finish)
        self._clock.settle()

    def next_deadline(self) -> float | None:
        """When `tick` has something to do, on the clock of `connect`; None for never."""
        connections = self._registry.connections.values()
        deadlines = [
            # All of them wait equally long, so the oldest that still waits is the first.
            next((c.grace_ends for c in connections if c.grace_ends is not None), None),
            min((c.ends_at for c in connections if c.ends_at is not None), default=None),
            self._clock.next_deadline(),
        ]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now: float) -> None:
        """Fix the default namespace where the grace period is over, drop who was to leave, let alarms go off."""
        self._clock.tick(now)
        for connection in self.connections:
            if connection.ends_at is not None and connection.ends_at <= now:
                self.disconnect(connection)
            elif connection.grace_ends is not None and connection.grace_ends <= now:
                self._fix_namespace(connection, DEFAULT_NAMESPACE)

    # ---- faults -----------------------------------------------------------------------------------------------------

    def close(self, connection: Connection, payload: bytes, ends_at: float) -> None:
        """Send a Close behind what waits already; whoever does not leave then is dropped at `ends_at`."""
        connection.close(payload)
        connection.grace_ends, connection.ends_at = None, ends_at

    def restart(self) -> None:
        """Drop every connection and forget everything about them, as a new process would.

        The faults stay, and so does what was kept for tests.
        """
        for connection in self.connections:
            self.disconnect(connection)
        self._start()

    # ---- what workers ask for ---------------------------------------------------------------------------------------

    def _apply(self, connection: Connection, frame: Any) -> None:
        # The rest is accepted without effect: services as on the real engine.
        handler = self._handlers.get(type(frame))
        if handler is not None:
            handler(connection, frame)

    def _fix_namespace(self, connection: Connection, namespace: str) -> None:
        connection.namespace = namespace
        connection.grace_ends = None
        while connection.parked:
            self._apply(connection, connection.parked.popleft())

    def _register_worker(self, caller: Connection | None, data: Json) -> Json:
        """`engine::workers::register`: the worker's name and namespace, and the end of its waiting registrations."""
        announcement: Announcement = read_announcement(data)
        if caller is None:
            # A binding may call it with a payload that names a worker; nobody announces himself like that.
            return {"success": False}
        namespace = announcement.namespace if caller.namespace is None else caller.namespace
        name = announcement.profile.name
        holder = self._registry.claim_name(namespace, name, caller) if name is not None else None
        if holder is not None:
            caller.grace_ends = None
            caller.send(
                encoder.registration_rejected(
                    WORKER_CONFLICT, namespace=namespace, owner_id=holder.id, worker_name=name
                )
            )
            caller.close()
            return {"success": False}
        caller.profile = announcement.renew(caller.profile)
        if caller.namespace is None:
            self._fix_namespace(caller, namespace)
        self._tell("worker_metadata_updated", caller)
        return {"success": True}

    def _tell(self, event: str, worker: Connection) -> None:
        self._triggers.fire(WORKERS_AVAILABLE, {"event": event, "worker_id": worker.id})

    def _register_function(self, connection: Connection, frame: RegisterFunction) -> None:
        namespace = connection.home
        if frame.id in self.refused_functions:
            self._reject_function(connection, frame.id, self.new_id())
            return
        if frame.id.startswith("engine::") and namespace != DEFAULT_NAMESPACE:
            self._reject_function(connection, frame.id, "")
            return
        if frame.invocation is not None:
            # Without the worker that serves them, functions by HTTP do not come into being, and nobody is told.
            return
        holder = self._registry.put(
            Function(
                id=frame.id,
                namespace=namespace,
                description=frame.description,
                request_format=frame.request_format,
                response_format=frame.response_format,
                metadata=frame.metadata,
                owner=connection,
            )
        )
        if holder is not None:
            self._reject_function(connection, frame.id, holder.id)

    def _reject_function(self, connection: Connection, function_id: str, owner_id: str) -> None:
        connection.send(
            encoder.registration_rejected(
                FUNCTION_CONFLICT, namespace=connection.home, owner_id=owner_id, function_id=function_id
            )
        )

    def _unregister_function(self, connection: Connection, frame: UnregisterFunction) -> None:
        self._registry.withdraw(connection, frame.id)

    def _reattach(self, connection: Connection, frame: Reattach) -> None:
        """Retire the connection that this one replaces, if it proves to be its own."""
        previous = self._registry.connections.get(frame.previous_worker_id)
        if previous is not None and previous is not connection and frame.reattach_token == previous.reattach_token:
            self.disconnect(previous)

    def _ping(self, connection: Connection, _: Ping) -> None:
        connection.send(encoder.PONG)

    def _keep_telemetry(self, _: Connection, frame: TelemetryFrame) -> None:
        self.telemetry.append(frame)
