"""What a handler can ask about the invocation that it serves."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

import attrs


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

    traceparent: str | None
    """W3C trace context of the caller."""

    baggage: str | None
    """W3C baggage of the caller."""


_CURRENT: Final[ContextVar[Invocation | None]] = ContextVar("iii_trio_invocation", default=None)


def current_invocation() -> Invocation | None:
    """The invocation that the calling task or thread serves; None outside of handlers. Never blocks."""
    return _CURRENT.get()


def enter(invocation: Invocation) -> None:
    """Make `invocation` the current one of this task."""
    _CURRENT.set(invocation)
