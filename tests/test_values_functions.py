"""The registration of a function as a value."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.functions import RegisterFunctionFormat, RegisterFunctionInput
from iii_trio._values.http import HttpInvocationConfig
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError


def test_only_the_id_is_needed() -> None:
    """All else is None."""
    assert RegisterFunctionInput(id="f") == RegisterFunctionInput(
        id="f", description=None, metadata=None, request_format=None, response_format=None, invocation=None
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"id": " "}, "id must not be blank", id="a blank id, which the engine takes and nobody finds"),
        pytest.param({"id": 7}, "id must be text", id="a number for an id"),
        pytest.param({"id": "f", "description": 7}, "description must be str", id="a description that is no text"),
        pytest.param({"id": "f", "metadata": []}, "metadata must be dict", id="metadata is an object"),
        pytest.param(
            {"id": "f", "request_format": "{}"},
            "request_format must be RegisterFunctionFormat or dict",
            id="a schema is an object",
        ),
        pytest.param(
            {"id": "f", "response_format": 1},
            "response_format must be RegisterFunctionFormat or dict",
            id="both schemas",
        ),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When the value is made, not when the engine drops it."""
    with pytest.raises(ConfigurationError, match=f"RegisterFunctionInput.{reason}"):
        RegisterFunctionInput(**fields)


def test_a_function_over_http_comes_as_a_value_or_a_dict() -> None:
    """The dict makes the same."""
    config = HttpInvocationConfig(url="https://example.com")
    assert RegisterFunctionInput(id="f", invocation=config).invocation is config
    assert build(RegisterFunctionInput, {"id": "f", "invocation": {"url": "https://example.com"}}).invocation == config
    with pytest.raises(ConfigurationError, match="HttpInvocationConfig has no address"):
        RegisterFunctionInput(id="f", invocation={"url": "https://example.com", "address": "x"})


def test_a_tree_of_formats_comes_as_values_or_dicts() -> None:
    """At every depth, and is written without what it does not say."""
    tree = {
        "name": "user",
        "type": "object",
        "body": [
            {"name": "tags", "type": "array", "items": {"name": "tag", "type": "string"}},
            RegisterFunctionFormat(name="age", type="number", required=True, description="in years"),
        ],
    }
    built = build(RegisterFunctionFormat, tree)
    assert built.body is not None
    assert built.body[0].items == RegisterFunctionFormat(name="tag", type="string")
    assert jsonable(built.body[0].items) == {"name": "tag", "type": "string", "required": False}
    assert jsonable(built.body[1]) == {"name": "age", "type": "number", "description": "in years", "required": True}
    assert RegisterFunctionInput(id="f", request_format=built).request_format is built


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        pytest.param({"name": "a"}, "RegisterFunctionFormat needs its type", id="no type"),
        pytest.param({"name": "", "type": "string"}, "RegisterFunctionFormat.name must not be blank", id="no name"),
        pytest.param({"name": "a", "type": "text"}, "type must be 'string' or", id="an unknown type"),
        pytest.param({"name": "a", "type": "map", "required": 1}, "required must be True or False", id="1 is not True"),
        pytest.param({"name": "a", "type": "map", "description": 1}, "description must be str", id="words"),
        pytest.param({"name": "a", "type": "object", "body": {}}, "body must be a list, not dict", id="one field"),
        pytest.param({"name": "a", "type": "object", "body": [{}]}, "needs its name, type", id="an empty field"),
        pytest.param({"name": "a", "type": "array", "items": "b"}, "from itself or a dict, not from str", id="items"),
    ],
)
def test_a_tree_that_means_nothing_is_refused(tree: dict[str, Any], reason: str) -> None:
    """Wherever in it the fault is."""
    with pytest.raises(ConfigurationError, match=reason):
        build(RegisterFunctionFormat, tree)
