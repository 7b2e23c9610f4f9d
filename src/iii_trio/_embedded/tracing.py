"""What the engine does to the trace context on its way to a function (docs/wire.md, "Trace context")."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

FUNCTION_ENTRY: Final = "iii.function.id"
"""The baggage entry that names the function being called."""

Trace: TypeAlias = tuple[str | None, str | None]
"""A trace context and baggage."""

NO_TRACE: Final[Trace] = (None, None)

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

_BUILTIN_PREFIXES: Final = (
    "engine::",
    "state::",
    "stream::",
    "configuration::",
    "iii::",
    "iii-http::",
    "iii-state::",
    "iii-pubsub::",
    "iii-stream::",
    "iii-cron::",
    "iii-queue::",
    "iii-observability::",
    "bridge.",
    "motia::",
    "steps::",
)


def onward_traceparent(traceparent: str | None) -> str | None:
    """What the callee gets: the same context, or nothing when it cannot be parsed."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    return f"00-{match[1]}-{match[2]}-{int(match[3], 16) & 1:02x}"


def onward_baggage(baggage: str | None, function_id: str) -> str:
    """The caller's entries, with the one that names the function."""
    entries = [entry.strip() for entry in (baggage or "").split(",")]
    kept = [entry for entry in entries if "=" in entry and entry.partition("=")[0].strip() != FUNCTION_ENTRY]
    return ",".join([*kept, f"{FUNCTION_ENTRY}={function_id}"])


def onward(traceparent: str | None, baggage: str | None, function_id: str) -> Trace:
    """The context that travels to the worker of `function_id`: nothing when the caller sent nothing."""
    if traceparent is None and baggage is None:
        return None, None
    if function_id.startswith(_BUILTIN_PREFIXES) or function_id in ("publish", "motia_step_get"):
        return onward_traceparent(traceparent), baggage
    return onward_traceparent(traceparent), onward_baggage(baggage, function_id)
