"""Calls: to whom they go, who waits for them, and how they end.

An id is one key space for all workers, and a result is believed whoever sends it (docs/wire.md, "Invocations"). The
engine has no time-out and no cancellation: a call ends with its result or with a connection.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import attrs

from iii_trio._embedded import encoder, tracing
from iii_trio._embedded.clock import Clock
from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection, blank_namespace, is_blank
from iii_trio._embedded.registry import Builtin, Finish, Function, Later, Refusal, Registry
from iii_trio._embedded.tracing import NO_TRACE, Trace
from iii_trio._wire.messages import (
    ABSENT,
    EnqueueAction,
    ErrorBody,
    InvocationResult,
    InvokeFunction,
    Json,
    VoidAction,
)

ENQUEUE_PROVIDER: Final = "engine::queue::enqueue"
"""The function behind the action `enqueue`; a worker has to bring it."""

_STOPPED: Final = ErrorBody("invocation_stopped", "Invocation stopped")
_REPLACED: Final = ErrorBody("invocation_error", "channel closed")
_NO_PROVIDER_MESSAGE: Final = (
    f"No queue provider is installed. `TriggerAction::Enqueue` routes through the `{ENQUEUE_PROVIDER}` provider, which "
    "the standalone queue worker registers. Add it with `iii worker add queue`. (underlying: {underlying})"
)


@attrs.frozen(eq=False)
class _Call:
    """One call in flight at a worker."""

    callee: Connection
    caller: Connection | None
    """The worker that ends the call when it leaves; None when nobody waits for the result."""
    finish: Finish | None


@attrs.define
class CallFaults:
    """What goes wrong with calls on purpose; nothing at first."""

    swallowed: set[str] = attrs.field(factory=set)
    """Functions whose calls vanish."""
    answered_twice: set[str] = attrs.field(factory=set)
    """Functions whose callers get every answer two times."""
    late_share: float = 0.0
    """How many of the calls are stored only some time after their worker was told of them."""
    late_by: float = 0.0
    """Seconds of that time."""
    chance: random.Random = attrs.field(factory=lambda: random.Random(0))  # noqa: S311
    """Picks those calls."""
    early_answers: int = 0
    """Answers that came before their call was stored, and were lost."""


@attrs.define
class Invocations:
    """Every call in flight."""

    _registry: Registry
    _clock: Clock
    _new_id: Callable[[], str]
    faults: CallFaults = attrs.field(factory=CallFaults)
    _pending: dict[str, _Call] = attrs.field(factory=dict, init=False)
    _late: Counter[str] = attrs.field(factory=Counter, init=False)
    """Ids of the calls that are not stored yet."""

    def invoke(self, caller: Connection, frame: InvokeFunction) -> None:
        """Do what a worker's `invokefunction` asks for."""
        if frame.function_id in self.faults.swallowed:
            return
        namespace = frame.namespace
        if namespace is None:
            namespace = DEFAULT_NAMESPACE
        elif is_blank(namespace):
            if frame.invocation_id is not None:
                error = ErrorBody("INVALID_NAMESPACE", blank_namespace("namespace"))
                caller.send(encoder.failure(frame.invocation_id, frame.function_id, error))
            return
        if isinstance(frame.action, EnqueueAction):
            self._enqueue(caller, frame, frame.action, namespace)
            return
        call_id = None if isinstance(frame.action, VoidAction) else frame.invocation_id
        finish = None if call_id is None else partial(self._answer, caller, frame, call_id)
        function = self._registry.find(namespace, frame.function_id)
        if function is None:
            if finish is not None:
                finish(ABSENT, self._not_found(namespace, frame.function_id))
            return
        data = frame.data
        if type(data) is dict:
            data = {**data, "_caller_worker_id": caller.id}
        if function.run is not None:
            self._run_builtin(function.run, caller, call_id, data, finish)
        else:
            trace = tracing.onward(frame.traceparent, frame.baggage, function.id)
            self._dispatch(function, frame.metadata, trace, call_id, data, caller, finish)

    def call(
        self,
        namespace: str,
        function_id: str,
        data: Json,
        *,
        metadata: Json = None,
        trace: Trace = NO_TRACE,
        finish: Finish | None = None,
    ) -> None:
        """The engine's own call: it has no caller, `trace` is what the worker gets, and `finish` is told how it ended.

        It is made when what is happening now is over, so the answer to a call comes before the events that it caused.
        """
        self._clock.soon(partial(self._call_now, namespace, function_id, data, metadata, trace, finish))

    def _call_now(
        self, namespace: str, function_id: str, data: Json, metadata: Json, trace: Trace, finish: Finish | None
    ) -> None:
        function = self._registry.find(namespace, function_id)
        if function is None:
            if finish is not None:
                message = f"Function {function_id} not found in namespace {namespace}"
                finish(ABSENT, ErrorBody("function_not_found", message))
        elif function.run is not None:
            self._run_builtin(function.run, None, None, data, finish)
        else:
            self._dispatch(function, metadata, trace, None, data, None, finish)

    def settle(self, sender: Connection, frame: InvocationResult) -> None:
        """A result ends the call with its id, if there is one."""
        sender.calls.pop(frame.invocation_id, None)
        if frame.invocation_id in self._late:
            self.faults.early_answers += 1
        self._end(frame.invocation_id, frame.result, frame.error)

    def stop(self, connection: Connection) -> None:
        """End every call in which a connection takes part, on either side."""
        for call_id in list(connection.calls):
            self._end(call_id, ABSENT, _STOPPED)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _dispatch(
        self,
        function: Function,
        metadata: Json,
        trace: Trace,
        call_id: str | None,
        data: Json,
        caller: Connection | None,
        finish: Finish | None,
    ) -> None:
        """Send a call to the worker that owns the function."""
        callee = function.owner
        assert callee is not None, "a function without a worker is a builtin"
        waiting = caller if finish is not None else None
        call_id = self._new_id() if call_id is None else call_id
        traceparent, baggage = trace
        callee.send(
            encoder.invocation(call_id, function.id, data, metadata=metadata, traceparent=traceparent, baggage=baggage)
        )
        call = _Call(callee, waiting, finish)
        faults = self.faults
        if faults.late_share and faults.chance.random() < faults.late_share:
            # The real engine is always this late, and nearly never by enough to matter. What comes before it is stored,
            # an answer or an end, does not find the call. (docs/engine.md, "Early answers")
            self._late[call_id] += 1
            self._clock.at(self._clock.now + faults.late_by, partial(self._store_late, call_id, call))
        else:
            self._store(call_id, call)

    def _store_late(self, call_id: str, call: _Call) -> None:
        self._late[call_id] -= 1
        if not self._late[call_id]:
            del self._late[call_id]
        self._store(call_id, call)

    def _store(self, call_id: str, call: _Call) -> None:
        # An id in use is taken over: the earlier call loses its place, and its caller is told so.
        self._end(call_id, ABSENT, _REPLACED)
        self._pending[call_id] = call
        call.callee.calls[call_id] = None
        if call.caller is not None:
            call.caller.calls[call_id] = None

    def _end(self, call_id: str, value: Json, error: ErrorBody | None) -> None:
        call = self._pending.pop(call_id, None)
        if call is None:
            return
        call.callee.calls.pop(call_id, None)
        if call.caller is not None:
            call.caller.calls.pop(call_id, None)
        if call.finish is not None:
            call.finish(value, error)

    def _answer(
        self, caller: Connection, frame: InvokeFunction, call_id: str, value: Json, error: ErrorBody | None
    ) -> None:
        traced = {"traceparent": frame.traceparent, "baggage": frame.baggage}
        if error is not None:
            answer = encoder.failure(call_id, frame.function_id, error, **traced)
        else:
            answer = encoder.result(call_id, frame.function_id, value, **traced)
        caller.send(answer)
        if frame.function_id in self.faults.answered_twice:
            caller.send(answer)

    def _run_builtin(
        self, run: Builtin, caller: Connection | None, call_id: str | None, data: Json, finish: Finish | None
    ) -> None:
        # It counts as one of the caller's calls while it runs: `engine::workers::list` shows it.
        if caller is not None and call_id is not None:
            caller.calls[call_id] = None

        def end(value: Json, error: ErrorBody | None) -> None:
            if caller is not None and call_id is not None:
                caller.calls.pop(call_id, None)
            if finish is not None:
                finish(value, error)

        try:
            value = run(caller, data)
        except Refusal as refusal:
            end(ABSENT, ErrorBody(refusal.code, refusal.message))
            return
        if isinstance(value, Later):
            value.then(end)
        else:
            end(value, None)

    def _not_found(self, namespace: str, function_id: str) -> ErrorBody:
        elsewhere = ", ".join(self._registry.namespaces_of(function_id))
        hint = f" It is registered in namespace(s): {elsewhere}." if elsewhere else ""
        return ErrorBody("function_not_found", f"Function {function_id} not found in namespace {namespace}.{hint}")

    # ---- enqueue ----------------------------------------------------------------------------------------------------

    def _enqueue(self, caller: Connection, frame: InvokeFunction, action: EnqueueAction, namespace: str) -> None:
        """Hand a call to the queue provider; the caller gets a receipt, whatever the provider answers."""
        receipt = self._new_id()
        finish = partial(self._acknowledge, caller, frame, receipt)
        data = {
            "queue": action.queue,
            "function_id": frame.function_id,
            "data": frame.data,
            "messageReceiptId": receipt,
            "traceparent": frame.traceparent,
            "baggage": tracing.onward_baggage(frame.baggage, frame.function_id),
        }
        # Queue providers from before namespaces refuse fields that they do not know.
        if namespace != DEFAULT_NAMESPACE:
            data["namespace"] = namespace
        self.call(DEFAULT_NAMESPACE, ENQUEUE_PROVIDER, data, finish=finish)

    def _acknowledge(
        self, caller: Connection, frame: InvokeFunction, receipt: str, value: Json, error: ErrorBody | None
    ) -> None:
        if frame.invocation_id is None:
            return
        if error is None:
            self._answer(caller, frame, frame.invocation_id, {"messageReceiptId": receipt}, None)
            return
        if error.code == "function_not_found":
            message = _NO_PROVIDER_MESSAGE.format(underlying=error.message)
        else:
            message = f"{error.code}: {error.message}"
        self._answer(caller, frame, frame.invocation_id, ABSENT, ErrorBody("enqueue_error", message))
