"""Random types of the table, each with a strategy for its values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import itertools
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Generic, Literal, NewType, TypedDict, TypeVar, Union

import attrs
from hypothesis import strategies as st

from tests._session_values import json_values, texts

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Page(Generic[T]):
    """A generic, and recursive."""

    items: list[T]
    next: Page[T] | None = None


@attrs.frozen
class Circle:
    """A member of a discriminated union."""

    radius: float
    shape: Literal["circle"] = "circle"


@dataclasses.dataclass
class Square:
    """A member of a discriminated union."""

    side: float
    shape: Literal["square", "box"]


@attrs.frozen
class Typed:
    """A type and what makes its values."""

    type: Any
    values: st.SearchStrategy[Any]
    exact: bool = True
    """Whether its schema says all: not the form of a text, nor what Python holds for equal in a set."""


# Far from the ends of the calendar, where an offset leads out of it.
_moments: Final = st.datetimes(
    datetime.datetime(1000, 1, 1),
    datetime.datetime(9000, 1, 1),
    timezones=st.builds(
        datetime.timezone, st.integers(-1439, 1439).map(lambda minutes: datetime.timedelta(minutes=minutes))
    ),
)
_floats: Final = st.floats(allow_nan=False, allow_infinity=False)
_integers: Final = st.integers(-(2**63), 2**64 - 1)

_SCALARS: Final = [
    Typed(type(None), st.none()),
    Typed(bool, st.booleans()),
    Typed(int, _integers),
    Typed(float, _floats),
    Typed(str, texts),
    Typed(Color, st.sampled_from(Color)),
    Typed(Level, st.sampled_from(Level)),
    Typed(Literal["a", 1, None], st.sampled_from(["a", 1, None])),
    Typed(Literal[True], st.just(True)),
    Typed(UserId, _integers),
    Typed(Annotated[str, "whatever"], texts),
    Typed(datetime.datetime, _moments, exact=False),
    Typed(datetime.date, st.dates(), exact=False),
    Typed(uuid.UUID, st.uuids(), exact=False),
]
_ANYTHING: Final = [Typed(Any, json_values), Typed(list, st.lists(json_values, max_size=3)), Typed(dict, st.just({}))]
_UNIONS: Final = [
    Typed(int | float | None, st.none() | _integers | _floats),
    Typed(Union[str, list[str], bool], st.booleans() | texts | st.lists(texts, max_size=2)),  # noqa: UP007
    Typed(
        Circle | Square | None,
        st.none() | st.builds(Circle, _floats) | st.builds(Square, _floats, st.sampled_from(["square", "box"])),
    ),
]

_names = (f"Made{number}" for number in itertools.count())


def _list(item: Typed) -> Typed:
    return Typed(list[item.type], st.lists(item.values, max_size=3), item.exact)  # type: ignore[name-defined]


def _sequence(item: Typed) -> Typed:
    return Typed(Sequence[item.type], st.lists(item.values, max_size=3), item.exact)  # type: ignore[name-defined]


def _tuple(item: Typed) -> Typed:
    values = st.lists(item.values, max_size=3).map(tuple)
    return Typed(tuple[item.type, ...], values, item.exact)  # type: ignore[name-defined]


def _pair(item: Typed, other: Typed) -> Typed:
    return Typed(tuple[item.type, other.type], st.tuples(item.values, other.values), item.exact and other.exact)  # type: ignore[name-defined]


def _dict(item: Typed) -> Typed:
    return Typed(dict[str, item.type], st.dictionaries(texts, item.values, max_size=3), item.exact)  # type: ignore[name-defined]


def _mapping(item: Typed) -> Typed:
    return Typed(Mapping[str, item.type], st.dictionaries(texts, item.values, max_size=3), item.exact)  # type: ignore[name-defined]


def _optional(item: Typed) -> Typed:
    return Typed(item.type | None if item.type is not None else None, st.none() | item.values, item.exact)


def _page(item: Typed) -> Typed:
    items = st.lists(item.values, max_size=2)
    return Typed(Page[item.type], st.builds(Page, items, st.none() | st.builds(Page, items)), item.exact)  # type: ignore[name-defined]


def _attrs(item: Typed, other: Typed) -> Typed:
    fields = {"item": attrs.field(type=item.type), "other": attrs.field(type=other.type, default=None)}
    made = attrs.make_class(next(_names), fields)
    return Typed(made, st.builds(made, item.values, other.values), item.exact and other.exact)


def _dataclass(item: Typed, other: Typed) -> Typed:
    made = dataclasses.make_dataclass(next(_names), [("item", item.type), ("_other", other.type)])
    return Typed(made, st.builds(made, item.values, other.values), item.exact and other.exact)


def _typed_dict(item: Typed, other: Typed) -> Typed:
    made = TypedDict(next(_names), {"item": item.type, "other-one": other.type}, total=False)  # type: ignore[misc]
    values = st.fixed_dictionaries({}, optional={"item": item.values, "other-one": other.values})
    return Typed(made, values, item.exact and other.exact)


def _wrap(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    one = st.sampled_from([_list, _sequence, _tuple, _dict, _mapping, _page])
    two = st.sampled_from([_pair, _attrs, _dataclass, _typed_dict])
    return st.one_of(
        st.builds(lambda make, item: make(item), one, inner),
        st.builds(lambda make, item, other: make(item, other), two, inner, inner),
    )


_scalars: Final = st.sampled_from(_SCALARS)
_hashable: Final = st.sampled_from([each for each in _SCALARS if each.type is not Any])
_sets: Final = _hashable.map(
    lambda item: Typed(frozenset[item.type], st.frozensets(item.values, max_size=3), exact=False)  # type: ignore[name-defined]
)
_leaves: Final = st.one_of(
    _scalars,
    _scalars.filter(lambda item: item.type is not type(None)).map(_optional),
    st.sampled_from(_ANYTHING),
    st.sampled_from(_UNIONS),
    _sets,
)

types: Final[st.SearchStrategy[Typed]] = st.recursive(_leaves, _wrap, max_leaves=4)
"""Types of the table, deep ones too."""


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Typed, Any]:
    """A type and a value of it."""
    chosen = draw(types)
    return chosen, draw(chosen.values)
