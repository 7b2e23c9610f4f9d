"""The examples of the two API references, translated to trio in the most direct way: ``await`` and ``async with`` are all.

Those of channels and of the logger come with them. What an example prints is looked at instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from iii_trio import III, EnqueueResult, RegisterServiceInput, TriggerAction, register_worker
from iii_trio._wire.messages import RegisterService
from iii_trio.engine import FunctionInfo
from iii_trio.errors import ClientClosed
from iii_trio.protocol import RegisterFunctionInput, RegisterTriggerInput, RegisterTriggerTypeInput, TriggerRequest
from iii_trio.stream import IStream, StreamSetResult
from iii_trio.testing import open_engine
from iii_trio.trigger import TriggerConfig, TriggerHandler
from tests.conftest import MemoryLink, frames


@pytest.fixture
async def iii(link: MemoryLink) -> AsyncIterator[III]:
    """What the examples call their client."""
    async with link.client() as iii:
        yield iii


def greet(data: dict[str, Any]) -> dict[str, str]:
    return {"message": f"Hello, {data['name']}!"}


class MyStream(IStream[Any]):
    """The class of the example, which does nothing."""

    async def get(self, input: Any) -> Any: ...

    async def set(self, input: Any) -> Any: ...

    async def delete(self, input: Any) -> Any: ...

    async def list(self, input: Any) -> Any: ...

    async def list_groups(self, input: Any) -> Any: ...

    async def update(self, input: Any) -> Any: ...


class Webhooks(TriggerHandler[Any]):
    """Keeps the bindings of which it was told."""

    def __init__(self) -> None:
        self.bindings: list[TriggerConfig[Any]] = []

    async def register_trigger(self, config: TriggerConfig[Any]) -> None:
        self.bindings.append(config)

    async def unregister_trigger(self, config: TriggerConfig[Any]) -> None:
        self.bindings.remove(config)


# ---- the older reference --------------------------------------------------------------------------------------------


async def test_create_stream(iii: III) -> None:
    """``iii.create_stream("my-stream", MyStream())``"""
    await iii.create_stream("my-stream", MyStream()).wait_registered()
    assert await iii.streams.get(stream_name="my-stream", group_id="g", item_id="i") is None
    assert {fn.function_id for fn in await iii.list_functions()} >= {
        f"stream::{name}(my-stream)" for name in ("get", "set", "delete", "list", "list_groups")
    }


async def test_list_functions(iii: III) -> None:
    """``for fn in iii.list_functions(): print(fn.function_id, fn.description)``"""
    iii.register_function({"id": "greet", "description": "Greets a user"}, greet)
    assert ("greet", "Greets a user") in [(fn.function_id, fn.description) for fn in await iii.list_functions()]


async def test_list_triggers(iii: III) -> None:
    """``iii.list_triggers()`` and ``iii.list_triggers(include_internal=True)``"""
    await iii.register_trigger({"type": "state", "function_id": "greet", "config": {}}).wait_registered()
    await iii.register_trigger({"type": "state", "function_id": "engine::mine", "config": {}}).wait_registered()
    triggers = await iii.list_triggers()
    internal = await iii.list_triggers(include_internal=True)
    assert [trigger.function_id for trigger in triggers] == ["greet"]
    assert {trigger.function_id for trigger in internal} == {"greet", "engine::mine"}


async def test_list_workers(iii: III) -> None:
    """``for w in iii.list_workers(): print(w.name, w.worker_id)``"""
    assert (iii.worker_name, iii.statistics().worker_id) in [(w.name, w.worker_id) for w in await iii.list_workers()]


async def test_on_functions_available(iii: III, autojump_clock: MockClock) -> None:
    """``unsub = iii.on_functions_available(on_change)``, and later ``unsub()``"""
    available: list[list[str]] = []

    async def on_change(functions: list[FunctionInfo]) -> None:
        available.append([f.function_id for f in functions])

    unsub = iii.on_functions_available(on_change)
    await iii.wait_connected()
    iii.register_function("greet", greet)
    await trio.sleep(6)
    unsub()
    assert len(available) == 1
    assert "greet" in available[0]


@pytest.mark.parametrize(
    "described",
    [
        {"id": "greet", "description": "Greets a user"},
        RegisterFunctionInput(id="greet", description="Greets a user"),
    ],
    ids=["dict", "value"],
)
async def test_register_function(iii: III, described: Any) -> None:
    """``fn = iii.register_function({"id": "greet", "description": "Greets a user"}, greet)``"""
    fn = iii.register_function(described, greet)
    assert fn.id == "greet"
    assert await iii.trigger({"function_id": "greet", "payload": {"name": "World"}}) == {"message": "Hello, World!"}
    fn.unregister()


async def test_register_service(iii: III, link: MemoryLink) -> None:
    """A service, and one that is a part of it."""
    iii.register_service({"id": "payments", "description": "Payment processing"})
    iii.register_service(
        {
            "id": "payments::refunds",
            "description": "Refund sub-service",
            "parent_service_id": "payments",
        }
    )
    iii.register_service(RegisterServiceInput(id="mail"))
    await iii.trigger("engine::functions::list", {})
    registered = [(frame.id, frame.parent_service_id) for frame in frames(link.engine, RegisterService)]
    assert registered == [("payments", None), ("payments::refunds", "payments"), ("mail", None)]


@pytest.mark.parametrize(
    "binding",
    [
        {"type": "http", "function_id": "greet", "config": {"api_path": "/greet", "http_method": "GET"}},
        RegisterTriggerInput(type="http", function_id="greet", config={"api_path": "/greet", "http_method": "GET"}),
    ],
    ids=["dict", "value"],
)
async def test_register_trigger(iii: III, binding: Any) -> None:
    """``trigger = iii.register_trigger({...})``, and later ``trigger.unregister()``"""
    iii.register_function({"id": "greet"}, greet)
    trigger = iii.register_trigger(binding)
    await trigger.wait_registered()
    assert iii.statistics().triggers == 1
    trigger.unregister()
    assert iii.statistics().triggers == 0


@pytest.mark.parametrize(
    "kind",
    [
        {"id": "webhook", "description": "Webhook trigger"},
        RegisterTriggerTypeInput(id="webhook", description="Webhook trigger"),
    ],
    ids=["dict", "value"],
)
async def test_register_and_unregister_trigger_type(iii: III, kind: Any) -> None:
    """``iii.register_trigger_type({...}, handler)`` and ``iii.unregister_trigger_type({...})``"""
    handler = Webhooks()
    iii.register_trigger_type(kind, handler)
    await iii.register_trigger({"type": "webhook", "function_id": "greet", "config": {"url": "/"}}).wait_registered()
    await trio.testing.wait_all_tasks_blocked()
    assert [(binding.function_id, binding.config) for binding in handler.bindings] == [("greet", {"url": "/"})]
    iii.unregister_trigger_type(kind)
    await trio.testing.wait_all_tasks_blocked()
    assert handler.bindings == []
    assert iii.statistics().trigger_types == 0


async def test_trigger(iii: III) -> None:
    """With a result, fire-and-forget, and through a queue; as a dict and as a value."""
    notified = trio.Event()
    queued: list[Any] = []

    async def notify(data: Any) -> None:
        notified.set()

    async def enqueue(data: dict[str, Any]) -> None:
        queued.append(data["queue"])

    iii.register_function("greet", greet)
    iii.register_function("notify", notify)
    await iii.register_function("engine::queue::enqueue", enqueue, force=True).wait_registered()
    result = await iii.trigger({"function_id": "greet", "payload": {"name": "World"}})
    assert result == {"message": "Hello, World!"}
    await iii.trigger({"function_id": "notify", "payload": {}, "action": TriggerAction.Void()})
    await notified.wait()
    receipt = await iii.trigger(TriggerRequest(function_id="notify", action=TriggerAction.Enqueue(queue="mail")))
    assert isinstance(receipt, EnqueueResult)
    assert queued == ["mail"]


async def test_shutdown() -> None:
    """``iii = register_worker(…)``, do work, ``iii.shutdown()``"""
    with trio.fail_after(10):
        await _shut_down()


async def _shut_down() -> None:
    async with open_engine(port=0) as engine, register_worker(engine.url) as iii:
        iii.register_function({"id": "greet"}, greet)
        assert await iii.trigger({"function_id": "greet", "payload": {"name": "World"}})
        await iii.shutdown()
        with pytest.raises(ClientClosed):
            await iii.trigger({"function_id": "greet"})


# ---- an app of the older client -------------------------------------------------------------------------------------


class Todos(MyStream):
    """Keeps items, as far as the app asks for them."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    async def get(self, input: Any) -> Any:
        return self.items.get(input.item_id)

    async def set(self, input: Any) -> Any:
        old, self.items[input.item_id] = self.items.get(input.item_id), input.data
        return StreamSetResult(new_value=input.data, old_value=old)

    async def list(self, input: Any) -> Any:
        return [*self.items.values()]


async def test_an_app_of_the_older_client(link: MemoryLink, autojump_clock: MockClock) -> None:
    """All of its methods together, in the order in which an app would use them."""
    changes: list[set[str]] = []
    events: list[Any] = []
    jobs: list[Any] = []

    async def add(data: dict[str, Any]) -> dict[str, Any]:
        await app.streams.set(stream_name="todos", group_id="inbox", item_id=data["id"], data=data)
        await app.queues.publish("added", {"id": data["id"]})
        return {"ok": True}

    async def changed(event: dict[str, Any]) -> None:
        events.append((event["event"]["type"], event["id"]))

    async def added(data: dict[str, Any]) -> None:
        jobs.append(data["id"])

    async def on_change(functions: list[FunctionInfo]) -> None:
        changes.append({function.function_id for function in functions})

    async with link.client() as app:
        assert app.get_connection_state() == "connected"
        unsubscribe = app.on_functions_available(on_change)
        app.register_service({"id": "todos", "description": "Things to do"})
        app.create_stream("todos", Todos())
        function = app.register_function({"id": "todos::add", "description": "Adds one"}, add)
        app.register_function({"id": "todos::changed"}, changed)
        app.register_function({"id": "todos::added"}, added)
        app.register_trigger({"type": "stream", "function_id": "todos::changed", "config": {"stream_name": "todos"}})
        queue = app.register_trigger({"type": "queue", "function_id": "todos::added", "config": {"topic": "added"}})

        for number in ("1", "2"):
            assert await app.trigger({"function_id": "todos::add", "payload": {"id": number}}) == {"ok": True}
        await trio.sleep(6)
        assert await app.streams.list(stream_name="todos", group_id="inbox") == [{"id": "1"}, {"id": "2"}]
        assert sorted(events) == [("create", "1"), ("create", "2")]
        assert sorted(jobs) == ["1", "2"]

        (listed,) = [row for row in await app.list_functions() if row.function_id == "todos::add"]
        assert listed.description == "Adds one"
        (worker,) = [row for row in await app.list_workers() if row.worker_id == app.statistics().worker_id]
        assert {"todos::add", "stream::get(todos)"} <= {*worker.functions}
        assert {row.trigger_type for row in await app.list_triggers()} == {"stream", "durable:subscriber"}
        internal = {row.trigger_type for row in await app.list_triggers(include_internal=True)}
        assert internal == {"stream", "durable:subscriber", "engine::functions-available"}

        function.unregister()
        queue.unregister()
        await trio.sleep(6)
        assert "todos::add" not in changes[-1]
        unsubscribe()
        await app.shutdown()
        assert app.get_connection_state() == "disconnected"
