"""Arrays and objects of one type: lists, tuples, sets, and mappings with text keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from iii_trio._types.shape import Compiler, Hook, Shape, UnknownType, as_it_is, elements, members
from iii_trio._values.strict import exactly

_ARRAY: Final[frozenset[type]] = frozenset({list})
_OBJECT: Final[frozenset[type]] = frozenset({dict})
_array = exactly(list)
_object = exactly(dict)


def is_container(*containers: Any) -> Callable[[Any], bool]:
    """Whether a type is one of these, with or without what is in it."""

    def matches(type_: Any) -> bool:
        return (get_origin(type_) or type_) in containers

    return matches


def list_shape(type_: Any, compiler: Compiler) -> Shape:
    """A list, and a `Sequence`, which is made a list."""
    return _array_of(_item(type_, compiler), None)


def tuple_shape(type_: Any, compiler: Compiler) -> Shape:
    """``tuple[X, ...]`` of any length, or a tuple of so many."""
    arguments = get_args(type_)
    if get_origin(type_) is None or arguments[-1:] == (...,):
        return _array_of(_item(type_, compiler), tuple)
    shapes = [compiler.shape(argument) for argument in arguments]
    hooks = [shape.structure for shape in shapes]
    count = len(hooks)

    def structure(value: Any, _: Any) -> Any:
        items = _array(value, None)
        if len(items) != count:
            raise ValueError(f"expected {count} items, got {len(items)}")
        return tuple(elements(zip(range(count), items, hooks, strict=True)))

    schemas = [shape.schema for shape in shapes]
    prefix = {"prefixItems": schemas} if schemas else {}
    return Shape(structure, {"type": "array", **prefix, "minItems": count, "maxItems": count}, _ARRAY)


def set_shape(type_: Any, compiler: Compiler) -> Shape:
    """A set or frozenset: an array in which nothing stands twice."""
    kind = get_origin(type_) or type_
    item = _item(type_, compiler)
    if item.takes is None or item.takes & {list, dict}:
        raise UnknownType(f"{_name(type_)} may hold what has no hash: a set has to be one of scalars")
    array = _array_of(item, None)

    def structure(value: Any, _: Any) -> Any:
        items = array.structure(value, None)
        made = kind(items)
        if len(made) != len(items):
            raise ValueError(f"expected each item once, got {len(items) - len(made)} again")
        return made

    return Shape(structure, {**array.schema, "uniqueItems": True}, _ARRAY)


def mapping_shape(type_: Any, compiler: Compiler) -> Shape:
    """A dict, and a `Mapping`, which is made a dict."""
    key, item = get_args(type_) or (str, Any)
    # In JSON, and for the encoder, nothing else is a key. The shape sees through the other names of a type.
    if compiler.shape(key).schema != {"type": "string"}:
        raise UnknownType(f"{_name(type_)} has keys that are no text: JSON knows no other")
    shape = compiler.shape(item)
    hook = shape.structure
    if hook is as_it_is:
        return Shape(_object, {"type": "object"}, _OBJECT)

    def structure(value: Any, _: Any) -> Any:
        return members((name, item, hook) for name, item in _object(value, None).items())

    return Shape(structure, {"type": "object", "additionalProperties": shape.schema}, _OBJECT)


def _item(type_: Any, compiler: Compiler) -> Shape:
    arguments = get_args(type_)
    return compiler.shape(arguments[0] if arguments else Any)


def _array_of(item: Shape, make: Callable[[list[Any]], Collection[Any]] | None) -> Shape:
    hook: Hook = item.structure
    if hook is as_it_is:
        plain = _array if make is None else lambda value, _: make(_array(value, None))
        return Shape(plain, {"type": "array"}, _ARRAY)

    def structure(value: Any, _: Any) -> Any:
        items = elements((index, element, hook) for index, element in enumerate(_array(value, None)))
        return items if make is None else make(items)

    return Shape(structure, {"type": "array", "items": item.schema}, _ARRAY)


def _name(type_: Any) -> str:
    return type_.__name__ if isinstance(type_, type) else str(type_)


LISTS: Final = (list, Sequence)
TUPLES: Final = (tuple,)
SETS: Final = (set, frozenset)
MAPPINGS: Final = (dict, Mapping)
