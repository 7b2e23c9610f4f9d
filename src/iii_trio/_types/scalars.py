"""Types that are one JSON value: primitives, enums and literals, and what is written as text.

A date and time has to say its offset from UTC (RFC 3339): without it the text means another moment on every machine.
"""

from __future__ import annotations

import datetime
import enum
import re
import reprlib
import uuid
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, get_args

from iii_trio._types.shape import Schema, Shape, UnknownType
from iii_trio._values.strict import exactly, literal, number

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Go and Rust write nanoseconds, of which Python keeps the microseconds.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_JSON_NAMES: Final[Mapping[type, str]] = {
    NoneType: "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _written(pattern: re.Pattern[str], words: str, read: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
    """A hook for a type that is text of one form."""
    text = exactly(str)

    def structure(value: Any, _: Any) -> Any:
        if not pattern.fullmatch(text(value, None)):
            raise ValueError(f"expected {words}, got {reprlib.repr(value)}")
        try:
            return read(value)
        except ValueError as error:  # the thirtieth of February
            raise ValueError(f"expected {words}, got {value!r}: {error}") from None

    return structure


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.upper())


def _scalar(kind: type, structure: Callable[[Any, Any], Any], **more: Any) -> Shape:
    return Shape(structure, {"type": _JSON_NAMES[kind], **more}, frozenset({kind}))


SCALARS: Final[Mapping[Any, Shape]] = {
    NoneType: _scalar(NoneType, literal(None)),
    bool: _scalar(bool, exactly(bool)),
    int: _scalar(int, exactly(int)),
    float: _scalar(float, number),
    str: _scalar(str, exactly(str)),
    datetime.datetime: _scalar(
        str, _written(_MOMENT, "an RFC 3339 date and time with its offset", _moment), format="date-time"
    ),
    datetime.date: _scalar(str, _written(_DATE, "an ISO 8601 date", datetime.date.fromisoformat), format="date"),
    uuid.UUID: _scalar(str, _written(_UUID, "a UUID", uuid.UUID), format="uuid"),
}


def is_enum(type_: Any) -> bool:
    """Whether `type_` is a class of an enum. A flag is one too, and refused: its sums are no members."""
    return isinstance(type_, enum.EnumMeta)


def enum_shape(type_: Any, _: Any) -> Shape:
    """An enum is its value."""
    if issubclass(type_, enum.Flag):
        raise UnknownType(f"{type_.__name__} is a flag, whose sums have no value of their own: take an int")
    values = [member.value for member in type_]
    if not values or any(type(value) not in (str, int, bool) for value in values):
        raise UnknownType(f"{type_.__name__} has no values, or some that are neither text, whole numbers nor booleans")
    take = literal(*values)
    by_value = {(type(member.value), member.value): member for member in type_}

    def structure(value: Any, _: Any) -> Any:
        return by_value[type(value), take(value, None)]

    return Shape(structure, _choice(values), frozenset(map(type, values)))


def literal_shape(type_: Any, _: Any) -> Shape:
    """A literal is one of the values that it lists."""
    values = get_args(type_)
    if any(type(value) not in (str, int, bool, NoneType) for value in values):
        raise UnknownType(f"{type_} lists what is no JSON value: take an enum as itself, and bytes as text")
    return Shape(literal(*values), _choice(values), frozenset(map(type, values)))


def _choice(values: Any) -> Schema:
    kinds = sorted({_JSON_NAMES[type(value)] for value in values})
    return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": list(values)}
