"""Cancelling at every moment: whatever the client, its link and the engine are at, nothing stays behind.

Second sendings of answers are off: they come by the clock, and here moments are counted in steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, TriggerAction
from iii_trio._wire.messages import InvokeFunction
from iii_trio.testing import open_engine
from tests.conftest import Gate, Link, MemoryLink, frames


class CancelsAfter(trio.abc.Instrument):
    """Cancels a scope once so many steps of any tasks were made."""

    def __init__(self, steps: int, scope: trio.CancelScope) -> None:
        self._left = steps
        self._scope = scope

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left <= 0:
            self._scope.cancel()


@contextmanager
def cancelled_after(steps: int) -> Iterator[trio.CancelScope]:
    with trio.CancelScope() as scope:
        instrument = CancelsAfter(steps, scope)
        if steps == 0:
            scope.cancel()
        trio.lowlevel.add_instrument(instrument)
        try:
            yield scope
        finally:
            trio.lowlevel.remove_instrument(instrument)


async def _sweep(run: Callable[[int], Awaitable[bool]]) -> int:
    """Call `run` with 0, 1, 2 … steps until it is no longer cancelled; returns how many moments that were."""
    for steps in itertools.count():
        if not await run(steps):
            return steps
        assert steps < 1_000
    raise AssertionError


async def _check_clean(iii: III) -> None:
    await trio.testing.wait_all_tasks_blocked()
    statistics = iii.statistics()
    assert (statistics.calls_in_flight, statistics.outbox_frames, statistics.outbox_bytes) == (0, 0, 0)
    assert statistics.state == "connected"
    assert await iii.trigger("echo", "later") == "later"


async def _echo(data: Any) -> Any:
    return data


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(None, id="call"),
        pytest.param(TriggerAction.Void(), id="void"),
        pytest.param(TriggerAction.Enqueue(queue="q"), id="enqueue"),
    ],
)
async def test_a_call_can_be_cancelled_at_every_moment(link: MemoryLink, action: Any) -> None:
    """No entry, no frame; later calls work, and each sent call's late answer is dropped by its id and counted."""
    async with link.client(heal_early_results=False) as iii:
        await iii.register_function("echo", _echo).wait_registered()
        await iii.register_function("engine::queue::enqueue", _echo, force=True).wait_registered()

        async def run(steps: int) -> bool:
            with cancelled_after(steps) as scope:
                await iii.trigger("echo", steps, action=action)
            await _check_clean(iii)
            return scope.cancelled_caught

        moments = await _sweep(run)
        assert moments >= 1
        sent = [frame for frame in frames(link.engine, InvokeFunction, function_id="echo") if frame.data != "later"]
        statistics = iii.statistics()
        if action is None:
            assert moments > 10
            assert statistics.unknown_results == len(sent) - 1
            assert 0 < statistics.unknown_results < moments
        assert statistics.unexpected_frames == 0


async def test_a_wait_for_room_can_be_cancelled_at_every_moment(link: MemoryLink) -> None:
    """Also at the moment at which there is room."""
    async with link.client(max_outbox_frames=1, heal_early_results=False) as iii:
        await iii.register_function("echo", _echo).wait_registered()

        async def run(steps: int) -> bool:
            link.wire.stall()
            iii.trigger_nowait("in-the-socket")
            await trio.testing.wait_all_tasks_blocked()
            iii.trigger_nowait("queued")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flow)
                with cancelled_after(steps) as scope:
                    await iii.trigger("echo", steps)
            await _check_clean(iii)
            return scope.cancelled_caught

        async def flow() -> None:
            await trio.testing.wait_all_tasks_blocked()
            link.wire.flow()

        assert await _sweep(run) > 10


async def test_a_drain_can_be_cancelled_at_every_moment(link: MemoryLink, autojump_clock: MockClock) -> None:
    """However far it was: the client is closed, no handler runs, the engine has had its goodbye, and nobody hangs."""

    async def run(steps: int) -> bool:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("slow", trio.sleep).wait_registered()
            iii.trigger_nowait("slow", 1)
            await trio.testing.wait_all_tasks_blocked()
            with cancelled_after(steps) as scope:
                await iii.drain()
            statistics = iii.statistics()
            assert (statistics.state, statistics.running_handlers) == ("disconnected", 0)
            assert statistics.outbox_frames == 0
            await trio.testing.wait_all_tasks_blocked()
            assert link.engine.connections == ()
        return scope.cancelled_caught

    assert await _sweep(run) > 10


async def test_a_drain_can_be_cut_short_at_every_moment(link: MemoryLink, autojump_clock: MockClock) -> None:
    """By `aclose` in another task; whoever drains gets the report all the same."""

    async def run(steps: int) -> bool:
        was_cut = False
        async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
            await iii.register_function("slow", trio.sleep).wait_registered()
            iii.trigger_nowait("slow", 1)
            await trio.testing.wait_all_tasks_blocked()

            async def cut() -> None:
                nonlocal was_cut
                with cancelled_after(steps):
                    await trio.sleep_forever()
                was_cut = True
                await iii.aclose()

            nursery.start_soon(cut)
            report = await iii.drain()
            assert report is not None
            assert report.finished_handlers + len(report.cancelled_handlers) == 1
            nursery.cancel_scope.cancel()
        return was_cut

    assert await _sweep(run) > 10


async def test_wait_registered_can_be_cancelled_at_every_moment(link: MemoryLink) -> None:
    """The registration stays as it is: waiting again ends, and the function answers."""
    async with link.client(heal_early_results=False) as iii:
        await iii.register_function("echo", _echo).wait_registered()

        async def run(steps: int) -> bool:
            ref = iii.register_function("f", _echo)
            with cancelled_after(steps) as scope:
                await ref.wait_registered()
            await ref.wait_registered()
            assert await iii.trigger("f", steps) == steps
            ref.unregister()
            await _check_clean(iii)
            return scope.cancelled_caught

        assert await _sweep(run) > 3


async def test_one_of_two_waits_for_a_registration_can_be_cancelled(link: MemoryLink) -> None:
    """The other one ends as if nothing had happened."""
    async with link.client(heal_early_results=False) as iii:
        await iii.register_function("echo", _echo).wait_registered()

        async def run(steps: int) -> bool:
            ref = iii.register_function("f", _echo)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ref.wait_registered)
                with cancelled_after(steps) as scope:
                    await ref.wait_registered()
            ref.unregister()
            await _check_clean(iii)
            return scope.cancelled_caught

        assert await _sweep(run) > 3


async def test_wait_connected_can_be_cancelled_at_every_moment(link: MemoryLink, autojump_clock: MockClock) -> None:
    """During a reconnect, whose progress it does not disturb."""
    async with link.client(heal_early_results=False) as iii:
        await iii.register_function("echo", _echo).wait_registered()

        async def run(steps: int) -> bool:
            await link.go_down()
            link.is_up = True
            with cancelled_after(steps) as scope:
                await iii.wait_connected()
            await iii.wait_connected()
            await _check_clean(iii)
            return scope.cancelled_caught

        assert await _sweep(run) > 10


async def test_leaving_can_be_cancelled_at_every_moment() -> None:
    """The client is gone all the same, and so is its worker at the engine."""

    async def run(steps: int) -> bool:
        async with open_engine() as engine:
            link = Link(engine)
            gate = Gate()
            scope = trio.CancelScope()
            instrument = CancelsAfter(steps, scope)
            clients: list[III] = []
            with scope:
                async with link.client(worker_name="leaver") as iii:
                    clients.append(iii)
                    await iii.register_function("gate", gate).wait_registered()
                    iii.trigger_nowait("gate")
                    await gate.wait_entered()
                    trio.lowlevel.add_instrument(instrument)
                    await iii.aclose()
            trio.lowlevel.remove_instrument(instrument)
            assert clients[0].get_connection_state() == "disconnected"
            assert gate.inside == 0
            await trio.testing.wait_all_tasks_blocked()
            assert engine.connections == ()
            return scope.cancelled_caught

    assert await _sweep(run) > 10
