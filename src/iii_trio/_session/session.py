"""One client's side of the protocol: what to send next, and what each frame of the engine means.

The link hands in what the socket gave (`receive`), takes what is to be sent (`take`), and says when a connection begins
and ends. The client registers, calls and answers. Both are woken through callbacks, because a call that ends is somebody's
task that sleeps. Nothing here blocks, raises because of a peer, or knows what time it is.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from iii_trio._options import OnConflict
from iii_trio._session import states
from iii_trio._session.calls import Call, Calls, error_of
from iii_trio._session.engine_identity import QUESTION, WORKERS_LIST
from iii_trio._session.events import Conflict, Counters, Event, Fatal, Misplaced, Ready, Withdrawn
from iii_trio._session.ghosts import Ghosts
from iii_trio._session.healing import DELAY, PROMPT, Healing
from iii_trio._session.ids import InvocationIds
from iii_trio._session.outbox import Lane, Outbox
from iii_trio._session.placement import DEFAULT_NAMESPACE, WORKERS_INFO, is_in_default, whereabouts
from iii_trio._session.registrar import Barrier, Control, Registrar
from iii_trio._session.registry import WORKER_CONFLICT, Registration, rejection
from iii_trio._session.states import Client, ClientEvent, Connection, ConnectionEvent, Machine
from iii_trio._session.trace import Trace
from iii_trio._values.refs import may_hold_ref
from iii_trio._wire import messages as wire
from iii_trio._wire.codec import UndecodableFrame, decode, encode
from iii_trio.errors import (
    AuthenticationError,
    ClientClosed,
    ConnectionLost,
    EngineUnavailable,
    Fate,
    IIIError,
    InvocationError,
    InvocationTimeout,
    RegistrationRejectedError,
)

logger = logging.getLogger("iii_trio")

REGISTER_WORKER: Final = "engine::workers::register"

_LIVE: Final = (Connection.GREETED, Connection.REPLAYING, Connection.READY)


@attrs.define(eq=False)
class Session:
    """The protocol state of one client, over all its connections."""

    worker: dict[str, Any]
    """What the register call tells about this worker; the namespace included."""

    outbox: Outbox
    max_message_size: int
    wake_writer: Callable[[], None] = attrs.field(default=lambda: None)
    """Called whenever there is something to send."""

    wake_timer: Callable[[], None] = attrs.field(default=lambda: None)
    """Called whenever `next_deadline` comes earlier than before."""

    offline_grace: float = math.inf
    """Seconds after a loss for which calls wait for the next connection; then they are refused."""

    is_unavailable: bool = attrs.field(default=False, init=False)
    """Whether the engine has been away for longer than that."""

    heals: bool = True
    """Whether answers that may have come too early are sent a second time."""

    on_move: states.OnMove = attrs.field(default=lambda event, reason, cause: None)
    """Called whenever the state of the client or of its connection has changed."""

    on_engine: Callable[[Any], None] | None = None
    """Gets what the engine answers to the question that tells it from another one; None does not ask."""

    enliven: Callable[[Any], Any] | None = None
    """Puts live ends in place of the refs of channels in a payload; only asked when its text has the key of one."""

    on_conflict: OnConflict = "raise"
    """Whether this worker waits for its name when another one has it."""

    random: Callable[[], float] = attrs.field(default=lambda: 0.5)
    """Gives a number from 0 to 1, which spreads those who stand by."""

    trace: Trace | None = None
    """Told of what happens, if somebody asked for it."""

    counters: Counters = attrs.field(factory=Counters)
    healing: Healing = attrs.field(factory=Healing)
    ghosts: Ghosts = attrs.field(factory=Ghosts)
    registrar: Registrar = attrs.field(
        default=attrs.Factory(lambda self: self._new_registrar(), takes_self=True), init=False
    )
    calls: Calls = attrs.field(factory=Calls)
    epoch: int = 0
    """Number of the present connection; the answers to its invocations belong to it alone."""

    answered_ping: float | None = attrs.field(default=None, init=False)
    """When the ping was asked for that the engine has answered last; the link turns it into a time, and takes it."""

    worker_id: str | None = None
    """What the engine calls this worker on the present connection, or called it on the last."""

    client: Machine[Client, ClientEvent] = attrs.field(
        default=attrs.Factory(
            lambda self: Machine(Client.STARTING, states.CLIENT_TRANSITIONS, self._moved), takes_self=True
        ),
        init=False,
    )
    connection: Machine[Connection, ConnectionEvent] | None = attrs.field(default=None, init=False)
    _ids: InvocationIds = attrs.field(factory=InvocationIds, init=False)
    _barriers: deque[Barrier] = attrs.field(factory=deque, init=False)
    _asked: dict[str, Callable[[wire.InvocationResult], Event | None]] = attrs.field(factory=dict, init=False)
    """What the session itself has asked the engine on this connection, and who takes the answer."""

    _is_placed: bool = attrs.field(default=False, init=False)
    """Whether the engine knows this worker, and has it in its namespace."""

    _armed_for: float = attrs.field(default=math.inf, init=False)
    """When the timer will call `expire`: what is due later needs no waking."""

    _grace_ends: float = attrs.field(default=math.inf, init=False)
    _replayed: list[Registration] | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        # A name that cannot be sent is refused here (`PayloadError`), and not in the middle of a connection.
        self.encode(wire.InvokeFunction(REGISTER_WORKER, self.worker, invocation_id=self._ids.fresh()))

    def _new_registrar(self) -> Registrar:
        return Registrar(
            self.encode, self._put_ordered, self.outbox.calls.discard, self._replay_is_over, lambda: self.random()
        )

    def _moved(self, event: ClientEvent | ConnectionEvent | None, reason: str | None, cause: str | None) -> None:
        self.on_move(event, reason, cause)

    # ---- the life of a connection -----------------------------------------------------------------------------------

    @property
    def namespace(self) -> str:
        """The namespace in which this worker's functions live."""
        return str(self.worker["namespace"])

    def connected(self) -> None:
        """A new connection is open; nothing is sent on it before the engine's greeting."""
        self.epoch += 1
        self.connection = Machine(Connection.OPENING, states.CONNECTION_TRANSITIONS, self._moved)
        self._moved(None, None, None)

    def closing(self) -> None:
        """We are about to close the connection; nothing is sent on it any more."""
        if self.connection is not None and self.connection.allows(ConnectionEvent.CLOSE):
            self.connection.fire(ConnectionEvent.CLOSE)
            self._asked.clear()

    def disconnected(self, reason: str, now: float) -> None:
        """The connection is gone. Calls that were sent on it end now; those that still wait stay for the next one."""
        if self.connection is None:
            return
        self.connection = None
        self.outbox.first.clear()
        self.counters.dropped_results += self.outbox.results.clear()
        self.outbox.again.clear()
        self.healing.clear()
        for key in [key for key in self.outbox.calls.frames if isinstance(key, Control)]:
            self.outbox.calls.discard(key)
        self._barriers.clear()
        self._asked.clear()
        self._is_placed, self._replayed = False, None
        self.registrar.disconnected()
        if self.client.state is Client.ONLINE:
            self._grace_ends = now + self.offline_grace
            self.wake_timer()
        if self.client.allows(ClientEvent.LOSS):
            self.client.fire(ClientEvent.LOSS, reason, "link_lost")
        for call in self.calls:
            if call.sent:
                self.counters.lost_calls += 1
                self._end(call, ConnectionLost, "CONNECTION_LOST", reason)

    def drain(self) -> None:
        """The client is about to end: it offers nothing new, while calls are made and served as before."""
        if self.client.allows(ClientEvent.DRAIN):
            self.client.fire(ClientEvent.DRAIN)

    def close(self) -> None:
        """The client is closed: calls end, and nothing new is taken. What needs no answer can still be sent."""
        if self.client.allows(ClientEvent.CLOSE):
            self.client.fire(ClientEvent.CLOSE)
            self._end_all("this client was closed")

    def fail(self, error: IIIError) -> None:
        """The client cannot go on."""
        if self.client.allows(ClientEvent.FAILURE):
            self.client.fire(ClientEvent.FAILURE, str(error))
            self._end_all(f"this client failed: {error}")

    def finish(self) -> None:
        """Nothing will be sent any more: what still waits, and wants no answer, is dropped and counted."""
        if dropped := self.outbox.calls.clear():
            self.counters.unsent_calls += dropped
            logger.warning("%d void calls were not sent before this client ended", dropped)

    @property
    def is_final(self) -> bool:
        """Whether the client is closed or failed."""
        return self.client.state in (Client.CLOSED, Client.FAILED)

    @property
    def is_draining(self) -> bool:
        """Whether the client is about to end."""
        return self.client.state is Client.DRAINING

    @property
    def is_ready(self) -> bool:
        """Whether calls flow."""
        return self.connection is not None and self.connection.state is Connection.READY

    # ---- what goes out ----------------------------------------------------------------------------------------------

    def take(self, max_bytes: int) -> list[bytes]:
        """The next frames to send, in order; empty when there is nothing to send.

        Each lane gives about `max_bytes`, so that none can starve another. From here on a call may have run.
        """
        if self.connection is None or self.connection.state not in _LIVE:
            return []
        outbox = self.outbox
        frames = self._take_keyed(outbox.first, max_bytes)
        frames += outbox.results.take(max_bytes)
        frames += outbox.again.take(max_bytes)
        if self.connection.state is Connection.READY:
            frames += self._take_keyed(outbox.calls, max_bytes)
        return frames

    def _take_keyed(self, lane: Lane, max_bytes: int) -> list[bytes]:
        if not lane.frames:
            return []
        taken = lane.take(max_bytes)
        for key, _ in taken:
            if type(key) is Call:
                key.sent = True
            elif type(key) is Barrier:
                self._barriers.append(key)
        return [frame for _, frame in taken]

    def ping(self, now: float) -> None:
        """Ask the engine for a sign of life."""
        if self.connection is not None and self.connection.state in _LIVE:
            self._put_first(Barrier(asked_at=now), self.encode(wire.Ping()))

    def encode(self, frame: wire.Frame) -> bytes:
        """The frame as it will be sent; raises `PayloadError` when it cannot be."""
        return encode(frame, max_size=self.max_message_size)

    def new_invocation_id(self) -> str:
        """An id for a call that wants an answer."""
        return self._ids.fresh()

    def call(self, call: Call, frame: bytes) -> None:
        """Queue a call that waits for its answer."""
        self.calls.add(call)
        self.outbox.calls.put(call, frame)
        self.wake_writer()
        if call.deadline < self._armed_for:
            self.wake_timer()

    def send(self, frame: bytes) -> None:
        """Queue a call that wants no answer."""
        self.outbox.calls.put(object(), frame)
        self.wake_writer()

    def forget(self, call: Call) -> None:
        """The caller does not wait any more: the call is taken back, or its late answer will be dropped."""
        self.calls.remove(call.id)
        self.outbox.calls.discard(call)

    def next_deadline(self) -> float:
        """When `expire` has something to do; infinity for never."""
        due = min(self.calls.next_deadline(), self.healing.next_deadline(), self._grace_ends)
        return min(due, self.registrar.standby.next_deadline()) if self._may_ask() else due

    def arm(self) -> float:
        """When `expire` is to be called, unless `wake_timer` is before."""
        self._armed_for = self.next_deadline()
        return self._armed_for

    def expire(self, now: float) -> None:
        """Do what is due: end overdue calls, send early answers again, give up waiting, ask for what stands by."""
        if self._may_ask():
            self.registrar.ask_again(now)
        if now >= self._grace_ends:
            self._give_up_waiting()
        if due := self.healing.take_due(now):
            self.counters.healed_results += len(due)
            for frame in due:
                self.outbox.again.put(frame)
            self.wake_writer()
        for call in self.calls.take_overdue(now):
            self.counters.timed_out_calls += 1
            self._end(call, InvocationTimeout, "TIMEOUT", "no answer came in time")

    def renew(self, now: float) -> None:
        """Encode the calls that waited for a connection anew, since what they say of their deadline is out of date."""
        for key in list(self.outbox.calls.frames):
            if type(key) is Call and key.renew is not None:
                try:
                    self.outbox.calls.replace(key, key.renew(now))
                except Exception:  # the payload was changed meanwhile, and what was checked is still good
                    logger.debug("a waiting call of %r cannot be encoded again", key.function_id, exc_info=True)

    def answer(self, epoch: int, frame: bytes, *, age: float, now: float) -> None:
        """Queue the answer to an invocation that came over connection `epoch`, `age` seconds ago.

        It is dropped and counted when that connection is gone.
        """
        if epoch != self.epoch or self.connection is None or self.connection.state not in _LIVE:
            self.counters.dropped_results += 1
            return
        self.outbox.results.put(frame)
        self.wake_writer()
        if self.heals and age < PROMPT and self.healing.keep(frame, now) and now + DELAY < self._armed_for:
            self.wake_timer()

    def _may_ask(self) -> bool:
        """Whether what stands by is asked for: a client that is about to end takes nothing over."""
        return self.is_ready and self.client.state is Client.ONLINE

    def _replay_is_over(self) -> bool:
        return self.connection is not None and self.connection.state in (Connection.REPLAYING, Connection.READY)

    def _put_ordered(self, key: Control, frame: bytes) -> None:
        self.outbox.calls.put(key, frame)
        self.wake_writer()

    def _put_first(self, key: object, frame: bytes) -> None:
        self.outbox.first.put(key, frame)
        self.wake_writer()

    # ---- what comes in ----------------------------------------------------------------------------------------------

    def receive(self, message: str | bytes) -> Event | None:
        """Take one message of the engine; whatever it is, it raises nothing."""
        try:
            frame = decode(message)
        except UndecodableFrame as error:
            self.counters.undecodable_frames += 1
            logger.warning("a message of the engine is no frame: %s", error)
            return None
        if type(frame) is wire.InvocationResult:
            frame.result = self._with_live_refs(frame.result, message)
            return self._receive_result(frame)
        if type(frame) is wire.InvokeFunction:
            frame.data = self._with_live_refs(frame.data, message)
            return self._receive_invocation(frame)
        return self._receive_rare(frame)

    def _with_live_refs(self, payload: Any, message: str | bytes) -> Any:
        if self.enliven is not None and type(message) is str and may_hold_ref(message, payload):
            return self.enliven(payload)
        return payload

    def _receive_rare(self, frame: object) -> Event | None:
        state = None if self.connection is None else self.connection.state
        match frame:
            case wire.WorkerRegistered() if state is Connection.OPENING:
                self._greet(frame)
            case wire.LoginRefused(error) if state is Connection.OPENING:
                return Fatal(AuthenticationError(f"the engine refused the login: {error.message}", code=error.code))
            case wire.Pong() if self._barriers and state in _LIVE:
                return self._pass_barrier()
            case wire.RegistrationRejected() if state in _LIVE:
                return self._receive_rejection(frame)
            case wire.TriggerRegistrationResult() if state in _LIVE:
                self._receive_trigger_verdict(frame)
            case wire.RegisterTrigger() | wire.UnregisterTrigger() if state in _LIVE:
                return frame
            case wire.Ping() if state in _LIVE:
                self._put_first(object(), self.encode(wire.Pong()))
            case wire.Ignored():
                self.counters.ignored_frames += 1
            case _:
                self._unexpected(frame)
        return None

    def _unexpected(self, frame: object) -> None:
        self.counters.unexpected_frames += 1
        logger.warning("unexpected frame of the engine: %s", type(frame).__name__)

    def _greet(self, frame: wire.WorkerRegistered) -> None:
        assert self.connection is not None
        self.connection.fire(ConnectionEvent.GREETING)
        self.worker_id = frame.worker_id
        # Engines of 0.25 are the first that let a trigger type go, and the first that tell of features.
        self.registrar.drops_types = frame.features is not None
        self._replay()
        self.ghosts.greeted(frame.worker_id, frame.reattach_token)

    def _replay(self) -> None:
        """Queue the beginning of a connection, in the only order in which nothing can get in its own way.

        The old connection must be gone before its name and functions are claimed again, and the answer to the ping comes
        after every refusal (docs/engine.md, "Registration"). A connection may have been lost before the engine read that
        it replaces another, so all are named that could be left.
        """
        assert self.connection is not None
        for ghost in self.ghosts:
            self._put_first(object(), self.encode(wire.Reattach(*ghost)))
        self._ask(REGISTER_WORKER, self.worker, self._receive_registration)
        registrations = list(self.registrar.registry)
        for registration in registrations:
            self._put_first(object(), registration.encoded)
        if self.on_engine is not None:
            self._ask(WORKERS_LIST, QUESTION, self._receive_identity)
        self._put_first(Barrier(registrations, confirms_replay=True), self.encode(wire.Ping()))
        self.connection.fire(ConnectionEvent.REPLAY)

    def _ask(self, function_id: str, data: Any, take: Callable[[wire.InvocationResult], Event | None]) -> None:
        """Call a function of the engine before calls flow."""
        frame = wire.InvokeFunction(function_id, data, invocation_id=self._ids.fresh())
        self._put_first(object(), self.encode(frame))
        assert frame.invocation_id is not None
        self._asked[frame.invocation_id] = take

    def _pass_barrier(self) -> Event | None:
        barrier = self._barriers.popleft()
        self.answered_ping = barrier.asked_at
        if barrier.confirms_replay:
            # Until the register call is answered too, the engine has only parked what was replayed.
            self._replayed = barrier.registrations
            return self._confirm_replay()
        return Withdrawn() if self.registrar.passed(barrier) else None

    def _receive_result(self, frame: wire.InvocationResult) -> Event | None:
        call = self.calls.get(frame.invocation_id)
        if call is None or not call.sent:
            return self._receive_own(frame)
        self.calls.remove(call.id)
        if frame.error is None:
            call.settle(None if frame.result is wire.ABSENT else frame.result)
        else:
            call.settle(None, error_of(frame.error, call))
        return None

    def _receive_own(self, frame: wire.InvocationResult) -> Event | None:
        take = self._asked.pop(frame.invocation_id, None)
        if take is not None:
            return take(frame)
        self.counters.unknown_results += 1
        return None

    def _receive_identity(self, frame: wire.InvocationResult) -> None:
        assert self.on_engine is not None, "nothing was asked without it"
        self.on_engine(frame.result)

    def _receive_registration(self, frame: wire.InvocationResult) -> Event | None:
        """The engine's answer to the register call: it has a namespace and a name for us, or has not."""
        error = frame.error
        if error is not None and error.code == "invocation_stopped":
            return None  # The end of this connection follows.
        if error is not None:
            message = f"the engine refused this worker: {error.message}"
            return Fatal(RegistrationRejectedError(message, code=error.code, namespace=self.namespace))
        if not isinstance(frame.result, dict) or frame.result.get("success") is not True:
            message = f"the engine did not register this worker: it answered {frame.result!r}"
            return Fatal(RegistrationRejectedError(message, code="registration_failed", namespace=self.namespace))
        if self.namespace == DEFAULT_NAMESPACE:
            return self._receive_place(None)
        self._ask(WORKERS_INFO, whereabouts(self.worker["name"]), self._receive_place)
        return None

    def _receive_place(self, answer: wire.InvocationResult | None) -> Event | None:
        """Where the engine has this worker; without an answer, where it was told to."""
        if answer is not None and is_in_default(answer.result, self.worker_id):
            return self._misplaced()
        self._is_placed = True
        return self._confirm_replay()

    def _misplaced(self) -> Misplaced:
        return Misplaced(f"the engine put this worker into {DEFAULT_NAMESPACE!r} in place of {self.namespace!r}")

    def _confirm_replay(self) -> Ready | None:
        """Ready means both: the engine has this worker where it belongs, and the barrier behind the replay was passed."""
        if not self._is_placed or self._replayed is None:
            return None
        assert self.connection is not None
        self.connection.fire(ConnectionEvent.CONFIRMATION)
        self.ghosts.retired(self.worker_id)
        self.registrar.accept(self._replayed)
        self._grace_ends = math.inf
        self.is_unavailable = False
        if self.client.allows(ClientEvent.READY):
            self.client.fire(ClientEvent.READY)
        if self.registrar.standby:
            self.wake_timer()
        self.wake_writer()
        return Ready()

    def _receive_rejection(self, frame: wire.RegistrationRejected) -> Event | None:
        if frame.function_id is None:
            return self._receive_name_conflict(frame)
        if self.registrar.refused(frame.function_id, frame):
            self.counters.refused_registrations += 1
        if self.registrar.standby:
            self.wake_timer()
        if self.trace is not None:
            self.trace("registration.refused", function_id=frame.function_id, code=frame.code)
        return None

    def _receive_trigger_verdict(self, frame: wire.TriggerRegistrationResult) -> None:
        if self.registrar.trigger_refused(frame):
            self.counters.refused_registrations += 1
            if self.trace is not None and frame.error is not None:
                self.trace("registration.refused", function_id=frame.function_id, code=frame.error.code)

    def _receive_name_conflict(self, frame: wire.RegistrationRejected) -> Event:
        error = rejection(frame)
        if error.code != WORKER_CONFLICT:
            return Fatal(error)
        if frame.namespace != self.namespace:
            return self._misplaced()
        return self._stand_by(error) if self.on_conflict == "standby" else Fatal(error)

    def _stand_by(self, error: IIIError) -> Conflict:
        """Another worker has our name. The engine has retired our old connections by now, and closes this one."""
        self.ghosts.retired(None)
        if self.client.state is not Client.STANDBY:
            logger.warning("%s; it is asked for again until it is free", error)
        if self.client.allows(ClientEvent.CONFLICT):
            self.client.fire(ClientEvent.CONFLICT, str(error))
        return Conflict(error)

    def _receive_invocation(self, frame: wire.InvokeFunction) -> wire.InvokeFunction | None:
        if self.connection is None or self.connection.state not in _LIVE or frame.invocation_id is None:
            self._unexpected(frame)
            return None
        return frame

    # ---- how calls end ----------------------------------------------------------------------------------------------

    def _give_up_waiting(self) -> None:
        """The engine has been away for too long: what waits ends, and what comes is refused until it is back."""
        self._grace_ends = math.inf
        self.is_unavailable = True
        for call in self.calls:
            self._end(call, EngineUnavailable, "OFFLINE", self.unavailable_words)
        self.counters.unsent_calls += self.outbox.calls.clear()

    @property
    def unavailable_words(self) -> str:
        """Why calls are refused while the engine is away."""
        return f"there has been no connection to the engine for more than {self.offline_grace:g} s"

    def _end_all(self, reason: str) -> None:
        self.registrar.wake()
        for call in self.calls:
            self._end(call, ClientClosed, "SHUTDOWN", reason)

    def _end(self, call: Call, kind: type[InvocationError], code: str, message: str) -> None:
        """End a call for a reason of our own; the outbox proves whether it was sent."""
        self.forget(call)
        fate = Fate.MAY_HAVE_RUN if call.sent else Fate.NEVER_SENT
        call.settle(None, kind(code, message, function_id=call.function_id, invocation_id=call.id, fate=fate))
