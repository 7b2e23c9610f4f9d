"""Validators for the fields of values. Each raises `ConfigurationError` that names the class, the field and the fault."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from iii_trio.errors import ConfigurationError

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def refuse(instance: Any, attribute: attrs.Attribute[Any], fault: str) -> None:
    """Say that a field cannot have this value."""
    raise ConfigurationError(f"{type(instance).__name__}.{attribute.name} {fault}")


def text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Text that is not blank: the engine refuses blank ids and namespaces, or drops them without a word."""
    if not isinstance(value, str):
        refuse(instance, attribute, f"must be text, not {type(value).__name__}")
    elif not value.strip():
        refuse(instance, attribute, "must not be blank")


def path(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """The path of a file, as text or as a path object."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    text(instance, attribute, value)


def is_number(value: Any) -> bool:
    """Whether it is a number that can be reckoned with: True is none, and a whole one may be too large for a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def non_negative(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A number from zero to infinity."""
    between(0, math.inf)(instance, attribute, value)


def positive(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A number above zero; infinity too."""
    non_negative(instance, attribute, value)
    if value == 0:
        refuse(instance, attribute, "must be more than 0")


def between(low: float, high: float) -> Validator:
    """A number from `low` to `high`, both included."""

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            refuse(instance, attribute, f"must be a number, not {type(value).__name__}")
        elif not is_number(value):
            refuse(instance, attribute, "is too large; where it may be without end, that is math.inf")
        elif not low <= value <= high:
            refuse(instance, attribute, f"must be from {low} to {high}, not {value}")

    return validate


def whole(low: int, high: int | None = None) -> Validator:
    """A whole number of at least `low`, and of at most `high` if there is one."""

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            refuse(instance, attribute, f"must be a whole number, not {type(value).__name__}")
        elif value < low:
            refuse(instance, attribute, f"must be at least {low}{_instead(value)}")
        elif high is not None and value > high:
            refuse(instance, attribute, f"must be at most {high}{_instead(value)}")

    return validate


def _instead(value: int) -> str:
    return f", not {value}" if value.bit_length() <= 64 else ""  # Python refuses to write out the longest ones


def texts(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A list of text."""
    if not isinstance(value, list):
        refuse(instance, attribute, f"must be a list, not {type(value).__name__}")
    for index, item in enumerate(value):
        if not isinstance(item, str):
            refuse(instance, attribute, f"[{index}] must be text, not {type(item).__name__}")


def text_map(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """A dict from text to text."""
    if not isinstance(value, dict):
        refuse(instance, attribute, f"must be a dict, not {type(value).__name__}")
    for name, content in value.items():
        if not isinstance(name, str) or not isinstance(content, str):
            refuse(instance, attribute, f"must map text to text, not {name!r} to {type(content).__name__}")


def flag(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        refuse(instance, attribute, f"must be True or False, not {type(value).__name__}")


def function(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Something that can be called, and not an async function: the coroutine that it returns would never run."""
    if not callable(value):
        refuse(instance, attribute, f"must be callable, not {type(value).__name__}")
    elif inspect.iscoroutinefunction(value):
        refuse(instance, attribute, "must be a plain function, not an async one")


def one_of(*choices: Any) -> Validator:
    """One of the listed values."""

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in choices:
            refuse(instance, attribute, f"must be {' or '.join(map(repr, choices))}, not {value!r}")

    return validate


def instance(*types: type) -> Validator:
    """An instance of one of the listed classes."""

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if not isinstance(value, types):
            refuse(instance, attribute, f"must be {' or '.join(t.__name__ for t in types)}, not {type(value).__name__}")

    return validate


def optional(validator: Validator) -> Validator:
    """None, or what `validator` takes."""

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None:
            validator(instance, attribute, value)

    return validate
