"""The input of a builtin: an object is read into named values, and what does not fit is refused in the engine's words.

Unknown fields are ignored, an optional one may be null, and an array is read as the fields in order. An object is read
in the order of its sorted keys, so that is the order in which faults are found (docs/engine.md, "Builtins").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from iii_trio._embedded.registry import Refusal

_MAX_U32: Final = 2**32 - 1

Kind: TypeAlias = Callable[[Any], Any]
"""Takes a JSON value, and returns it or raises `ValueError` in the engine's words."""


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def debug(text: str) -> str:
    """Text in quotes, as the engine's messages show it."""
    return f'"{"".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def _found(value: Any) -> str:
    """What a value is, in the engine's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{json.dumps(value)}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value!r}`"
    if isinstance(value, str):
        return f"string {debug(value)}"
    return "sequence" if isinstance(value, list) else "map"


def _wrong_type(value: Any, expected: str) -> ValueError:
    return ValueError(f"invalid type: {_found(value)}, expected {expected}")


def anything(value: Any) -> Any:
    """Any JSON value."""
    return value


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise _wrong_type(value, "a string")
    return value


def flag(value: Any) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise _wrong_type(value, "a boolean")
    return value


def u32(value: Any) -> int:
    """An unsigned 32-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(value, "u32")
    if not 0 <= value <= _MAX_U32:
        raise ValueError(f"invalid value: integer `{value}`, expected u32")
    return value


def texts(value: Any) -> list[str]:
    """An array of strings."""
    if not isinstance(value, list):
        raise _wrong_type(value, "a sequence")
    return [text(element) for element in value]


@attrs.frozen
class Field:
    """One field of an input."""

    name: str
    kind: Kind
    required: bool = False
    may_end: bool = True
    """Whether an array may end before it."""
    nullable: bool = True
    """Whether null is as good as absent, where it is not required."""

    @property
    def refuses_null(self) -> bool:
        """Whether null is a value like others, for its kind to take or not."""
        return self.required or not self.nullable


@attrs.frozen
class Input:
    """The input of one builtin."""

    struct: str
    """Its name in the engine's messages."""
    fields: tuple[Field, ...]

    def read(self, data: Any) -> dict[str, Any]:
        """A value for every field: None for what is absent or null.

        Raises:
            ValueError: It does not fit; in the engine's words.
        """
        if isinstance(data, list):
            return self._read_array(data)
        if not isinstance(data, dict):
            raise _wrong_type(data, f"struct {self.struct}")
        values: dict[str, Any] = {}
        for field in sorted(self.fields, key=lambda field: field.name):
            value = data.get(field.name)
            if value is not None or (field.refuses_null and field.name in data):
                value = field.kind(value)
            values[field.name] = value
        for field in self.fields:
            if field.required and field.name not in data:
                raise ValueError(f"missing field `{field.name}`")
        return values

    def _read_array(self, data: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = dict.fromkeys(field.name for field in self.fields)
        for index, field in enumerate(self.fields):
            if index < len(data):
                if field.refuses_null or data[index] is not None:
                    values[field.name] = field.kind(data[index])
            elif field.required or not field.may_end:
                count = f"{len(self.fields)} element{'s' if len(self.fields) != 1 else ''}"
                raise ValueError(f"invalid length {index}, expected struct {self.struct} with {count}")
        if len(data) > len(self.fields):
            raise ValueError(f"invalid length {len(data)}, expected fewer elements in array")
        return values


def read(function_id: str, shape: Input, data: Any) -> dict[str, Any]:
    """The input of a call of a builtin.

    Raises:
        Refusal: It does not fit.
    """
    try:
        return shape.read(data)
    except ValueError as error:
        message = f"Failed to deserialize input for {function_id}: {error}"
        raise Refusal("deserialization_error", message) from None
