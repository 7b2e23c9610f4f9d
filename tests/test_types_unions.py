"""Unions: which member a value is of, and which unions nobody could tell apart."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final, Literal, TypedDict

import attrs
import pytest

from iii_trio._types.shape import UnknownType
from iii_trio._types.table import DIALECT, Misfit, typed


@attrs.frozen
class Circle:
    radius: float
    shape: Literal["circle"] = "circle"


@dataclasses.dataclass
class Square:
    side: float
    shape: Literal["square", "box"]
    inside: Circle | Square | None = None


class Line(TypedDict):
    shape: Literal["line"]


@attrs.frozen
class Untagged:
    radius: float


@attrs.frozen
class OtherCircle:
    shape: Literal["circle", "disc"]


_SHAPES: Final[Any] = Circle | Square | Line


@pytest.mark.parametrize(
    ("tree", "value"),
    [
        pytest.param({"shape": "circle", "radius": 1}, Circle(1.0), id="attrs"),
        pytest.param({"shape": "box", "side": 1}, Square(1.0, "box"), id="dataclass"),
        pytest.param({"shape": "line"}, {"shape": "line"}, id="typed-dict"),
        pytest.param(
            {"shape": "square", "side": 1, "inside": {"shape": "circle", "radius": 2}},
            Square(1.0, "square", Circle(2.0)),
            id="inside-itself",
        ),
    ],
)
def test_classes_are_told_apart_by_a_literal(tree: Any, value: Any) -> None:
    """Which has to be there, also where its class has a default for it."""
    assert typed(_SHAPES).structure(tree) == value


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        pytest.param({"radius": 1}, "required field missing @ $.shape", id="no-tag"),
        pytest.param({"shape": "disc"}, "got 'disc' @ $.shape", id="unknown-tag"),
        pytest.param({"shape": ["circle"]}, "got ['circle'] @ $.shape", id="tag-without-a-hash"),
        pytest.param({"shape": "circle"}, "required field missing @ $.radius", id="member-that-does-not-fit"),
        pytest.param("circle", "expected an object, got str @ $", id="no-object"),
    ],
)
def test_an_object_of_no_class_is_refused(tree: Any, words: str) -> None:
    """The fault is that of the member that the tag names."""
    with pytest.raises(Misfit, match=rf"{re.escape(words)}$"):
        typed(_SHAPES).structure(tree)


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        pytest.param(Circle | Untagged, "more than one of its members takes an object", id="no-common-literal"),
        pytest.param(Circle | OtherCircle, "takes an object", id="a-word-in-common"),
        pytest.param(Circle | dict[str, Any], "takes an object", id="class-or-any-object"),
        pytest.param(list[int] | list[str], "takes an array", id="two-lists"),
        pytest.param(str | Literal["a"], "takes text", id="literal-or-any-text"),
    ],
)
def test_a_union_whose_members_nobody_can_tell_apart_is_refused(type_: Any, words: str) -> None:
    """Trying one after the other would make the order decide."""
    with pytest.raises(UnknownType, match=words):
        typed(type_)


def test_a_literal_none_in_an_optional_is_no_ambiguity() -> None:
    """Null is None to both."""
    assert typed(Literal["a", None] | None).structure(None) is None


@pytest.mark.parametrize(
    ("type_", "tree", "value"),
    [
        pytest.param(int | float, 1, 1, id="a-whole-number-is-an-int"),
        pytest.param(int | float, 1.0, 1.0, id="and-another-is-not"),
        pytest.param(float | str, 1, 1.0, id="without-an-int-it-is-a-float"),
        pytest.param(bool | int, True, True, id="true"),
        pytest.param(bool | int, 1, 1, id="one"),
        pytest.param(list[int] | dict[str, int] | None, {"a": 1}, {"a": 1}, id="containers"),
    ],
)
def test_the_type_of_the_json_value_decides(type_: Any, tree: Any, value: Any) -> None:
    """Whatever Python holds for equal."""
    structured = typed(type_).structure(tree)
    assert (structured, type(structured)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "schema"),
    [
        pytest.param(int | str, {"type": ["integer", "string"]}, id="a-list-of-types"),
        pytest.param(
            list[int] | None, {"type": ["array", "null"], "items": {"type": "integer"}}, id="what-is-said-of-one-type"
        ),
        pytest.param(
            Literal["a"] | None, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}, id="a-choice"
        ),
        pytest.param(
            list[int] | str,
            {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}]},
            id="what-would-be-said-of-both",
        ),
    ],
)
def test_a_schema_says_it_in_the_shortest_way(type_: Any, schema: Any) -> None:
    """The engine's command line shows a list of types, and nothing of alternatives."""
    assert typed(type_).schema == {"$schema": DIALECT, **schema}


def test_the_schema_of_classes_asks_for_the_tag() -> None:
    """Also where its class does not."""
    schema = typed(Circle | Line).schema
    assert schema is not None
    assert schema["anyOf"] == [{"$ref": f"#/$defs/{name}", "required": ["shape"]} for name in ("Circle", "Line")]
    assert schema["$defs"]["Circle"]["required"] == ["radius"]
