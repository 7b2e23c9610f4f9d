"""What there is: functions, workers and triggers, as the engine lists them (docs/engine.md, "Builtins").

Rows of today's engine have less than the references' types. What is missing is asked for beside them, as far as the engine
lets this worker ask.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import attrs

from iii_trio._client.handles import FunctionRef, Trigger
from iii_trio._client.operations import Caller
from iii_trio._handlers.signature import Signature, inspect_handler
from iii_trio._values.engine import EngineFunctions, EngineTriggers, FunctionInfo, TriggerInfo, WorkerInfo
from iii_trio.errors import InvocationError

F = TypeVar("F", bound=Callable[..., Any])

OnFunctions: TypeAlias = Callable[[list[FunctionInfo]], object] | Callable[[], object]
"""What is told of functions; an async one as well as a plain one."""

_BATCH: Final = 32
"""Functions that the engine describes in one answer."""

_NOT_FOR_US: Final = ("function_not_found", "FORBIDDEN")
"""What an older engine says to a question that it does not know, and a listener to one that it does not allow."""


@attrs.frozen
class _Functions:
    functions: list[FunctionInfo]


@attrs.frozen
class _Detail:
    function_id: str
    request_schema: Any = None
    response_schema: Any = None


@attrs.frozen
class _Details:
    functions: list[_Detail]


@attrs.frozen
class _Workers:
    workers: list[WorkerInfo]


@attrs.frozen
class _Bindings:
    registered_triggers: list[TriggerInfo]


@attrs.frozen
class _OldBindings:
    triggers: list[TriggerInfo]


@attrs.frozen
class _Metadata:
    metadata: dict[str, Any] | None = None


# ---- asking ---------------------------------------------------------------------------------------------------------


async def list_functions(caller: Caller) -> list[FunctionInfo]:
    """See `III.list_functions`."""
    listed = await caller.trigger(EngineFunctions.LIST_FUNCTIONS, {}, returns=_Functions)
    try:
        details = await _details(caller, listed.functions)
    except InvocationError as error:
        if error.code not in _NOT_FOR_US:
            raise
        return listed.functions
    return [_with_formats(row, details.get((row.namespace, row.function_id))) for row in listed.functions]


async def _details(caller: Caller, rows: Iterable[FunctionInfo]) -> dict[tuple[str, str], _Detail]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        ids[row.namespace].append(row.function_id)
    found: dict[tuple[str, str], _Detail] = {}
    for namespace, of_one in ids.items():
        for start in range(0, len(of_one), _BATCH):
            asked = {"function_ids": of_one[start : start + _BATCH], "namespace": namespace}
            answer = await caller.trigger(EngineFunctions.INFO_FUNCTIONS, asked, returns=_Details)
            found.update(((namespace, detail.function_id), detail) for detail in answer.functions)
    return found


def _with_formats(row: FunctionInfo, detail: _Detail | None) -> FunctionInfo:
    if detail is None:
        return row
    return attrs.evolve(row, request_format=detail.request_schema, response_format=detail.response_schema)


async def list_workers(caller: Caller) -> list[WorkerInfo]:
    """See `III.list_workers`."""
    listed = await caller.trigger(EngineFunctions.LIST_WORKERS, {}, returns=_Workers)
    try:
        asked = {"include_internal": True}
        functions = await caller.trigger(EngineFunctions.LIST_FUNCTIONS, asked, returns=_Functions)
    except InvocationError as error:
        if error.code not in _NOT_FOR_US:
            raise
        return listed.workers
    owned: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for row in functions.functions:
        owned[row.namespace, row.worker_name].append(row.function_id)
    return [
        # For a worker without a name the engine names the first part of the id, which may be the name of another.
        row if row.name is None else attrs.evolve(row, functions=owned[row.namespace, row.name])
        for row in listed.workers
    ]


async def list_triggers(caller: Caller, include_internal: bool) -> list[TriggerInfo]:
    """See `III.list_triggers`."""
    bindings = await _bindings(caller, include_internal)
    # Today's engine hides by the function only, and the references mean bindings of the engine's own types as well.
    return [row for row in bindings if include_internal or not row.trigger_type.startswith("engine::")]


async def _bindings(caller: Caller, include_internal: bool) -> list[TriggerInfo]:
    asked = {"include_internal": include_internal}
    try:
        listed = await caller.trigger(EngineFunctions.LIST_REGISTERED_TRIGGERS, asked, returns=_Bindings)
    except InvocationError as error:
        if error.code != "function_not_found":
            raise
        # Before 0.21 this listed bindings, and since then it lists types.
        return (await caller.trigger(EngineFunctions.LIST_TRIGGERS, asked, returns=_OldBindings)).triggers
    return [await _with_metadata(caller, row) for row in listed.registered_triggers]


async def _with_metadata(caller: Caller, row: TriggerInfo) -> TriggerInfo:
    try:
        told = await caller.trigger(EngineFunctions.INFO_REGISTERED_TRIGGERS, {"id": row.id}, returns=_Metadata)
    except InvocationError as error:
        if error.code not in ("NOT_FOUND", *_NOT_FOR_US):  # it may have gone meanwhile
            raise
        return row
    return attrs.evolve(row, metadata=told.metadata)


# ---- being told -----------------------------------------------------------------------------------------------------


class Client(Protocol):
    """What a subscription needs of the client; `III` is one."""

    def register_function(
        self, function_id: str, handler_or_invocation: F, /, *, metadata: dict[str, Any]
    ) -> FunctionRef[F]: ...

    def register_trigger(self, trigger: dict[str, Any], /) -> Trigger: ...


def on_functions_available(client: Client, callback: OnFunctions) -> Callable[[], None]:
    """See `III.on_functions_available`."""
    function_id = f"iii.on_functions_available.{uuid.uuid4()}"
    called = inspect_handler(function_id, callback)
    handler = _awaiting(called) if called.is_async else _calling(called)
    # The engine hides what is internal from its listings, unless it is asked for.
    function = client.register_function(function_id, handler, metadata={"internal": True})
    trigger = client.register_trigger({"type": EngineTriggers.FUNCTIONS_AVAILABLE, "function_id": function_id})

    def unsubscribe() -> None:
        trigger.unregister()
        function.unregister()

    return unsubscribe


def _awaiting(callback: Signature) -> Callable[[_Functions], Awaitable[None]]:
    async def tell(data: _Functions) -> None:
        await callback.function(*_arguments(callback, data))

    return tell


def _calling(callback: Signature) -> Callable[[_Functions], None]:
    def tell(data: _Functions) -> None:
        callback.function(*_arguments(callback, data))

    return tell


def _arguments(callback: Signature, data: _Functions) -> tuple[list[FunctionInfo], ...]:
    return (data.functions,) if callback.takes_payload else ()
