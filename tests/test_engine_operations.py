"""Every operation of the client over a real socket: on the embedded engine, and on the one of III_TEST_URL if set.

Every test uses names of its own, so that it can run again on an engine that has seen it before.
"""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import attrs
import pytest
import trio

from iii_trio import III, EnqueueResult, InitOptions, InvocationError, TriggerAction, open_iii
from iii_trio.engine import FunctionInfo, TriggerInfo
from iii_trio.errors import Fate, RegistrationRejectedError
from iii_trio.queue import TopicStats
from iii_trio.state import StateDeleteResult, StateSetResult, StateUpdateResult
from iii_trio.stream import (
    IStream,
    StreamDeleteInput,
    StreamDeleteResult,
    StreamGetInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSetInput,
    StreamSetResult,
    StreamUpdateInput,
    StreamUpdateResult,
)
from tests._engines import register_when_free, within
from tests._operations import OPERATIONS
from tests.interop.engines import POLL, until

pytestmark = pytest.mark.engine


async def _until_dead(iii: III, topic: str, count: int) -> None:
    """Wait until so many messages have failed for good."""
    while (await iii.queues.topic_stats(topic)).dlq_depth < count:  # noqa: ASYNC110 - nobody tells of them
        await trio.sleep(POLL)


# ---- all of them ----------------------------------------------------------------------------------------------------


@within(60)
async def test_every_operation_is_understood(engine_url: str) -> None:
    """And its answer has the shape that it promises, from ``default`` and from a namespace."""
    async with open_iii(engine_url) as iii, open_iii(engine_url, InitOptions(namespace="orders")) as other:
        for operation in OPERATIONS.values():
            await operation(iii)
            await operation(other)


# ---- state ----------------------------------------------------------------------------------------------------------


@within(30)
async def test_state_is_written_read_and_deleted(engine_url: str, fresh: str) -> None:
    """Each step tells what was there before; null is a value."""
    async with open_iii(engine_url) as iii:
        at = {"scope": fresh, "key": "k"}
        assert await iii.state.get(at) is None
        assert await iii.state.set(scope=fresh, key="k", value={"n": 1}) == StateSetResult(new_value={"n": 1})
        assert await iii.state.set(scope=fresh, key="k", value=None) == StateSetResult(
            new_value=None, old_value={"n": 1}
        )
        assert await iii.state.list(scope=fresh) == [None]
        await iii.state.set(scope=fresh, key="other", value=7)
        assert await iii.state.list(scope=fresh) == [None, 7]
        assert fresh in await iii.state.list_groups()
        assert await iii.state.delete(scope=fresh, key="other") == StateDeleteResult(old_value=7)
        assert await iii.state.delete(scope=fresh, key="other") == StateDeleteResult()


@within(30)
async def test_state_is_updated_by_operations_of_every_kind(engine_url: str, fresh: str) -> None:
    """In order; what does not fit is skipped and told."""
    ops: list[dict[str, Any]] = [
        {"type": "set", "path": "a", "value": 1},
        {"type": "increment", "path": "a", "by": 5},
        {"type": "decrement", "path": "a", "by": 2},
        {"type": "append", "path": ["list", "items"], "value": "x"},
        {"type": "merge", "path": "m", "value": {"k": 1}},
        {"type": "increment", "path": "m", "by": 1},
        {"type": "remove", "path": "gone"},
    ]
    async with open_iii(engine_url) as iii:
        result = await iii.state.update(scope=fresh, key="k", ops=ops)
        (error,) = result.errors
        assert (error.op_index, error.code) == (5, "increment.not_number")
        assert result == StateUpdateResult(
            new_value={"a": 4, "list": {"items": ["x"]}, "m": {"k": 1}}, old_value=None, errors=[error]
        )


# ---- streams --------------------------------------------------------------------------------------------------------


@within(30)
async def test_items_are_written_read_and_deleted(engine_url: str, fresh: str) -> None:
    """Each step tells what was there before."""
    item = {"stream_name": fresh, "group_id": "g", "item_id": "i"}
    async with open_iii(engine_url) as iii:
        assert await iii.streams.get(item) is None
        assert await iii.streams.set({**item, "data": {"n": 1}}) == StreamSetResult(new_value={"n": 1})
        result = await iii.streams.update({**item, "ops": [{"type": "increment", "path": "n", "by": 1}]})
        assert result == StreamUpdateResult(new_value={"n": 2}, old_value={"n": 1}, errors=[])
        assert await iii.streams.list(stream_name=fresh, group_id="g") == [{"n": 2}]
        assert await iii.streams.list_groups(stream_name=fresh) == ["g"]
        assert (await iii.streams.list_all())[fresh] == ["g"]
        assert await iii.streams.delete(item) == StreamDeleteResult(old_value={"n": 2})
        assert await iii.streams.delete(item) == StreamDeleteResult()


@within(30)
async def test_what_is_sent_reaches_the_watchers(engine_url: str, fresh: str) -> None:
    """As an event of a group or of an item."""
    send, receive = trio.open_memory_channel[Any](10)
    async with open_iii(engine_url) as iii:
        iii.register_function(fresh, send.send)
        config = {"stream_name": fresh}
        await iii.register_trigger(type="stream", function_id=fresh, config=config).wait_registered()
        await iii.streams.send(stream_name=fresh, group_id="g", type="typing", data={"by": "Ada"})
        event = await receive.receive()
        assert (event["groupId"], event["id"]) == ("g", None)
        assert event["event"] == {"type": "event", "event": {"type": "typing", "data": {"by": "Ada"}}}
        await iii.streams.send(stream_name=fresh, group_id="g", id="i", type="left")
        event = await receive.receive()
        assert (event["id"], event["event"]["event"]) == ("i", {"type": "left", "data": None})


@attrs.define
class Shelf(IStream[Any]):
    """Keeps items in a dict."""

    items: dict[str, Any] = attrs.field(factory=dict)

    async def get(self, input: StreamGetInput) -> Any:
        return self.items.get(input.item_id)

    async def set(self, input: StreamSetInput) -> StreamSetResult[Any]:
        old, self.items[input.item_id] = self.items.get(input.item_id), input.data
        return StreamSetResult(new_value=input.data, old_value=old)

    async def delete(self, input: StreamDeleteInput) -> StreamDeleteResult:
        return StreamDeleteResult(old_value=self.items.pop(input.item_id, None))

    async def list(self, input: StreamListInput) -> builtins.list[Any]:
        return [*self.items.values()]

    async def list_groups(self, input: StreamListGroupsInput) -> builtins.list[str]:
        return ["shelf"]

    async def update(self, input: StreamUpdateInput) -> StreamUpdateResult[Any]:
        raise AssertionError("nobody asks for it")


@within(30)
async def test_a_worker_keeps_a_stream(engine_url: str, fresh: str) -> None:
    """In place of the engine, but for updates, and as long as it is there; watchers hear of it."""
    item = {"stream_name": fresh, "group_id": "g", "item_id": "i"}
    send, receive = trio.open_memory_channel[Any](10)
    shelf = Shelf()
    async with open_iii(engine_url) as worker, open_iii(engine_url) as iii:
        ref = worker.create_stream(fresh, shelf)
        await ref.wait_registered()
        with pytest.raises(RegistrationRejectedError):
            await iii.create_stream(fresh, Shelf()).wait_registered()
        iii.register_function(fresh, send.send)
        config = {"stream_name": fresh}
        await iii.register_trigger(type="stream", function_id=fresh, config=config).wait_registered()
        assert await iii.streams.set({**item, "data": 1}) == StreamSetResult(new_value=1)
        assert shelf.items == {"i": 1}
        assert await iii.streams.get(item) == 1
        assert await iii.streams.list(stream_name=fresh, group_id="g") == [1]
        assert await iii.streams.list_groups(stream_name=fresh) == ["shelf"]
        assert await iii.streams.delete(item) == StreamDeleteResult(old_value=1)
        assert [(await receive.receive())["event"]["type"] for _ in range(2)] == ["create", "delete"]
        updated = await iii.streams.update({**item, "ops": [{"type": "set", "path": "", "value": 2}]})
        assert (updated.new_value, shelf.items) == (2, {})
        with pytest.raises(InvocationError, match="stream_name") as caught:
            await iii.trigger(f"stream::get({fresh})", {})
        assert caught.value.code == "invalid_input"
        ref.unregister()
        assert await worker.streams.get(item) == 2  # behind what says that it keeps none any more


# ---- queues and topics ----------------------------------------------------------------------------------------------


@within(30)
async def test_a_durable_message_is_tried_until_it_is_a_dead_letter(engine_url: str, fresh: str) -> None:
    """Then it is listed, tried again or thrown away."""
    done: list[Any] = []
    works = False

    async def job(data: Any) -> None:
        if not works:
            raise InvocationError("BOOM", "not yet")
        done.append(data)

    async with open_iii(engine_url) as iii:
        iii.register_function(fresh, job)
        config = {"topic": fresh, "queue_config": {"maxRetries": 1, "backoffDelayMs": 10}}
        await iii.register_trigger(type="queue", function_id=fresh, config=config).wait_registered()
        for number in range(4):
            await iii.queues.publish(fresh, {"n": number})
            await _until_dead(iii, fresh, number + 1)
        assert await iii.queues.topic_stats(fresh) == TopicStats(depth=0, consumer_count=1, dlq_depth=4)
        assert [topic.subscriber_count for topic in await iii.queues.list_topics() if topic.name == fresh] == [1]
        assert [topic.message_count for topic in await iii.queues.dlq_topics() if topic.topic == fresh] == [4]
        letters = await iii.queues.dlq_messages(fresh)
        # Those of one second may come in any order.
        assert sorted(letter.payload["n"] for letter in letters) == [0, 1, 2, 3]
        assert {(letter.retries, "BOOM" in letter.error) for letter in letters} == {(2, True)}
        assert all(letter.failed_at > 1_700_000_000 and letter.size_bytes > 0 for letter in letters)
        assert len(await iii.queues.dlq_messages(fresh, offset=1, limit=2)) == 2
        works = True
        assert await iii.queues.discard_message(fresh, letters[0].id)
        assert not await iii.queues.discard_message(fresh, letters[0].id)
        assert await iii.queues.redrive_message(fresh, letters[1].id)
        assert not await iii.queues.redrive_message(fresh, letters[1].id)
        assert await iii.queues.redrive(fresh) == 2
        assert await iii.queues.redrive(fresh) == 0
        await until(lambda: len(done) == 3)
        assert sorted(data["n"] for data in done) == sorted(letter.payload["n"] for letter in letters[1:])


@within(30)
async def test_an_unknown_queue_has_nothing(engine_url: str, fresh: str) -> None:
    """It is no error."""
    async with open_iii(engine_url) as iii:
        assert await iii.queues.topic_stats(fresh) == TopicStats(depth=0, consumer_count=0, dlq_depth=0)
        assert await iii.queues.dlq_messages(fresh) == []
        assert await iii.queues.redrive(fresh) == 0
        assert not await iii.queues.redrive_message(fresh, fresh)
        assert not await iii.queues.discard_message(fresh, fresh)
        assert fresh not in {topic.name for topic in await iii.queues.list_topics()}


@within(30)
async def test_a_published_message_reaches_who_is_there(engine_url: str, fresh: str) -> None:
    """All of them."""
    send, receive = trio.open_memory_channel[Any](10)
    async with open_iii(engine_url) as iii:
        iii.register_function(fresh, send.send)
        for _ in range(2):
            await iii.register_trigger(type="subscribe", function_id=fresh, config={"topic": fresh}).wait_registered()
        await iii.publish(fresh, {"n": 1})
        assert [await receive.receive() for _ in range(2)] == [{"n": 1}] * 2


@within(30)
async def test_enqueueing_needs_a_provider(engine_url: str, fresh: str) -> None:
    """Without one it fails, with one the caller gets its receipt; what the provider refuses is told as it says it."""

    async def provide(data: dict[str, Any]) -> None:
        if data["queue"] == "full":
            raise InvocationError("FULL", "no room")

    async with open_iii(engine_url) as iii, open_iii(engine_url) as other:
        await register_when_free(iii, "engine::queue::enqueue", provide)
        action = TriggerAction.Enqueue(queue=fresh)
        receipt = await other.trigger(fresh, 1, action=action)
        assert isinstance(receipt, EnqueueResult)
        assert receipt.messageReceiptId
        with pytest.raises(InvocationError, match="FULL: no room") as caught:
            await other.trigger(fresh, 1, action=TriggerAction.Enqueue(queue="full"))
        assert (caught.value.code, caught.value.fate) == ("enqueue_error", Fate.MAY_HAVE_RUN)
        await iii.drain(0)
        error: InvocationError | None = None
        while error is None:  # another run of these tests may provide just now
            try:
                await other.trigger(fresh, 1, action=action)
            except InvocationError as refusal:
                error = refusal
        assert error.code == "enqueue_error"
        assert "No queue provider" in error.message


# ---- listings -------------------------------------------------------------------------------------------------------


async def _count(data: list[int]) -> int:
    return len(data)


@within(30)
async def test_functions_workers_and_triggers_are_listed(engine_url: str, fresh: str) -> None:
    """With schemas, functions and metadata, also of a worker in a namespace."""
    async with open_iii(engine_url, InitOptions(worker_name=fresh, namespace=fresh)) as iii:
        iii.register_function("hidden", _count, metadata={"internal": True})
        iii.register_function("plain", lambda: None)
        ref = iii.register_function("count", _count, description="Counts", metadata={"team": 1})
        config, metadata = {"scope": fresh}, {"m": 1}
        trigger = iii.register_trigger(type="state", function_id="count", config=config, metadata=metadata)
        await trigger.wait_registered()
        plain, counted = sorted(
            (row for row in await iii.list_functions() if row.namespace == fresh), key=lambda row: row.description or ""
        )
        assert plain == FunctionInfo(function_id="plain", namespace=fresh, worker_name=fresh)
        assert (counted.function_id, counted.description, counted.metadata) == ("count", "Counts", {"team": 1})
        assert counted.request_format["items"] == {"type": "integer"}
        assert counted.response_format["type"] == "integer"
        (worker,) = [row for row in await iii.list_workers() if row.name == fresh]
        assert (worker.namespace, worker.runtime, worker.functions) == (fresh, "python", ["count", "hidden", "plain"])
        assert worker.worker_id == iii.statistics().worker_id
        wanted = TriggerInfo(id=trigger.id, trigger_type="state", function_id="count", config=config, metadata=metadata)
        assert wanted in await iii.list_triggers()
        assert wanted in await iii.list_triggers(include_internal=True)
        ref.unregister()
        trigger.unregister()
        assert "count" not in {row.function_id for row in await iii.list_functions() if row.namespace == fresh}
        assert trigger.id not in {row.id for row in await iii.list_triggers(include_internal=True)}


@within(30)
async def test_a_callback_hears_of_new_functions(engine_url: str, fresh: str) -> None:
    """A sync and an async one; they are not listed; and nothing is left when they are ended."""
    heard = trio.Event()
    told: list[set[str]] = []

    def sync(functions: list[FunctionInfo]) -> None:
        if fresh in {row.worker_name for row in functions}:
            trio.from_thread.run_sync(heard.set)

    async def plain(functions: list[FunctionInfo]) -> None:
        told.append({row.function_id for row in functions})

    async with open_iii(engine_url, InitOptions(worker_name=fresh)) as iii:
        ends = [iii.on_functions_available(callback) for callback in (sync, plain)]
        # The engine has to have looked once before there is a change, and nobody knows when it does.
        numbers = itertools.count()
        while not (heard.is_set() and told and f"{fresh}::0" in told[-1]):
            iii.register_function(f"{fresh}::{next(numbers)}", _count)
            await trio.sleep(POLL)
        assert not any(row.function_id.startswith("iii.on_functions") for row in await iii.list_functions())
        for end in ends:
            end()
        mine = {row.name: row for row in await iii.list_workers()}[fresh]
        assert len(mine.functions) == next(numbers)
