"""`III.streams`, on the embedded engine in memory."""

from __future__ import annotations

from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from iii_trio.errors import ConfigurationError, PayloadError
from iii_trio.stream import (
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
from tests.conftest import MemoryLink

ITEM: Final[dict[str, Any]] = {"stream_name": "chat", "group_id": "room", "item_id": "1"}


async def test_an_item_is_written_read_and_deleted(link: MemoryLink) -> None:
    """Each step tells what was there before."""
    async with link.client() as iii:
        streams = iii.streams
        assert await streams.get(**ITEM) is None
        assert await streams.set(**ITEM, data={"text": "hi"}) == StreamSetResult(new_value={"text": "hi"})
        assert await streams.set(**ITEM, data=None) == StreamSetResult(new_value=None, old_value={"text": "hi"})
        await streams.set(**ITEM, data=1)
        assert await streams.get(**ITEM) == 1
        assert await streams.list(stream_name="chat", group_id="room") == [1]
        assert await streams.list(stream_name="chat", group_id="nobody's") == []
        assert await streams.list_groups(stream_name="chat") == ["room"]
        assert await streams.list_all() == {"chat": ["room"]}
        assert await streams.delete(**ITEM) == StreamDeleteResult(old_value=1)
        assert await streams.delete(**ITEM) == StreamDeleteResult(old_value=None)


async def test_each_operation_takes_a_value_or_a_dict(link: MemoryLink) -> None:
    """With the same outcome as for keywords; so what is written against `IStream` runs on it."""
    ops: Any = [{"type": "increment", "path": "", "by": 2}]
    group = {"stream_name": "chat", "group_id": "room"}
    async with link.client() as iii:
        streams: IStream[Any] = iii.streams
        await streams.set(StreamSetInput(**ITEM, data=1))
        assert (await streams.update(StreamUpdateInput(**ITEM, ops=ops))).new_value == 3
        assert await streams.get(StreamGetInput(**ITEM)) == 3
        assert await streams.list(StreamListInput(**group)) == [3]
        assert await streams.list_groups(StreamListGroupsInput(stream_name="chat")) == ["room"]
        assert (await streams.delete(StreamDeleteInput(**ITEM))).old_value == 3

        await iii.streams.set({**ITEM, "data": 1})
        assert (await iii.streams.update({**ITEM, "ops": ops})).new_value == 3
        assert await iii.streams.get(ITEM) == 3
        assert await iii.streams.list(group) == [3]
        assert await iii.streams.list_groups({"stream_name": "chat"}) == ["room"]
        assert (await iii.streams.delete(ITEM)).old_value == 3


async def test_an_update_tells_what_it_skipped(link: MemoryLink) -> None:
    """The others apply."""
    async with link.client() as iii:
        await iii.streams.set(**ITEM, data={"n": 1})
        ops: Any = [{"type": "append", "path": "n", "value": 1}, {"type": "remove", "path": "n"}]
        result = await iii.streams.update(**ITEM, ops=ops)
        (error,) = result.errors
        assert (error.op_index, error.code) == (0, "append.type_mismatch")
        assert result == StreamUpdateResult(new_value={}, old_value={"n": 1}, errors=[error])


async def test_what_is_sent_reaches_the_watchers_and_is_not_stored(link: MemoryLink, autojump_clock: MockClock) -> None:
    """In all three forms; of a group, or with the id of an item."""
    seen: list[Any] = []
    send, receive = trio.open_memory_channel[Any](10)

    async def watch(event: dict[str, Any]) -> None:
        await send.send((event["id"], event["event"]["event"]))

    async with link.client() as iii:
        iii.register_function("watch", watch)
        await iii.register_trigger(type="stream", function_id="watch", config={"stream_name": "chat"}).wait_registered()
        group: dict[str, Any] = {"stream_name": "chat", "group_id": "room"}
        await iii.streams.send(**group, type="typing", data={"by": "Ada"})
        seen.append(await receive.receive())
        await iii.streams.send({**group, "type": "typing", "id": "1"})
        seen.append(await receive.receive())
        await iii.streams.send(StreamSendInput(**group, type="left", data=None))
        seen.append(await receive.receive())
        assert seen == [
            (None, {"type": "typing", "data": {"by": "Ada"}}),
            ("1", {"type": "typing", "data": None}),
            (None, {"type": "left", "data": None}),
        ]
        assert await iii.streams.list_all() == {}


@pytest.mark.parametrize(
    ("operation", "given", "reason"),
    [
        pytest.param("get", {"stream_name": "s", "group_id": "g"}, "StreamGetInput needs its item_id", id="missing"),
        pytest.param("get", {**ITEM, "group_id": 7}, "StreamGetInput.group_id must be str", id="a number"),
        pytest.param("set", ITEM, "StreamSetInput needs its data", id="no data"),
        pytest.param("delete", {**ITEM, "item_id": None}, "StreamDeleteInput.item_id must be str", id="None"),
        pytest.param("list", {"stream_name": "s"}, "StreamListInput needs its group_id", id="no group"),
        pytest.param("list_groups", {}, "StreamListGroupsInput needs its stream_name", id="nothing"),
        pytest.param(
            "update", {**ITEM, "ops": [{"type": "remove"}]}, r"ops\[0\]: UpdateRemove needs its path", id="op"
        ),
        pytest.param("send", {"stream_name": "s", "group_id": "g"}, "StreamSendInput needs its type", id="no type"),
        pytest.param(
            "send",
            {"stream_name": "s", "group_id": "g", "type": "t", "id": 7},
            "StreamSendInput.id must be str",
            id="an id that is none",
        ),
    ],
)
async def test_a_bad_input_is_refused_before_it_is_sent(
    link: MemoryLink, operation: str, given: dict[str, Any], reason: str
) -> None:
    """The error names the field, as keywords and as a dict."""
    async with link.client() as iii:
        await iii.wait_connected()
        before = len(link.engine.received)
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(iii.streams, operation)(**given)
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(iii.streams, operation)(given)
        assert len(link.engine.received) == before


async def test_an_item_that_cannot_be_sent_is_refused_with_its_path(link: MemoryLink) -> None:
    """The engine would drop it without a word."""
    async with link.client() as iii:
        with pytest.raises(PayloadError, match=r"\$\.data\.price"):
            await iii.streams.set(**ITEM, data={"price": float("nan")})
