"""What the engine is told of registrations, and what it makes of them.

Success is never acknowledged, so a ping goes out behind what is registered: when its pong comes and no refusal came
before it, the engine has accepted (docs/engine.md, "Registration").
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from iii_trio._options import OnConflict
from iii_trio._session.registry import Registration, Registry, Verdict, Wanted, rejection, trigger_refusal
from iii_trio._session.standby import Standby
from iii_trio._wire import messages as wire

logger = logging.getLogger("iii_trio")


@attrs.define(eq=False)
class Control:
    """Key of a frame that keeps its order with calls and dies with its connection: the next replay does it anew."""


@attrs.define(eq=False)
class Barrier(Control):
    """Key of a ping: when its pong comes, everything sent before it was handled."""

    registrations: list[Registration] = attrs.field(factory=list)
    confirms_replay: bool = False
    ends: bool = False
    """Whether it stands behind the withdrawal of the functions."""
    asked_at: float | None = None
    """When it was queued, if it asks for nothing but a sign of life."""


@attrs.define(eq=False)
class Registrar:
    """Keeps what the engine knows of this worker the same as the registry."""

    _encode: Callable[[wire.Frame], bytes]
    """The frame as it will be sent; raises `PayloadError` when it cannot be."""

    _put: Callable[[Control, bytes], None]
    """Queues a frame in order with calls."""

    _take: Callable[[object], bool]
    """Takes a frame out again; False when it was sent, or never queued."""

    _is_replayed: Callable[[], bool]
    """Whether there is a connection whose replay is queued already: what comes now is told by itself."""

    _random: Callable[[], float]
    """Gives a number from 0 to 1, which spreads those who stand by."""

    registry: Registry = attrs.field(factory=Registry, init=False)
    standby: Standby = attrs.field(
        default=attrs.Factory(lambda self: Standby(self._random), takes_self=True), init=False
    )
    is_withdrawn: bool = attrs.field(default=False, init=False)
    """Whether the engine has confirmed that it sends no invocations any more, or never had a function of ours."""

    drops_types: bool = attrs.field(default=False, init=False)
    """Whether the engine of the present connection lets a trigger type be taken back."""

    _unconfirmed: dict[Registration, None] = attrs.field(factory=dict, init=False)
    _withdrawal: Barrier | None = attrs.field(default=None, init=False)

    @property
    def is_withdrawing(self) -> bool:
        """Whether the engine has yet to confirm, on the present connection, that it heard of `withdraw`."""
        return self._withdrawal is not None

    # ---- what is wanted ---------------------------------------------------------------------------------------------

    def register(self, frame: Wanted, handler: Any = None, on_conflict: OnConflict = "raise") -> Registration:
        """List something, and tell the engine now or with the next replay."""
        encoded = self._encode(frame)
        registration = self.registry.add(frame, encoded, handler, on_conflict)
        if self._is_replayed():
            registration.offer = Control()
            self._put(registration.offer, encoded)
            self._unconfirmed[registration] = None
        return registration

    def unregister(self, registration: Registration) -> None:
        """Take something back; calls that the engine sent before it knew are still served."""
        is_known = self._may_be_known(registration)
        self.standby.discard(registration)
        if self.registry.remove(registration) and is_known and self._is_replayed():
            self._unconfirmed.pop(registration, None)
            # What the engine was not told yet it is not told at all, so that who changes his mind often fills no queue. But
            # a trigger type may have been told before, by a registration that this one has replaced.
            was_told = not self._take(registration.offer) or isinstance(registration.frame, wire.RegisterTriggerType)
            if was_told:
                self._take_back(registration)

    def withdraw(self, kind: type[Wanted]) -> None:
        """Take all bindings or all functions back, for good; invocations that the engine sent before it knew are served.

        The engine's answer to the ping behind it is the proof that it has heard. A later connection offers nothing.
        """
        retired = self.registry.retire(kind)
        for registration in retired:
            self._unconfirmed.pop(registration, None)
        if not retired:
            self.is_withdrawn |= kind is wire.RegisterFunction
        elif self._is_replayed():
            for registration in retired:
                # A function that was refused is somebody else's. A binding is ours, and the engine keeps one that a
                # provider has refused until the type is registered again (docs/engine.md, "Triggers").
                is_foreign = kind is wire.RegisterFunction and registration.verdict is Verdict.REFUSED
                if not is_foreign and self._may_be_known(registration):
                    self._take_back(registration)
            self._withdrawal = Barrier(ends=kind is wire.RegisterFunction)
            self._put_barrier(self._withdrawal)
        if kind is wire.RegisterFunction:
            self.standby.clear()

    def confirm(self, registration: Registration) -> None:
        """See to it that a pending registration gets a verdict: with a barrier of its own, unless one is on its way."""
        if registration in self._unconfirmed:
            barrier = Barrier(list(self._unconfirmed))
            self._unconfirmed.clear()
            self._put_barrier(barrier)

    def ask_again(self, now: float) -> None:
        """Offer what another worker owned some seconds ago; the answer is a refusal, or the pong behind it."""
        self.standby.schedule(now)
        if due := self.standby.take_due(now):
            barrier = Barrier(due)
            for registration in due:
                self._put(Control(), registration.encoded)
            self._put_barrier(barrier)
            self.standby.asked(due, barrier)

    def wake(self) -> None:
        """Let everybody who waits for a verdict look again."""
        for registration in [*self.registry, *self.registry.retired]:
            registration.wake()

    # ---- what the engine makes of it --------------------------------------------------------------------------------

    def disconnected(self) -> None:
        """The connection is gone, and with it everything that the engine had accepted or refused on it."""
        self._unconfirmed.clear()
        self._withdrawal = None
        self.registry.reset()
        self.standby.clear()

    def accept(self, registrations: Iterable[Registration]) -> None:
        """The engine has handled them, and what it did not refuse it has."""
        for registration in registrations:
            if registration.verdict is Verdict.PENDING:
                registration.decide(Verdict.ACCEPTED)

    def passed(self, barrier: Barrier) -> bool:
        """The engine has handled everything before a barrier; returns whether that was a withdrawal."""
        self.accept(barrier.registrations)
        for registration in barrier.registrations:
            if self.standby.grant(registration, barrier):
                logger.info("the function %r is ours now", registration.id)
                registration.decide(Verdict.ACCEPTED)
        if barrier is not self._withdrawal:
            return False
        self._withdrawal = None
        self.is_withdrawn |= barrier.ends
        return True

    def refused(self, function_id: str, frame: wire.RegistrationRejected) -> bool:
        """The engine refuses a function; returns whether that is news, and not what it had said before."""
        error = rejection(frame)
        registration = self.registry.refuse(function_id, error)
        is_news = registration is None or self.standby.refused(registration)
        if is_news:
            logger.warning("%s", error)
        if registration is not None and registration.verdict is Verdict.STANDBY:
            self._unconfirmed.pop(registration, None)
        return is_news

    def trigger_refused(self, frame: wire.TriggerRegistrationResult) -> bool:
        """The engine, or a provider, says what it made of a binding; returns whether it refuses one of ours.

        A provider may refuse long after the engine has accepted (docs/engine.md, "Triggers").
        """
        if frame.error is None:
            return False
        error = trigger_refusal(frame)
        registration = self.registry.refuse_trigger(frame.id, error)
        if registration is None:
            return False
        self._unconfirmed.pop(registration, None)
        logger.warning("%s", error)
        return True

    def _may_be_known(self, registration: Registration) -> bool:
        """Whether the engine may have it as ours, and not as somebody else's."""
        return registration.verdict is not Verdict.STANDBY or self.standby.is_asked(registration)

    def _take_back(self, registration: Registration) -> None:
        frame: wire.Frame
        match registration.frame:
            case wire.RegisterFunction(id=function_id):
                frame = wire.UnregisterFunction(function_id)
            case wire.RegisterTrigger(id=trigger_id, trigger_type=trigger_type):
                frame = wire.UnregisterTrigger(trigger_id, trigger_type)
            case wire.RegisterTriggerType(id=type_id, namespace=namespace) if self.drops_types:
                frame = wire.UnregisterTriggerType(type_id, namespace)
            case _:  # A service stays, and so does a trigger type at an engine that knows no way to drop one.
                return
        self._put(Control(), self._encode(frame))

    def _put_barrier(self, barrier: Barrier) -> None:
        self._put(barrier, self._encode(wire.Ping()))
