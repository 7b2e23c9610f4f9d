"""`III.on`: decorators that make a handler a function and bind it to what makes it run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, Unpack, overload

import attrs

from iii_trio._client.binding import Binding
from iii_trio._client.handles import FunctionRef, Trigger
from iii_trio._client.registering import FunctionOptions
from iii_trio._values.stream_events import StreamJoinLeaveTriggerConfig, StreamTriggerConfig
from iii_trio._values.trigger_configs import (
    QUEUE,
    ConfigurationTriggerConfig,
    CronTriggerConfig,
    FunctionsAvailableTriggerConfig,
    HttpTriggerConfig,
    LogTriggerConfig,
    QueueTriggerConfig,
    RouteMethod,
    StateTriggerConfig,
    SubscriberQueueConfig,
    SubscribeTriggerConfig,
    TraceTriggerConfig,
    WorkersAvailableTriggerConfig,
)
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


class FunctionKeywords(FunctionOptions, total=False):
    """What every decorator takes beside its own arguments."""

    function_id: str
    """Id of the function; the handler's name when left out."""

    trigger_metadata: dict[str, Any]
    """A JSON object that most types pass on as the invocation's metadata."""


@attrs.frozen(eq=False)
class Binder:
    """A decorator made by `III.on`. It binds a handler once for each time that it decorates something."""

    _client: Binding
    _type: str
    _config: Any
    _keywords: Mapping[str, Any]
    _trigger_namespace: str | None = None

    @overload
    def __call__(self, handler: FunctionRef[F]) -> FunctionRef[F]: ...

    @overload
    def __call__(self, handler: F) -> FunctionRef[F]: ...

    def __call__(self, handler: Any) -> FunctionRef[Any]:
        """Register the handler, unless a decorator below has done so, and bind the function.

        Raises:
            ConfigurationError: The handler, its id or another argument cannot work; or it is a function already, and this
                decorator has something to say of functions.
        """
        keywords = dict(self._keywords)
        metadata = keywords.pop("trigger_metadata", None)
        if isinstance(handler, FunctionRef):
            if keywords:
                raise ConfigurationError(
                    f"{handler.id!r} is registered already; {', '.join(keywords)} belong to the lowest decorator"
                )
            ref = handler
            ref.add_trigger(self._bind(ref.id, metadata))
            return ref
        function_id = keywords.pop("function_id", None)
        if function_id is None:
            function_id = _name_of(handler)
        # The config is checked first, so that a binding that cannot be leaves no function behind.
        self._described(function_id, metadata)
        ref = self._client.register_function(function_id, handler, **keywords)
        try:
            ref.add_trigger(self._bind(ref.id, metadata))
        except BaseException:
            ref.unregister()
            raise
        return ref

    def _described(self, function_id: str, metadata: dict[str, Any] | None) -> RegisterTriggerInput:
        return RegisterTriggerInput(
            type=self._type,
            function_id=function_id,
            config=self._config,
            metadata=metadata,
            trigger_namespace=self._trigger_namespace,
        )

    def _bind(self, function_id: str, metadata: dict[str, Any] | None) -> Trigger:
        return self._client.register_trigger(self._described(function_id, metadata))


def _name_of(handler: Any) -> str:
    name = getattr(handler, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigurationError(f"{handler!r} has no name to make an id of; give it a function_id")
    return name


class On:
    """Decorators that register a handler as a function and bind it, each to one type of trigger.

    Every one takes ``function_id=``, which is the handler's name when left out, ``trigger_metadata=``, and the keywords of
    `III.register_function`. It gives a `FunctionRef`, whose `wait_registered` waits for function and trigger. Several may
    stand on one handler: the lowest one makes it a function, and those above only bind it. All raise what
    `III.register_function` and `III.register_trigger` raise, arguments that cannot work at once, and the rest when they
    decorate. None of them blocks.
    """

    def __init__(self, client: Binding) -> None:
        self._client = client

    def http(
        self,
        method: RouteMethod,
        path: str,
        *,
        condition_function_id: str | None = None,
        middleware_function_ids: list[str] | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Serve a route of the engine's HTTP server; see `HttpTriggerConfig`.

        The handler gets the request, and returns an `HttpResponse` or a dict with ``status_code``, ``headers`` and ``body``,
        or streams its answer. Without either the client gets a 200 with ``{}`` (docs/http.md).
        """
        config = HttpTriggerConfig(
            api_path=path,
            http_method=method,
            condition_function_id=condition_function_id,
            middleware_function_ids=middleware_function_ids or [],
        )
        return Binder(self._client, "http", config, keywords)

    def cron(
        self, expression: str, *, condition_function_id: str | None = None, **keywords: Unpack[FunctionKeywords]
    ) -> Binder:
        """Run at times of day, in UTC; see `CronTriggerConfig`."""
        config = CronTriggerConfig(expression=expression, condition_function_id=condition_function_id)
        return Binder(self._client, "cron", config, keywords)

    def state(
        self,
        scope: str | None = None,
        key: str | None = None,
        *,
        condition_function_id: str | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run when a value of the state was written or deleted; see `StateTriggerConfig` and `StateEventData`."""
        config = StateTriggerConfig(scope=scope, key=key, condition_function_id=condition_function_id)
        return Binder(self._client, "state", config, keywords)

    def stream(
        self,
        stream_name: str,
        group_id: str | None = None,
        item_id: str | None = None,
        *,
        condition_function_id: str | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run when an item of a stream has changed, or something was sent; see `StreamTriggerConfig`."""
        config = StreamTriggerConfig(
            stream_name=stream_name,
            group_id=group_id,
            item_id=item_id,
            condition_function_id=condition_function_id,
        )
        return Binder(self._client, "stream", config, keywords)

    def stream_join(self, **keywords: Unpack[FunctionKeywords]) -> Binder:
        """Run before anybody joins any stream on the public socket, who is refused with `StreamJoinResult`."""
        return Binder(self._client, "stream:join", StreamJoinLeaveTriggerConfig(), keywords)

    def stream_leave(self, **keywords: Unpack[FunctionKeywords]) -> Binder:
        """Run when somebody has left any stream; see `StreamJoinLeaveEvent`."""
        return Binder(self._client, "stream:leave", StreamJoinLeaveTriggerConfig(), keywords)

    def subscribe(self, topic: str, **keywords: Unpack[FunctionKeywords]) -> Binder:
        """Run for each message that is published to a topic meanwhile; see `SubscribeTriggerConfig`."""
        return Binder(self._client, "subscribe", SubscribeTriggerConfig(topic=topic), keywords)

    def queue(
        self,
        topic: str,
        queue_config: SubscriberQueueConfig | dict[str, Any] | None = None,
        *,
        condition_function_id: str | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run for each message of a durable topic, again when it failed; see `QueueTriggerConfig`.

        When the connection of its invocation is lost the handler is cancelled, unless ``on_connection_lost`` says otherwise,
        since the message is delivered again.
        """
        config = QueueTriggerConfig(topic=topic, queue_config=queue_config, condition_function_id=condition_function_id)
        return Binder(self._client, QUEUE, config, keywords)

    def log(
        self,
        level: Literal["all", "trace", "debug", "info", "warn", "error"] = "all",
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run for each record of the engine's log; see `LogTriggerConfig`. For workers in ``default`` alone."""
        return Binder(self._client, "log", LogTriggerConfig(level=level), keywords)

    def trace(
        self,
        service_name: str | None = None,
        status: Literal["ok", "error", "unset"] | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run when something happened in traces; see `TraceTriggerConfig`. For workers in ``default`` alone."""
        return Binder(self._client, "trace", TraceTriggerConfig(service_name=service_name, status=status), keywords)

    def configuration(
        self,
        configuration_id: str | None = None,
        event_types: list[str] | None = None,
        *,
        condition_function_id: str | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run when a configuration value has changed; see `ConfigurationTriggerConfig`."""
        config = ConfigurationTriggerConfig(
            configuration_id=configuration_id,
            event_types=event_types,
            condition_function_id=condition_function_id,
        )
        return Binder(self._client, "configuration", config, keywords)

    def functions_available(self, **keywords: Unpack[FunctionKeywords]) -> Binder:
        """Run when the set of functions has changed, up to some seconds later, with all of them."""
        return Binder(self._client, "engine::functions-available", FunctionsAvailableTriggerConfig(), keywords)

    def workers_available(self, **keywords: Unpack[FunctionKeywords]) -> Binder:
        """Run when a worker has come, told of itself, or gone."""
        return Binder(self._client, "engine::workers-available", WorkersAvailableTriggerConfig(), keywords)

    def trigger(
        self,
        type: str,
        config: Any = None,
        *,
        trigger_namespace: str | None = None,
        **keywords: Unpack[FunctionKeywords],
    ) -> Binder:
        """Run when any type of trigger fires, such as one that another worker provides; see `III.register_trigger`."""
        return Binder(self._client, type, config, keywords, trigger_namespace)
