"""From an invocation to its answer: one task each, limits, and what becomes of a handler that fails.

Nothing is queued without a bound: what is accepted runs or waits for its function's ``concurrency`` or for a thread, and
what goes beyond the bounds is refused ``overloaded`` at once, or when its turn comes and too many handlers run.

A handler outlives the connection over which its invocation came, unless its function says otherwise: void calls look like
any other here, and their work exists nowhere else (docs/fates.md, "When the connection is lost").
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

import attrs
import trio

from iii_trio._channels.http import answer_http, is_http
from iii_trio._handlers.answers import FAILED, LATE, OVERLOADED, failure, of_exception, sendable
from iii_trio._handlers.context import Origin, ThreadCalls, enter, enter_thread
from iii_trio._handlers.function import Function
from iii_trio._handlers.patience import SharedScopes
from iii_trio._handlers.pool import FEW, Habit, Pool
from iii_trio._handlers.task import Late, Lost, Overloaded, Task, TimedOut
from iii_trio._session.deadlines import take_deadline
from iii_trio._session.session import Session
from iii_trio._types.table import Misfit
from iii_trio._wire.messages import ErrorBody, InvocationResult, InvokeFunction
from iii_trio.errors import PayloadError

logger = logging.getLogger("iii_trio")

CALLER_KEY = "_caller_worker_id"
"""What the engine adds to a payload that is an object (docs/engine.md, "Calls")."""


@attrs.define
class HandlerCounters:
    """What happened to invocations."""

    accepted: int = 0
    """Invocations that got a task."""

    overloaded: int = 0
    """Invocations that were refused because a bound was reached."""

    failed: int = 0
    """Handlers that raised, or whose result could not be sent."""

    invalid_inputs: int = 0
    """Invocations that were refused because their payload is not what the handler takes."""

    timed_out: int = 0
    """Handlers that were cancelled at their function's time-out, or at their caller's deadline."""

    cancelled: int = 0
    """Handlers that were cancelled with their client, or with their connection."""

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
    active: set[Task] = attrs.field(factory=set, init=False)
    """Invocations that were accepted and not answered yet."""

    ended: int = attrs.field(default=0, init=False)
    """Accepted invocations that are over."""

    threads_wanted: int = attrs.field(default=0, init=False)
    """Who has a thread, or waits for one: sync handlers and sync providers."""

    _origin: Origin = attrs.field(factory=Origin, init=False)
    """The present connection, or the next."""

    _stopped: str | None = attrs.field(default=None, init=False)
    """Why the handlers that are left are cancelled, if they are, so that their callers can be told."""

    _instant: Pool = attrs.field(factory=lambda: Pool(few=1), init=False)
    _quick: Pool = attrs.field(factory=lambda: Pool(few=FEW), init=False)
    """Apart, since what is instant is often what something else waits for."""

    _shared: SharedScopes = attrs.field(factory=SharedScopes, init=False)
    _awaited: set[Task] = attrs.field(factory=set, init=False)
    _is_awaited: bool = attrs.field(default=False, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def dispatch(self, frame: InvokeFunction) -> None:
        """Start a handler, or answer at once that none will run. Never blocks: the reader calls it."""
        registration = self.session.registrar.registry.find(frame.function_id)
        if registration is None or self.nursery is None:
            unknown = f"this worker has no function {frame.function_id!r}"
            self._refuse(frame, ErrorBody("function_not_found", unknown))
            return
        function: Function | None = registration.handler
        if function is None:
            remote = f"the function {frame.function_id!r} runs over HTTP, and not in this worker"
            self._refuse(frame, ErrorBody("function_not_invokable", remote))
            return
        waits = not function.has_no_turn and self._has_to_wait(function)
        counters = self.counters
        if counters.pending >= self.max_pending if waits else self.is_full():
            counters.overloaded += 1
            self._refuse(frame, OVERLOADED)
            return
        counters.accepted += 1
        function.active += 1
        task = Task(self, function, frame, self._origin, waits)
        if waits:
            counters.pending += 1
        else:
            counters.running += 1
        if not function.has_no_turn:
            self.threads_wanted += not function.signature.is_async
            if not waits:
                task.take_places()
        self.active.add(task)
        nursery = self._place(task, frame, self.nursery)
        nursery.start_soon(self._serve, task, frame, self.session.epoch, name=function.task_name)

    def _place(self, task: Task, frame: InvokeFunction, home: trio.Nursery) -> trio.Nursery:
        """Where a handler runs, and whether it needs a scope of its own there: whatever may cancel it is settled here."""
        task.needs_scope = task.function.needs_scope
        if frame.metadata is None:
            return home
        task.metadata, wait = take_deadline(frame.metadata)
        if wait == math.inf:
            return home
        task.late_at = task.accepted_at + wait
        shared = None if task.needs_scope else self._shared.find(home, wait, task.late_at)
        if shared is None:
            task.needs_scope = True
            return home
        task.shared_scope = shared.cancel_scope
        return shared

    def lose_connection(self, reason: str) -> None:
        """The connection is gone: nobody gets what the handlers of its invocations return."""
        self._origin.is_gone = True
        self._origin = Origin()
        for task in self.active:
            if task.function.ends_with_connection:
                task.lose(f"the connection of its invocation is gone: {reason}")

    async def wait_ended(self, tasks: Iterable[Task]) -> None:
        """Wait until these are over. For one waiter at a time, the drain, as `wait_idle` is."""
        self._awaited = set(tasks)
        await self._wait(lambda: not self._awaited)

    async def wait_idle(self) -> None:
        """Wait until no accepted invocation is left."""
        await self._wait(lambda: not self.active)

    async def _wait(self, is_over: Callable[[], bool]) -> None:
        self._is_awaited = True
        try:
            while not is_over():
                await self._news.park()
        finally:
            self._is_awaited = False

    def stop(self, reason: str) -> None:
        """Cancel what is left, and tell the callers why; what comes in from now on is refused."""
        nursery, self.nursery, self._stopped = self.nursery, None, reason
        if nursery is not None:
            nursery.cancel_scope.cancel(reason=reason)

    def _has_to_wait(self, function: Function) -> bool:
        if function.concurrency is not None and function.active >= function.concurrency:
            return True
        return not function.signature.is_async and self.threads_wanted >= self.threads.total_tokens

    def is_full(self) -> bool:
        """Whether as many handlers run as may."""
        return self.max_running is not None and self.counters.running >= self.max_running

    def note_end(self, task: Task) -> None:
        """An accepted invocation is over."""
        self.ended += 1
        self.active.discard(task)
        self._awaited.discard(task)
        if self._is_awaited and not (self.active and self._awaited):
            self._news.unpark_all()

    def _refuse(self, frame: InvokeFunction, error: ErrorBody) -> None:
        answer = self.session.encode(failure(frame, error))
        outbox = self.session.outbox
        # The reader cannot wait for room. An engine that sends this much and reads nothing is not waiting for the answer.
        if outbox.has_room(outbox.results, len(answer)):
            self.session.answer(self.session.epoch, answer, age=0, now=trio.current_time())
        else:
            self.session.counters.dropped_results += 1

    async def _serve(self, task: Task, frame: InvokeFunction, epoch: int) -> None:
        try:
            answer = await self._answer(task, frame)
            if answer is None:
                return
            encoded = self._encode(task, frame, answer)
            outbox = self.session.outbox
            if not outbox.has_room(outbox.results, len(encoded)):
                await self._wait_room(task, len(encoded))
            now = trio.current_time()
            self.session.answer(epoch, encoded, age=now - task.accepted_at, now=now)
        finally:
            task.end()

    async def _wait_room(self, task: Task, size: int) -> None:
        """Wait until an answer fits into the outbox; cancelled, it is one that the caller will not get.

        At the end of a drain there is no more room to wait for: what is there is sent. So it is where only the scope
        that the handler shared has ended, since an engine that hears nothing remembers the call for good.
        """
        outbox = self.session.outbox
        try:
            while not outbox.has_room(outbox.results, size):
                await self.room.park()
        except trio.Cancelled:
            if self._stopped is not None or task.has_run_out:
                return
            self.session.counters.dropped_results += 1
            raise

    async def _answer(self, task: Task, frame: InvokeFunction) -> InvocationResult | None:
        """Run the handler; whatever it does becomes an answer, cancellation from outside and Ctrl-C excepted.

        None when it was cancelled because its connection is gone, and its answer would go nowhere.
        """
        try:
            if is_http(frame.data):
                result = await answer_http(frame.data, self._run(task, frame))
            elif task.needs_scope or not task.function.has_no_turn:
                result = await self._run(task, frame)
            else:
                handler = self._bind(task, frame)
                task.start()
                result = await handler()
        except Overloaded:
            self.counters.overloaded += 1
            return failure(frame, OVERLOADED)
        except Misfit as misfit:
            self.counters.invalid_inputs += 1
            # Nobody answers a void call, so here is where somebody can see it.
            logger.warning("the payload of an invocation of %r does not fit: %s", frame.function_id, misfit)
            return failure(frame, ErrorBody("invalid_input", sendable(misfit)))
        except Lost:
            return None
        except Late:
            return self._late(frame)
        except TimedOut:
            self.counters.timed_out += 1
            words = f"the handler was cancelled after {task.function.timeout:g} s"
            logger.warning("%r: %s", frame.function_id, words)
            return failure(frame, ErrorBody(FAILED, words))
        except trio.Cancelled:
            if task.has_run_out:
                return self._late(frame)
            if self._stopped is None:
                raise
            return self._cut_off(task, self._stopped)
        except BaseExceptionGroup as group:
            # A handler with a nursery of its own may raise both: our cancellation, and what went wrong under it.
            ours, rest = group.split((trio.Cancelled, KeyboardInterrupt))
            if ours is None:
                return self._failed(frame, group)
            is_ctrl_c = ours.subgroup(KeyboardInterrupt) is not None
            if task.has_run_out and not is_ctrl_c:
                return self._late(frame) if rest is None else self._failed(frame, rest)
            logger.debug("a cancelled handler of %r raised %r", frame.function_id, rest)
            if self._stopped is None or is_ctrl_c:
                raise ours from None
            return self._cut_off(task, self._stopped)
        except (Exception, SystemExit) as error:
            return self._failed(frame, error)
        return InvocationResult(frame.invocation_id or "", frame.function_id, result=result)

    def _bind(self, task: Task, frame: InvokeFunction) -> Callable[[], Any]:
        """The handler with its arguments, in the context of its invocation."""
        payload, task.caller = _without_caller(frame.data)
        enter(task.invocation)
        return task.function.signature.bind(payload, task.metadata)

    async def _run(self, task: Task, frame: InvokeFunction) -> Any:
        """Run a handler that something stands before, or that may be cancelled by itself."""
        if task.is_lost:
            raise Lost
        handler = self._bind(task, frame)
        if not task.needs_scope:
            return await self._run_in_turn(task, handler)
        task.scope = scope = trio.CancelScope(deadline=task.late_at)
        with scope:
            return await self._run_in_turn(task, handler)
        assert scope.cancelled_caught
        if task.is_lost:
            raise Lost
        raise Late if trio.current_time() >= task.late_at else TimedOut

    async def _run_in_turn(self, task: Task, handler: Callable[[], Any]) -> Any:
        function = task.function
        if function.slots is not None and not task.holds_slot:
            await function.slots.acquire_on_behalf_of(task)
            task.holds_slot = True
        if function.signature.is_async:
            task.start()
            return await handler()
        return await self._run_in_thread(task, handler)

    async def _run_in_thread(self, task: Task, handler: Callable[[], Any]) -> Any:
        await task.wait_thread()
        calls, function = ThreadCalls(), task.function
        work = partial(_in_thread, handler, calls, function.habit)
        try:
            # A time-out of the function's begins with the handler, and who stands in the line for a thread has not begun.
            if self.nursery is not None and function.timeout == math.inf and function.habit.is_quick:
                task.start()
                pool = self._instant if function.habit.is_instant else self._quick
                return await pool.run(work, task, self.nursery)
            # The thread, and with it its place in the limiter, may outlive this task: that is what keeps threads bounded.
            limiter: Any = task
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
        except trio.Cancelled:
            if task.in_thread:
                self.counters.abandoned_threads += 1
                calls.cancel()
            raise

    def _cut_off(self, task: Task, reason: str) -> InvocationResult:
        """What the caller of a handler is told that the end of the worker has cancelled."""
        self.counters.cancelled += 1
        # One that waited for its turn has not run, and its caller may try it elsewhere (docs/fates.md).
        code = FAILED if task.has_started and not task.never_ran else OVERLOADED.code
        return failure(task.frame, ErrorBody(code, f"this worker is shutting down, and {reason}"))

    def _encode(self, task: Task, frame: InvokeFunction, answer: InvocationResult) -> bytes:
        task.is_answered = True
        task.code = None if answer.error is None else answer.error.code
        try:
            return self.session.encode(answer)
        except Exception as error:  # PayloadError, and whatever an object of the handler's raises when it is looked at
            if answer.error is None:
                self.counters.failed += 1
            task.code = FAILED
            fault = sendable(error if isinstance(error, PayloadError) else repr(error))
            return self.session.encode(failure(frame, ErrorBody(FAILED, f"the result cannot be sent: {fault}")))

    def _late(self, frame: InvokeFunction) -> InvocationResult:
        self.counters.timed_out += 1
        return failure(frame, LATE)

    def _failed(self, frame: InvokeFunction, error: BaseException) -> InvocationResult:
        self.counters.failed += 1
        logger.warning("the handler of %r failed", frame.function_id, exc_info=error)
        return failure(frame, of_exception(error, with_stack=self.send_stack_traces))


def _in_thread(handler: Callable[[], Any], calls: ThreadCalls, habit: Habit) -> Any:
    """Run a sync handler, in its thread."""
    enter_thread(calls)
    began = perf_counter()
    try:
        return call_in_thread(handler)
    finally:
        habit.note(perf_counter() - began)


def call_in_thread(handler: Callable[[], Any]) -> Any:
    """Run what is not async; there is no trio in its thread to wait for what it may return instead."""
    result = handler()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("a sync handler returned an awaitable; make the handler itself async")
    return result


def _without_caller(data: Any) -> tuple[Any, str | None]:
    """The payload as the caller meant it, and who that was."""
    if type(data) is dict and CALLER_KEY in data:
        caller = data.pop(CALLER_KEY)
        return data, caller if isinstance(caller, str) else None
    return data, None
