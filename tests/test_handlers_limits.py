"""What bounds handlers: `concurrency`, `max_running_handlers`, `max_pending_invocations`, and `timeout`."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import InvocationError
from iii_trio._wire.messages import InvocationResult
from iii_trio.errors import Fate, InvocationTimeout
from tests.conftest import Gate, MemoryLink, Outcome, frames, start


async def _overloaded(call: Outcome) -> None:
    with pytest.raises(InvocationError) as caught:
        await call.wait()
    assert (caught.value.code, caught.value.fate) == ("overloaded", Fate.NOT_RUN)


# ---- concurrency ----------------------------------------------------------------------------------------------------


async def test_concurrency_makes_invocations_wait(link: MemoryLink) -> None:
    """Never more at once than it says; the others have their turn, and all are answered."""
    active = peak = 0

    async def handler(data: int) -> int:
        nonlocal active, peak
        active += 1
        peak = max(peak, active)
        await trio.testing.wait_all_tasks_blocked()
        active -= 1
        return data

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler, concurrency=3)
        calls = [start(nursery, iii.trigger, "f", number) for number in range(20)]
        assert [await call.wait() for call in calls] == [*range(20)]
    assert peak == 3


async def test_concurrency_is_per_function(link: MemoryLink) -> None:
    """One that is busy holds no other up."""
    busy, free = Gate(), Gate()
    async with link.client() as iii:
        iii.register_function("busy", busy, concurrency=1)
        iii.register_function("free", free)
        for _ in range(3):
            iii.trigger_nowait("busy")
        for _ in range(3):
            iii.trigger_nowait("free")
        await trio.testing.wait_all_tasks_blocked()
        assert (busy.inside, free.inside) == (1, 3)


async def test_more_than_may_wait_are_refused_overloaded(link: MemoryLink) -> None:
    """max_pending_invocations, over all functions; those that run do not count."""
    gate = Gate()
    async with link.client(max_pending_invocations=2) as iii, trio.open_nursery() as nursery:
        await iii.register_function("a", gate, concurrency=1).wait_registered()
        await iii.register_function("b", gate, concurrency=1).wait_registered()
        for name in "abab":
            iii.trigger_nowait(name)
        await trio.testing.wait_all_tasks_blocked()
        assert (gate.inside, iii.statistics().pending_invocations) == (2, 2)
        await _overloaded(start(nursery, iii.trigger, "a"))
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert await iii.trigger("a", 1) == 1
        assert iii.statistics().overloaded_invocations == 1


async def test_nothing_waits_when_nothing_may(link: MemoryLink) -> None:
    """A bound of 0 refuses what cannot run at once."""
    gate = Gate()
    async with link.client(max_pending_invocations=0) as iii, trio.open_nursery() as nursery:
        iii.register_function("f", gate, concurrency=1)
        running = start(nursery, iii.trigger, "f", 1)
        await gate.wait_entered()
        await _overloaded(start(nursery, iii.trigger, "f", 2))
        gate.open()
        assert await running.wait() == 1


async def test_places_that_are_left_are_free_again(link: MemoryLink) -> None:
    """Where nothing may wait, one call after the other finds its place and its thread, also behind failed ones."""

    def sync(data: int) -> int:
        return 1 // data

    async def plain(data: int) -> int:
        return 1 // data

    with trio.fail_after(10):
        async with link.client(max_pending_invocations=0, max_threads=1) as iii:
            iii.register_function("sync", sync)
            iii.register_function("plain", plain, concurrency=1)
            iii.register_function("both", sync, concurrency=1)
            for data in (1, 0, 1, 1):
                for function_id in ("sync", "plain", "both"):
                    if data:
                        assert await iii.trigger(function_id, data) == 1
                    else:
                        with pytest.raises(InvocationError, match="ZeroDivisionError"):
                            await iii.trigger(function_id, data)
            assert iii.statistics().overloaded_invocations == 0


# ---- max_running_handlers -------------------------------------------------------------------------------------------


async def test_more_than_may_run_are_refused_overloaded(link: MemoryLink) -> None:
    """Over all functions, and never queued."""
    gate = Gate()
    async with link.client(max_running_handlers=2) as iii, trio.open_nursery() as nursery:
        iii.register_function("a", gate)
        iii.register_function("b", gate)
        running = [start(nursery, iii.trigger, name, 1) for name in "ab"]
        await gate.wait_entered(2)
        await _overloaded(start(nursery, iii.trigger, "a"))
        await _overloaded(start(nursery, iii.trigger, "b"))
        gate.open()
        assert [await call.wait() for call in running] == [1, 1]
        assert await iii.trigger("a", 1) == 1
        assert iii.statistics().overloaded_invocations == 2


async def test_siblings_beyond_the_bound_are_refused_and_nothing_deadlocks(link: MemoryLink) -> None:
    """The outer handler hears that the inner one was refused."""
    async with link.client(max_running_handlers=1) as iii:

        async def outer() -> str:
            with pytest.raises(InvocationError) as caught:
                await iii.trigger("outer")
            return caught.value.code

        iii.register_function("outer", outer)
        assert await iii.trigger("outer") == "overloaded"


async def test_an_invocation_that_waited_is_refused_when_its_turn_finds_no_place(link: MemoryLink) -> None:
    """The bound holds for those too: they are refused and not queued again, so that nothing can deadlock."""
    release, gate = threading.Event(), Gate()
    with trio.fail_after(10):
        async with link.client(max_running_handlers=1) as iii, trio.open_nursery() as nursery:
            iii.register_function("one", lambda: release.wait(10), concurrency=1, timeout=0.02)
            iii.register_function("other", gate)
            abandoned = start(nursery, iii.trigger, "one")
            with pytest.raises(InvocationError):
                await abandoned.wait()
            waiting = start(nursery, iii.trigger, "one")
            await trio.testing.wait_all_tasks_blocked()
            running = start(nursery, iii.trigger, "other", 1)
            await gate.wait_entered()
            assert iii.statistics().pending_invocations == 1
            release.set()
            await _overloaded(waiting)
            statistics = iii.statistics()
            assert (statistics.running_handlers, statistics.pending_invocations) == (1, 0)
            assert statistics.overloaded_invocations == 1
            gate.open()
            assert await running.wait() == 1
            assert await iii.trigger("one") is True


async def test_invocations_of_one_function_follow_each_other_within_the_bound(link: MemoryLink) -> None:
    """A place that is left is free for the next in the same moment: none of these is refused."""

    def sync(data: int) -> int:
        return data

    async def plain(data: int) -> int:
        await trio.lowlevel.checkpoint()
        return data

    with trio.fail_after(10):
        async with link.client(max_running_handlers=1, max_threads=1) as iii, trio.open_nursery() as nursery:
            handlers: list[tuple[str, Any, int | None]] = [
                ("threads", sync, None),
                ("slots", plain, 1),
                ("both", sync, 1),
            ]
            for function_id, handler, concurrency in handlers:
                iii.register_function(function_id, handler, concurrency=concurrency)
                calls = [start(nursery, iii.trigger, function_id, number) for number in range(50)]
                assert [await call.wait() for call in calls] == [*range(50)]


# ---- timeout --------------------------------------------------------------------------------------------------------


async def test_a_handler_is_cancelled_at_its_time_out_and_its_caller_told(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """invocation_failed, with the seconds; the handler's cleanup has run by then."""
    cleaned: list[float] = []

    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cleaned.append(trio.current_time())

    async with link.client() as iii:
        iii.register_function("f", handler, timeout=2.5)
        began = trio.current_time()
        with pytest.raises(InvocationError, match=r"cancelled after 2\.5 s") as caught:
            await iii.trigger("f")
        assert (caught.value.code, caught.value.fate) == ("invocation_failed", Fate.RAN)
        assert not isinstance(caught.value, InvocationTimeout)
        assert [trio.current_time() - began] == [pytest.approx(2.5)]
        assert cleaned == [trio.current_time()]


async def test_a_handler_that_is_late_can_see_that_it_was_a_deadline(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """trio names the source of the cancellation, for the function's time-out and for the caller's deadline alike."""
    sources: list[str] = []

    async def handler() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            sources.append(cancelled.source)
            raise

    async with link.client() as iii:
        await iii.register_function("f", handler, timeout=2).wait_registered()
        with pytest.raises(InvocationError, match="cancelled after 2 s"):
            await iii.trigger("f")
        with pytest.raises(InvocationTimeout):
            await iii.trigger("f", timeout_ms=1_000)
        await trio.sleep(0.1)
    assert sources == ["deadline", "deadline"]


async def test_a_handler_that_ends_in_time_is_not_touched(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Nor one that catches the cancellation and answers."""

    async def quick() -> str:
        await trio.sleep(1)
        return "in time"

    async def partly() -> str:
        with trio.move_on_after(1):
            await trio.sleep_forever()
        return "in part"

    async with link.client() as iii:
        iii.register_function("quick", quick, timeout=2)
        iii.register_function("partly", partly, timeout=2)
        assert await iii.trigger("quick") == "in time"
        assert await iii.trigger("partly") == "in part"
        assert iii.statistics().timed_out_handlers == 0


async def test_what_a_handler_raises_at_its_time_out_is_what_its_caller_hears(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The cancellation itself is not part of it."""

    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    async with link.client() as iii:
        iii.register_function("f", handler, timeout=1)
        with pytest.raises(InvocationError, match="ValueError: on the way out"):
            await iii.trigger("f")


async def test_the_time_out_begins_when_the_handler_does(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Waiting for its turn does not count: ten seconds of work, one after the other, none of them too slow."""

    async def handler(data: int) -> int:
        await trio.sleep(2)
        return data

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler, concurrency=1, timeout=3)
        calls = [start(nursery, iii.trigger, "f", number) for number in range(5)]
        assert [await call.wait() for call in calls] == [*range(5)]
        assert iii.statistics().timed_out_handlers == 0


async def test_waiting_for_a_thread_does_not_count_against_the_time_out(link: MemoryLink) -> None:
    """A handler that never ran must not be answered as one that did."""
    release = threading.Event()
    with trio.fail_after(10):
        async with link.client(max_threads=1) as iii, trio.open_nursery() as nursery:
            iii.register_function("slow", lambda: release.wait(10))
            iii.register_function("quick", lambda: "quick", timeout=0.02)
            start(nursery, iii.trigger, "slow")
            await trio.testing.wait_all_tasks_blocked()
            waiting = start(nursery, iii.trigger, "quick")
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.1):
                await waiting.done.wait()
            assert not waiting.done.is_set()
            release.set()
            assert await waiting.wait() == "quick"


# ---- the lane of results --------------------------------------------------------------------------------------------


async def test_results_wait_for_room(link: MemoryLink) -> None:
    """None is lost when the engine takes them slowly."""

    async def handler(data: int) -> int:
        return data

    async with link.client(max_outbox_frames=2) as iii:
        await iii.register_function("f", handler).wait_registered()
        link.wire.stall()
        ids = [f"7d0f5b5e-0b6f-4a55-8a58-{number:012}" for number in range(20)]
        for invocation_id in ids:
            link.say(type="invokefunction", invocation_id=invocation_id, function_id="f", data=1)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().outbox_frames == 2
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
    assert {answer.invocation_id for answer in frames(link.engine, InvocationResult)} == {*ids}


async def test_refusals_without_room_are_dropped_and_counted(link: MemoryLink) -> None:
    """The reader cannot wait; an engine that sends this much and reads nothing waits for no answer."""
    async with link.client(max_outbox_frames=2, heal_early_results=False) as iii:
        link.wire.stall()
        for number in range(10):
            invocation_id = f"7d0f5b5e-0b6f-4a55-8a58-{number:012}"
            link.say(type="invokefunction", invocation_id=invocation_id, function_id="nobody", data=1)
        await trio.testing.wait_all_tasks_blocked()
        dropped = iii.statistics().dropped_results
        assert dropped > 0
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
    assert len(frames(link.engine, InvocationResult)) == 10 - dropped


async def test_a_bound_of_a_thousand_handlers_is_no_matter(link: MemoryLink) -> None:
    """Async handlers are not limited per worker unless somebody says so."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", gate)
        calls = [start(nursery, iii.trigger, "f", number) for number in range(1_000)]
        await gate.wait_entered(1_000)
        assert gate.peak == 1_000
        gate.open()
        results: list[Any] = [await call.wait() for call in calls]
        assert results == [*range(1_000)]
