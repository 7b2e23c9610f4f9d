"""Configs of the engine's own trigger types: what each may say, and which say something that can never work.

The engine refuses some configs in words, takes others and never fires, and hangs on a few
(docs/engine.md, "Trigger configs"). What is known to end in one of these ways is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from iii_trio._values.building import LEFT_OUT, build
from iii_trio._values.checks import instance, one_of, optional, refuse, text, texts, whole
from iii_trio._values.stream_events import StreamJoinLeaveTriggerConfig, StreamTriggerConfig
from iii_trio.errors import ConfigurationError

RouteMethod: TypeAlias = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
"""Methods that an ``http`` trigger can have."""

QUEUE: Final = "durable:subscriber"
"""The type that the references call ``queue``."""

_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_PARAMETER: Final = re.compile(r":[^{}*]+|\{[^{}*/]+\}")
_REST: Final = re.compile(r"\{\*[^{}*/]+\}")
_SCHEDULES: Final = ("@yearly", "@monthly", "@weekly", "@daily", "@hourly")
_CONFIGURATION_ID: Final = re.compile(r"[a-z0-9_-]{1,64}")


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _path(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Whatever the engine's router cannot read makes it panic, and spoils every later route of every worker."""
    text(instance, attribute, value)
    segments = value.split("/")
    for index, segment in enumerate(segments):
        is_last = index == len(segments) - 1
        if segment.startswith("*") or segment == ":":
            refuse(instance, attribute, f"must have no segment like {segment!r}, on which the engine's router breaks")
        if _PARAMETER.fullmatch(segment) or (is_last and _REST.fullmatch(segment)):
            continue
        if segment.startswith(":") or "{" in segment or "}" in segment:
            refuse(instance, attribute, f"has a segment {segment!r}; a parameter is a whole segment, such as ':name'")


def _expression(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    text(instance, attribute, value)
    # The engine allows spaces around what joins the parts of one field.
    fields = re.sub(r"\s*([,/-])\s*", r"\1", value).split()
    if value.strip() not in _SCHEDULES and len(fields) not in (6, 7):
        refuse(
            instance,
            attribute,
            f"must have six fields (second minute hour day month weekday) or seven (and a year), or be one of "
            f"{', '.join(_SCHEDULES)}, not {value!r}",
        )


def _events(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    texts(instance, attribute, value)
    if not value:
        refuse(instance, attribute, "must not be empty: it would never fire; None means all")
    for each in value:
        one_of(*_CONFIGURATION_EVENTS)(instance, attribute, each)


_CONFIGURATION_EVENTS: Final = ("configuration:registered", "configuration:updated", "configuration:deleted")


def _configuration_id(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    text(instance, attribute, value)
    if not _CONFIGURATION_ID.fullmatch(value):
        refuse(instance, attribute, f"must be 1 to 64 of a-z, 0-9, _ and -, not {value!r}")


def _ids(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    texts(instance, attribute, value)
    for each in value:
        text(instance, attribute, each)


@attrs.frozen(kw_only=True)
class HttpTriggerConfig:
    """Config of an ``http`` trigger: one route of the engine's HTTP server. Source: the engine's ``http`` triggers."""

    api_path: str = attrs.field(validator=_path)
    """Path with or without the leading slash; a segment ``:name`` is a parameter. Paths that differ in nothing but the names
    of parameters exclude each other, whatever their methods."""

    http_method: RouteMethod = attrs.field(  # pyright: ignore[reportAssignmentType]  # it widens the default to str
        default="GET", converter=_upper, validator=one_of(*_METHODS)
    )
    """Method, in any case. GET does not serve HEAD, and with the engine's usual CORS OPTIONS is never reached."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the request; its answer ``false`` is status 422, an error of it 500."""

    middleware_function_ids: list[str] = attrs.field(factory=list, validator=_ids)
    """Functions that are asked before the handler, in this order; the engine does not advertise it."""


@attrs.frozen(kw_only=True)
class CronTriggerConfig:
    """Config of a ``cron`` trigger. Times are UTC; runs of one trigger do not overlap, and what is missed is skipped.

    Source: the engine's ``cron`` triggers.
    """

    expression: str = attrs.field(validator=_expression)
    """``second minute hour day month weekday [year]``, where weekday 1 is Sunday and both days must match, or one of
    ``@yearly``, ``@monthly``, ``@weekly``, ``@daily``, ``@hourly``."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the same payload; only its answer ``false`` holds the run back."""


@attrs.frozen(kw_only=True)
class StateTriggerConfig:
    """Config of a ``state`` trigger: which changes it is about; all of them when it says nothing.

    Source: the engine's ``state`` triggers.
    """

    scope: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Group of keys, exactly; None means all."""

    key: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Name of the value, exactly; None means all."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the same payload; only its answer ``false`` holds the event back."""


@attrs.frozen(kw_only=True)
class SubscribeTriggerConfig:
    """Config of a ``subscribe`` trigger: messages that are published while somebody listens, and then gone.

    Source: the engine's ``subscribe`` triggers.
    """

    topic: str = attrs.field(validator=text)
    """Topic; without one the engine would take the binding and never fire."""


@attrs.frozen(kw_only=True)
class SubscriberQueueConfig:
    """How a durable topic delivers to one subscriber, in the engine's own spelling; None leaves it to the engine.

    Source: the engine's ``queue_config``.
    """

    type: Literal["standard", "concurrent", "fifo"] | None = attrs.field(
        default=None, validator=optional(one_of("standard", "concurrent", "fifo")), metadata=LEFT_OUT
    )
    """``fifo`` delivers in order, and what fails blocks what comes behind it; the other two are the same."""

    maxRetries: int | None = attrs.field(  # noqa: N815 - the name is the engine's
        default=None, validator=optional(whole(0)), metadata=LEFT_OUT
    )
    """Deliveries after the first one that failed."""

    concurrency: int | None = attrs.field(default=None, validator=optional(whole(1)), metadata=LEFT_OUT)
    """Deliveries at once. 0 would stop them all, so it is refused."""

    backoffDelayMs: int | None = attrs.field(  # noqa: N815
        default=None, validator=optional(whole(0)), metadata=LEFT_OUT
    )
    """Milliseconds before the first retry; each one after it waits twice as long."""


def _as_queue_config(value: SubscriberQueueConfig | Mapping[str, Any] | None) -> Any:
    """A dict stays one, since other adapters of the engine know further keys; what is known of it is checked."""
    if isinstance(value, Mapping):
        _checked(SubscriberQueueConfig, value)
    return value


@attrs.frozen(kw_only=True)
class QueueTriggerConfig:
    """Config of a ``durable:subscriber`` trigger: each function that subscribes gets every message of the topic once.

    A handler that fails gets it again.

    Source: the engine's ``durable:subscriber`` triggers.
    """

    topic: str = attrs.field(validator=text)
    """Topic; without one the engine would take the binding and never fire."""

    queue_config: SubscriberQueueConfig | dict[str, Any] | None = attrs.field(
        default=None,
        converter=_as_queue_config,
        validator=optional(instance(SubscriberQueueConfig, dict)),
        metadata=LEFT_OUT,
    )
    """Retries, order and concurrency."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the message: ``false`` settles it unseen, an error is a failed delivery."""


@attrs.frozen(kw_only=True)
class LogTriggerConfig:
    """Config of a ``log`` trigger: records of the engine's log. Its function is looked up in ``default`` alone.

    Source: the engine's ``log`` triggers.
    """

    level: Literal["all", "trace", "debug", "info", "warn", "error"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="all", validator=one_of("all", "trace", "debug", "info", "warn", "error")
    )
    """Exactly this level, not from it upwards. A handler that logs at its own level sets itself off."""


@attrs.frozen(kw_only=True)
class TraceTriggerConfig:
    """Config of a ``trace`` trigger: ids of traces in which something happened. Its function is in ``default`` alone.

    Source: the engine's ``trace`` triggers.
    """

    service_name: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Name of the service; None means all."""

    status: Literal["ok", "error", "unset"] | None = attrs.field(
        default=None, converter=_lower, validator=optional(one_of("ok", "error", "unset")), metadata=LEFT_OUT
    )
    """Status of the span; None means all."""


@attrs.frozen(kw_only=True)
class ConfigurationTriggerConfig:
    """Config of a ``configuration`` trigger: changes of configuration values; all of them when it says nothing.

    Source: the engine's ``configuration`` triggers.
    """

    configuration_id: str | None = attrs.field(default=None, validator=optional(_configuration_id), metadata=LEFT_OUT)
    """Id of the value, 1 to 64 of a-z, 0-9, _ and -; None means all."""

    event_types: list[str] | None = attrs.field(default=None, validator=optional(_events), metadata=LEFT_OUT)
    """``configuration:registered``, ``configuration:updated``, ``configuration:deleted``; None means all."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the same payload; only its answer ``false`` holds the event back."""


@attrs.frozen(kw_only=True)
class FunctionsAvailableTriggerConfig:
    """Config of an ``engine::functions-available`` trigger, of which the engine reads nothing.

    Source: the engine's ``engine::functions-available`` triggers.
    """


@attrs.frozen(kw_only=True)
class WorkersAvailableTriggerConfig:
    """Config of an ``engine::workers-available`` trigger, of which the engine reads nothing.

    Source: the engine's ``engine::workers-available`` triggers.
    """


CONFIGS: Final[Mapping[str, type[Any]]] = {
    "http": HttpTriggerConfig,
    "cron": CronTriggerConfig,
    "state": StateTriggerConfig,
    "stream": StreamTriggerConfig,
    "stream:join": StreamJoinLeaveTriggerConfig,
    "stream:leave": StreamJoinLeaveTriggerConfig,
    "subscribe": SubscribeTriggerConfig,
    QUEUE: QueueTriggerConfig,
    "log": LogTriggerConfig,
    "trace": TraceTriggerConfig,
    "configuration": ConfigurationTriggerConfig,
    "engine::functions-available": FunctionsAvailableTriggerConfig,
    "engine::workers-available": WorkersAvailableTriggerConfig,
}
"""The engine's own types and the classes of their configs."""

_UNCONDITIONAL: Final = frozenset(CONFIGS) - {"http", "cron", "state", "stream", QUEUE, "configuration"}


def types_of(config: Any) -> list[str]:
    """The trigger types that a typed config belongs to; none for anything else."""
    return [name for name, cls in CONFIGS.items() if type(config) is cls]


def check_config(trigger_type: str, config: Any) -> None:
    """Refuse a config that one of the engine's own types cannot work with. Keys that nobody here knows are let through.

    Raises:
        ConfigurationError: It belongs to another type, or a field of it is missing or wrong.
    """
    belongs = types_of(config)
    if belongs and trigger_type not in belongs:
        raise ConfigurationError(f"{type(config).__name__} is no config of a {trigger_type!r} trigger")
    if trigger_type not in CONFIGS:
        return
    given = _as_mapping(trigger_type, config)
    _checked(CONFIGS[trigger_type], given)
    if trigger_type in _UNCONDITIONAL and given.get("condition_function_id") is not None:
        raise ConfigurationError(
            f"the engine asks no condition_function_id before a {trigger_type!r} trigger; look in the handler"
        )


def route_shape(path: str) -> str:
    """The path without the names of its parameters: two of one shape must have the same names."""
    segments = path.removeprefix("/").split("/")
    return "/".join("{}" if segment[:1] in (":", "{") else segment for segment in segments)


def route_path(path: str) -> str:
    """The path as the engine's router has it."""
    segments = path.removeprefix("/").split("/")
    return "/".join(f"{{{segment[1:]}}}" if segment[:1] == ":" else segment for segment in segments)


def _as_mapping(trigger_type: str, config: Any) -> Mapping[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        return config
    if attrs.has(type(config)):
        return attrs.asdict(config, recurse=False)
    raise ConfigurationError(f"the config of a {trigger_type!r} trigger is an object, not {type(config).__name__}")


def _checked(cls: type[Any], given: Mapping[str, Any]) -> None:
    known = {field.name for field in attrs.fields(cls)}
    # To the engine null is the same as silence.
    build(cls, {name: value for name, value in given.items() if name in known and value is not None})
