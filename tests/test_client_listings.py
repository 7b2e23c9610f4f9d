"""`III.list_*` and `III.on_functions_available`, on the embedded engine in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

import attrs
import pytest
import trio
from trio.testing import MockClock

from iii_trio import InvocationError
from iii_trio._client import listings
from iii_trio._types.table import typed
from iii_trio._wire.messages import InvokeFunction
from iii_trio.engine import FunctionInfo, TriggerInfo
from iii_trio.errors import ClientClosed, ConfigurationError
from tests.conftest import MemoryLink, frames


class Order(TypedDict):
    n: int


async def ship(data: Order) -> str:
    return f"order {data['n']}"


def answers(answer: Any) -> Callable[[Any], Any]:
    async def handle(_: Any) -> Any:
        return answer

    return handle


BINDING: Final = {"id": "b", "trigger_type": "cron", "function_id": "f", "config": {"expression": "@daily"}}
WORKER: Final = {
    "id": "1",
    "name": "w",
    "namespace": "default",
    "status": "connected",
    "connected_at_ms": 1,
    "function_count": 1,
    "active_invocations": 0,
}


@attrs.define
class Engine:
    """Answers as engines do that the embedded one is not: older ones, and those that forbid."""

    answers: Mapping[str, Any]
    asked: list[tuple[str, Any]] = attrs.field(factory=list)

    async def trigger(self, request: str, payload: Any = None, *, returns: Any = Any) -> Any:
        self.asked.append((request, payload))
        answer = self.answers[request]
        if isinstance(answer, InvocationError):
            raise answer
        return typed(returns).structure(answer)


async def _list_triggers(engine: Engine) -> list[TriggerInfo]:
    return await listings.list_triggers(engine, False)


async def test_functions_are_listed_with_their_schemas(link: MemoryLink) -> None:
    """Of all namespaces, also where an id is in two; without what is internal."""
    async with link.client(worker_name="a") as first, link.client(worker_name="b", namespace="orders") as second:
        first.register_function("ship", ship, description="Ships", metadata={"team": 1})
        first.register_function("hidden", ship, metadata={"internal": True})
        first.register_function("plain", answers(1))
        await second.register_function("ship", answers(1), request_format={"type": "array"}).wait_registered()
        listed = await first.list_functions()
        ours = {(row.namespace, row.function_id): row for row in listed}
        row = ours["default", "ship"]
        assert (row.description, row.metadata, row.worker_name) == ("Ships", {"team": 1}, "a")
        assert row.request_format["properties"] == {"n": {"type": "integer"}}
        assert row.response_format["type"] == "string"
        assert ours["orders", "ship"] == FunctionInfo(
            function_id="ship", namespace="orders", worker_name="b", request_format={"type": "array"}
        )
        assert ours["default", "plain"] == FunctionInfo(function_id="plain", worker_name="a")
        assert ("default", "hidden") not in ours
        assert not any(name == "engine::functions::list" for _, name in ours)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 70])
async def test_schemas_are_asked_for_in_batches(link: MemoryLink, count: int) -> None:
    """Of as many as the engine describes at once, and every function has its own."""
    async with link.client(namespace="many") as iii:
        for number in range(count):
            iii.register_function(f"f{number:02}", answers(1), request_format={"title": str(number)})
        listed = [row for row in await iii.list_functions() if row.namespace == "many"]
        assert [row.request_format for row in listed] == [{"title": str(number)} for number in range(count)]
        batches = [
            frame.data["function_ids"]
            for frame in frames(link.engine, InvokeFunction, function_id="engine::functions::info")
            if frame.data["namespace"] == "many"
        ]
        assert len(batches) == -(-count // 32)


@pytest.mark.parametrize("code", ["FORBIDDEN", "function_not_found"])
async def test_a_listing_does_without_what_it_may_not_ask(code: str) -> None:
    """Formats stay None, workers have no functions, bindings no metadata."""
    unknown = InvocationError(code, "not for you")
    engine = Engine(
        {
            "engine::functions::list": {"functions": [{"function_id": "f"}]},
            "engine::functions::info": unknown,
            "engine::registered-triggers::list": {"registered_triggers": [BINDING]},
            "engine::registered-triggers::info": unknown,
        }
    )
    assert await listings.list_functions(engine) == [FunctionInfo(function_id="f")]
    assert [(row.id, row.metadata) for row in await listings.list_triggers(engine, False)] == [("b", None)]
    engine = Engine({"engine::workers::list": {"workers": [WORKER]}, "engine::functions::list": unknown})
    assert [(row.name, row.functions) for row in await listings.list_workers(engine)] == [("w", [])]


@pytest.mark.parametrize(
    ("function_id", "ask"),
    [
        ("engine::functions::list", listings.list_functions),
        ("engine::functions::info", listings.list_functions),
        ("engine::workers::list", listings.list_workers),
        ("engine::functions::list", listings.list_workers),
        ("engine::registered-triggers::list", _list_triggers),
        ("engine::registered-triggers::info", _list_triggers),
    ],
)
async def test_other_errors_of_a_listing_are_raised(function_id: str, ask: Any) -> None:
    """They say more than an empty field would."""
    answers = {
        "engine::functions::list": {"functions": [{"function_id": "f"}]},
        "engine::functions::info": {"functions": []},
        "engine::workers::list": {"workers": [WORKER]},
        "engine::registered-triggers::list": {"registered_triggers": [BINDING]},
        "engine::registered-triggers::info": {},
    }
    await ask(Engine(answers))
    with pytest.raises(InvocationError, match="broken"):
        await ask(Engine({**answers, function_id: InvocationError("BROKEN", "broken")}))


@pytest.mark.parametrize("named", ["forbidden", "not_found"])
async def test_a_function_that_goes_meanwhile_is_still_listed(named: str) -> None:
    """As the engine told it first; so is one that may be listed and not described."""
    rows = [{"function_id": "f"}, {"function_id": "g"}]
    details = [{"function_id": "f", "error": named}, {"function_id": "g", "request_schema": {"type": "null"}}]
    engine = Engine({"engine::functions::list": {"functions": rows}, "engine::functions::info": {"functions": details}})
    assert await listings.list_functions(engine) == [
        FunctionInfo(function_id="f"),
        FunctionInfo(function_id="g", request_format={"type": "null"}),
    ]


async def test_workers_are_listed_with_their_functions(link: MemoryLink) -> None:
    """Internal ones too, so that they are as many as it says; and the engine's own parts."""
    async with link.client(worker_name="a") as first, link.client(worker_name="a", namespace="orders") as second:
        first.register_function("ship", ship)
        first.register_function("hidden", ship, metadata={"internal": True})
        await first.register_function("plain", ship).wait_registered()
        await second.register_function("other", ship).wait_registered()
        listed = {(row.namespace, row.name): row for row in await first.list_workers()}
        mine = listed["default", "a"]
        assert mine.functions == ["hidden", "plain", "ship"]
        assert mine.worker_id == first.statistics().worker_id
        assert (mine.runtime, mine.status) == ("python", "connected")
        assert listed["orders", "a"].functions == ["other"]
        assert "state::get" in listed["default", "iii-state"].functions
        assert all(row.function_count == len(row.functions) for row in listed.values())


async def test_a_worker_without_a_name_has_no_functions_of_others() -> None:
    """For its functions the engine names the first part of the id, which says nothing about the worker."""
    functions = [{"function_id": "w::f", "worker_name": "w"}]
    engine = Engine(
        {
            "engine::workers::list": {"workers": [{**WORKER, "name": None}]},
            "engine::functions::list": {"functions": functions},
        }
    )
    (row,) = await listings.list_workers(engine)
    assert (row.name, row.functions, row.function_count) == (None, [], 1)


async def test_bindings_are_listed_with_their_metadata(link: MemoryLink) -> None:
    """Those of the engine's own types and functions only when they are asked for, and none that waits for its type."""
    async with link.client() as iii:
        config = {"scope": "s"}
        trigger = iii.register_trigger(type="state", function_id="f", config=config, metadata={"m": 1})
        internal = iii.register_trigger(type="state", function_id="engine::mine")
        watching = iii.register_trigger(type="engine::functions-available", function_id="f")
        await iii.register_trigger(type="nobody-s", function_id="f").wait_registered()
        assert await iii.list_triggers() == [
            TriggerInfo(id=trigger.id, trigger_type="state", function_id="f", config=config, metadata={"m": 1})
        ]
        assert {row.id for row in await iii.list_triggers(include_internal=True)} == {
            *(trigger.id, internal.id, watching.id)
        }
        trigger.unregister()
        assert await iii.list_triggers() == []


async def test_a_binding_that_goes_meanwhile_is_still_listed() -> None:
    """As the engine told it first."""
    engine = Engine(
        {
            "engine::registered-triggers::list": {"registered_triggers": [BINDING]},
            "engine::registered-triggers::info": InvocationError("NOT_FOUND", "gone"),
        }
    )
    (row,) = await listings.list_triggers(engine, False)
    assert (row.id, row.metadata) == ("b", None)


async def test_an_older_engine_lists_bindings_elsewhere() -> None:
    """What lists trigger types today listed them, with all that there is."""
    engine = Engine(
        {
            "engine::registered-triggers::list": InvocationError("function_not_found", "unknown"),
            "engine::triggers::list": {"triggers": [BINDING]},
        }
    )
    assert await listings.list_triggers(engine, True) == [
        TriggerInfo(id="b", trigger_type="cron", function_id="f", config={"expression": "@daily"})
    ]
    assert engine.asked == [
        ("engine::registered-triggers::list", {"include_internal": True}),
        ("engine::triggers::list", {"include_internal": True}),
    ]


# ---- being told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["default", "orders"])
async def test_a_callback_hears_of_every_change(link: MemoryLink, autojump_clock: MockClock, namespace: str) -> None:
    """All functions, some seconds later; from any namespace; and nothing more once it is ended."""
    send, receive = trio.open_memory_channel[list[FunctionInfo]](10)
    async with link.client(namespace=namespace) as iii:
        unsubscribe = iii.on_functions_available(send.send)
        await iii.wait_connected()
        ref = iii.register_function("new", ship)
        with trio.fail_after(6):
            functions = await receive.receive()
        (row,) = [row for row in functions if row.function_id == "new"]
        assert (row.namespace, row.worker_name) == (namespace, iii.worker_name)
        assert row.request_format is None
        ref.unregister()
        with trio.fail_after(6):
            assert "new" not in {row.function_id for row in await receive.receive()}
        unsubscribe()
        unsubscribe()
        iii.register_function("newer", ship)
        await trio.sleep(11)
        assert receive.statistics().current_buffer_used == 0
        assert (iii.statistics().functions, iii.statistics().triggers) == (1, 0)


async def test_a_sync_callback_runs_in_a_thread(link: MemoryLink) -> None:
    """As sync handlers do, so that it may block; async ones run as tasks."""
    here = threading.get_ident()
    where: dict[str, int] = {}

    def sync(functions: list[FunctionInfo]) -> None:
        where["sync"] = threading.get_ident()
        assert functions == [FunctionInfo(function_id="f")]

    async def plain(functions: list[FunctionInfo]) -> None:
        where["async"] = threading.get_ident()

    async with link.client() as iii:
        iii.on_functions_available(sync)
        iii.on_functions_available(plain)
        hidden = await iii.trigger("engine::functions::list", {"prefix": "iii.", "include_internal": True})
        assert len(hidden["functions"]) == 2
        for row in hidden["functions"]:
            await iii.trigger(row["function_id"], {"event": "functions_changed", "functions": [{"function_id": "f"}]})
        assert where["async"] == here != where["sync"]
        assert not any(row.function_id.startswith("iii.on_") for row in await iii.list_functions())


async def test_a_callback_that_raises_ends_nothing(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is a failed handler like others, and hears of the next change."""
    told = 0

    async def callback(functions: list[FunctionInfo]) -> None:
        nonlocal told
        told += 1
        raise ValueError("no")

    async with link.client() as iii:
        iii.on_functions_available(callback)
        await iii.wait_connected()
        for number in range(2):
            iii.register_function(f"f{number}", ship)
            await trio.sleep(6)
        assert told == iii.statistics().failed_handlers == 2


@pytest.mark.parametrize("callback", [None, 7, lambda functions, more: None])
async def test_what_cannot_be_called_is_refused(link: MemoryLink, callback: Any) -> None:
    """At once, and nothing is registered."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="the handler of"):
            iii.on_functions_available(callback)
        assert iii.statistics().functions == iii.statistics().triggers == 0


async def test_a_callback_may_take_nothing(link: MemoryLink, autojump_clock: MockClock) -> None:
    """As any handler."""
    told = trio.Event()

    async def callback() -> None:
        told.set()

    async with link.client() as iii:
        iii.on_functions_available(callback)
        await iii.wait_connected()
        iii.register_function("new", ship)
        with trio.fail_after(6):
            await told.wait()


async def test_a_closed_client_subscribes_to_nothing(link: MemoryLink) -> None:
    """As it registers nothing else."""
    async with link.client() as iii:
        await iii.aclose()
        with pytest.raises(ClientClosed):
            iii.on_functions_available(lambda functions: None)
