"""Whether two connections reached the same engine, or the second one an engine that was started since.

The greeting does not say. But the engine lists the workers inside of itself, and since when each of them is there; one of
them is the engine's own, and begins with it (docs/engine.md, "Restarts").
"""

from __future__ import annotations

from typing import Any, Final

import attrs

WORKERS_LIST: Final = "engine::workers::list"
QUESTION: Final = {"runtime": "engine"}

_OWN: Final = "iii-engine-functions"


@attrs.define
class EngineIdentity:
    """Since when the engine of the newest connection runs, as far as it says."""

    restarts: int = attrs.field(default=0, init=False)
    """Times that it was another one than before."""

    _since: int | None = attrs.field(default=None, init=False)

    def learn(self, answer: Any) -> bool:
        """Take the engine's answer to the question; returns whether it is another engine than the last that answered."""
        since = _started_at(answer)
        if since is None:
            return False
        is_another = self._since not in (None, since)
        self._since = since
        self.restarts += is_another
        return is_another


def _started_at(answer: Any) -> int | None:
    """When the engine's own worker began, or else the first of those inside of the engine."""
    rows = answer.get("workers") if isinstance(answer, dict) else None
    began: dict[Any, int] = {}
    for row in rows if isinstance(rows, list) else ():
        # Whoever connects from outside has an id that the engine made, whatever it calls itself.
        if isinstance(row, dict) and row.get("id") == row.get("name") and type(row.get("connected_at_ms")) is int:
            began[str(row["id"])] = row["connected_at_ms"]
    return began.get(_OWN, min(began.values(), default=None))
