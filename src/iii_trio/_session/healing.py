"""Answers that may have come too early, sent a second time.

The engine files a call only after it has handed it to the worker, so the answer of a fast worker can find no call and is
dropped; its caller would wait for ever. It ignores an answer whose call it does not know, so sending one again a little
later is harmless (docs/engine.md, "Early answers"). Only prompt answers are at risk, and only small ones are kept: a
large one takes longer to cross than the engine takes to file its call.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import attrs

PROMPT: Final = 0.05
"""Seconds: what is answered later than this after it came was filed long before."""

DELAY: Final = 0.025
"""Seconds until the second sending."""

TICK: Final = 0.005
"""Seconds between two rounds of second sendings, so that a busy worker does not wake for each."""

MAX_FRAME: Final = 64 * 1024
"""Bytes of an answer that is kept at most."""

MAX_WAITING: Final = 16 * 1024 * 1024
"""Bytes that wait at most; what comes on top is sent once."""


@attrs.define(eq=False)
class Healing:
    """What waits for its second sending, in the order in which it is due."""

    _waiting: deque[tuple[float, bytes]] = attrs.field(factory=deque)
    _next_round: float = -math.inf
    size: int = 0
    """Bytes that wait."""

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, frame: bytes, now: float) -> bool:
        """Keep an answer that is sent now; False when it is too large, or too much waits already."""
        if len(frame) >= MAX_FRAME or self.size + len(frame) > MAX_WAITING:
            return False
        self._waiting.append((now + DELAY, frame))
        self.size += len(frame)
        return True

    def next_deadline(self) -> float:
        """When the next round is due; infinity when nothing waits."""
        return max(self._waiting[0][0], self._next_round) if self._waiting else math.inf

    def take_due(self, now: float) -> list[bytes]:
        """What is to be sent again now."""
        if self.next_deadline() > now:
            return []
        self._next_round = now + TICK
        due = []
        while self._waiting and self._waiting[0][0] <= now:
            frame = self._waiting.popleft()[1]
            self.size -= len(frame)
            due.append(frame)
        return due

    def clear(self) -> None:
        """The connection is gone, and every call on it with it."""
        self._waiting.clear()
        self.size = 0
