"""What the engine tells of functions and workers: `engine::functions::list|info` and `engine::workers::list|info`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import orjson

from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection
from iii_trio._embedded.inputs import Field, Input, flag, read, text, texts
from iii_trio._embedded.parts import Part
from iii_trio._embedded.registry import Function, Refusal, Registry
from iii_trio._embedded.triggers import Binding, Triggers, TriggerType
from iii_trio._wire.messages import Json

FUNCTIONS_LIST: Final = "engine::functions::list"
FUNCTIONS_INFO: Final = "engine::functions::info"
WORKERS_LIST: Final = "engine::workers::list"
WORKERS_INFO: Final = "engine::workers::info"

ENGINE_VERSION: Final = "0.23.0-rc.4"
"""The version of the engine that this one behaves like."""

ENGINE_WORKER: Final = "iii-engine-functions"
"""The name of the in-process worker that owns the engine's own functions."""
ENGINE_WORKER_ABOUT: Final = "Core engine introspection (engine::*) and platform authoring reference."

_BATCH_LIMIT: Final = 32
_LONGEST_SUMMARY: Final = 80
"""Characters of a config in a list."""

_FUNCTIONS_LIST_INPUT: Final = Input(
    "FunctionsListInput",
    (
        Field("search", text),
        Field("prefix", text),
        Field("worker", text),
        Field("workers", texts),
        Field("include_internal", flag),
    ),
)
_FUNCTIONS_INFO_INPUT: Final = Input(
    "FunctionInfoInput", (Field("function_id", text), Field("function_ids", texts), Field("namespace", text))
)
_WORKERS_LIST_INPUT: Final = Input(
    "WorkersListInput", (Field("search", text), Field("runtime", text), Field("status", text))
)
_WORKERS_INFO_INPUT: Final = Input("WorkerInfoInput", (Field("name", text, required=True), Field("namespace", text)))


@attrs.frozen
class Introspection:
    """Answers from the registry, as it is at the moment of the call."""

    _registry: Registry
    _triggers: Triggers
    _parts: Sequence[Part]
    _started_at_ms: int

    def functions(self) -> tuple[Function, ...]:
        """What it offers."""
        return tuple(
            Function(id=function_id, description=description, run=run, worker=ENGINE_WORKER)
            for function_id, description, run in (
                (FUNCTIONS_LIST, "List registered functions with their owning worker name.", self.functions_list),
                (
                    FUNCTIONS_INFO,
                    "Inspect functions: schemas, owner, and registered triggers. Single `function_id`, or "
                    "`function_ids: [...]` (max 32) to fetch several contracts in one call.",
                    self.functions_info,
                ),
                (WORKERS_LIST, "List workers connected to the engine.", self.workers_list),
                (
                    WORKERS_INFO,
                    "Inspect one connected worker's full surface (functions, trigger types, registered triggers).",
                    self.workers_info,
                ),
            )
        )

    # ---- functions --------------------------------------------------------------------------------------------------

    def functions_list(self, _: Connection | None, data: Json) -> Json:
        """Rows of the functions that match."""
        query = read(FUNCTIONS_LIST, _FUNCTIONS_LIST_INPUT, data)
        search = (query["search"] or "").lower()
        workers = {*(query["workers"] or ()), *([query["worker"]] if query["worker"] is not None else ())}
        found = [
            function
            for function in self._registry.functions()
            if (query["include_internal"] or not _is_internal(function))
            and function.id.startswith(query["prefix"] or "")
            and (not workers or worker_name(function) in workers)
            and (search in function.id.lower() or search in (function.description or "").lower())
        ]
        found.sort(key=lambda function: (_rank(function.id.lower(), search), function.id))
        return {"functions": [_function_row(function) for function in found]}

    def function_rows(self) -> list[dict[str, Any]]:
        """All functions."""
        return [_function_row(function) for function in self._registry.functions()]

    def functions_info(self, _: Connection | None, data: Json) -> Json:
        """Details of one function, or of several."""
        query = read(FUNCTIONS_INFO, _FUNCTIONS_INFO_INPUT, data)
        function_id, function_ids, namespace = query["function_id"], query["function_ids"], query["namespace"]
        if function_id is not None and function_ids is not None:
            raise Refusal("INVALID_ARGUMENTS", "pass either `function_id` or `function_ids`, not both")
        if function_id is not None:
            return self._function_detail(function_id, namespace)
        if function_ids is None:
            raise Refusal("INVALID_ARGUMENTS", "missing field `function_id` (or `function_ids` for a batch)")
        if not function_ids:
            raise Refusal("INVALID_ARGUMENTS", "`function_ids` must be a non-empty array of function ids")
        different = list(dict.fromkeys(function_ids))
        if len(different) > _BATCH_LIMIT:
            raise Refusal("INVALID_ARGUMENTS", f"too many function_ids (max {_BATCH_LIMIT})")
        return {"functions": [self._function_entry(wanted, namespace) for wanted in different]}

    def _function_detail(self, function_id: str, namespace: str | None) -> dict[str, Any]:
        function = self._resolve(function_id, namespace)
        if function is None:
            elsewhere = ", ".join(self._registry.namespaces_of(function_id))
            # The same words for a namespace that lacks the id as for an id in several of them.
            reason = (
                f"ambiguous: it is registered in namespace(s): {elsewhere}. Pass `namespace` to select one."
                if elsewhere
                else "not registered."
            )
            raise Refusal("NOT_FOUND", f"Function '{function_id}' is {reason}")
        return {
            **_function_row(function),
            **present(request_schema=function.request_format, response_schema=function.response_format),
            "registered_triggers": [
                {"id": binding.id, "trigger_type": binding.trigger_type, "config": binding.config}
                for binding in self._triggers.live()
                if (binding.namespace, binding.function_id) == (function.namespace, function.id)
            ],
        }

    def _function_entry(self, function_id: str, namespace: str | None) -> dict[str, Any]:
        try:
            return self._function_detail(function_id, namespace)
        except Refusal:
            return {"function_id": function_id, "error": "not_found"}

    def _resolve(self, function_id: str, namespace: str | None) -> Function | None:
        """Strictly in a given namespace; otherwise in the default one, or the only one that has it."""
        if namespace is None:
            namespace = _choose(self._registry.namespaces_of(function_id))
        return None if namespace is None else self._registry.find(namespace, function_id)

    # ---- workers ----------------------------------------------------------------------------------------------------

    def workers_list(self, _: Connection | None, data: Json) -> Json:
        """Rows of the workers that match; a worker that told no process id is left out."""
        query = read(WORKERS_LIST, _WORKERS_LIST_INPUT, data)
        search = (query["search"] or "").lower()
        rows = [
            _worker_row(connection)
            for connection in self._registry.connections.values()
            if connection.profile.pid is not None
        ]
        rows.extend(map(self._part_row, self._parts))
        found = [
            row
            for row in rows
            if search in (row["name"] or "").lower()
            and query["runtime"] in (None, row["runtime"])
            and query["status"] in (None, row["status"])
        ]
        found.sort(key=lambda row: (row["name"] or row["id"], row["id"]))
        return {"workers": found}

    def workers_info(self, _: Connection | None, data: Json) -> Json:
        """Everything that one worker has."""
        query = read(WORKERS_INFO, _WORKERS_INFO_INPUT, data)
        name, namespace = query["name"], query["namespace"]
        found = self._named(name)
        chosen = namespace if namespace is not None else _choose(sorted(found))
        if chosen is None or chosen not in found:
            raise Refusal("NOT_FOUND", _no_such_worker(name, sorted(found), strict=namespace is not None))
        owner = found[chosen]
        if isinstance(owner, Part):
            worker = {**self._part_row(owner), "internal": owner.internal}
            functions = self._functions_of(owner)
        else:
            worker = {**_worker_row(owner), **present(pid=owner.profile.pid), "internal": False}
            functions = [function for function in self._registry.functions() if function.owner is owner]
        functions.sort(key=lambda function: function.id)
        types = [type_row(kind) for kind in self._triggers.types() if _provides(owner, kind)]
        targets = {(function.namespace, function.id) for function in functions}
        bindings = [
            self.binding_row(binding)
            for binding in self._triggers.live()
            if (binding.namespace, binding.function_id) in targets
        ]
        return {
            "worker": worker,
            "functions": [_function_row(function) for function in functions],
            "trigger_types": sorted(types, key=lambda row: row["id"]),
            "registered_triggers": sorted(bindings, key=lambda row: row["id"]),
        }

    def _named(self, name: str) -> dict[str, Connection | Part]:
        """Who has a name, by namespace."""
        found: dict[str, Connection | Part] = {
            connection.home: connection
            for connection in self._registry.connections.values()
            if connection.profile.name == name
        }
        found.update((DEFAULT_NAMESPACE, part) for part in self._parts if part.worker == name)
        return found

    def _functions_of(self, part: Part) -> list[Function]:
        return [function for function in self._registry.functions() if function.worker == part.worker]

    def _part_row(self, part: Part) -> dict[str, Any]:
        return {
            "name": part.worker,
            "description": part.description,
            "version": ENGINE_VERSION,
            "id": part.worker,
            "namespace": DEFAULT_NAMESPACE,
            "runtime": "engine",
            "os": None,
            "status": "available",
            "function_count": len(self._functions_of(part)),
            "connected_at_ms": self._started_at_ms,
            "active_invocations": 0,
            "isolation": "in-process",
            "ip_address": None,
        }

    # ---- bindings ---------------------------------------------------------------------------------------------------

    def binding_row(self, binding: Binding) -> dict[str, Any]:
        """One live binding; its worker is the one of its function."""
        function = self._registry.find(binding.namespace, binding.function_id)
        summary = orjson.dumps(binding.config, option=orjson.OPT_SORT_KEYS).decode()
        if len(summary) > _LONGEST_SUMMARY:
            summary = f"{summary[:_LONGEST_SUMMARY]}…"
        return {
            "id": binding.id,
            "trigger_type": binding.trigger_type,
            "function_id": binding.function_id,
            "worker_name": binding.function_id.partition("::")[0] if function is None else worker_name(function),
            "config": binding.config,
            "config_summary": summary,
        }

    def target_detail(self, binding: Binding) -> dict[str, Any] | None:
        """Details of the function that a binding calls; None if there is none."""
        try:
            return self._function_detail(binding.function_id, binding.namespace)
        except Refusal:
            return None


def _provides(owner: Connection | Part, kind: TriggerType) -> bool:
    if isinstance(owner, Part):
        return kind.owner is None and kind.worker == owner.worker
    return kind.owner is owner


def type_row(kind: TriggerType) -> dict[str, Any]:
    """One trigger type."""
    name = kind.worker if kind.owner is None else kind.owner.profile.name
    return {
        "id": kind.id,
        "namespace": kind.namespace,
        "worker_name": name or kind.id.partition("::")[0],
        "description": kind.description,
    }


def worker_name(function: Function) -> str:
    """The name of a function's worker, or the first part of the id when it has none."""
    if function.owner is None:
        return function.worker
    return function.owner.profile.name or function.id.partition("::")[0]


def _function_row(function: Function) -> dict[str, Any]:
    return {
        "function_id": function.id,
        "namespace": function.namespace,
        "worker_name": worker_name(function),
        **present(description=function.description, metadata=function.metadata),
    }


def _worker_row(connection: Connection) -> dict[str, Any]:
    profile = connection.profile
    return {
        "name": profile.name,
        "description": profile.description,
        "version": profile.version,
        "id": connection.id,
        "namespace": connection.home,
        "runtime": profile.runtime,
        "os": profile.os,
        "status": "connected",
        "function_count": len(connection.functions),
        "connected_at_ms": connection.connected_at_ms,
        "active_invocations": len(connection.calls),
        "isolation": profile.isolation,
        "ip_address": connection.ip_address,
    }


def present(**values: Json) -> dict[str, Json]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _is_internal(function: Function) -> bool:
    if isinstance(function.metadata, dict) and function.metadata.get("internal") is True:
        return True
    return function.id.startswith("engine::") and not function.id.startswith("engine::queue::")


def _rank(function_id: str, search: str) -> int:
    """How well an id fits: a whole part or the beginning of it, any part, or only its description."""
    if function_id.startswith(search) or search in function_id.split("::"):
        return 0
    return 1 if search in function_id else 2


def _choose(namespaces: Iterable[str]) -> str | None:
    """The default namespace, or the only one there is."""
    known = list(namespaces)
    if DEFAULT_NAMESPACE in known:
        return DEFAULT_NAMESPACE
    return known[0] if len(known) == 1 else None


def _no_such_worker(name: str, namespaces: list[str], *, strict: bool) -> str:
    if not namespaces:
        return f"Worker '{name}' is not connected."
    listed = ", ".join(namespaces)
    if strict:
        return (
            f"Worker '{name}' is not connected in the requested namespace; it is connected in namespace(s): {listed}."
        )
    return f"Worker '{name}' is ambiguous: it is connected in namespace(s): {listed}. Pass `namespace` to disambiguate."
