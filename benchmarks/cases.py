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

    def words(self) -> str:
        """For people."""
        kind = "sync" if self.sync else "async"
        return f"{self.calls} calls, {self.concurrency} at once, {self.size} bytes, {kind} handler"

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


# ---- channels -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Stream:
    """What a writer sends to a reader over a channel."""

    frames: int
    size: int
    """Bytes of a frame."""

    unit: str
    """What is counted: ``frame`` or ``MiB``."""

    def amount(self, frames: int) -> float:
        """So many frames in the unit."""
        return frames if self.unit == "frame" else frames * self.size / 2**20

    def warm_up(self) -> int:
        """Frames of the channel before the one that counts."""
        return min(WARM_UP, self.frames)

    def words(self) -> str:
        """For people."""
        return f"{self.frames} frames of {self.size} bytes, per {self.unit}"

    def dump(self) -> str:
        """As an argument of a process."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def parse(cls, text: str) -> Stream:
        """What `dump` wrote."""
        return cls(**json.loads(text))


STREAMS: Final[Mapping[str, Stream]] = {
    "large": Stream(frames=8_000, size=64 * 1024, unit="MiB"),
    "small": Stream(frames=100_000, size=200, unit="frame"),
}
"""By name. 64 KiB is the largest frame that the SDKs make of bytes by themselves."""

READ_LIMIT: Final = 600.0
"""Seconds until a channel has to be read."""
