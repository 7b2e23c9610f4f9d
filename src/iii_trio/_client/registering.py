"""What a worker registers: functions, triggers, trigger types, services."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import attrs
import trio

from iii_trio._client.calls import Calls
from iii_trio._client.handles import FunctionRef, Trigger
from iii_trio._client.namespaces import is_builtin, target_namespace
from iii_trio._client.trigger_types import TriggerTypeRef
from iii_trio._handlers.dispatch import Function
from iii_trio._handlers.providers import Providers
from iii_trio._handlers.signature import inspect_handler, response_schema
from iii_trio._options import OnConflict, OnConnectionLost
from iii_trio._values.building import build
from iii_trio._values.checks import is_number
from iii_trio._values.functions import RegisterFunctionInput
from iii_trio._values.services import RegisterServiceInput
from iii_trio._values.trigger_types import RegisterTriggerTypeInput, TriggerHandler
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio._wire.messages import RegisterFunction, RegisterService, RegisterTrigger, RegisterTriggerType
from iii_trio.errors import ClientClosed, ConfigurationError

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])

_QUEUE_TYPE: Final = "durable:subscriber"
"""What the references call ``queue``."""


class Registering(Calls):
    """The part of `III` that registers. Everything is kept, and told to the engine again on every connection."""

    _providers: Providers

    # ---- functions --------------------------------------------------------------------------------------------------

    def register_function(
        self,
        function_id: str | RegisterFunctionInput | Mapping[str, Any],
        handler: F,
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: dict[str, Any] | None = None,
        response_format: dict[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> FunctionRef[F]:
        """Offer a function to the engine, now and on every connection to come. Never blocks.

        Args:
            function_id: Its id, or a `RegisterFunctionInput` or dict that has it and what else describes the function.
            handler: Takes the payload, or nothing, and the invocation's metadata if it has a parameter of that name. An
                async one runs as a task, a sync one in a thread.
            description: One line for people and models.
            metadata: A JSON object for the engine's listings.
            request_format: JSON Schema of the payload; made of the handler's annotation when left out. The engine shows it
                and does not enforce it; a payload that does not fit the annotation is answered ``invalid_input``.
            response_format: JSON Schema of the result, likewise; nothing enforces it.
            concurrency: How many invocations may run at once; the others wait. None sets no limit.
            timeout: Seconds after which a running handler is cancelled and its caller told so; waiting for its turn does
                not count. A thread cannot be cancelled: it is abandoned, and keeps its place until it returns.
            force: Take an id of the engine's own. It replaces the engine's function for everybody, and nobody has it any
                more once this worker is gone.
            on_conflict: What happens when another worker owns the id: ``"raise"`` leaves it at that, and `wait_registered`
                raises; ``"standby"`` asks again every few seconds until it is ours, and `wait_registered` waits.
            on_connection_lost: What becomes of a handler when the connection over which its invocation came is lost, so
                that nobody gets its result: ``"finish"`` lets it go on, since what was sent as a void call exists nowhere
                else; ``"cancel"`` cancels it, and one that waits for its turn never begins. A thread is abandoned, as at
                the time-out. None means ``"finish"``.

        Returns:
            A handle to withdraw the function, or to wait until the engine has it.

        Raises:
            ConfigurationError: The id, the handler or another argument cannot work, or the id is registered here already.
                An annotation of the payload or the result that no JSON can be is one that cannot work.
            PayloadError: Metadata or a format cannot be sent.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._check_open()
        extras = {
            "description": description,
            "metadata": metadata,
            "request_format": request_format,
            "response_format": response_format,
        }
        described = _as_input(function_id, extras)
        if is_builtin(described.id) and not force:
            raise ConfigurationError(
                f"{described.id!r} is an id of the engine's own; force=True takes it from everybody"
            )
        if on_conflict not in ("raise", "standby"):
            raise ConfigurationError(
                f"the on_conflict of {described.id!r} must be 'raise' or 'standby', not {on_conflict!r}"
            )
        function = _as_function(described.id, handler, concurrency, timeout, on_connection_lost)
        frame = RegisterFunction(**attrs.asdict(_with_formats(described, function), recurse=False))
        registration = self._session.registrar.register(frame, function, on_conflict)
        return FunctionRef(self._session, registration, handler)

    def function(
        self,
        function_id: str | RegisterFunctionInput | Mapping[str, Any],
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: dict[str, Any] | None = None,
        response_format: dict[str, Any] | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> Callable[[F], FunctionRef[F]]:
        """`register_function` as a decorator, with the same arguments and errors.

        The decorated name becomes the `FunctionRef`; calling that calls the handler itself.
        """

        def register(handler: F) -> FunctionRef[F]:
            return self.register_function(
                function_id,
                handler,
                description=description,
                metadata=metadata,
                request_format=request_format,
                response_format=response_format,
                concurrency=concurrency,
                timeout=timeout,
                force=force,
                on_conflict=on_conflict,
                on_connection_lost=on_connection_lost,
            )

        return register

    # ---- triggers, trigger types, services --------------------------------------------------------------------------

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
            type: The trigger type. ``queue``, as the references call it, is the engine's ``durable:subscriber``.
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
            ConfigurationError: A field is unknown, missing or wrong, or the config is one that harms the engine.
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
        wanted = build(RegisterTriggerInput, trigger, **_said(given))
        session = self._session
        frame = RegisterTrigger(
            # Ids are one key space for all workers, and whoever guesses one can take it away (docs/engine.md, "Triggers").
            id=str(uuid.uuid4()),
            trigger_type=_QUEUE_TYPE if wanted.type == "queue" else wanted.type,
            function_id=wanted.function_id,
            config={} if wanted.config is None else wanted.config,
            metadata=wanted.metadata,
            namespace=target_namespace(
                wanted.function_id, wanted.namespace, session.namespace, session.registrar.registry
            ),
            trigger_namespace=wanted.trigger_namespace,
        )
        return Trigger(session, session.registrar.register(frame), frame)

    def register_trigger_type(
        self, trigger_type: RegisterTriggerTypeInput | Mapping[str, Any], handler: TriggerHandler[C]
    ) -> TriggerTypeRef[C]:
        """Provide a trigger type, now and on every connection to come. Never blocks.

        The same id again replaces the handler. A worker that provides it later takes it over, and nobody is told.

        Args:
            trigger_type: A `RegisterTriggerTypeInput`, or a dict with its fields.
            handler: Is told of every binding once, and of its end; its methods may be async, or run in a thread. What it
                raises refuses the binding, with the code of an `InvocationError` or ``trigger_registration_failed``.

        Raises:
            ConfigurationError: A field is unknown, missing or wrong, or the handler is none.
            PayloadError: A format cannot be sent.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._check_open()
        if not isinstance(handler, TriggerHandler):
            raise ConfigurationError(f"the handler of a trigger type is a TriggerHandler, not {type(handler).__name__}")
        frame = RegisterTriggerType(**attrs.asdict(build(RegisterTriggerTypeInput, trigger_type), recurse=False))
        return TriggerTypeRef(self, self._session.registrar.register(frame, handler), frame)

    def unregister_trigger_type(self, trigger_type: RegisterTriggerTypeInput | Mapping[str, Any] | str) -> None:
        """Provide a trigger type no more: its handler is told that its bindings end. Never blocks.

        Engines before 0.25 know no such message: they go on handing bindings over, which are refused
        ``trigger_type_not_found``, until the connection ends. An id that is not provided here is ignored.

        Args:
            trigger_type: What was registered, a dict with its fields, or its id.

        Raises:
            ConfigurationError: It is none of these.
        """
        type_id = trigger_type if isinstance(trigger_type, str) else build(RegisterTriggerTypeInput, trigger_type).id
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
        wanted = build(RegisterServiceInput, service, **_said(given))
        self._session.registrar.register(
            RegisterService(wanted.id, wanted.name or "", wanted.description, wanted.parent_service_id)
        )

    def _check_open(self) -> None:
        self._caller.check_open(None)
        if self._session.is_draining:
            raise ClientClosed("SHUTDOWN", "this client is about to end, and registers nothing new")


def _said(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if value is not None}


def _as_input(
    function: str | RegisterFunctionInput | Mapping[str, Any], extras: Mapping[str, Any]
) -> RegisterFunctionInput:
    """The one description of a function, from any of the three forms."""
    given = _said(extras)
    if isinstance(function, str):
        return RegisterFunctionInput(id=function, **given)
    if given:
        raise ConfigurationError(f"a function that is described by a value takes no {', '.join(given)} beside it")
    if isinstance(function, RegisterFunctionInput):
        return function
    if not isinstance(function, Mapping):
        raise ConfigurationError(f"a function is named by text, a RegisterFunctionInput or a dict, not {function!r}")
    known = {field.name for field in attrs.fields(RegisterFunctionInput)}
    if unknown := [str(name) for name in function if name not in known]:
        raise ConfigurationError(f"a function has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    if "id" not in function:
        raise ConfigurationError("a function needs its id")
    return RegisterFunctionInput(**function)


def _as_function(
    function_id: str, handler: Callable[..., Any], concurrency: Any, timeout: Any, on_connection_lost: Any
) -> Function:
    if concurrency is not None and (
        isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1
    ):
        raise ConfigurationError(f"the concurrency of {function_id!r} must be a whole number of at least 1")
    if not (is_number(timeout) and timeout > 0):
        raise ConfigurationError(f"the timeout of {function_id!r} must be more than 0 seconds")
    if on_connection_lost not in (None, "finish", "cancel"):
        raise ConfigurationError(
            f"the on_connection_lost of {function_id!r} must be 'finish' or 'cancel', not {on_connection_lost!r}"
        )
    slots = None if concurrency is None else trio.CapacityLimiter(concurrency)
    if isinstance(handler, FunctionRef):  # two decorators on one handler
        handler = handler.handler
    return Function(inspect_handler(function_id, handler), concurrency, timeout, slots, on_connection_lost)


def _with_formats(described: RegisterFunctionInput, function: Function) -> RegisterFunctionInput:
    """The description, with the schemas of the handler's annotations where it has none of its own."""
    signature = function.signature
    taken, returned = described.request_format, described.response_format
    if taken is None and signature.payload_type is not None:
        taken = signature.payload_type.schema
    if returned is None:
        returned = response_schema(described.id, signature.function)
    return attrs.evolve(described, request_format=taken, response_format=returned)
