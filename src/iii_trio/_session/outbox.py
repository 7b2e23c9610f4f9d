"""What waits to be sent: four lanes, taken in batches, each with its own rules.

*First* holds what belongs to the present connection and goes before everything: its replay, pings. *Results* are answers
to invocations that came over the present connection, *again* their second sendings, whose bound is in `healing`. *Calls*
holds calls, and what must keep its order with them; it waits for a connection to be ready, outlives it, and is bounded by
count and bytes. Nothing is dropped here: who finds the lane full waits, or is told.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

import attrs


@attrs.define(eq=False)
class Lane:
    """Encoded frames in order, with the sums that the bounds are about."""

    frames: OrderedDict[object, bytes] = attrs.field(factory=OrderedDict)
    size: int = 0

    def put(self, key: object, frame: bytes) -> None:
        """Add a frame at the end, under a key by which it can be taken out again."""
        self.frames[key] = frame
        self.size += len(frame)

    def discard(self, key: object) -> bool:
        """Take one frame out; False when it is not (or no longer) there."""
        frame = self.frames.pop(key, None)
        if frame is None:
            return False
        self.size -= len(frame)
        return True

    def replace(self, key: object, frame: bytes) -> None:
        """Put another frame in the place of one that waits."""
        self.size += len(frame) - len(self.frames[key])
        self.frames[key] = frame

    def clear(self) -> int:
        """Forget everything; returns how many frames that were."""
        count = len(self.frames)
        self.frames.clear()
        self.size = 0
        return count

    def take(self, max_bytes: int) -> Iterable[tuple[object, bytes]]:
        """Hand frames out in order until `max_bytes`, more than 0, are reached; at least one if there is any."""
        if self.size <= max_bytes:
            taken = list(self.frames.items())
            self.clear()
            return taken
        taken = []
        while self.frames and max_bytes > 0:
            key, frame = self.frames.popitem(last=False)
            self.size -= len(frame)
            max_bytes -= len(frame)
            taken.append((key, frame))
        return taken


@attrs.define(eq=False)
class Line:
    """A lane of frames that nobody takes out again."""

    frames: deque[bytes] = attrs.field(factory=deque)
    size: int = 0

    def put(self, frame: bytes) -> None:
        """Add a frame at the end."""
        self.frames.append(frame)
        self.size += len(frame)

    def clear(self) -> int:
        """Forget everything; returns how many frames that were."""
        count = len(self.frames)
        self.frames.clear()
        self.size = 0
        return count

    def take(self, max_bytes: int) -> list[bytes]:
        """Hand frames out as a lane does."""
        if self.size <= max_bytes:
            taken = list(self.frames)
            self.clear()
            return taken
        taken = []
        while self.frames and max_bytes > 0:
            frame = self.frames.popleft()
            self.size -= len(frame)
            max_bytes -= len(frame)
            taken.append(frame)
        return taken


@attrs.define(eq=False)
class Outbox:
    """The lanes and the bounds of the two that other people fill."""

    max_frames: int
    max_bytes: int
    first: Lane = attrs.field(factory=Lane)
    results: Line = attrs.field(factory=Line)
    again: Line = attrs.field(factory=Line)
    calls: Lane = attrs.field(factory=Lane)

    def has_room(self, lane: Lane | Line, size: int) -> bool:
        """Whether a frame of `size` bytes fits; an empty lane takes any, so that no frame waits for ever."""
        return not lane.frames or (len(lane.frames) < self.max_frames and lane.size + size <= self.max_bytes)

    @property
    def frames(self) -> int:
        """How many frames wait in all lanes."""
        return sum(len(lane.frames) for lane in self._lanes)

    @property
    def bytes(self) -> int:
        """How many bytes wait in all lanes."""
        return sum(lane.size for lane in self._lanes)

    @property
    def _lanes(self) -> tuple[Lane | Line, ...]:
        return self.first, self.results, self.again, self.calls
