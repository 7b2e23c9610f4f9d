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
    binding = RegisterTriggerInput(type="cron", function_id="f")
    assert (binding.config, binding.metadata, binding.namespace, binding.trigger_namespace) == (None, None, None, None)
    assert build(RegisterTriggerInput, {"type": "cron", "function_id": "f"}) == binding


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
        RegisterTriggerInput(**{"type": "cron", "function_id": "f", **fields})


@pytest.mark.parametrize(
    ("type", "config", "reason"),
    [
        pytest.param("stream", None, "needs a stream_name", id="a stream without a config"),
        pytest.param("stream", {}, "needs a stream_name", id="a stream without its name"),
        pytest.param("stream", {"stream_name": None}, "needs a stream_name", id="a name that is null"),
        pytest.param("stream", {"stream_name": " "}, "needs a stream_name", id="a blank name"),
        pytest.param("stream", Route("/a"), "needs a stream_name", id="a value without it"),
        pytest.param("http", {"api_path": "/a/*"}, r"must not be '\*'", id="a star"),
        pytest.param("http", {"api_path": "*rest/a"}, r"must not be '\*rest'", id="a segment that begins with one"),
        pytest.param("http", {"api_path": "/a/:/b"}, "must not be ':'", id="a colon alone"),
        pytest.param("http", Route("/:"), "must not be ':'", id="in a value"),
    ],
)
def test_a_config_that_hangs_the_connection_is_refused(type: str, config: Any, reason: str) -> None:
    """The engine would read nothing of this connection any more, or make HTTP bindings of nobody until it is restarted."""
    with pytest.raises(ConfigurationError, match=f"RegisterTriggerInput.config of .*{reason}"):
        RegisterTriggerInput(type=type, function_id="f", config=config)


@pytest.mark.parametrize(
    ("type", "config", "trigger_namespace"),
    [
        pytest.param("stream", {"stream_name": "chat"}, None, id="a stream with its name"),
        pytest.param("stream", StreamTriggerConfig(stream_name="chat"), None, id="as a value"),
        pytest.param("http", {"api_path": "/users/:id/{*rest}"}, None, id="parameters and a rest"),
        pytest.param("http", {"api_path": "a*/b:"}, None, id="a star or a colon further back"),
        pytest.param("http", {}, None, id="no path, which the engine refuses in words"),
        pytest.param("http", {"api_path": 7}, None, id="a path that is no text, likewise"),
        pytest.param("stream", {}, "shop", id="somebody else's type of the same name"),
        pytest.param("webhook", {"api_path": "*"}, None, id="another type"),
    ],
)
def test_a_config_that_does_no_harm_is_taken(type: str, config: Any, trigger_namespace: str | None) -> None:
    """What is merely wrong is the provider's to refuse."""
    given = RegisterTriggerInput(type=type, function_id="f", config=config, trigger_namespace=trigger_namespace)
    assert given.config is config
