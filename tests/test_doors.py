"""The public modules: what they say they have is what they have, and all of it is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types
import typing
from typing import Any

import attrs
import pytest

import iii_trio

_MODULES = [module.name for module in pkgutil.iter_modules(iii_trio.__path__) if not module.name.startswith("_")]
DOORS = ["iii_trio", *(f"iii_trio.{name}" for name in sorted(_MODULES))]


def _public(door: str) -> dict[str, Any]:
    module = importlib.import_module(door)
    return {name: getattr(module, name) for name in module.__all__}


_OBJECTS = [
    pytest.param(value, id=f"{door}.{name}")
    for door in DOORS
    for name, value in _public(door).items()
    if not typing.get_args(value)  # an alias has its sentence in the source, where it cannot be asked for
]


def test_the_doors_are_there() -> None:
    """Those that exist by now."""
    names = "channel engine errors http internal protocol queue rbac runtime state stream testing trigger"
    assert {*DOORS} == {"iii_trio", *(f"iii_trio.{name}" for name in names.split())}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_hands_on_what_it_says(door: str) -> None:
    """`__all__` lists every public name that is meant: no more, no less, none twice, and in order."""
    module = importlib.import_module(door)
    listed = list(module.__all__)
    assert len(listed) == len({*listed})
    for name in listed:  # a door may open itself only when somebody asks for what is behind it
        getattr(module, name)
    meant = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and getattr(value, "__module__", "").startswith("iii_trio")
    }
    if door == "iii_trio.errors":  # it is no mere door: two of its functions serve the rest of the package
        meant -= {"fate_of", "is_reserved"}
    aliases = {name for name in listed if typing.get_args(vars(module).get(name))}  # unions and the like know no module
    assert {*listed} >= meant
    assert {*listed} == meant | aliases or hasattr(module, "__getattr__")
    assert module.__doc__


@pytest.mark.parametrize("public", _OBJECTS)
def test_what_is_public_is_documented(public: Any) -> None:
    """The object itself, and every public method and property that it defines."""
    assert inspect.getdoc(public)
    if not inspect.isclass(public):
        return
    assert public.__doc__
    for name, member in vars(public).items():
        if name.startswith("_") or inspect.isclass(member):
            continue
        if isinstance(member, (types.FunctionType, property, classmethod, staticmethod)):
            assert inspect.getdoc(member), f"{public.__name__}.{name}"


def test_every_error_has_the_root() -> None:
    """One `except IIIError` catches all that is ours."""
    from iii_trio import errors

    classes = [value for value in _public("iii_trio.errors").values() if issubclass(value, BaseException)]
    assert len(classes) > 10
    assert all(issubclass(cls, errors.IIIError) for cls in classes)


@pytest.mark.parametrize("public", _OBJECTS)
def test_values_are_frozen(public: Any) -> None:
    """Nobody can change what another one holds."""
    if inspect.isclass(public) and attrs.has(public) and public.__name__ != "EmbeddedEngine":
        assert public.__setattr__ is not object.__setattr__
