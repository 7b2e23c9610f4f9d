"""Cancel scopes that handlers share when their callers stop waiting at about the same time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio import III, InvocationError, current_invocation
from iii_trio._handlers.patience import COARSENESS, LEAST, MOST, SharedScopes
from iii_trio._session.deadlines import DEADLINE_KEY
from iii_trio._wire.messages import InvocationResult
from iii_trio.errors import InvocationTimeout
from tests.conftest import Gate, MemoryLink, Outcome, frames, start

LONG = 30_000
"""Milliseconds that a caller waits, within the bounds of what is shared."""


async def _open(iii: III) -> None:
    """Have the nursery of callers that wait so long from now on opened, which the first of them does."""
    iii.register_function("first", trio.lowlevel.checkpoint)
    await iii.trigger("first", timeout_ms=LONG)


def _is_shared() -> bool:
    """Whether the running handler is in a nursery with others of its patience."""
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    return nursery.cancel_scope.deadline != float("inf")


# ---- where a handler runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "is_shared"),
    [(LEAST - 0.001, False), (LEAST, True), (30.0, True), (MOST, True), (MOST + 0.001, False), (float("inf"), False)],
)
async def test_only_waits_of_some_length_are_shared(wait: float, is_shared: bool, autojump_clock: MockClock) -> None:
    """A short one deserves to be exact, and a long one would keep its nursery for too long."""
    scopes = SharedScopes()
    async with trio.open_nursery() as home:
        assert scopes.find(home, wait, trio.current_time() + wait) is None
        await wait_all_tasks_blocked()
        found = scopes.find(home, wait, trio.current_time() + wait)
        assert (found is not None) is is_shared
        home.cancel_scope.cancel()


async def test_the_scope_ends_after_the_deadline_and_soon(autojump_clock: MockClock) -> None:
    """Never before it, and late by less than the coarseness."""
    scopes = SharedScopes()
    async with trio.open_nursery() as home:
        for number in range(40):
            deadline = trio.current_time() + 10
            scopes.find(home, 10, deadline)
            await wait_all_tasks_blocked()
            found = scopes.find(home, 10, deadline)
            assert found is not None, number
            assert 0 <= found.cancel_scope.deadline - deadline < COARSENESS + 1e-6
            await trio.sleep(0.0173)
        home.cancel_scope.cancel()


async def test_a_nursery_is_forgotten_when_it_is_over(autojump_clock: MockClock) -> None:
    """There is one for each tenth of a second in which somebody called, until its time has come."""
    scopes = SharedScopes()
    async with trio.open_nursery() as home:
        for _ in range(10):
            scopes.find(home, 10, trio.current_time() + 10)
            await trio.sleep(COARSENESS)
        assert len(home.child_tasks) == 10
        await trio.sleep(11)
        assert not home.child_tasks
        assert scopes.find(home, 10, trio.current_time() + 10) is None
        await wait_all_tasks_blocked()
        assert len(home.child_tasks) == 1
        home.cancel_scope.cancel()


async def test_nobody_is_sent_to_a_nursery_that_closes(autojump_clock: MockClock) -> None:
    """Until the last handler has ended invocations may come, as when Ctrl-C cancels handlers first."""
    scopes = SharedScopes()
    async with trio.open_nursery() as home:
        deadline = trio.current_time() + 10
        scopes.find(home, 10, deadline)
        await wait_all_tasks_blocked()
        assert scopes.find(home, 10, deadline) is not None
        home.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for _ in range(10):
                await trio.lowlevel.checkpoint()
                (scopes.find(home, 10, deadline) or home).start_soon(trio.lowlevel.checkpoint)


async def test_who_sets_no_deadline_shares_nothing(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And whose function has a time-out of its own has a scope of its own."""

    async def handler() -> bool:
        return _is_shared()

    async with link.client() as iii:
        iii.register_function("f", handler)
        iii.register_function("with time-out", handler, timeout=60)
        await _open(iii)
        assert await iii.trigger("f") is False
        assert await iii.trigger("with time-out", timeout_ms=LONG) is False
        assert await iii.trigger("f", timeout_ms=LONG) is True


# ---- what becomes of a handler that is late -------------------------------------------------------------------------


async def _late(call: Outcome) -> None:
    with pytest.raises(InvocationTimeout):
        await call.wait()


async def test_a_late_handler_is_cancelled_and_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It learns that it was a deadline, and has had the exact one all the time."""
    seen: list[tuple[bool, str, float]] = []

    async def handler() -> None:
        invocation = current_invocation()
        assert invocation is not None
        assert invocation.deadline is not None
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            seen.append((_is_shared(), cancelled.source, trio.current_time() - invocation.deadline))
            raise

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler)
        await _open(iii)
        calls = [start(nursery, iii.trigger, "f", timeout_ms=LONG) for _ in range(5)]
        for call in calls:
            await _late(call)
        await trio.sleep(COARSENESS)
        assert iii.statistics().timed_out_handlers == 5
        assert iii.statistics().running_handlers == 0
    assert {(is_shared, source) for is_shared, source, _ in seen} == {(True, "deadline")}
    assert all(0 <= late < COARSENESS + 1e-6 for _, _, late in seen)


async def test_a_late_one_waits_no_longer_for_its_turn(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What its handler was to do is not done for nobody."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", gate, concurrency=1)
        await _open(iii)
        running = start(nursery, iii.trigger, "f", 1, timeout_ms=2 * LONG)
        await gate.wait_entered()
        await _late(start(nursery, iii.trigger, "f", 2, timeout_ms=LONG))
        await trio.sleep(COARSENESS)
        statistics = iii.statistics()
        assert (statistics.pending_invocations, statistics.timed_out_handlers) == (0, 1)
        gate.open()
        assert await running.wait() == 1


async def test_late_answers_are_sent_when_the_engine_takes_them(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Though there was no room for them when the scope ended: an engine that hears nothing remembers the call for good."""
    async with link.client(max_outbox_frames=1, heartbeat_interval=1000, heartbeat_timeout=2000) as iii:
        await iii.register_function("f", trio.sleep_forever).wait_registered()
        await _open(iii)
        link.wire.stall()
        ids = [f"7d0f5b5e-0b6f-4a55-8a58-{number:012}" for number in range(5)]
        for invocation_id in ids:
            link.say(
                type="invokefunction",
                invocation_id=invocation_id,
                function_id="f",
                data=None,
                metadata={DEADLINE_KEY: LONG},
            )
        await trio.sleep(LONG / 1000 + 1)
        assert iii.statistics().running_handlers == 0
        link.wire.flow()
        await wait_all_tasks_blocked()
        assert iii.statistics().dropped_results == 0
    assert {*ids} <= {answer.invocation_id for answer in frames(link.engine, InvocationResult)}


async def test_a_late_handler_may_still_answer(link: MemoryLink, autojump_clock: MockClock) -> None:
    """One that catches the cancellation has a result, though nobody waits for it; it has not timed out."""

    async def handler() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "all the same"

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler)
        await _open(iii)
        await _late(start(nursery, iii.trigger, "f", timeout_ms=LONG))
        await trio.sleep(COARSENESS)
        assert iii.statistics().timed_out_handlers == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_a_late_handler_with_a_nursery(
    link: MemoryLink, autojump_clock: MockClock, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong while it is cancelled is a failure of its own, as in a scope of its own."""

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            if fails:
                raise ValueError("in the clean-up")

    async def handler() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler)
        await _open(iii)
        await _late(start(nursery, iii.trigger, "f", timeout_ms=LONG))
        await trio.sleep(COARSENESS)
        statistics = iii.statistics()
        assert (statistics.timed_out_handlers, statistics.failed_handlers) == ((0, 1) if fails else (1, 0))
    assert ("in the clean-up" in caplog.text) is fails


async def test_those_who_share_do_not_hear_of_each_other(link: MemoryLink, autojump_clock: MockClock) -> None:
    """One that fails takes nobody along."""

    async def fail() -> None:
        raise ValueError("mine")

    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("fail", fail)
        iii.register_function("f", gate)
        await _open(iii)
        call = start(nursery, iii.trigger, "f", 1, timeout_ms=LONG)
        await gate.wait_entered()
        with pytest.raises(InvocationError, match="mine"):
            await iii.trigger("fail", timeout_ms=LONG)
        gate.open()
        assert await call.wait() == 1


async def test_the_end_of_the_client_is_not_taken_for_a_deadline(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The caller is told what any other is."""
    told: list[Any] = []

    async def call(iii: III) -> None:
        with pytest.raises(InvocationError) as caught:
            await iii.trigger("f", timeout_ms=LONG)
        told.append(caught.value)

    gate = Gate()
    async with link.client() as caller, trio.open_nursery() as nursery, link.client(drain_timeout=1) as iii:
        iii.register_function("f", gate)
        await _open(iii)
        nursery.start_soon(call, caller)
        await gate.wait_entered()
    (error,) = told
    assert "shutting down" in error.message
    assert not isinstance(error, InvocationTimeout)
