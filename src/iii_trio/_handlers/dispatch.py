"""From an invocation to its answer: one task each, limits, and what becomes of a handler that fails.

Nothing is queued without a bound: what is accepted runs or waits for its function's ``concurrency`` or for a thread, and
what goes beyond the bounds is refused ``overloaded`` at once.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable
from typing import Any

import attrs
import trio

from iii_trio._handlers.context import Invocation, enter
from iii_trio._handlers.signature import Signature
from iii_trio._session.session import Session
from iii_trio._wire.messages import ErrorBody, InvocationResult, InvokeFunction
from iii_trio.errors import InvocationError, PayloadError, is_reserved

logger = logging.getLogger("iii_trio")

CALLER_KEY = "_caller_worker_id"
"""What the engine adds to a payload that is an object (docs/engine.md, "Calls")."""


@attrs.define(eq=False)
class Function:
    """A registered handler and its limits."""

    signature: Signature
    concurrency: int | None
    timeout: float
    slots: trio.CapacityLimiter | None = None
    active: int = 0
    """Invocations that were accepted and have not ended."""


@attrs.define
class HandlerCounters:
    """What happened to invocations."""

    accepted: int = 0
    """Invocations that got a task."""

    overloaded: int = 0
    """Invocations that were refused because a bound was reached."""

    failed: int = 0
    """Handlers that raised, or whose result could not be sent."""

    timed_out: int = 0
    """Handlers that were cancelled at their function's time-out."""

    abandoned_threads: int = 0
    """Sync handlers whose invocation ended before they did; each keeps its thread until it returns."""

    running: int = 0
    """Handlers that run now."""

    pending: int = 0
    """Invocations that wait for their function's concurrency or for a thread."""


@attrs.define(eq=False, kw_only=True)
class Dispatcher:
    """Serves the invocations of one client."""

    session: Session
    room: trio.lowlevel.ParkingLot
    threads: trio.CapacityLimiter
    max_running: int | None
    max_pending: int
    send_stack_traces: bool
    nursery: trio.Nursery | None = None
    counters: HandlerCounters = attrs.field(factory=HandlerCounters)
    _threads_wanted: int = attrs.field(default=0, init=False)

    def dispatch(self, frame: InvokeFunction) -> None:
        """Start a handler, or answer at once that none will run. Never blocks: the reader calls it."""
        registration = self.session.registry.find(frame.function_id)
        if registration is None or self.nursery is None:
            self._refuse(frame, "function_not_found", f"this worker has no function {frame.function_id!r}")
            return
        function: Function = registration.handler
        waits = self._has_to_wait(function)
        counters = self.counters
        full = counters.pending >= self.max_pending if waits else self._is_full()
        if full:
            counters.overloaded += 1
            self._refuse(frame, "overloaded", "this worker has more to do than it may accept")
            return
        counters.accepted += 1
        function.active += 1
        self._threads_wanted += not function.signature.is_async
        if waits:
            counters.pending += 1
        else:
            counters.running += 1
        task = _Task(self, function, waits)
        name = f"iii handler {frame.function_id}"
        self.nursery.start_soon(self._serve, task, frame, self.session.epoch, name=name)

    def _has_to_wait(self, function: Function) -> bool:
        if function.concurrency is not None and function.active >= function.concurrency:
            return True
        return not function.signature.is_async and self._threads_wanted >= self.threads.total_tokens

    def _is_full(self) -> bool:
        return self.max_running is not None and self.counters.running >= self.max_running

    def _refuse(self, frame: InvokeFunction, code: str, message: str) -> None:
        answer = self.session.encode(_failure(frame, ErrorBody(code, message)))
        outbox = self.session.outbox
        # The reader cannot wait for room. An engine that sends this much and reads nothing is not waiting for the answer.
        if outbox.has_room(outbox.results, len(answer)):
            self.session.answer(self.session.epoch, answer)
        else:
            self.session.counters.dropped_results += 1

    async def _serve(self, task: _Task, frame: InvokeFunction, epoch: int) -> None:
        try:
            answer = await self._answer(task, frame)
            encoded = self._encode(frame, answer)
            outbox = self.session.outbox
            while not outbox.has_room(outbox.results, len(encoded)):
                await self.room.park()
            self.session.answer(epoch, encoded)
        finally:
            task.end()

    async def _answer(self, task: _Task, frame: InvokeFunction) -> InvocationResult:
        """Run the handler; whatever it does becomes an answer, cancellation from outside excepted."""
        try:
            result = await self._run(task, frame)
        except BaseExceptionGroup as group:
            # A handler with a nursery of its own may raise both: our cancellation, and what went wrong under it.
            cancelled, rest = group.split(trio.Cancelled)
            if cancelled is not None:
                logger.debug("a cancelled handler of %r raised %r", frame.function_id, rest)
                raise cancelled from None
            return self._failed(frame, group)
        except (Exception, SystemExit) as error:
            return self._failed(frame, error)
        return InvocationResult(frame.invocation_id or "", frame.function_id, result=result)

    async def _run(self, task: _Task, frame: InvokeFunction) -> Any:
        payload, caller = _without_caller(frame.data)
        enter(_context(frame, caller))
        handler = task.function.signature.bind(payload, frame.metadata)
        slots = task.function.slots
        if slots is None:
            return await self._run_in_time(task, handler)
        async with slots:
            return await self._run_in_time(task, handler)

    async def _run_in_time(self, task: _Task, handler: Callable[[], Any]) -> Any:
        timeout = task.function.timeout
        with trio.CancelScope(deadline=trio.current_time() + timeout) as scope:
            if task.function.signature.is_async:
                task.start()
                return await handler()
            return await self._run_in_thread(task, handler)
        assert scope.cancelled_caught
        self.counters.timed_out += 1
        raise TimeoutError(f"the handler was cancelled after {timeout:g} s")

    async def _run_in_thread(self, task: _Task, handler: Callable[[], Any]) -> Any:
        try:
            # The thread, and with it its place in the limiter, may outlive this task: that is what keeps threads bounded.
            limiter: Any = task
            result = await trio.to_thread.run_sync(handler, abandon_on_cancel=True, limiter=limiter)
        except trio.Cancelled:
            if task.holds_thread:
                self.counters.abandoned_threads += 1
            raise
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError("a sync handler returned an awaitable; make the handler itself async")
        return result

    def _encode(self, frame: InvokeFunction, answer: InvocationResult) -> bytes:
        try:
            return self.session.encode(answer)
        except PayloadError as error:
            self.counters.failed += 1
            return self.session.encode(
                _failure(frame, ErrorBody("invocation_failed", f"the result cannot be sent: {error}"))
            )

    def _failed(self, frame: InvokeFunction, error: BaseException) -> InvocationResult:
        self.counters.failed += 1
        logger.warning("the handler of %r failed", frame.function_id, exc_info=error)
        stack = "".join(traceback.format_exception(error)) if self.send_stack_traces else None
        if isinstance(error, InvocationError) and error.invocation_id is None and not is_reserved(error.code):
            return _failure(frame, ErrorBody(error.code, error.message, stack))
        # An error of a call that the handler made keeps its code in the message only: as the code it would say of this
        # call what was true of the other one (docs/fates.md).
        words = str(error) if isinstance(error, InvocationError) else f"{type(error).__name__}: {error}"
        return _failure(frame, ErrorBody("invocation_failed", words, stack))


@attrs.define(eq=False)
class _Task:
    """Where one accepted invocation stands. To trio's threads it is the limiter that tells it."""

    _dispatcher: Dispatcher
    function: Function
    _waits: bool
    holds_thread: bool = False
    _ended: bool = False

    def start(self) -> None:
        """The handler begins to run."""
        if self._waits:
            self._waits = False
            self._dispatcher.counters.pending -= 1
            self._dispatcher.counters.running += 1

    def end(self) -> None:
        """The invocation is over."""
        counters = self._dispatcher.counters
        if self._waits:
            counters.pending -= 1
        else:
            counters.running -= 1
        self.function.active -= 1
        self._ended = True
        if not self.function.signature.is_async and not self.holds_thread:
            self._dispatcher._threads_wanted -= 1

    async def acquire_on_behalf_of(self, borrower: object) -> None:
        """Wait for a thread's place in the limiter."""
        await self._dispatcher.threads.acquire_on_behalf_of(borrower)
        self.holds_thread = True
        self.start()

    def release_on_behalf_of(self, borrower: object) -> None:
        """The thread is done."""
        self._dispatcher.threads.release_on_behalf_of(borrower)
        self.holds_thread = False
        if self._ended:
            self._dispatcher._threads_wanted -= 1


def _context(frame: InvokeFunction, caller: str | None) -> Invocation:
    return Invocation(
        id=frame.invocation_id or "",
        function_id=frame.function_id,
        caller_worker_id=caller,
        metadata=frame.metadata,
        traceparent=frame.traceparent,
        baggage=frame.baggage,
    )


def _without_caller(data: Any) -> tuple[Any, str | None]:
    """The payload as the caller meant it, and who that was."""
    if type(data) is dict and CALLER_KEY in data:
        caller = data.pop(CALLER_KEY)
        return data, caller if isinstance(caller, str) else None
    return data, None


def _failure(frame: InvokeFunction, error: ErrorBody) -> InvocationResult:
    return InvocationResult(frame.invocation_id or "", frame.function_id, error=error)
