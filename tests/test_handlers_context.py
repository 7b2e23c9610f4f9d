"""What a handler knows about the invocation that it serves."""

from __future__ import annotations

import json
import threading
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from iii_trio import Invocation, current_invocation
from iii_trio._wire.messages import InvocationResult
from tests.conftest import MemoryLink, frames, start


def _sync_facts() -> Any:
    invocation = current_invocation()
    assert invocation is not None
    names = [field.name for field in attrs.fields(Invocation) if not field.name.startswith("_")]
    return {name: getattr(invocation, name) for name in [*names, "abandoned"]}


async def _facts() -> Any:
    return _sync_facts()


@pytest.mark.parametrize("handler", [_facts, _sync_facts], ids=["async", "sync"])
async def test_a_handler_can_ask_which_invocation_it_serves(link: MemoryLink, handler: Any) -> None:
    """Id, function, caller and metadata; in a task and in a thread alike."""
    with trio.fail_after(10) as limit:
        async with link.client() as iii:
            iii.register_function("f", handler)
            facts = await iii.trigger("f", {"a": 1}, metadata={"m": 1})
            (answer,) = frames(link.engine, InvocationResult, function_id="f")
    assert facts == {
        "id": answer.invocation_id,
        "function_id": "f",
        "caller_worker_id": iii.statistics().worker_id,
        "metadata": {"m": 1},
        "deadline": pytest.approx(limit.deadline, abs=0.1),
        "traceparent": None,
        "baggage": None,
        "abandoned": False,
    }


def test_an_invocation_is_a_plain_value() -> None:
    """Tests of handlers can make one; it can be compared, shown and written down as a dict."""
    fields: dict[str, Any] = {
        "id": "i",
        "function_id": "f",
        "caller_worker_id": None,
        "metadata": None,
        "deadline": None,
        "traceparent": None,
        "baggage": None,
    }
    invocation = Invocation(**fields)
    assert invocation == Invocation(**fields)
    assert invocation.abandoned is False
    assert "origin" not in repr(invocation)
    assert attrs.asdict(invocation).items() >= fields.items()
    json.dumps(attrs.asdict(invocation))


async def test_the_trace_context_of_the_caller_is_there(link: MemoryLink) -> None:
    """As the engine sent it."""
    seen: list[Invocation | None] = []

    async def handler() -> None:
        seen.append(current_invocation())

    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        link.say(
            type="invokefunction",
            invocation_id="7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11",
            function_id="f",
            data=None,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            baggage="a=b",
        )
        await trio.testing.wait_all_tasks_blocked()
    (invocation,) = seen
    assert invocation is not None
    assert invocation.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert invocation.baggage == "a=b"


async def test_the_caller_is_taken_out_of_the_payload(link: MemoryLink) -> None:
    """The handler gets what was sent; a caller that is no text is nobody."""

    async def handler(data: Any) -> Any:
        invocation = current_invocation()
        return [data, None if invocation is None else invocation.caller_worker_id]

    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        me = iii.statistics().worker_id
        assert await iii.trigger("f", {"a": 1}) == [{"a": 1}, me]
        assert await iii.trigger("f", {}) == [{}, me]
        assert await iii.trigger("f", [1]) == [[1], None]
        assert await iii.trigger("f") == [None, None]
        link.say(
            type="invokefunction",
            invocation_id="7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11",
            function_id="f",
            data={"a": 1, "_caller_worker_id": 7},
        )
        await trio.testing.wait_all_tasks_blocked()
        answers = [answer.result for answer in frames(link.engine, InvocationResult, function_id="f")]
        assert answers[-1] == [{"a": 1}, None]


async def test_there_is_no_invocation_outside_of_handlers(link: MemoryLink) -> None:
    """Not in the body, nor in a thread of its own."""
    async with link.client():
        assert current_invocation() is None
        with trio.fail_after(10):
            assert await trio.to_thread.run_sync(current_invocation) is None


async def test_each_of_many_handlers_sees_its_own_invocation(link: MemoryLink) -> None:
    """Across what they wait for, and in their child tasks."""

    async def handler(data: int) -> Any:
        await trio.testing.wait_all_tasks_blocked()
        seen: list[Any] = []

        async def child() -> None:
            invocation = current_invocation()
            seen.append(invocation and invocation.metadata)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        return [data, *seen]

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler)
        calls = [start(nursery, iii.trigger, "f", number, metadata=number) for number in range(50)]
        assert [await call.wait() for call in calls] == [[number, number] for number in range(50)]


async def test_a_thread_that_a_handler_starts_by_itself_serves_nothing(link: MemoryLink) -> None:
    """Python carries no context into it."""
    seen: list[Invocation | None] = []

    def handler() -> None:
        thread = threading.Thread(target=lambda: seen.append(current_invocation()))
        thread.start()
        thread.join()

    with trio.fail_after(10):
        async with link.client() as iii:
            iii.register_function("f", handler)
            await iii.trigger("f")
    assert seen == [None]
