"""Bindings: which function runs when something happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from iii_trio._values.checks import instance, optional, refuse, text


def _harmless(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Two configs make the engine hang the connection that sends them, so they must not leave (docs/engine.md, "Bindings").

    They do so only in the engine's own providers, which live in ``default``.
    """
    if instance.trigger_namespace not in (None, "default"):
        return
    if instance.type == "stream":
        name = _part(value, "stream_name")
        if not isinstance(name, str) or not name.strip():
            refuse(instance, attribute, "of a stream trigger needs a stream_name")
    elif instance.type == "http":
        path = _part(value, "api_path")
        for segment in path.split("/") if isinstance(path, str) else ():
            if segment.startswith("*") or segment == ":":
                refuse(instance, attribute, f"of an http trigger: a segment of api_path must not be {segment!r}")


def _part(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


@attrs.frozen(kw_only=True)
class RegisterTriggerInput:
    """A binding: the function `function_id` runs whenever the trigger type `type` fires.

    Source: the references' ``RegisterTriggerInput``, of which `type` and `function_id` are required; the namespaces are the
    engine's. An unknown type is no error: the binding waits until somebody provides it (docs/engine.md, "Bindings").
    """

    type: str = attrs.field(validator=text)
    """Trigger type, such as ``http``, ``cron`` or ``state``."""

    function_id: str = attrs.field(validator=text)
    """Function that runs."""

    config: Any = attrs.field(default=None, validator=_harmless)
    """What the trigger type wants to know: a JSON object or an attrs instance. None is sent as an empty object, since most
    types refuse null."""

    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """Any JSON object; the function gets it as the invocation's metadata, unless the type drops it as queues do."""

    namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where the function is looked up; None means the worker's own namespace."""

    trigger_namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where the trigger type is looked up; None looks in the worker's own namespace, then in ``default``."""
