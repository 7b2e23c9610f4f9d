"""How long calls wait: deadlines that travel, calls that are made again, and an engine that is away for too long."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import TriggerAction, current_invocation
from iii_trio._session.deadlines import DEADLINE_KEY
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ConnectionLost, EngineUnavailable, Fate, InvocationTimeout
from tests.conftest import Gate, MemoryLink, frames, start


async def _echo(data: Any) -> Any:
    return data


async def _deadline(_: Any, metadata: Any) -> Any:
    invocation = current_invocation()
    assert invocation is not None
    left = None if invocation.deadline is None else invocation.deadline - trio.current_time()
    return [left, metadata, invocation.metadata]


# ---- deadlines that travel ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "keywords", "left"),
    [
        pytest.param(None, {}, None, id="the default time-out is nobody's wish"),
        pytest.param(None, {"timeout_ms": 2_000}, 2.0, id="the call's time-out"),
        pytest.param(3.0, {}, 3.0, id="the caller's scope"),
        pytest.param(3.0, {"timeout_ms": 2_000}, 2.0, id="whichever is sooner"),
        pytest.param(1.0, {"timeout_ms": 2_000}, 1.0, id="either way"),
        pytest.param(None, {"timeout_ms": 2_000, "metadata": {"a": 1}}, 2.0, id="beside metadata"),
    ],
)
async def test_the_handler_knows_how_long_its_caller_waits(
    link: MemoryLink, autojump_clock: MockClock, scope: float | None, keywords: Any, left: float | None
) -> None:
    """And sees the metadata as it was sent."""
    async with link.client() as iii:
        await iii.register_function("f", _deadline).wait_registered()
        with contextlib.nullcontext() if scope is None else trio.fail_after(scope):
            answer = await iii.trigger("f", **keywords)
    assert answer[0] == (None if left is None else pytest.approx(left))
    assert answer[1:] == [keywords.get("metadata")] * 2


async def test_a_handler_is_cancelled_when_its_caller_stops_waiting(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """It does not work on for nobody, and its caller hears of its own time-out and of nothing else."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate).wait_registered()
        began = trio.current_time()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger("gate", timeout_ms=1_500)
        assert trio.current_time() - began == pytest.approx(1.5)
        assert (caught.value.code, caught.value.fate) == ("TIMEOUT", Fate.MAY_HAVE_RUN)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().running_handlers == 0
        assert iii.statistics().timed_out_handlers == 1


async def test_a_deadline_reaches_through_the_calls_of_a_handler(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What a handler calls has no longer than the handler itself."""
    async with link.client() as iii:

        async def outer() -> Any:
            await trio.sleep(1)
            return await iii.trigger("f")

        await iii.register_function("f", _deadline).wait_registered()
        await iii.register_function("outer", outer).wait_registered()
        assert (await iii.trigger("outer", timeout_ms=3_000))[0] == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize(
    "action",
    [pytest.param(TriggerAction.Void(), id="void"), pytest.param(TriggerAction.Enqueue(queue="q"), id="enqueue")],
)
async def test_work_that_outlives_its_caller_has_no_deadline(link: MemoryLink, action: Any) -> None:
    """The caller does not wait for its result."""
    async with link.client() as iii:
        await iii.register_function("engine::queue::enqueue", _echo, force=True).wait_registered()
        with trio.fail_after(5):
            await iii.trigger("f", 1, action=action, timeout_ms=None if action.type == "void" else 2_000)
        await trio.testing.wait_all_tasks_blocked()
    assert [frame.metadata for frame in frames(link.engine, InvokeFunction, function_id="f")] == [None]


async def test_a_scope_that_is_cancelled_already_is_no_deadline(link: MemoryLink) -> None:
    """The call is not made at all."""
    async with link.client() as iii:
        with trio.CancelScope() as scope:
            scope.cancel()
            await iii.trigger("f")
        assert scope.cancelled_caught
        await trio.testing.wait_all_tasks_blocked()
    assert frames(link.engine, InvokeFunction, function_id="f") == []


async def test_a_call_that_waited_offline_says_what_is_left(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What it said when it was made is out of date by then."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("f", _deadline).wait_registered()
        await link.go_down()
        call = start(nursery, iii.trigger, "f", timeout_ms=60_000)
        began = trio.current_time()
        await trio.sleep(10)
        link.is_up = True
        left = (await call.wait())[0]
        assert left == pytest.approx(60 - (trio.current_time() - began), abs=0.01)


async def test_a_payload_that_went_bad_while_it_waited_is_sent_as_it_was(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """It was checked when the call was made, and nothing that is done to it later spoils the connection."""
    payload: dict[str, Any] = {"a": 1}
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        await link.go_down()
        call = start(nursery, iii.trigger, "echo", payload, timeout_ms=60_000)
        await trio.testing.wait_all_tasks_blocked()
        payload["a"] = float("nan")
        link.is_up = True
        assert await call.wait() == {"a": 1}


async def test_somebody_elses_metadata_is_left_alone(link: MemoryLink) -> None:
    """A list has no place for a key, so the call goes without a deadline."""
    async with link.client() as iii:
        await iii.register_function("f", _deadline).wait_registered()
        assert await iii.trigger("f", timeout_ms=2_000, metadata=[1]) == [None, [1], [1]]
        sent = frames(link.engine, InvokeFunction, function_id="f")
    assert [frame.metadata for frame in sent] == [[1]]
    assert DEADLINE_KEY not in repr(sent)


# ---- calls that are made again --------------------------------------------------------------------------------------


async def test_an_idempotent_call_is_made_again_and_no_other(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The one is answered over the next connection, the other one's caller is told that it may have run."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        again = start(nursery, iii.trigger, {"function_id": "gate", "payload": 1, "idempotent": True})
        once = start(nursery, iii.trigger, "gate", 2)
        await gate.wait_entered(2)
        await link.go_down()
        link.is_up = True
        gate.open()
        assert await again.wait() == 1
        with pytest.raises(ConnectionLost):
            await once.wait()


async def test_retries_end_with_the_budget(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Of ten calls that are lost at once four are made again."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        calls = [start(nursery, iii.trigger, "gate", number, idempotent=True) for number in range(10)]
        await gate.wait_entered(10)
        await link.go_down()
        link.is_up = True
        gate.open()
        for call in calls:
            await call.done.wait()
        assert sum(call.error is None for call in calls) == 4
        assert {type(call.error) for call in calls if call.error} == {ConnectionLost}
        assert iii.statistics().retried_calls == 4


# ---- an engine that is away -----------------------------------------------------------------------------------------


async def test_calls_wait_for_the_link_and_then_no_longer(link: MemoryLink, autojump_clock: MockClock) -> None:
    """120 s after the loss what waits ends never sent, and what comes is refused at once until the engine is back."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        await link.go_down()
        lost_at = trio.current_time()
        call = start(nursery, iii.trigger, "echo", 1, timeout_ms=float("inf"))
        iii.trigger_nowait("echo", 2)
        await call.done.wait()
        assert trio.current_time() - lost_at == pytest.approx(120, abs=0.001)
        assert isinstance(call.error, EngineUnavailable)
        assert (call.error.code, call.error.fate) == ("OFFLINE", Fate.NEVER_SENT)
        assert (iii.statistics().unsent_calls, iii.statistics().outbox_frames) == (1, 0)
        with pytest.raises(EngineUnavailable, match="120 s"):
            await iii.trigger("echo", 3)
        with pytest.raises(EngineUnavailable):
            iii.trigger_nowait("echo", 3)
        iii.register_function("later", _echo)  # registrations are kept for whenever it is back
        link.is_up = True
        await iii.wait_connected()
        assert await iii.trigger("later", 4) == 4


async def test_who_waits_for_room_is_told_too(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It waits for the link like those who have a place."""
    async with link.client(max_outbox_frames=1, offline_grace=7) as iii, trio.open_nursery() as nursery:
        await link.go_down()
        iii.trigger_nowait("a")
        call = start(nursery, iii.trigger, "b", timeout_ms=float("inf"))
        void = start(nursery, iii.trigger, "c", action=TriggerAction.Void())
        await call.done.wait()
        await void.done.wait()
        assert isinstance(call.error, EngineUnavailable)
        assert isinstance(void.error, EngineUnavailable)


async def test_a_link_that_comes_back_in_time_is_as_if_nothing_had_been(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """And the next loss has its own 120 s."""
    async with link.client() as iii:
        await iii.register_function("echo", _echo).wait_registered()
        for _ in range(2):
            await link.go_down()
            await trio.sleep(70)
            link.is_up = True
            assert await iii.trigger("echo", 1, timeout_ms=50_000) == 1
        await trio.sleep(200)
        assert await iii.trigger("echo", 1) == 1
