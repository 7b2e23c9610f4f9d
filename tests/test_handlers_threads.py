"""Sync handlers: how many threads they take, what is carried into them, and what becomes of those that are abandoned."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import III, InvocationError
from iii_trio._handlers import patience, pool
from iii_trio._handlers.pool import FEW, INSTANT, QUICK
from iii_trio.errors import ClientClosed, Fate, InvocationTimeout
from iii_trio.testing import open_engine
from tests.conftest import Link, MemoryLink, start
from tests.interop.engines import until


class Threads:
    """A sync handler that holds its threads until it is released, and counts them."""

    def __init__(self) -> None:
        self.inside = 0
        self.peak = 0
        self.entered = 0
        self._changed = threading.Condition()
        self._release = threading.Event()

    def __call__(self, data: Any) -> Any:
        with self._changed:
            self.inside += 1
            self.entered += 1
            self.peak = max(self.peak, self.inside)
            self._changed.notify_all()
        try:
            assert self._release.wait(10)
        finally:
            with self._changed:
                self.inside -= 1
                self._changed.notify_all()
        return data

    def release(self) -> None:
        self._release.set()

    async def wait_entered(self, count: int) -> None:
        await trio.to_thread.run_sync(self._wait, lambda: self.entered >= count)

    async def wait_left(self) -> None:
        await trio.to_thread.run_sync(self._wait, lambda: self.inside == 0)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, 10)


@pytest.fixture
def threads() -> Any:
    """A blocking handler, released when the test ends however it ends."""
    threads = Threads()
    yield threads
    threads.release()


async def test_there_are_never_more_threads_than_allowed(link: MemoryLink, threads: Threads) -> None:
    """The others wait as pending, and run when a thread is free."""
    with trio.fail_after(20):
        async with link.client(max_threads=3) as iii, trio.open_nursery() as nursery:
            iii.register_function("f", threads)
            calls = [start(nursery, iii.trigger, "f", number) for number in range(10)]
            await threads.wait_entered(3)
            await trio.testing.wait_all_tasks_blocked()
            statistics = iii.statistics()
            assert (statistics.running_handlers, statistics.pending_invocations) == (3, 7)
            threads.release()
            assert [await call.wait() for call in calls] == [*range(10)]
            assert threads.peak == 3
            await trio.testing.wait_all_tasks_blocked()
            statistics = iii.statistics()
            assert (statistics.running_handlers, statistics.pending_invocations) == (0, 0)


async def test_the_default_is_40_threads(link: MemoryLink, threads: Threads) -> None:
    """41 invocations: one waits."""
    with trio.fail_after(20):
        async with link.client() as iii:
            await iii.register_function("f", threads).wait_registered()
            for _ in range(41):
                iii.trigger_nowait("f")
            await threads.wait_entered(40)
            await trio.testing.wait_all_tasks_blocked()
            assert iii.statistics().pending_invocations == 1
            threads.release()


async def test_each_client_has_threads_of_its_own(link: MemoryLink, threads: Threads) -> None:
    """One that blocks all of its own holds no other up."""
    with trio.fail_after(20):
        async with link.client(max_threads=1) as first, link.client(max_threads=1) as second:
            await first.register_function("first", threads).wait_registered()
            second.register_function("second", lambda: "free")
            first.trigger_nowait("first")
            await threads.wait_entered(1)
            assert await second.trigger("second") == "free"
            threads.release()


async def test_waiting_for_a_thread_is_bounded(link: MemoryLink, threads: Threads) -> None:
    """Beyond max_pending_invocations it is refused overloaded."""
    with trio.fail_after(20):
        async with link.client(max_threads=1, max_pending_invocations=1) as iii, trio.open_nursery() as nursery:
            await iii.register_function("f", threads).wait_registered()
            running = start(nursery, iii.trigger, "f", 1)
            await threads.wait_entered(1)
            waiting = start(nursery, iii.trigger, "f", 2)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(InvocationError, match="overloaded"):
                await iii.trigger("f", 3)
            threads.release()
            assert (await running.wait(), await waiting.wait()) == (1, 2)


async def test_async_handlers_are_served_while_all_threads_are_busy(link: MemoryLink, threads: Threads) -> None:
    """They need none."""

    async def free() -> str:
        return "free"

    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii:
            await iii.register_function("f", threads).wait_registered()
            iii.register_function("free", free)
            iii.trigger_nowait("f")
            await threads.wait_entered(1)
            assert await iii.trigger("free") == "free"
            threads.release()


async def test_what_a_sync_handler_raises_is_answered(link: MemoryLink) -> None:
    """As of an async one, exits included."""

    def fail(data: str) -> None:
        raise {"error": ValueError("no"), "exit": SystemExit(2), "mine": InvocationError("mine", "no")}[data]

    with trio.fail_after(20):
        async with link.client() as iii:
            iii.register_function("f", fail)
            for data, words in (
                ("error", "invocation_failed: ValueError: no"),
                ("exit", "SystemExit: 2"),
                ("mine", "mine: no"),
            ):
                with pytest.raises(InvocationError, match=words):
                    await iii.trigger("f", data)


async def test_a_sync_handler_that_returns_a_coroutine_is_told_what_to_do(link: MemoryLink) -> None:
    """invocation_failed with the advice; the coroutine is closed, so that Python does not complain as well."""

    async def work() -> None: ...

    class Awaitable:
        def __await__(self) -> Any:
            yield

    with trio.fail_after(20):
        async with link.client() as iii:
            iii.register_function("coroutine", lambda: work())
            iii.register_function("awaitable", lambda: Awaitable())
            for name in ("coroutine", "awaitable"):
                with pytest.raises(InvocationError, match="make the handler itself async") as caught:
                    await iii.trigger(name)
                assert caught.value.code == "invocation_failed"


async def test_context_variables_of_the_client_are_carried_into_the_thread(link: MemoryLink) -> None:
    """As they were where the client was opened; changes stay in the thread."""
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("outside")

    def handler() -> str:
        before = variable.get()
        variable.set("inside")
        return before

    with trio.fail_after(20):
        async with link.client() as iii:
            iii.register_function("f", handler)
            assert await iii.trigger("f") == "outside"
            assert await iii.trigger("f") == "outside"
            assert variable.get() == "outside"


# ---- abandoned ------------------------------------------------------------------------------------------------------


async def test_a_sync_handler_over_its_time_out_is_abandoned(link: MemoryLink, threads: Threads) -> None:
    """Its caller is told; its thread keeps its place until it returns; its result is nobody's."""
    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii, trio.open_nursery() as nursery:
            iii.register_function("slow", threads, timeout=0.02)
            iii.register_function("quick", lambda: "quick")
            with pytest.raises(InvocationError, match=r"cancelled after 0\.02 s") as caught:
                await iii.trigger("slow")
            assert (caught.value.code, caught.value.fate) == ("invocation_failed", Fate.RAN)
            statistics = iii.statistics()
            assert (statistics.abandoned_threads, statistics.timed_out_handlers) == (1, 1)
            assert statistics.running_handlers == 0
            waiting = start(nursery, iii.trigger, "quick")
            await trio.testing.wait_all_tasks_blocked()
            assert (threads.inside, iii.statistics().pending_invocations) == (1, 1)
            threads.release()
            assert await waiting.wait() == "quick"
            assert iii.statistics().unknown_results == 0


async def test_an_abandoned_thread_keeps_its_place_in_the_functions_concurrency(
    link: MemoryLink, threads: Threads
) -> None:
    """A handler that must not run twice at once does not, whatever its time-out says."""
    with trio.fail_after(20):
        async with link.client() as iii, trio.open_nursery() as nursery:
            iii.register_function("f", threads, timeout=0.02, concurrency=1)
            with pytest.raises(InvocationError, match="cancelled"):
                await iii.trigger("f", 1)
            second = start(nursery, iii.trigger, "f", 2)
            await trio.testing.wait_all_tasks_blocked()
            assert iii.statistics().pending_invocations == 1
            threads.release()
            assert await second.wait() == 2
            assert threads.peak == 1


async def test_a_sync_handler_is_abandoned_at_its_callers_deadline(link: MemoryLink, threads: Threads) -> None:
    """Its thread keeps its place among the threads and in its function's concurrency until it returns."""
    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii, trio.open_nursery() as nursery:
            await iii.register_function("f", threads, concurrency=1).wait_registered()
            with pytest.raises(InvocationTimeout):
                await iii.trigger("f", timeout_ms=50)
            await until(lambda: iii.statistics().timed_out_handlers == 1)
            statistics = iii.statistics()
            assert (statistics.abandoned_threads, statistics.threads, statistics.running_handlers) == (1, 1, 0)
            second = start(nursery, iii.trigger, "f", 2)
            await trio.testing.wait_all_tasks_blocked()
            assert (threads.entered, iii.statistics().pending_invocations) == (1, 1)
            threads.release()
            assert await second.wait() == 2
            assert threads.peak == 1


async def test_leaving_does_not_wait_for_threads(link: MemoryLink, threads: Threads) -> None:
    """They are abandoned and counted, and what they return later is nobody's."""
    with trio.fail_after(20):
        async with link.client() as iii:
            await iii.register_function("f", threads).wait_registered()
            iii.trigger_nowait("f")
            await threads.wait_entered(1)
        assert threads.inside == 1
        assert iii.statistics().abandoned_threads == 1
        threads.release()
        await threads.wait_left()
        await trio.testing.wait_all_tasks_blocked()


async def test_an_abandoned_thread_may_end_after_the_run(link: MemoryLink) -> None:
    """Nobody is left to be told, and nobody complains."""
    threads = Threads()

    async def main() -> None:
        async with open_engine() as engine, Link(engine).client() as iii:
            await iii.register_function("f", threads).wait_registered()
            iii.trigger_nowait("f")
            await threads.wait_entered(1)

    with trio.fail_after(20):
        await trio.to_thread.run_sync(lambda: trio.run(main))
        assert threads.inside == 1
        threads.release()
        await threads.wait_left()


async def test_a_call_of_an_abandoned_handler_ends_with_its_invocation(link: MemoryLink) -> None:
    """So that the thread comes back, though nobody would ever answer it."""
    ended: list[str] = []

    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii:

            async def never() -> None:
                await trio.sleep_forever()

            def handler() -> None:
                for _ in range(2):
                    try:
                        iii.from_thread.trigger("never", timeout_ms=float("inf"))
                    except trio.Cancelled:
                        ended.append("cancelled")

            iii.register_function("never", never)
            iii.register_function("f", handler, timeout=0.02)
            iii.register_function("quick", lambda: "quick")
            with pytest.raises(InvocationError, match="cancelled after"):
                await iii.trigger("f")
            assert await iii.trigger("quick") == "quick"
            assert ended == ["cancelled", "cancelled"]
            assert iii.statistics().calls_in_flight == 0


async def test_a_thread_below_an_abandoned_handler_is_told_so(link: MemoryLink) -> None:
    """It has the handler's context, but is not the thread that trio gave up: each call of it raises ClientClosed."""
    errors: list[ClientClosed] = []
    done = threading.Event()

    with trio.fail_after(20):
        async with link.client() as iii:

            async def never() -> None:
                await trio.sleep_forever()

            def below() -> None:
                for _ in range(2):
                    with pytest.raises(ClientClosed) as caught:
                        iii.from_thread.trigger("never", timeout_ms=float("inf"))
                    errors.append(caught.value)
                done.set()

            async def detour() -> None:
                await trio.to_thread.run_sync(below)

            def handler() -> None:
                trio.from_thread.run(detour)

            iii.register_function("never", never)
            iii.register_function("f", handler, timeout=0.02)
            with pytest.raises(InvocationError, match="cancelled after"):
                await iii.trigger("f")
            await trio.to_thread.run_sync(done.wait, 10)
            assert [error.fate for error in errors] == [Fate.MAY_HAVE_RUN] * 2


async def test_the_calls_of_a_handler_that_ends_by_itself_are_not_touched(link: MemoryLink) -> None:
    """Nor is anything else that runs in trio."""
    with trio.fail_after(20):
        async with link.client() as iii:

            async def double(data: int) -> int:
                return 2 * data

            def handler(data: int) -> int:
                once = int(iii.from_thread.trigger("double", data))
                return int(iii.from_thread.trigger("double", once))

            iii.register_function("double", double)
            iii.register_function("f", handler, timeout=10)
            assert await iii.trigger("f", 3) == 12


# ---- the few threads of quick ones ----------------------------------------------------------------------------------


async def test_sync_handlers_that_wait_for_each_other_all_finish(link: MemoryLink) -> None:
    """Also when more wait than share the few threads, and before it is known that they do."""
    with trio.fail_after(20):
        async with link.client() as iii:

            def count(depth: int) -> int:
                return 0 if depth == 0 else 1 + int(iii.from_thread.trigger("count", depth - 1))

            await iii.register_function("count", count).wait_registered()
            assert await iii.trigger("count", 4 * FEW) == 4 * FEW
            await trio.testing.wait_all_tasks_blocked()
            statistics = iii.statistics()
            assert (statistics.running_handlers, statistics.pending_invocations, statistics.threads) == (0, 0, 0)


async def test_only_quick_functions_share_the_few_threads(
    link: MemoryLink, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is known to be slow has as many as it asks for, and takes none of theirs."""
    monkeypatch.setattr(pool, "PERIOD", 3600)
    averages = {"instant": 0.0, "quick": (INSTANT + QUICK) / 2, "slow": 2 * QUICK}
    handlers = {"instant": Threads(), "quick": Threads(), "slow": threads}
    entered = {"instant": 1, "quick": FEW, "slow": 2 * FEW}
    with trio.fail_after(20):
        async with link.client() as iii:
            for name, average in averages.items():
                await iii.register_function(name, handlers[name]).wait_registered()
                function = iii._dispatcher.session.registrar.registry.find(name)
                assert function is not None
                function.handler.habit._average = average
            try:
                for name, count in entered.items():
                    for _ in range(2 * FEW):
                        iii.trigger_nowait(name)
                    await handlers[name].wait_entered(count)
                await trio.testing.wait_all_tasks_blocked()
                assert {name: handler.inside for name, handler in handlers.items()} == entered
                for name in ("quick", "instant"):
                    handlers[name].release()
                    await handlers[name].wait_entered(2 * FEW)
                assert threads.inside == 2 * FEW
            finally:
                for handler in handlers.values():
                    handler.release()


async def test_a_function_with_a_time_out_stands_in_no_line(
    link: MemoryLink, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time would run while it stands there."""
    monkeypatch.setattr(pool, "PERIOD", 3600)
    with trio.fail_after(20):
        async with link.client() as iii:
            iii.register_function("free", lambda: "free", timeout=10)
            await iii.register_function("f", threads).wait_registered()
            for _ in range(FEW + 1):
                iii.trigger_nowait("f")
            await threads.wait_entered(FEW)
            assert await iii.trigger("free") == "free"
            assert threads.entered == FEW
            threads.release()


async def test_who_waited_for_a_shared_thread_when_the_end_came_may_try_elsewhere(
    link: MemoryLink, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its handler has not run, and its caller is told so; those of the others are told that they failed."""
    monkeypatch.setattr(pool, "PERIOD", 3600)
    codes: list[str] = []

    async def call(caller: III) -> None:
        try:
            await caller.trigger("f")
        except InvocationError as error:
            codes.append(error.code)

    with trio.fail_after(20):
        async with (
            link.client(worker_name="caller") as caller,
            trio.open_nursery() as nursery,
            link.client(worker_name="worker", drain_timeout=0) as iii,
        ):
            await iii.register_function("f", threads).wait_registered()
            for _ in range(FEW):
                nursery.start_soon(call, caller)
            await threads.wait_entered(FEW)
            nursery.start_soon(call, caller)
            await until(lambda: iii.statistics().running_handlers == FEW + 1)
        assert sorted(codes) == [*["invocation_failed"] * FEW, "overloaded"]
        assert threads.entered == FEW


@pytest.mark.parametrize("least", [0.01, 10], ids=["shared scope", "own scope"])
async def test_an_abandoned_wait_for_a_shared_thread_leaves_nothing_behind(
    link: MemoryLink, threads: Threads, monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    """Whose caller has gone while it stood in the line never runs, and its place is free for others."""
    monkeypatch.setattr(pool, "PERIOD", 3600)
    monkeypatch.setattr(patience, "LEAST", least)
    with trio.fail_after(20):
        async with link.client(max_threads=FEW + 1) as iii, trio.open_nursery() as nursery:
            await iii.register_function("f", threads).wait_registered()
            calls = [start(nursery, iii.trigger, "f", number) for number in range(FEW)]
            await threads.wait_entered(FEW)
            late = start(nursery, iii.trigger, "f", FEW, timeout_ms=30)
            with pytest.raises(InvocationTimeout):
                await late.wait()
            await until(lambda: iii.statistics().timed_out_handlers == 1)
            assert (iii.statistics().threads, iii.statistics().running_handlers) == (FEW, FEW)
            threads.release()
            assert [await call.wait() for call in calls] == [*range(FEW)]
            assert await iii.trigger("f", "next") == "next"
            assert (threads.entered, iii.statistics().abandoned_threads) == (FEW + 1, 0)


@pytest.mark.parametrize("least", [0.01, 10], ids=["shared scope", "own scope"])
async def test_an_abandoned_handler_in_a_shared_thread_is_told(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    """Its calls end, it can ask, and others have a thread at once."""
    monkeypatch.setattr(patience, "LEAST", least)
    told: list[str] = []
    done = threading.Event()

    async def never() -> None:
        await trio.sleep_forever()

    with trio.fail_after(20):
        async with link.client() as iii:

            def handler() -> None:
                try:
                    iii.from_thread.trigger("never", timeout_ms=float("inf"))
                except trio.Cancelled:
                    told.append("cancelled")
                done.set()

            iii.register_function("never", never)
            await iii.register_function("f", handler).wait_registered()
            iii.register_function("free", lambda: "free")
            with pytest.raises(InvocationTimeout):
                await iii.trigger("f", timeout_ms=30)
            assert await iii.trigger("free") == "free"
            await trio.to_thread.run_sync(done.wait, 10)
            assert told == ["cancelled"]
            await until(lambda: iii.statistics().threads == 0)
            assert iii.statistics().abandoned_threads == 1
