"""What docs/messages.md says of a message and no other test holds: what is lost, what is not sent twice, who is told."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import EnqueueResult, TriggerAction, open_iii
from iii_trio.errors import ClientClosed, ConnectionLost, Fate, InvocationError
from iii_trio.testing import open_engine
from iii_trio.testing.frames import InvocationResult, InvokeFunction
from tests.conftest import Gate, Link, MemoryLink, frames, start
from tests.test_client_signals import LIMIT, running


async def _echo(data: Any) -> Any:
    return data


async def test_a_void_call_that_was_handed_over_is_not_sent_again(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Whether it arrived is known to nobody: it is lost or delivered, never twice, and no counter guesses which."""
    async with link.client() as iii:
        await iii.register_function("echo", _echo).wait_registered()
        link.wire.stall()
        iii.trigger_nowait("echo", "handed over")
        await trio.testing.wait_all_tasks_blocked()
        iii.trigger_nowait("echo", "waits")
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        await trio.testing.wait_all_tasks_blocked()
        assert [frame.data for frame in frames(link.engine, InvokeFunction, function_id="echo")] == ["waits"]
        assert iii.statistics().unsent_calls == 0


async def test_enqueued_work_whose_receipt_was_lost_may_be_in_the_queue(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The call for the receipt is a call as any: it is not made again unless it says that this does no harm."""
    gate = Gate()
    far = Link(link.engine)
    enqueue = TriggerAction.Enqueue(queue="out")
    async with far.client() as provider, link.client() as iii, trio.open_nursery() as nursery:
        await provider.register_function("engine::queue::enqueue", gate, force=True).wait_registered()
        once = start(nursery, iii.trigger, "mail", 1, action=enqueue)
        again = start(nursery, iii.trigger, "mail", 2, action=enqueue, idempotent=True)
        await gate.wait_entered(2)
        await link.go_down()
        with pytest.raises(ConnectionLost) as caught:
            await once.wait()
        assert caught.value.fate is Fate.MAY_HAVE_RUN
        link.is_up = True
        gate.open()
        assert isinstance(await again.wait(), EnqueueResult)
        assert gate.entered == 3


async def test_an_answer_over_the_limit_costs_all_calls_their_link(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It cannot be skipped in a WebSocket; the limit is a client's own, and the next connection is as good as the last."""
    gate = Gate()
    far = Link(link.engine)

    async def large() -> str:
        return "x" * 20_000

    async with far.client() as worker, link.client(max_message_size=10_000) as iii, trio.open_nursery() as nursery:
        await worker.register_function("gate", gate).wait_registered()
        await worker.register_function("large", large).wait_registered()
        calls = [start(nursery, iii.trigger, "gate", number) for number in range(3)]
        await gate.wait_entered(3)
        calls.append(start(nursery, iii.trigger, "large"))
        for call in calls:
            with pytest.raises(ConnectionLost, match="more than 10000 bytes") as caught:
                await call.wait()
            assert caught.value.fate is Fate.MAY_HAVE_RUN
        gate.open()
        assert await iii.trigger("gate", 4) == 4


async def test_a_handler_whose_caller_is_gone_runs_to_its_end(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The engine tells it nothing and takes its result, which goes nowhere; its worker has nothing to count."""
    gate = Gate()
    far = Link(link.engine)
    async with link.client() as worker:
        await worker.register_function("gate", gate).wait_registered()
        async with far.client() as caller, trio.open_nursery() as nursery:
            call = start(nursery, caller.trigger, "gate", 1)
            await gate.wait_entered()
            await far.go_down()
            with pytest.raises(ConnectionLost):
                await call.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert gate.inside == 1
        gate.open()
        await worker.drain()
        assert {frame.result for frame in frames(link.engine, InvocationResult, function_id="gate")} == {1}
        statistics = worker.statistics()
        assert (statistics.dropped_results, statistics.failed_handlers, statistics.lost_calls) == (0, 0, 0)


async def test_a_call_that_is_left_when_the_handlers_have_ended_ends_with_the_drain(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """A drain waits for handlers, and for no call of somebody else: that would be the caller's to wait for."""
    ours, theirs = Gate(), Gate()
    far = Link(link.engine)
    async with far.client() as other, link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await other.register_function("theirs", theirs).wait_registered()
        await iii.register_function("ours", ours).wait_registered()
        iii.trigger_nowait("ours")
        call = start(nursery, iii.trigger, "theirs")
        await ours.wait_entered()
        await theirs.wait_entered()
        drain = start(nursery, iii.drain)
        await trio.sleep(5)
        assert not call.done.is_set()
        ours.open()
        await drain.wait()
        with pytest.raises(ClientClosed) as caught:
            await call.wait()
        assert (caught.value.code, caught.value.fate) == ("SHUTDOWN", Fate.MAY_HAVE_RUN)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
async def test_a_worker_that_is_killed_is_told_to_its_callers_at_once() -> None:
    """They may have run, and no time-out is waited for; an idempotent one is made again, and finds nobody."""
    with trio.fail_after(3 * LIMIT):
        async with (
            open_engine(port=0) as engine,
            running(engine.url, 300) as worker,
            open_iii(engine.url) as iii,
            trio.open_nursery() as nursery,
        ):
            before = len(frames(engine, InvokeFunction))
            calls = [start(nursery, iii.trigger, "work", number) for number in range(20)]
            again = start(nursery, iii.trigger, "work", idempotent=True)
            await engine.wait_received(before + 21, InvokeFunction)
            worker.process.send_signal(signal.SIGKILL)
            for call in calls:
                with pytest.raises(ConnectionLost) as caught:
                    await call.wait()
                assert (caught.value.code, caught.value.fate) == ("invocation_stopped", Fate.MAY_HAVE_RUN)
            with pytest.raises(InvocationError) as refused:
                await again.wait()
            assert (refused.value.code, refused.value.fate) == ("function_not_found", Fate.NOT_RUN)
            assert iii.statistics().retried_calls == 1
