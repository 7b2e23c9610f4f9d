"""The public modules: what they say they have is what they have, and all of it is documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

import iii_trio
from tests.conftest import MemoryLink
from tests.test_surface import MODULES as REFERENCES

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


_REFERENCES = {name for names in REFERENCES.values() for name in names}


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


def _own(cls: type[Any]) -> dict[str, Any]:
    """The public members of a class by name, those that it has from bases of ours included."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("iii_trio")]
    return {name: member for base in reversed(ours) for name, member in vars(base).items() if name[0] != "_"}


def _coroutines() -> Iterator[tuple[str, Any, str]]:
    """Every public coroutine function, by a name that says where it is, and the words about the whole that it is in."""
    for door in DOORS:
        for name, value in _public(door).items():
            if inspect.isclass(value):
                whole = value.__doc__ or ""
                for member_name, member in _own(value).items():
                    if inspect.iscoroutinefunction(member):
                        yield f"{door}.{name}.{member_name}", member, whole
            elif inspect.iscoroutinefunction(value):
                yield f"{door}.{name}", value, ""


@pytest.mark.parametrize(("function", "whole"), [pytest.param(*rest, id=name) for name, *rest in _coroutines()])
def test_what_is_awaited_says_what_it_raises_and_whether_it_may_be_cancelled(function: Any, whole: str) -> None:
    """In its own words, in those of its class, or by naming what it is like."""
    doc = inspect.getdoc(function) or ""
    if "as the class says" in doc:
        doc += whole
    assert re.search(r"\b[Rr]aises\b", doc)
    assert re.search(r"[Cc]ancel", doc)


def test_what_is_awaited_is_found() -> None:
    """Inherited or not."""
    names = {name for name, *_ in _coroutines()}
    assert {"iii_trio.III.trigger", "iii_trio.connect_iii", "iii_trio.queue.Queues.publish"} <= names
    assert len(names) > 50


@pytest.mark.parametrize("public", _OBJECTS)
def test_a_value_says_where_it_comes_from(public: Any) -> None:
    """From the references or from the engine, so that one can look there."""
    if inspect.isclass(public) and (public.__name__ in _REFERENCES or _is_value(public)):
        assert "Source: " in (public.__doc__ or "")


def _is_value(cls: type[Any]) -> bool:
    return attrs.has(cls) and cls.__module__.startswith("iii_trio._values")


async def test_what_the_client_holds_has_a_public_class(link: MemoryLink) -> None:
    """So that an annotation can name it."""
    known = {value for door in DOORS for value in _public(door).values() if inspect.isclass(value)}
    async with link.client() as iii:
        held = {type(value) for name, value in vars(iii).items() if name[0] != "_"}
        assert len(held) == 5
        assert held <= known


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
