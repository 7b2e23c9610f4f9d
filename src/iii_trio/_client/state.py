"""`III.state`: the engine's state."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from iii_trio._client.operations import UNSAID, Caller, as_input
from iii_trio._values.state import (
    IState,
    StateDeleteInput,
    StateDeleteResult,
    StateGetInput,
    StateListInput,
    StateSetInput,
    StateSetResult,
    StateUpdateInput,
    StateUpdateResult,
)
from iii_trio._values.updates import UpdateOp


@attrs.frozen
class _Groups:
    groups: list[str]


@attrs.frozen(eq=False)
class EngineState(IState[Any]):
    """Values by scope and key, kept by the engine for all workers of all namespaces.

    Each operation takes its input as a value, a dict or keywords. It raises `ConfigurationError` for an input that cannot
    work, and `PayloadError` for a value that cannot be sent, before anything is sent; and what `III.trigger` raises.
    Cancelling one is safe, but one that was sent may be carried out all the same. The caller's own scope is the time-out,
    and the client's `invocation_timeout_ms`.
    """

    _caller: Caller

    async def get(
        self, input: StateGetInput | Mapping[str, Any] | None = None, *, scope: str = UNSAID, key: str = UNSAID
    ) -> Any:
        """The value; None when there is none, or null. Errors as the class says."""
        wanted = as_input(StateGetInput, input, scope=scope, key=key)
        return await self._caller.trigger("state::get", wanted)

    async def set(
        self,
        input: StateSetInput | Mapping[str, Any] | None = None,
        *,
        scope: str = UNSAID,
        key: str = UNSAID,
        value: Any = UNSAID,
    ) -> StateSetResult[Any]:
        """Write a value, whatever was there. Errors as the class says; the engine may refuse one that is too large."""
        wanted = as_input(StateSetInput, input, scope=scope, key=key, value=value)
        return await self._caller.trigger("state::set", wanted, returns=StateSetResult[Any])

    async def delete(
        self, input: StateDeleteInput | Mapping[str, Any] | None = None, *, scope: str = UNSAID, key: str = UNSAID
    ) -> StateDeleteResult:
        """Delete a value; none is no error, and those who watch the state hear of it too. Errors as the class says."""
        wanted = as_input(StateDeleteInput, input, scope=scope, key=key)
        # The engine answers with the value itself (docs/engine.md, "State").
        return StateDeleteResult(old_value=await self._caller.trigger("state::delete", wanted))

    async def list(
        self, input: StateListInput | Mapping[str, Any] | None = None, *, scope: str = UNSAID
    ) -> builtins.list[Any]:
        """The values of a scope, without their keys; none for an unknown scope. Errors as the class says."""
        wanted = as_input(StateListInput, input, scope=scope)
        return await self._caller.trigger("state::list", wanted, returns=list[Any])

    async def list_groups(self) -> builtins.list[str]:
        """All scopes, sorted, those too whose last key was deleted. Errors as the class says."""
        return (await self._caller.trigger("state::list_groups", {}, returns=_Groups)).groups

    async def update(
        self,
        input: StateUpdateInput | Mapping[str, Any] | None = None,
        *,
        scope: str = UNSAID,
        key: str = UNSAID,
        ops: Sequence[UpdateOp | Mapping[str, Any]] = UNSAID,
    ) -> StateUpdateResult[Any]:
        """Change a value in one step, by operations that are carried out in order.

        An operation that does not fit what is stored is skipped and told in `errors` of the result; the others apply.
        One that can never work is refused here (docs/engine.md, "Updates"). Errors as the class says.
        """
        wanted = as_input(StateUpdateInput, input, scope=scope, key=key, ops=ops)
        return await self._caller.trigger("state::update", wanted, returns=StateUpdateResult[Any])
