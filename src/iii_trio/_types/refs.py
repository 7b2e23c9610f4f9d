"""Channels in a type: refs, and the readers and writers that stand for them in a payload that has come in."""

from __future__ import annotations

import inspect
from typing import Any

from iii_trio._types.classes import class_shape
from iii_trio._types.shape import Compiler, Shape
from iii_trio._values.refs import LiveRef, StreamChannelRef


def is_ref(type_: Any) -> bool:
    """Whether `type_` is the class of refs."""
    return type_ is StreamChannelRef


def is_live(type_: Any) -> bool:
    """Whether `type_` is a class of readers or writers."""
    return inspect.isclass(type_) and issubclass(type_, LiveRef)


def ref_shape(type_: Any, compiler: Compiler) -> Shape:
    """A ref, or what was put in its place."""
    plain = class_shape(type_, compiler)

    def structure(value: Any, _: Any) -> Any:
        return value.ref if isinstance(value, LiveRef) else plain.structure(value, None)

    return Shape(structure, plain.schema, plain.takes)


def live_shape(type_: Any, compiler: Compiler) -> Shape:
    """A reader or a writer. The payload held its ref; the end was put in its place before anybody looked at types."""
    plain = class_shape(StreamChannelRef, compiler)

    def structure(value: Any, _: Any) -> Any:
        if not isinstance(value, type_):
            got = f"the other end's {type(value).__name__}" if isinstance(value, LiveRef) else type(value).__name__
            raise TypeError(f"expected the ref of a channel for a {type_.__name__}, got {got}")
        return value

    return Shape(structure, plain.schema, plain.takes)
