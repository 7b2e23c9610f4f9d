"""Configuration entries, and the trigger type `configuration` that tells of their changes (docs/engine.md).

Entries are kept in memory and end with the engine. Values are stored as they are written; what is read, checked against
the schema, or told in an event has its placeholders filled in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from iii_trio._embedded import schemas
from iii_trio._embedded.connection import Connection
from iii_trio._embedded.inputs import Field, Input, anything, flag, read, text, texts
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.placeholders import expand
from iii_trio._embedded.registry import Builtin, Function, Refusal
from iii_trio._embedded.schema_check import violations
from iii_trio._embedded.triggers import Binding, BindingRefused, TriggerType
from iii_trio._wire.messages import Json

WORKER: Final = "configuration"
CONFIGURATION: Final = "configuration"
REGISTER: Final = "configuration::register"
SET: Final = "configuration::set"
GET: Final = "configuration::get"
LIST: Final = "configuration::list"
SCHEMA: Final = "configuration::schema"

_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")

_ABOUT: Final = {
    REGISTER: "Register a configuration id with a name, description, and JSON Schema. Idempotent — re-registering "
    "replaces metadata and (when initial_value is provided) the value. Validates initial_value against the schema.",
    SET: "Replace the value of an already-registered configuration. Validates the value against the registered JSON "
    "Schema and emits a configuration:updated event.",
    GET: "Read a configuration by id. Expands ${VAR:default} placeholders against the live process env unless raw=true "
    "is passed.",
    LIST: "List every registered configuration with id, name, description, and schema. Sorted by id; never returns the "
    "stored value.",
    SCHEMA: "Retrieve the schema, name, and description for a configuration id. Mirrors a single entry from "
    "configuration::list.",
}
_REGISTER_INPUT: Final = Input(
    "ConfigurationRegisterInput",
    (
        Field("id", text, required=True),
        Field("name", text, required=True),
        Field("description", text, required=True),
        Field("schema", anything, required=True),
        Field("initial_value", anything, may_end=False),
        Field("metadata", anything, may_end=False),
    ),
)
_SET_INPUT: Final = Input(
    "ConfigurationSetInput", (Field("id", text, required=True), Field("value", anything, required=True))
)
_GET_INPUT: Final = Input(
    "ConfigurationGetInput", (Field("id", text, required=True), Field("raw", flag, default=False))
)
_LIST_INPUT: Final = Input("ConfigurationListInput", ())
_SCHEMA_INPUT: Final = Input("ConfigurationSchemaInput", (Field("id", text, required=True),))
_TRIGGER_CONFIG: Final = Input(
    "ConfigurationTriggerConfig",
    (Field("configuration_id", text), Field("event_types", texts), Field("condition_function_id", text)),
)


def configuration(host: Host, environ: Mapping[str, str] = os.environ) -> Part:
    """What the worker `configuration` offers."""
    entries = _Entries(host, environ)
    runs: dict[str, Builtin] = {
        REGISTER: entries.register,
        SET: entries.set,
        GET: entries.get,
        LIST: entries.list,
        SCHEMA: entries.schema,
    }
    return Part(
        worker=WORKER,
        description="Register, store, and watch typed configuration values for the engine.",
        internal=True,
        functions=tuple(
            Function(id=function_id, description=_ABOUT[function_id], run=run, worker=WORKER)
            for function_id, run in runs.items()
        ),
        trigger_types=(
            TriggerType(
                id=CONFIGURATION,
                description="Configuration trigger — fires on register/update/delete events",
                trigger_request_format=schemas.CONFIGURATION_CONFIG,
                call_request_format=schemas.CONFIGURATION_CALL,
                worker=WORKER,
                accept=entries.accept,
                release=entries.release,
            ),
        ),
    )


@attrs.frozen
class _Entry:
    id: str
    name: str
    description: str
    schema: Json
    value: Json
    metadata: Json

    def view(self) -> dict[str, Any]:
        """What a list shows: everything but the value."""
        row = {"id": self.id, "name": self.name, "description": self.description, "schema": self.schema}
        return row if self.metadata is None else {**row, "metadata": self.metadata}


@attrs.define(eq=False)
class _Entries:
    _host: Host
    _environ: Mapping[str, str]
    _entries: dict[str, _Entry] = attrs.field(factory=dict, init=False)
    _watchers: dict[str, tuple[Binding, dict[str, Any]]] = attrs.field(factory=dict, init=False)
    """Bindings by id, and their configs."""

    # ---- functions --------------------------------------------------------------------------------------------------

    def register(self, _: Connection | None, data: Json) -> Json:
        told = read(REGISTER, _REGISTER_INPUT, data)
        entry_id = _checked_id(told["id"])
        present = self._entries.get(entry_id)
        value = told.pop("initial_value")
        if value is not None:
            self._check_applied(value, told["schema"])
        elif present is not None:
            value = present.value
        entry = self._entries[entry_id] = _Entry(value=value, **told)
        event = "configuration:registered" if present is None else "configuration:updated"
        self._tell(event, entry, None if present is None else present.value)
        return {**entry.view(), "value": value}

    def set(self, _: Connection | None, data: Json) -> Json:
        told = read(SET, _SET_INPUT, data)
        entry_id = _checked_id(told["id"])
        present = self._entries.get(entry_id)
        if present is None:
            message = f"configuration '{entry_id}' is not registered; call configuration::register first"
            raise Refusal("NOT_REGISTERED", message)
        if present.schema is None:
            message = (
                f"configuration '{entry_id}' has no schema available yet; the owning worker must register before "
                "values can be set"
            )
            raise Refusal("SCHEMA_UNAVAILABLE", message)
        self._check_applied(told["value"], present.schema)
        entry = self._entries[entry_id] = attrs.evolve(present, value=told["value"])
        self._tell("configuration:updated", entry, present.value)
        return {"old_value": present.value, "new_value": entry.value}

    def get(self, _: Connection | None, data: Json) -> Json:
        told = read(GET, _GET_INPUT, data)
        entry = self._find(told["id"])
        if told["raw"]:
            return {"id": entry.id, "value": entry.value}
        applied, missing = expand(entry.value, self._environ)
        if missing:
            names = ", ".join(missing)
            message = f"configuration '{entry.id}' references unset environment variable(s) with no default: {names}"
            raise Refusal("EXPAND_FAILED", message)
        if entry.schema is not None:
            _check(applied, entry.schema)
        return {"id": entry.id, "value": applied}

    def list(self, _: Connection | None, data: Json) -> Json:
        read(LIST, _LIST_INPUT, data)
        return {"configurations": [self._entries[entry_id].view() for entry_id in sorted(self._entries)]}

    def schema(self, _: Connection | None, data: Json) -> Json:
        return self._find(read(SCHEMA, _SCHEMA_INPUT, data)["id"]).view()

    def _find(self, entry_id: str) -> _Entry:
        entry = self._entries.get(entry_id)
        if entry is None:
            raise Refusal("NOT_FOUND", f"configuration '{entry_id}' not found")
        return entry

    def _check_applied(self, value: Json, schema: Json) -> None:
        # A value that cannot be filled in yet is taken as it is, and refused when it is read.
        applied, missing = expand(value, self._environ)
        if not missing:
            _check(applied, schema)

    # ---- events -----------------------------------------------------------------------------------------------------

    def accept(self, binding: Binding) -> None:
        try:
            self._watchers[binding.id] = binding, _TRIGGER_CONFIG.read(binding.config)
        except ValueError as error:
            raise BindingRefused(f"Failed to parse configuration trigger config: {error}") from None

    def release(self, binding: Binding) -> None:
        self._watchers.pop(binding.id, None)

    def _tell(self, event: str, entry: _Entry, old_value: Json) -> None:
        payload = {
            "type": "configuration",
            "event_type": event,
            **entry.view(),
            "old_value": expand(old_value, self._environ)[0],
            "new_value": expand(entry.value, self._environ)[0],
        }
        self._host.triggers.deliver_in_turn(
            (binding, payload, config["condition_function_id"])
            for binding, config in [*self._watchers.values()]
            if config["configuration_id"] in (None, entry.id)
            and (config["event_types"] is None or event in config["event_types"])
        )


def _checked_id(entry_id: str) -> str:
    if not _ID.fullmatch(entry_id):
        raise Refusal("INVALID_ID", f"invalid configuration id '{entry_id}': must match [a-z0-9_-]{{1,64}}")
    return entry_id


def _check(value: Json, schema: Json) -> None:
    found = violations(value, schema)
    if found:
        raise Refusal("SCHEMA_INVALID", f"schema validation failed: {'; '.join(found)}")
