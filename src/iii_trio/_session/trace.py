"""The trace hook: which events there are, and how the user's callable is asked (docs/watching.md, "The trace hook").

Where something happens stands ``if session.trace is not None``, so that it costs nothing while nobody looks. No event has a
payload, a header or a token among its facts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

logger = logging.getLogger("iii_trio")

TraceHook: TypeAlias = Callable[[str, Mapping[str, Any]], object]
"""Gets the name of an event and its facts."""

EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "connect.started": ("url",),
    "connect.failed": ("url", "reason"),
    "connection.opened": ("transport",),
    "connection.ready": ("worker_id",),
    "engine.restarted": (),
    "connection.lost": ("reason",),
    "frame.sent": ("frames", "bytes"),
    "frame.received": ("frames",),
    "registration.refused": ("function_id", "code"),
    "call.started": ("id", "function_id"),
    "call.settled": ("id", "function_id", "outcome", "fate"),
    "handler.started": ("id", "function_id"),
    "handler.finished": ("id", "function_id"),
    "handler.failed": ("id", "function_id", "code"),
}
"""Every event, with the names of its facts."""


class Trace:
    """Asks a hook, and lets no fault of it through."""

    __slots__ = ("_hook",)

    def __init__(self, hook: TraceHook) -> None:
        self._hook = hook

    def __call__(self, event: str, **facts: Any) -> None:
        """Tell the hook of an event of `EVENTS`."""
        try:
            self._hook(event, facts)
        except Exception:
            logger.warning("the trace hook failed at %s", event, exc_info=True)
