"""Bindings: which function runs when something happens."""

from __future__ import annotations

from typing import Any

import attrs

from iii_trio._values.checks import instance, optional, text
from iii_trio._values.trigger_configs import QUEUE, check_config


def _fits(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """The engine's own types live in ``default``; of what somebody else provides nothing is known here."""
    if instance.trigger_namespace in (None, "default"):
        check_config(instance.engine_type, value)


@attrs.frozen(kw_only=True)
class RegisterTriggerInput:
    """A binding: the function `function_id` runs whenever the trigger type `type` fires.

    Source: the references' ``RegisterTriggerInput``, of which `type` and `function_id` are required; the namespaces are the
    engine's. An unknown type is no error: the binding waits until somebody provides it (docs/engine.md, "Triggers").
    """

    type: str = attrs.field(validator=text)
    """Trigger type, such as ``http``, ``cron`` or ``state``. ``queue``, without a `trigger_namespace`, stands for the
    engine's ``durable:subscriber``, as the references have it."""

    function_id: str = attrs.field(validator=text)
    """Function that runs."""

    config: Any = attrs.field(default=None, validator=_fits)
    """What the trigger type wants to know: a JSON object or an attrs instance, such as `HttpTriggerConfig`. None is sent as
    an empty object, since most types refuse null. What one of the engine's own types cannot work with is refused."""

    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """Any JSON object; the function gets it as the invocation's metadata, unless the type drops it as queues do."""

    namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where the function is looked up; None means the worker's own namespace."""

    trigger_namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where the trigger type is looked up; None looks in the worker's own namespace, then in ``default``."""

    @property
    def engine_type(self) -> str:
        """The trigger type as the engine calls it."""
        return QUEUE if self.type == "queue" and self.trigger_namespace is None else self.type
