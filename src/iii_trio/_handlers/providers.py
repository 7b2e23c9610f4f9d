"""The other side of triggers: bindings that the engine hands to the trigger types of this worker.

The engine hands every binding of a type over whenever the type is registered, so the same one comes again with each
connection, and one that has ended meanwhile comes no more (docs/engine.md, "Triggers"). A provider is told only what is
new to it. Frames about one binding are served in order; different bindings do not wait for each other.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._values.trigger_types import TriggerConfig, TriggerHandler
from iii_trio._wire.messages import ErrorBody, RegisterTrigger, TriggerRegistrationResult, UnregisterTrigger
from iii_trio.errors import InvocationError

logger = logging.getLogger("iii_trio")

REFUSED: Final = "trigger_registration_failed"
"""The code of a provider that raised."""

_UNKNOWN: Final = "trigger_type_not_found"
_OVERLOADED: Final = ErrorBody("overloaded", "this provider has more bindings to look at than it may accept")

_Task: TypeAlias = RegisterTrigger | UnregisterTrigger


@attrs.define(eq=False)
class _Binding:
    """What a provider has accepted."""

    config: TriggerConfig[Any]
    trigger_type: str
    handler: TriggerHandler[Any]
    epoch: int
    """The connection that it was handed over on last."""


@attrs.define(eq=False)
class Providers:
    """The bindings of one client's trigger types. They run among the handlers, and share their threads and bounds."""

    _dispatcher: Dispatcher
    _live: dict[str, _Binding] = attrs.field(factory=dict, init=False)
    _queues: dict[str, deque[tuple[_Task, int]]] = attrs.field(factory=dict, init=False)

    @property
    def live(self) -> int:
        """How many bindings the providers have accepted."""
        return len(self._live)

    def receive(self, frame: _Task) -> None:
        """Have a provider look at a binding, or at its end. Never blocks: the reader calls it."""
        epoch = self._dispatcher.session.epoch
        if isinstance(frame, RegisterTrigger) and len(self._queues) >= self._dispatcher.max_pending:
            self._send(frame, epoch, _OVERLOADED)
        else:
            self._enqueue(frame, epoch)

    def ready(self) -> None:
        """The engine has handed over everything that it has: what did not come again has ended."""
        epoch = self._dispatcher.session.epoch
        for binding_id, binding in self._live.items():
            if binding.epoch != epoch and binding_id not in self._queues:
                self._enqueue(UnregisterTrigger(binding_id, binding.trigger_type), epoch)

    def drop(self, trigger_type: str) -> None:
        """A trigger type was taken back here: its bindings end."""
        for binding_id, binding in self._live.items():
            if binding.trigger_type == trigger_type:
                self._enqueue(UnregisterTrigger(binding_id, trigger_type), self._dispatcher.session.epoch)

    def _enqueue(self, frame: _Task, epoch: int) -> None:
        queue, nursery = self._queues.get(frame.id), self._dispatcher.nursery
        if queue is not None:
            queue.append((frame, epoch))
        elif nursery is not None:
            self._queues[frame.id] = deque([(frame, epoch)])
            nursery.start_soon(self._serve, frame.id, name=f"iii binding {frame.id}")

    async def _serve(self, binding_id: str) -> None:
        queue = self._queues[binding_id]
        try:
            while queue:
                frame, epoch = queue.popleft()
                if isinstance(frame, UnregisterTrigger):
                    await self._end(binding_id)
                else:
                    self._send(frame, epoch, await self._bind(frame, epoch))
        finally:
            del self._queues[binding_id]

    async def _bind(self, frame: RegisterTrigger, epoch: int) -> ErrorBody | None:
        registration = self._dispatcher.session.registrar.registry.find_type(frame.trigger_type)
        if registration is None:
            return ErrorBody(_UNKNOWN, f"this worker provides no trigger type {frame.trigger_type!r}")
        config, handler = _config_of(frame), registration.handler
        known = self._live.get(frame.id)
        if known is not None and (known.config, known.handler) == (config, handler):
            known.epoch = epoch
            return None
        if known is not None:
            await self._end(frame.id)
        try:
            await self._run(handler.register_trigger, config)
        except Exception as error:
            logger.warning("the provider of %r refuses a binding", frame.trigger_type, exc_info=error)
            return _refusal(error)
        self._live[frame.id] = _Binding(config, frame.trigger_type, handler, epoch)
        return None

    async def _end(self, binding_id: str) -> None:
        binding = self._live.pop(binding_id, None)
        if binding is None:
            return
        try:
            await self._run(binding.handler.unregister_trigger, binding.config)
        except Exception as error:
            logger.warning("the provider of %r failed to end a binding", binding.trigger_type, exc_info=error)

    async def _run(self, method: Callable[[TriggerConfig[Any]], Any], config: TriggerConfig[Any]) -> None:
        """Call a provider: as a coroutine, or in a thread."""
        if inspect.iscoroutinefunction(method):
            await method(config)
            return
        threads = self._dispatcher.threads
        answer = await trio.to_thread.run_sync(method, config, abandon_on_cancel=True, limiter=threads)
        if inspect.isawaitable(answer):
            await answer

    def _send(self, frame: RegisterTrigger, epoch: int, error: ErrorBody | None) -> None:
        """Tell the engine. It looks the verdict up by the binding, so unlike a result it cannot come too early."""
        session = self._dispatcher.session
        verdict = TriggerRegistrationResult(frame.id, frame.trigger_type, frame.function_id, error)
        session.answer(epoch, session.encode(verdict), age=math.inf, now=trio.current_time())


def _config_of(frame: RegisterTrigger) -> TriggerConfig[Any]:
    # The engine leaves a namespace out that is `default`; a call without one would go to the worker's own.
    return TriggerConfig(
        id=frame.id,
        function_id=frame.function_id,
        config=frame.config,
        metadata=frame.metadata,
        namespace=frame.namespace or "default",
    )


def _refusal(error: Exception) -> ErrorBody:
    if isinstance(error, InvocationError) and error.invocation_id is None:
        return ErrorBody(_sendable(error.code), _sendable(error.message))
    return ErrorBody(REFUSED, _sendable(f"{type(error).__name__}: {error}"))


def _sendable(words: str) -> str:
    return words.encode(errors="replace").decode()
