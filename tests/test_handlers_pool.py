"""Threads that quick handlers share: who runs where, who waits for whom, and what becomes of those that are given up."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sniffio
import trio
import trio.testing
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from iii_trio._handlers import pool as pool_module
from iii_trio._handlers.pool import FEW, INSTANT, LONG, PERIOD, QUICK, Habit, Pool
from tests.interop.engines import until

SERVED: ContextVar[int] = ContextVar("served")
NEVER = 3600.0


class Owner:
    """An invocation, as far as the pool sees it."""

    def __init__(self) -> None:
        self.in_thread = False
        self.never_ran = False
        self.released = 0

    def release_on_behalf_of(self, _: object) -> None:
        self.released += 1


class Gate:
    """A handler that stays in its thread until it is released."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.opened = threading.Event()

    def __call__(self) -> int:
        self.entered.append(threading.get_ident())
        assert self.opened.wait(20)
        return threading.get_ident()

    async def wait_entered(self, count: int) -> None:
        await until(lambda: len(self.entered) >= count)


@pytest.fixture
def gate() -> Any:
    """Released when the test ends, however it ends."""
    gate = Gate()
    yield gate
    gate.opened.set()


class Hall:
    """A pool with tasks that wait for its handlers."""

    def __init__(self, home: trio.Nursery, nursery: trio.Nursery, few: int) -> None:
        self.pool = Pool(few)
        self.home = home
        self.nursery = nursery
        self.results: list[Any] = []

    async def run(self, work: Callable[[], Any], owner: Owner | None = None) -> Any:
        return await self.pool.run(work, owner or Owner(), self.home)

    def start(self, work: Callable[[], Any], owner: Owner | None = None) -> None:
        async def wait() -> None:
            self.results.append(await self.run(work, owner))

        self.nursery.start_soon(wait)


@asynccontextmanager
async def open_hall(few: int = 1) -> AsyncIterator[Hall]:
    """For a block, at whose end everybody has what he waits for."""
    with trio.fail_after(20):
        async with trio.open_nursery() as home:
            async with trio.open_nursery() as nursery:
                yield Hall(home, nursery, few)
            home.cancel_scope.cancel()


def tell_when_left(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """An event that is set when a thread has left the line."""
    left = threading.Event()
    take = Pool._take

    def take_and_tell(*args: Any) -> None:
        take(*args)
        left.set()

    monkeypatch.setattr(Pool, "_take", take_and_tell)
    return left


# ---- one thread for all ---------------------------------------------------------------------------------------------


async def test_instant_handlers_run_in_one_thread_in_order(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they came, however many."""
    monkeypatch.setattr(pool_module, "PERIOD", NEVER)
    ran: list[tuple[int, int]] = []

    def note(number: int) -> None:
        ran.append((number, threading.get_ident()))

    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        for number in range(50):
            hall.start(partial(note, number))
            await wait_all_tasks_blocked()
        assert ran == []
        gate.opened.set()
        await until(lambda: len(hall.results) == 51)
        assert ran == [(number, gate.entered[0]) for number in range(50)]


async def test_it_returns_what_the_handler_returns_or_raises() -> None:
    """Exits included."""

    def fail(error: BaseException) -> None:
        raise error

    async with open_hall() as hall:
        with assert_checkpoints():
            assert await hall.run(lambda: 7) == 7
        for error in (ValueError("no"), SystemExit(3)):
            with pytest.raises(type(error)) as caught:
                await hall.run(partial(fail, error))
            assert caught.value is error


async def test_the_callers_context_is_carried_and_kept_from_changes() -> None:
    """And in the thread nobody takes it for trio's."""

    def work() -> tuple[int, str]:
        before = SERVED.get()
        SERVED.set(0)
        try:
            library = sniffio.current_async_library()
        except sniffio.AsyncLibraryNotFoundError:
            library = "none"
        return before, library

    SERVED.set(5)
    sniffio.current_async_library_cvar.set("another")
    async with open_hall() as hall:
        assert await hall.run(work) == (5, "none")
        assert await hall.run(work) == (5, "none")
        assert SERVED.get() == 5


async def test_the_thread_is_one_of_trios() -> None:
    """It can call back."""
    async with open_hall() as hall:
        assert await hall.run(lambda: trio.from_thread.run_sync(trio.lowlevel.in_trio_run)) is True


async def test_threads_are_no_part_of_a_handlers_work(gate: Gate) -> None:
    """They serve no invocation, though a handler has them started: they keep none alive, and are not blamed on one."""
    async with open_hall() as hall:
        SERVED.set(5)
        hall.start(gate)
        hall.start(lambda: None)
        await gate.wait_entered(1)
        names = [task.name for task in hall.home.child_tasks if task.name == "iii threads"]
        served = [task.context.get(SERVED) for task in hall.home.child_tasks if task.name == "iii threads"]
        assert names
        assert set(served) == {None}
        gate.opened.set()


# ---- more threads ---------------------------------------------------------------------------------------------------


async def test_one_that_waits_holds_up_nobody_for_long(gate: Gate) -> None:
    """Another thread comes, and everything ends when the line is empty."""
    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        assert await hall.run(threading.get_ident) != gate.entered[0]
        gate.opened.set()
        await until(lambda: not [task for task in hall.home.child_tasks if task.name == "iii threads"])
        assert not hall.pool._seats


async def test_one_that_waits_for_long_is_left_alone(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come later have a thread at once, and not again after a while."""
    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        await hall.run(threading.get_ident)
        monkeypatch.setattr(pool_module, "PERIOD", NEVER)
        for _ in range(5):
            assert await hall.run(threading.get_ident) != gate.entered[0]
        gate.opened.set()


async def test_one_that_has_only_begun_is_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the watch comes by."""
    monkeypatch.setattr(pool_module, "PERIOD", 0)
    monkeypatch.setattr(pool_module, "LONG", NEVER)
    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        hall.start(threading.get_ident)
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert hall.results == []
        assert len(hall.pool._seats) == 1
        monkeypatch.setattr(pool_module, "PERIOD", 0.01)
        gate.opened.set()
        await until(lambda: len(hall.results) == 2)
        assert hall.results == gate.entered * 2


@pytest.mark.parametrize("count", [2, 7, 40])
async def test_handlers_that_wait_for_each_other_all_finish(count: int) -> None:
    """However many."""
    barrier = threading.Barrier(count)
    async with open_hall() as hall:
        for _ in range(count):
            hall.start(lambda: barrier.wait(20))
        await until(lambda: len(hall.results) == count)
        assert sorted(hall.results) == [*range(count)]


async def test_a_few_come_at_once(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody having to wait first; the next stands in the line."""
    monkeypatch.setattr(pool_module, "PERIOD", NEVER)
    async with open_hall(FEW) as hall:
        for _ in range(FEW + 3):
            hall.start(gate)
        await gate.wait_entered(FEW)
        await wait_all_tasks_blocked()
        assert len(gate.entered) == FEW
        gate.opened.set()
        await until(lambda: len(hall.results) == FEW + 3)
        assert len(set(hall.results)) <= FEW


async def test_a_thread_that_cannot_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is told, and nobody else is harmed; the next may have more luck."""

    async def fail(*_: object, **__: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("can't start new thread")

    given_up = Owner()
    async with open_hall(FEW) as hall:
        with monkeypatch.context() as patch:
            patch.setattr(trio.to_thread, "run_sync", fail)
            with trio.CancelScope() as scope:
                scope.cancel()
                await hall.run(threading.get_ident, given_up)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="can't start new thread"):
                    await hall.run(threading.get_ident)
        assert await hall.run(lambda: "more luck") == "more luck"
        assert (given_up.never_ran, given_up.released) == (True, 0)


async def test_a_thread_that_cannot_come_where_there_is_another(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody need be told: what waits is done there."""

    async def fail(*_: object, **__: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool_module, "PERIOD", NEVER)
    async with open_hall(2) as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        with monkeypatch.context() as patch:
            patch.setattr(trio.to_thread, "run_sync", fail)
            hall.start(threading.get_ident)
            await wait_all_tasks_blocked()
        gate.opened.set()
        await until(lambda: len(hall.results) == 2)
        assert hall.results == gate.entered * 2


# ---- given up -------------------------------------------------------------------------------------------------------


async def test_who_is_cancelled_in_the_line_never_runs(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its owner knows."""
    monkeypatch.setattr(pool_module, "PERIOD", NEVER)
    owner = Owner()
    ran: list[str] = []
    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        with trio.move_on_after(0) as scope:
            await hall.run(lambda: ran.append("cancelled"), owner)
        assert scope.cancelled_caught
        assert (owner.never_ran, owner.in_thread) == (True, False)
        hall.start(lambda: ran.append("next"))
        await wait_all_tasks_blocked()
        gate.opened.set()
        await until(lambda: len(hall.results) == 2)
        assert ran == ["next"]
        assert owner.released == 0


async def test_a_thread_that_is_given_up_keeps_its_owner_until_it_returns(gate: Gate) -> None:
    """It is told, takes nothing more from the line, and holds up nobody."""
    owner = Owner()
    told: list[bool] = []

    def work() -> None:
        gate()
        try:
            trio.from_thread.check_cancelled()
        except trio.Cancelled:
            told.append(True)

    async with open_hall() as hall, trio.open_nursery() as nursery:
        nursery.start_soon(hall.run, work, owner)
        await gate.wait_entered(1)
        hall.start(threading.get_ident)
        nursery.cancel_scope.cancel()
        await until(lambda: owner.in_thread)
        await until(lambda: len(hall.results) == 1)
        assert await hall.run(threading.get_ident) not in gate.entered
        assert hall.results[0] not in gate.entered
        assert (owner.released, owner.never_ran) == (0, False)
        gate.opened.set()
        await until(lambda: owner.released == 1)
        assert told == [True]
        assert not hall.pool._seats


async def test_a_thread_that_is_given_up_takes_nothing_more(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when it returns before trio has done anything else."""
    left = tell_when_left(monkeypatch)
    monkeypatch.setattr(pool_module, "PERIOD", NEVER)
    async with open_hall() as hall, trio.open_nursery() as nursery:
        nursery.start_soon(hall.run, gate)
        await gate.wait_entered(1)
        hall.nursery.start_soon(hall.run, lambda: ran.append("in a thread that is cancelled"))
        await wait_all_tasks_blocked()
        ran: list[str] = []
        nursery.cancel_scope.cancel()
        gate.opened.set()
        assert left.wait(10)  # trio's own thread stands still meanwhile
        assert ran == []
        hall.nursery.cancel_scope.cancel()


async def test_what_has_returned_is_not_given_up(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation that comes between the thread's end and trio's knowing of it does not lose the result."""
    left = tell_when_left(monkeypatch)
    owner = Owner()
    got: list[int] = []

    async def wait() -> None:
        got.append(await hall.run(gate, owner))

    async with open_hall() as hall, trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await gate.wait_entered(1)
        gate.opened.set()
        assert left.wait(10)  # trio's own thread stands still meanwhile
        nursery.cancel_scope.cancel()
    assert got == gate.entered
    assert (owner.in_thread, owner.never_ran, owner.released) == (False, False, 0)


async def test_nothing_of_the_line_runs_after_the_end(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is left behind ends with its handler."""
    ran: list[str] = []
    left = tell_when_left(monkeypatch)
    async with open_hall() as hall:
        hall.start(gate)
        await gate.wait_entered(1)
        for _ in range(3):
            hall.start(lambda: ran.append("late"))
        hall.home.cancel_scope.cancel()
        hall.nursery.cancel_scope.cancel()
    assert not left.is_set()
    gate.opened.set()
    assert left.wait(10)
    assert ran == []
    assert not hall.pool._seats


async def test_a_handler_that_failed_leaves_no_cycle() -> None:
    """What it held is free when its caller has heard of it."""

    class Held:
        pass

    def fail() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise ValueError

    seen: list[weakref.ref[Held]] = []
    gc.disable()
    try:
        async with open_hall() as hall:
            with suppress(ValueError):
                await hall.run(fail)
            await until(lambda: seen[0]() is None)
    finally:
        gc.enable()


# ---- habits ---------------------------------------------------------------------------------------------------------


def test_a_function_is_quick_until_it_is_known() -> None:
    """One slow handler among many is an exception, and some in a row are a habit; it can change again."""
    habit = Habit()
    assert habit.is_quick
    assert not habit.is_instant
    for _ in range(20):
        habit.note(0)
    assert habit.is_instant
    habit.note(10 * QUICK)
    assert habit.is_quick
    assert not habit.is_instant
    for _ in range(5):
        habit.note(10 * QUICK)
    assert not habit.is_quick
    for _ in range(100):
        habit.note(QUICK / 2)
    assert habit.is_quick
    assert not habit.is_instant


def test_the_documents_have_the_bounds() -> None:
    """As they are."""
    text = (Path(__file__).parents[1] / "docs" / "decisions.md").read_text("utf-8")
    section = " ".join(text[text.index("## Few threads for quick handlers") :].split())
    assert f"less than {QUICK * 1000:g} ms on average" in section
    assert f"below {INSTANT * 1000:g} ms" in section
    assert f"Every {PERIOD * 1000:g} ms" in section
    assert f"runs for more than {LONG * 1000:g} ms" in section
    assert FEW == 5
    assert "five threads" in section
