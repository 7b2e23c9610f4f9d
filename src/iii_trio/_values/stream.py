"""Streams: items by stream, group and id, which clients of the engine can watch."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import attrs

from iii_trio._values.building import LEFT_OUT
from iii_trio._values.checks import instance, optional
from iii_trio._values.updates import UpdateOp, UpdateOpError, as_ops

TData = TypeVar("TData")


@attrs.frozen(kw_only=True)
class StreamGetInput:
    """Which item to read. Source: the references' ``StreamGetInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream; a ``:`` in it confuses the engine's own listings."""

    group_id: str = attrs.field(validator=instance(str))
    """Group of items."""

    item_id: str = attrs.field(validator=instance(str))
    """Id of the item in its group."""


@attrs.frozen(kw_only=True)
class StreamSetInput:
    """Which item to write. Source: the references' ``StreamSetInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""

    group_id: str = attrs.field(validator=instance(str))
    """Group of items."""

    item_id: str = attrs.field(validator=instance(str))
    """Id of the item in its group."""

    data: Any
    """Any JSON value or attrs instance; None is stored as null."""


@attrs.frozen(kw_only=True)
class StreamDeleteInput:
    """Which item to delete. Source: the references' ``StreamDeleteInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""

    group_id: str = attrs.field(validator=instance(str))
    """Group of items."""

    item_id: str = attrs.field(validator=instance(str))
    """Id of the item in its group."""


@attrs.frozen(kw_only=True)
class StreamListInput:
    """Of which group to list the items. Source: the references' ``StreamListInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""

    group_id: str = attrs.field(validator=instance(str))
    """Group of items."""


@attrs.frozen(kw_only=True)
class StreamListGroupsInput:
    """Of which stream to list the groups. Source: the references' ``StreamListGroupsInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""


@attrs.frozen(kw_only=True)
class StreamUpdateInput:
    """What to do to an item, in one step that no other update can come between.

    Source: the references' ``StreamUpdateInput``.
    """

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""

    group_id: str = attrs.field(validator=instance(str))
    """Group of items."""

    item_id: str = attrs.field(validator=instance(str))
    """Id of the item in its group."""

    ops: list[UpdateOp] = attrs.field(converter=as_ops)
    """Operations, carried out in this order; each may be a dict."""


@attrs.frozen(kw_only=True)
class StreamSendInput:
    """What to tell the watchers of a group, or of one item. Nothing is stored. Source: the engine's ``StreamSendInput``."""

    stream_name: str = attrs.field(validator=instance(str))
    """Name of the stream."""

    group_id: str = attrs.field(validator=instance(str))
    """Group whose watchers hear of it."""

    id: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Id of the item that it is about, which need not exist; None for the whole group."""

    type: str = attrs.field(validator=instance(str))
    """What happened, in your own words."""

    data: Any = None
    """Any JSON value or attrs instance."""


@attrs.frozen(kw_only=True)
class StreamSetResult(Generic[TData]):
    """What a write did. Source: the references' ``StreamSetResult``."""

    new_value: TData
    """What is stored now."""

    old_value: TData | None = None
    """What was stored before; None when there was nothing, or null."""


@attrs.frozen(kw_only=True)
class StreamUpdateResult(Generic[TData]):
    """What an update did. Source: the references' ``StreamUpdateResult``."""

    new_value: TData
    """What is stored now."""

    old_value: TData | None = None
    """What was stored before; None when there was nothing, or null."""

    errors: list[UpdateOpError] = attrs.field(factory=list)
    """The operations that were skipped; those that are not here were applied."""


@attrs.frozen(kw_only=True)
class StreamDeleteResult:
    """What a deletion took away. Source: the references' ``StreamDeleteResult``."""

    old_value: Any = None
    """What was stored; None when there was nothing, or null."""


class IStream(ABC, Generic[TData]):
    """What keeps the items of a stream: the engine, or a store of your own. Source: the references' ``IStream``.

    Each method gets one input and answers it. Of a store of your own, what it raises becomes the error of the caller's
    operation, and it is cancelled as handlers are. For the engine see `III.streams`.
    """

    @abstractmethod
    async def get(self, input: StreamGetInput) -> TData | None:
        """The item, or None. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def set(self, input: StreamSetInput) -> StreamSetResult[TData]:
        """Write an item. Whether it is told to watchers as created depends on the `old_value` of the result.

        Raises, and may be cancelled, as the class says.
        """

    @abstractmethod
    async def delete(self, input: StreamDeleteInput) -> StreamDeleteResult:
        """Delete an item. Watchers hear of it only when the result has an `old_value`.

        Raises, and may be cancelled, as the class says.
        """

    @abstractmethod
    async def list(self, input: StreamListInput) -> builtins.list[TData]:
        """The items of a group; none for an unknown one. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def list_groups(self, input: StreamListGroupsInput) -> builtins.list[str]:
        """The ids of a stream's groups, in no particular order. Raises, and may be cancelled, as the class says."""

    @abstractmethod
    async def update(self, input: StreamUpdateInput) -> StreamUpdateResult[TData]:
        """Change an item in one step. Raises, and may be cancelled, as the class says."""
