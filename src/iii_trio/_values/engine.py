"""The engine's own functions and trigger types by name, and the rows of its listings."""

from __future__ import annotations

from typing import Any, Final

import attrs


class EngineFunctions:
    """Ids of functions that every engine has, all in the namespace ``default``.

    Source: the references' ``EngineFunctions``.
    """

    LIST_FUNCTIONS: Final[str] = "engine::functions::list"
    INFO_FUNCTIONS: Final[str] = "engine::functions::info"
    LIST_WORKERS: Final[str] = "engine::workers::list"
    INFO_WORKERS: Final[str] = "engine::workers::info"
    LIST_TRIGGERS: Final[str] = "engine::triggers::list"
    """Lists trigger *types*."""
    INFO_TRIGGERS: Final[str] = "engine::triggers::info"
    LIST_REGISTERED_TRIGGERS: Final[str] = "engine::registered-triggers::list"
    """Lists bindings."""
    INFO_REGISTERED_TRIGGERS: Final[str] = "engine::registered-triggers::info"
    REGISTER_WORKER: Final[str] = "engine::workers::register"


class EngineTriggers:
    """Ids of the engine's trigger types. Source: the references' ``EngineTriggers``."""

    FUNCTIONS_AVAILABLE: Final[str] = "engine::functions-available"
    """Fires when the set of functions has changed, up to some seconds late."""
    LOG: Final[str] = "log"
    """Fires for each record of the engine's log."""


@attrs.frozen(kw_only=True)
class FunctionInfo:
    """One function in the engine's listing. Source: the references' ``FunctionInfo``."""

    function_id: str
    """Id of the function."""

    description: str | None = None
    """One line about it."""

    request_format: Any = None
    """JSON Schema of the payload, or whatever the worker gave in its place."""

    response_format: Any = None
    """JSON Schema of the result, likewise."""

    metadata: dict[str, Any] | None = None
    """What the worker registered beside it."""

    namespace: str = "default"
    """Where it is called."""

    worker_name: str | None = None
    """Name of the worker that has it; for one without a name, the beginning of the id."""


@attrs.frozen(kw_only=True)
class WorkerInfo:
    """One worker in the engine's listing; the parts of the engine itself are among them.

    Source: the references' ``WorkerInfo``.
    """

    id: str
    """The engine's id for the connection, a UUID; for a part of the engine, its name."""

    name: str | None = None
    """Name of the worker."""

    description: str | None = None
    """One line about it."""

    runtime: str | None = None
    """What it is written with, such as ``python``; ``engine`` for a part of the engine."""

    version: str | None = None
    """Version of its SDK, or of the engine."""

    os: str | None = None
    """Operating system."""

    ip_address: str | None = None
    """Where it connects from."""

    isolation: str | None = None
    """How it is isolated, as it says itself."""

    namespace: str = "default"
    """Where its functions live."""

    status: str
    """``connected`` for a worker, ``available`` for a part of the engine."""

    connected_at_ms: int
    """Since when, in milliseconds since 1970."""

    function_count: int
    """How many functions it has."""

    functions: list[str] = attrs.field(factory=list)
    """Ids of its functions."""

    active_invocations: int
    """Calls under way, those that it makes and those that it serves."""

    @property
    def worker_id(self) -> str:
        """The same as `id`, as the older reference's example spells it."""
        return self.id


@attrs.frozen(kw_only=True)
class TriggerInfo:
    """One binding in the engine's listing. Bindings that wait for their trigger type are not listed.

    Source: the references' ``TriggerInfo``.
    """

    id: str
    """Id of the binding."""

    trigger_type: str
    """Trigger type."""

    function_id: str
    """Function that runs."""

    config: Any = None
    """Config of the binding."""

    metadata: dict[str, Any] | None = None
    """Metadata of the binding."""


@attrs.frozen(kw_only=True)
class TriggerTypeInfo:
    """One trigger type in the engine's listing. Source: the rows of the engine's ``engine::triggers::list``."""

    id: str
    """Id of the type."""

    description: str | None = None
    """One line about it."""

    namespace: str = "default"
    """Where it is looked up."""

    worker_name: str | None = None
    """Who provides it."""
