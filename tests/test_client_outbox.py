"""What happens when more is to be sent than the outbox takes: calls wait for room, `trigger_nowait` is told."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, TriggerAction
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ClientClosed, Fate, InvocationTimeout, WouldBlock
from tests.conftest import MemoryLink, Outcome, frames, start

_BOUNDS = [
    pytest.param({"max_outbox_frames": 2}, 1, id="frames"),
    pytest.param({"max_outbox_bytes": 1_000}, "x" * 400, id="bytes"),
]
"""Each takes two calls with the payload, and no third."""


async def _fill(link: MemoryLink, iii: III, payload: Any) -> None:
    """Stall the link, give the writer one frame to hang on, and queue two more."""
    link.wire.stall()
    iii.trigger_nowait("in-the-socket", payload)
    await trio.testing.wait_all_tasks_blocked()
    iii.trigger_nowait("queued", payload)
    iii.trigger_nowait("queued", payload)
    assert iii.statistics().outbox_frames == 2


def _sent(link: MemoryLink) -> list[str]:
    return [frame.function_id for frame in frames(link.engine, InvokeFunction) if "::" not in frame.function_id]


@pytest.mark.parametrize(("bound", "payload"), _BOUNDS)
async def test_trigger_nowait_raises_would_block(link: MemoryLink, bound: Any, payload: Any) -> None:
    """It is a trio.WouldBlock too, and nothing is queued."""
    async with link.client(**bound) as iii:
        await _fill(link, iii, payload)
        before = iii.statistics()
        with pytest.raises(WouldBlock) as caught:
            iii.trigger_nowait("refused", payload)
        assert isinstance(caught.value, trio.WouldBlock)
        assert iii.statistics() == before
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
        iii.trigger_nowait("later", payload)
        await trio.testing.wait_all_tasks_blocked()
    assert _sent(link) == ["in-the-socket", "queued", "queued", "later"]


@pytest.mark.parametrize(("bound", "payload"), _BOUNDS)
@pytest.mark.parametrize("void", [False, True], ids=["call", "void"])
async def test_trigger_waits_for_room(link: MemoryLink, bound: Any, payload: Any, void: bool) -> None:
    """It goes out as soon as the link takes frames again."""

    async def echo(data: Any) -> Any:
        return data

    async with link.client(**bound) as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", echo).wait_registered()
        await _fill(link, iii, payload)
        call = start(nursery, iii.trigger, "echo", payload, action=TriggerAction.Void() if void else None)
        await trio.testing.wait_all_tasks_blocked()
        assert not call.done.is_set()
        assert iii.statistics().outbox_frames == 2
        link.wire.flow()
        assert await call.wait() == (None if void else payload)
        await trio.testing.wait_all_tasks_blocked()
    assert _sent(link) == ["in-the-socket", "queued", "queued", "echo"]


async def test_waiting_for_room_counts_against_the_time_out(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The call was never sent, is counted, and leaves nothing behind."""
    async with link.client(max_outbox_frames=2) as iii:
        await _fill(link, iii, 1)
        began = trio.current_time()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger("refused", timeout_ms=3_000)
        assert trio.current_time() - began == pytest.approx(3)
        assert caught.value.fate is Fate.NEVER_SENT
        assert (caught.value.code, caught.value.function_id) == ("TIMEOUT", "refused")
        assert caught.value.invocation_id is not None
        statistics = iii.statistics()
        assert (statistics.timed_out_calls, statistics.calls_in_flight) == (1, 0)
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
    assert "refused" not in _sent(link)


async def test_a_time_out_of_zero_waits_for_no_room(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is over at once."""
    async with link.client(max_outbox_frames=2) as iii:
        await _fill(link, iii, 1)
        began = trio.current_time()
        with pytest.raises(InvocationTimeout):
            await iii.trigger("refused", timeout_ms=0)
        assert trio.current_time() == began


async def test_the_rest_of_the_time_out_is_left_for_the_answer(link: MemoryLink, autojump_clock: MockClock) -> None:
    """One time-out for both waits."""
    async with link.client(max_outbox_frames=2) as iii, trio.open_nursery() as nursery:

        async def never(_: Any) -> None:
            await trio.sleep_forever()

        await iii.register_function("never", never).wait_registered()
        await _fill(link, iii, 1)
        began = trio.current_time()
        call = start(nursery, iii.trigger, "never", timeout_ms=3_000)
        await trio.sleep(2)
        link.wire.flow()
        with pytest.raises(InvocationTimeout) as caught:
            await call.wait()
        assert caught.value.fate is Fate.MAY_HAVE_RUN
        assert trio.current_time() - began == pytest.approx(3)


@pytest.mark.parametrize("void", [False, True], ids=["call", "void"])
async def test_a_cancelled_wait_for_room_leaves_nothing(link: MemoryLink, void: bool) -> None:
    """Neither an entry nor a frame."""
    async with link.client(max_outbox_frames=2) as iii, trio.open_nursery() as nursery:
        await _fill(link, iii, 1)
        start(nursery, iii.trigger, "refused", action=TriggerAction.Void() if void else None)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().calls_in_flight == 1
        nursery.cancel_scope.cancel()
        link.wire.flow()
    assert iii.statistics().calls_in_flight == 0
    assert "refused" not in _sent(link)


@pytest.mark.parametrize("how", ["cancelled", "timed-out"])
async def test_room_that_calls_make_by_leaving_the_queue_is_used(
    link: MemoryLink, autojump_clock: MockClock, how: str
) -> None:
    """Who waits for room gets it when a queued call is taken back, though the link takes nothing."""
    async with link.client(max_outbox_frames=1) as iii, trio.open_nursery() as nursery:
        link.wire.stall()
        iii.trigger_nowait("in-the-socket")
        await trio.testing.wait_all_tasks_blocked()
        scope = trio.CancelScope()

        async def leave() -> None:
            with scope:
                await iii.trigger("leaves", timeout_ms=1_000)

        leaving = start(nursery, leave)
        await trio.testing.wait_all_tasks_blocked()
        waiting = start(nursery, iii.trigger, "waits", action=TriggerAction.Void())
        await trio.testing.wait_all_tasks_blocked()
        assert not waiting.done.is_set()
        if how == "cancelled":
            scope.cancel()
        await leaving.done.wait()
        await waiting.wait()
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
    assert _sent(link) == ["in-the-socket", "waits"]


@pytest.mark.parametrize("void", [False, True], ids=["call", "void"])
@pytest.mark.parametrize("offline", [False, True], ids=["stalled", "offline"])
async def test_waiting_for_room_ends_with_the_client(
    link: MemoryLink, autojump_clock: MockClock, offline: bool, void: bool
) -> None:
    """ClientClosed, with a link or without one, and also when all that is queued wants no answer."""
    async with trio.open_nursery() as nursery:
        async with link.client(max_outbox_frames=2) as iii:
            await _fill(link, iii, 1)
            if offline:
                await link.go_down()
            call = start(
                nursery,
                iii.trigger,
                "refused",
                timeout_ms=math.inf,
                action=TriggerAction.Void() if void else None,
            )
            await trio.testing.wait_all_tasks_blocked()
            assert not call.done.is_set()
        with pytest.raises(ClientClosed) as caught:
            await call.wait()
        assert caught.value.fate is Fate.NEVER_SENT


async def test_many_calls_share_a_small_outbox(link: MemoryLink) -> None:
    """500 calls through two places: all are answered, and the bound is kept all the time."""
    highest = 0

    async def double(data: int) -> int:
        return 2 * data

    async with link.client(max_outbox_frames=2, heal_early_results=False) as iii:
        await iii.register_function("double", double).wait_registered()
        calls: list[Outcome] = []
        async with trio.open_nursery() as nursery:
            for number in range(500):
                calls.append(start(nursery, iii.trigger, "double", number))
            while not all(call.done.is_set() for call in calls):
                await trio.lowlevel.checkpoint()
                highest = max(highest, iii.statistics().outbox_frames)
        assert [call.value for call in calls] == [2 * number for number in range(500)]
        assert 0 < highest <= 4  # two calls and two results, which have a lane of their own


async def test_a_frame_larger_than_the_bound_goes_when_it_is_alone(link: MemoryLink) -> None:
    """So that no call waits for ever."""

    async def length(data: str) -> int:
        return len(data)

    async with link.client(max_outbox_bytes=100) as iii:
        await iii.register_function("length", length).wait_registered()
        assert await iii.trigger("length", "x" * 10_000) == 10_000


async def test_calls_wait_offline_and_keep_their_order(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What was queued without a link goes out on the next one."""
    async with link.client() as iii:
        await link.go_down()
        for name in "abc":
            iii.trigger_nowait(name)
        assert iii.statistics().outbox_frames == 3
        assert iii.statistics().outbox_bytes > 0
        link.is_up = True
        await iii.wait_connected()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().outbox_frames == 0
    assert _sent(link) == ["a", "b", "c"]
