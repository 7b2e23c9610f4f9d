"""Unions, of which every JSON value must fit one member at most: told by its JSON type, or by the tag of an object.

What cannot be told apart is refused. Trying one member after the other would make the answer depend on their order.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any, Final, Union, get_args, get_origin

from iii_trio._types.shape import Compiler, Hook, Schema, Shape, UnknownType, as_it_is, members, missing
from iii_trio._values.refs import LiveRef
from iii_trio._values.strict import literal

_NAMES: Final[Mapping[type, str]] = {
    types.NoneType: "null",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "an array",
    dict: "an object",
}


def is_union(type_: Any) -> bool:
    """Whether `type_` is a union, in either spelling; an optional is one with None."""
    return get_origin(type_) in (Union, types.UnionType)


def union_shape(type_: Any, compiler: Compiler) -> Shape:
    """A union, whose members must differ in what JSON they take."""
    shapes = [compiler.shape(argument) for argument in get_args(type_)]
    if any(shape.structure is as_it_is for shape in shapes):
        return Shape(as_it_is, {}, None)
    by_kind: dict[type, list[Shape]] = {}
    for shape in shapes:
        if shape.takes is None:
            raise UnknownType(f"{type_} contains itself without anything around it")
        for kind in shape.takes:
            by_kind.setdefault(kind, []).append(shape)
    # Null is None to every member that takes it.
    clear = {kind: claims[0] for kind, claims in by_kind.items() if len(claims) == 1 or kind is types.NoneType}
    hooks = {kind: shape.structure for kind, shape in clear.items()}
    schemas = {id(shape): shape.schema for shape in shapes}
    for kind, claims in by_kind.items():
        if kind not in clear:
            tag = _common_tag(claims) if kind is dict else None
            if tag is None:
                raise UnknownType(_ambiguous(type_, kind))
            hooks[kind] = _by_tag(tag, claims)
            # The tag may have a default in its class, but here nothing else says which class it is.
            schemas.update({id(shape): {**shape.schema, "required": [tag]} for shape in claims})
    if float in hooks:  # JSON does not tell 1 from 1.0
        hooks.setdefault(int, hooks[float])
    return Shape(_by_kind(hooks), _any_of([schemas[id(shape)] for shape in shapes]), frozenset(by_kind))


def _by_kind(hooks: Mapping[type, Hook]) -> Hook:
    expected = " or ".join(_NAMES[kind] for kind in hooks)

    def structure(value: Any, _: Any) -> Any:
        hook = hooks.get(dict if isinstance(value, LiveRef) else type(value))
        if hook is None:
            raise TypeError(f"expected {expected}, got {type(value).__name__}")
        return hook(value, None)

    return structure


def _common_tag(shapes: Sequence[Shape]) -> str | None:
    """The first field that every class has, and of which no two allow the same word."""
    for name in shapes[0].tags:
        words = [shape.tags.get(name, ()) for shape in shapes]
        if all(words) and sum(map(len, words)) == len(set().union(*words)):
            return name
    return None


def _by_tag(tag: str, shapes: Sequence[Shape]) -> Hook:
    hooks = {word: shape.structure for shape in shapes for word in shape.tags[tag]}
    known_word = literal(*hooks)

    def structure(value: Any, _: Any) -> Any:
        found = (tag, value[tag], known_word) if tag in value else (tag, tag, missing)
        return hooks[members([found])[tag]](value, None)

    return structure


def _ambiguous(type_: Any, kind: type) -> str:
    words = f"{type_} is ambiguous: more than one of its members takes {_NAMES[kind]}"
    return f"{words}; give each class a Literal field of one name with words of its own" if kind is dict else words


def _any_of(schemas: Sequence[Schema]) -> Schema:
    """The schemas as one: a list of types where they differ in nothing else, which is what readers understand best."""
    null = {"type": "null"}
    rest = [schema for schema in schemas if schema != null]
    if len(rest) < len(schemas) and len(rest) == 1 and "enum" not in rest[0] and isinstance(rest[0].get("type"), str):
        return {**rest[0], "type": [rest[0]["type"], "null"]}
    if all(schema.keys() == {"type"} and isinstance(schema["type"], str) for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": list(schemas)}
