"""Registering triggers and services: the forms, what the engine hears, and how one learns what it made of them."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, HttpInvocationConfig, InvocationError, RegisterServiceInput
from iii_trio._wire.messages import (
    HttpInvocation,
    InvocationResult,
    Ping,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    UnregisterFunction,
    UnregisterTrigger,
)
from iii_trio.errors import ClientClosed, ConfigurationError, PayloadError, RegistrationRejectedError
from iii_trio.http import HttpAuthApiKey, HttpAuthBearer, HttpAuthHmac
from iii_trio.protocol import RegisterTriggerInput
from iii_trio.testing import EmbeddedEngine
from iii_trio.trigger import CronTriggerConfig, HttpTriggerConfig, StateTriggerConfig, Trigger
from tests.conftest import Gate, Link, MemoryLink, frames, start

STATE: dict[str, Any] = {"type": "state", "function_id": "f", "config": {"scope": "s"}, "metadata": {"m": 1}}


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def bind(iii: III, function_id: str = "f", **fields: Any) -> Trigger:
    """To the engine's own state."""
    return iii.register_trigger(type="state", function_id=function_id, **fields)


async def bindings(iii: III) -> list[dict[str, Any]]:
    """The engine's listing."""
    listed = await iii.trigger("engine::registered-triggers::list", {"include_internal": True})
    return list(listed["registered_triggers"])


# ---- the forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["keywords", "value", "dict", "typed-config"])
async def test_a_trigger_can_be_described_in_every_form(link: MemoryLink, form: str) -> None:
    """Keywords, a value or a dict: the engine hears the same, under a fresh id, and lists it."""
    async with link.client() as iii:
        match form:
            case "keywords":
                trigger = iii.register_trigger(**STATE)
            case "value":
                trigger = iii.register_trigger(RegisterTriggerInput(**STATE))
            case "dict":
                trigger = iii.register_trigger(STATE)
            case _:
                config = StateTriggerConfig(scope="s")
                trigger = iii.register_trigger(function_id="f", config=config, metadata={"m": 1})
        await trigger.wait_registered()
        assert (trigger.type, trigger.function_id, trigger.error) == ("state", "f", None)
        assert repr(trigger) == "<Trigger 'state' of 'f', accepted>"
        assert [listed["id"] for listed in await bindings(iii)] == [trigger.id]
        assert iii.statistics().triggers == 1
    (frame,) = frames(link.engine, RegisterTrigger)
    assert frame == RegisterTrigger(trigger.id, "state", "f", {"scope": "s"}, {"m": 1})


async def test_every_trigger_gets_an_id_of_its_own(link: MemoryLink) -> None:
    """A second one with the id of the first would do something else with each type."""
    async with link.client() as iii:
        first, second = bind(iii), bind(iii)
        await second.wait_registered()
        assert first.id != second.id
        assert len(await bindings(iii)) == 2


async def test_no_config_is_sent_as_an_empty_one(link: MemoryLink) -> None:
    """Most types refuse null."""
    async with link.client() as iii:
        await bind(iii).wait_registered()
    assert frames(link.engine, RegisterTrigger)[0].config == {}


async def test_queue_is_the_durable_subscriber(link: MemoryLink) -> None:
    """The references' word, which no engine serves any more."""
    async with link.client() as iii:
        trigger = iii.register_trigger(type="queue", function_id="f", config={"topic": "orders"})
        await trigger.wait_registered()
        assert trigger.type == "durable:subscriber"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({}, "RegisterTriggerInput needs its type, function_id", id="nothing"),
        pytest.param({"type": "state"}, "RegisterTriggerInput needs its function_id", id="no function"),
        pytest.param({"type": "", "function_id": "f"}, "type must not be blank", id="a blank type"),
        pytest.param({"trigger": 7}, "made from itself or a dict, not from int", id="a number"),
        pytest.param({"trigger": {**STATE, "conifg": 1}}, "RegisterTriggerInput has no conifg", id="unknown"),
        pytest.param({"trigger": STATE, "type": "state"}, "takes no type beside it", id="twice"),
        pytest.param({**STATE, "namespace": " "}, "namespace must not be blank", id="a blank namespace"),
        pytest.param({**STATE, "trigger_namespace": ""}, "trigger_namespace must not be blank", id="of the type"),
        pytest.param({**STATE, "metadata": [1]}, "metadata must be dict", id="metadata"),
        pytest.param({**STATE, "config": {"scope": 7}}, "StateTriggerConfig.scope must be str", id="a wrong config"),
        pytest.param(
            {**STATE, "config": CronTriggerConfig(expression="@daily")}, "no config of a 'state'", id="of another type"
        ),
        pytest.param({"type": "stream", "function_id": "f"}, "needs its stream_name", id="one that hangs the engine"),
    ],
)
async def test_a_description_that_is_wrong_is_refused(link: MemoryLink, fields: dict[str, Any], reason: str) -> None:
    """With the name of its fault, before anything is sent."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match=reason):
            iii.register_trigger(**fields)
        await settle()
        assert iii.statistics().triggers == 0
    assert frames(link.engine, RegisterTrigger) == []


async def test_a_config_that_cannot_be_sent_is_refused(link: MemoryLink) -> None:
    """With the path of the fault."""
    async with link.client() as iii:
        with pytest.raises(PayloadError) as caught:
            iii.register_trigger(type="webhook", function_id="f", config={"a": [float("nan")]})
        assert caught.value.path == "$.a[0]"
        assert iii.statistics().triggers == 0


# ---- routes -----------------------------------------------------------------------------------------------------------


async def test_routes_that_differ_in_names_of_parameters_alone_exclude_each_other(link: MemoryLink) -> None:
    """They would break the engine's router for everybody, whatever their methods; the first stays until it is taken back."""
    async with link.client() as iii:

        def route(method: str, path: str) -> Trigger:
            return iii.register_trigger(type="http", function_id="f", config={"api_path": path, "http_method": method})

        first = route("GET", "/users/:id")
        route("POST", "users/{id}")
        route("GET", "/users/:id/posts")
        for method in ("GET", "POST"):
            with pytest.raises(ConfigurationError, match="'/users/:name' differs from '/users/:id'"):
                route(method, "/users/:name")
        assert iii.statistics().triggers == 3
        first.unregister()
        with pytest.raises(ConfigurationError, match=r"differs from 'users/\{id\}'"):
            route("GET", "/users/:name")
        iii.register_trigger(function_id="f", config=HttpTriggerConfig(api_path="/users/all"))
        iii.register_trigger(
            type="http", function_id="f", config={"api_path": "/users/:x"}, trigger_namespace="elsewhere"
        )


# ---- namespaces -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        pytest.param({"function_id": "f"}, "shop", id="inherited"),
        pytest.param({"function_id": "f", "namespace": "other"}, "other", id="named"),
        pytest.param({"function_id": "f", "namespace": "default"}, "default", id="default"),
        pytest.param({"function_id": "state::set"}, None, id="the engine's own function"),
    ],
)
async def test_the_function_is_looked_up_in_the_workers_namespace(
    link: MemoryLink, fields: dict[str, Any], namespace: str | None
) -> None:
    """Unless another is named, or it is the engine's, which lives in default; the type is looked up as the engine does."""
    async with link.client(namespace="shop") as iii:
        iii.register_trigger(type="state", **fields)
        await settle()
    (frame,) = frames(link.engine, RegisterTrigger)
    assert (frame.namespace, frame.trigger_namespace) == (namespace, None)


@pytest.mark.parametrize("trigger_type", ["log", "trace"])
async def test_log_and_trace_reach_no_function_elsewhere(link: MemoryLink, trigger_type: str) -> None:
    """The engine would look for it in default, find nothing, and say nothing."""
    async with link.client(namespace="shop") as iii:
        with pytest.raises(
            ConfigurationError, match=f"functions of '{trigger_type}' triggers in the namespace 'default'"
        ):
            iii.register_trigger(type=trigger_type, function_id="f")
        iii.register_trigger(type=trigger_type, function_id="f", namespace="default")
        iii.register_trigger(type=trigger_type, function_id="f", trigger_namespace="shop")
        assert iii.statistics().triggers == 2


# ---- what the engine makes of them ------------------------------------------------------------------------------------


async def test_a_refusal_of_the_engine_raises(link: MemoryLink) -> None:
    """wait_registered has it, with all that the engine says; it is counted, and the other triggers are fine."""
    async with link.client() as iii:
        refused = iii.register_trigger(type="cron", function_id="f", config={"expression": "0 0 9 * * 0"})
        with pytest.raises(RegistrationRejectedError, match="Invalid cron expression") as caught:
            await refused.wait_registered()
        assert (caught.value.code, caught.value.trigger_id, caught.value.trigger_type, caught.value.function_id) == (
            "trigger_registration_failed",
            refused.id,
            "cron",
            "f",
        )
        assert isinstance(refused.error, RegistrationRejectedError)
        assert repr(refused) == "<Trigger 'cron' of 'f', refused>"
        await bind(iii).wait_registered()
        assert (iii.statistics().refused_registrations, iii.statistics().triggers) == (1, 2)


async def test_a_type_that_nobody_provides_is_no_error(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """A slip of the pen shows in the listings alone: there are no such type and no such binding."""
    async with link.client() as iii:
        trigger = iii.register_trigger(type="htpp", function_id="f", config={"api_path": "/"})
        await trigger.wait_registered()
        assert trigger.error is None
        assert await bindings(iii) == []
        types = await iii.trigger("engine::triggers::list", {"include_internal": True})
        assert "htpp" not in {listed["id"] for listed in types["triggers"]}
        assert "state" in {listed["id"] for listed in types["triggers"]}


async def test_waiting_for_a_trigger_needs_one_round_trip(link: MemoryLink) -> None:
    """One ping proves all that was registered before it."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        before = len(frames(link.engine, Ping))
        for trigger in [bind(iii) for _ in range(20)]:
            start(nursery, trigger.wait_registered)
        await settle()
        assert len(frames(link.engine, Ping)) == before + 1


async def test_triggers_are_replayed(link: MemoryLink, autojump_clock: MockClock) -> None:
    """With their ids, behind the functions; a refusal is of one connection, and is said again on the next."""
    async with link.client() as iii:
        trigger = bind(iii)
        refused = iii.register_trigger(type="cron", function_id="f", config={"expression": "0 0 9 * * 0"})
        iii.register_function("f", print)
        await trigger.wait_registered()
        await link.go_down()
        assert refused.error is None
        link.is_up = True
        await iii.wait_connected()
        assert [listed["id"] for listed in await bindings(iii)] == [trigger.id]
        with pytest.raises(RegistrationRejectedError):
            await refused.wait_registered()
        assert iii.statistics().refused_registrations == 2
    order = [
        received.frame.TYPE
        for received in link.engine.received
        if isinstance(received.frame, (RegisterFunction, RegisterTrigger))
    ]
    assert order[-3:] == ["registerfunction", "registertrigger", "registertrigger"]


async def test_what_is_registered_offline_waits_for_the_connection(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And so does who waits for it."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await link.go_down()
        trigger = bind(iii)
        waiting = start(nursery, trigger.wait_registered)
        await trio.sleep(1)
        assert not waiting.done.is_set()
        link.is_up = True
        await waiting.wait()
        assert [listed["id"] for listed in await bindings(iii)] == [trigger.id]


async def test_unregistering_takes_a_trigger_back(link: MemoryLink) -> None:
    """Once; who waits for it learns that it is gone."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        trigger = bind(iii)
        await trigger.wait_registered()
        other = bind(iii)
        waiting = start(nursery, other.wait_registered)
        await trio.lowlevel.checkpoint()
        other.unregister()
        with pytest.raises(ConfigurationError, match=f"the trigger '{other.id}' was unregistered"):
            await waiting.wait()
        trigger.unregister()
        trigger.unregister()
        assert await bindings(iii) == []
        assert iii.statistics().triggers == 0
        assert [frame.id for frame in frames(link.engine, UnregisterTrigger)].count(trigger.id) == 1
        with pytest.raises(ConfigurationError, match="was unregistered"):
            await trigger.wait_registered()


async def test_waiting_can_be_given_up(link: MemoryLink) -> None:
    """The trigger stays as it is."""
    async with link.client() as iii:
        link.wire.stall()
        trigger = bind(iii)
        with trio.move_on_after(0.01) as scope:
            await trigger.wait_registered()
        assert scope.cancelled_caught
        link.wire.flow()
        await trigger.wait_registered()


# ---- the end ----------------------------------------------------------------------------------------------------------


async def test_a_drain_takes_triggers_back_before_it_waits_for_handlers(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """So that nothing new begins; the functions stay until the handlers have ended. Refused ones are taken back too."""
    gate = Gate()
    async with link.client(drain_timeout=60) as iii, trio.open_nursery() as nursery:
        iii.register_function("f", gate)
        triggers = [bind(iii), iii.register_trigger(type="cron", function_id="f", config={"expression": "0 0 9 * * 0"})]
        await triggers[0].wait_registered()
        call = start(nursery, iii.trigger, "f", 1)
        await gate.wait_entered()
        drain = start(nursery, iii.drain)
        await settle()
        assert [frame.id for frame in frames(link.engine, UnregisterTrigger)] == [each.id for each in triggers]
        assert await bindings(iii) == []
        assert frames(link.engine, UnregisterFunction) == []
        gate.open()
        assert await call.wait() == 1
        report = await drain.wait()
        assert report.withdrawn
        assert [frame.id for frame in frames(link.engine, UnregisterFunction)] == ["f"]


async def test_who_waits_for_a_trigger_learns_of_the_end(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A drain takes the trigger off the list, and does not forget who waits for it."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await link.go_down()
        waiting = start(nursery, bind(iii).wait_registered)
        await settle()
        await iii.drain()
        with pytest.raises(ClientClosed):
            await waiting.wait()


async def test_nothing_is_bound_by_a_client_that_ends(link: MemoryLink) -> None:
    """Neither while it drains nor afterwards."""
    gate = Gate()
    async with link.client(drain_timeout=60) as iii, trio.open_nursery() as nursery:
        await iii.register_function("f", gate).wait_registered()
        start(nursery, iii.trigger, "f")
        await gate.wait_entered()
        drain = start(nursery, iii.drain)
        await settle()
        with pytest.raises(ClientClosed, match="about to end"):
            bind(iii)
        with pytest.raises(ClientClosed, match="about to end"):
            iii.register_service(id="s")
        gate.open()
        await drain.wait()
        with pytest.raises(ClientClosed):
            bind(iii)


# ---- services ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["keywords", "value", "dict"])
async def test_a_service_can_be_described_in_every_form(link: MemoryLink, form: str, autojump_clock: MockClock) -> None:
    """The engine hears the same, on every connection, before the functions; it answers nothing."""
    fields: dict[str, Any] = {"id": "shop::cart", "name": "Cart", "description": "d", "parent_service_id": "shop"}
    async with link.client() as iii:
        iii.register_function("f", print)
        match form:
            case "keywords":
                iii.register_service(**fields)
            case "value":
                iii.register_service(RegisterServiceInput(**fields))
            case _:
                iii.register_service(fields)
        await settle()
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
    assert frames(link.engine, RegisterService) == [RegisterService(**fields)] * 2
    order = [
        received.frame.TYPE
        for received in link.engine.received
        if isinstance(received.frame, (RegisterFunction, RegisterService))
    ]
    assert order == ["registerfunction", "registerservice", "registerservice", "registerfunction"]


async def test_a_service_is_shown_by_its_id_when_it_has_no_name(link: MemoryLink) -> None:
    """A name that is null would make the engine drop the frame; the same id again replaces the service."""
    async with link.client() as iii:
        iii.register_service(id="shop")
        iii.register_service(id="shop", name="Shop")
        await settle()
        with pytest.raises(ConfigurationError, match=r"RegisterServiceInput\.id must not be blank"):
            iii.register_service(id=" ")
        with pytest.raises(ConfigurationError, match="RegisterServiceInput has no title"):
            iii.register_service({"id": "shop", "title": "Shop"})
    assert [frame.name for frame in frames(link.engine, RegisterService)] == ["shop", "Shop"]


# ---- functions over HTTP ----------------------------------------------------------------------------------------------

URL = "https://example.com/score"


@pytest.mark.parametrize(
    "auth",
    [
        None,
        HttpAuthHmac(secret_key="SECRET"),
        HttpAuthBearer(token_key="TOKEN"),
        HttpAuthApiKey(header="x-key", value_key="KEY"),
    ],
    ids=["none", "hmac", "bearer", "api_key"],
)
async def test_a_function_can_be_reached_over_http(link: MemoryLink, auth: Any) -> None:
    """The engine hears where and how; there is no handler here, and none of its options."""
    async with link.client() as iii:
        config = HttpInvocationConfig(url=URL, method="PUT", timeout_ms=500, headers={"x-team": "a"}, auth=auth)
        ref = iii.register_function("score", config, description="scores")
        assert repr(ref).startswith("<FunctionRef 'score'")
        with pytest.raises(ConfigurationError, match="'score' runs over HTTP, and has no handler here"):
            ref.handler  # noqa: B018 - the property raises
        with pytest.raises(ConfigurationError, match="'score' runs over HTTP"):
            ref(1)
        await ref.wait_registered()
        ref.unregister()
        await settle()
    (frame,) = frames(link.engine, RegisterFunction)
    # The engine in the test does not keep the type of an auth; that it is sent is shown where frames are made.
    described = None if auth is None else attrs.asdict(auth, filter=lambda field, _: field.name != "type")
    invocation = HttpInvocation(URL, "PUT", 500, {"x-team": "a"}, described)
    assert frame == RegisterFunction("score", "scores", invocation=invocation)
    assert [frame.id for frame in frames(link.engine, UnregisterFunction)] == ["score"]


@pytest.mark.parametrize("form", ["invocation", "in-a-value", "in-a-dict"])
async def test_an_invocation_can_stand_in_the_description(link: MemoryLink, form: str) -> None:
    """Then nothing stands beside it."""
    async with link.client() as iii:
        match form:
            case "invocation":
                iii.register_function("score", HttpInvocationConfig(url=URL))
            case "in-a-value":
                described: Any = {"id": "score", "invocation": HttpInvocationConfig(url=URL)}
                iii.register_function(described, None)
            case _:
                iii.register_function({"id": "score", "invocation": {"url": URL}}, None)
        await settle()
        for beside in (print, HttpInvocationConfig(url=URL)):
            with pytest.raises(ConfigurationError, match="'other' has an invocation already"):
                iii.register_function({"id": "other", "invocation": {"url": URL}}, beside)
    assert frames(link.engine, RegisterFunction)[0].invocation == HttpInvocation(URL)


@pytest.mark.parametrize("keywords", [{"concurrency": 1}, {"timeout": 5}, {"on_connection_lost": "finish"}], ids=str)
async def test_a_function_over_http_takes_nothing_that_is_a_handlers(
    link: MemoryLink, keywords: dict[str, Any]
) -> None:
    """It would have no effect."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="'score' has no handler here, so it takes no concurrency"):
            iii.register_function("score", HttpInvocationConfig(url=URL), **keywords)
        assert iii.statistics().functions == 0


async def test_an_invocation_of_a_function_over_http_is_refused_here(link: MemoryLink) -> None:
    """function_not_invokable: it did not run."""
    async with link.client() as iii:
        iii.register_function("score", HttpInvocationConfig(url=URL))
        link.say(
            type="invokefunction", invocation_id="7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11", function_id="score", data=1
        )
        await settle()
        (answer,) = frames(link.engine, InvocationResult)
    assert answer.error is not None
    assert answer.error.code == "function_not_invokable"
    assert InvocationError(answer.error.code, "").fate.name == "NOT_RUN"


# ---- two workers ------------------------------------------------------------------------------------------------------


async def test_a_trigger_runs_the_function_of_another_worker(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """It need not be the own one; the metadata of the binding goes along."""
    told: list[Any] = []

    async def f(data: Any, metadata: Any) -> None:
        told.append((data["event_type"], data["key"], metadata))

    async with link.client() as iii, Link(engine).client(namespace="shop") as other:
        await other.register_function("f", f).wait_registered()
        await bind(iii, namespace="shop", config={"scope": "s"}, metadata={"m": 1}).wait_registered()
        await iii.trigger("state::set", {"scope": "s", "key": "k", "value": 1})
        await iii.trigger("state::set", {"scope": "t", "key": "k", "value": 1})
        await settle()
    assert told == [("state:created", "k", {"m": 1})]
