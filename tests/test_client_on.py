"""Decorators that register and bind: one for each built-in type, and one for any other."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, TriggerAction
from iii_trio._client.on import Binder
from iii_trio._values.trigger_configs import CONFIGS
from iii_trio._wire.messages import RegisterFunction, RegisterTrigger, UnregisterFunction, UnregisterTrigger
from iii_trio.errors import ConfigurationError, RegistrationRejectedError
from iii_trio.testing import EmbeddedEngine
from iii_trio.trigger import On
from tests.conftest import Gate, Link, MemoryLink, frames, start

CASES: dict[str, tuple[Callable[[On], Binder], str, dict[str, Any]]] = {
    "http": (
        lambda on: on.http("POST", "/greet", condition_function_id="c", middleware_function_ids=["m"]),
        "http",
        {
            "api_path": "/greet",
            "http_method": "POST",
            "condition_function_id": "c",
            "middleware_function_ids": ["m"],
        },
    ),
    "cron": (
        lambda on: on.cron("0 */5 * * * *", condition_function_id="c"),
        "cron",
        {"expression": "0 */5 * * * *", "condition_function_id": "c"},
    ),
    "state": (
        lambda on: on.state("users", "7", condition_function_id="c"),
        "state",
        {"scope": "users", "key": "7", "condition_function_id": "c"},
    ),
    "stream": (
        lambda on: on.stream("chat", "room", "1", condition_function_id="c"),
        "stream",
        {"stream_name": "chat", "group_id": "room", "item_id": "1", "condition_function_id": "c"},
    ),
    "stream_join": (lambda on: on.stream_join(), "stream:join", {}),
    "stream_leave": (lambda on: on.stream_leave(), "stream:leave", {}),
    "subscribe": (lambda on: on.subscribe("news"), "subscribe", {"topic": "news"}),
    "queue": (
        lambda on: on.queue("orders", {"maxRetries": 1}, condition_function_id="c"),
        "durable:subscriber",
        {"topic": "orders", "queue_config": {"maxRetries": 1}, "condition_function_id": "c"},
    ),
    "log": (lambda on: on.log("warn"), "log", {"level": "warn"}),
    "trace": (lambda on: on.trace("api", "error"), "trace", {"service_name": "api", "status": "error"}),
    "configuration": (
        lambda on: on.configuration("flags", ["configuration:updated"], condition_function_id="c"),
        "configuration",
        {"configuration_id": "flags", "event_types": ["configuration:updated"], "condition_function_id": "c"},
    ),
    "functions_available": (lambda on: on.functions_available(), "engine::functions-available", {}),
    "workers_available": (lambda on: on.workers_available(), "engine::workers-available", {}),
    "trigger": (lambda on: on.trigger("webhook", {"n": 1}), "webhook", {"n": 1}),
}


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("name", CASES)
async def test_every_decorator_registers_and_binds(link: MemoryLink, name: str) -> None:
    """Under the handler's name; what it gives is the function, and calling that calls the handler."""
    make, trigger_type, config = CASES[name]
    async with link.client() as iii:

        @make(iii.on)
        def handler(data: Any) -> Any:
            return [data]

        await handler.wait_registered()
        (trigger,) = handler.triggers
        assert (handler.id, handler(1), trigger.type, trigger.function_id) == ("handler", [1], trigger_type, "handler")
        assert (iii.statistics().functions, iii.statistics().triggers) == (1, 1)
    (frame,) = frames(link.engine, RegisterTrigger)
    assert (frame.id, frame.trigger_type, frame.function_id, frame.config) == (
        trigger.id,
        trigger_type,
        "handler",
        config,
    )


def test_there_is_a_decorator_for_every_type_of_the_engine() -> None:
    """And one for the others."""
    assert {trigger_type for _, trigger_type, _ in CASES.values()} == {*CONFIGS, "webhook"}
    assert {*CASES} == {name for name in vars(On) if not name.startswith("_")}


async def test_without_wishes_a_decorator_says_nothing_more_than_it_must(link: MemoryLink) -> None:
    """Each default."""
    async with link.client() as iii:

        @iii.on.http("GET", "/")
        @iii.on.cron("@daily")
        @iii.on.state()
        @iii.on.stream("chat")
        @iii.on.queue("t")
        @iii.on.log()
        @iii.on.trace()
        @iii.on.configuration()
        @iii.on.trigger("webhook")
        def handler() -> None: ...

        assert len(handler.triggers) == 9
        await settle()
    sent = {frame.trigger_type: frame.config for frame in frames(link.engine, RegisterTrigger)}
    assert sent == {
        "http": {"api_path": "/", "http_method": "GET", "middleware_function_ids": []},
        "cron": {"expression": "@daily"},
        "state": {},
        "stream": {"stream_name": "chat"},
        "durable:subscriber": {"topic": "t"},
        "log": {"level": "all"},
        "trace": {},
        "configuration": {},
        "webhook": {},
    }


async def test_keywords_are_those_of_functions(link: MemoryLink) -> None:
    """Id, description and limits, and the metadata of the binding beside that of the function."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        ref = iii.on.state(
            function_id="users::changed",
            description="d",
            metadata={"function": 1},
            trigger_metadata={"trigger": 1},
            concurrency=1,
        )(gate)
        await ref.wait_registered()
        for _ in range(2):
            start(nursery, iii.trigger, "users::changed")
        await settle()
        assert (gate.peak, iii.statistics().pending_invocations) == (1, 1)
        gate.open()
    (function,) = frames(link.engine, RegisterFunction)
    (trigger,) = frames(link.engine, RegisterTrigger)
    assert (function.id, function.description, function.metadata) == ("users::changed", "d", {"function": 1})
    assert trigger.metadata == {"trigger": 1}


async def test_decorators_can_be_stacked(link: MemoryLink) -> None:
    """The lowest makes the function, also when that is `function`; the others bind it, each with metadata of its own."""
    async with link.client() as iii:

        @iii.on.subscribe("news")
        @iii.on.state("users", trigger_metadata={"m": 1})
        @iii.function("f", timeout=5)
        async def handler(data: Any) -> None: ...

        await handler.wait_registered()
        assert handler.id == "f"
        assert [trigger.type for trigger in handler.triggers] == ["state", "subscribe"]
        assert iii.statistics().functions == 1
        with pytest.raises(ConfigurationError, match="'f' is registered already; timeout belong to the lowest"):
            iii.on.subscribe("other", timeout=1)(handler)
        with pytest.raises(ConfigurationError, match="function_id belong to the lowest"):
            iii.on.subscribe("other", function_id="g")(handler)
        assert iii.statistics().triggers == 2


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda: None, id="lambda"),
        pytest.param(functools.partial(print, 1), id="partial"),
        pytest.param(Gate(), id="object"),
    ],
)
async def test_a_handler_without_a_name_needs_an_id(link: MemoryLink, handler: Any) -> None:
    """Nobody could call it by anything."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="give it a function_id"):
            iii.on.state()(handler)
        assert iii.on.state(function_id="f")(handler).id == "f"


async def test_a_config_that_cannot_work_is_refused_where_it_is_written(link: MemoryLink) -> None:
    """Before there is anything to decorate; of other types when it is bound, and then no function stays behind."""
    async with link.client() as iii:
        wrongs: list[Callable[[], object]] = [
            lambda: iii.on.http("GET", "/*"),
            lambda: iii.on.cron("* * * * *"),
            lambda: iii.on.stream(" "),
            lambda: iii.on.subscribe(""),
            lambda: iii.on.queue("t", {"concurrency": 0}),
        ]
        for wrong in wrongs:
            with pytest.raises(ConfigurationError):
                wrong()
        with pytest.raises(ConfigurationError, match="StreamTriggerConfig needs its stream_name"):
            iii.on.trigger("stream", {})(print)
        iii.on.http("GET", "/a/:b")(print)
        with pytest.raises(ConfigurationError, match="differs from '/a/:b'"):
            iii.on.http("POST", "/a/:c", function_id="g")(print)
        assert (iii.statistics().functions, iii.statistics().triggers) == (1, 1)


async def test_unregistering_the_function_takes_its_triggers_back(link: MemoryLink) -> None:
    """Bindings first, which would have nothing to run; those that were made otherwise stay."""
    async with link.client() as iii:
        ref = iii.on.state(function_id="f")(print)
        await ref.wait_registered()
        other = iii.register_trigger(type="state", function_id="f")
        ref.unregister()
        await other.wait_registered()
        assert (iii.statistics().functions, iii.statistics().triggers) == (0, 1)
    order = [
        received.frame.TYPE
        for received in link.engine.received
        if isinstance(received.frame, (UnregisterFunction, UnregisterTrigger))
    ]
    assert order[:2] == ["unregistertrigger", "unregisterfunction"]


async def test_waiting_for_the_function_waits_for_its_triggers(link: MemoryLink) -> None:
    """A refused one raises."""
    async with link.client() as iii:
        ref = iii.on.cron("0 0 9 * * 0", function_id="f")(print)
        with pytest.raises(RegistrationRejectedError, match="cron"):
            await ref.wait_registered()


async def test_any_type_can_be_looked_up_elsewhere(link: MemoryLink) -> None:
    """And then its config is nobody's business here."""
    async with link.client() as iii:
        iii.on.trigger("cron", {"every": "day"}, trigger_namespace="shop")(print)
        await settle()
    (frame,) = frames(link.engine, RegisterTrigger)
    assert (frame.trigger_type, frame.config, frame.trigger_namespace) == ("cron", {"every": "day"}, "shop")


# ---- work that is delivered again -------------------------------------------------------------------------------------


class Stuck:
    """A handler that never ends by itself."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0

    async def __call__(self, data: Any) -> None:
        self.begun += 1
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            self.cancelled += 1
            raise


def _by_decorator(iii: III, stuck: Stuck, **keywords: Any) -> None:
    iii.on.queue("orders", function_id="f", **keywords)(stuck)


def _by_hand(iii: III, stuck: Stuck, **keywords: Any) -> None:
    iii.register_trigger(type="queue", function_id="f", config={"topic": "orders"})
    iii.register_function("f", stuck, **keywords)


@pytest.mark.parametrize("bind", [_by_decorator, _by_hand], ids=["decorator", "by-hand"])
@pytest.mark.parametrize(
    ("keywords", "cancelled"),
    [
        pytest.param({}, 1, id="default"),
        pytest.param({"on_connection_lost": "cancel"}, 1, id="cancel"),
        pytest.param({"on_connection_lost": "finish"}, 0, id="finish"),
    ],
)
async def test_a_handler_of_a_durable_queue_ends_with_its_connection(
    link: MemoryLink,
    engine: EmbeddedEngine,
    bind: Callable[..., None],
    keywords: dict[str, Any],
    cancelled: int,
    autojump_clock: MockClock,
) -> None:
    """Its work is delivered again; who says otherwise has it otherwise."""
    stuck = Stuck()
    async with link.client() as iii, Link(engine).client() as other:
        bind(iii, stuck, **keywords)
        await settle()
        await other.trigger("iii::durable::publish", {"topic": "orders", "data": 1})
        await settle()
        assert stuck.begun == 1
        await link.go_down()
        assert stuck.cancelled == cancelled
        link.is_up = True
        await iii.wait_connected()
        await trio.sleep(5)
        assert stuck.begun == 2


@pytest.mark.parametrize("namespace", ["default", "elsewhere"])
async def test_other_functions_are_not_concerned(
    link: MemoryLink, engine: EmbeddedEngine, namespace: str, autojump_clock: MockClock
) -> None:
    """Those that are bound to something else, and one of the same id in another namespace."""
    stuck = Stuck()
    async with link.client() as iii, Link(engine).client() as other:
        iii.on.state(function_id="f")(stuck)
        bound = "g" if namespace == "default" else "f"
        iii.register_trigger(type="queue", function_id=bound, config={"topic": "orders"}, namespace=namespace)
        await settle()
        await other.trigger("f", 1, action=TriggerAction.Void())
        await settle()
        await link.go_down()
        assert (stuck.begun, stuck.cancelled) == (1, 0)


async def test_it_ends_with_its_connection_during_a_drain_too(
    link: MemoryLink, engine: EmbeddedEngine, autojump_clock: MockClock
) -> None:
    """Though its binding was taken back by then."""
    stuck = Stuck()
    async with link.client(drain_timeout=60) as iii, Link(engine).client() as other, trio.open_nursery() as nursery:
        _by_decorator(iii, stuck)
        await settle()
        await other.trigger("iii::durable::publish", {"topic": "orders", "data": 1})
        await settle()
        start(nursery, iii.drain)
        await settle()
        assert stuck.cancelled == 0
        await link.go_down()
        assert stuck.cancelled == 1
