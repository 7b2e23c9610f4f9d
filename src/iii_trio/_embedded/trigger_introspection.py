"""What the engine tells of trigger types and bindings: `engine::triggers::*` and `engine::registered-triggers::*`."""

from __future__ import annotations

from typing import Any, Final

import attrs

from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection
from iii_trio._embedded.inputs import Field, Input, flag, read, text
from iii_trio._embedded.introspection import ENGINE_WORKER, Introspection, present, type_row
from iii_trio._embedded.registry import Function, Refusal
from iii_trio._embedded.triggers import Triggers, TriggerType
from iii_trio._wire.messages import Json

TYPES_LIST: Final = "engine::triggers::list"
TYPES_INFO: Final = "engine::triggers::info"
BINDINGS_LIST: Final = "engine::registered-triggers::list"
BINDINGS_INFO: Final = "engine::registered-triggers::info"

_TYPES_LIST_INPUT: Final = Input(
    "TriggersListInput",
    (Field("search", text), Field("prefix", text), Field("worker", text), Field("include_internal", flag)),
)
_TYPES_INFO_INPUT: Final = Input("TriggerInfoInput", (Field("id", text, required=True), Field("namespace", text)))
_BINDINGS_LIST_INPUT: Final = Input(
    "RegisteredTriggersListInput",
    (
        Field("search", text),
        Field("trigger_type", text),
        Field("function_id", text),
        Field("worker", text),
        Field("include_internal", flag),
    ),
)
_BINDINGS_INFO_INPUT: Final = Input("RegisteredTriggerInfoInput", (Field("id", text, required=True),))


@attrs.frozen
class TriggerIntrospection:
    """Answers from the bindings and types, as they are at the moment of the call."""

    _triggers: Triggers
    _functions: Introspection

    def functions(self) -> tuple[Function, ...]:
        """What it offers."""
        return tuple(
            Function(id=function_id, description=description, run=run, worker=ENGINE_WORKER)
            for function_id, description, run in (
                (TYPES_LIST, "List trigger types registered with the engine.", self.types_list),
                (TYPES_INFO, "Inspect one trigger type: schemas, owner, and live instance count.", self.types_info),
                (BINDINGS_LIST, "List registered trigger instances (subscriber rows).", self.bindings_list),
                (
                    BINDINGS_INFO,
                    "Inspect one registered trigger instance with denormalized trigger and function detail.",
                    self.bindings_info,
                ),
            )
        )

    # ---- types ------------------------------------------------------------------------------------------------------

    def types_list(self, _: Connection | None, data: Json) -> Json:
        """Rows of the types that match."""
        query = read(TYPES_LIST, _TYPES_LIST_INPUT, data)
        search = (query["search"] or "").lower()
        found = [
            row
            for row in map(type_row, self._triggers.types())
            if (query["include_internal"] or not row["id"].startswith("engine::"))
            and row["id"].startswith(query["prefix"] or "")
            and query["worker"] in (None, row["worker_name"])
            and (search in row["id"].lower() or search in row["description"].lower())
        ]
        return {"triggers": sorted(found, key=lambda row: row["id"])}

    def types_info(self, _: Connection | None, data: Json) -> Json:
        """Details of one type."""
        query = read(TYPES_INFO, _TYPES_INFO_INPUT, data)
        namespace = DEFAULT_NAMESPACE if query["namespace"] is None else query["namespace"]
        found = self._triggers.find_type(namespace, query["id"])
        if found is None:
            message = f"Trigger type '{query['id']}' is not registered in namespace '{namespace}'."
            raise Refusal("NOT_FOUND", message)
        return self._type_detail(found)

    def _type_detail(self, provider: TriggerType) -> dict[str, Any]:
        return {
            **type_row(provider),
            **present(
                configuration_schema=provider.trigger_request_format,
                request_schema=provider.call_request_format,
                response_schema=provider.call_response_format,
            ),
            "instance_count": len(self._triggers.live(provider.id)),
        }

    # ---- bindings ---------------------------------------------------------------------------------------------------

    def bindings_list(self, _: Connection | None, data: Json) -> Json:
        """Rows of the live bindings that match; parked ones are in no list."""
        query = read(BINDINGS_LIST, _BINDINGS_LIST_INPUT, data)
        search = (query["search"] or "").lower()
        found = [
            row
            for row in map(self._functions.binding_row, self._triggers.live(query["trigger_type"]))
            if (query["include_internal"] or not row["function_id"].startswith("engine::"))
            and query["function_id"] in (None, row["function_id"])
            and query["worker"] in (None, row["worker_name"])
            and any(search in row[field].lower() for field in ("id", "trigger_type", "function_id"))
        ]
        return {"registered_triggers": sorted(found, key=lambda row: row["id"])}

    def bindings_info(self, _: Connection | None, data: Json) -> Json:
        """Details of one live binding, its type and its function."""
        query = read(BINDINGS_INFO, _BINDINGS_INFO_INPUT, data)
        binding = self._triggers.binding(query["id"])
        if binding is None:
            raise Refusal("NOT_FOUND", f"Registered trigger '{query['id']}' was not found.")
        row = self._functions.binding_row(binding)
        del row["config_summary"]
        return {
            **row,
            **present(metadata=binding.metadata),
            "trigger": self._type_detail(self._triggers.provider(binding)),
            "function": self._functions.target_detail(binding),
        }
