"""What annotations mean: where names are looked up, and what stands in the place of type variables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import attrs
import pytest

from iii_trio._types.hints import argument_of, field_types, resolve, scope_of, substitute
from iii_trio._types.shape import UnknownType

T = TypeVar("T")
U = TypeVar("U")


@attrs.frozen
class Pair(Generic[T, U]):
    first: T
    second: Annotated[list[U], "words"]


@attrs.frozen
class Half(Pair[int, T], Generic[T]):
    third: T | None


def _decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@_decorated
def _function() -> None: ...


@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        pytest.param("int | None", int | None, id="text"),
        pytest.param(list["Pair[int, str]"], list[Pair[int, str]], id="text-inside"),
        pytest.param(None, type(None), id="none"),
        pytest.param(int, int, id="no-text"),
    ],
)
def test_an_annotation_that_is_text_means_what_its_module_says(annotation: Any, meant: Any) -> None:
    """Also inside of others, and behind a decorator."""
    assert resolve(annotation, scope_of(_function)) == meant
    assert resolve(annotation, scope_of(Pair)) == meant


def test_a_name_that_the_module_does_not_have_is_refused() -> None:
    """With the name, and where it would have to be."""
    with pytest.raises(UnknownType, match=r"name 'Nowhere' is not defined.*names of its module"):
        resolve("list[Nowhere]", scope_of(_function))


@pytest.mark.parametrize("annotation", ["1 +", "int[", "len(3)"])
def test_text_that_is_no_annotation_is_refused(annotation: str) -> None:
    """Whatever Python says of it."""
    with pytest.raises(UnknownType, match="cannot be read"):
        resolve(annotation, scope_of(_function))


def test_what_has_no_module_has_no_names() -> None:
    """Its annotations can be no text."""
    assert dict(scope_of(functools.partial(_function))) == vars(functools)
    assert dict(scope_of(object())) == {}


def test_the_arguments_of_a_generic_stand_for_its_variables() -> None:
    """In its own fields and in those of its bases, each by what the variable means there."""
    assert field_types(Pair[int, str]) == {"first": int, "second": list[str]}
    assert field_types(Half[str]) == {"first": int, "second": list[str], "third": str | None}
    assert field_types(Pair) == {"first": T, "second": list[U]}  # type: ignore[valid-type]


class Text(Half["str"]):
    """A class that says in text what a variable of its base is."""


class Lost(Half["Nobody"]):  # type: ignore[name-defined]
    """One that says what does not exist."""


def test_the_argument_of_a_base_is_found_in_the_class() -> None:
    """However far down it is said; where it is not said it stays a variable."""
    assert argument_of(Half[int], Half) is int
    assert argument_of(Text, Half) is str
    assert argument_of(Half, Half) is T
    with pytest.raises(UnknownType, match="Nobody"):
        argument_of(Lost, Half)


def test_only_what_is_given_is_filled_in() -> None:
    """Other variables stay."""
    of_two: Any = dict[str, list[T] | U]  # type: ignore[valid-type]
    assert substitute(of_two, {T: int}) == of_two[int, U]
    assert substitute(int, {T: int}) is int
    assert substitute(Pair, {T: int}) is Pair
