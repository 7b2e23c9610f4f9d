"""What a handler can ask about the invocation that it serves."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any, Final

import attrs
import trio


@attrs.define
class Origin:
    """The connection over which invocations came, as far as it matters to their handlers."""

    is_gone: bool = False


@attrs.frozen(kw_only=True)
class Invocation:
    """The invocation that the running handler serves."""

    id: str
    """Id of the call; a void call has one too."""

    function_id: str
    """Id of the function, as it was registered."""

    caller_worker_id: str | None
    """Id of the worker that called, as the engine says it. Advisory: a sender can forge it through a queue."""

    metadata: Any
    """What the caller sent beside the payload."""

    deadline: float | None
    """When the caller stops waiting, on trio's clock: the handler is cancelled then. None when nobody said."""

    traceparent: str | None
    """W3C trace context of the caller."""

    baggage: str | None
    """W3C baggage of the caller."""

    _origin: Origin = attrs.field(factory=Origin, alias="origin", eq=False, repr=False)

    @property
    def abandoned(self) -> bool:
        """Whether the connection over which this came is gone, so that nobody gets the result.

        The caller has been told ``invocation_stopped`` by then; there may still be one who needs the work itself, as with
        a void call. Always up to date, and readable from any thread.
        """
        return self._origin.is_gone


_CURRENT: Final[ContextVar[Callable[[], Invocation] | None]] = ContextVar("iii_trio_invocation", default=None)
"""What makes it, since few handlers ask."""


def current_invocation() -> Invocation | None:
    """The invocation that the calling task or thread serves; None outside of handlers. Never blocks."""
    make = _CURRENT.get()
    return None if make is None else make()


def running_invocation(context: Context) -> Invocation | None:
    """The invocation that a task with this context serves."""
    make = context.get(_CURRENT)
    return None if make is None else make()


def enter(invocation: Callable[[], Invocation]) -> None:
    """Make the invocation that `invocation` returns, always the same, the current one of this task."""
    _CURRENT.set(invocation)


@attrs.define(eq=False)
class ThreadCalls:
    """The calls that a sync handler makes from its thread, so that they end when its invocation does.

    trio lets the calls of an abandoned thread go on. They would keep the thread, which nobody waits for any more, from
    returning, and with it its place among the threads.
    """

    _scopes: set[trio.CancelScope] = attrs.field(factory=set)
    _ended: bool = False

    def add(self, scope: trio.CancelScope) -> None:
        """List the scope of a call; cancels it when the invocation has ended already."""
        self._scopes.add(scope)
        if self._ended:
            scope.cancel(reason="the handler's invocation has ended")

    def remove(self, scope: trio.CancelScope) -> None:
        """The call has ended by itself."""
        self._scopes.discard(scope)

    def cancel(self) -> None:
        """The invocation has ended: end all calls, those that are still to come included."""
        self._ended = True
        for scope in self._scopes:
            scope.cancel(reason="the handler's invocation has ended")


_THREAD: Final[ContextVar[ThreadCalls | None]] = ContextVar("iii_trio_thread_calls", default=None)


def current_thread_calls() -> ThreadCalls | None:
    """Where the calls of this sync handler are listed; None outside of the threads of handlers."""
    return _THREAD.get()


def enter_thread(calls: ThreadCalls) -> None:
    """Make `calls` the current ones of this thread."""
    _THREAD.set(calls)
