"""Streams: items by stream, group and id, that a worker can keep in place of the engine, and a trigger for their events.

There is no public socket, so nobody joins and leaves (docs/engine.md, "Streams").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from iii_trio._embedded.connection import DEFAULT_NAMESPACE
from iii_trio._embedded.inputs import Field, Input, anything, debug_error, many, reading, text, u64
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.registry import Later, Refusal
from iii_trio._embedded.store import Change, Store
from iii_trio._embedded.triggers import Binding, BindingRefused, TriggerType
from iii_trio._embedded.updates import read_operation
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

WORKER: Final = "iii-stream"
TRIGGER_TYPE: Final = "stream"

_STREAM: Final = Field("stream_name", text, required=True)
_GROUP: Final = Field("group_id", text, required=True)
_ITEM: Final = (_STREAM, _GROUP, Field("item_id", text, required=True))
_DATA: Final = Field("data", anything, required=True)
_SET: Final = Input("StreamSetInput", (*_ITEM, _DATA))
_GET: Final = Input("StreamGetInput", _ITEM)
_DELETE: Final = Input("StreamDeleteInput", _ITEM)
_UPDATE: Final = Input("StreamUpdateInput", (*_ITEM, Field("ops", many(read_operation), required=True)))
_LIST: Final = Input("StreamListInput", (_STREAM, _GROUP))
_LIST_GROUPS: Final = Input("StreamListGroupsInput", (_STREAM,))
_LIST_ALL: Final = Input("StreamListAllInput", ())
_SEND: Final = Input(
    "StreamSendInput",
    (_STREAM, _GROUP, Field("id", text, may_end=False), Field("type", text, required=True), _DATA),
)

_CONFIG: Final = Input(
    "StreamTriggerConfig",
    tuple(Field(name, text, may_end=False) for name in ("stream_name", "group_id", "item_id", "condition_function_id")),
)

# What a worker that keeps a stream itself has to return.
_OLD: Final = Field("old_value", anything, may_end=False)
_NEW: Final = Field("new_value", anything, required=True)
_ERROR: Final = Input(
    "UpdateOpError",
    (
        Field("op_index", u64, required=True),
        Field("code", text, required=True),
        Field("message", text, required=True),
        Field("doc_url", text),
    ),
)
_RESULTS: Final = {
    "set": Input("StreamSetResult", (_OLD, _NEW)),
    "update": Input("StreamUpdateResult", (_OLD, _NEW, Field("errors", many(_ERROR.read), default=()))),
    "delete": Input("StreamDeleteResult", (_OLD,)),
}


def streams(host: Host) -> Part:
    """Streams as a part of the engine."""
    kept = _Streams(host)
    return Part(
        worker=WORKER,
        description="Build durable streams for real-time data subscriptions.",
        functions=tuple(
            reading(WORKER, *row)
            for row in (
                ("stream::set", "Set a value in a stream", _SET, kept.set),
                ("stream::get", "Get a value from a stream", _GET, kept.get),
                ("stream::delete", "Delete a value from a stream", _DELETE, kept.delete),
                ("stream::list", "List all items in a stream group", _LIST, kept.list_values),
                ("stream::list_groups", "List all groups in a stream", _LIST_GROUPS, kept.list_groups),
                ("stream::list_all", "List all available stream with metadata", _LIST_ALL, kept.list_all),
                ("stream::send", "Send a custom event to stream subscribers", _SEND, kept.send),
                (
                    "stream::update",
                    "Atomically update a stream value with multiple operations",
                    _UPDATE,
                    kept.update,
                ),
            )
        ),
        trigger_types=(
            TriggerType(
                id=TRIGGER_TYPE, description="Stream trigger", worker=WORKER, accept=kept.accept, release=kept.release
            ),
            TriggerType(id="stream:join", description="Stream join trigger", worker=WORKER),
            TriggerType(id="stream:leave", description="Stream leave trigger", worker=WORKER),
        ),
    )


def _key(stream_name: str, group_id: str) -> str:
    # One text, as in the real engine, so a colon in a name confuses the listings here as it does there.
    return f"stream:{stream_name}:{group_id}"


def _group_of(told: dict[str, Any]) -> str:
    return _key(told["stream_name"], told["group_id"])


@attrs.define
class _Streams:
    _host: Host
    _store: Store = attrs.field(factory=Store, init=False)
    _watches: dict[str, tuple[Binding, dict[str, Any]]] = attrs.field(factory=dict, init=False)
    """Bindings with their decoded configs, by id."""
    _watching: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    """Ids of bindings by the name of the stream."""

    # ---- what is kept -----------------------------------------------------------------------------------------------

    def set(self, told: dict[str, Any]) -> Json:
        return self._write("set", told, told, lambda: self._store.set(_group_of(told), told["item_id"], told["data"]))

    def update(self, told: dict[str, Any]) -> Json:
        sent = {**told, "ops": [operation.sent for operation in told["ops"]]}
        return self._write(
            "update", told, sent, lambda: self._store.update(_group_of(told), told["item_id"], told["ops"])
        )

    def delete(self, told: dict[str, Any]) -> Json:
        return self._write(
            "delete", told, told, lambda: Change(self._store.delete(_group_of(told), told["item_id"]), None)
        )

    def get(self, told: dict[str, Any]) -> Json:
        return self._read("get", told, lambda: self._store.get(_group_of(told), told["item_id"]))

    def list_values(self, told: dict[str, Any]) -> Json:
        return self._read("list", told, lambda: self._store.values(_group_of(told)))

    def list_groups(self, told: dict[str, Any]) -> Json:
        prefix = _key(told["stream_name"], "")
        return self._read(
            "list_groups",
            told,
            lambda: [key.removeprefix(prefix) for key in self._store.groups() if key.startswith(prefix)],
        )

    def list_all(self, _: dict[str, Any]) -> Json:
        groups: dict[str, set[str]] = {}
        for key in self._store.groups():
            parts = key.split(":")
            groups.setdefault(parts[1], set()).add(parts[2])
        found = [{"id": name, "groups": sorted(groups[name])} for name in sorted(groups)]
        return {"stream": found, "count": len(found)}

    def send(self, told: dict[str, Any]) -> Json:
        self._emit(told, told["id"], {"type": "event", "event": {"type": told["type"], "data": told["data"]}})
        return None

    # ---- what a worker keeps ----------------------------------------------------------------------------------------

    def _custom(self, operation: str, told: dict[str, Any]) -> str | None:
        """The function that does it in place of the engine, if somebody brought one."""
        function_id = f"stream::{operation}({told['stream_name']})"
        return None if self._host.registry.find(DEFAULT_NAMESPACE, function_id) is None else function_id

    def _read(self, operation: str, told: dict[str, Any], stored: Callable[[], Json]) -> Json:
        function_id = self._custom(operation, told)
        if function_id is None:
            return stored()
        answer = Later()

        def finish(value: Json, error: ErrorBody | None) -> None:
            answer.settle(ABSENT if value is None else value, error)

        self._host.calls.call(DEFAULT_NAMESPACE, function_id, told, finish=finish)
        return answer

    def _write(self, operation: str, told: dict[str, Any], sent: dict[str, Any], stored: Callable[[], Change]) -> Json:
        function_id = self._custom(operation, told)
        if function_id is None:
            return self._written(operation, told, stored())
        answer = Later()

        def finish(value: Json, error: ErrorBody | None) -> None:
            try:
                answer.settle(self._written(operation, told, _read_change(operation, value, error)))
            except Refusal as refusal:
                answer.settle(error=ErrorBody(refusal.code, refusal.message))

        self._host.calls.call(DEFAULT_NAMESPACE, function_id, sent, finish=finish)
        return answer

    def _written(self, operation: str, told: dict[str, Any], change: Change) -> Json:
        """Tell of the change, and what the caller gets."""
        existed = change.old is not ABSENT
        if operation != "delete":
            self._emit(told, told["item_id"], {"type": "update" if existed else "create", "data": change.new})
            return change.as_result()
        if existed:
            self._emit(told, told["item_id"], {"type": "delete", "data": change.old})
        return {"old_value": change.old if existed else None}

    # ---- events -----------------------------------------------------------------------------------------------------

    def accept(self, binding: Binding) -> None:
        try:
            config = _CONFIG.read(binding.config)
        except ValueError:
            raise BindingRefused("Failed to deserialize stream trigger") from None
        if config["stream_name"] is None:
            # The real engine never reads from this connection again. (docs/engine.md, "Trigger configs")
            raise BindingRefused("stream_name is required for stream triggers")
        # An id that is registered again stands here twice, and hears of everything twice, as in the real engine.
        self._watching.setdefault(config["stream_name"], []).append(binding.id)
        self._watches[binding.id] = (binding, config)

    def release(self, binding: Binding) -> None:
        _, config = self._watches.pop(binding.id)
        name = config["stream_name"]
        self._watching[name] = [binding_id for binding_id in self._watching[name] if binding_id != binding.id]
        if not self._watching[name]:
            del self._watching[name]

    def _emit(self, told: dict[str, Any], item_id: str | None, event: Json) -> None:
        message = {
            "type": "stream",
            "timestamp": int(self._host.clock.time_of_day() * 1_000),
            "streamName": told["stream_name"],
            "groupId": told["group_id"],
            "id": item_id,
            "event": event,
        }
        matching = []
        for binding_id in self._watching.get(told["stream_name"], ()):
            binding, config = self._watches.get(binding_id, (None, {}))
            # No filter is the same as an empty one.
            if (
                binding is not None
                and (config["group_id"] or told["group_id"]) == told["group_id"]
                and (config["item_id"] or item_id) == item_id
            ):
                matching.append((binding, message, config["condition_function_id"]))
        self._host.triggers.deliver_in_turn(matching)


def _read_change(operation: str, value: Json, error: ErrorBody | None) -> Change:
    """What a worker's function says that it did.

    Raises:
        Refusal: It failed, or says nothing that can be read.
    """
    failed = (f"STREAM_{operation.upper()}_ERROR", f"Failed to {operation} value: ")
    if error is not None:
        raise Refusal(failed[0], f"{failed[1]}Failed to invoke function: {debug_error(error)}")
    if value is ABSENT or value is None:
        raise Refusal(failed[0], f"{failed[1]}Function returned no result")
    try:
        result = _RESULTS[operation].read(value)
    except ValueError as unreadable:
        raise Refusal("JSON_ERROR", f"Failed to convert result to value: {unreadable}") from None
    errors = [{key: item for key, item in error.items() if item is not None} for error in result.get("errors", ())]
    return Change(ABSENT if result["old_value"] is None else result["old_value"], result.get("new_value"), errors)
