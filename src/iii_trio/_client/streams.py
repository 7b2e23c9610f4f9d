"""`III.streams`: the engine's streams, and those that a worker keeps itself."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from iii_trio._client.operations import UNSAID, Caller, as_input
from iii_trio._values.stream import (
    IStream,
    StreamDeleteInput,
    StreamDeleteResult,
    StreamGetInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSendInput,
    StreamSetInput,
    StreamSetResult,
    StreamUpdateInput,
    StreamUpdateResult,
)
from iii_trio._values.updates import UpdateOp


@attrs.frozen
class _Stream:
    id: str
    groups: list[str]


@attrs.frozen
class _Streams:
    stream: list[_Stream]


@attrs.frozen(eq=False)
class EngineStreams(IStream[Any]):
    """Items by stream, group and id, kept by the engine or by the worker that made the stream with `III.create_stream`.

    Each operation takes its input as a value, a dict or keywords. It raises `ConfigurationError` for an input that cannot
    work, and `PayloadError` for an item that cannot be sent, before anything is sent; and what `III.trigger` raises.
    Cancelling one is safe, but one that was sent may be carried out all the same. The caller's own scope is the time-out,
    and the client's `invocation_timeout_ms`.
    """

    _caller: Caller

    async def get(
        self,
        input: StreamGetInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
        item_id: str = UNSAID,
    ) -> Any:
        """The item; None when there is none, or null. Errors as the class says."""
        wanted = as_input(StreamGetInput, input, stream_name=stream_name, group_id=group_id, item_id=item_id)
        return await self._caller.trigger("stream::get", wanted)

    async def set(
        self,
        input: StreamSetInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
        item_id: str = UNSAID,
        data: Any = UNSAID,
    ) -> StreamSetResult[Any]:
        """Write an item, whatever was there; watchers hear of it. Errors as the class says."""
        wanted = as_input(StreamSetInput, input, stream_name=stream_name, group_id=group_id, item_id=item_id, data=data)
        return await self._caller.trigger("stream::set", wanted, returns=StreamSetResult[Any])

    async def delete(
        self,
        input: StreamDeleteInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
        item_id: str = UNSAID,
    ) -> StreamDeleteResult:
        """Delete an item; watchers hear of it if there was one, and none is no error. Errors as the class says."""
        wanted = as_input(StreamDeleteInput, input, stream_name=stream_name, group_id=group_id, item_id=item_id)
        return await self._caller.trigger("stream::delete", wanted, returns=StreamDeleteResult)

    async def list(
        self,
        input: StreamListInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
    ) -> builtins.list[Any]:
        """The items of a group, without their ids; none for an unknown one. Errors as the class says."""
        wanted = as_input(StreamListInput, input, stream_name=stream_name, group_id=group_id)
        return await self._caller.trigger("stream::list", wanted, returns=list[Any])

    async def list_groups(
        self, input: StreamListGroupsInput | Mapping[str, Any] | None = None, *, stream_name: str = UNSAID
    ) -> builtins.list[str]:
        """The ids of a stream's groups, in no particular order. Errors as the class says."""
        wanted = as_input(StreamListGroupsInput, input, stream_name=stream_name)
        return await self._caller.trigger("stream::list_groups", wanted, returns=list[str])

    async def list_all(self) -> dict[str, builtins.list[str]]:
        """The streams that the engine keeps itself, with the ids of their groups.

        A ``:`` in a name makes the engine tell wrong ones (docs/engine.md, "Streams"). Errors as the class says.
        """
        listed = await self._caller.trigger("stream::list_all", {}, returns=_Streams)
        return {stream.id: stream.groups for stream in listed.stream}

    async def update(
        self,
        input: StreamUpdateInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
        item_id: str = UNSAID,
        ops: Sequence[UpdateOp | Mapping[str, Any]] = UNSAID,
    ) -> StreamUpdateResult[Any]:
        """Change an item in one step, by operations that are carried out in order; watchers hear of it.

        An operation that does not fit what is stored is skipped and told in `errors` of the result; the others apply.
        One that can never work is refused here (docs/engine.md, "Updates"). A stream that a worker keeps has
        no updates: the engine changes an item of its own, of which that worker never hears. Errors as the class says.
        """
        wanted = as_input(
            StreamUpdateInput, input, stream_name=stream_name, group_id=group_id, item_id=item_id, ops=ops
        )
        return await self._caller.trigger("stream::update", wanted, returns=StreamUpdateResult[Any])

    async def send(
        self,
        input: StreamSendInput | Mapping[str, Any] | None = None,
        *,
        stream_name: str = UNSAID,
        group_id: str = UNSAID,
        id: str | None = UNSAID,
        type: str = UNSAID,
        data: Any = UNSAID,
    ) -> None:
        """Tell the watchers of a group or an item something of your own; nothing is stored. Errors as the class says."""
        wanted = as_input(
            StreamSendInput, input, stream_name=stream_name, group_id=group_id, id=id, type=type, data=data
        )
        await self._caller.trigger("stream::send", wanted)
