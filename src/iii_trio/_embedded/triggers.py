"""Trigger types, the bindings to them, and who serves which (docs/engine.md, "Triggers").

A binding is live while a provider of its type has it, and parked while nobody provides the type or its provider has
refused it. Parked ones never fire, and are offered again when the type is registered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias

import attrs

from iii_trio._embedded import encoder
from iii_trio._embedded.clock import Alarm, Clock
from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection, blank_namespace, is_blank
from iii_trio._embedded.invocations import Invocations
from iii_trio._embedded.registry import Finish, Later
from iii_trio._wire.messages import (
    ABSENT,
    ErrorBody,
    Json,
    RegisterTrigger,
    RegisterTriggerType,
    TriggerRegistrationResult,
    UnregisterTrigger,
)

PROVIDER_PATIENCE: Final = 10.0
"""Seconds that `engine::register_trigger` waits for the answer of a worker that provides the type."""

FAILED: Final = "trigger_registration_failed"
"""The code of a refusal by a part of the engine."""

_Key: TypeAlias = tuple[str, str]
"""A namespace and the id of a type."""


class BindingRefused(Exception):
    """A provider does not take a binding; the text is for its owner."""


@attrs.define(eq=False, kw_only=True)
class Binding:
    """A trigger of a worker: when something of a type happens, call a function."""

    id: str
    trigger_type: str
    function_id: str
    config: Json
    metadata: Json = None
    namespace: str = DEFAULT_NAMESPACE
    """Where the function is looked up, whenever it fires."""
    trigger_namespace: str | None = None
    """Where the provider has to be; None for at home, or else in the default namespace."""
    home: str = DEFAULT_NAMESPACE
    owner: Connection | None = None
    """Whose it is, and with whom it goes; None for one that stays until it is unregistered."""
    provider_namespace: str = DEFAULT_NAMESPACE
    """Where its provider was found."""

    @property
    def condition(self) -> str | None:
        """The function that is asked first, if the config is an object that names one."""
        name = self.config.get("condition_function_id") if isinstance(self.config, dict) else None
        return name if isinstance(name, str) else None

    @property
    def key(self) -> _Key:
        """The type that serves it."""
        return self.provider_namespace, self.trigger_type


def _nothing(_: Binding) -> None:
    return None


@attrs.frozen(eq=False, kw_only=True)
class TriggerType:
    """Something that can happen, and who knows of it: a worker, or a part of the engine."""

    id: str
    description: str
    namespace: str = DEFAULT_NAMESPACE
    trigger_request_format: Json = None
    call_request_format: Json = None
    call_response_format: Json = None
    owner: Connection | None = None
    worker: str = ""
    """The name of the part of the engine that it belongs to; empty for a worker's."""
    accept: Callable[[Binding], None] = _nothing
    """Asked before a binding of a part's type becomes live, also in place of another with its id; raises
    `BindingRefused`."""
    release: Callable[[Binding], None] = _nothing
    """Told when a live binding goes."""


@attrs.define(eq=False)
class _Asked:
    """A binding without an owner, and the worker that was offered it."""

    binding: Binding
    provider: TriggerType
    answer: Later
    alarm: Alarm = attrs.field(init=False)


@attrs.define
class Triggers:
    """Every trigger type, and every binding."""

    _clock: Clock
    _calls: Invocations
    _types: dict[_Key, TriggerType] = attrs.field(factory=dict, init=False)
    _live: dict[str, Binding] = attrs.field(factory=dict, init=False)
    _parked: dict[str, Binding] = attrs.field(factory=dict, init=False)
    _asked: dict[str, _Asked] = attrs.field(factory=dict, init=False)

    # ---- what is there ----------------------------------------------------------------------------------------------

    def types(self) -> Iterator[TriggerType]:
        """All types."""
        return iter(self._types.values())

    def find_type(self, namespace: str, type_id: str) -> TriggerType | None:
        """A type: exactly there, or none."""
        return self._types.get((namespace, type_id))

    def live(self, type_id: str | None = None) -> list[Binding]:
        """Bindings that can fire, of one type id in any namespace, or all of them."""
        return [binding for binding in self._live.values() if type_id in (None, binding.trigger_type)]

    def binding(self, binding_id: str) -> Binding | None:
        """A live binding."""
        return self._live.get(binding_id)

    def provider(self, binding: Binding) -> TriggerType:
        """Who serves a live binding."""
        return self._types[binding.key]

    # ---- firing -----------------------------------------------------------------------------------------------------

    def fire(self, type_id: str, payload: Json) -> None:
        """Call the target of every live binding of a type, whatever its config says."""
        for binding in self.live(type_id):
            self.deliver(binding, payload)

    def deliver(
        self, binding: Binding, payload: Json, *, condition: str | None = None, done: Finish | None = None
    ) -> None:
        """Call a binding's target, unless its condition forbids it.

        Args:
            binding: Its metadata goes along, and its namespace is where both functions are looked up.
            payload: What both get.
            condition: The function that is asked first. Exactly `false` and an error skip the target.
            done: Told of the target's outcome, of the condition's error, or of neither when it was skipped.
        """
        if condition is None:
            self._calls.call(binding.namespace, binding.function_id, payload, metadata=binding.metadata, finish=done)
            return

        def decide(allowed: bool, error: ErrorBody | None) -> None:
            if allowed:
                self.deliver(binding, payload, done=done)
            elif done is not None:
                done(ABSENT, error)

        self.check(binding.namespace, condition, payload, decide)

    def check(
        self, namespace: str, condition: str, payload: Json, decide: Callable[[bool, ErrorBody | None], None]
    ) -> None:
        """Ask a condition; `decide` is told whether to go on, and the error if there was one."""

        def finish(value: Json, error: ErrorBody | None) -> None:
            decide(error is None and value is not False, error)

        self._calls.call(namespace, condition, payload, finish=finish)

    def deliver_in_turn(self, deliveries: Iterable[tuple[Binding, Json, str | None]]) -> None:
        """Deliver one after another, each a binding, a payload and a condition; how they end does not matter."""
        waiting = deque(deliveries)

        def go_on(*_: Any) -> None:
            if waiting:
                binding, payload, condition = waiting.popleft()
                self.deliver(binding, payload, condition=condition, done=go_on)

        go_on()

    # ---- bindings ---------------------------------------------------------------------------------------------------

    def register(self, owner: Connection, frame: RegisterTrigger) -> None:
        """A worker's `registertrigger`: it hears of nothing but a refusal."""
        for field in ("namespace", "trigger_namespace"):
            if is_blank(getattr(frame, field)):
                error = ErrorBody("INVALID_NAMESPACE", blank_namespace(field))
                owner.send(encoder.trigger_registration_result(frame.id, frame.trigger_type, frame.function_id, error))
                return
        binding = Binding(
            id=frame.id,
            trigger_type=frame.trigger_type,
            function_id=frame.function_id,
            config=frame.config,
            metadata=frame.metadata,
            namespace=DEFAULT_NAMESPACE if frame.namespace is None else frame.namespace,
            trigger_namespace=frame.trigger_namespace,
            home=owner.home,
            owner=owner,
        )
        try:
            self.bind(binding)
        except BindingRefused as refused:
            _tell_owner(binding, ErrorBody(FAILED, str(refused)))

    def bind(self, binding: Binding) -> None:
        """Make a binding live, or park it; the answer of a worker that provides its type is not waited for.

        Raises:
            BindingRefused: By a part of the engine. What was live with this id stays so.
        """
        provider = self._resolve(binding)
        if provider is None:
            self._parked[binding.id] = binding
            return
        binding.provider_namespace = provider.namespace
        _offer(provider, binding)
        self._admit(binding)

    def bind_and_wait(self, binding: Binding, answer: Later) -> None:
        """As `bind`, for a binding without an owner: `answer` is its id, or the error of the worker that provides it.

        A provider that says nothing for `PROVIDER_PATIENCE` seconds has agreed.

        Raises:
            BindingRefused: By a part of the engine.
        """
        provider = self._resolve(binding)
        if provider is None or provider.owner is None:
            self.bind(binding)
            answer.settle({"id": binding.id})
            return
        binding.provider_namespace = provider.namespace
        _offer(provider, binding)
        asked = _Asked(binding, provider, answer)
        self._asked[binding.id] = asked
        asked.alarm = self._clock.at(self._clock.now + PROVIDER_PATIENCE, partial(self._agree, asked))

    def hear(self, sender: Connection, frame: TriggerRegistrationResult) -> None:
        """What a provider answers: an error parks the binding and reaches its owner, success changes nothing.

        Only the worker that serves the binding is believed.
        """
        asked = self._asked.get(frame.id)
        if asked is not None and asked.provider.owner is sender:
            if frame.error is None:
                self._agree(asked)
            else:
                self._forget_asked(asked)
                message = f"{frame.error.code}: {frame.error.message}"
                asked.answer.settle(error=ErrorBody(FAILED, message))
            return
        binding = self._live.get(frame.id)
        if binding is None or frame.error is None:
            return
        if self.provider(binding).owner is not sender:
            return
        self._park(binding)
        _tell_owner(binding, frame.error)

    def unregister(self, binding_id: str) -> bool:
        """Remove a binding, whoever made it; False if there is none, live or parked."""
        binding = self._live.pop(binding_id, None)
        parked = self._parked.pop(binding_id, None)
        if binding is not None:
            self._release(binding)
        return binding is not None or parked is not None

    def unregister_frame(self, _: Connection, frame: UnregisterTrigger) -> None:
        """A worker's `unregistertrigger`. The type in it is not looked at."""
        self.unregister(frame.id)

    def _admit(self, binding: Binding) -> None:
        self._parked.pop(binding.id, None)
        self._live[binding.id] = binding

    def _park(self, binding: Binding) -> None:
        self._take_down(binding)
        self._parked[binding.id] = binding

    def _take_down(self, binding: Binding) -> None:
        # A parked binding may have the id of another one that is live.
        if self._live.get(binding.id) is binding:
            del self._live[binding.id]

    def _release(self, binding: Binding) -> None:
        """Tell its provider that a binding is gone."""
        provider = self.provider(binding)
        if provider.owner is None:
            provider.release(binding)
        else:
            provider.owner.send(encoder.unregister_trigger(binding.id, binding.trigger_type))

    def _agree(self, asked: _Asked) -> None:
        self._forget_asked(asked)
        binding = asked.binding
        if self._types.get(binding.key) is asked.provider:
            self._admit(binding)
        else:
            self._rebind(binding)
        asked.answer.settle({"id": binding.id})

    def _forget_asked(self, asked: _Asked) -> None:
        del self._asked[asked.binding.id]
        asked.alarm.cancel()

    def _rebind(self, binding: Binding) -> None:
        """Offer a binding to whoever provides its type now; one that nobody takes is parked."""
        self._take_down(binding)
        try:
            self.bind(binding)
        except BindingRefused:
            self._park(binding)

    # ---- types ------------------------------------------------------------------------------------------------------

    def register_type(self, owner: Connection, frame: RegisterTriggerType) -> None:
        """A worker's `registertriggertype`; one that names a blank namespace is ignored."""
        if is_blank(frame.namespace):
            return
        self.provide(
            TriggerType(
                id=frame.id,
                description=frame.description,
                namespace=owner.home if frame.namespace is None else frame.namespace,
                trigger_request_format=frame.trigger_request_format,
                call_request_format=frame.call_request_format,
                owner=owner,
            )
        )

    def provide(self, provider: TriggerType) -> None:
        """Enter or replace a type, and give it the bindings that are its own now; the last provider wins."""
        key = provider.namespace, provider.id
        self._types[key] = provider
        for binding in self.live(provider.id):
            if binding.key == key:
                # A refusal changes nothing here: the binding is live already.
                with suppress(BindingRefused):
                    _offer(provider, binding)
        for binding in [*self._parked.values()]:
            if binding.trigger_type == provider.id and self._resolve(binding) is provider:
                self._rebind(binding)
        for binding in self.live(provider.id):
            if binding.home == provider.namespace and binding.trigger_namespace is None and binding.key != key:
                # It found no provider at home, and settled for the one in the default namespace.
                self._release(binding)
                self._rebind(binding)

    def forget(self, worker: Connection) -> None:
        """Remove the bindings of a worker that left, and its types: who else is bound to those goes elsewhere."""
        for binding in self.live():
            if binding.owner is worker:
                del self._live[binding.id]
                self._release(binding)
        self._parked = {key: binding for key, binding in self._parked.items() if binding.owner is not worker}
        for key in [key for key, provider in self._types.items() if provider.owner is worker]:
            del self._types[key]
            for binding in self.live(key[1]):
                if binding.key == key:
                    self._rebind(binding)

    def _resolve(self, binding: Binding) -> TriggerType | None:
        """Who is to serve a binding: exactly where it says, or else at home, or in the default namespace."""
        type_id = binding.trigger_type
        if binding.trigger_namespace is not None:
            return self._types.get((binding.trigger_namespace, type_id))
        return self._types.get((binding.home, type_id)) or self._types.get((DEFAULT_NAMESPACE, type_id))


def _offer(provider: TriggerType, binding: Binding) -> None:
    if provider.owner is None:
        provider.accept(binding)
    else:
        provider.owner.send(
            encoder.register_trigger(
                binding.id,
                binding.trigger_type,
                binding.function_id,
                binding.config,
                metadata=binding.metadata,
                namespace=binding.namespace,
                trigger_namespace=provider.namespace,
            )
        )


def _tell_owner(binding: Binding, error: ErrorBody) -> None:
    if binding.owner is not None:
        binding.owner.send(
            encoder.trigger_registration_result(binding.id, binding.trigger_type, binding.function_id, error)
        )
