"""Threads that quick sync handlers share: one thread runs many of them, one after the other.

Only one thread runs Python at a time, and to wake one takes far longer than most handlers (docs/decisions.md, "Few threads
for quick handlers"). So they stand in one line, a thread that has come takes from it until it is empty, and what they
return is handed over in one go. A handler that waits for something holds up nobody for long: another thread comes.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar

import attrs
import trio
from sniffio import current_async_library_cvar

T = TypeVar("T")

FEW: Final = 5
"""Threads that share the line of handlers that are quick, and not instant."""

QUICK: Final = 0.002
"""Seconds that a handler takes on average to be called quick."""

INSTANT: Final = 0.0002
"""Seconds that a handler takes on average to be called instant: one thread is enough for all of them."""

LONG: Final = 0.005
"""Seconds after which a handler is left to its thread, when others wait, and another thread comes for those."""

PERIOD: Final = 0.01
"""Seconds between two looks for such handlers."""

_WEIGHT: Final = 0.05
"""Of the last handler in the average of a function."""


@attrs.define(eq=False)
class Habit:
    """How long the sync handlers of one function take."""

    _average: float = 2 * INSTANT
    """Of one that is not known, what lets others run beside it until it is."""

    @property
    def is_quick(self) -> bool:
        """Whether they mostly return at once, as is believed until it is known."""
        return self._average < QUICK

    @property
    def is_instant(self) -> bool:
        """Whether there is nothing to gain by running two of them at once."""
        return self._average < INSTANT

    def note(self, seconds: float) -> None:
        """One has returned. Called in its thread."""
        self._average += _WEIGHT * (seconds - self._average)


class Owner(Protocol):
    """The invocation that a job is done for."""

    in_thread: bool
    """Set when nobody waits for the handler any more, and it runs."""

    never_ran: bool
    """Set when nobody waits for the handler any more, and it will not run."""

    def release_on_behalf_of(self, _: object) -> None:
        """Nobody has waited, and the handler has returned."""


@attrs.define(eq=False)
class _Seat:
    """One thread of the pool."""

    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    began: float = math.inf
    """When the handler that it runs began."""


@attrs.define(eq=False)
class _Job:
    """One handler to run."""

    work: Callable[[], Any]
    context: Context
    owner: Owner
    waiter: trio.lowlevel.Task | None
    """Who waits for it; None when nobody does any more."""

    seat: _Seat | None = None
    """Where it runs, or has run."""

    is_over: bool = False
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        """In a thread."""
        try:
            self.result = self.context.run(self.work)
        except BaseException as error:  # it is raised where the handler is waited for
            self.error = error


@attrs.define(eq=False)
class Pool:
    """A line of handlers, and the threads that take from it."""

    few: int
    """Threads that come as soon as there is a handler for each."""

    _line: deque[_Job] = attrs.field(factory=deque, init=False)
    _done: list[_Job] = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held for moments: who takes a job, who gives one up, and whether a thread still looks at the line."""

    _seats: set[_Seat] = attrs.field(factory=set, init=False)
    """Threads that take from the line, or will when they have begun. Others end with the handler that they run."""

    _limiter: trio.CapacityLimiter = attrs.field(factory=partial(trio.CapacityLimiter, math.inf), init=False)
    _is_told: bool = attrs.field(default=False, init=False)
    """Whether trio knows that something is done."""

    _is_watched: bool = attrs.field(default=False, init=False)

    # ---- in trio's thread -------------------------------------------------------------------------------------------

    @trio.lowlevel.enable_ki_protection
    async def run(self, work: Callable[[], Any], owner: Owner, home: trio.Nursery) -> Any:
        """Run `work` in a thread, in the caller's context, and return or raise what it does. Threads belong to `home`.

        Cancelled in the line it never runs. Cancelled while it runs its thread is abandoned: `in_thread` of its owner is
        set until it has returned, and then the owner is told.
        """
        context = copy_context()
        context.run(current_async_library_cvar.set, None)  # as `trio.to_thread.run_sync` does
        job = _Job(work, context, owner, trio.lowlevel.current_task())
        with self._lock:
            self._line.append(job)
            another = len(self._seats) < self.few
        if another:
            self._bring(home)
        elif not self._is_watched:
            self._is_watched = True
            self._start(home, self._watch, home)
        await trio.lowlevel.wait_task_rescheduled(partial(self._give_up, job))
        error, job.error = job.error, None
        if error is None:
            return job.result
        try:
            raise error
        finally:
            del error  # its traceback holds this frame

    def _bring(self, home: trio.Nursery) -> None:
        """Have another thread come and take from the line."""
        seat = _Seat()
        with self._lock:
            self._seats.add(seat)
        self._start(home, self._sit, seat)

    def _start(self, home: trio.Nursery, what: Callable[[T], Awaitable[None]], argument: T) -> None:
        # In no handler's context: it outlives the one that happens to need it, and is not part of its work.
        Context().run(lambda: home.start_soon(what, argument, name="iii threads"))

    def _give_up(self, job: _Job, _: object) -> trio.lowlevel.Abort:
        with self._lock:
            if job.is_over:
                return trio.lowlevel.Abort.FAILED  # what it has returned is on the way
            job.waiter = None
            if job.seat is None:
                job.owner.never_ran = True
            else:
                job.owner.in_thread = True
                self._seats.discard(job.seat)  # before its task can know: else the thread might take another until then
                job.seat.scope.cancel(reason="nobody waits for the handler in this thread any more")
        return trio.lowlevel.Abort.SUCCEEDED

    @trio.lowlevel.enable_ki_protection
    async def _sit(self, seat: _Seat) -> None:
        """Have a thread take from the line, until that is empty."""
        tell = partial(trio.lowlevel.current_trio_token().run_sync_soon, self._hand_over)
        try:
            with seat.scope:
                # Abandoned with the handler that it runs, so that this knows that it is: see `from_thread`.
                await trio.to_thread.run_sync(
                    self._take, seat, tell, thread_name="iii handlers", abandon_on_cancel=True, limiter=self._limiter
                )
        except RuntimeError as error:  # the system has no thread for us
            self._fail(seat, error)
        finally:
            with self._lock:
                self._seats.discard(seat)

    def _fail(self, seat: _Seat, error: RuntimeError) -> None:
        """A thread cannot come. Where there is none left, those in the line are told, since nobody would serve them."""
        with self._lock:
            if self._seats <= {seat}:
                left = [job for job in self._line if job.waiter is not None]
                self._line.clear()
                for job in left:
                    job.is_over, job.error = True, RuntimeError(*error.args)
                self._done.extend(left)
        self._hand_over()

    def _hand_over(self) -> None:
        """Wake those whose handlers have returned."""
        with self._lock:
            self._is_told = False
            done, self._done = self._done, []
        for job in done:
            if job.waiter is not None:
                trio.lowlevel.reschedule(job.waiter)
            else:
                job.owner.release_on_behalf_of(job)

    @trio.lowlevel.enable_ki_protection
    async def _watch(self, home: trio.Nursery) -> None:
        """Leave handlers that wait for something to their threads, and have others come, as long as there is a line."""
        try:
            while self._line:
                await trio.sleep(PERIOD)
                with self._lock:
                    long_ago = perf_counter() - LONG
                    self._seats -= {seat for seat in self._seats if seat.began < long_ago}
                    missing = min(len(self._line), self.few - len(self._seats))
                for _ in range(missing):
                    self._bring(home)
        finally:
            self._is_watched = False

    # ---- in the threads ---------------------------------------------------------------------------------------------

    def _take(self, seat: _Seat, tell: Callable[[], None]) -> None:
        """Run what is in the line, one after the other."""
        while (job := self._next(seat)) is not None:
            job.run()
            with self._lock:
                job.is_over = True
                self._done.append(job)
                is_told, self._is_told = self._is_told, True
            if not is_told:  # else trio will see this one too
                tell()

    def _next(self, seat: _Seat) -> _Job | None:
        with self._lock:
            while self._line and seat in self._seats:
                job = self._line.popleft()
                if job.waiter is not None:
                    job.seat = seat
                    seat.began = perf_counter()
                    return job
            self._seats.discard(seat)
            return None
