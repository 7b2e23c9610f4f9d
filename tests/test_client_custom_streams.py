"""`III.create_stream`: a worker keeps a stream in place of the engine."""

from __future__ import annotations

import builtins
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import InvocationError
from iii_trio.errors import ClientClosed, ConfigurationError, RegistrationRejectedError
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
from tests.conftest import MemoryLink

ITEM: dict[str, Any] = {"stream_name": "todos", "group_id": "inbox", "item_id": "t1"}


@attrs.define
class Shelf(IStream[Any]):
    """Keeps items in a dict, and every input that it got."""

    items: dict[tuple[str, str], Any] = attrs.field(factory=dict)
    inputs: builtins.list[Any] = attrs.field(factory=list)

    async def get(self, input: StreamGetInput) -> Any:
        self.inputs.append(input)
        return self.items.get((input.group_id, input.item_id))

    async def set(self, input: StreamSetInput) -> StreamSetResult[Any]:
        self.inputs.append(input)
        old = self.items.get((input.group_id, input.item_id))
        self.items[input.group_id, input.item_id] = input.data
        return StreamSetResult(new_value=input.data, old_value=old)

    async def delete(self, input: StreamDeleteInput) -> StreamDeleteResult:
        self.inputs.append(input)
        return StreamDeleteResult(old_value=self.items.pop((input.group_id, input.item_id), None))

    async def list(self, input: StreamListInput) -> builtins.list[Any]:
        self.inputs.append(input)
        return [item for (group, _), item in self.items.items() if group == input.group_id]

    async def list_groups(self, input: StreamListGroupsInput) -> builtins.list[str]:
        self.inputs.append(input)
        return sorted({group for group, _ in self.items})

    async def update(self, input: StreamUpdateInput) -> StreamUpdateResult[Any]:
        raise AssertionError("nobody asks for it")


async def test_the_engine_asks_the_worker(link: MemoryLink) -> None:
    """With typed inputs, whoever the caller is, also one in another namespace."""
    shelf = Shelf()
    async with link.client() as worker, link.client(namespace="orders") as iii:
        ref = worker.create_stream("todos", shelf)
        assert ref.name == "todos"
        await ref.wait_registered()
        assert await iii.streams.set(**ITEM, data={"n": 1}) == StreamSetResult(new_value={"n": 1})
        assert await iii.streams.get(**ITEM) == {"n": 1}
        assert await iii.streams.list(stream_name="todos", group_id="inbox") == [{"n": 1}]
        assert await iii.streams.list_groups(stream_name="todos") == ["inbox"]
        assert await iii.streams.delete(**ITEM) == StreamDeleteResult(old_value={"n": 1})
    assert shelf.inputs == [
        StreamSetInput(**ITEM, data={"n": 1}),
        StreamGetInput(**ITEM),
        StreamListInput(stream_name="todos", group_id="inbox"),
        StreamListGroupsInput(stream_name="todos"),
        StreamDeleteInput(**ITEM),
    ]


async def test_updates_stay_with_the_engine(link: MemoryLink) -> None:
    """It changes an item of its own, and the worker never hears of it."""
    shelf = Shelf()
    async with link.client() as iii:
        await iii.create_stream("todos", shelf).wait_registered()
        await iii.streams.set(**ITEM, data={"n": 1})
        result = await iii.streams.update(**ITEM, ops=[{"type": "set", "path": "n", "value": 2}])
        assert (result.old_value, result.new_value) == (None, {"n": 2})
        assert await iii.streams.get(**ITEM) == {"n": 1}


async def test_a_worker_that_wants_updates_registers_for_them(link: MemoryLink) -> None:
    """By hand, beside the stream."""

    async def update(input: StreamUpdateInput) -> StreamUpdateResult[Any]:
        return StreamUpdateResult(new_value=[op.type for op in input.ops], old_value=input.item_id)

    async with link.client() as iii:
        await iii.create_stream("todos", Shelf()).wait_registered()
        await iii.register_function("stream::update(todos)", update, force=True).wait_registered()
        result = await iii.streams.update(**ITEM, ops=[{"type": "remove", "path": "n"}])
        assert result == StreamUpdateResult(new_value=["remove"], old_value="t1")


async def test_watchers_hear_what_the_worker_tells(link: MemoryLink, autojump_clock: MockClock) -> None:
    """An old value of None is none."""
    seen: list[str] = []

    async def watch(event: dict[str, Any]) -> None:
        seen.append(event["event"]["type"])

    async with link.client() as iii:
        iii.create_stream("todos", Shelf())
        iii.register_function("watch", watch)
        await iii.register_trigger(
            type="stream", function_id="watch", config={"stream_name": "todos"}
        ).wait_registered()
        for _ in range(2):
            await iii.streams.set(**ITEM, data=1)
        for _ in range(2):
            await iii.streams.delete(**ITEM)
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["create", "update", "delete"]


async def test_what_the_worker_raises_is_the_callers_error(link: MemoryLink) -> None:
    """With the engine's code, or as it is for what the engine passes through; a payload that does not fit never arrives."""

    class Broken(Shelf):
        async def get(self, input: StreamGetInput) -> Any:
            raise InvocationError("GONE", "the shelf is gone")

        async def set(self, input: StreamSetInput) -> StreamSetResult[Any]:
            raise InvocationError("FULL", "no room")

    async with link.client() as iii:
        await iii.create_stream("todos", Broken()).wait_registered()
        with pytest.raises(InvocationError, match="the shelf is gone") as caught:
            await iii.streams.get(**ITEM)
        assert caught.value.code == "GONE"
        with pytest.raises(InvocationError, match="no room") as caught:
            await iii.streams.set(**ITEM, data=1)
        assert caught.value.code == "STREAM_SET_ERROR"
        with pytest.raises(InvocationError, match="item_id") as caught:
            await iii.trigger("stream::get(todos)", {"stream_name": "todos", "group_id": "inbox"})
        assert caught.value.code == "invalid_input"


async def test_an_unregistered_stream_is_the_engines_again(link: MemoryLink) -> None:
    """A second time does nothing; another stream of the name can be made."""
    async with link.client() as iii:
        ref = iii.create_stream("todos", Shelf())
        await iii.streams.set(**ITEM, data=1)
        ref.unregister()
        ref.unregister()
        assert await iii.streams.get(**ITEM) is None
        with pytest.raises(ConfigurationError, match="was unregistered"):
            await ref.wait_registered()
        await iii.create_stream("todos", Shelf({("inbox", "t1"): 2})).wait_registered()
        assert await iii.streams.get(**ITEM) == 2
        assert repr(ref) == "<StreamRef 'todos'>"


async def test_a_stream_has_one_keeper(link: MemoryLink) -> None:
    """The second one on the same worker is refused at once, one on another worker when the engine says so."""
    async with link.client() as first, link.client() as second:
        await first.create_stream("todos", Shelf({("inbox", "t1"): 1})).wait_registered()
        with pytest.raises(ConfigurationError, match=r"stream::get\(todos\)"):
            first.create_stream("todos", Shelf())
        with pytest.raises(RegistrationRejectedError, match=r"stream::get\(todos\)"):
            await second.create_stream("todos", Shelf()).wait_registered()
        assert await first.streams.get(**ITEM) == 1


async def test_a_stream_that_is_half_taken_is_not_half_made(link: MemoryLink) -> None:
    """What was registered before the fault goes with it."""
    async with link.client() as iii:
        taken = iii.register_function("stream::list(todos)", list, force=True)
        with pytest.raises(ConfigurationError, match=r"stream::list\(todos\)"):
            iii.create_stream("todos", Shelf())
        assert iii.statistics().functions == 1
        taken.unregister()
        await iii.create_stream("todos", Shelf()).wait_registered()
        assert iii.statistics().functions == 5


@pytest.mark.parametrize("name", ["", "  ", None, 7])
async def test_a_name_that_cannot_work_is_refused(link: MemoryLink, name: Any) -> None:
    """The error names it."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="stream_name must be text"):
            iii.create_stream(name, Shelf())
        assert iii.statistics().functions == 0


async def test_what_keeps_a_stream_is_an_istream(link: MemoryLink) -> None:
    """Neither the class nor something that merely has its methods."""
    async with link.client() as iii:
        stream: Any
        for stream in (Shelf, object(), None):
            with pytest.raises(ConfigurationError, match="stream must be an IStream"):
                iii.create_stream("todos", stream)


async def test_a_namespaced_worker_cannot_keep_a_stream(link: MemoryLink) -> None:
    """The engine would never find it, and say nothing."""
    async with link.client(namespace="orders") as iii:
        with pytest.raises(ConfigurationError, match=r"stream_name 'todos'.*'orders'"):
            iii.create_stream("todos", Shelf())
        assert iii.statistics().functions == 0


async def test_a_closed_client_makes_no_streams(link: MemoryLink) -> None:
    """As it registers nothing else."""
    async with link.client() as iii:
        await iii.aclose()
        with pytest.raises(ClientClosed):
            iii.create_stream("todos", Shelf())


async def test_a_stream_is_kept_on_the_next_connection(link: MemoryLink, autojump_clock: MockClock) -> None:
    """As everything that is registered."""
    async with link.client() as iii:
        await iii.create_stream("todos", Shelf({("inbox", "t1"): 1})).wait_registered()
        await link.go_down()
        link.is_up = True
        assert await iii.streams.get(**ITEM) == 1
        assert iii.statistics().reconnects == 1
