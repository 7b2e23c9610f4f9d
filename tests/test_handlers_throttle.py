"""Where quick sync handlers wait for one of a few threads. Tasks stand for the threads here, so that time can be mocked."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

import trio
from trio.testing import MockClock, assert_no_checkpoints, wait_all_tasks_blocked

from iii_trio._handlers.throttle import CALM, FEW, QUICK, STALL, Habit, Throttle

SERVED: ContextVar[int] = ContextVar("served")


class Office:
    """Handlers that pass through a throttle, and stay as long as they are told."""

    def __init__(self, home: trio.Nursery) -> None:
        self.home = home
        self.throttle = Throttle()
        self.inside: list[int] = []
        self.entered: list[int] = []

    async def handle(self, number: int, seconds: float) -> None:
        await self.throttle.enter(self.home)
        self.entered.append(number)
        self.inside.append(number)
        try:
            await trio.sleep(seconds)
        finally:
            self.inside.remove(number)
            self.throttle.leave()


async def test_a_few_enter_at_once(autojump_clock: MockClock) -> None:
    """Without so much as a checkpoint; the next waits until one has left."""
    entered = trio.Event()

    async def enter() -> None:
        await throttle.enter(home)
        entered.set()

    async with trio.open_nursery() as home:
        throttle = Throttle()
        with assert_no_checkpoints():
            for _ in range(FEW):
                await throttle.enter(home)
        home.start_soon(enter)
        await wait_all_tasks_blocked()
        assert not entered.is_set()
        throttle.leave()
        await wait_all_tasks_blocked()
        assert entered.is_set()
        home.cancel_scope.cancel()


async def test_quick_ones_share_a_few_places_in_order(autojump_clock: MockClock) -> None:
    """Never more at once while one leaves in time, and whoever came first is first."""
    most = 0
    async with trio.open_nursery() as home:
        office = Office(home)
        for number in range(100):
            home.start_soon(office.handle, number, STALL / 2)
            await trio.lowlevel.checkpoint()
        while home.child_tasks:
            most = max(most, len(office.inside))
            await trio.sleep(STALL / 8)
    assert most == FEW
    # Those that are woken together run in any order, as trio has it.
    assert all(abs(place - number) < FEW for place, number in enumerate(office.entered))
    assert len(office.entered) == 100


async def test_one_more_enters_whenever_nobody_has_left_for_a_while(autojump_clock: MockClock) -> None:
    """What waits for something, perhaps for the one behind it, holds nobody up for long."""
    async with trio.open_nursery() as home:
        office = Office(home)
        for number in range(FEW + 20):
            home.start_soon(office.handle, number, 10)
        await wait_all_tasks_blocked()
        assert len(office.inside) == FEW
        for more in range(1, 21):
            await trio.sleep(STALL)
            await wait_all_tasks_blocked()
            assert FEW + more - 1 <= len(office.inside) <= FEW + more
        await trio.sleep(STALL)
        assert len(office.inside) == FEW + 20


async def test_what_was_let_in_besides_is_taken_back(autojump_clock: MockClock) -> None:
    """One place after some time in which somebody always left, though the line never ends: a pause has no consequences."""
    async with trio.open_nursery() as home:
        office = Office(home)
        for number in range(FEW + 4):
            home.start_soon(office.handle, number, 10 * STALL)
            await wait_all_tasks_blocked()
        for number in range(5000):
            home.start_soon(office.handle, number, STALL / 2)
        await trio.sleep(4.5 * STALL)
        assert len(office.inside) == FEW + 4
        await trio.sleep((20 + 6 * CALM) * STALL)
        await wait_all_tasks_blocked()
        assert len(office.inside) == FEW
        assert len(office.entered) < 5000
        home.cancel_scope.cancel()


async def test_the_watch_ends_when_nobody_waits(autojump_clock: MockClock) -> None:
    """And begins again with the next who does."""
    async with trio.open_nursery() as home:
        office = Office(home)
        for _ in range(2):
            for number in range(FEW + 1):
                home.start_soon(office.handle, number, 1)
            await wait_all_tasks_blocked()
            assert len(office.inside) == FEW
            await trio.sleep(3 * STALL)
            assert len(office.inside) == FEW + 1
            assert {task.name for task in home.child_tasks} == {"tests.test_handlers_throttle.Office.handle"}
            await trio.sleep(2)
            assert not home.child_tasks


async def test_the_watch_is_no_part_of_a_handlers_work(autojump_clock: MockClock) -> None:
    """It serves no invocation, though a handler has it started: it keeps none alive, and is not blamed on one."""
    async with trio.open_nursery() as home:
        office = Office(home)

        async def handle(number: int) -> None:
            SERVED.set(number)
            await office.handle(number, 1)

        for number in range(FEW + 1):
            home.start_soon(handle, number)
        await wait_all_tasks_blocked()
        served = [task.context.get(SERVED) for task in home.child_tasks if task.name == "iii watch over threads"]
        assert served == [None]


async def test_who_is_cancelled_in_the_line_takes_no_place(autojump_clock: MockClock) -> None:
    """Nor does one that is cancelled inside keep it."""
    async with trio.open_nursery() as home:
        office = Office(home)
        async with trio.open_nursery() as nursery:
            for number in range(2 * FEW):
                nursery.start_soon(office.handle, number, 1)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with assert_no_checkpoints():
            for _ in range(FEW):
                await office.throttle.enter(home)
        home.cancel_scope.cancel()


def test_a_function_is_quick_until_it_is_known() -> None:
    """One slow handler among many is an exception, and some in a row are a habit; it can change again."""
    habit = Habit()
    assert habit.is_quick
    habit.note(10 * QUICK)
    assert habit.is_quick
    for _ in range(5):
        habit.note(10 * QUICK)
    assert not habit.is_quick
    for _ in range(100):
        habit.note(QUICK / 10)
    assert habit.is_quick


def test_the_documents_have_the_bounds() -> None:
    """As they are."""
    text = (Path(__file__).parents[1] / "docs" / "decisions.md").read_text("utf-8")
    section = text[text.index("## Few threads for quick handlers") :]
    assert f"less than {QUICK * 1000:g} ms on average" in section
    assert f"none of the five has returned within {STALL * 1000:g} ms" in " ".join(section.split())
    assert f"After {CALM * STALL:g} s in which" in " ".join(section.split())
    assert FEW == 5
