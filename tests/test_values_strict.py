"""Strict structuring: a value is what its type says, or it is refused."""

from __future__ import annotations

from typing import Any, Literal

import attrs
import pytest
from cattrs import ClassValidationError
from hypothesis import given

from iii_trio._values.strict import exactly, strict_converter
from tests._session_values import examples, json_values

CONVERTER = strict_converter()


@attrs.frozen
class User:
    """What a handler may take."""

    name: str
    age: int | None = None
    tags: list[str] = attrs.field(factory=list)
    limits: dict[str, float] = attrs.field(factory=dict)
    role: Literal["admin", "guest"] = "guest"
    active: bool = True


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        pytest.param(str, "7", "7", id="text"),
        pytest.param(int, 7, 7, id="a whole number"),
        pytest.param(bool, True, True, id="a truth value"),
        pytest.param(float, 1.5, 1.5, id="a number"),
        pytest.param(float, 1, 1.0, id="JSON does not tell 1 from 1.0"),
        pytest.param(int | None, None, None, id="an optional that is null"),
        pytest.param(int | None, 3, 3, id="an optional that is not"),
        pytest.param(list, [1, "a"], [1, "a"], id="a list of anything"),
        pytest.param(dict, {"a": [1]}, {"a": [1]}, id="an object of anything"),
        pytest.param(list[int], [1, 2], [1, 2], id="a list of numbers"),
        pytest.param(list[list[str]], [["a"], []], [["a"], []], id="a list of lists"),
        pytest.param(dict[str, int], {"a": 1}, {"a": 1}, id="an object of numbers"),
        pytest.param(dict[str, Any], {"a": {1}}, {"a": {1}}, id="anything at all"),
        pytest.param(Literal[1, "a"], 1, 1, id="a literal"),
    ],
)
def test_what_fits_is_taken(kind: Any, value: Any, expected: Any) -> None:
    """With its type, not only its value."""
    structured = CONVERTER.structure(value, kind)
    assert (structured, type(structured)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        pytest.param(bool, "no", id="'no' is not True"),
        pytest.param(bool, 1, id="1 is not True"),
        pytest.param(bool, None, id="null is not False"),
        pytest.param(str, 7, id="7 is not '7'"),
        pytest.param(str, None, id="null is not text"),
        pytest.param(str, b"7", id="bytes are not text"),
        pytest.param(int, True, id="True is not 1"),
        pytest.param(int, "1", id="'1' is not 1"),
        pytest.param(int, 1.0, id="1.0 is not 1"),
        pytest.param(float, True, id="True is not 1.0"),
        pytest.param(float, "1.5", id="'1.5' is not 1.5"),
        pytest.param(int | None, False, id="False is not null"),
        pytest.param(list, "abc", id="text is no list"),
        pytest.param(list, {"a": 1}, id="an object is no list"),
        pytest.param(list[str], "abc", id="text is no list of text"),
        pytest.param(list[str], ("a",), id="a tuple is no list"),
        pytest.param(list[int], [1, True], id="a list is as strict as its items"),
        pytest.param(dict, [["a", 1]], id="pairs are no object"),
        pytest.param(dict, [], id="an empty list is no empty object"),
        pytest.param(dict[str, int], [["a", 1]], id="pairs are no object of numbers"),
        pytest.param(dict[str, int], {"a": "1"}, id="an object is as strict as its values"),
        pytest.param(dict[int, int], {"1": 1}, id="and as its keys, which are text in JSON"),
        pytest.param(Literal[1], True, id="a literal 1 is not True"),
        pytest.param(Literal[1], 1.0, id="a literal 1 is not 1.0"),
        pytest.param(Literal["a"], "b", id="another literal"),
        pytest.param(Literal["a"], ["a"], id="a list of a literal"),
    ],
)
def test_nothing_is_converted(kind: Any, value: Any) -> None:
    """What does not fit is an error, where cattrs by itself would make something of it."""
    with pytest.raises(TypeError, match=r"expected .*, got "):
        CONVERTER.structure(value, kind)


def test_a_class_takes_what_it_knows_and_ignores_the_rest() -> None:
    """Unknown fields are no fault: the other side may be newer."""
    wanted = User("ada", 36, ["a"], {"cpu": 2.0}, "admin", False)
    given_tree = {
        "name": "ada",
        "age": 36,
        "tags": ["a"],
        "limits": {"cpu": 2},
        "role": "admin",
        "active": False,
        "future": object(),
    }
    assert CONVERTER.structure(given_tree, User) == wanted


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({}, id="a required field is missing"),
        pytest.param({"name": None}, id="a required field is null"),
        pytest.param({"name": "a", "tags": None}, id="a list is null"),
        pytest.param({"name": "a", "active": "no"}, id="'no' in a field"),
        pytest.param({"name": "a", "role": "root"}, id="an unknown word"),
        pytest.param({"name": "a", "limits": {"cpu": "2"}}, id="deep inside"),
        pytest.param([], id="no object"),
        pytest.param("name", id="text"),
    ],
)
def test_a_class_is_as_strict_as_its_fields(tree: Any) -> None:
    """One field that does not fit is one too many."""
    with pytest.raises(ClassValidationError):
        CONVERTER.structure(tree, User)


@given(json_values)
@examples(100)
def test_any_is_passed_on_as_it_is(value: Any) -> None:
    """In both directions, without a copy."""
    assert CONVERTER.structure(value, Any) is value
    assert CONVERTER.unstructure(value, unstructure_as=Any) is value


def test_defaults_are_left_out() -> None:
    """What is None by default is not written."""
    assert CONVERTER.unstructure(User("ada")) == {"name": "ada"}


def test_exactly_does_not_take_subclasses() -> None:
    """Nor what merely behaves the same."""
    with pytest.raises(TypeError, match="expected int, got bool"):
        exactly(int)(False, None)
    value = ["a"]
    assert exactly(list)(value, None) is value


def test_two_converters_share_nothing() -> None:
    """A hook of one user is none of another's."""
    converter = strict_converter()
    converter.register_structure_hook(str, lambda value, _: f"<{value}>")
    assert converter.structure("a", str) == "<a>"
    assert CONVERTER.structure("a", str) == "a"
