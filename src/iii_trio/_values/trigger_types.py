"""Trigger types of your own: their registration, and what provides them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar

import attrs

from iii_trio._values.checks import instance, text

C = TypeVar("C")


@attrs.frozen(kw_only=True)
class RegisterTriggerTypeInput:
    """A trigger type that this worker provides.

    Source: the references' ``RegisterTriggerTypeInput``, of which `id` and `description` are required: without text in the
    description the engine drops the registration and tells nobody.
    """

    id: str = attrs.field(validator=text)
    """Id of the type, which bindings name. The last provider to register it has it."""

    description: str = attrs.field(validator=instance(str))
    """One line for people and models."""

    trigger_request_format: Any = None
    """JSON Schema of a binding's config; the engine shows it and does not enforce it. None takes that of the
    configs which the handler takes, see `TriggerHandler`."""

    call_request_format: Any = None
    """JSON Schema of the payload that functions get; shown, not enforced."""


@attrs.frozen(kw_only=True)
class TriggerConfig(Generic[C]):
    """One binding, as the provider of its trigger type gets it.

    Source: the references' ``TriggerConfig``; `namespace` is the engine's.
    """

    id: str
    """Id of the binding."""

    function_id: str
    """Function to call when it fires."""

    config: C
    """What the binding says about when to fire."""

    metadata: dict[str, Any] | None = None
    """To be passed on to the function with each call."""

    namespace: str = "default"
    """Where the function is to be called, always by name: it need not be the provider's own namespace."""


class TriggerHandler(ABC, Generic[C]):
    """What provides a trigger type: it is told of each binding, and calls the bound function when its time has come.

    Both methods may be async or not; what is not async runs in a thread. Each binding is told once, whatever the connection,
    also one that existed before the type did. One that comes back changed ends before it begins anew. Of one binding the
    next word comes when the last one was dealt with; others do not wait. When the client ends nothing is told.

    What a class says in ``TriggerHandler[X]`` is what its configs are: bindings with others are refused.

    Source: the references' ``TriggerHandler``.
    """

    @abstractmethod
    def register_trigger(self, config: TriggerConfig[C]) -> Awaitable[None] | None:
        """Begin to serve a binding, or serve it differently from now on.

        Raises:
            Exception: Any one refuses the binding; its text goes to the worker that asked for it.
        """

    @abstractmethod
    def unregister_trigger(self, config: TriggerConfig[C]) -> Awaitable[None] | None:
        """Stop serving a binding."""
