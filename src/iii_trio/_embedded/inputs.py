"""The input of a builtin: an object is read into named values, and what does not fit is refused in the engine's words.

Unknown fields are ignored, an optional one may be null, and an array is read as the fields in order. An object is read
in the order of its sorted keys, so that is the order in which faults are found (docs/engine.md, "Builtins").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from iii_trio._embedded.connection import Connection
from iii_trio._embedded.registry import Function, Refusal
from iii_trio._wire.messages import ErrorBody, Json

_MAX_U32: Final = 2**32 - 1
_MAX_U64: Final = 2**64 - 1
_MIN_I64: Final = -(2**63)
_MAX_I64: Final = 2**63 - 1

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


def debug_error(error: ErrorBody) -> str:
    """An error inside the text of another one."""
    stacktrace = "None" if error.stacktrace is None else f"Some({debug(error.stacktrace)})"
    return f"ErrorBody {{ code: {debug(error.code)}, message: {debug(error.message)}, stacktrace: {stacktrace} }}"


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


def wrong_type(value: Any, expected: str) -> ValueError:
    """What to raise for a value of another type."""
    return ValueError(f"invalid type: {_found(value)}, expected {expected}")


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    return value


def flag(value: Any) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise wrong_type(value, "a boolean")
    return value


def u32(value: Any) -> int:
    """An unsigned 32-bit integer."""
    return _whole(value, "u32", 0, _MAX_U32)


def u64(value: Any) -> int:
    """An unsigned 64-bit integer."""
    return _whole(value, "u64", 0, _MAX_U64)


def usize(value: Any) -> int:
    """An unsigned integer that counts something."""
    return _whole(value, "usize", 0, _MAX_U64)


def i64(value: Any) -> int:
    """A signed 64-bit integer."""
    return _whole(value, "i64", _MIN_I64, _MAX_I64)


def _whole(value: Any, expected: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, expected)
    if not lowest <= value <= highest:
        raise ValueError(f"invalid value: integer `{value}`, expected {expected}")
    return value


def anything(value: Any) -> Any:
    """Whatever it is, null included."""
    return value


def many(kind: Kind) -> Kind:
    """An array of one kind of elements."""

    def read_array(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise wrong_type(value, "a sequence")
        return [kind(element) for element in value]

    return read_array


texts: Final = many(text)


@attrs.frozen
class Field:
    """One field of an input."""

    name: str
    kind: Kind
    required: bool = False
    may_end: bool = True
    """Whether an array may end before it."""
    alias: str | None = None
    """A second name."""
    default: Any = None
    """Its value when it is left out. With another one than None it may not be null."""

    @property
    def may_be_null(self) -> bool:
        """Whether null is the same as leaving it out."""
        return not self.required and self.default is None


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
            raise wrong_type(data, f"struct {self.struct}")
        named = {
            name: field
            for field in self.fields
            for name in (field.name, field.alias)
            if name is not None and name in data
        }
        values: dict[str, Any] = {}
        for name in sorted(named):
            field, value = named[name], data[name]
            if field.name in values:
                raise ValueError(f"duplicate field `{field.name}`")
            values[field.name] = None if value is None and field.may_be_null else field.kind(value)
        for field in self.fields:
            if field.required and field.name not in values:
                raise ValueError(f"missing field `{field.name}`")
            values.setdefault(field.name, field.default)
        return values

    def _read_array(self, data: list[Any]) -> dict[str, Any]:
        values: dict[str, Any] = {field.name: field.default for field in self.fields}
        for index, field in enumerate(self.fields):
            if index < len(data):
                if data[index] is not None or not field.may_be_null:
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


def reading(
    worker: str, function_id: str, description: str, shape: Input, run: Callable[[dict[str, Any]], Json]
) -> Function:
    """A builtin of `worker` that gets its input as named values, and does not ask who calls."""

    def read_and_run(_: Connection | None, data: Json) -> Json:
        return run(read(function_id, shape, data))

    return Function(id=function_id, description=description, run=read_and_run, worker=worker)
