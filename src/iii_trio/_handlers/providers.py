"""The other side of triggers: bindings that the engine hands to the trigger types of this worker.

The engine hands every binding of a type over whenever the type is registered, so the same one comes again with each
connection, and one that has ended meanwhile comes no more (docs/engine.md, "Triggers"). A provider is told only what is
new to it. Of each binding only the newest word of the engine is kept while its provider looks at an older one, so nothing
piles up behind a slow provider; different bindings do not wait for each other.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from iii_trio._handlers.answers import sendable
from iii_trio._handlers.dispatch import Dispatcher, call_in_thread
from iii_trio._types.hints import argument_of
from iii_trio._types.shape import UnknownType
from iii_trio._types.table import Misfit, Typed, typed
from iii_trio._values.trigger_types import TriggerConfig, TriggerHandler
from iii_trio._wire.messages import ErrorBody, RegisterTrigger, TriggerRegistrationResult, UnregisterTrigger
from iii_trio.errors import ConfigurationError, InvocationError

logger = logging.getLogger("iii_trio")

REFUSED: Final = "trigger_registration_failed"
"""The code of a provider that raised."""

MAX_BINDINGS: Final = 100_000
"""What the providers of one client accept; other workers decide how many there are."""

_UNKNOWN: Final = "trigger_type_not_found"
_INVALID: Final = "invalid_input"
_OVERLOADED: Final = ErrorBody("overloaded", "this worker has more bindings than it may accept")

_Task: TypeAlias = RegisterTrigger | UnregisterTrigger


@attrs.frozen(eq=False)
class Provider:
    """What serves a trigger type, and what it takes for a config."""

    handler: TriggerHandler[Any]
    config_type: Typed | None
    """What the config of a binding has to be; None where the class does not say, and it is passed on untouched."""


def inspect_provider(type_id: str, handler: Any) -> Provider:
    """Find out what the handler of a trigger type takes: what its class says in ``TriggerHandler[...]``.

    Raises:
        ConfigurationError: It is none, or takes configs of a type that the table does not have.
    """
    if not isinstance(handler, TriggerHandler):
        raise ConfigurationError(f"the handler of a trigger type is a TriggerHandler, not {type(handler).__name__}")
    try:
        found = typed(argument_of(getattr(handler, "__orig_class__", type(handler)), TriggerHandler))
    except UnknownType as error:
        raise ConfigurationError(
            f"the configs that {type(handler).__name__} takes, the handler of the trigger type {type_id!r}: {error}"
        ) from None
    return Provider(handler, None if found.is_any else found)


@attrs.define(eq=False)
class _Binding:
    """One binding: what the engine says of it, and what its provider was told."""

    id: str
    trigger_type: str
    wanted: RegisterTrigger | None
    """What the engine handed over last; None when the binding has ended."""

    epoch: int
    """The connection over which it said so."""

    is_news: bool = True
    """Whether the provider has not looked at that."""

    is_served: bool = False
    """Whether a task looks after it."""

    config: TriggerConfig[Any] | None = None
    """What the provider has accepted, if it has."""

    raw: TriggerConfig[Any] | None = None
    """The same as the engine said it."""

    handler: TriggerHandler[Any] | None = None
    """The provider that has."""


@attrs.define(eq=False)
class Providers:
    """The bindings of one client's trigger types. They run among the handlers, and share their threads."""

    _dispatcher: Dispatcher
    _max_bindings: int = MAX_BINDINGS
    _bindings: dict[str, _Binding] = attrs.field(factory=dict, init=False)

    @property
    def live(self) -> int:
        """How many bindings the providers have accepted."""
        return sum(binding.config is not None for binding in self._bindings.values())

    def receive(self, frame: _Task) -> None:
        """Have a provider look at a binding, or at its end. Never blocks: the reader calls it."""
        epoch = self._dispatcher.session.epoch
        binding = self._bindings.get(frame.id)
        if binding is not None:
            self._look(binding, frame if isinstance(frame, RegisterTrigger) else None, epoch)
        elif isinstance(frame, RegisterTrigger):
            if len(self._bindings) >= self._max_bindings:
                self._answer_now(frame, _OVERLOADED)
                return
            binding = self._bindings[frame.id] = _Binding(frame.id, frame.trigger_type, frame, epoch)
            self._look(binding, frame, epoch)

    def ready(self) -> None:
        """The engine has handed over everything that it has: what did not come again has ended."""
        epoch = self._dispatcher.session.epoch
        for binding in self._bindings.values():
            if binding.epoch != epoch:
                self._look(binding, None, epoch)

    def drop(self, trigger_type: str) -> None:
        """A trigger type was taken back here: its bindings end, and the engine is told so.

        An engine that cannot drop the type would take them for served otherwise.
        """
        for binding in self._bindings.values():
            if binding.trigger_type == trigger_type:
                self._look(binding, binding.wanted, binding.epoch)

    def _look(self, binding: _Binding, wanted: RegisterTrigger | None, epoch: int) -> None:
        binding.wanted, binding.epoch, binding.is_news = wanted, epoch, True
        nursery = self._dispatcher.nursery
        if not binding.is_served and nursery is not None:
            binding.is_served = True
            nursery.start_soon(self._serve, binding, name=f"iii binding {binding.id}")

    async def _serve(self, binding: _Binding) -> None:
        try:
            while binding.is_news:
                binding.is_news = False
                frame, epoch = binding.wanted, binding.epoch
                if frame is None:
                    await self._end(binding)
                else:
                    await self._answer(frame, epoch, await self._bind(binding, frame))
        finally:
            binding.is_served = False
            if binding.config is None:
                del self._bindings[binding.id]

    async def _bind(self, binding: _Binding, frame: RegisterTrigger) -> ErrorBody | None:
        registration = self._dispatcher.session.registrar.registry.find_type(frame.trigger_type)
        if registration is None:
            await self._end(binding)
            return ErrorBody(_UNKNOWN, f"this worker provides no trigger type {frame.trigger_type!r}")
        provider: Provider = registration.handler
        raw, handler = _config_of(frame), provider.handler
        if binding.handler is handler and binding.raw == raw:
            return None
        await self._end(binding)
        try:
            config = _structured(raw, provider.config_type)
        except Misfit as misfit:
            logger.warning("the config of a binding to %r does not fit: %s", frame.trigger_type, misfit)
            return ErrorBody(_INVALID, sendable(misfit))
        error = await self._attempt(handler.register_trigger, config)
        if error is not None:
            logger.warning("the provider of %r refuses a binding", frame.trigger_type, exc_info=error)
            return _refusal(error)
        binding.config, binding.raw = config, raw
        binding.handler, binding.trigger_type = handler, frame.trigger_type
        return None

    async def _end(self, binding: _Binding) -> None:
        config, handler = binding.config, binding.handler
        if config is None or handler is None:
            return
        binding.config = binding.raw = binding.handler = None
        error = await self._attempt(handler.unregister_trigger, config)
        if error is not None:
            logger.warning("the provider of %r failed to end a binding", binding.trigger_type, exc_info=error)

    async def _attempt(
        self, method: Callable[[TriggerConfig[Any]], Any], config: TriggerConfig[Any]
    ) -> BaseException | None:
        """Call a provider; whatever it raises is returned, cancellation from outside and Ctrl-C excepted."""
        try:
            await self._run(method, config)
        except BaseExceptionGroup as group:
            ours, _ = group.split((trio.Cancelled, KeyboardInterrupt))
            if ours is not None:
                raise ours from None
            return group
        except (Exception, SystemExit) as error:
            return error
        return None

    async def _run(self, method: Callable[[TriggerConfig[Any]], Any], config: TriggerConfig[Any]) -> None:
        """As a coroutine, or in a thread."""
        if inspect.iscoroutinefunction(method):
            await method(config)
            return
        dispatcher = self._dispatcher
        dispatcher.threads_wanted += 1
        try:
            await trio.to_thread.run_sync(
                call_in_thread, lambda: method(config), abandon_on_cancel=True, limiter=dispatcher.threads
            )
        finally:
            dispatcher.threads_wanted -= 1

    async def _answer(self, frame: RegisterTrigger, epoch: int, error: ErrorBody | None) -> None:
        """Tell the engine. It looks the verdict up by the binding, so unlike a result it cannot come too early."""
        session = self._dispatcher.session
        encoded = session.encode(_verdict(frame, error))
        while not session.outbox.has_room(session.outbox.results, len(encoded)):
            await self._dispatcher.room.park()
        session.answer(epoch, encoded, age=math.inf, now=trio.current_time())

    def _answer_now(self, frame: RegisterTrigger, error: ErrorBody) -> None:
        """The same for the reader, which cannot wait for room."""
        session = self._dispatcher.session
        encoded = session.encode(_verdict(frame, error))
        if session.outbox.has_room(session.outbox.results, len(encoded)):
            session.answer(session.epoch, encoded, age=math.inf, now=trio.current_time())
        else:
            session.counters.dropped_results += 1


def _verdict(frame: RegisterTrigger, error: ErrorBody | None) -> TriggerRegistrationResult:
    return TriggerRegistrationResult(frame.id, frame.trigger_type, frame.function_id, error)


def _config_of(frame: RegisterTrigger) -> TriggerConfig[Any]:
    # The engine leaves a namespace out that is `default`; a call without one would go to the worker's own.
    return TriggerConfig(
        id=frame.id,
        function_id=frame.function_id,
        config=frame.config,
        metadata=frame.metadata,
        namespace=frame.namespace or "default",
    )


def _structured(config: TriggerConfig[Any], config_type: Typed | None) -> TriggerConfig[Any]:
    return config if config_type is None else attrs.evolve(config, config=config_type.structure(config.config))


def _refusal(error: BaseException) -> ErrorBody:
    if isinstance(error, InvocationError) and error.invocation_id is None:
        return ErrorBody(sendable(error.code), sendable(error.message))
    return ErrorBody(REFUSED, f"{type(error).__name__}: {sendable(error)}")
