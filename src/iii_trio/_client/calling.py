"""One call from the request to the outcome: what may be asked, how it is framed, and the task that waits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any

import attrs
import trio

from iii_trio._client.namespaces import target_namespace
from iii_trio._session.budget import RetryBudget
from iii_trio._session.calls import Call
from iii_trio._session.deadlines import with_deadline
from iii_trio._session.session import Session
from iii_trio._session.trace import Trace
from iii_trio._types.shape import UnknownType
from iii_trio._types.table import Misfit, typed
from iii_trio._values.building import build, said
from iii_trio._values.requests import Action, TriggerActionVoid, TriggerRequest
from iii_trio._wire.messages import EnqueueAction, InvokeFunction, VoidAction
from iii_trio.errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    EngineUnavailable,
    Fate,
    InvalidResult,
    InvocationTimeout,
    WouldBlock,
)

_AS_WANTED: Any = object()


def as_request(request: str | TriggerRequest | Mapping[str, Any], keywords: Mapping[str, Any]) -> TriggerRequest:
    """The one form of a request, from any of the three: an id and keywords, a value, or a dict.

    Raises:
        ConfigurationError: A field is unknown, missing, said twice, or cannot have that value.
    """
    given = said(keywords)
    if isinstance(request, str):
        return TriggerRequest(function_id=request, **given)
    return build(TriggerRequest, request, **given)


@attrs.define(eq=False, kw_only=True)
class Caller:
    """Makes calls on a session: waits for room, queues, and waits for the outcome."""

    session: Session
    room: trio.lowlevel.ParkingLot
    default_timeout_ms: float
    budget: RetryBudget = attrs.field(factory=RetryBudget)

    async def call(self, wanted: TriggerRequest) -> tuple[Any, str]:
        """Make a call that is answered; returns the answer and the id of the call."""
        timeout_ms = self.default_timeout_ms if wanted.timeout_ms is None else wanted.timeout_ms
        deadline = trio.current_time() + timeout_ms / 1000
        while True:
            call_id = self.session.new_invocation_id()
            try:
                result = await self._attempt(wanted, call_id, deadline)
            except ConnectionLost:
                if not wanted.idempotent or not self.budget.lost():
                    raise
                self.session.counters.retried_calls += 1
            else:
                if wanted.idempotent:
                    self.budget.succeeded()
                return result, call_id

    async def _attempt(self, wanted: TriggerRequest, call_id: str, deadline: float) -> Any:
        renew = self._encoder(wanted, call_id, deadline)
        frame = renew(trio.current_time()) if renew else self._encode(wanted, call_id)
        if self._is_full(frame):
            with trio.CancelScope(deadline=deadline):
                await self._wait_room(frame, wanted.function_id)
            if self._is_full(frame):
                self.session.counters.timed_out_calls += 1
                raise _timeout(call_id, wanted.function_id)
        wake = functools.partial(trio.lowlevel.reschedule, trio.lowlevel.current_task())
        return await self._wait_settled(Call(call_id, wanted.function_id, deadline, wake, renew), frame)

    def _encoder(self, wanted: TriggerRequest, call_id: str, deadline: float) -> Callable[[float], bytes] | None:
        """What encodes a call with the time that its caller still waits; None when he set none, or nobody waits.

        Work that was enqueued outlives its caller, and the time-out that everybody has by default is nobody's wish.
        """
        asked = trio.current_effective_deadline()
        if wanted.timeout_ms is not None:
            asked = min(asked, deadline)
        if math.isinf(asked) or wanted.action is not None:  # minus infinity is a scope that is cancelled already
            return None

        def encode(now: float) -> bytes:
            return self._encode(wanted, call_id, with_deadline(wanted.metadata, asked - now))

        return encode

    async def send(self, wanted: TriggerRequest) -> None:
        """Make a call that nobody answers, as soon as there is room."""
        frame = self._encode(wanted, None)
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_full(frame):
            await self._wait_room(frame, wanted.function_id)
        self.session.send(frame)
        await trio.lowlevel.cancel_shielded_checkpoint()

    def send_nowait(self, wanted: TriggerRequest) -> None:
        """Make a call that nobody answers, or raise `WouldBlock`."""
        frame = self._encode(wanted, None)
        if self._is_full(frame):
            lane = self.session.outbox.calls
            raise WouldBlock(f"the outbox is full ({len(lane.frames)} frames, {lane.size} bytes)")
        self.session.send(frame)

    def check_open(self, function_id: str | None) -> None:
        """Raise `ClientClosed` if there is no client any more."""
        if self.session.is_final:
            raise ClientClosed("SHUTDOWN", "this client is closed", function_id=function_id)

    def check_callable(self, function_id: str) -> None:
        """Raise if calls cannot be made: there is no client any more, or has been no engine for too long."""
        self.check_open(function_id)
        if self.session.is_unavailable:
            words = self.session.unavailable_words
            raise EngineUnavailable("OFFLINE", words, function_id=function_id, fate=Fate.NEVER_SENT)

    def _encode(self, wanted: TriggerRequest, call_id: str | None, metadata: Any = _AS_WANTED) -> bytes:
        session = self.session
        return session.encode(
            InvokeFunction(
                function_id=wanted.function_id,
                data=wanted.payload,
                invocation_id=call_id,
                action=_wire_action(wanted.action),
                namespace=target_namespace(
                    wanted.function_id, wanted.namespace, session.namespace, session.registrar.registry
                ),
                metadata=wanted.metadata if metadata is _AS_WANTED else metadata,
            )
        )

    def _is_full(self, frame: bytes) -> bool:
        outbox = self.session.outbox
        return not outbox.has_room(outbox.calls, len(frame))

    async def _wait_room(self, frame: bytes, function_id: str) -> None:
        # It is listed like the calls in the outbox, since their end is how the end of the client shows without a link.
        waiting = Call(self.session.new_invocation_id(), function_id, math.inf, self._wake_waiting)
        self.session.calls.add(waiting)
        try:
            while self._is_full(frame):
                await self.room.park()
                self.check_callable(function_id)
        finally:
            self.session.calls.remove(waiting.id)

    def _wake_waiting(self) -> None:
        self.room.unpark_all()

    async def _wait_settled(self, call: Call, frame: bytes) -> Any:
        def abort(_: object) -> trio.lowlevel.Abort:
            self.session.forget(call)
            return trio.lowlevel.Abort.SUCCEEDED

        self.session.call(call, frame)
        if self.session.trace is not None:
            self.session.trace("call.started", id=call.id, function_id=call.function_id)
        try:
            await trio.lowlevel.wait_task_rescheduled(abort)
        finally:
            if not call.sent:  # it was taken out of the outbox, which only tells of room when it is emptied
                self.room.unpark_all()
            if self.session.trace is not None:
                _trace_settled(self.session.trace, call)
        if call.error is not None:
            raise call.error
        return call.result


def _trace_settled(trace: Trace, call: Call) -> None:
    error = call.error
    outcome = error.code if error is not None else "answered" if call.done else "cancelled"
    fate = None if error is None else error.fate.name
    trace("call.settled", id=call.id, function_id=call.function_id, outcome=outcome, fate=fate)


def _wire_action(action: Action | None) -> VoidAction | EnqueueAction | None:
    if action is None:
        return None
    return VoidAction() if isinstance(action, TriggerActionVoid) else EnqueueAction(action.queue)


def _timeout(call_id: str, function_id: str) -> InvocationTimeout:
    return InvocationTimeout(
        "TIMEOUT",
        "the outbox had no room in time",
        function_id=function_id,
        invocation_id=call_id,
        fate=Fate.NEVER_SENT,
    )


def check_returns(returns: type[Any] | UnionType) -> None:
    """Make sure that there can be an answer of this shape.

    Raises:
        ConfigurationError: The table of types does not have it.
    """
    try:
        typed(returns)
    except UnknownType as error:
        raise ConfigurationError(f"returns={returns!r} is no type that a result can have: {error}") from None


def as_result(value: Any, returns: type[Any] | UnionType, call_id: str, function_id: str) -> Any:
    """The answer in the shape that the caller asked for.

    Raises:
        InvalidResult: It does not have it.
    """
    try:
        return typed(returns).structure(value)
    except Misfit as misfit:
        raise InvalidResult(
            "invalid_result",
            f"the answer is no {getattr(returns, '__name__', returns)}: {misfit}",
            function_id=function_id,
            invocation_id=call_id,
        ) from None
