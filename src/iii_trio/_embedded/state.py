"""State: values by scope and key, and a trigger for whoever wants to hear of changes (docs/engine.md, "State")."""

from __future__ import annotations

from typing import Any, Final

import attrs

from iii_trio._embedded.inputs import Field, Input, anything, many, reading, text
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.store import Change, Store
from iii_trio._embedded.triggers import Binding, BindingRefused, TriggerType
from iii_trio._embedded.updates import read_operation
from iii_trio._wire.messages import ABSENT, Json

WORKER: Final = "iii-state"
TRIGGER_TYPE: Final = "state"

_SCOPE: Final = Field("scope", text, required=True)
_KEY: Final = Field("key", text, required=True)
_SET: Final = Input("StateSetInput", (_SCOPE, _KEY, Field("value", anything, required=True, alias="data")))
_GET: Final = Input("StateGetInput", (_SCOPE, _KEY))
_DELETE: Final = Input("StateDeleteInput", (_SCOPE, _KEY))
_UPDATE: Final = Input("StateUpdateInput", (_SCOPE, _KEY, Field("ops", many(read_operation), required=True)))
_LIST: Final = Input("StateGetGroupInput", (_SCOPE,))
_LIST_GROUPS: Final = Input("StateListGroupsInput", ())
_CONFIG: Final = Input(
    "StateTriggerConfig",
    tuple(Field(name, text, may_end=False) for name in ("scope", "key", "condition_function_id")),
)


def state(host: Host) -> Part:
    """State as a part of the engine."""
    kept = _State(host)
    return Part(
        worker=WORKER,
        description="Distributed key-value state management with reactive change triggers.",
        functions=tuple(
            reading(WORKER, *row)
            for row in (
                ("state::set", "Set a value in state", _SET, kept.set),
                ("state::get", "Get a value from state", _GET, kept.get),
                ("state::delete", "Delete a value from state", _DELETE, kept.delete),
                ("state::update", "Update a value in state", _UPDATE, kept.update),
                ("state::list", "Get a group from state", _LIST, kept.list_values),
                ("state::list_groups", "List all state groups", _LIST_GROUPS, kept.list_groups),
            )
        ),
        trigger_types=(
            TriggerType(
                id=TRIGGER_TYPE, description="State trigger", worker=WORKER, accept=kept.accept, release=kept.release
            ),
        ),
    )


@attrs.define
class _State:
    _host: Host
    _store: Store = attrs.field(factory=Store, init=False)
    _watches: dict[str, tuple[Binding, dict[str, Any]]] = attrs.field(factory=dict, init=False)
    """Bindings with their decoded configs, by id."""

    # ---- functions --------------------------------------------------------------------------------------------------

    def set(self, told: dict[str, Any]) -> Json:
        return self._written(told, self._store.set(told["scope"], told["key"], told["value"]))

    def update(self, told: dict[str, Any]) -> Json:
        return self._written(told, self._store.update(told["scope"], told["key"], told["ops"]))

    def get(self, told: dict[str, Any]) -> Json:
        return self._store.get(told["scope"], told["key"])

    def delete(self, told: dict[str, Any]) -> Json:
        """The value itself; the event comes also when there was none."""
        old = self._store.delete(told["scope"], told["key"])
        self._fire("state:deleted", told, Change(old, None))
        return old

    def list_values(self, told: dict[str, Any]) -> Json:
        return self._store.values(told["scope"])

    def list_groups(self, _: dict[str, Any]) -> Json:
        return {"groups": sorted(self._store.groups())}

    def _written(self, told: dict[str, Any], change: Change) -> Json:
        # A value that is null was there before.
        self._fire("state:created" if change.old is ABSENT else "state:updated", told, change)
        return change.as_result()

    # ---- events -----------------------------------------------------------------------------------------------------

    def accept(self, binding: Binding) -> None:
        try:
            self._watches[binding.id] = (binding, _CONFIG.read(binding.config))
        except ValueError as error:
            raise BindingRefused(f"Failed to parse trigger config: {error}") from None

    def release(self, binding: Binding) -> None:
        self._watches.pop(binding.id, None)

    def _fire(self, event_type: str, told: dict[str, Any], change: Change) -> None:
        event = {
            "type": "state",
            "event_type": event_type,
            "scope": told["scope"],
            "key": told["key"],
            "old_value": None if change.old is ABSENT else change.old,
            "new_value": change.new,
        }
        matching = [
            (binding, event, config["condition_function_id"])
            for binding, config in self._watches.values()
            if config["scope"] in (None, told["scope"]) and config["key"] in (None, told["key"])
        ]
        self._host.triggers.deliver_in_turn(matching)
