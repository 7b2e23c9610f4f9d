"""Deadlines that travel: how long the caller still waits, told to the handler beside the payload.

The protocol has no field for it, but it carries metadata unchanged to the handler's worker. One key of it is reserved; it
is written only where metadata is absent or an object, and taken out again before the handler sees it (docs/fates.md,
"Deadlines").
"""

from __future__ import annotations

import math
from typing import Any, Final

DEADLINE_KEY: Final = "iii_trio.deadline_ms"
"""Milliseconds that the caller still waited when the call was sent."""

_FAR: Final = 2**53 / 1000
"""Seconds that are as good as no end; up to it every reader of JSON gets the milliseconds as they were written."""


def with_deadline(metadata: Any, seconds: float) -> Any:
    """Metadata that says for how long the caller waits; as it was when it has no place for that, or there is no end."""
    if seconds >= _FAR:
        return metadata
    # Rounded up, so that the handler is never cancelled before its caller has stopped waiting.
    remaining = max(0, math.ceil(seconds * 1000))
    if metadata is None:
        return {DEADLINE_KEY: remaining}
    return {**metadata, DEADLINE_KEY: remaining} if isinstance(metadata, dict) else metadata


def take_deadline(metadata: Any) -> tuple[Any, float]:
    """Metadata as the caller meant it, and the seconds for which he waits; infinity when nobody says."""
    if type(metadata) is not dict or DEADLINE_KEY not in metadata:
        return metadata, math.inf
    rest = {key: value for key, value in metadata.items() if key != DEADLINE_KEY}
    remaining = metadata[DEADLINE_KEY]
    seconds = remaining / 1000 if type(remaining) in (int, float) and remaining >= 0 else math.inf
    return rest or None, seconds
