"""Registrations as frames: the engine's own strict decoder reads what is written."""

from __future__ import annotations

from typing import Any

import attrs
import orjson
import pytest

from iii_trio._embedded.decoder import decode
from iii_trio._values.functions import RegisterFunctionFormat, RegisterFunctionInput
from iii_trio._values.http import HttpAuthApiKey, HttpAuthBearer, HttpAuthConfig, HttpAuthHmac, HttpInvocationConfig
from iii_trio._values.services import RegisterServiceInput
from iii_trio._values.stream_events import StreamTriggerConfig
from iii_trio._values.trigger_types import RegisterTriggerTypeInput
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio._wire.codec import encode
from iii_trio._wire.messages import (
    Frame,
    HttpInvocation,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
)
from iii_trio._wire.registrations import (
    function_frame,
    service_frame,
    trigger_frame,
    trigger_type_frame,
)

URL = "https://example.com/score"


def read(frame: Frame) -> Any:
    """What the engine makes of a frame of ours."""
    return decode(encode(frame))


def written(frame: Frame) -> dict[str, Any]:
    """What is on the wire."""
    tree: dict[str, Any] = orjson.loads(encode(frame))
    return tree


def test_a_function_is_written_with_what_it_says() -> None:
    """And nothing for what is None."""
    fields: dict[str, Any] = {"id": "f", "description": "d", "metadata": {"a": 1}, "request_format": {"type": "object"}}
    assert written(function_frame(RegisterFunctionInput(**fields))) == {"type": "registerfunction", **fields}
    assert written(function_frame(RegisterFunctionInput(id="f"))) == {"type": "registerfunction", "id": "f"}


def test_a_tree_of_formats_is_written_without_what_it_does_not_say() -> None:
    """At every depth."""
    item = RegisterFunctionFormat(name="tag", type="string")
    value = RegisterFunctionInput(id="f", response_format=RegisterFunctionFormat(name="tags", type="array", items=item))
    assert written(function_frame(value))["response_format"] == {
        "name": "tags",
        "type": "array",
        "items": {"name": "tag", "type": "string", "required": False},
        "required": False,
    }


@pytest.mark.parametrize(
    "auth",
    [
        None,
        HttpAuthHmac(secret_key="S"),
        HttpAuthBearer(token_key="T"),
        HttpAuthApiKey(header="X-Key", value_key="K"),
    ],
    ids=["none", "hmac", "bearer", "api_key"],
)
def test_a_function_over_http_is_read_with_its_auth(auth: HttpAuthConfig | None) -> None:
    """The engine drops the frame when the kind is missing, or when the headers are null."""
    config = HttpInvocationConfig(url=URL, method="PUT", timeout_ms=5, headers=None, auth=auth)
    frame = function_frame(RegisterFunctionInput(id="f", invocation=config))
    tree = {} if auth is None else {"auth": attrs.asdict(auth)}
    assert written(frame)["invocation"] == {"url": URL, "method": "PUT", "timeout_ms": 5, **tree}
    assert read(frame).invocation.url == URL


def test_the_headers_of_a_function_over_http_are_kept() -> None:
    """Name by name."""
    config = HttpInvocationConfig(url=URL, headers={"x-team": "a"})
    frame = read(function_frame(RegisterFunctionInput(id="f", invocation=config)))
    assert frame.invocation == HttpInvocation(url=URL, headers={"x-team": "a"})


def test_a_binding_without_a_config_has_an_empty_one() -> None:
    """Most of the engine's types refuse null."""
    value = RegisterTriggerInput(type="state", function_id="f")
    assert written(trigger_frame(value, "t", namespace=None)) == {
        "type": "registertrigger",
        "id": "t",
        "trigger_type": "state",
        "function_id": "f",
        "config": {},
    }


def test_a_binding_is_read_with_what_it_says() -> None:
    """A config that is a value becomes an object, and both namespaces are kept apart."""
    value = RegisterTriggerInput(
        type="stream",
        function_id="f",
        config=StreamTriggerConfig(stream_name="chat"),
        metadata={"m": 1},
        trigger_namespace="default",
    )
    config = {"stream_name": "chat"}
    assert read(trigger_frame(value, "t", namespace="shop")) == RegisterTrigger(
        id="t",
        trigger_type="stream",
        function_id="f",
        config=config,
        metadata={"m": 1},
        namespace="shop",
        trigger_namespace="default",
    )


def test_a_trigger_type_is_read_with_its_schemas() -> None:
    """The description is written even when it is empty."""
    value = RegisterTriggerTypeInput(id="x", description="", trigger_request_format={"type": "object"})
    assert read(trigger_type_frame(value)) == RegisterTriggerType("x", "", trigger_request_format={"type": "object"})


def test_a_service_without_a_name_is_named_after_its_id() -> None:
    """Null would make the frame undecodable."""
    assert read(service_frame(RegisterServiceInput(id="payments"))) == RegisterService("payments", "payments")
    value = RegisterServiceInput(id="refunds", name="Refunds", description="d", parent_service_id="payments")
    assert read(service_frame(value)) == RegisterService("refunds", "Refunds", "d", "payments")
