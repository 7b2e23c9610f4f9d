"""What the registration of a trigger type gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import attrs

from iii_trio._client.handles import FunctionRef, Trigger, wait_verdict
from iii_trio._session.registry import Registration
from iii_trio._session.session import Session
from iii_trio._values.requests import Action
from iii_trio._values.trigger_types import TriggerConfig
from iii_trio._wire.messages import RegisterTriggerType

C = TypeVar("C")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Client(Protocol):
    """What a trigger type needs of the client that registered it; `III` is one."""

    def register_function(
        self, function_id: str, handler_or_invocation: F, /, *, request_format: Any = None
    ) -> FunctionRef[F]:
        """Offer a function."""
        ...

    def register_trigger(self, trigger: dict[str, Any], /) -> Trigger:
        """Bind a function."""
        ...

    def trigger(
        self,
        request: str,
        payload: Any = None,
        *,
        action: Action | None = None,
        namespace: str | None = None,
        metadata: Any = None,
    ) -> Awaitable[Any]:
        """Call a function."""
        ...

    def unregister_trigger_type(self, trigger_type: str) -> None:
        """Take a trigger type back."""
        ...


@attrs.frozen(eq=False, repr=False)
class TriggerTypeRef(Generic[C, R]):
    """A registered trigger type, whose bindings have a config of type `C`, and whose functions get an `R`.

    Source: the references' ``TriggerTypeRef``.
    """

    _client: Client
    _session: Session
    _registration: Registration
    _frame: RegisterTriggerType

    @property
    def id(self) -> str:
        """Id of the type, which bindings name."""
        return self._frame.id

    def __repr__(self) -> str:
        return f"<TriggerTypeRef {self.id!r}, {self._registration.verdict.value}>"

    def register_trigger(self, function_id: str, config: C, metadata: dict[str, Any] | None = None) -> Trigger:
        """Bind a function to this type, as this worker's namespace has it. Never blocks.

        See `III.register_trigger`, whose errors it has.
        """
        return self._client.register_trigger(
            {
                "type": self.id,
                "function_id": function_id,
                "config": config,
                "metadata": metadata,
                "trigger_namespace": self._session.namespace,
            }
        )

    def register_function(self, function_id: str, handler: F) -> FunctionRef[F]:
        """Offer a function that this type is to call: its request format is the type's. Never blocks.

        See `III.register_function`, whose errors it has.
        """
        return self._client.register_function(function_id, handler, request_format=self._frame.call_request_format)

    async def wait_registered(self) -> None:
        """Wait until the engine has the type; see `FunctionRef.wait_registered`.

        Nobody is refused: the last worker that registers a type has it. A listener with registration rules may refuse
        without a word, which cannot be seen here.

        Raises:
            ConfigurationError: The type was taken back, or registered again.
            ClientClosed: The client is closed.

        Cancelling it is safe: the registration stays as it is.
        """
        await wait_verdict(self._session, self._registration, f"the trigger type {self.id!r}")

    async def fire(self, binding: TriggerConfig[C], payload: R | None = None, *, action: Action | None = None) -> Any:
        """Call the function of a binding, with what belongs to it: its namespace and its metadata.

        Args:
            binding: As `TriggerHandler.register_trigger` got it.
            payload: Any JSON value or attrs instance.
            action: As `III.trigger`.

        Returns, raises and may be cancelled as `III.trigger`.
        """
        return await self._client.trigger(
            binding.function_id, payload, action=action, namespace=binding.namespace, metadata=binding.metadata
        )

    def unregister(self) -> None:
        """Take the type back; see `III.unregister_trigger_type`. A second time, or after a successor, does nothing."""
        if self._registration.is_wanted:
            self._client.unregister_trigger_type(self.id)
