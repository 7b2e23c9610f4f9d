"""What type checkers say about the public API. It is checked by mypy and pyright, and never run."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, assert_type

import attrs
import trio

from iii_trio import (
    III,
    ClientStatistics,
    DrainReport,
    EnqueueResult,
    HttpInvocationConfig,
    InitOptions,
    Invocation,
    InvocationError,
    TriggerAction,
    connect_iii,
    current_invocation,
    open_iii,
    register_worker,
)
from iii_trio.engine import FunctionInfo, TriggerInfo, WorkerInfo
from iii_trio.errors import Fate, IIIError
from iii_trio.http import HttpAuthConfig, HttpRequest, HttpResponse
from iii_trio.protocol import RegisterFunctionInput, RegisterTriggerTypeInput
from iii_trio.queue import DeadLetter
from iii_trio.runtime import FunctionRef, TriggerTypeRef
from iii_trio.state import (
    IState,
    StateDeleteInput,
    StateDeleteResult,
    StateEventData,
    StateEventType,
    StateGetInput,
    StateListInput,
    StateSetInput,
    StateSetResult,
    StateUpdateInput,
    StateUpdateResult,
    UpdateOp,
    UpdateSet,
)
from iii_trio.stream import IStream, StreamChangeEvent, StreamDeleteResult, StreamListGroupsInput, StreamSentEvent
from iii_trio.testing import EmbeddedEngine, open_engine
from iii_trio.trigger import StateTriggerConfig, Trigger, TriggerConfig, TriggerHandler


@attrs.frozen
class User:
    name: str


async def greet(data: dict[str, Any]) -> str:
    return str(data["name"])


def resize(data: dict[str, Any]) -> int:
    return len(data)


async def doors(nursery: trio.Nursery) -> None:
    async with open_iii("ws://127.0.0.1:49134", InitOptions(worker_name="typed")) as iii:
        assert_type(iii, III)
    async with register_worker() as iii:
        assert_type(iii, III)
    assert_type(await connect_iii(nursery), III)


async def calls(iii: III) -> None:
    assert_type(await iii.trigger("users::get", {"id": 7}), Any)
    assert_type(await iii.trigger({"function_id": "users::get"}), Any)
    assert_type(await iii.trigger("users::get", {"id": 7}, returns=User), User)
    assert_type(await iii.trigger("users::list", returns=list[User]), list[User])
    either: User | EnqueueResult = await iii.trigger("users::add", returns=User | EnqueueResult)
    perhaps: User | None = await iii.trigger("users::find", returns=User | None)
    assert_type((either, perhaps), tuple[User | EnqueueResult, User | None])
    assert_type(await iii.trigger("mail::send", action=TriggerAction.Enqueue(queue="mail")), EnqueueResult)
    assert_type(iii.statistics(), ClientStatistics)
    assert_type(await iii.drain(timeout=10), DrainReport | None)
    try:
        iii.trigger_nowait("audit::log", {"id": 7})
    except InvocationError as error:
        assert_type(error.code, str)
        assert_type(error.fate, Fate)


async def functions(iii: III) -> None:
    async_ref = iii.register_function("greet", greet)
    sync_ref = iii.register_function(RegisterFunctionInput(id="resize"), resize, concurrency=4)
    refs: list[FunctionRef[Any]] = [async_ref, sync_ref]
    assert_type(refs[0].id, str)
    assert_type(async_ref.id, str)
    await async_ref.wait_registered()
    async_ref.unregister()
    assert_type(current_invocation(), Invocation | None)


class Users(IState[User]):
    async def get(self, input: StateGetInput) -> User | None:
        return User(input.key)

    async def set(self, input: StateSetInput) -> StateSetResult[User]:
        return StateSetResult(new_value=User(input.key))

    async def delete(self, input: StateDeleteInput) -> StateDeleteResult:
        return StateDeleteResult(old_value=input.key)

    async def list(self, input: StateListInput) -> builtins.list[User]:
        return [User(input.scope)]

    async def update(self, input: StateUpdateInput) -> StateUpdateResult[User]:
        assert_type(input.ops, builtins.list[UpdateOp])
        return StateUpdateResult(new_value=User(input.key))


class Webhooks(TriggerHandler[User]):
    async def register_trigger(self, config: TriggerConfig[User]) -> None:
        assert_type(config.config, User)

    def unregister_trigger(self, config: TriggerConfig[User]) -> None:
        assert_type(config.id, str)


async def values(event: StateEventData[User], change: StreamChangeEvent) -> None:
    assert_type(event.new_value, User | None)
    assert_type(event.event_type, StateEventType)
    if change.event.type == "event":
        assert_type(change.event.event, StreamSentEvent)
    ops: list[UpdateOp | dict[str, Any]] = [UpdateSet(path="a", value=1), {"type": "increment", "path": "n", "by": 1}]
    assert_type(StateUpdateInput(scope="s", key="k", ops=ops).ops, list[UpdateOp])
    config = HttpInvocationConfig(url="https://example.com", auth={"type": "bearer", "token_key": "TOKEN"})
    assert_type(config.auth, HttpAuthConfig | None)
    assert_type(RegisterFunctionInput(id="f", invocation=config).invocation, HttpInvocationConfig | None)


async def triggers(iii: III) -> None:
    @iii.on.subscribe("news", timeout=5)
    @iii.on.http("POST", "/greet", concurrency=4)
    async def greet_http(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status_code=200)

    assert_type(greet_http.id, str)
    assert_type(greet_http.triggers, tuple[Trigger, ...])
    trigger = iii.register_trigger(type="state", function_id="f", config=StateTriggerConfig(scope="users"))
    assert_type(trigger, Trigger)
    assert_type(trigger.error, IIIError | None)
    assert_type(await iii.on.cron("@daily")(greet).handler({"name": "Ada"}), str)
    remote = iii.register_function("score", HttpInvocationConfig(url="https://example.com"))
    assert_type(remote, FunctionRef[Any])


async def trigger_types(iii: III, provider: TriggerHandler[dict[str, int]], binding: TriggerConfig[Any]) -> None:
    ref = iii.register_trigger_type(RegisterTriggerTypeInput(id="webhook", description=""), provider)
    assert_type(ref, TriggerTypeRef[dict[str, int], Any])
    assert_type(ref.register_trigger("f", {"n": 1}), Trigger)
    assert_type(await ref.fire(binding, 1), Any)
    ref.unregister()


async def engines() -> None:
    async with open_engine(port=0) as engine:
        assert_type(engine, EmbeddedEngine)
        assert_type(engine.url, str)


async def operations(iii: III) -> None:
    assert_type(await iii.state.get(scope="s", key="k"), Any)
    assert_type(await iii.state.set(scope="s", key="k", value=User("Ada")), StateSetResult[Any])
    ops = [UpdateSet(path="name", value="Bob")]
    assert_type(await iii.state.update(scope="s", key="k", ops=ops), StateUpdateResult[Any])
    assert_type(await iii.state.list({"scope": "s"}), builtins.list[Any])
    streams: IStream[Any] = iii.streams
    assert_type(await streams.list_groups(StreamListGroupsInput(stream_name="s")), builtins.list[str])
    assert_type(await iii.streams.delete(stream_name="s", group_id="g", item_id="i"), StreamDeleteResult)
    assert_type(await iii.queues.redrive_message("jobs", "id"), bool)
    assert_type(await iii.queues.dlq_messages("jobs", limit=1), builtins.list[DeadLetter])
    await iii.create_stream("s", streams).wait_registered()
    await iii.publish("news", User("Ada"))


async def listings(iii: III) -> None:
    def told(functions: builtins.list[FunctionInfo]) -> None: ...

    async def told_async(functions: builtins.list[FunctionInfo]) -> None: ...

    assert_type(await iii.list_functions(), builtins.list[FunctionInfo])
    assert_type(await iii.list_workers(), builtins.list[WorkerInfo])
    assert_type(await iii.list_triggers(include_internal=True), builtins.list[TriggerInfo])
    assert_type(iii.on_functions_available(told), Callable[[], None])
    assert_type(iii.on_functions_available(told_async), Callable[[], None])
