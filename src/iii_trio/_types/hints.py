"""What annotations mean: text resolved, type variables filled in."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Generic, Protocol, TypeVar, get_args, get_origin, get_type_hints

from iii_trio._types.shape import UnknownType


def resolve(annotation: Any, scope: Mapping[str, Any]) -> Any:
    """What an annotation means where the names are those of `scope`. Raises `UnknownType`."""
    return _hints(SimpleNamespace(__annotations__={"it": annotation}), dict(scope))["it"]


def scope_of(function: Any) -> Mapping[str, Any]:
    """The names that the annotations of a function or class can use: those of its module."""
    plain = inspect.unwrap(function)
    module = sys.modules.get(getattr(plain, "__module__", None) or "")
    scope: Mapping[str, Any] = getattr(plain, "__globals__", None) or vars(module or SimpleNamespace())
    return scope


def field_types(type_: Any, *, extras: bool = False) -> dict[str, Any]:
    """What is annotated in a class, its bases included, with the arguments of a generic in the place of its variables.

    Raises:
        UnknownType: An annotation names what its module does not have.
    """
    cls = get_origin(type_) or type_
    hints = _hints(cls, None, extras=extras)
    bound: dict[Any, dict[Any, Any]] = {}
    _bind(type_, bound)
    known = {variable: value for variables in bound.values() for variable, value in variables.items()}
    types: dict[str, Any] = {}
    for name, hint in hints.items():
        # Two bases may mean different things by one variable, so it counts where the field was written.
        owner = next((base for base in cls.__mro__ if name in inspect.get_annotations(base)), cls)
        types[name] = substitute(hint, {**known, **bound.get(owner, {})})
    return types


def argument_of(type_: Any, base: Any) -> Any:
    """What the one variable of a generic base stands for in a class; the variable itself where the class does not say.

    Raises:
        UnknownType: It is text that names what the module of the class does not have.
    """
    bound: dict[Any, dict[Any, Any]] = {}
    _bind(type_, bound)
    (variable,) = base.__parameters__
    return resolve(bound.get(base, {}).get(variable, variable), scope_of(get_origin(type_) or type_))


def substitute(type_: Any, variables: Mapping[Any, Any]) -> Any:
    """A type with its variables filled in."""
    if isinstance(type_, TypeVar):
        return variables.get(type_, type_)
    generic: Any = type_
    parameters = () if inspect.isclass(type_) else getattr(generic, "__parameters__", ())
    return generic[tuple(variables.get(each, each) for each in parameters)] if parameters else type_


def _bind(type_: Any, bound: dict[Any, dict[Any, Any]]) -> None:
    """Find out what the variables of a class and of its bases stand for."""
    cls = get_origin(type_) or type_
    variables = dict(zip(getattr(cls, "__parameters__", ()), get_args(type_), strict=False))
    bound.setdefault(cls, variables)
    for base in cls.__dict__.get("__orig_bases__", ()):
        if get_origin(base) not in (None, Generic, Protocol):
            _bind(substitute(base, variables), bound)


def _hints(annotated: Any, scope: dict[str, Any] | None, *, extras: bool = False) -> dict[str, Any]:
    try:
        return get_type_hints(annotated, globalns=scope, include_extras=extras)
    except NameError as error:
        raise UnknownType(f"{error}; an annotation that is text can only use names of its module") from None
    except Exception as error:
        raise UnknownType(f"its annotations cannot be read: {error!r}") from None
