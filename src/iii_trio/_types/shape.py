"""What the table says of one type: how its values are made of JSON, and which JSON that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import attrs
from cattrs import ClassValidationError, IterableValidationError
from cattrs.errors import AttributeValidationNote, IterableValidationNote

Hook: TypeAlias = Callable[[Any, Any], Any]
"""Makes a value of JSON, or raises. The second argument is cattrs' and of no use here."""

Schema: TypeAlias = dict[str, Any]


class UnknownType(Exception):
    """A type that the table does not have. Its text says which and why; it never leaves the package."""


@attrs.frozen(eq=False)
class Shape:
    """One type, both ways to see it."""

    structure: Hook
    schema: Schema
    takes: frozenset[type] | None
    """The classes of the JSON values that it may take, as the decoder makes them; None for any, or not known yet."""

    tags: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """The words that a field allows, for each field of an object that is a literal: they tell classes apart."""


class Compiler(Protocol):
    """Who knows the other types, for those that are made of them."""

    def shape(self, type_: Any) -> Shape:
        """The shape of another type. Raises `UnknownType`."""
        ...

    def named(
        self,
        type_: Any,
        build: Callable[[], Shape],
        *,
        takes: frozenset[type] | None,
        tags: Mapping[str, tuple[str, ...]],
    ) -> Shape:
        """The shape of a type that may contain itself; built once, and referred to by its name."""
        ...


def as_it_is(value: Any, _: Any) -> Any:
    """Takes anything, untouched."""
    return value


def missing(name: Any, _: Any) -> Any:
    """Stands in for the value of a member that is not there, and says so."""
    raise KeyError(name)


# cattrs keeps in these where a fault was found. Type checkers see plain text and plain groups.
_AT_INDEX: Final[Any] = IterableValidationNote
_IN_MEMBER: Final[Any] = AttributeValidationNote
_INVALID_ITEMS: Final[Any] = IterableValidationError
_INVALID_MEMBERS: Final[Any] = ClassValidationError


def elements(items: Iterable[tuple[int, Any, Hook]]) -> list[Any]:
    """Structure each item of an array, and raise all their faults together, each with its index."""
    done: list[Any] = []
    faults: list[Exception] = []
    for index, item, hook in items:
        try:
            done.append(hook(item, None))
        except Exception as fault:
            fault.add_note(_AT_INDEX(f"item {index}", index, None))
            faults.append(fault)
    if faults:
        raise _INVALID_ITEMS("items", faults, list)
    return done


def members(items: Iterable[tuple[str, Any, Hook]]) -> dict[str, Any]:
    """Structure each member of an object, and raise all their faults together, each with its name."""
    done: dict[str, Any] = {}
    faults: list[Exception] = []
    for name, item, hook in items:
        try:
            done[name] = hook(item, None)
        except Exception as fault:
            fault.add_note(_IN_MEMBER(f"member {name}", name, None))
            faults.append(fault)
    if faults:
        raise _INVALID_MEMBERS("members", faults, dict)
    return done
