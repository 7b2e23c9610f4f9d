"""Calls in flight: from the moment they are queued until they have an outcome.

Every call ends exactly once: with the engine's answer, at its deadline, when its connection is lost after it was sent,
or because its caller forgot it. A call that is not listed here any more has no entry anywhere, and an answer that comes
later is dropped by its id.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from iii_trio._wire.messages import ErrorBody
from iii_trio.errors import ConnectionLost, InvocationError, InvocationTimeout

_SLACK: Final = 64


@attrs.define(eq=False)
class Call:
    """One call that waits for its answer."""

    id: str
    function_id: str
    deadline: float
    wake: Callable[[], None]
    """Called once, when the call has an outcome."""

    renew: Callable[[float], bytes] | None = None
    """Encodes the frame anew at a time, when it says something about the time; None when it does not."""

    sent: bool = False
    """Whether its frame was handed to the writer."""

    done: bool = False
    result: Any = None
    error: InvocationError | None = None

    def settle(self, result: Any, error: InvocationError | None = None) -> None:
        """Give the call its outcome and wake whoever waits."""
        self.result, self.error, self.done = result, error, True
        self.wake()


@attrs.define(eq=False)
class Calls:
    """All calls in flight, by id, and their deadlines."""

    _by_id: dict[str, Call] = attrs.field(factory=dict)
    _deadlines: list[tuple[float, str]] = attrs.field(factory=list)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._by_id.values()))

    def add(self, call: Call) -> None:
        """List a new call."""
        self._by_id[call.id] = call
        if call.deadline != float("inf"):
            heapq.heappush(self._deadlines, (call.deadline, call.id))

    def get(self, id: str) -> Call | None:
        """The call with this id, if it is in flight."""
        return self._by_id.get(id)

    def remove(self, id: str) -> Call | None:
        """Take a call off the list; None when it was not there."""
        call = self._by_id.pop(id, None)
        # Most calls end long before their deadline, and taking theirs out of the middle of a heap is dear. So the dead
        # entries stay until they are the majority: the heap is never larger than twice the calls in flight, and a few.
        if len(self._deadlines) > 2 * len(self._by_id) + _SLACK:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._by_id]
            heapq.heapify(self._deadlines)
        return call

    def next_deadline(self) -> float:
        """When the next call runs out of time; infinity when none will."""
        while self._deadlines:
            deadline, call_id = self._deadlines[0]
            if call_id in self._by_id:
                return deadline
            heapq.heappop(self._deadlines)
        return float("inf")

    def take_overdue(self, now: float) -> list[Call]:
        """Take every call off the list whose deadline has come."""
        overdue = []
        while self.next_deadline() <= now:
            _, call_id = heapq.heappop(self._deadlines)
            overdue.append(self._by_id.pop(call_id))
        return overdue


# What these codes say of a call is what our own errors of the same kind say.
_KINDS: Final = {"invocation_stopped": ConnectionLost, "TIMEOUT": InvocationTimeout}


def error_of(error: ErrorBody, call: Call) -> InvocationError:
    """The engine's error as that of a call."""
    return _KINDS.get(error.code, InvocationError)(
        error.code,
        error.message,
        function_id=call.function_id,
        invocation_id=call.id,
        stacktrace=error.stacktrace,
    )
