"""Strict structuring: what a peer sent becomes a typed value, or an error; nothing is converted on the way.

cattrs by itself would turn ``"no"`` into ``True`` and ``7`` into ``"7"``. Unknown fields are ignored.
"""

from __future__ import annotations

import functools
import operator
import reprlib
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

from cattrs import Converter

T = TypeVar("T")


def strict_converter() -> Converter:
    """A new converter whose primitives, literals, lists and dicts take only what they are named after."""
    converter = Converter(omit_if_default=True)
    for primitive in (str, int, bool):
        converter.register_structure_hook(primitive, exactly(primitive))
    for container in (list, dict):
        converter.register_structure_hook_func(functools.partial(operator.is_, container), exactly(container))
    converter.register_structure_hook_factory(_is_generic(Literal), lambda type_: literal(*get_args(type_)))
    converter.register_structure_hook(float, number)
    converter.register_structure_hook_factory(_is_generic(list), _list_hook(converter))
    converter.register_structure_hook_factory(_is_generic(dict), _dict_hook(converter))
    # A payload is passed on as it is: the stock hook for Any would walk it.
    converter.register_unstructure_hook(Any, lambda value: value)
    return converter


def exactly(primitive: type[T]) -> Callable[[Any, Any], T]:
    """A structure hook that takes instances of `primitive`, and not of its subclasses: True is no int."""

    def structure(value: Any, _: Any) -> T:
        if type(value) is not primitive:
            raise TypeError(f"expected {primitive.__name__}, got {type(value).__name__}")
        return value

    return structure


def _is_generic(container: Any) -> Callable[[Any], bool]:
    def matches(type_: Any) -> bool:
        origin: Any = get_origin(type_)
        return origin is container

    return matches


def number(value: Any, _: Any) -> float:
    """A structure hook that takes numbers, whole ones too, and makes floats of them."""
    # JSON does not tell 1 from 1.0, so a whole number is a float too.
    if type(value) is int:
        return float(value)
    return exactly(float)(value, None)


def literal(*choices: Any) -> Callable[[Any, Any], Any]:
    """A structure hook that takes the listed values and no others."""
    expected = " or ".join(map(repr, choices))

    def structure(value: Any, _: Any) -> Any:
        # Python holds 1, 1.0 and True for equal, and JSON does not.
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise TypeError(f"expected {expected}, got {reprlib.repr(value)}")
        return value

    return structure


def _list_hook(converter: Converter) -> Callable[[Any], Callable[[Any, Any], list[Any]]]:
    def make(type_: Any) -> Callable[[Any, Any], list[Any]]:
        (item,) = get_args(type_)

        def structure(value: Any, _: Any) -> list[Any]:
            return [converter.structure(element, item) for element in exactly(list)(value, None)]

        return structure

    return make


def _dict_hook(converter: Converter) -> Callable[[Any], Callable[[Any, Any], dict[str, Any]]]:
    def make(type_: Any) -> Callable[[Any, Any], dict[str, Any]]:
        name, item = get_args(type_)

        def structure(value: Any, _: Any) -> dict[str, Any]:
            return {
                converter.structure(key, name): converter.structure(element, item)
                for key, element in exactly(dict)(value, None).items()
            }

        return structure

    return make
