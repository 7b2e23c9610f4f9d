"""Builtins refuse a payload in the words of the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._embedded.inputs import Field, Input, anything, debug, flag, i64, many, read, text, texts, u32, u64
from iii_trio._embedded.registry import Refusal

SHAPE = Input(
    "Thing",
    (
        Field("name", text, required=True),
        Field("pid", u32, may_end=False),
        Field("tags", texts),
        Field("on", flag),
    ),
)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        pytest.param({"name": "n"}, {"name": "n", "pid": None, "tags": None, "on": None}, id="least"),
        pytest.param(
            {"name": "n", "pid": 0, "tags": ["a"], "on": False, "more": 1},
            {"name": "n", "pid": 0, "tags": ["a"], "on": False},
            id="whole",
        ),
        pytest.param(
            {"name": "n", "pid": None, "on": None}, {"name": "n", "pid": None, "tags": None, "on": None}, id="nulls"
        ),
        pytest.param(["n", 2**32 - 1], {"name": "n", "pid": 2**32 - 1, "tags": None, "on": None}, id="array"),
        pytest.param(["n", None, [], True], {"name": "n", "pid": None, "tags": [], "on": True}, id="whole-array"),
    ],
)
def test_a_payload_is_read_into_named_values(data: Any, values: dict[str, Any]) -> None:
    """Every field has a value; an array is the fields in order."""
    assert SHAPE.read(data) == values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(None, "invalid type: null, expected struct Thing", id="null"),
        pytest.param("x", 'invalid type: string "x", expected struct Thing', id="text"),
        pytest.param(True, "invalid type: boolean `true`, expected struct Thing", id="boolean"),
        pytest.param(1.0, "invalid type: floating point `1.0`, expected struct Thing", id="float"),
        pytest.param({}, "missing field `name`", id="missing"),
        pytest.param({"name": None}, "invalid type: null, expected a string", id="required-null"),
        pytest.param({"name": {}}, "invalid type: map, expected a string", id="map"),
        pytest.param({"name": []}, "invalid type: sequence, expected a string", id="sequence"),
        pytest.param({"name": "n", "pid": -1}, "invalid value: integer `-1`, expected u32", id="negative"),
        pytest.param({"name": "n", "pid": 2**32}, "invalid value: integer `4294967296`, expected u32", id="too-large"),
        pytest.param({"name": "n", "pid": True}, "invalid type: boolean `true`, expected u32", id="boolean-pid"),
        pytest.param({"name": "n", "tags": "x"}, 'invalid type: string "x", expected a sequence', id="no-array"),
        pytest.param({"name": "n", "tags": [1]}, "invalid type: integer `1`, expected a string", id="in-an-array"),
        pytest.param({"name": "n", "on": 1}, "invalid type: integer `1`, expected a boolean", id="no-boolean"),
        pytest.param({"pid": -1, "name": 5}, "invalid type: integer `5`, expected a string", id="first-by-name"),
        pytest.param([], "invalid length 0, expected struct Thing with 4 elements", id="empty-array"),
        pytest.param(["n"], "invalid length 1, expected struct Thing with 4 elements", id="short-array"),
        pytest.param(["n", 1, [], True, 1], "invalid length 5, expected fewer elements in array", id="long-array"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_engines_words(data: Any, message: str) -> None:
    """The words are part of what a caller sees."""
    with pytest.raises(Refusal) as caught:
        read("engine::thing", SHAPE, data)
    assert caught.value.code == "deserialization_error"
    assert caught.value.message == f"Failed to deserialize input for engine::thing: {message}"


OPTIONS = Input(
    "Options",
    (
        Field("value", anything, required=True, alias="data"),
        Field("limit", u64, default=50),
        Field("by", i64),
        Field("steps", many(i64)),
    ),
)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        pytest.param({"value": None}, {"value": None, "limit": 50, "by": None, "steps": None}, id="default"),
        pytest.param(
            {"data": {}, "limit": 2**64 - 1, "by": -(2**63), "steps": [1]},
            {"value": {}, "limit": 2**64 - 1, "by": -(2**63), "steps": [1]},
            id="alias",
        ),
        pytest.param([1], {"value": 1, "limit": 50, "by": None, "steps": None}, id="array"),
        pytest.param([None, 7], {"value": None, "limit": 7, "by": None, "steps": None}, id="array-with-null"),
    ],
)
def test_a_field_may_have_a_second_name_or_a_default(data: Any, values: dict[str, Any]) -> None:
    """A value that may be anything may be null."""
    assert OPTIONS.read(data) == values


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param({"value": 1, "data": 1}, "duplicate field `value`", id="both-names"),
        pytest.param({"limit": 1}, "missing field `value`", id="the-first-name"),
        pytest.param({"data": 1, "limit": None}, "invalid type: null, expected u64", id="null-is-no-default"),
        pytest.param([1, None], "invalid type: null, expected u64", id="nor-in-an-array"),
        pytest.param({"data": 1, "by": 2**63}, "invalid value: integer `9223372036854775808`, expected i64", id="i64"),
        pytest.param({"data": 1, "steps": [1.5]}, "invalid type: floating point `1.5`, expected i64", id="element"),
    ],
)
def test_second_names_and_defaults_have_their_own_faults(data: Any, message: str) -> None:
    """In the engine's words as well."""
    with pytest.raises(ValueError, match=f"^{message}$"):
        OPTIONS.read(data)


def test_a_struct_of_one_field_has_one_element() -> None:
    """The engine minds its grammar."""
    with pytest.raises(ValueError, match=r"with 1 element$"):
        Input("One", (Field("name", text, required=True),)).read([])


def test_text_is_quoted_as_the_engine_quotes_it() -> None:
    """Escapes for what cannot be printed."""
    assert debug('a"b\\c\n\r\t\0\u200bü') == '"a\\"b\\\\c\\n\\r\\t\\0\\u{200b}ü"'
