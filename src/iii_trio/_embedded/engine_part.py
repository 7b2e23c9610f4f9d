"""The engine's own trigger types, and bindings that no worker owns: the part that every engine has.

`engine::functions-available` is looked at every five seconds, and only while somebody is bound to it, so that an engine
without such a binding has nothing to wake up for (docs/engine.md, "Triggers").
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from iii_trio._embedded import schemas
from iii_trio._embedded.channels import CREATE
from iii_trio._embedded.clock import Alarm
from iii_trio._embedded.connection import Connection
from iii_trio._embedded.inputs import Field, Input, anything, read, text
from iii_trio._embedded.introspection import ENGINE_WORKER, ENGINE_WORKER_ABOUT, Introspection
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.registry import Function, Later, Refusal
from iii_trio._embedded.trigger_introspection import TriggerIntrospection
from iii_trio._embedded.triggers import FAILED, Binding, BindingRefused, TriggerType
from iii_trio._wire.messages import Json

REGISTER_TRIGGER: Final = "engine::register_trigger"
UNREGISTER_TRIGGER: Final = "engine::unregister_trigger"
FUNCTIONS_AVAILABLE: Final = "engine::functions-available"
WORKERS_AVAILABLE: Final = "engine::workers-available"

FUNCTIONS_POLL: Final = 5.0
"""Seconds between two looks at which functions there are."""

_REGISTER_INPUT: Final = Input(
    "RegisterTriggerInput",
    (
        Field("trigger_type", text, required=True),
        Field("function_id", text, required=True),
        Field("config", anything),
        Field("metadata", anything),
        Field("_caller_worker_id", text),
        Field("trigger_namespace", text),
    ),
)
_UNREGISTER_INPUT: Final = Input(
    "UnregisterTriggerInput", (Field("id", text, required=True), Field("trigger_type", text))
)


def engine_part(host: Host, introspection: Introspection, register: Function) -> Part:
    """What `iii-engine-functions` offers."""
    return _EnginePart(host, introspection).part(register)


@attrs.define(eq=False)
class _EnginePart:
    _host: Host
    _introspection: Introspection
    _known: frozenset[tuple[str, str]] = attrs.field(factory=frozenset, init=False)
    """The functions at the last look."""
    _poll: Alarm | None = attrs.field(default=None, init=False)

    def part(self, register: Function) -> Part:
        return Part(
            worker=ENGINE_WORKER,
            description=ENGINE_WORKER_ABOUT,
            internal=True,
            functions=(
                register,
                Function(
                    id=CREATE,
                    description="Create a streaming channel pair",
                    request_format=schemas.CREATE_CHANNEL,
                    response_format=schemas.CHANNEL_CREATED,
                    run=self._host.channels.create_and_tell,
                    worker=ENGINE_WORKER,
                ),
                *self._introspection.functions(),
                *TriggerIntrospection(self._host.triggers, self._introspection).functions(),
                Function(
                    id=REGISTER_TRIGGER,
                    description="Register a trigger that fires `function_id` directly, with `metadata` delivered to "
                    "the handler as a distinct argument (not folded into the payload). Returns the trigger id (pass "
                    "it to engine::unregister_trigger).",
                    run=self._register,
                    worker=ENGINE_WORKER,
                ),
                Function(
                    id=UNREGISTER_TRIGGER,
                    description="Unregister a trigger by id. Idempotent; reports whether it existed.",
                    run=self._unregister,
                    worker=ENGINE_WORKER,
                ),
            ),
            trigger_types=(
                TriggerType(
                    id=FUNCTIONS_AVAILABLE,
                    description="Triggered when functions are registered/unregistered",
                    accept=self._begin_polling,
                ),
                TriggerType(id=WORKERS_AVAILABLE, description="Triggered when workers connect/disconnect"),
            ),
        )

    # ---- bindings without an owner ----------------------------------------------------------------------------------

    def _register(self, _: Connection | None, data: Json) -> Json:
        """`engine::register_trigger`: the binding stays when the caller goes, and its target is in `default`."""
        told = read(REGISTER_TRIGGER, _REGISTER_INPUT, data)
        binding = Binding(
            id=self._host.new_id(),
            trigger_type=told["trigger_type"],
            function_id=told["function_id"],
            config=told["config"],
            metadata=told["metadata"],
            trigger_namespace=told["trigger_namespace"],
        )
        answer = Later()
        try:
            self._host.triggers.bind_and_wait(binding, answer)
        except BindingRefused as refused:
            raise Refusal(FAILED, str(refused)) from None
        return answer

    def _unregister(self, _: Connection | None, data: Json) -> Json:
        told = read(UNREGISTER_TRIGGER, _UNREGISTER_INPUT, data)
        return {"removed": self._host.triggers.unregister(told["id"])}

    # ---- functions-available ----------------------------------------------------------------------------------------

    def _begin_polling(self, _: Binding) -> None:
        if self._poll is None:
            self._known = self._present()
            self._arm()

    def _arm(self) -> None:
        self._poll = self._host.clock.at(self._host.clock.now + FUNCTIONS_POLL, self._look)

    def _present(self) -> frozenset[tuple[str, str]]:
        return frozenset((function.namespace, function.id) for function in self._host.registry.functions())

    def _look(self) -> None:
        if not self._host.triggers.live(FUNCTIONS_AVAILABLE):
            self._poll = None
            return
        self._arm()
        present = self._present()
        if present != self._known:
            self._known = present
            rows: list[dict[str, Any]] = self._introspection.function_rows()
            self._host.triggers.fire(FUNCTIONS_AVAILABLE, {"event": "functions_changed", "functions": rows})
