"""What a registration gives back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import attrs
import trio

from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.session import Session
from iii_trio._wire.messages import RegisterTrigger
from iii_trio.errors import ClientClosed, ConfigurationError, IIIError

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(eq=False, repr=False)
class Trigger:
    """A registered trigger: a binding of a function to what makes it run. Source: the references' ``Trigger``."""

    _session: Session
    _registration: Registration
    _frame: RegisterTrigger

    @property
    def id(self) -> str:
        """Id of the binding, which the engine lists it under."""
        return self._frame.id

    @property
    def type(self) -> str:
        """The trigger type."""
        return self._frame.trigger_type

    @property
    def function_id(self) -> str:
        """The function that runs."""
        return self._frame.function_id

    @property
    def error(self) -> IIIError | None:
        """Why the engine, or the provider of the type, refused it on the present connection; None as long as nobody did."""
        return self._registration.error

    def __repr__(self) -> str:
        return f"<Trigger {self.type!r} of {self.function_id!r}, {self._registration.verdict.value}>"

    def unregister(self) -> None:
        """Take the binding back; a second time does nothing. Never blocks."""
        self._session.registrar.unregister(self._registration)

    async def wait_registered(self) -> None:
        """Wait until the engine has the binding.

        The engine acknowledges no registration, so a round trip behind it is the proof. A provider that is another worker
        may refuse later than that: then `error` tells, a warning is logged, and another call of this raises. A type that
        nobody provides is no error at the engine: the binding waits for a provider, and nothing here can tell, but it is
        not among `III.list_triggers` with ``include_internal`` (docs/engine.md, "Triggers").

        Raises:
            RegistrationRejectedError: The config or the type's provider does not allow it, or the listener does not.
            ConfigurationError: The trigger was unregistered.
            ClientClosed: The client is closed.

        Cancelling it is safe: the registration stays as it is.
        """
        await wait_verdict(self._session, self._registration, f"the trigger {self.id!r}")


@attrs.frozen(eq=False, repr=False)
class FunctionRef(Generic[F]):
    """A registered function. Calling it calls the handler itself, here, without the engine.

    Source: the references' ``FunctionRef``.
    """

    _session: Session
    _registration: Registration
    _handler: F
    """None for a function that the engine reaches over HTTP."""

    _triggers: list[Trigger] = attrs.field(factory=list, init=False)

    @property
    def id(self) -> str:
        """Id of the function."""
        return self._registration.id

    @property
    def handler(self) -> F:
        """The handler itself.

        Raises:
            ConfigurationError: There is none here: the engine reaches the function over HTTP.
        """
        if self._handler is None:
            raise ConfigurationError(f"the function {self.id!r} runs over HTTP, and has no handler here")
        return self._handler

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """The triggers that the decorators of `III.on` have bound it to, oldest first."""
        return tuple(self._triggers)

    def add_trigger(self, trigger: Trigger) -> None:
        """Count a trigger among those that `wait_registered` waits for, and that `unregister` takes back."""
        self._triggers.append(trigger)

    def __repr__(self) -> str:
        return f"<FunctionRef {self.id!r}, {self._registration.verdict.value}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the handler returns for these arguments; for tests and for local use."""
        return self.handler(*args, **kwargs)

    def unregister(self) -> None:
        """Withdraw the function, and before it its `triggers`; a second time does nothing. Never blocks.

        Invocations that run go on, and those that the engine sent before it knew are refused ``function_not_found``.
        """
        for trigger in self._triggers:
            trigger.unregister()
        self._session.registrar.unregister(self._registration)

    async def wait_registered(self) -> None:
        """Wait until the engine has the function and its `triggers`.

        The engine acknowledges no registration, so a round trip behind it is the proof (docs/engine.md,
        "Registration"). What it refuses without a word, as listeners with registration rules do, cannot be seen here.
        While there is no connection, or the function is on standby, it waits; the caller's scope is the time-out.

        Raises:
            RegistrationRejectedError: Somebody else owns the id, or the engine reserves it; or one of the triggers was
                refused.
            ConfigurationError: The function, or one of the triggers, was unregistered.
            ClientClosed: The client is closed.

        Cancelling it is safe: the registration stays as it is.
        """
        await wait_verdict(self._session, self._registration, f"the function {self.id!r}")
        for trigger in self._triggers:
            await trigger.wait_registered()


async def wait_verdict(session: Session, registration: Registration, what: str) -> None:
    """Wait until the engine has accepted a registration; see `FunctionRef.wait_registered`."""
    while registration.is_open and not session.is_final:
        session.registrar.confirm(registration)
        await _next_change(registration)
    await trio.lowlevel.checkpoint()
    if registration.verdict is Verdict.REFUSED and registration.error is not None:
        raise copy.copy(registration.error)
    if registration.verdict is Verdict.WITHDRAWN:
        raise ConfigurationError(f"{what} was unregistered")
    if registration.is_open:
        raise ClientClosed("SHUTDOWN", "this client was closed", function_id=registration.id)


async def _next_change(registration: Registration) -> None:
    """Wait for a verdict, or for the end of the client."""
    task = trio.lowlevel.current_task()

    def wake() -> None:
        trio.lowlevel.reschedule(task)

    def abort(_: object) -> trio.lowlevel.Abort:
        registration.waiters.remove(wake)
        return trio.lowlevel.Abort.SUCCEEDED

    registration.waiters.append(wake)
    await trio.lowlevel.wait_task_rescheduled(abort)
