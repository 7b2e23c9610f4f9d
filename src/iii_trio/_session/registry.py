"""What must exist at the engine: the desired state that every connection replays.

A registration is *pending* until the engine has handled it, which only a barrier can tell, since success is never
acknowledged (docs/engine.md, "Registration"). It is *refused* when the engine says so, or on *standby* when somebody else
owns its id and it is to be asked for again, and *withdrawn* when its owner took it back. A lost connection makes what was
accepted pending again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import attrs

from iii_trio._options import OnConflict
from iii_trio._wire.messages import (
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
    RegistrationRejected,
    TriggerRegistrationResult,
)
from iii_trio.errors import ConfigurationError, IIIError, RegistrationRejectedError

FUNCTION_CONFLICT: Final = "FUNCTION_NAMESPACE_CONFLICT"
WORKER_CONFLICT: Final = "WORKER_NAMESPACE_CONFLICT"

Wanted: TypeAlias = RegisterService | RegisterTriggerType | RegisterFunction | RegisterTrigger
"""What can be registered."""

REPLAY_ORDER: Final[tuple[type[Wanted], ...]] = (
    RegisterService,
    RegisterTriggerType,
    RegisterFunction,
    RegisterTrigger,
)
"""A binding comes after what it names, though the engine would take it before."""

_REPLACED_BY_ID: Final = (RegisterService, RegisterTriggerType)


class Verdict(enum.Enum):
    """What the engine made of a registration."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    STANDBY = "standby"
    WITHDRAWN = "withdrawn"


@attrs.define(eq=False)
class Registration:
    """One thing that is to exist at the engine: a function, a binding, a trigger type or a service."""

    frame: Wanted
    encoded: bytes
    """The frame as it was checked, so that a value in it that changes later cannot spoil a replay."""

    handler: Any = None
    """What serves it; of no meaning here."""

    on_conflict: OnConflict = "raise"
    """Whether a function is asked for again when somebody else owns the id."""

    verdict: Verdict = Verdict.PENDING
    error: IIIError | None = None
    """Why it was refused."""

    offer: object = None
    """Key of the frame that was queued for it beside the replay."""

    waiters: list[Callable[[], None]] = attrs.field(factory=list)
    """Called, and forgotten, at the next verdict."""

    @property
    def id(self) -> str:
        """Its id, which is its own among those of its kind."""
        return self.frame.id

    @property
    def is_open(self) -> bool:
        """Whether the engine may still accept it."""
        return self.verdict in (Verdict.PENDING, Verdict.STANDBY)

    @property
    def is_wanted(self) -> bool:
        """Whether it was not taken back, nor replaced."""
        return self.verdict is not Verdict.WITHDRAWN

    def decide(self, verdict: Verdict, error: IIIError | None = None) -> None:
        """Set the verdict and tell whoever waits for it."""
        self.verdict, self.error = verdict, error
        self.wake()

    def wake(self) -> None:
        """Let whoever waits for a verdict look again."""
        waiters, self.waiters = self.waiters, []
        for wake in waiters:
            wake()


@attrs.define(eq=False)
class Registry:
    """All registrations of one client, those of each kind in the order in which they were made."""

    _tables: dict[type[Wanted], dict[str, Registration]] = attrs.field(
        factory=lambda: {kind: {} for kind in REPLAY_ORDER}, init=False
    )
    _retired: dict[type[Wanted], dict[str, Registration]] = attrs.field(
        factory=lambda: {kind: {} for kind in REPLAY_ORDER}, init=False
    )
    """What is not offered any more. Functions among it still serve what the engine sent before it knew."""

    def __iter__(self) -> Iterator[Registration]:
        """Everything, in the order of the replay."""
        return iter([registration for table in self._tables.values() for registration in table.values()])

    def of(self, kind: type[Wanted]) -> tuple[Registration, ...]:
        """Everything of one kind."""
        return tuple(self._tables[kind].values())

    def count(self, kind: type[Wanted]) -> int:
        """How many there are of a kind."""
        return len(self._tables[kind])

    def add(
        self, frame: Wanted, encoded: bytes, handler: Any = None, on_conflict: OnConflict = "raise"
    ) -> Registration:
        """List something. A service or trigger type takes the place of one with the same id, as it does at the engine.

        Raises:
            ConfigurationError: The id of a function or binding is taken in this client.
        """
        table = self._tables[type(frame)]
        earlier = table.get(frame.id)
        if earlier is not None and not isinstance(frame, _REPLACED_BY_ID):
            kind = "function" if isinstance(frame, RegisterFunction) else "trigger"
            raise ConfigurationError(f"the {kind} {frame.id!r} is registered already; unregister it first")
        registration = table[frame.id] = Registration(frame, encoded, handler, on_conflict)
        if earlier is not None:
            earlier.decide(Verdict.WITHDRAWN)
        return registration

    def find(self, function_id: str) -> Registration | None:
        """The function with this id, whatever the engine made of it."""
        return self._tables[RegisterFunction].get(function_id) or self._retired[RegisterFunction].get(function_id)

    def find_type(self, trigger_type: str) -> Registration | None:
        """The trigger type of ours with this id."""
        return self._tables[RegisterTriggerType].get(trigger_type)

    def retire(self, kind: type[Wanted]) -> list[Registration]:
        """Take everything of a kind off the list, for good; functions are still found. Returns what it was."""
        retired = self._tables[kind]
        self._tables[kind] = {}
        self._retired[kind] |= retired
        return list(retired.values())

    @property
    def retired(self) -> list[Registration]:
        """What was taken off the list by `retire`."""
        return [registration for table in self._retired.values() for registration in table.values()]

    def is_bound(self, function_id: str, namespace: str, trigger_type: str) -> bool:
        """Whether a binding of this client lets a trigger type run a function."""
        return any(
            (frame.function_id, frame.namespace or "default", frame.trigger_type)
            == (function_id, namespace, trigger_type)
            for each in self.of(RegisterTrigger)
            if isinstance(frame := each.frame, RegisterTrigger)
        )

    def remove(self, registration: Registration) -> bool:
        """Take something off the list; False when it was not there any more."""
        table = self._tables[type(registration.frame)]
        if table.get(registration.id) is not registration:
            return False
        del table[registration.id]
        registration.decide(Verdict.WITHDRAWN)
        return True

    def refuse(self, function_id: str, error: IIIError) -> Registration | None:
        """Note that the engine refuses a function; None when nothing here bears that id."""
        registration = self._named(RegisterFunction, function_id)
        if registration is not None:
            registration.decide(_verdict_of(error, registration.on_conflict), error)
        return registration

    def refuse_trigger(self, trigger_id: str, error: IIIError) -> Registration | None:
        """Note that the engine or a provider refuses a binding; None when nothing here bears that id."""
        registration = self._named(RegisterTrigger, trigger_id)
        if registration is not None:
            registration.decide(Verdict.REFUSED, error)
        return registration

    def reset(self) -> None:
        """The connection is gone, and with it everything that the engine had accepted or refused on it."""
        for registration in self:
            registration.verdict, registration.error = Verdict.PENDING, None

    def _named(self, kind: type[Wanted], name: str) -> Registration | None:
        """What the engine means by an id.

        On listeners with a prefix it names the prefixed id (docs/engine.md, "Registration"), so an id that is not ours is
        looked up by its end; the longest fits best, since one id of ours may end another.
        """
        table = self._tables[kind]
        if name in table:
            return table[name]
        candidates = (each for each in table.values() if name.endswith(each.id))
        return max(candidates, key=lambda each: len(each.id), default=None)


def _verdict_of(error: IIIError, on_conflict: OnConflict) -> Verdict:
    """What a refusal makes of a registration: only an owner can leave, so nothing else is worth asking again."""
    is_conflict = (
        isinstance(error, RegistrationRejectedError) and error.code == FUNCTION_CONFLICT and bool(error.owner_worker_id)
    )
    return Verdict.STANDBY if is_conflict and on_conflict == "standby" else Verdict.REFUSED


def rejection(frame: RegistrationRejected) -> RegistrationRejectedError:
    """What the engine refused, and to whose advantage: to nobody's if it keeps the id for itself."""
    subject = f"function {frame.function_id!r}" if frame.function_id else f"worker name {frame.worker_name!r}"
    fault = "taken" if frame.owner_worker_id else "refused"
    return RegistrationRejectedError(
        f"the {subject} is {fault} in namespace {frame.namespace!r} ({frame.code})",
        code=frame.code,
        namespace=frame.namespace,
        function_id=frame.function_id,
        worker_name=frame.worker_name,
        owner_worker_id=frame.owner_worker_id,
    )


def trigger_refusal(frame: TriggerRegistrationResult) -> RegistrationRejectedError:
    """What the engine, or the provider of its type, refused."""
    code, words = (frame.error.code, frame.error.message) if frame.error is not None else ("", "")
    return RegistrationRejectedError(
        f"the {frame.trigger_type!r} trigger of function {frame.function_id!r} was refused: {words} ({code})",
        code=code,
        function_id=frame.function_id,
        trigger_id=frame.id,
        trigger_type=frame.trigger_type,
    )
