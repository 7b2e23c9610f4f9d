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
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
import trio

from iii_trio._channels.http import answer_http, is_http
from iii_trio._handlers.context import Invocation, Origin, ThreadCalls, enter, enter_thread
from iii_trio._handlers.signature import Signature
from iii_trio._options import OnConnectionLost
from iii_trio._session.deadlines import take_deadline
from iii_trio._session.session import Session
from iii_trio._types.table import Misfit
from iii_trio._wire.messages import ErrorBody, InvocationResult, InvokeFunction
from iii_trio.errors import InvocationError, PayloadError, is_reserved

logger = logging.getLogger("iii_trio")

CALLER_KEY = "_caller_worker_id"
"""What the engine adds to a payload that is an object (docs/engine.md, "Calls")."""

FAILED: Final = "invocation_failed"
"""The code of a handler that raised, or whose result cannot be sent."""

_CANCELLED: Final = "cancelled"
"""What stands for the code of a handler that gave no answer."""

_OVERLOADED: Final = ErrorBody("overloaded", "this worker has more to do than it may accept")
_LATE: Final = ErrorBody("TIMEOUT", "the handler was cancelled, since its caller does not wait any more")


@attrs.define(eq=False)
class Function:
    """A registered handler and its limits."""

    signature: Signature
    concurrency: int | None
    timeout: float
    slots: trio.CapacityLimiter | None = None
    on_connection_lost: OnConnectionLost | None = None
    """None when nobody said."""

    task_name: str = "iii handler"
    """What the tasks of its handlers are called."""

    active: int = 0
    """Invocations that were accepted and have not ended; one whose thread was abandoned ends when that returns."""

    @property
    def ends_with_connection(self) -> bool:
        """Whether its handlers are cancelled when their connection is lost; not unless somebody says so."""
        return self.on_connection_lost == "cancel"

    @property
    def needs_scope(self) -> bool:
        """Whether a handler may have to be cancelled by itself. A scope for each is the dearest part of an invocation."""
        return self.timeout != math.inf or self.ends_with_connection

    @property
    def has_no_turn(self) -> bool:
        """Whether a handler runs at once, and waits neither for others of its function nor for a thread."""
        return self.slots is None and self.signature.is_async


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
    active: set[_Task] = attrs.field(factory=set, init=False)
    """Invocations that were accepted and not answered yet."""

    ended: int = attrs.field(default=0, init=False)
    """Accepted invocations that are over."""

    _origin: Origin = attrs.field(factory=Origin, init=False)
    """The present connection, or the next."""

    _stopped: str | None = attrs.field(default=None, init=False)
    """Why the handlers that are left are cancelled, if they are, so that their callers can be told."""

    _awaited: set[_Task] = attrs.field(factory=set, init=False)
    _is_awaited: bool = attrs.field(default=False, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _threads_wanted: int = attrs.field(default=0, init=False)

    def dispatch(self, frame: InvokeFunction) -> None:
        """Start a handler, or answer at once that none will run. Never blocks: the reader calls it."""
        registration = self.session.registrar.registry.find(frame.function_id)
        if registration is None or self.nursery is None:
            unknown = f"this worker has no function {frame.function_id!r}"
            self._refuse(frame, ErrorBody("function_not_found", unknown))
            return
        function: Function = registration.handler
        waits = self._has_to_wait(function)
        counters = self.counters
        if counters.pending >= self.max_pending if waits else self._is_full():
            counters.overloaded += 1
            self._refuse(frame, _OVERLOADED)
            return
        counters.accepted += 1
        function.active += 1
        self._threads_wanted += not function.signature.is_async
        if waits:
            counters.pending += 1
        else:
            counters.running += 1
        task = _Task(self, function, frame, self._origin, waits)
        if not waits and not function.has_no_turn:
            task.take_places()
        self.active.add(task)
        self.nursery.start_soon(self._serve, task, frame, self.session.epoch, name=function.task_name)

    def lose_connection(self, reason: str) -> None:
        """The connection is gone: nobody gets what the handlers of its invocations return."""
        self._origin.is_gone = True
        self._origin = Origin()
        for task in self.active:
            if task.function.ends_with_connection:
                task.lose(f"the connection of its invocation is gone: {reason}")

    async def wait_ended(self, tasks: Iterable[_Task]) -> None:
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
        return not function.signature.is_async and self._threads_wanted >= self.threads.total_tokens

    def _is_full(self) -> bool:
        return self.max_running is not None and self.counters.running >= self.max_running

    def note_end(self, task: _Task) -> None:
        """An accepted invocation is over."""
        self.ended += 1
        self.active.discard(task)
        self._awaited.discard(task)
        if self._is_awaited and not (self.active and self._awaited):
            self._news.unpark_all()

    def _refuse(self, frame: InvokeFunction, error: ErrorBody) -> None:
        answer = self.session.encode(_failure(frame, error))
        outbox = self.session.outbox
        # The reader cannot wait for room. An engine that sends this much and reads nothing is not waiting for the answer.
        if outbox.has_room(outbox.results, len(answer)):
            self.session.answer(self.session.epoch, answer, age=0, now=trio.current_time())
        else:
            self.session.counters.dropped_results += 1

    async def _serve(self, task: _Task, frame: InvokeFunction, epoch: int) -> None:
        try:
            answer = await self._answer(task, frame)
            if answer is None:
                return
            encoded = self._encode(task, frame, answer)
            outbox = self.session.outbox
            if not outbox.has_room(outbox.results, len(encoded)):
                await self._wait_room(len(encoded))
            now = trio.current_time()
            self.session.answer(epoch, encoded, age=now - task.accepted_at, now=now)
        finally:
            task.end()

    async def _wait_room(self, size: int) -> None:
        """Wait until an answer fits into the outbox; cancelled, it is one that the caller will not get.

        At the end of a drain there is no more room to wait for: what is there is sent.
        """
        outbox = self.session.outbox
        try:
            while not outbox.has_room(outbox.results, size):
                await self.room.park()
        except trio.Cancelled:
            if self._stopped is not None:
                return
            self.session.counters.dropped_results += 1
            raise

    async def _answer(self, task: _Task, frame: InvokeFunction) -> InvocationResult | None:
        """Run the handler; whatever it does becomes an answer, cancellation from outside and Ctrl-C excepted.

        None when it was cancelled because its connection is gone, and its answer would go nowhere.
        """
        try:
            run = self._run(task, frame)
            result = await (answer_http(frame.data, run) if is_http(frame.data) else run)
        except _Overloaded:
            self.counters.overloaded += 1
            return _failure(frame, _OVERLOADED)
        except Misfit as misfit:
            self.counters.invalid_inputs += 1
            # Nobody answers a void call, so here is where somebody can see it.
            logger.warning("the payload of an invocation of %r does not fit: %s", frame.function_id, misfit)
            return _failure(frame, ErrorBody("invalid_input", _words(misfit)))
        except _Lost:
            return None
        except _Late:
            self.counters.timed_out += 1
            return _failure(frame, _LATE)
        except _TimedOut:
            self.counters.timed_out += 1
            words = f"the handler was cancelled after {task.function.timeout:g} s"
            logger.warning("%r: %s", frame.function_id, words)
            return _failure(frame, ErrorBody(FAILED, words))
        except trio.Cancelled:
            if self._stopped is None:
                raise
            return self._cut_off(task, self._stopped)
        except BaseExceptionGroup as group:
            # A handler with a nursery of its own may raise both: our cancellation, and what went wrong under it.
            ours, rest = group.split((trio.Cancelled, KeyboardInterrupt))
            if ours is None:
                return self._failed(frame, group)
            logger.debug("a cancelled handler of %r raised %r", frame.function_id, rest)
            if self._stopped is None or ours.subgroup(KeyboardInterrupt) is not None:
                raise ours from None
            return self._cut_off(task, self._stopped)
        except (Exception, SystemExit) as error:
            return self._failed(frame, error)
        return InvocationResult(frame.invocation_id or "", frame.function_id, result=result)

    async def _run(self, task: _Task, frame: InvokeFunction) -> Any:
        if task.is_lost:
            raise _Lost
        payload, task.caller = _without_caller(frame.data)
        task.metadata, waits_for = take_deadline(frame.metadata)
        task.late_at = task.accepted_at + waits_for
        enter(task.invocation)
        function = task.function
        handler = function.signature.bind(payload, task.metadata)
        if waits_for == math.inf and not function.needs_scope:
            if function.has_no_turn:
                task.start()
                return await handler()
            return await self._run_in_turn(task, handler)
        task.scope = scope = trio.CancelScope(deadline=task.late_at)
        with scope:
            return await self._run_in_turn(task, handler)
        assert scope.cancelled_caught
        if task.is_lost:
            raise _Lost
        raise _Late if trio.current_time() >= task.late_at else _TimedOut

    async def _run_in_turn(self, task: _Task, handler: Callable[[], Any]) -> Any:
        function = task.function
        if function.slots is not None and not task.holds_slot:
            await function.slots.acquire_on_behalf_of(task)
            task.holds_slot = True
        if function.signature.is_async:
            task.start()
            return await handler()
        return await self._run_in_thread(task, handler)

    async def _run_in_thread(self, task: _Task, handler: Callable[[], Any]) -> Any:
        calls = ThreadCalls()
        try:
            # The thread, and with it its place in the limiter, may outlive this task: that is what keeps threads bounded.
            limiter: Any = task
            return await trio.to_thread.run_sync(_in_thread, handler, calls, abandon_on_cancel=True, limiter=limiter)
        except trio.Cancelled:
            if task.in_thread:
                self.counters.abandoned_threads += 1
                calls.cancel()
            raise

    def _cut_off(self, task: _Task, reason: str) -> InvocationResult:
        """What the caller of a handler is told that the end of the worker has cancelled."""
        self.counters.cancelled += 1
        # One that waited for its turn has not run, and its caller may try it elsewhere (docs/fates.md).
        code = FAILED if task.has_started else _OVERLOADED.code
        return _failure(task.frame, ErrorBody(code, f"this worker is shutting down, and {reason}"))

    def _encode(self, task: _Task, frame: InvokeFunction, answer: InvocationResult) -> bytes:
        task.code = None if answer.error is None else answer.error.code
        try:
            return self.session.encode(answer)
        except Exception as error:  # PayloadError, and whatever an object of the handler's raises when it is looked at
            if answer.error is None:
                self.counters.failed += 1
            task.code = FAILED
            fault = _words(error if isinstance(error, PayloadError) else repr(error))
            return self.session.encode(_failure(frame, ErrorBody(FAILED, f"the result cannot be sent: {fault}")))

    def _failed(self, frame: InvokeFunction, error: BaseException) -> InvocationResult:
        self.counters.failed += 1
        logger.warning("the handler of %r failed", frame.function_id, exc_info=error)
        stack = _words("".join(traceback.format_exception(error))) if self.send_stack_traces else None
        if isinstance(error, InvocationError):
            if error.invocation_id is None and _is_free(error.code):
                return _failure(frame, ErrorBody(error.code, _words(error.message), stack))
            # An error of a call that the handler made keeps its code in the message only: as the code it would say of
            # this call what was true of the other one (docs/fates.md).
            return _failure(frame, ErrorBody(FAILED, _words(error), stack))
        return _failure(frame, ErrorBody(FAILED, f"{type(error).__name__}: {_words(error)}", stack))


class _Late(Exception):
    """The caller's deadline has come, and the handler was cancelled for it."""


class _TimedOut(Exception):
    """The function's time-out has come, and the handler was cancelled for it."""


class _Lost(Exception):
    """The connection of the invocation was lost, and the handler was cancelled for it."""


class _Overloaded(Exception):
    """An invocation that waited has its turn, and the worker already runs as many handlers as it may."""


@attrs.define(eq=False)
class _Task:
    """Where one accepted invocation stands, and what it holds. To trio's threads it is the limiter that tells it."""

    _dispatcher: Dispatcher
    function: Function
    frame: InvokeFunction
    origin: Origin
    _waits: bool
    accepted_at: float = attrs.field(factory=trio.current_time, init=False)
    scope: trio.CancelScope | None = attrs.field(default=None, init=False)
    """Around the wait for its turn and the handler, where they can be cancelled by themselves."""

    caller: str | None = attrs.field(default=None, init=False)
    metadata: Any = attrs.field(default=None, init=False)
    late_at: float = attrs.field(default=math.inf, init=False)
    """When its caller stops waiting."""

    is_lost: bool = attrs.field(default=False, init=False)
    """Whether the loss of its connection has cancelled it."""

    holds_slot: bool = attrs.field(default=False, init=False)
    in_thread: bool = attrs.field(default=False, init=False)
    """Whether the handler's thread has not returned."""

    code: str | None = attrs.field(default=_CANCELLED, init=False)
    """How the handler failed; None when it has a result."""

    has_started: bool = attrs.field(default=False, init=False)
    """Whether its turn has come, and the handler began to run."""

    _invocation: Invocation | None = attrs.field(default=None, init=False)
    _holds_thread: bool = attrs.field(default=False, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def take_places(self) -> None:
        """Take what the handler needs, which is free, before it runs: trio starts the tasks of one batch in any order."""
        if self.function.slots is not None:
            self.function.slots.acquire_on_behalf_of_nowait(self)
            self.holds_slot = True
        if not self.function.signature.is_async:
            self._dispatcher.threads.acquire_on_behalf_of_nowait(self)
            self._holds_thread = True

    def start(self) -> None:
        """The handler begins to run, and its time-out with it."""
        if self._waits:
            if self._dispatcher._is_full():
                raise _Overloaded
            self._waits = False
            self._dispatcher.counters.pending -= 1
            self._dispatcher.counters.running += 1
        if self.scope is not None:
            self.scope.deadline = min(self.scope.deadline, trio.current_time() + self.function.timeout)
        self.has_started = True
        self._tell("handler.started")

    def lose(self, reason: str) -> None:
        """Cancel it, unless something else has; one whose task has not run yet never begins."""
        if self.scope is None:
            self.is_lost = True
        elif not self.scope.cancel_called:
            self.is_lost = True
            self.scope.cancel(reason=reason)

    def invocation(self) -> Invocation:
        """What the handler can ask about it; made when it asks."""
        if self._invocation is None:
            frame = self.frame
            self._invocation = Invocation(
                id=frame.invocation_id or "",
                function_id=frame.function_id,
                caller_worker_id=self.caller,
                metadata=self.metadata,
                deadline=None if self.late_at == math.inf else self.late_at,
                traceparent=frame.traceparent,
                baggage=frame.baggage,
                origin=self.origin,
            )
        return self._invocation

    def end(self) -> None:
        """The invocation is over."""
        self._dispatcher.note_end(self)
        if self._waits:
            self._dispatcher.counters.pending -= 1
        else:
            self._dispatcher.counters.running -= 1
        self._dispatcher.counters.cancelled += self.code == _CANCELLED
        self._ended = True
        if not self.in_thread:
            self._let_go()
        if self.has_started and self.code is None:
            self._tell("handler.finished")
        elif self.has_started:
            self._tell("handler.failed", code=self.code)

    def _tell(self, event: str, **facts: Any) -> None:
        trace, frame = self._dispatcher.session.trace, self.frame
        if trace is not None:
            trace(event, id=frame.invocation_id, function_id=frame.function_id, **facts)

    def _let_go(self) -> None:
        """The handler is over too, so others may have what it held."""
        function, dispatcher = self.function, self._dispatcher
        function.active -= 1
        if self.holds_slot and function.slots is not None:
            function.slots.release_on_behalf_of(self)
        if not function.signature.is_async:
            dispatcher._threads_wanted -= 1
        if self._holds_thread:
            dispatcher.threads.release_on_behalf_of(self)

    async def acquire_on_behalf_of(self, _: object) -> None:
        """Wait for a thread's place in the limiter."""
        if not self._holds_thread:
            await self._dispatcher.threads.acquire_on_behalf_of(self)
            self._holds_thread = True
        self.start()
        self.in_thread = True

    def release_on_behalf_of(self, _: object) -> None:
        """The thread is done."""
        self.in_thread = False
        if self._ended:
            self._let_go()


def _in_thread(handler: Callable[[], Any], calls: ThreadCalls) -> Any:
    """Run a sync handler, in its thread."""
    enter_thread(calls)
    result = handler()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("a sync handler returned an awaitable; make the handler itself async")
    return result


def _is_free(code: str) -> bool:
    """Whether a handler may answer with this code: text that can be sent, and that nobody else gives a meaning to."""
    return _words(code) == code and not is_reserved(code)


def _words(said: object) -> str:
    """Text that can be sent, from anything: an error of a handler's may hold lone surrogates, or not even have text."""
    try:
        return str(said).encode(errors="replace").decode()
    except Exception:
        return "(it has no text)"


def _without_caller(data: Any) -> tuple[Any, str | None]:
    """The payload as the caller meant it, and who that was."""
    if type(data) is dict and CALLER_KEY in data:
        caller = data.pop(CALLER_KEY)
        return data, caller if isinstance(caller, str) else None
    return data, None


def _failure(frame: InvokeFunction, error: ErrorBody) -> InvocationResult:
    return InvocationResult(frame.invocation_id or "", frame.function_id, error=error)
