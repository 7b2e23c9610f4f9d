"""What a JSON value must be so that the engine decodes it unchanged, and where it is not.

The limits are the engine's: 64-bit integers, finite numbers, text without lone surrogates, text keys, and 127 containers
inside each other, the frame included (docs/wire.md, "What the engine cannot decode").
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import uuid
from collections.abc import Iterator
from typing import Any, Final

import attrs

from iii_trio._values.building import LEFT_OUT
from iii_trio._values.refs import LiveRef
from iii_trio.errors import PayloadError

MAX_NESTING: Final = 127
"""Containers inside each other that the engine's decoder takes, the frame itself included."""

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1

# What the encoder writes by itself, and without fail.
_HARMLESS: Final = frozenset({str, int, bool, type(None)})
_SCALARS: Final = (bool, type(None), uuid.UUID)


def jsonable(value: Any) -> Any:
    """What stands for `value` in JSON, one level deep, where the encoder does not decide.

    An attrs or dataclass instance is its fields, a date or a time its ISO 8601 text, a set a list in some order.

    Raises:
        TypeError: Nothing does.
    """
    if isinstance(value, LiveRef):
        return value.give_away()
    kind = type(value)
    if attrs.has(kind):
        return _fields(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{kind.__name__} cannot be sent as JSON")


def _fields(value: Any) -> dict[str, Any]:
    """What an attrs instance has, without those None that stand for silence and not for null."""
    return {
        field.name: content
        for field in attrs.fields(type(value))
        if (content := getattr(value, field.name)) is not None or LEFT_OUT.keys().isdisjoint(field.metadata)
    }


def find_fault(value: Any, *, root: str) -> PayloadError | None:
    """The first place in one field of a frame that the engine could not decode, or None."""
    # Depth first with a stack of our own: a value may be nested deeper than Python recurses.
    pending: list[tuple[str, Any, int]] = [(root, value, 1)]
    while pending:
        path, current, depth = pending.pop()
        reason, children = _look(current)
        if reason is None and children is not None and depth + 1 > MAX_NESTING:
            reason = f"nested deeper than {MAX_NESTING - 1} levels"
        if reason is not None:
            return PayloadError(reason, path=path)
        if children is not None:
            pending.extend(reversed([(f"{path}{step}", child, depth + 1) for step, child in children]))
    return None


def is_plain(value: Any, max_values: int) -> bool:
    """Whether a look at no more than `max_values` values shows that there is no fault which the encoder lets pass.

    A long text is looked at in no time, while a search for ``null`` in what it was encoded to takes long.
    """
    level = [value]
    for _ in range(MAX_NESTING):
        below: list[Any] = []
        max_values -= len(level)
        for each in level:
            kind = type(each)
            if kind is dict:
                below += each.values()
            elif kind is list or kind is tuple:
                below += each
            elif kind is float:
                if not math.isfinite(each):
                    return False
            elif kind not in _HARMLESS:
                return False
            if len(below) > max_values:
                return False
        if not below:
            return True
        level = below
    return False


def _look(value: Any) -> tuple[str | None, Iterator[tuple[str, Any]] | None]:
    """What is wrong with `value` itself, and its children when it is a container."""
    if isinstance(value, enum.Enum):
        return _look(value.value)
    if isinstance(value, str):
        return (None if _is_unicode(value) else "text with a lone surrogate"), None
    if type(value) in _SCALARS:
        return None, None
    if isinstance(value, int):
        return (None if _MIN_INT <= value <= _MAX_INT else "integer outside the 64-bit range"), None
    if type(value) is float:
        return (None if math.isfinite(value) else f"{value} is not a JSON number"), None
    return _look_inside(value)


def _look_inside(value: Any) -> tuple[str | None, Iterator[tuple[str, Any]] | None]:
    # The encoder takes subclasses of list and dict, but neither of tuple and float, nor of str as a key.
    if isinstance(value, list) or type(value) is tuple:
        return None, ((f"[{index}]", child) for index, child in enumerate(value))
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                return f"key {key!r} of type {type(key).__name__} is not text", None
            if not _is_unicode(key):
                return f"key {key!r} has a lone surrogate", None
        return None, ((f".{key}", child) for key, child in value.items())
    try:
        simpler = jsonable(value)
    except Exception as error:  # reading a value runs code of the user's: a property, a time zone
        return str(error) or f"{type(value).__name__} cannot be read: {error!r}", None
    return _look(simpler)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
