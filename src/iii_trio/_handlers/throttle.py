"""Sync handlers that are quick share a few threads, and one that waits for something gets a thread of its own at once.

Only one thread runs Python at a time, and the more of them want to, the dearer each turn is (docs/decisions.md, "Few threads
for quick handlers").
"""

from __future__ import annotations

from contextvars import Context
from functools import partial
from typing import Final

import attrs
import trio

FEW: Final = 5
"""Threads that quick handlers share."""

QUICK: Final = 0.002
"""Seconds that a handler takes on average to be called quick."""

STALL: Final = 0.01
"""Seconds after which the few are taken to wait for something, when none has returned: one more starts, and so on."""

CALM: Final = 20
"""How often in a row that must pass with somebody leaving, before one that was let in besides is not replaced."""

_WEIGHT: Final = 0.05
"""Of the last handler in the average of a function."""


@attrs.define(eq=False)
class Habit:
    """How long the sync handlers of one function take."""

    _average: float = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether they mostly return at once, as is believed until it is known."""
        return self._average < QUICK

    def note(self, seconds: float) -> None:
        """One has returned. Called in its thread."""
        self._average += _WEIGHT * (seconds - self._average)


@attrs.define(eq=False)
class Throttle:
    """Where quick handlers wait for one of the few threads."""

    _inside: int = attrs.field(default=0, init=False)
    _line: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _has_moved: bool = attrs.field(default=False, init=False)
    _is_watched: bool = attrs.field(default=False, init=False)
    _is_too_wide: bool = attrs.field(default=False, init=False)

    async def enter(self, home: trio.Nursery) -> None:
        """Wait for a thread's place; with a checkpoint only where there is something to wait for."""
        if self._inside < FEW and not self._line:
            self._inside += 1
            return
        if not self._is_watched:
            self._is_watched = True
            # In no handler's context: it outlives the one that happens to find the line, and is not part of its work.
            Context().run(partial(home.start_soon, self._watch, name="iii watch over threads"))
        await self._line.park()  # whoever wakes us leaves us the place

    def leave(self) -> None:
        """Give the place to the next, if there is one and the place is not one too many."""
        self._has_moved = True
        if self._line and not self._is_too_wide:
            self._line.unpark()
        else:
            self._inside -= 1
            self._is_too_wide = False

    async def _watch(self) -> None:
        """Let one more in whenever nobody has left for a while, as long as somebody waits.

        And one less when it has gone well for some time: a line may never end, and every pause of the process would count.
        """
        calm = 0
        try:
            while self._line:
                self._has_moved = False
                await trio.sleep(STALL)
                calm = calm + 1 if self._has_moved else 0
                if not self._has_moved and self._line:
                    self._inside += 1
                    self._line.unpark()
                elif calm == CALM:
                    self._is_too_wide = self._inside > FEW
                    calm = 0
        finally:
            self._is_watched = False
