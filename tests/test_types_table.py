"""The table of types: what each annotation takes, which schema it has, and what is refused."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, NewType, Optional, TypeVar

import attrs
import pytest
from typing_extensions import TypeAliasType

from iii_trio._types.shape import UnknownType
from iii_trio._types.table import DIALECT, MAX_FAULTS, Misfit, typed

Bound = TypeVar("Bound", bound=int)
Constrained = TypeVar("Constrained", int, str)
Free = TypeVar("Free")
UserId = NewType("UserId", int)
Tree = TypeAliasType("Tree", "dict[str, Tree] | int")  # as `type Tree = …` of Python 3.12 is
Pairs = TypeAliasType("Pairs", "list[tuple[str, Free]]", type_params=(Free,))
Loop = TypeAliasType("Loop", "Loop | int")  # type: ignore[misc]
Lost = TypeAliasType("Lost", "Nowhere")  # type: ignore[name-defined]  # noqa: F821


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Bytes(enum.Enum):
    A = b"a"


class Nobody(enum.Enum):
    pass


class Point(NamedTuple):
    x: int


_NOON: Final = datetime.datetime(2024, 1, 2, 12, 0, tzinfo=datetime.UTC)
_ID: Final = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("type_", "tree", "value", "schema"),
    [
        pytest.param(None, None, None, {"type": "null"}, id="none"),
        pytest.param(type(None), None, None, {"type": "null"}, id="none-as-its-class"),
        pytest.param(bool, True, True, {"type": "boolean"}, id="bool"),
        pytest.param(int, 7, 7, {"type": "integer"}, id="int"),
        pytest.param(float, 1.5, 1.5, {"type": "number"}, id="float"),
        pytest.param(float, 1, 1.0, {"type": "number"}, id="an-int-fits-a-float"),
        pytest.param(str, "a", "a", {"type": "string"}, id="str"),
        pytest.param(
            datetime.datetime, "2024-01-02T12:00:00Z", _NOON, {"type": "string", "format": "date-time"}, id="datetime"
        ),
        pytest.param(
            datetime.date, "2024-01-02", datetime.date(2024, 1, 2), {"type": "string", "format": "date"}, id="date"
        ),
        pytest.param(uuid.UUID, str(_ID), _ID, {"type": "string", "format": "uuid"}, id="uuid"),
        pytest.param(Color, "red", Color.RED, {"type": "string", "enum": ["red", "blue"]}, id="enum"),
        pytest.param(
            Literal["a", 1, None], 1, 1, {"type": ["integer", "null", "string"], "enum": ["a", 1, None]}, id="literal"
        ),
        pytest.param(int | None, None, None, {"type": ["integer", "null"]}, id="optional"),
        pytest.param(Optional[int], 3, 3, {"type": ["integer", "null"]}, id="optional-as-typing-has-it"),  # noqa: UP045
        pytest.param(list, [1, "a"], [1, "a"], {"type": "array"}, id="list"),
        pytest.param(list[int], [1], [1], {"type": "array", "items": {"type": "integer"}}, id="list-of"),
        pytest.param(Sequence[int], [1], [1], {"type": "array", "items": {"type": "integer"}}, id="sequence"),
        pytest.param(tuple, [1], (1,), {"type": "array"}, id="tuple"),
        pytest.param(tuple[int, ...], [1, 2], (1, 2), {"type": "array", "items": {"type": "integer"}}, id="tuple-of"),
        pytest.param(
            tuple[int, str],
            [1, "a"],
            (1, "a"),
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "minItems": 2,
                "maxItems": 2,
            },
            id="pair",
        ),
        pytest.param(tuple[()], [], (), {"type": "array", "minItems": 0, "maxItems": 0}, id="empty-tuple"),
        pytest.param(
            set[int], [1, 2], {1, 2}, {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, id="set"
        ),
        pytest.param(
            frozenset[str],
            ["a"],
            frozenset("a"),
            {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            id="frozenset",
        ),
        pytest.param(dict, {"a": [1]}, {"a": [1]}, {"type": "object"}, id="dict"),
        pytest.param(dict[str, Any], {"a": [1]}, {"a": [1]}, {"type": "object"}, id="dict-of-anything"),
        pytest.param(
            Mapping[str, int],
            {"a": 1},
            {"a": 1},
            {"type": "object", "additionalProperties": {"type": "integer"}},
            id="mapping",
        ),
        pytest.param(UserId, 7, 7, {"type": "integer"}, id="newtype"),
        pytest.param(Annotated[int, "any", []], 7, 7, {"type": "integer"}, id="annotated-with-what-has-no-hash"),
        pytest.param(
            list[Annotated[int, "any"]], [7], [7], {"type": "array", "items": {"type": "integer"}}, id="inner"
        ),
        pytest.param(Bound, 7, 7, {"type": "integer"}, id="variable-with-a-bound"),
        pytest.param(Constrained, "a", "a", {"type": ["integer", "string"]}, id="variable-with-constraints"),
        pytest.param(
            list[Free],  # type: ignore[valid-type]
            [[]],
            [[]],
            {"type": "array"},
            id="free-variable",
        ),
    ],
)
def test_what_a_type_takes_and_says(type_: Any, tree: Any, value: Any, schema: Any) -> None:
    """The value with its class, and the schema of it."""
    found = typed(type_)
    structured = found.structure(tree)
    assert (structured, type(structured)) == (value, type(value))
    assert found.schema == {"$schema": DIALECT, **schema}


@pytest.mark.parametrize("type_", [Any, object, Free, Annotated[Any, 1], Any | None, object | None])
def test_anything_is_passed_on_untouched_and_has_no_schema(type_: Any) -> None:
    """There is nothing to say about it, and nothing to check."""
    value = {"a": [object()]}
    assert typed(type_).structure(value) is value
    assert typed(type_).is_any
    assert typed(type_).schema is None


@pytest.mark.parametrize("type_", [list, list[Any], list[object], dict, dict[str, Any], dict[str, object]])
def test_a_container_of_anything_is_not_walked(type_: Any) -> None:
    """It is the payload itself, and no copy."""
    value: Any = {} if "dict" in str(type_) else []
    assert typed(type_).structure(value) is value
    assert not typed(type_).is_any


@pytest.mark.parametrize(
    ("type_", "tree", "words"),
    [
        pytest.param(bool, "no", "expected bool, got str @ $", id="no-is-not-false"),
        pytest.param(bool, 1, "expected bool, got int @ $", id="1-is-not-true"),
        pytest.param(int, True, "expected int, got bool @ $", id="true-is-not-1"),
        pytest.param(int, 1.0, "expected int, got float @ $", id="1.0-is-not-1"),
        pytest.param(float, True, "expected float, got bool @ $", id="true-is-not-1.0"),
        pytest.param(str, 7, "expected str, got int @ $", id="7-is-not-text"),
        pytest.param(None, 0, "expected None, got 0 @ $", id="0-is-not-null"),
        pytest.param(Color, "green", "expected 'red' or 'blue', got 'green' @ $", id="no-member"),
        pytest.param(Color, "RED", "expected 'red' or 'blue', got 'RED' @ $", id="a-name-is-no-value"),
        pytest.param(Literal[1], True, "expected 1, got True @ $", id="a-literal-1-is-not-true"),
        pytest.param(list[int], "12", "expected list, got str @ $", id="text-is-no-list"),
        pytest.param(tuple[int, ...], {}, "expected list, got dict @ $", id="an-object-is-no-tuple"),
        pytest.param(tuple[int, str], [1], "expected 2 items, got 1 @ $", id="too-few"),
        pytest.param(tuple[int, str], [1, 2], "expected str, got int @ $[1]", id="second-of-a-pair"),
        pytest.param(set[int], [1, 1, 1], "expected each item once, got 2 again @ $", id="twice-in-a-set"),
        pytest.param(dict[str, int], [["a", 1]], "expected dict, got list @ $", id="pairs-are-no-dict"),
        pytest.param(dict[str, list[int]], {"a": [1, "2"]}, "expected int, got str @ $.a[1]", id="deep"),
        pytest.param(int | str, None, "expected a whole number or text, got NoneType @ $", id="union"),
    ],
)
def test_nothing_is_converted(type_: Any, tree: Any, words: str) -> None:
    """The fault, and where it is."""
    with pytest.raises(Misfit) as caught:
        typed(type_).structure(tree)
    assert str(caught.value) == words


def test_a_value_full_of_faults_tells_the_first_few() -> None:
    """An answer of a size that its sender chooses would be one of his means."""
    with pytest.raises(Misfit) as caught:
        typed(list[int]).structure(["a"] * 1_000)
    assert str(caught.value).count("expected int") == MAX_FAULTS == 3
    assert str(caught.value).endswith("; and 997 more")


def test_a_long_value_is_not_repeated_to_its_sender() -> None:
    """Only its beginning and its end are."""
    with pytest.raises(Misfit) as caught:
        typed(Color).structure("x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        pytest.param(bytes, "JSON has no bytes", id="bytes"),
        pytest.param(decimal.Decimal, "take text", id="decimal"),
        pytest.param(complex, "two floats", id="complex"),
        pytest.param(datetime.time, "time is no type", id="time"),
        pytest.param(Point, "Point is no type", id="named-tuple"),
        pytest.param(Callable[[], int], "is no type", id="callable"),
        pytest.param("User", "'User' is no type", id="text"),
        pytest.param(5, "5 is no type", id="a-value"),
        pytest.param(list[bytes], "bytes", id="inside-a-list"),
        pytest.param(dict[int, int], "keys that are no text", id="keys"),
        pytest.param(dict[Color, int], "keys that are no text", id="enum-as-key"),
        pytest.param(set[list[int]], "has no hash", id="set-of-lists"),
        pytest.param(set, "has no hash", id="set-of-anything"),
        pytest.param(Access, "is a flag", id="flag"),
        pytest.param(Bytes, "neither text", id="enum-of-bytes"),
        pytest.param(Nobody, "no values", id="empty-enum"),
        pytest.param(Literal[b"a"], "no JSON value", id="literal-bytes"),
        pytest.param(Literal[Color.RED], "no JSON value", id="literal-enum"),
        pytest.param(Lost, "Nowhere", id="alias-that-leads-nowhere"),
        pytest.param(Loop, "contains itself without anything around it", id="alias-of-itself"),
    ],
)
def test_what_is_not_in_the_table_is_refused(type_: Any, words: str) -> None:
    """With a reason, where there is one."""
    with pytest.raises(UnknownType, match=re.escape(words)):
        typed(type_)


def test_an_alias_that_contains_itself_has_a_definition() -> None:
    """And one that does not is what it stands for."""
    tree = typed(list[Tree])
    assert tree.structure([{"a": {"b": 1}}]) == [{"a": {"b": 1}}]
    with pytest.raises(Misfit, match=re.escape("$[0].a.b")):
        tree.structure([{"a": {"b": "1"}}])
    assert tree.schema is not None
    assert tree.schema["items"] == {"$ref": "#/$defs/Tree"}
    assert tree.schema["$defs"]["Tree"]["anyOf"][0]["additionalProperties"] == {"$ref": "#/$defs/Tree"}
    pairs = typed(Pairs[int])
    assert pairs.structure([["a", 1]]) == [("a", 1)]
    assert pairs.schema is not None
    assert "$defs" not in pairs.schema


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is of Python 3.12")
def test_an_alias_made_by_the_statement_is_one() -> None:
    """Also one that names what is not there, which shows when it is looked up."""
    names: dict[str, Any] = {}
    exec("type Names[T] = dict[str, T]\ntype Nobody = list[Nowhere]", names)
    assert typed(names["Names"][int]).structure({"a": 1}) == {"a": 1}
    with pytest.raises(UnknownType, match="the alias Nobody: name 'Nowhere' is not defined"):
        typed(names["Nobody"])


@attrs.frozen
class Chain:
    """As long as somebody likes."""

    next: Chain | None = None


def test_the_deepest_payload_is_structured() -> None:
    """127 objects inside each other are what a frame may hold."""
    tree: Any = None
    for _ in range(126):
        tree = {"next": tree}
    value = typed(Chain).structure(tree)
    depth = 0
    while value is not None:
        value, depth = value.next, depth + 1
    assert depth == 126


def test_a_type_is_looked_up_once() -> None:
    """A thousand functions may take the same class."""
    assert typed(Chain) is typed(Chain)
