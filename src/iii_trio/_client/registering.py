"""How functions are registered: those that a handler here runs, and those that the engine reaches over HTTP."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict, TypeVar, Unpack, overload

import attrs
import trio

from iii_trio._client.calls import Calls
from iii_trio._client.handles import FunctionRef
from iii_trio._client.namespaces import is_builtin
from iii_trio._handlers.function import Function
from iii_trio._handlers.signature import inspect_handler, response_schema
from iii_trio._options import OnConflict, OnConnectionLost
from iii_trio._values.building import build, said
from iii_trio._values.checks import is_number
from iii_trio._values.functions import Format, RegisterFunctionInput
from iii_trio._values.http import HttpInvocationConfig
from iii_trio._values.trigger_configs import QUEUE
from iii_trio._wire.registrations import function_frame
from iii_trio.errors import ClientClosed, ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

FunctionName: TypeAlias = str | RegisterFunctionInput | Mapping[str, Any]
"""What names a function: its id, or a value or dict that describes it."""


class FunctionOptions(TypedDict, total=False):
    """What the decorators pass on to `Registering.register_function`, which says what each means."""

    description: str | None
    metadata: dict[str, Any] | None
    request_format: Format | None
    response_format: Format | None
    concurrency: int | None
    timeout: float
    force: bool
    on_conflict: OnConflict
    on_connection_lost: OnConnectionLost | None


class Registering(Calls):
    """The part of `III` that registers functions. They are kept, and told to the engine again on every connection."""

    @overload
    def register_function(
        self,
        function_id: FunctionName,
        handler_or_invocation: HttpInvocationConfig | None,
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        force: bool = False,
        on_conflict: OnConflict = "raise",
    ) -> FunctionRef[Any]: ...

    @overload
    def register_function(
        self,
        function_id: FunctionName,
        handler_or_invocation: F,
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> FunctionRef[F]: ...

    @overload
    def register_function(
        self,
        *,
        func: FunctionName,
        handler_or_invocation: Callable[..., Any] | HttpInvocationConfig,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> FunctionRef[Any]: ...

    def register_function(
        self,
        function_id: FunctionName | None = None,
        handler_or_invocation: Any = None,
        *,
        func: FunctionName | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> FunctionRef[Any]:
        """Offer a function to the engine, now and on every connection to come. Never blocks.

        Args:
            function_id: Its id, or a `RegisterFunctionInput` or dict that has it and what else describes the function.
            handler_or_invocation: A handler takes the payload, or nothing, and the invocation's metadata if it has a
                parameter of that name; an async one runs as a task, a sync one in a thread. An `HttpInvocationConfig` tells
                the engine to make an HTTP request instead of asking this worker. It has to be configured for that; when it
                does not like the address, or misses the variable that an auth names, the function does not exist, and
                nobody is told: `wait_registered` cannot see that either (docs/engine.md, "HTTP functions"). None when the
                description has the invocation.
            func: The same as `function_id`, under the older reference's name.
            description: One line for people and models.
            metadata: A JSON object for the engine's listings.
            request_format: JSON Schema of the payload, or a `RegisterFunctionFormat`; made of the handler's annotation when
                left out. The engine shows it and does not enforce it; a payload that does not fit the annotation is
                answered ``invalid_input``.
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
                the time-out. None means ``"cancel"`` from when this client binds the function to a durable queue, which
                delivers its work again, and ``"finish"`` otherwise.

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
        described = _with_invocation(_described(_one_of(function_id, func), said(extras)), handler_or_invocation)
        if is_builtin(described.id) and not force:
            raise ConfigurationError(
                f"{described.id!r} is an id of the engine's own; force=True takes it from everybody"
            )
        if on_conflict not in ("raise", "standby"):
            raise ConfigurationError(
                f"the on_conflict of {described.id!r} must be 'raise' or 'standby', not {on_conflict!r}"
            )
        function = None
        if described.invocation is None:
            function = _as_function(described.id, handler_or_invocation, concurrency, timeout, on_connection_lost)
            described = _with_formats(described, function)
            registry, namespace = self._session.registrar.registry, self._session.namespace
            function.comes_again = registry.is_bound(described.id, namespace, QUEUE)
        elif concurrency is not None or timeout != math.inf or on_connection_lost is not None:
            raise ConfigurationError(
                f"{described.id!r} has no handler here, so it takes no concurrency, timeout or on_connection_lost"
            )
        registration = self._session.registrar.register(function_frame(described), function, on_conflict)
        return FunctionRef(self._session, registration, None if function is None else handler_or_invocation)

    def function(self, function_id: FunctionName, **keywords: Unpack[FunctionOptions]) -> Callable[[F], FunctionRef[F]]:
        """`register_function` as a decorator, with the same arguments and errors.

        The decorated name becomes the `FunctionRef`; calling that calls the handler itself.
        """

        def register(handler: F) -> FunctionRef[F]:
            return self.register_function(function_id, handler, **keywords)

        return register

    def _check_open(self) -> None:
        self._caller.check_open(None)
        if self._session.is_draining:
            raise ClientClosed("SHUTDOWN", "this client is about to end, and registers nothing new")


def _one_of(function_id: FunctionName | None, func: FunctionName | None) -> FunctionName:
    """The one of two names that was used."""
    if function_id is not None and func is not None:
        raise ConfigurationError("function_id and func are two names of one argument; use one of them")
    named = func if function_id is None else function_id
    if named is None:
        raise ConfigurationError("a function needs its id")
    return named


def _described(named: FunctionName, extras: Mapping[str, Any]) -> RegisterFunctionInput:
    """The one description of a function, from any of the three forms."""
    if isinstance(named, str):
        return RegisterFunctionInput(id=named, **extras)
    return build(RegisterFunctionInput, named, **extras)


def _with_invocation(described: RegisterFunctionInput, handler_or_invocation: Any) -> RegisterFunctionInput:
    """The description with where the engine finds the function, if it is told so here."""
    if handler_or_invocation is None and described.invocation is None:
        raise ConfigurationError(
            f"the handler of {described.id!r} must be callable, or an HttpInvocationConfig, not NoneType"
        )
    if handler_or_invocation is not None and described.invocation is not None:
        raise ConfigurationError(f"{described.id!r} has an invocation already, and needs nothing beside it")
    if isinstance(handler_or_invocation, HttpInvocationConfig):
        return attrs.evolve(described, invocation=handler_or_invocation)
    return described


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
    return Function(
        inspect_handler(function_id, handler),
        concurrency,
        timeout,
        slots,
        on_connection_lost,
        task_name=f"iii handler {function_id}",
    )


def _with_formats(described: RegisterFunctionInput, function: Function) -> RegisterFunctionInput:
    """The description, with the schemas of the handler's annotations where it has none of its own."""
    signature = function.signature
    taken, returned = described.request_format, described.response_format
    if taken is None and signature.payload_type is not None:
        taken = signature.payload_type.schema
    if returned is None:
        returned = response_schema(described.id, signature.function)
    return attrs.evolve(described, request_format=taken, response_format=returned)
