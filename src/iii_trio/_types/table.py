"""The table itself: which annotations there are, and what each takes. Structuring and JSON Schema both come from it.

The first row that matches decides. What no row matches is refused, so that no handler gets what nobody checked.
"""

from __future__ import annotations

import decimal
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, NewType, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import transform_error

from iii_trio._types.classes import class_shape, is_class, is_typed_dict, typed_dict_shape
from iii_trio._types.containers import (
    LISTS,
    MAPPINGS,
    SETS,
    TUPLES,
    is_container,
    list_shape,
    mapping_shape,
    set_shape,
    tuple_shape,
)
from iii_trio._types.hints import resolve, scope_of, substitute
from iii_trio._types.refs import is_live, is_ref, live_shape, ref_shape
from iii_trio._types.scalars import SCALARS, enum_shape, is_enum, literal_shape
from iii_trio._types.shape import Compiler, Hook, Schema, Shape, UnknownType, as_it_is
from iii_trio._types.unions import is_union, union_shape

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
"""The JSON Schema that is written, which the official SDKs write too."""

MAX_FAULTS: Final = 3
"""Faults of one value that are told; a list may have as many as items."""

Row: TypeAlias = tuple[Callable[[Any], bool], Callable[[Any, Compiler], Shape]]


class Misfit(Exception):
    """A value that does not fit its type. Its text names the faults and their paths; it never leaves the package."""


@attrs.frozen(eq=False)
class Typed:
    """An annotation as the table sees it."""

    _hook: Hook
    schema: Schema | None
    """JSON Schema of what it takes, with its dialect; None when it takes anything."""

    @property
    def is_any(self) -> bool:
        """Whether it takes anything, and passes it on untouched."""
        return self._hook is as_it_is

    def structure(self, value: Any) -> Any:
        """The value that JSON stands for.

        Raises:
            Misfit: It does not fit.
        """
        try:
            return self._hook(value, None)
        except Exception as error:  # what hooks raise, and what validators of a user's class do
            raise Misfit(_faults(error)) from None


def typed(type_: Any) -> Typed:
    """Look an annotation up.

    Raises:
        UnknownType: The table has no row for it, or for a type in it.
    """
    try:
        hash(type_)
    except TypeError:  # an annotation with an extra that has none, or no type at all
        return _typed.__wrapped__(type_)
    return _typed(type_)


@functools.lru_cache(maxsize=1024)
def _typed(type_: Any) -> Typed:
    compiler = _Compiler()
    shape = compiler.shape(type_)
    return Typed(shape.structure, compiler.document(shape))


# ---- types that are others by another name --------------------------------------------------------------------------


def _is_qualified(type_: Any) -> bool:
    # What else is written there is for others.
    origin: Any = get_origin(type_)
    return origin in (Annotated, Final)


def _is_alias(type_: Any) -> bool:
    # The `type` statement of Python 3.12. A generic one is an alias of its alias.
    return type(get_origin(type_) or type_).__name__ == "TypeAliasType"


def _alias_shape(type_: Any, compiler: Compiler) -> Shape:
    alias = get_origin(type_) or type_
    try:
        value = alias.__value__  # it is evaluated here
    except NameError as error:
        raise UnknownType(f"the alias {alias.__name__}: {error}") from None
    meant = substitute(resolve(value, scope_of(alias)), dict(zip(alias.__type_params__, get_args(type_), strict=False)))
    return compiler.named(type_, lambda: compiler.shape(meant), takes=None, tags={})


def _variable_shape(type_: Any, compiler: Compiler) -> Shape:
    """A type variable that nobody filled in is its bound, one of its constraints, or anything."""
    if type_.__constraints__:
        return compiler.shape(Union[type_.__constraints__])  # noqa: UP007 - made of a tuple
    return compiler.shape(Any if type_.__bound__ is None else type_.__bound__)


def _is_instance(kind: Any) -> Callable[[Any], bool]:
    return lambda type_: isinstance(type_, kind)


# ---- the table ------------------------------------------------------------------------------------------------------


def _is_any(type_: Any) -> bool:
    return type_ is Any or type_ is object


def _is_scalar(type_: Any) -> bool:
    return type_ is None or (inspect.isclass(type_) and type_ in SCALARS)


def _is_literal(type_: Any) -> bool:
    origin: Any = get_origin(type_)
    return origin is Literal


TABLE: Final[tuple[Row, ...]] = (
    (_is_any, lambda _, compiler: Shape(as_it_is, {}, None)),
    (_is_scalar, lambda type_, _: SCALARS[type_ or type(None)]),
    (_is_qualified, lambda type_, compiler: compiler.shape(get_args(type_)[0])),
    (_is_instance(NewType), lambda type_, compiler: compiler.shape(type_.__supertype__)),
    (_is_instance(TypeVar), _variable_shape),
    (_is_alias, _alias_shape),
    (is_union, union_shape),
    (_is_literal, literal_shape),
    (is_enum, enum_shape),
    (is_container(*LISTS), list_shape),
    (is_container(*TUPLES), tuple_shape),
    (is_container(*SETS), set_shape),
    (is_container(*MAPPINGS), mapping_shape),
    (is_typed_dict, typed_dict_shape),
    (is_live, live_shape),
    (is_ref, ref_shape),
    (is_class, class_shape),
)

_REASONS: Final[Mapping[Any, str]] = {
    bytes: "JSON has no bytes: take text, and agree on how they are written in it",
    bytearray: "JSON has no bytes: take text, and agree on how they are written in it",
    decimal.Decimal: "a decimal would have been a float on its way: take text",
    complex: "JSON has no complex numbers: take a tuple of two floats",
}


# ---- looking a type up ----------------------------------------------------------------------------------------------


class _Compiler:
    """Looks up one annotation and all types in it, and keeps those that have a name for ``$defs``."""

    def __init__(self) -> None:
        self._named: dict[Any, Shape] = {}
        self._definitions: dict[str, Schema] = {}
        self._repeated: set[str] = set()

    def shape(self, type_: Any) -> Shape:
        """The shape of a type. Raises `UnknownType`."""
        for matches, make in TABLE:
            if matches(type_):
                return make(type_, self)
        name = type_.__qualname__ if inspect.isclass(type_) else repr(type_)
        reason = _REASONS.get(type_) if inspect.isclass(type_) else None
        raise UnknownType(f"{name} is no type that a value can have here" + (f"; {reason}" if reason else ""))

    def named(
        self,
        type_: Any,
        build: Callable[[], Shape],
        *,
        takes: frozenset[type] | None,
        tags: Mapping[str, tuple[str, ...]],
    ) -> Shape:
        """The shape of a type that may contain itself; built once, and referred to by its name."""
        if type_ in self._named:
            known = self._named[type_]
            self._repeated.add(known.schema["$ref"])
            return known
        key = self._new_key(type_)
        built: list[Hook] = []
        ref = {"$ref": f"#/$defs/{key}"}
        self._named[type_] = Shape(lambda value, _: built[0](value, None), ref, takes, tags)
        made = build()
        if takes is None and ref["$ref"] not in self._repeated:  # an alias that does not contain itself
            del self._named[type_], self._definitions[key]
            return made
        built.append(made.structure)
        self._definitions[key] = made.schema
        self._named[type_] = Shape(made.structure, ref, made.takes, tags)
        return self._named[type_]

    def document(self, shape: Shape) -> Schema | None:
        """The whole schema of a shape, the definitions to which it refers included; None when it says nothing."""
        if not shape.schema:
            return None
        definitions = dict(self._definitions)
        root = shape.schema
        if root.keys() == {"$ref"}:
            # Readers look for the fields at the top, and follow no reference to them.
            key = root["$ref"].rpartition("/")[2]
            root = definitions[key] if shape.schema["$ref"] in self._repeated else definitions.pop(key)
        return {"$schema": DIALECT, **root, **({"$defs": definitions} if definitions else {})}

    def _new_key(self, type_: Any) -> str:
        plain = type_.__name__ if inspect.isclass(type_) else re.sub(r"[\w.]*\.|<locals>\.", "", str(type_))
        name = re.sub(r"\W+", "_", plain).strip("_")
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        key = next(key for key in itertools.chain([name], numbered) if key not in self._definitions)
        self._definitions[key] = {}
        return key


def _faults(error: Exception) -> str:
    told = transform_error(error, format_exception=_words)
    more = len(told) - MAX_FAULTS
    return "; ".join(told[:MAX_FAULTS]) + (f"; and {more} more" if more > 0 else "")


def _words(error: BaseException, _: Any) -> str:
    return "required field missing" if isinstance(error, KeyError) else str(error)
