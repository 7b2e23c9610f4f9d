"""Who held trio's loop up, and for how long: `InitOptions.loop_watch` (docs/watching.md, "What blocks the loop").

While a task does not give the loop back nothing else runs: no other handler, no answer, no heartbeat. One step of a task,
from checkpoint to checkpoint, is what can be timed.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import math
import time
from types import FrameType, TracebackType
from typing import Any

import trio

from iii_trio._handlers.context import running_invocation
from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._handlers.function import Function

logger = logging.getLogger("iii_trio")

clock = time.perf_counter
"""Real seconds: a loop that is held up holds trio's clock up too."""


class LoopWatch(trio.abc.Instrument):
    """Times every step of every task of the run, for the length of a block, if it is given a threshold."""

    def __init__(self, threshold: float | None, dispatcher: Dispatcher) -> None:
        self.threshold = threshold
        self.blocks: int = 0
        """Steps that took as long as the threshold, or longer."""

        self.longest: float = 0.0
        """Seconds of the longest of them."""

        self._dispatcher = dispatcher
        self._limit = math.inf if threshold is None else threshold
        self._began = math.inf

    def __enter__(self) -> None:
        """Begin to look."""
        if self.threshold is not None:
            trio.lowlevel.add_instrument(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        if self.threshold is not None:
            with contextlib.suppress(KeyError):  # trio throws an instrument out that raises, as a user's log filter may
                trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """A task begins to run."""
        self._began = clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """It gave the loop back."""
        took = clock() - self._began
        if took >= self._limit:
            self.blocks += 1
            self.longest = max(self.longest, took)
            logger.warning("%s blocked the loop for %.3g s", self._who(task), took)

    def _who(self, task: trio.lowlevel.Task) -> str:
        invocation = running_invocation(task.context)
        if invocation is not None and self._serves(task):
            registration = self._dispatcher.session.registrar.registry.find(invocation.function_id)
            where = "" if registration is None else _place_of(registration.handler)
            return f"the handler of {invocation.function_id!r}{where}"
        return f"the task {task.name!r}{_place_in(task.coro)}"

    def _serves(self, task: trio.lowlevel.Task) -> bool:
        """Whether it is one of this client's handlers, or was started by one."""
        nursery = task.parent_nursery
        while nursery is not None and nursery is not self._dispatcher.nursery:
            nursery = nursery.parent_task.parent_nursery
        return nursery is not None


def _place_of(function: Function) -> str:
    """Where a handler is defined, if it is Python."""
    handler: Any = function.signature.function
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not inspect.isroutine(handler):
        handler = type(handler).__call__
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"


def _place_in(coroutine: Any) -> str:
    """Where a task waits after its step, in the code that is not trio's; where its function begins if it has ended."""
    place = (coroutine.cr_code.co_filename, coroutine.cr_code.co_firstlineno)
    awaited = coroutine
    while isinstance(getattr(awaited, "cr_frame", None), FrameType):
        frame = awaited.cr_frame
        if not frame.f_globals.get("__name__", "").startswith("trio."):
            place = (frame.f_code.co_filename, frame.f_lineno)
        awaited = awaited.cr_await
    return f" ({place[0]}:{place[1]})"
