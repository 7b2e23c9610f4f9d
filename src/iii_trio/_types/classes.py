"""Objects with named fields: attrs classes, dataclasses and typed dicts.

A field is named in JSON as it is in the class. Fields that the class does not know are ignored: the other side may be newer.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, NotRequired, Required, get_args, get_origin, is_typeddict

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn_from_attrs

from iii_trio._types.hints import field_types
from iii_trio._types.shape import Compiler, Hook, Schema, Shape, UnknownType, members, missing
from iii_trio._values.strict import exactly

_object = exactly(dict)


def is_class(type_: Any) -> bool:
    """Whether `type_` is an attrs class or a dataclass, generic ones with their arguments included."""
    cls = get_origin(type_) or type_
    return inspect.isclass(cls) and (attrs.has(cls) or dataclasses.is_dataclass(cls))


def is_typed_dict(type_: Any) -> bool:
    """Whether `type_` is a `TypedDict`."""
    return is_typeddict(get_origin(type_) or type_)


def class_shape(type_: Any, compiler: Compiler) -> Shape:
    """An attrs class or a dataclass is an object of those fields that its ``__init__`` takes."""
    cls = get_origin(type_) or type_
    types = field_types(type_)
    if any(hint is dataclasses.InitVar or isinstance(hint, dataclasses.InitVar) for hint in types.values()):
        raise UnknownType(f"{cls.__name__} takes an InitVar, which no instance gives back")
    fields = [_Field(field.name, types.get(field.name, Any), *_call(field)) for field in _fields(cls) if field.init]
    return _object_shape(type_, fields, compiler, lambda hooks: _instance_hook(cls, fields, hooks))


def typed_dict_shape(type_: Any, compiler: Compiler) -> Shape:
    """A typed dict is an object of its keys, and a dict without the others."""
    cls = get_origin(type_) or type_
    fields = [_typed_key(cls, name, hint) for name, hint in field_types(type_, extras=True).items()]
    return _object_shape(type_, fields, compiler, lambda hooks: _dict_hook(fields, hooks))


@attrs.frozen
class _Field:
    """One member of an object."""

    name: str
    type: Any
    required: bool
    argument: str = ""
    """What ``__init__`` calls it."""


def _fields(cls: Any) -> Any:
    return attrs.fields(cls) if attrs.has(cls) else dataclasses.fields(cls)


def _call(field: Any) -> tuple[bool, str]:
    if isinstance(field, attrs.Attribute):
        return field.default is attrs.NOTHING, field.alias or field.name
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING, field.name


def _typed_key(cls: Any, name: str, hint: Any) -> _Field:
    # Where annotations are text, Python itself does not see these two, and counts the key by the class's `total`.
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    mark = get_origin(hint)
    if mark in (Required, NotRequired):
        return _Field(name, get_args(hint)[0], mark is Required)
    return _Field(name, hint, name in cls.__required_keys__)


def _object_shape(type_: Any, fields: list[_Field], compiler: Compiler, hook_of: Callable[[list[Hook]], Hook]) -> Shape:
    def build() -> Shape:
        shapes: dict[str, Shape] = {}
        for field in fields:
            try:
                shapes[field.name] = compiler.shape(field.type)
            except UnknownType as error:
                raise UnknownType(f"field {field.name!r} of {_name(type_)}: {error}") from None
        return Shape(hook_of([shape.structure for shape in shapes.values()]), _schema(fields, shapes), _DICT)

    return compiler.named(type_, build, takes=_DICT, tags=_tags(fields))


_DICT: Final[frozenset[type]] = frozenset({dict})


def _tags(fields: list[_Field]) -> Mapping[str, tuple[str, ...]]:
    words = {field.name: get_args(field.type) for field in fields if get_origin(field.type) is Literal}
    return {name: each for name, each in words.items() if all(type(word) is str for word in each)}


def _schema(fields: list[_Field], shapes: Mapping[str, Shape]) -> Schema:
    required = [field.name for field in fields if field.required]
    schema: Schema = {"type": "object", "properties": {name: shape.schema for name, shape in shapes.items()}}
    return {**schema, "required": required} if required else schema


# cattrs writes and compiles a function for each class. It finds the hooks of the fields by their types, so it is told types
# that are their hooks: what the annotations mean is known here already, and the names of fields cannot clash with options.
@attrs.frozen(eq=False)
class _Known:
    hook: Hook


_CONVERTER: Final = Converter()
_CONVERTER.register_structure_hook_factory(lambda known: type(known) is _Known, lambda known: known.hook)


def _instance_hook(cls: Any, fields: list[_Field], hooks: list[Hook]) -> Hook:
    described: dict[str, Any] = {}
    for field, hook in zip(fields, hooks, strict=True):
        default: Any = attrs.NOTHING if field.required else None
        known: Any = _Known(hook)
        described[field.name] = attrs.field(default=default, kw_only=True, alias=field.argument, type=known)
    variables = {variable.__name__: Any for variable in getattr(cls, "__parameters__", ())}
    listed: Any = attrs.fields(attrs.make_class("Fields", described))
    make: Any = make_dict_structure_fn_from_attrs(list(listed), cls, _CONVERTER, variables)

    def structure(value: Any, _: Any) -> Any:
        return make(_object(value, None), None)

    return structure


def _dict_hook(fields: list[_Field], hooks: list[Hook]) -> Hook:
    known = [(field.name, field.required, hook) for field, hook in zip(fields, hooks, strict=True)]

    def structure(value: Any, _: Any) -> Any:
        taken = _object(value, None)
        return members(
            (name, taken[name], hook) if name in taken else (name, name, missing)
            for name, required, hook in known
            if required or name in taken
        )

    return structure


def _name(type_: Any) -> str:
    return type_.__name__ if inspect.isclass(type_) else str(type_)
