"""What must exist at the engine: the desired state that every connection replays.

A registration is *pending* until the engine has handled it, which only a barrier can tell, since success is never
acknowledged (docs/engine.md, "Registration"). It is *refused* when the engine says so, or on *standby* when somebody else
owns its id and it is to be asked for again, and *withdrawn* when its owner took it back. A lost connection makes what was
accepted pending again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from iii_trio._options import OnConflict
from iii_trio._wire.messages import RegisterFunction, RegistrationRejected
from iii_trio.errors import ConfigurationError, IIIError, RegistrationRejectedError

FUNCTION_CONFLICT: Final = "FUNCTION_NAMESPACE_CONFLICT"
WORKER_CONFLICT: Final = "WORKER_NAMESPACE_CONFLICT"


class Verdict(enum.Enum):
    """What the engine made of a registration."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    STANDBY = "standby"
    WITHDRAWN = "withdrawn"


@attrs.define(eq=False)
class Registration:
    """One function that is to exist at the engine."""

    frame: RegisterFunction
    encoded: bytes
    """The frame as it was checked, so that a value in it that changes later cannot spoil a replay."""

    handler: Any
    """What serves it; of no meaning here."""

    on_conflict: OnConflict = "raise"
    """Whether it is asked for again when somebody else owns the id."""

    verdict: Verdict = Verdict.PENDING
    error: IIIError | None = None
    """Why it was refused."""

    offer: object = None
    """Key of the frame that was queued for it beside the replay."""

    waiters: list[Callable[[], None]] = attrs.field(factory=list)
    """Called, and forgotten, at the next verdict."""

    @property
    def id(self) -> str:
        """Id of the function."""
        return self.frame.id

    @property
    def is_open(self) -> bool:
        """Whether the engine may still accept it."""
        return self.verdict in (Verdict.PENDING, Verdict.STANDBY)

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
    """All registrations of one client, in the order in which they were made."""

    _functions: dict[str, Registration] = attrs.field(factory=dict)
    _retired: dict[str, Registration] = attrs.field(factory=dict, init=False)
    """What is not offered any more, and still serves what the engine sent before it knew."""

    def __len__(self) -> int:
        return len(self._functions)

    def __iter__(self) -> Iterator[Registration]:
        return iter(tuple(self._functions.values()))

    def add(
        self, frame: RegisterFunction, encoded: bytes, handler: Any, on_conflict: OnConflict = "raise"
    ) -> Registration:
        """List a function.

        Raises:
            ConfigurationError: The id is taken in this client.
        """
        if frame.id in self._functions:
            raise ConfigurationError(f"the function {frame.id!r} is registered already; unregister it first")
        registration = self._functions[frame.id] = Registration(frame, encoded, handler, on_conflict)
        return registration

    def find(self, function_id: str) -> Registration | None:
        """The function with this id, whatever the engine made of it."""
        return self._functions.get(function_id) or self._retired.get(function_id)

    def retire(self) -> list[Registration]:
        """Take all functions off the list, and still find them; returns them."""
        self._retired, self._functions = self._functions, {}
        return self.retired

    @property
    def retired(self) -> list[Registration]:
        """What was taken off the list by `retire`."""
        return list(self._retired.values())

    def remove(self, registration: Registration) -> bool:
        """Take a function off the list; False when it was not there any more."""
        if self._functions.get(registration.id) is not registration:
            return False
        del self._functions[registration.id]
        registration.decide(Verdict.WITHDRAWN)
        return True

    def refuse(self, function_id: str, error: IIIError) -> Registration | None:
        """Note the engine's refusal; None when nothing here bears that id.

        On listeners with a prefix the engine names the prefixed id (docs/engine.md, "Registration"), so an id that is
        not ours is looked up by its end; the longest fits best, since one id of ours may end another.
        """
        registration = self._functions.get(function_id)
        if registration is None:
            candidates = (each for each in self._functions.values() if function_id.endswith(each.id))
            registration = max(candidates, key=lambda each: len(each.id), default=None)
        if registration is not None:
            registration.decide(_verdict_of(error, registration.on_conflict), error)
        return registration

    def reset(self) -> None:
        """The connection is gone, and with it everything that the engine had accepted or refused on it."""
        for registration in self._functions.values():
            registration.verdict, registration.error = Verdict.PENDING, None


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
