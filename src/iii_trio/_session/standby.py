"""Functions that another worker owns, and that this one asks for again until it has them.

The engine never asks whom it has refused, so we ask: some seconds after each refusal, with a barrier behind the question.
Only the barrier of the last question can grant it, since one that was sent before may be answered after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs

from iii_trio._session.backoff import standby_delay
from iii_trio._session.registry import Registration, Verdict


@attrs.define(eq=False)
class Standby:
    """What waits for its owner to leave: until it is asked for again, or for the answer."""

    random: Callable[[], float]
    """A number from 0 to 1 for each wait."""

    _waiting: dict[Registration, float] = attrs.field(factory=dict, init=False)
    """When each is asked for again."""

    _refused: list[Registration] = attrs.field(factory=list, init=False)
    """What was refused since `schedule` was last told the time."""

    _asked: dict[Registration, object] = attrs.field(factory=dict, init=False)
    """What was asked for, and the barrier behind it."""

    _earliest: float = attrs.field(default=math.inf, init=False)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._refused) + len(self._asked)

    def refused(self, registration: Registration) -> bool:
        """The engine has refused it; returns whether that is news, and not what it had said before."""
        was_asked = self.is_asked(registration)
        self.discard(registration)
        if registration.verdict is not Verdict.STANDBY:
            return True
        self._refused.append(registration)
        return not was_asked

    def schedule(self, now: float) -> None:
        """Ask for what was refused meanwhile after a while; what was refused together is asked for together."""
        if self._refused:
            due = now + standby_delay(self.random())
            self._waiting.update(dict.fromkeys(self._refused, due))
            self._refused.clear()
            self._earliest = min(self._earliest, due)

    def next_deadline(self) -> float:
        """When `schedule` or `take_due` has something to do; infinity for never."""
        return -math.inf if self._refused else self._earliest

    def take_due(self, now: float) -> list[Registration]:
        """What is to be asked for now."""
        if now < self._earliest:
            return []
        due = [registration for registration, at in self._waiting.items() if at <= now]
        for registration in due:
            del self._waiting[registration]
        self._earliest = min(self._waiting.values(), default=math.inf)
        return due

    def asked(self, registrations: list[Registration], barrier: object) -> None:
        """They were asked for, with a barrier behind them."""
        self._asked.update(dict.fromkeys(registrations, barrier))

    def is_asked(self, registration: Registration) -> bool:
        """Whether the engine may have granted it by now."""
        return registration in self._asked

    def grant(self, registration: Registration, barrier: object) -> bool:
        """Whether a barrier proves that it is ours now; then it stands by no more."""
        if self._asked.get(registration) is not barrier:
            return False
        del self._asked[registration]
        return True

    def discard(self, registration: Registration) -> None:
        """It is not wanted any more."""
        self._waiting.pop(registration, None)
        self._asked.pop(registration, None)
        if registration in self._refused:
            self._refused.remove(registration)

    def clear(self) -> None:
        """The connection is gone, and the next replay asks for everything; or nothing is wanted any more."""
        self._waiting.clear()
        self._refused.clear()
        self._asked.clear()
        self._earliest = math.inf
