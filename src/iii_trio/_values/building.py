"""How a value is made from what a caller gives: itself, a plain dict, or keywords. A fault is a `ConfigurationError`.

A dict is as strict as keywords are: a name that the value does not have is a spelling mistake, and refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import attrs

from iii_trio.errors import ConfigurationError

T = TypeVar("T")

LEFT_OUT: Final[Mapping[str, bool]] = {"iii_trio.left_out_when_none": True}
"""Metadata of a field that is not written when it is None, where null would say something else than silence."""


def build(cls: type[T], given: T | Mapping[str, Any] | None = None, /, **keywords: Any) -> T:
    """The value of class `cls` that was given as itself, as a dict, or as keywords.

    Raises:
        ConfigurationError: A field is unknown, missing or wrong, or a value came with keywords beside it.
    """
    if given is None:
        return _from_names(cls, keywords)
    if keywords:
        raise ConfigurationError(f"a {cls.__name__} that is given takes no {', '.join(keywords)} beside it")
    if isinstance(given, cls):
        return given
    if isinstance(given, Mapping):
        return _from_names(cls, given)
    raise ConfigurationError(f"a {cls.__name__} is made from itself or a dict, not from {type(given).__name__}")


def said(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that were given: those that are not None."""
    return {name: value for name, value in keywords.items() if value is not None}


def build_kind(kinds: Mapping[str, type[T]], given: T | Mapping[str, Any], what: str) -> T:
    """The value of one of several classes, which a dict tells apart by its ``type``.

    Raises:
        ConfigurationError: As `build`, and when the ``type`` is missing or none of `kinds`.
    """
    for cls in kinds.values():
        if isinstance(given, cls):
            return given
    if not isinstance(given, Mapping):
        names = " or ".join(cls.__name__ for cls in kinds.values())
        raise ConfigurationError(f"{what} is a dict, {names}, not {type(given).__name__}")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigurationError(f"the type of {what} must be {' or '.join(map(repr, kinds))}, not {kind!r}")
    return build(kinds[kind], given)


def _from_names(cls: type[T], given: Mapping[str, Any]) -> T:
    fields: Iterable[attrs.Attribute[Any]] = attrs.fields(cls)  # type: ignore[arg-type]  # a class of attrs, see above
    known = {field.name: field.default is attrs.NOTHING for field in fields}
    if unknown := [str(name) for name in given if name not in known]:
        raise ConfigurationError(f"{cls.__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    if missing := [name for name, required in known.items() if required and name not in given]:
        raise ConfigurationError(f"{cls.__name__} needs its {', '.join(missing)}")
    return cls(**given)
