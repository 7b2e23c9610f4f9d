"""attrs classes, dataclasses and typed dicts: fields by name, generics, defaults, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, NotRequired, Required, TypedDict, TypeVar

import attrs
import pytest

from iii_trio._types.shape import UnknownType
from iii_trio._types.table import DIALECT, Misfit, typed

if TYPE_CHECKING:
    from fractions import Fraction

T = TypeVar("T")
U = TypeVar("U")


@attrs.frozen
class Item:
    id: int
    name: str = "x"
    _private: int = 0
    tags: list[str] = attrs.field(factory=list)
    computed: int = attrs.field(init=False, default=9)


@dataclasses.dataclass
class Order:
    items: list[Item]
    note: str | None = None
    seen: list[int] = dataclasses.field(default_factory=list)
    count: int = dataclasses.field(init=False, default=1)


class Base(TypedDict):
    id: int


class Options(Base, total=False):
    first: Required[int]
    second: int
    third: Annotated[NotRequired[str], "words"]


@attrs.frozen
class Odd:
    """Fields with the names of cattrs' own arguments, and qualified ones."""

    cl: int
    converter: int
    attrs: int
    fixed: Final[int]
    noted: Annotated[int, []]


@attrs.frozen
class Checked:
    even: int = attrs.field()

    @even.validator
    def _check(self, _: Any, value: int) -> None:
        if value % 2:
            raise ValueError("odd")


@attrs.frozen
class Node(Generic[T]):
    value: T
    children: list[Node[T]] = attrs.field(factory=list)


@dataclasses.dataclass
class Left(Generic[T]):
    left: T


@dataclasses.dataclass
class Right(Generic[T]):
    right: T


@dataclasses.dataclass
class Both(Left[int], Right[list[U]], Generic[U]):
    """Two bases whose variable has one name and two meanings."""

    both: U


@attrs.frozen
class AllDefaults:
    x: int = 1


@attrs.define
class Unannotated:
    x = attrs.field()  # type: ignore[var-annotated]


@pytest.mark.parametrize(
    ("type_", "tree", "value"),
    [
        pytest.param(Item, {"id": 1}, Item(1), id="defaults"),
        pytest.param(Item, {"id": 1, "_private": 2, "tags": ["a"]}, Item(1, "x", 2, ["a"]), id="private"),
        pytest.param(Item, {"id": 1, "computed": "?", "new": object()}, Item(1), id="unknown-fields-are-ignored"),
        pytest.param(Order, {"items": [{"id": 1}], "count": 7}, Order([Item(1)]), id="dataclass"),
        pytest.param(Options, {"id": 1, "first": 2, "more": 3}, {"id": 1, "first": 2}, id="typed-dict"),
        pytest.param(
            Options, {"id": 1, "first": 2, "third": "a"}, {"id": 1, "first": 2, "third": "a"}, id="optional-key"
        ),
        pytest.param(
            Odd, {"cl": 1, "converter": 2, "attrs": 3, "fixed": 4, "noted": 5}, Odd(1, 2, 3, 4, 5), id="odd-names"
        ),
        pytest.param(Checked, {"even": 2}, Checked(2), id="validator"),
        pytest.param(Node[int], {"value": 1, "children": [{"value": 2}]}, Node(1, [Node(2)]), id="generic"),
        pytest.param(Node, {"value": [1]}, Node([1]), id="generic-without-its-argument"),
        pytest.param(Both[str], {"left": 1, "right": ["a"], "both": "b"}, Both(["a"], 1, "b"), id="two-bases"),
        pytest.param(Unannotated, {"x": [1]}, Unannotated([1]), id="no-annotation"),
    ],
)
def test_an_object_becomes_an_instance(type_: Any, tree: Any, value: Any) -> None:
    """By the names of its fields."""
    assert typed(type_).structure(tree) == value


@pytest.mark.parametrize(
    ("type_", "tree", "words"),
    [
        pytest.param(Item, {}, "required field missing @ $.id", id="missing"),
        pytest.param(Item, {"id": None}, "expected int, got NoneType @ $.id", id="null"),
        pytest.param(Item, [1], "expected dict, got list @ $", id="list"),
        pytest.param(AllDefaults, [], "expected dict, got list @ $", id="a-list-where-nothing-is-required"),
        pytest.param(AllDefaults, "x", "expected dict, got str @ $", id="text-where-nothing-is-required"),
        pytest.param(
            Order,
            {"items": [{"id": 1}, {"id": "x"}, {}]},
            "expected int, got str @ $.items[1].id; required field missing @ $.items[2].id",
            id="all-faults-with-their-paths",
        ),
        pytest.param(Options, {"id": 1}, "required field missing @ $.first", id="required-key"),
        pytest.param(Options, {"first": 1}, "required field missing @ $.id", id="inherited-key"),
        pytest.param(Options, {"id": 1, "first": 1, "third": 3}, "expected str, got int @ $.third", id="key"),
        pytest.param(Checked, {"even": 1}, "odd @ $", id="validator"),
        pytest.param(Node[int], {"value": 1, "children": [{"value": "2"}]}, "$.children[0].value", id="generic"),
        pytest.param(Both[str], {"left": 1, "right": [1], "both": "b"}, "got int @ $.right[0]", id="right"),
        pytest.param(Both[str], {"left": "a", "right": [], "both": "b"}, "got str @ $.left", id="left"),
    ],
)
def test_an_object_that_does_not_fit_is_refused_with_its_paths(type_: Any, tree: Any, words: str) -> None:
    """What is wrong, and where."""
    with pytest.raises(Misfit, match=rf"{re.escape(words)}$"):
        typed(type_).structure(tree)


def test_the_schema_of_a_class_has_its_fields_at_the_top() -> None:
    """The engine's command line and console read them there; what the class contains is defined below."""
    assert typed(Order).schema == {
        "$schema": DIALECT,
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
            "note": {"type": ["string", "null"]},
            "seen": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["items"],
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "name": {"type": "string"},
                    "_private": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["id"],
            }
        },
    }


def test_a_recursive_class_refers_to_itself() -> None:
    """And so it is defined below as well."""
    schema = typed(Node[int]).schema
    assert schema is not None
    body = {key: value for key, value in schema.items() if key not in ("$schema", "$defs")}
    assert schema["$defs"] == {"Node_int": body}
    assert body["properties"]["children"] == {"type": "array", "items": {"$ref": "#/$defs/Node_int"}}


def test_two_classes_of_one_name_have_a_definition_each() -> None:
    """Neither stands for the other."""
    other = attrs.make_class("Item", {"other": attrs.field(type=int)})
    schema = typed(tuple[Item, other]).schema  # type: ignore[valid-type]
    assert schema is not None
    assert [each["$ref"] for each in schema["prefixItems"]] == ["#/$defs/Item", "#/$defs/Item_2"]
    assert set(schema["$defs"]["Item_2"]["properties"]) == {"other"}


@dataclasses.dataclass
class WithInitVar:
    x: dataclasses.InitVar[int]


@attrs.frozen
class WithBytes:
    item: list[bytes]


@attrs.frozen
class OnlyForTypeCheckers:
    part: Fraction


@attrs.frozen
class Around:
    inner: WithBytes


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        pytest.param(WithInitVar, "InitVar", id="init-var"),
        pytest.param(WithBytes, "field 'item' of WithBytes: bytes", id="field"),
        pytest.param(Around, "field 'inner' of Around: field 'item' of WithBytes", id="field-of-a-field"),
        pytest.param(OnlyForTypeCheckers, "name 'Fraction' is not defined", id="unresolvable"),
    ],
)
def test_a_class_with_what_the_table_does_not_have_is_refused(type_: Any, words: str) -> None:
    """Naming the field."""
    with pytest.raises(UnknownType, match=re.escape(words)):
        typed(type_)
