"""The time that the core was told, and what is to happen later.

The time of day starts as the real one and passes as the core's clock does, so a test that moves the clock moves it too.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator

import attrs


@attrs.define(order=True)
class Alarm:
    """Something that is to happen at a time; alarms for the same time go off in the order in which they were set."""

    deadline: float
    _number: int
    _run: Callable[[], None] = attrs.field(order=False)
    _cancelled: bool = attrs.field(default=False, order=False, init=False)

    def cancel(self) -> None:
        """Take it back; nothing happens if it went off."""
        self._cancelled = True

    def go_off(self) -> None:
        """Do what is to be done, once."""
        if not self._cancelled:
            self._cancelled = True
            self._run()

    @property
    def is_cancelled(self) -> bool:
        """Whether it has nothing to do any more."""
        return self._cancelled


@attrs.define(kw_only=True)
class Clock:
    """Seconds that never go back."""

    epoch_ms: Callable[[], int]
    """The real time of day; asked once."""
    on_alarm: Callable[[], None]
    """Called when an alarm is the next to go off, so that whoever sleeps until the one before it wakes up."""
    now: float = -math.inf
    """What the core was told last."""
    _day: tuple[float, float] | None = attrs.field(default=None, init=False)
    """A time, and the time of day that it was, in seconds."""
    _alarms: list[Alarm] = attrs.field(factory=list, init=False)
    _numbers: Iterator[int] = attrs.field(factory=itertools.count, init=False)
    _soon: deque[Callable[[], None]] = attrs.field(factory=deque, init=False)

    def at(self, deadline: float, run: Callable[[], None]) -> Alarm:
        """Have something done at a time."""
        alarm = Alarm(deadline, next(self._numbers), run)
        heapq.heappush(self._alarms, alarm)
        if self._alarms[0] is alarm:
            self.on_alarm()
        return alarm

    def soon(self, run: Callable[[], None]) -> None:
        """Have something done when what is happening now is over."""
        self._soon.append(run)

    def settle(self) -> None:
        """Do what is to be done soon. What comes of it waits for the next tick, since it may cause itself for ever."""
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        if self._soon:
            self.at(self.now, self.settle)

    def clear(self) -> None:
        """Forget every alarm, and what was to happen soon. Time goes on."""
        self._alarms.clear()
        self._soon.clear()

    def time_of_day(self) -> float:
        """Seconds since 1970."""
        if self._day is None:
            self._day = (self.now, self.epoch_ms() / 1_000)
        then, time_of_day = self._day
        return time_of_day + (self.now - then)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None for never."""
        while self._alarms and self._alarms[0].is_cancelled:
            heapq.heappop(self._alarms)
        return self._alarms[0].deadline if self._alarms else None

    def tick(self, now: float) -> None:
        """Let the alarms go off that are due; those that they set wait for the next tick."""
        self.now = now
        due = []
        while self._alarms and self._alarms[0].deadline <= now:
            due.append(heapq.heappop(self._alarms))
        for alarm in due:
            alarm.go_off()
        self.settle()
