"""Bindings as values; those that would harm the engine or this connection are refused."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._values.building import build
from iii_trio._values.stream_events import StreamTriggerConfig
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio.errors import ConfigurationError


@attrs.frozen
class Route:
    """A config as a value of one's own."""

    api_path: str


def test_a_type_and_a_function_are_enough() -> None:
    """All else is None."""
    binding = RegisterTriggerInput(type="webhook", function_id="f")
    assert (binding.config, binding.metadata, binding.namespace, binding.trigger_namespace) == (None, None, None, None)
    assert build(RegisterTriggerInput, {"type": "webhook", "function_id": "f"}) == binding


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"type": ""}, "type must not be blank", id="no type"),
        pytest.param({"function_id": " "}, "function_id must not be blank", id="no function"),
        pytest.param({"function_id": None}, "function_id must be text", id="a function that is None"),
        pytest.param({"metadata": []}, "metadata must be dict", id="metadata is an object"),
        pytest.param({"namespace": ""}, "namespace must not be blank", id="a blank namespace"),
        pytest.param({"trigger_namespace": " "}, "trigger_namespace must not be blank", id="of the type as well"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When the value is made."""
    with pytest.raises(ConfigurationError, match=f"RegisterTriggerInput.{reason}"):
        RegisterTriggerInput(**{"type": "webhook", "function_id": "f", **fields})


@pytest.mark.parametrize(
    ("type", "config", "reason"),
    [
        pytest.param("stream", None, "StreamTriggerConfig needs its stream_name", id="a stream without a config"),
        pytest.param("stream", {}, "StreamTriggerConfig needs its stream_name", id="a stream without its name"),
        pytest.param(
            "stream", {"stream_name": None}, "StreamTriggerConfig needs its stream_name", id="a name that is null"
        ),
        pytest.param("stream", {"stream_name": " "}, "stream_name must not be blank", id="a blank name"),
        pytest.param("stream", Route("/a"), "StreamTriggerConfig needs its stream_name", id="a value without it"),
        pytest.param("http", {"api_path": "/a/*"}, r"api_path must have no segment like '\*'", id="a star"),
        pytest.param("http", {"api_path": "*rest/a"}, r"no segment like '\*rest'", id="a segment that begins with one"),
        pytest.param("http", {"api_path": "/a/:/b"}, "no segment like ':'", id="a colon alone"),
        pytest.param("http", Route("/:"), "no segment like ':'", id="in a value"),
    ],
)
def test_a_config_that_hangs_the_connection_is_refused(type: str, config: Any, reason: str) -> None:
    """The engine would read nothing of this connection any more, or make HTTP bindings of nobody until it is restarted."""
    with pytest.raises(ConfigurationError, match=reason):
        RegisterTriggerInput(type=type, function_id="f", config=config)


@pytest.mark.parametrize(
    ("type", "config", "trigger_namespace"),
    [
        pytest.param("stream", {"stream_name": "chat"}, None, id="a stream with its name"),
        pytest.param("stream", StreamTriggerConfig(stream_name="chat"), None, id="as a value"),
        pytest.param("http", {"api_path": "/users/:id/{*rest}"}, None, id="parameters and a rest"),
        pytest.param("http", {"api_path": "a*/b:"}, None, id="a star or a colon further back"),
        pytest.param("stream", {}, "shop", id="somebody else's type of the same name"),
        pytest.param("webhook", {"api_path": "*"}, None, id="another type"),
    ],
)
def test_a_config_that_does_no_harm_is_taken(type: str, config: Any, trigger_namespace: str | None) -> None:
    """Of a type that somebody else provides nothing is known."""
    given = RegisterTriggerInput(type=type, function_id="f", config=config, trigger_namespace=trigger_namespace)
    assert given.config is config


def test_queue_stands_for_the_engines_durable_subscriber() -> None:
    """As the references have it; where a namespace is named, it may be a type of somebody's own."""
    config = {"topic": "orders"}
    assert RegisterTriggerInput(type="queue", function_id="f", config=config).engine_type == "durable:subscriber"
    with pytest.raises(ConfigurationError, match="QueueTriggerConfig needs its topic"):
        RegisterTriggerInput(type="queue", function_id="f")
    own = RegisterTriggerInput(type="queue", function_id="f", trigger_namespace="shop")
    assert (own.engine_type, own.config) == ("queue", None)
