"""Trigger types of one's own, as values."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.trigger_types import RegisterTriggerTypeInput, TriggerConfig, TriggerHandler
from iii_trio.errors import ConfigurationError


class Webhooks(TriggerHandler[dict[str, str]]):
    """A provider that keeps its bindings; one method is async and one is not."""

    def __init__(self) -> None:
        self.bound: dict[str, TriggerConfig[dict[str, str]]] = {}

    async def register_trigger(self, config: TriggerConfig[dict[str, str]]) -> None:
        self.bound[config.id] = config

    def unregister_trigger(self, config: TriggerConfig[dict[str, str]]) -> None:
        del self.bound[config.id]


async def test_a_handler_is_derived_with_async_methods_or_plain_ones() -> None:
    """Both are what the client calls."""
    handler = Webhooks()
    config = TriggerConfig(id="t", function_id="f", config={"url": "u"})
    await handler.register_trigger(config)
    assert handler.bound == {"t": config}
    handler.unregister_trigger(config)
    assert handler.bound == {}


def test_a_handler_without_its_methods_cannot_be_made() -> None:
    """It would fail when the first binding comes."""

    class Half(TriggerHandler[Any]):
        def register_trigger(self, config: TriggerConfig[Any]) -> None:
            raise NotImplementedError

    with pytest.raises(TypeError, match="unregister_trigger"):
        Half()  # type: ignore[abstract]


def test_a_binding_is_in_the_default_namespace_unless_it_says_otherwise() -> None:
    """The engine leaves it out when it is that one, and a provider has to name it."""
    config = TriggerConfig(id="t", function_id="f", config=None)
    assert (config.namespace, config.metadata) == ("default", None)


def test_an_id_and_a_description_are_enough() -> None:
    """There need not be schemas."""
    given = build(RegisterTriggerTypeInput, {"id": "webhook", "description": ""})
    assert (given.trigger_request_format, given.call_request_format) == (None, None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"id": " "}, "RegisterTriggerTypeInput.id must not be blank", id="a blank id"),
        pytest.param({"description": None}, "RegisterTriggerTypeInput.description must be str", id="null for words"),
    ],
)
def test_what_the_engine_would_drop_is_refused(fields: dict[str, Any], reason: str) -> None:
    """It would tell nobody."""
    with pytest.raises(ConfigurationError, match=reason):
        RegisterTriggerTypeInput(**{"id": "webhook", "description": "d", **fields})
