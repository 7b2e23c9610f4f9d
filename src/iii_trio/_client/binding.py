"""How triggers, trigger types and services are registered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import attrs

from iii_trio._client.handles import Trigger
from iii_trio._client.namespaces import target_namespace
from iii_trio._client.registering import Registering
from iii_trio._client.trigger_types import TriggerTypeRef
from iii_trio._handlers.providers import Providers, inspect_provider
from iii_trio._session.registry import Registry
from iii_trio._values.building import build, said
from iii_trio._values.services import RegisterServiceInput
from iii_trio._values.trigger_configs import CONFIGS, QUEUE, route_path, route_shape, types_of
from iii_trio._values.trigger_types import RegisterTriggerTypeInput, TriggerHandler
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio._wire.messages import RegisterTrigger
from iii_trio._wire.registrations import service_frame, trigger_frame, trigger_type_frame
from iii_trio.errors import ConfigurationError

C = TypeVar("C")

_DEFAULT_ONLY: Final = ("log", "trace")


class Binding(Registering):
    """The part of `III` that binds. Everything is kept, and told to the engine again on every connection."""

    _providers: Providers

    def register_trigger(
        self,
        trigger: RegisterTriggerInput | Mapping[str, Any] | None = None,
        *,
        type: str | None = None,
        function_id: str | None = None,
        config: Any = None,
        metadata: dict[str, Any] | None = None,
        namespace: str | None = None,
        trigger_namespace: str | None = None,
    ) -> Trigger:
        """Bind a function to what makes it run, now and on every connection to come. Never blocks.

        Args:
            trigger: A `RegisterTriggerInput`, or a dict with its fields; or leave it out, and give them as keywords.
            type: The trigger type; the typed config of one of the engine's own types tells it too, unless it has two.
                ``queue``, as the references call it, is the engine's ``durable:subscriber``.
            function_id: The function that runs.
            config: What the type wants to know: a JSON object, or an attrs instance such as `HttpTriggerConfig`.
            metadata: A JSON object, which most types pass on as the invocation's metadata.
            namespace: Where the function is looked up; this worker's own namespace when left out.
            trigger_namespace: Where the type is looked up; in this worker's own namespace, then in ``default``, when left
                out.

        Returns:
            A handle to take it back, or to wait until the engine has it. A type that nobody provides is not refused: the
            binding waits at the engine until somebody does.

        Raises:
            ConfigurationError: A field is unknown, missing or wrong, or the config is one that the engine's own type cannot
                work with, or that harms the engine.
            PayloadError: The config or the metadata cannot be sent.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._check_open()
        given = {
            "type": type,
            "function_id": function_id,
            "config": config,
            "metadata": metadata,
            "namespace": namespace,
            "trigger_namespace": trigger_namespace,
        }
        wanted = build(RegisterTriggerInput, trigger, **_with_type(said(given)))
        registry = self._session.registrar.registry
        namespace = target_namespace(wanted.function_id, wanted.namespace, self._session.namespace, registry)
        # Ids are one key space for all workers, and whoever guesses one can take it away (docs/engine.md, "Triggers").
        frame = trigger_frame(wanted, str(uuid.uuid4()), namespace=namespace)
        if frame.trigger_namespace in (None, "default"):
            _check_place(frame)
            _check_route(frame, registry)
        registration = self._session.registrar.register(frame)
        function = registry.find(frame.function_id)
        if function is not None and function.handler is not None:
            function.handler.comes_again |= registry.is_bound(function.id, self._session.namespace, QUEUE)
        return Trigger(self._session, registration, frame)

    def register_trigger_type(
        self,
        trigger_type: RegisterTriggerTypeInput | Mapping[str, Any] | str,
        handler: TriggerHandler[C],
        *,
        description: str | None = None,
        trigger_request_format: Any = None,
        call_request_format: Any = None,
        force: bool = False,
    ) -> TriggerTypeRef[C, Any]:
        """Provide a trigger type, now and on every connection to come. Never blocks.

        The same id again replaces the handler. A worker that provides it later takes it over, and nobody is told.

        Args:
            trigger_type: A `RegisterTriggerTypeInput`, or a dict with its fields; or its id, and the rest as keywords.
            handler: Is told of every binding once, and of its end; its methods may be async, or run in a thread. What it
                raises refuses the binding, with the code of an `InvocationError` or ``trigger_registration_failed``. What
                goes beyond 100,000 bindings is refused ``overloaded``. A class that derives from ``TriggerHandler[X]`` gets
                configs that are an ``X``, any type that a function can take, and others are refused ``invalid_input``;
                of that the type's `trigger_request_format` is made when it has none.
            description: One line for people and models, beside an id.
            trigger_request_format: JSON Schema of a binding's config, beside an id.
            call_request_format: JSON Schema of the payload that functions get, beside an id.
            force: Take a type of the engine's own, such as ``cron``, in ``default``. All bindings to it are handed to this
                worker, and wait for somebody else when it is gone (docs/engine.md, "Ownership").

        Raises:
            ConfigurationError: A field is unknown, missing or wrong, the handler is none or takes configs that no JSON can
                be, or the engine has a type of this id itself.
            PayloadError: A format cannot be sent.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._check_open()
        given = {
            "description": description,
            "trigger_request_format": trigger_request_format,
            "call_request_format": call_request_format,
        }
        if isinstance(trigger_type, str):
            wanted = build(RegisterTriggerTypeInput, id=trigger_type, **said(given))
        else:
            wanted = build(RegisterTriggerTypeInput, trigger_type, **said(given))
        provider = inspect_provider(wanted.id, handler)
        if wanted.trigger_request_format is None and provider.config_type is not None:
            wanted = attrs.evolve(wanted, trigger_request_format=provider.config_type.schema)
        frame = trigger_type_frame(wanted)
        if frame.id in CONFIGS and self._session.namespace == "default" and not force:
            raise ConfigurationError(
                f"{frame.id!r} is a trigger type of the engine's own; force=True takes it from everybody"
            )
        registration = self._session.registrar.register(frame, provider)
        return TriggerTypeRef(self, self._session, registration, frame)

    def unregister_trigger_type(self, trigger_type: RegisterTriggerTypeInput | Mapping[str, Any] | str) -> None:
        """Provide a trigger type no more: its handler is told that its bindings end. Never blocks.

        Engines before 0.25 know no such message. So every binding that they have handed over, or hand over until the
        connection ends, is refused ``trigger_type_not_found``. An id that is not provided here is ignored.

        Args:
            trigger_type: What was registered, a dict with its fields, of which the id is enough, or its id.

        Raises:
            ConfigurationError: It is none of these.
        """
        if isinstance(trigger_type, Mapping):
            trigger_type = build(RegisterTriggerTypeInput, {"description": "", **trigger_type})
        type_id = trigger_type.id if isinstance(trigger_type, RegisterTriggerTypeInput) else trigger_type
        if not isinstance(type_id, str):
            raise ConfigurationError(
                f"a trigger type is taken back by its id, a RegisterTriggerTypeInput or a dict, not by {type_id!r}"
            )
        registration = self._session.registrar.registry.find_type(type_id)
        if registration is not None:
            self._session.registrar.unregister(registration)
            self._providers.drop(type_id)

    def register_service(
        self,
        service: RegisterServiceInput | Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        name: str | None = None,
        description: str | None = None,
        parent_service_id: str | None = None,
    ) -> None:
        """Name a group of functions, now and on every connection to come. Never blocks.

        It changes nothing about how calls are routed, and the engine keeps it until it ends: there is no way back.

        Args:
            service: A `RegisterServiceInput`, or a dict with its fields; or leave it out, and give them as keywords.
            id: Id of the service, such as ``"payments::refunds"``.
            name: Name that is shown; the id when left out.
            description: One line for people, which the engine drops.
            parent_service_id: Id of the service that this one is a part of.

        Raises:
            ConfigurationError: A field is unknown, missing or wrong.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._check_open()
        given = {"id": id, "name": name, "description": description, "parent_service_id": parent_service_id}
        self._session.registrar.register(service_frame(build(RegisterServiceInput, service, **said(given))))


def _with_type(given: dict[str, Any]) -> dict[str, Any]:
    """The keywords of a binding, with the type that a typed config tells."""
    types = types_of(given.get("config"))
    return {"type": types[0], **given} if len(types) == 1 else given


def _check_place(frame: RegisterTrigger) -> None:
    """Two of the engine's types look for their functions in one place only, whatever the binding says."""
    if frame.trigger_type in _DEFAULT_ONLY and frame.namespace not in (None, "default"):
        raise ConfigurationError(
            f"the engine calls functions of {frame.trigger_type!r} triggers in the namespace 'default' alone, "
            f"and {frame.function_id!r} would be in {frame.namespace!r}"
        )


def _check_route(frame: RegisterTrigger, registry: Registry) -> None:
    """The engine's router breaks for everybody on routes that differ in nothing but the names of their parameters."""
    path = _route(frame)
    if path is None:
        return
    for other in registry.of(RegisterTrigger):
        assert isinstance(other.frame, RegisterTrigger)
        theirs = _route(other.frame)
        if theirs is None or route_shape(theirs) != route_shape(path) or route_path(theirs) == route_path(path):
            continue
        raise ConfigurationError(
            f"the api_path {path!r} differs from {theirs!r}, which is bound already, in nothing but the names of "
            "parameters; the engine cannot route both, whatever their methods"
        )


def _route(frame: RegisterTrigger) -> str | None:
    if frame.trigger_type != "http" or frame.trigger_namespace not in (None, "default"):
        return None
    config = frame.config
    path = config.get("api_path") if isinstance(config, Mapping) else getattr(config, "api_path", None)
    return path if isinstance(path, str) else None
