"""One accepted invocation, from its acceptance until what it held is free again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import trio

from iii_trio._handlers.context import Invocation, Origin
from iii_trio._handlers.function import Function
from iii_trio._wire.messages import InvokeFunction

if TYPE_CHECKING:
    from iii_trio._handlers.dispatch import Dispatcher

CANCELLED: Final = "cancelled"
"""What stands for the code of a handler that gave no answer."""


class Late(Exception):
    """The caller's deadline has come, and the handler was cancelled for it."""


class TimedOut(Exception):
    """The function's time-out has come, and the handler was cancelled for it."""


class Lost(Exception):
    """The connection of the invocation was lost, and the handler was cancelled for it."""


class Overloaded(Exception):
    """An invocation that waited has its turn, and the worker already runs as many handlers as it may."""


class Task:
    """Where one accepted invocation stands, and what it holds. To trio's threads it is the limiter that tells it.

    There is one for every invocation, and few differ in more than they begin with: so what is usual stands in the class.
    """

    needs_scope: bool = False
    """Whether something may cancel it by itself."""

    scope: trio.CancelScope | None = None
    """Around the wait for its turn and the handler, where it needs one."""

    shared_scope: trio.CancelScope | None = None
    """What is cancelled at about its caller's deadline, for others too; None when it has a scope, or no deadline."""

    caller: str | None = None
    metadata: Any = None
    late_at: float = math.inf
    """When its caller stops waiting."""

    is_lost: bool = False
    """Whether the loss of its connection has cancelled it."""

    holds_slot: bool = False
    in_thread: bool = False
    """Whether the handler's thread has not returned. One that is shared says so only when nobody waits for it any more."""

    never_ran: bool = False
    """Whether it was cancelled in the line for a shared thread."""

    code: str | None = CANCELLED
    """How the handler failed; None when it has a result."""

    is_answered: bool = False
    """Whether there is an answer, a result or an error, whatever becomes of it."""

    has_started: bool = False
    """Whether its turn has come, and the handler began to run."""

    _invocation: Invocation | None = None
    _holds_thread: bool = False
    _ended: bool = False

    def __init__(
        self, dispatcher: Dispatcher, function: Function, frame: InvokeFunction, origin: Origin, waits: bool
    ) -> None:
        self._dispatcher = dispatcher
        self.function = function
        self.frame = frame
        self.origin = origin
        self._waits = waits
        self.accepted_at: float = trio.current_time()

    def take_places(self) -> None:
        """Take what the handler needs, which is free, before it runs: trio starts the tasks of one batch in any order."""
        if self.function.slots is not None:
            self.function.slots.acquire_on_behalf_of_nowait(self)
            self.holds_slot = True
        if not self.function.signature.is_async:
            self._dispatcher.threads.acquire_on_behalf_of_nowait(self)
            self._holds_thread = True

    def start(self) -> None:
        """The handler begins to run, and its time-out with it."""
        if self._waits:
            if self._dispatcher.is_full():
                raise Overloaded
            self._waits = False
            self._dispatcher.counters.pending -= 1
            self._dispatcher.counters.running += 1
        if self.scope is not None and self.function.timeout != math.inf:
            self.scope.deadline = min(self.scope.deadline, trio.current_time() + self.function.timeout)
        self.has_started = True
        if self._dispatcher.session.trace is not None:
            self._tell("handler.started")

    @property
    def has_run_out(self) -> bool:
        """Whether the scope that it shares was cancelled because its caller does not wait any more."""
        if self.shared_scope is None or not self.shared_scope.cancel_called:
            return False
        return trio.current_time() >= self.late_at

    def lose(self, reason: str) -> None:
        """Cancel it, unless something else has; one whose task has not run yet never begins."""
        if self.scope is None:
            self.is_lost = True
        elif not self.scope.cancel_called:
            self.is_lost = True
            self.scope.cancel(reason=reason)

    def invocation(self) -> Invocation:
        """What the handler can ask about it; made when it asks."""
        if self._invocation is None:
            frame = self.frame
            self._invocation = Invocation(
                id=frame.invocation_id or "",
                function_id=frame.function_id,
                caller_worker_id=self.caller,
                metadata=self.metadata,
                deadline=None if self.late_at == math.inf else self.late_at,
                traceparent=frame.traceparent,
                baggage=frame.baggage,
                origin=self.origin,
            )
        return self._invocation

    def end(self) -> None:
        """The invocation is over."""
        dispatcher = self._dispatcher
        dispatcher.note_end(self)
        if self._waits:
            dispatcher.counters.pending -= 1
        else:
            dispatcher.counters.running -= 1
        if not self.is_answered:  # its code does not tell: a handler may choose the same word
            dispatcher.counters.cancelled += 1
        self._ended = True
        if not self.in_thread:
            self._let_go()
        if self.has_started and dispatcher.session.trace is not None:
            if self.code is None:
                self._tell("handler.finished")
            else:
                self._tell("handler.failed", code=self.code)

    def _tell(self, event: str, **facts: Any) -> None:
        trace, frame = self._dispatcher.session.trace, self.frame
        if trace is not None:
            trace(event, id=frame.invocation_id, function_id=frame.function_id, **facts)

    def _let_go(self) -> None:
        """The handler is over too, so others may have what it held."""
        function, dispatcher = self.function, self._dispatcher
        function.active -= 1
        if function.has_no_turn:
            return
        if self.holds_slot and function.slots is not None:
            function.slots.release_on_behalf_of(self)
        if not function.signature.is_async:
            dispatcher.threads_wanted -= 1
        if self._holds_thread:
            dispatcher.threads.release_on_behalf_of(self)

    async def wait_thread(self) -> None:
        """Wait for a thread's place in the limiter, unless it has one."""
        if not self._holds_thread:
            await self._dispatcher.threads.acquire_on_behalf_of(self)
            self._holds_thread = True

    async def acquire_on_behalf_of(self, _: object) -> None:
        """The thread is about to begin; its place is taken already."""
        self.start()
        self.in_thread = True

    def release_on_behalf_of(self, _: object) -> None:
        """The thread is done."""
        self.in_thread = False
        if self._ended:
            self._let_go()
