"""Trigger types of one's own: how they are registered and taken back, and what their handle does."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, TriggerAction
from iii_trio._values.trigger_configs import CONFIGS
from iii_trio._wire.messages import InvokeFunction, RegisterTrigger, RegisterTriggerType
from iii_trio.errors import ClientClosed, ConfigurationError, IIIError, PayloadError
from iii_trio.protocol import RegisterTriggerTypeInput
from iii_trio.runtime import TriggerTypeRef
from iii_trio.testing import EmbeddedEngine
from iii_trio.trigger import TriggerConfig, TriggerHandler
from tests.conftest import Link, MemoryLink, frames, start

TYPE: dict[str, Any] = {
    "id": "webhook",
    "description": "calls from elsewhere",
    "trigger_request_format": {"type": "object"},
    "call_request_format": {"type": "string"},
}


class Provider(TriggerHandler[dict[str, Any]]):
    """Remembers its bindings."""

    def __init__(self) -> None:
        self.bindings: list[TriggerConfig[dict[str, Any]]] = []

    async def register_trigger(self, config: TriggerConfig[dict[str, Any]]) -> None:
        self.bindings.append(config)

    async def unregister_trigger(self, config: TriggerConfig[dict[str, Any]]) -> None:
        self.bindings.remove(config)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def provide(iii: III, provider: Provider) -> TriggerTypeRef[dict[str, Any], Any]:
    ref = iii.register_trigger_type(TYPE, provider)
    await ref.wait_registered()
    return ref


# ---- registering ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["value", "dict"])
async def test_a_type_can_be_described_in_every_form(link: MemoryLink, form: str) -> None:
    """The engine hears the same, and lists it."""
    async with link.client() as iii:
        described: Any = RegisterTriggerTypeInput(**TYPE) if form == "value" else TYPE
        ref = iii.register_trigger_type(described, Provider())
        await ref.wait_registered()
        assert (ref.id, repr(ref)) == ("webhook", "<TriggerTypeRef 'webhook', accepted>")
        assert iii.statistics().trigger_types == 1
        listed = await iii.trigger("engine::triggers::info", {"id": "webhook"})
        assert listed["description"] == "calls from elsewhere"
    assert frames(link.engine, RegisterTriggerType) == [RegisterTriggerType(**TYPE)]


@pytest.mark.parametrize(
    ("trigger_type", "handler", "reason"),
    [
        pytest.param({"id": "webhook"}, Provider(), "RegisterTriggerTypeInput needs its description", id="description"),
        pytest.param({**TYPE, "id": " "}, Provider(), "id must not be blank", id="blank"),
        pytest.param({**TYPE, "descr": ""}, Provider(), "has no descr", id="unknown"),
        pytest.param("webhook", Provider(), "RegisterTriggerTypeInput needs its description", id="text"),
        pytest.param(7, Provider(), "made from itself or a dict, not from int", id="a number"),
        pytest.param(TYPE, print, "is a TriggerHandler, not builtin_function_or_method", id="no handler"),
        pytest.param(TYPE, Provider, "is a TriggerHandler, not ABCMeta", id="its class"),
    ],
)
async def test_what_is_wrong_is_refused(link: MemoryLink, trigger_type: Any, handler: Any, reason: str) -> None:
    """And nothing is registered."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match=reason):
            iii.register_trigger_type(trigger_type, handler)
        assert iii.statistics().trigger_types == 0


@pytest.mark.parametrize("type_id", sorted(CONFIGS))
async def test_a_type_of_the_engines_own_is_not_taken_by_mistake(link: MemoryLink, type_id: str) -> None:
    """It would be everybody's; who means it says so."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match=f"'{type_id}' is .* force=True takes it from everybody"):
            iii.register_trigger_type({"id": type_id, "description": ""}, Provider())
        assert iii.statistics().trigger_types == 0
        ref = iii.register_trigger_type({"id": type_id, "description": ""}, Provider(), force=True)
        await ref.wait_registered()
    assert [frame.id for frame in frames(link.engine, RegisterTriggerType)] == [type_id]


async def test_outside_of_default_every_type_is_free(link: MemoryLink) -> None:
    """There it is this namespace's own, and others keep the engine's."""
    provider = Provider()
    async with link.client(namespace="shop") as iii:
        await iii.register_trigger_type({"id": "cron", "description": ""}, provider).wait_registered()
        iii.register_trigger(type="cron", function_id="f", config={"expression": "@daily"})
        await settle()
        assert len(provider.bindings) == 1


async def test_the_format_of_configs_is_made_of_the_handlers_class(link: MemoryLink) -> None:
    """Unless the type has one."""
    described = {"id": "webhook", "description": ""}
    async with link.client() as iii:
        iii.register_trigger_type(described, Provider())
        await iii.register_trigger_type({**described, "trigger_request_format": {}}, Provider()).wait_registered()
    made, given = frames(link.engine, RegisterTriggerType)
    assert made.trigger_request_format["type"] == "object"
    assert given.trigger_request_format == {}


async def test_a_format_that_cannot_be_sent_is_refused(link: MemoryLink) -> None:
    """With its path."""
    async with link.client() as iii:
        with pytest.raises(PayloadError) as caught:
            iii.register_trigger_type({**TYPE, "call_request_format": {"a": object()}}, Provider())
        assert caught.value.path == "call_request_format.a"


async def test_a_type_is_replayed_with_its_bindings(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Types first, so that nothing is parked for a moment."""
    async with link.client() as iii:
        provider = Provider()
        ref = await provide(iii, provider)
        ref.register_trigger("f", {"n": 1})
        await settle()
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        await settle()
        assert [binding.config for binding in provider.bindings] == [{"n": 1}]
    order = [
        received.frame.TYPE
        for received in link.engine.received
        if isinstance(received.frame, (RegisterTriggerType, RegisterTrigger))
    ]
    assert order[2:] == ["registertriggertype", "registertrigger"]


async def test_registering_a_type_again_replaces_its_handler(link: MemoryLink) -> None:
    """The first handle is of no use any more, and cannot take the second one's type back."""
    async with link.client() as iii:
        first = await provide(iii, Provider())
        second = await provide(iii, Provider())
        assert iii.statistics().trigger_types == 1
        first.unregister()
        with pytest.raises(ConfigurationError, match="the trigger type 'webhook' was unregistered"):
            await first.wait_registered()
        await second.wait_registered()
        assert iii.statistics().trigger_types == 1


@pytest.mark.parametrize("form", ["ref", "id", "value", "dict", "id-in-a-dict"])
async def test_a_type_can_be_taken_back_in_every_form(link: MemoryLink, form: str) -> None:
    """Twice does nothing; 0.23 knows no frame for it, so none is sent that it would drop as undecodable."""
    async with link.client() as iii:
        ref = await provide(iii, Provider())
        forms: dict[str, Any] = {
            "id": "webhook",
            "value": RegisterTriggerTypeInput(**TYPE),
            "dict": TYPE,
            "id-in-a-dict": {"id": "webhook"},
        }
        for _ in range(2):
            if form == "ref":
                ref.unregister()
            else:
                iii.unregister_trigger_type(forms[form])
        assert iii.statistics().trigger_types == 0
        await settle()


@pytest.mark.parametrize("wrong", [7, None, {}, {"id": ""}, {"id": "x", "name": "y"}], ids=str)
async def test_what_names_no_type_cannot_be_taken_back(link: MemoryLink, wrong: Any) -> None:
    """It is a mistake, unlike an id that nobody has."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError):
            iii.unregister_trigger_type(wrong)
        iii.unregister_trigger_type("nobody's")


async def test_a_client_that_ends_provides_nothing_new(link: MemoryLink) -> None:
    """ClientClosed, and whoever waits is told."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await link.go_down()
        waiting = start(nursery, iii.register_trigger_type(TYPE, Provider()).wait_registered)
        await settle()
        await iii.aclose()
        with pytest.raises(ClientClosed):
            await waiting.wait()
        with pytest.raises(ClientClosed):
            iii.register_trigger_type(TYPE, Provider())


# ---- the handle -------------------------------------------------------------------------------------------------------


async def test_a_handle_binds_to_its_own_type(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """In this worker's namespace, whoever else provides the id; a config of one's own class goes too."""
    provider, elsewhere = Provider(), Provider()
    async with link.client(namespace="shop") as iii, Link(engine).client() as other:
        await provide(other, elsewhere)
        ref = await provide(iii, provider)
        trigger = ref.register_trigger("f", {"n": 1}, {"m": 2})
        await trigger.wait_registered()
        await settle()
        (binding,) = provider.bindings
        assert binding == TriggerConfig(
            id=trigger.id, function_id="f", config={"n": 1}, metadata={"m": 2}, namespace="shop"
        )
        assert elsewhere.bindings == []


async def test_a_type_may_be_called_as_the_references_call_the_queue(link: MemoryLink) -> None:
    """`queue` is short for one of the engine's own only where nobody says whose it is."""
    provider = Provider()
    async with link.client() as iii:
        ref = iii.register_trigger_type({"id": "queue", "description": ""}, provider)
        ref.register_trigger("f", {})
        await settle()
        assert len(provider.bindings) == 1


async def test_a_handle_offers_functions_with_the_types_format(link: MemoryLink) -> None:
    """So that people see what they will get."""
    async with link.client() as iii:
        ref = await provide(iii, Provider())
        function = ref.register_function("f", lambda data: data)
        await function.wait_registered()
        listed = await iii.trigger("engine::functions::info", {"function_id": "f"})
        assert listed["request_schema"] == {"type": "string"}


async def test_firing_calls_the_function_where_the_binding_says(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """With the binding's metadata; the answer, the error and the action are those of `trigger`."""

    async def f(data: Any, metadata: Any) -> Any:
        return [data, metadata]

    provider = Provider()
    async with link.client(namespace="shop") as iii, Link(engine).client() as other:
        ref = await provide(iii, provider)
        await other.register_function("f", f).wait_registered()
        for function_id in ("f", "missing"):
            other.register_trigger(type="webhook", function_id=function_id, metadata={"m": 1}, trigger_namespace="shop")
        await settle()
        found, missing = sorted(provider.bindings, key=lambda binding: binding.function_id)
        assert await ref.fire(found, "x") == ["x", {"m": 1}]
        assert await ref.fire(found, action=TriggerAction.Void()) is None
        with pytest.raises(IIIError, match="function_not_found"):
            await ref.fire(missing, 1)
    assert {frame.namespace for frame in frames(engine, InvokeFunction, function_id="f")} == {"default"}


async def test_a_type_is_told_by_its_id_and_keywords_too(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """As a function is; a value and keywords beside it are refused, and so is an id without a description."""
    provider = Provider()
    async with link.client() as iii:
        ref = iii.register_trigger_type("webhook", provider, description="calls back", call_request_format={"a": 1})
        await ref.wait_registered()
        with pytest.raises(ConfigurationError, match="description"):
            iii.register_trigger_type("other", provider)
        with pytest.raises(ConfigurationError, match="beside it"):
            iii.register_trigger_type({"id": "other", "description": "x"}, provider, description="y")
    (frame,) = frames(engine, RegisterTriggerType)
    assert (frame.id, frame.description, frame.call_request_format) == ("webhook", "calls back", {"a": 1})
