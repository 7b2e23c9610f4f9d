"""The cases that are measured, and their loads. Every contender reads this, also one that has neither trio nor attrs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Final

WARM_UP: Final = 500
"""Calls before those that count, at most."""

TIMEOUT: Final = 5.0
"""Seconds after which a call counts as lost."""

THREADS: Final = 40
"""Sync handlers that a probe runs at once, which is the client's default."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What a caller does to a worker."""

    calls: int
    concurrency: int
    """Calls at once."""

    size: int
    """Bytes of the payload."""

    sync: bool = False
    """Whether the handler is a plain function, which has to run in a thread."""

    def payload(self) -> dict[str, str]:
        """An object whose JSON text has `size` bytes."""
        return {"text": "x" * (self.size - len('{"text":""}'))}

    def warm_up(self) -> int:
        """Calls to make before those that count."""
        return min(WARM_UP, self.calls)

    def dump(self) -> str:
        """As an argument of a process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def parse(cls, text: str) -> Load:
        """What `dump` wrote."""
        return cls(**json.loads(text))


CASES: Final[Mapping[str, Load]] = {
    "small": Load(calls=20_000, concurrency=64, size=200),
    "large": Load(calls=6_000, concurrency=16, size=16 * 1024),
    "sync": Load(calls=6_000, concurrency=64, size=200, sync=True),
    "single": Load(calls=3_000, concurrency=1, size=200),
    "healing": Load(calls=20_000, concurrency=64, size=200),
}
"""By name. The last is for the client alone, with and without second sendings (docs/engine.md, "Early answers")."""
