"""The package holds what the API references promise: `surface.json` says what that is, and `OPEN` what is not there yet.

The table is ours. It has every type, field and client method of the references, and of what they name without listing.
Where they disagree, the stricter one counts: what the engine cannot do without is required (ids, ``function_id``, ``type``,
all of a channel ref), though the newer reference lists it as optional.
"""

from __future__ import annotations

import abc
import enum
import importlib
import inspect
import json
from pathlib import Path
from typing import Any, Final, get_args

import attrs
import pytest

import iii_trio
from iii_trio._session import states
from iii_trio._values.building import build
from iii_trio._wire.urls import DEFAULT_URL
from iii_trio.errors import ConfigurationError

SURFACE: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "surface.json").read_text("utf-8"))
MODULES: Final[dict[str, dict[str, Any]]] = SURFACE["modules"]
METHODS: Final[dict[str, Any]] = SURFACE["client"]["methods"]

_TELEMETRY: Final = "comes with the telemetry"
_TRIGGERS: Final = "the client does not make bindings yet"
_LISTINGS: Final = "the client does not ask for listings yet"

OPEN: Final[dict[str, str]] = {
    "iii_trio.Logger": _TELEMETRY,
    "iii_trio.OtelConfig": _TELEMETRY,
    "iii_trio.InitOptions.otel": _TELEMETRY,
    "iii_trio.InitOptions.enable_metrics_reporting": _TELEMETRY,
    "iii_trio.runtime.TriggerTypeRef": _TRIGGERS,
    "iii_trio.trigger.Trigger": _TRIGGERS,
    "III.create_stream": "the client does not offer streams yet",
    "III.list_functions": _LISTINGS,
    "III.list_triggers": _LISTINGS,
    "III.list_workers": _LISTINGS,
    "III.on_functions_available": _LISTINGS,
    "III.register_function(func)": "the first parameter has one name so far",
    "III.register_function(handler_or_invocation)": "the client offers no functions that are reached over HTTP yet",
    "III.register_service": "the client does not name services yet",
    "III.register_trigger": _TRIGGERS,
    "III.register_trigger_type": _TRIGGERS,
    "III.unregister_trigger_type": _TRIGGERS,
}
"""What the references have and the package does not: name and reason. Each entry has to be true."""


def find(module: str, name: str) -> Any:
    """What a module hands on under this name; None if it does not, or is not there itself."""
    try:
        door = importlib.import_module(module)
    except ModuleNotFoundError:
        return None
    return getattr(door, name) if name in door.__all__ else None


def listed() -> list[Any]:
    """Every listed name that is not open."""
    return [
        pytest.param(module, name, entry, id=f"{module}.{name}")
        for module, names in MODULES.items()
        for name, entry in names.items()
        if f"{module}.{name}" not in OPEN
    ]


def of_kind(kind: str) -> list[Any]:
    return [param for param in listed() if param.values[2]["kind"] == kind]


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "name", "entry"), listed())
def test_every_name_is_where_the_references_have_it(module: str, name: str, entry: dict[str, Any]) -> None:
    """And is what they say it is."""
    found = find(module, name)
    assert found is not None
    kinds = {
        "value": inspect.isclass(found) and attrs.has(found),
        "enum": inspect.isclass(found) and issubclass(found, enum.Enum),
        "abstract": inspect.isclass(found) and issubclass(found, abc.ABC) and inspect.isabstract(found),
        "constants": inspect.isclass(found),
        "object": inspect.isclass(found),
        "union": not inspect.isclass(found) and bool(get_args(found)),
        "alias": not inspect.isclass(found),
    }
    assert kinds[entry["kind"]]


def test_a_name_in_two_modules_is_one_class() -> None:
    """Else a value of the one would be refused where the other is asked for."""
    homes: dict[str, list[Any]] = {}
    for param in listed():
        module, name, _ = param.values
        homes.setdefault(str(name), []).append(find(str(module), str(name)))
    shared = {name: found for name, found in homes.items() if len(found) > 1}
    assert shared
    for name, found in shared.items():
        assert all(each is found[0] for each in found), name


# ---- values ---------------------------------------------------------------------------------------------------------


def default_of(field: attrs.Attribute[Any]) -> Any:
    """A default in the table's words."""
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to type checkers
        default = default.factory()
    return f"{type(default).__name__}()" if attrs.has(type(default)) else default


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("value"))
def test_every_field_is_there_with_its_default(module: str, name: str, entry: dict[str, Any]) -> None:
    """Required or not, as listed; and what is not listed is never required."""
    cls = find(module, name)
    fields = {field.name: field for field in attrs.fields(cls)}
    missing = {f"{module}.{name}.{field}" for field in entry["fields"]} - {
        f"{module}.{name}.{field}" for field in fields
    }
    assert missing == {each for each in OPEN if each.startswith(f"{module}.{name}.")}
    for field_name, field in fields.items():
        wanted = entry["fields"].get(field_name)
        assert (field.default is attrs.NOTHING) == (wanted == "required"), field_name
        if isinstance(wanted, dict):
            default = default_of(field)
            assert (default, type(default) is bool) == (wanted["default"], type(wanted["default"]) is bool), field_name
    for property_name in entry.get("properties", ()):
        assert isinstance(inspect.getattr_static(cls, property_name), property)


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("value"))
def test_every_value_is_frozen_and_documented(module: str, name: str, entry: dict[str, Any]) -> None:
    """Nobody changes what another one holds, and each field has its sentence."""
    cls = find(module, name)
    assert cls.__setattr__ is not object.__setattr__
    source = inspect.getsource(cls)
    assert source.count('"""') >= 2 * (len(attrs.fields(cls)) + 1)


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("value"))
def test_a_name_that_a_value_does_not_have_is_refused(module: str, name: str, entry: dict[str, Any]) -> None:
    """In a dict or as a keyword: it is a spelling mistake, and would be lost in silence."""
    cls = find(module, name)
    required = dict.fromkeys((field for field, wanted in entry["fields"].items() if wanted == "required"), "x")
    with pytest.raises(ConfigurationError, match=f"{name} has no speling"):
        build(cls, {**required, "speling": 1})
    with pytest.raises(ConfigurationError, match=f"{name} has no speling"):
        build(cls, **required, speling=1)
    for field in required:
        with pytest.raises(ConfigurationError, match=f"{name} needs its {field}"):
            build(cls, {other: "x" for other in required if other != field})


# ---- enums, constants, classes to derive from -----------------------------------------------------------------------


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("enum"))
def test_every_member_of_an_enum_is_there(module: str, name: str, entry: dict[str, Any]) -> None:
    """With the value that is on the wire, which it also equals."""
    members = {member.name: member.value for member in find(module, name)}
    assert members == entry["members"]
    assert all(find(module, name)[member] == value for member, value in entry["members"].items())


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("constants"))
def test_every_constant_is_there(module: str, name: str, entry: dict[str, Any]) -> None:
    """No more and no fewer."""
    cls = find(module, name)
    assert {each: value for each, value in vars(cls).items() if each.isupper()} == entry["members"]


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("abstract"))
def test_every_abstract_method_is_there(module: str, name: str, entry: dict[str, Any]) -> None:
    """With its parameters; those of `IState` and `IStream` are async."""
    cls = find(module, name)
    assert cls.__abstractmethods__ == entry["methods"].keys()
    for method, parameters in entry["methods"].items():
        function = getattr(cls, method)
        assert list(inspect.signature(function).parameters) == ["self", *parameters]
        assert inspect.iscoroutinefunction(function) == (name != "TriggerHandler")


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("object"))
def test_every_attribute_of_a_handle_is_there(module: str, name: str, entry: dict[str, Any]) -> None:
    """As a method or a property of the class."""
    cls = find(module, name)
    assert [each for each in entry["attributes"] if not hasattr(cls, each)] == []


@pytest.mark.parametrize(("module", "name", "entry"), of_kind("union"))
def test_every_union_has_its_kinds(module: str, name: str, entry: dict[str, Any]) -> None:
    """In any order."""
    assert {cls.__name__ for cls in get_args(find(module, name))} == {*entry["of"]}


# ---- the client -----------------------------------------------------------------------------------------------------


def spellings(method: str) -> list[list[str]]:
    """The parameters of a method, each with all names that it goes by."""
    return [each if isinstance(each, list) else [each] for each in METHODS[method]["parameters"]]


def missing_of(method: str) -> set[str]:
    """What a method lacks: itself, or names of its parameters."""
    function = getattr(iii_trio.III, method, None)
    if function is None:
        return {f"III.{method}"}
    taken = inspect.signature(function).parameters
    return {f"III.{method}({name})" for names in spellings(method) for name in names if name not in taken}


@pytest.mark.parametrize("method", METHODS)
def test_the_client_has_the_references_methods(method: str) -> None:
    """Their parameters go by name, come in this order, and all others may be left out."""
    missing = missing_of(method)
    assert missing == {each for each in OPEN if each == f"III.{method}" or each.startswith(f"III.{method}(")}
    if missing:
        return
    _, *taken = inspect.signature(getattr(iii_trio.III, method)).parameters.values()
    wanted = [names[0] for names in spellings(method)]
    assert [parameter.name for parameter in taken][: len(wanted)] == wanted
    required = {names[0] for names in spellings(method) if len(names) == 1}  # of two names either may be left out
    defaults = METHODS[method].get("defaults", {})
    for parameter in taken:
        may_be_left_out = parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD
        assert may_be_left_out or parameter.name in wanted
        assert not may_be_left_out or parameter.name not in required - defaults.keys()
        assert parameter.name not in defaults or parameter.default == defaults[parameter.name]


def test_the_client_is_made_as_the_references_make_it() -> None:
    """`register_worker` takes the address and the options, in this order, by position or by name."""
    parameters = inspect.signature(iii_trio.register_worker).parameters
    assert [*parameters] == SURFACE["client"]["register_worker"]["parameters"]
    assert DEFAULT_URL.endswith(f":{SURFACE['client']['engine_port']}")


def test_the_connection_has_the_references_states() -> None:
    """All five words, and no sixth."""
    words = {
        states.seeds_word(client, connection) for client in states.Client for connection in (None, *states.Connection)
    }
    assert words == {*SURFACE["client"]["connection_states"]}


# ---- what is open ---------------------------------------------------------------------------------------------------


def is_there(name: str) -> bool:
    """Whether something of the table exists by now."""
    if name.startswith("III."):
        method = name.removeprefix("III.").partition("(")[0]
        return name not in missing_of(method)
    module, _, rest = name.rpartition(".")
    if module in MODULES:
        return find(module, rest) is not None
    module, _, cls = module.rpartition(".")
    return rest in {field.name for field in attrs.fields(find(module, cls))}


@pytest.mark.parametrize("name", OPEN)
def test_what_is_called_open_is_missing(name: str) -> None:
    """An entry goes when the thing comes."""
    assert not is_there(name)


def test_what_is_called_open_is_in_the_table() -> None:
    """Else a slip of the pen would stand there for ever."""
    known = {f"{module}.{name}" for module, names in MODULES.items() for name in names}
    known |= {
        f"{module}.{name}.{field}"
        for module, names in MODULES.items()
        for name, entry in names.items()
        for field in entry.get("fields", ())
    }
    known |= {f"III.{method}" for method in METHODS}
    known |= {f"III.{method}({name})" for method in METHODS for names in spellings(method) for name in names}
    assert OPEN.keys() <= known
    assert all(OPEN.values())
