"""State: values by scope and key, kept by the engine for all workers."""

from __future__ import annotations

import builtins
import enum
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import attrs

from iii_trio._values.checks import instance
from iii_trio._values.updates import UpdateOp, UpdateOpError, as_ops

TData = TypeVar("TData")


@attrs.frozen(kw_only=True)
class StateGetInput:
    """Which value to read. Source: the references' ``StateGetInput``."""

    scope: str = attrs.field(validator=instance(str))
    """Group of keys; any text, also empty."""

    key: str = attrs.field(validator=instance(str))
    """Name of the value in its scope; any text, also empty."""


@attrs.frozen(kw_only=True)
class StateSetInput:
    """Which value to write. Source: the references' ``StateSetInput``."""

    scope: str = attrs.field(validator=instance(str))
    """Group of keys."""

    key: str = attrs.field(validator=instance(str))
    """Name of the value in its scope."""

    value: Any
    """Any JSON value or attrs instance; None is stored as null, and is not the same as no value."""


@attrs.frozen(kw_only=True)
class StateDeleteInput:
    """Which value to delete. Source: the references' ``StateDeleteInput``."""

    scope: str = attrs.field(validator=instance(str))
    """Group of keys."""

    key: str = attrs.field(validator=instance(str))
    """Name of the value in its scope."""


@attrs.frozen(kw_only=True)
class StateListInput:
    """Of which scope to list the values. Source: the references' ``StateListInput``."""

    scope: str = attrs.field(validator=instance(str))
    """Group of keys."""


@attrs.frozen(kw_only=True)
class StateUpdateInput:
    """What to do to a value, in one step that no other update can come between.

    A value that does not exist begins as an empty object, and exists afterwards, even when every operation failed.

    Source: the references' ``StateUpdateInput``.
    """

    scope: str = attrs.field(validator=instance(str))
    """Group of keys."""

    key: str = attrs.field(validator=instance(str))
    """Name of the value in its scope."""

    ops: list[UpdateOp] = attrs.field(converter=as_ops)
    """Operations, carried out in this order; each may be a dict."""


@attrs.frozen(kw_only=True)
class StateSetResult(Generic[TData]):
    """What a write did. Source: the references' ``StateSetResult``."""

    new_value: TData
    """What is stored now."""

    old_value: TData | None = None
    """What was stored before; None when there was nothing, or null."""


@attrs.frozen(kw_only=True)
class StateUpdateResult(Generic[TData]):
    """What an update did. Source: the references' ``StateUpdateResult``; `errors` is the engine's."""

    new_value: TData
    """What is stored now."""

    old_value: TData | None = None
    """What was stored before; None when there was nothing, or null."""

    errors: list[UpdateOpError] = attrs.field(factory=list)
    """The operations that were skipped; those that are not here were applied."""


@attrs.frozen(kw_only=True)
class StateDeleteResult:
    """What a deletion took away. Source: the references' ``StateDeleteResult``."""

    old_value: Any = None
    """What was stored; None when there was nothing, or null."""


class StateEventType(enum.StrEnum):
    """What happened to a value. Source: the references' ``StateEventType``."""

    CREATED = "state:created"
    """There was no value, not even null."""

    UPDATED = "state:updated"
    """There was one, and it was written again, though it need not have changed."""

    DELETED = "state:deleted"
    """It was deleted, though there need not have been one."""


@attrs.frozen(kw_only=True)
class StateEventData(Generic[TData]):
    """What the handler of a ``state`` trigger gets. Events of different writes may come out of order.

    Source: the references' ``StateEventData``.
    """

    event_type: StateEventType
    """What happened."""

    scope: str
    """Group of keys."""

    key: str
    """Name of the value in its scope."""

    old_value: TData | None = None
    """What was stored before."""

    new_value: TData | None = None
    """What is stored now; None after a deletion."""

    type: str = "state"
    """Always ``"state"``."""


class IState(ABC, Generic[TData]):
    """What keeps state: the engine's, or one of your own for tests. Source: the references' ``IState``.

    What an operation raises, and whether cancelling it is safe, is for who keeps the state to say; for the engine's see
    `III.state`.
    """

    @abstractmethod
    async def get(self, input: StateGetInput) -> TData | None:
        """The value, or None. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def set(self, input: StateSetInput) -> StateSetResult[TData]:
        """Write a value, whatever was there. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def delete(self, input: StateDeleteInput) -> StateDeleteResult:
        """Delete a value; one that is not there is no error. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def list(self, input: StateListInput) -> builtins.list[TData]:
        """The values of a scope, without their keys; none for an unknown scope.

        Raises, and may be cancelled, as the class says.
        """

    @abstractmethod
    async def update(self, input: StateUpdateInput) -> StateUpdateResult[TData]:
        """Change a value in one step. Raises, and may be cancelled, as the class says."""
