"""Draining: whoever leaves lets the handlers end, and loses nothing that could still be delivered."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from iii_trio import III, DrainReport, InitOptions, InvocationError, connect_iii, open_iii
from iii_trio._wire.messages import InvocationResult, Ping, RegisterFunction, UnregisterFunction
from iii_trio.errors import AuthenticationError, ClientClosed, ConfigurationError, Fate
from iii_trio.testing import EmbeddedEngine
from tests._hostile import Engine as HostileEngine
from tests._hostile import Link as HostileLink
from tests._hostile import Network
from tests.conftest import Gate, Link, MemoryLink, Outcome, frames, start


async def _echo(data: Any) -> Any:
    return data


async def _slow(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


@pytest.fixture
def caller(engine: EmbeddedEngine) -> MemoryLink:
    """The way of another client to the same engine."""
    return Link(engine)


def call(nursery: trio.Nursery, iii: III, function_id: str, payload: Any = None) -> Outcome:
    """A call that waits as long as it takes."""
    return start(nursery, iii.trigger, function_id, payload, timeout_ms=1e9)


# ---- what leaving the block waits for -------------------------------------------------------------------------------


async def test_leaving_the_block_delivers_300_results(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """300 handlers run when the body ends; 300 callers get their result, and the block is left when the last has it."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("slow", _slow).wait_registered()
            calls = [call(nursery, other, "slow", 1 + number / 20) for number in range(300)]
            await wait_all_tasks_blocked()
            assert iii.statistics().running_handlers == 300
        assert trio.current_time() == pytest.approx(15.95)
        assert [await each.wait() for each in calls] == [1 + number / 20 for number in range(300)]
        assert iii.get_connection_state() == "disconnected"


async def test_handlers_that_call_siblings_finish(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """A handler that runs when the drain begins may call functions of its own worker until it ends."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:

            async def chain(depth: int) -> int:
                await trio.sleep(1)
                return 0 if depth == 0 else 1 + int(await iii.trigger("chain", depth - 1))

            await iii.register_function("chain", chain).wait_registered()
            calls = [call(nursery, other, "chain", 5) for _ in range(10)]
            await wait_all_tasks_blocked()
        assert [await each.wait() for each in calls] == [5] * 10
    assert trio.current_time() == pytest.approx(6)


async def test_what_a_handler_leaves_to_a_sibling_is_served(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """A void call that a handler makes with its last words still runs: the withdrawal keeps its order with calls."""
    done = []
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:

            async def work(data: Any) -> None:
                await trio.sleep(1)
                iii.trigger_nowait("later", data)

            async def later(data: Any) -> None:
                await trio.sleep(2)
                done.append(data)

            await iii.register_function("later", later).wait_registered()
            await iii.register_function("work", work).wait_registered()
            answer = call(nursery, other, "work", "x")
            await wait_all_tasks_blocked()
        await answer.wait()
    assert done == ["x"]


async def test_invocations_are_served_until_the_engine_knows(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """While handlers end, others begin; then the functions are gone, and callers are told that nothing ran."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("slow", _slow).wait_registered()
            first = call(nursery, other, "slow", 5)
            await wait_all_tasks_blocked()
            drain = start(nursery, iii.drain)
            await trio.sleep(3)
            second = call(nursery, other, "slow", 10)
            await trio.sleep(3)
            assert frames(link.engine, UnregisterFunction)
            with pytest.raises(InvocationError) as refused:
                await other.trigger("slow", 1)
            assert (refused.value.code, refused.value.fate) == ("function_not_found", Fate.NOT_RUN)
            report: DrainReport = await drain.wait()
        assert (await first.wait(), await second.wait()) == (5, 10)
    assert report == DrainReport(
        finished_handlers=2, cancelled_handlers=(), unsent_calls=0, dropped_results=0, withdrawn=True, seconds=13
    )


async def test_a_drain_longer_than_the_heartbeat_limit_keeps_its_link(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """The engine is pinged until the end, so that neither side takes the other for dead."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=1000, heartbeat_interval=5, heartbeat_timeout=15) as iii:
            await iii.register_function("slow", _slow).wait_registered()
            answer = call(nursery, other, "slow", 300)
            await wait_all_tasks_blocked()
        assert await answer.wait() == 300
        assert iii.statistics().connects == 1
        assert len(frames(link.engine, Ping)) > 50


async def test_calls_are_made_during_a_drain(link: MemoryLink, autojump_clock: MockClock) -> None:
    """By whomever; new functions are refused."""
    gate = Gate()
    async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        await iii.register_function("gate", gate).wait_registered()
        iii.trigger_nowait("gate")
        await gate.wait_entered()
        drain = start(nursery, iii.drain)
        await wait_all_tasks_blocked()
        assert await iii.trigger("echo", 1) == 1
        with pytest.raises(ClientClosed):
            iii.register_function("new", _echo)
        gate.open()
        assert (await drain.wait()).finished_handlers == 2
        with pytest.raises(ClientClosed):
            await iii.trigger("echo", 1)
        with pytest.raises(ClientClosed):
            iii.trigger_nowait("echo", 1)


async def test_a_client_without_handlers_leaves_at_once(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Its functions are withdrawn, and the engine has said so, before the Close."""
    async with link.client(drain_timeout=25) as iii:
        await iii.register_function("echo", _echo).wait_registered()
        with assert_checkpoints():
            report = await iii.drain()
    assert report == DrainReport(
        finished_handlers=0, cancelled_handlers=(), unsent_calls=0, dropped_results=0, withdrawn=True, seconds=0
    )
    assert [frame.id for frame in frames(link.engine, UnregisterFunction)] == ["echo"]
    assert trio.current_time() == 0


# ---- what takes too long --------------------------------------------------------------------------------------------


async def test_the_time_out_cancels_answers_and_reports(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """Handlers that run too long, and invocations that wait for their turn, end with an answer that says why."""
    gate = Gate()
    async with caller.client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("slow", _slow).wait_registered()
            await iii.register_function("gate", gate, concurrency=1).wait_registered()
            answer = call(nursery, other, "slow", 20)
            late = [call(nursery, other, "slow", 26), *(call(nursery, other, "gate") for _ in range(3))]
            await wait_all_tasks_blocked()
            report = await iii.drain()
        assert await answer.wait() == 20
        for each in late:
            with pytest.raises(InvocationError, match=r"shutting down.*25 s"):
                await each.wait()
        errors = [each.error for each in late if isinstance(each.error, InvocationError)]
        ends = Counter((error.code, error.fate) for error in errors)
        # Two of those at the gate never had their turn.
        assert ends == {("invocation_failed", Fate.RAN): 2, ("overloaded", Fate.NOT_RUN): 2}
    assert report is not None
    assert report.finished_handlers == 1
    assert report.cancelled_handlers == ("gate", "gate", "gate", "slow")
    assert (report.dropped_results, report.unsent_calls) == (0, 0)
    assert report.seconds == trio.current_time() == pytest.approx(25)
    assert (gate.entered, gate.inside) == (1, 0)
    statistics = iii.statistics()
    assert (statistics.running_handlers, statistics.pending_invocations, statistics.failed_handlers) == (0, 0, 0)


@pytest.mark.parametrize("timeout", [0, 3, 3.5])
async def test_a_drain_takes_its_own_time_out(link: MemoryLink, autojump_clock: MockClock, timeout: float) -> None:
    """In seconds, in place of the option's."""
    async with link.client(drain_timeout=25) as iii:
        await iii.register_function("slow", _slow).wait_registered()
        iii.trigger_nowait("slow", 100)
        await wait_all_tasks_blocked()
        report = await iii.drain(timeout)
    # The answer of a handler that was cancelled right away is prompt, and sent twice.
    assert trio.current_time() == pytest.approx(timeout, abs=0.03)
    assert report is not None
    assert report.cancelled_handlers == ("slow",)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "3", True, pytest.param(10**400, id="too-large")])
async def test_a_time_out_that_is_none(link: MemoryLink, timeout: Any) -> None:
    """It is refused, and nothing ends."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError):
            await iii.drain(timeout)
        assert iii.get_connection_state() == "connected"


async def test_a_handler_that_will_not_end_is_waited_for_no_longer_than_the_close(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """Its caller hears from the engine; the others have their answers."""

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    client = link.client(drain_timeout=10, close_timeout=5)
    async with caller.client() as other, trio.open_nursery() as nursery, client as iii:
        await iii.register_function("stubborn", stubborn).wait_registered()
        await iii.register_function("slow", _slow).wait_registered()
        calls = [call(nursery, other, "stubborn"), call(nursery, other, "slow", 50)]
        await wait_all_tasks_blocked()
        nursery.start_soon(iii.drain)
        with pytest.raises(InvocationError, match="shutting down"):
            await calls[1].wait()
        assert trio.current_time() == pytest.approx(10)
        with pytest.raises(InvocationError) as caught:
            await calls[0].wait()
        assert caught.value.code == "invocation_stopped"
        assert trio.current_time() <= 20


async def test_a_sync_handler_is_left_behind_and_its_caller_told(link: MemoryLink, caller: MemoryLink) -> None:
    """A thread cannot be cancelled."""
    release = threading.Event()
    entered = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def block() -> None:
        token.run_sync_soon(entered.set)
        release.wait(10)

    try:
        async with caller.client() as other, trio.open_nursery() as nursery:
            async with link.client(drain_timeout=0.01) as iii:
                await iii.register_function("block", block).wait_registered()
                answer = call(nursery, other, "block")
                await entered.wait()
            with pytest.raises(InvocationError, match="shutting down"):
                await answer.wait()
            assert iii.statistics().abandoned_threads == 1
    finally:
        release.set()


async def test_a_second_drain_gets_the_same_report(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It waits for the first; the earlier deadline wins; later ones find it done."""
    async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await iii.register_function("slow", _slow).wait_registered()
        iii.trigger_nowait("slow", 1000)
        await wait_all_tasks_blocked()
        first = start(nursery, iii.drain)
        await trio.sleep(2)
        second = start(nursery, iii.drain, 5)
        third = start(nursery, iii.drain, 500)
        report = await first.wait()
        assert trio.current_time() == pytest.approx(7)
        assert await second.wait() is await third.wait() is await iii.drain() is report
        await iii.shutdown()
        await iii.aclose()
    assert trio.current_time() == pytest.approx(7)


# ---- what cuts it short ---------------------------------------------------------------------------------------------


async def _leave_at(iii: III, seconds: float) -> None:
    await trio.sleep(seconds)
    await iii.aclose()


async def test_aclose_cuts_a_drain_short(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The handlers are cancelled at once; the report says so to whoever drained."""
    gate = Gate()
    async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        iii.trigger_nowait("gate")
        await gate.wait_entered()
        nursery.start_soon(_leave_at, iii, 2)
        report = await iii.drain()
    assert trio.current_time() == 2
    assert gate.inside == 0
    assert report is not None
    assert report.cancelled_handlers == ("gate",)


async def test_a_cancelled_drain_is_a_close(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The one who cancels it does not wait for handlers; the engine still gets a Close, and void calls are sent."""
    gate = Gate()
    async with link.client(drain_timeout=25) as iii:
        await iii.register_function("gate", gate).wait_registered()
        iii.trigger_nowait("gate")
        await gate.wait_entered()
        with trio.move_on_after(3) as scope:
            await iii.drain()
        assert scope.cancelled_caught
        assert trio.current_time() == 3
        assert gate.inside == 0
        assert iii.get_connection_state() == "disconnected"
        assert link.engine.connections == ()


async def test_a_block_that_is_cancelled_while_it_drains(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Cancelling goes before draining: the caller's scope catches it, and takes no longer."""
    gate = Gate()
    with trio.move_on_after(3) as scope:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("gate", gate).wait_registered()
            iii.trigger_nowait("gate")
            await gate.wait_entered()
    assert scope.cancelled_caught
    assert (trio.current_time(), gate.inside) == (3, 0)


@pytest.mark.parametrize("way", ["raises", "cancelled"])
async def test_a_body_that_fails_does_not_drain(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock, way: str
) -> None:
    """Its handlers are cancelled; whoever called them hears it from the engine."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        with pytest.raises(ZeroDivisionError) if way == "raises" else trio.move_on_after(3):
            async with link.client(drain_timeout=25) as iii:
                await iii.register_function("slow", _slow).wait_registered()
                answer = call(nursery, other, "slow", 10)
                await wait_all_tasks_blocked()
                if way == "cancelled":
                    await trio.sleep_forever()
                await trio.sleep(3)
                raise ZeroDivisionError
        assert trio.current_time() == 3
        with pytest.raises(InvocationError) as caught:
            await answer.wait()
        assert caught.value.code == "invocation_stopped"


@pytest.mark.parametrize("way", ["raises", "cancelled", "ends in a cancelled scope"])
async def test_with_drain_on_cancel_it_does(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock, way: str
) -> None:
    """Shielded, and bounded by the drain's time-out; what leaves the block stays the same."""
    async with caller.client() as other, trio.open_nursery() as nursery:
        with pytest.raises(ZeroDivisionError) if way == "raises" else trio.move_on_after(3):
            async with link.client(drain_timeout=25, drain_on_cancel=True) as iii:
                await iii.register_function("slow", _slow).wait_registered()
                answer = call(nursery, other, "slow", 10)
                late = call(nursery, other, "slow", 100)
                await wait_all_tasks_blocked()
                if way == "cancelled":
                    await trio.sleep_forever()
                if way == "raises":
                    await trio.sleep(3)
                    raise ZeroDivisionError
        assert await answer.wait() == 10
        with pytest.raises(InvocationError, match="shutting down"):
            await late.wait()
        assert trio.current_time() == (25 if way == "ends in a cancelled scope" else 28)


async def test_a_cancelled_nursery_drains_its_client(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """`connect_iii` with drain_on_cancel."""
    async with caller.client() as other, trio.open_nursery() as outer:
        async with trio.open_nursery() as nursery:
            options = InitOptions(drain_on_cancel=True)
            iii = await connect_iii(nursery, link.engine.url, options, open_stream=link.open_stream)
            await iii.register_function("slow", _slow).wait_registered()
            answer = call(outer, other, "slow", 10)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await answer.wait() == 10


# ---- engines of another kind ----------------------------------------------------------------------------------------


class SendsAfterItsPong(HostileEngine):
    """Sends one more invocation behind the pong that said there would be none, as a busy engine may."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self.delay = delay

    async def answer(self, link: HostileLink, frame: dict[str, Any]) -> None:
        await super().answer(link, frame)
        if frame["type"] == "ping" and any(each["type"] == "unregisterfunction" for each in link.frames):
            await trio.sleep(self.delay)
            await link.send(type="invokefunction", function_id="slow", data=1, invocation_id="late")


async def test_second_sendings_go_out_before_the_close(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """A result that may have come too early is sent again even when it is the last thing a client does."""
    async with caller.client() as other:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("echo", _echo).wait_registered()
            assert await other.trigger("echo", 1) == 1
        assert len(frames(link.engine, InvocationResult, function_id="echo")) == 2
        assert iii.statistics().healed_results == 1


@pytest.mark.parametrize("delay", [0, 2])
async def test_what_comes_behind_the_proof_is_served_until_the_close(
    nursery: trio.Nursery, autojump_clock: MockClock, delay: float
) -> None:
    """As long as another handler keeps the link open; its result goes out before the Close."""
    engine = SendsAfterItsPong(delay)
    network = Network(nursery, engine)
    async with open_iii("ws://engine.invalid", open_stream=network.open_stream) as iii:
        iii.register_function("slow", _slow)
        await engine.link.send(type="invokefunction", function_id="slow", data=5, invocation_id="first")
        await wait_all_tasks_blocked()
        drain = start(nursery, iii.drain)
        await trio.sleep(3)
        await engine.link.send(type="invokefunction", function_id="slow", data=5, invocation_id="second")
        report: DrainReport = await drain.wait()
    assert report.finished_handlers == 3
    answers = {frame["invocation_id"]: frame["result"] for frame in engine.link.frames if "result" in frame}
    assert answers == {"first": 5, "second": 5, "late": 1}


async def test_what_comes_when_all_is_done_is_refused(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Nothing of it runs, and the engine is told so if there is time."""
    engine = SendsAfterItsPong(0)
    network = Network(nursery, engine)
    async with open_iii("ws://engine.invalid", open_stream=network.open_stream) as iii:
        iii.register_function("slow", _slow)
        report = await iii.drain()
    assert report is not None
    assert report.withdrawn
    errors = [frame["error"]["code"] for frame in engine.link.frames if frame["type"] == "invocationresult"]
    assert set(errors) <= {"function_not_found"}
    assert trio.current_time() < 1


class NeverProves(HostileEngine):
    """Answers no ping once functions are withdrawn."""

    async def answer(self, link: HostileLink, frame: dict[str, Any]) -> None:
        if frame["type"] != "ping" or all(each["type"] != "unregisterfunction" for each in link.frames):
            await super().answer(link, frame)


async def test_an_engine_that_confirms_nothing_is_waited_for_no_longer_than_handlers(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The time-out of the drain covers the proof too."""
    network = Network(nursery, NeverProves())
    async with open_iii("ws://engine.invalid", open_stream=network.open_stream) as iii:
        iii.register_function("slow", _slow)
        report = await iii.drain()
    assert report is not None
    assert not report.withdrawn
    assert report.seconds == trio.current_time() == pytest.approx(25)


# ---- in a handler ---------------------------------------------------------------------------------------------------


async def test_a_drain_in_a_handler_only_sets_it_going(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """It gets no report, ends as it likes, and is answered; then the client ends."""
    async with caller.client() as other, link.client(drain_timeout=25) as iii:

        async def stop() -> str:
            assert await iii.drain() is None
            await trio.sleep(2)
            return "bye"

        await iii.register_function("stop", stop).wait_registered()
        assert await other.trigger("stop") == "bye"
        report = await iii.drain()
        assert report is not None
        assert (report.finished_handlers, report.cancelled_handlers) == (1, ())
    assert trio.current_time() == 2


# ---- without a connection -------------------------------------------------------------------------------------------


async def test_offline_the_drain_waits_for_handlers_only(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What cannot be sent is counted; nobody is waited for who is not there."""
    async with link.client(drain_timeout=25) as iii:
        await iii.register_function("slow", _slow).wait_registered()
        iii.trigger_nowait("slow", 2)
        await wait_all_tasks_blocked()
        await link.go_down()
        iii.trigger_nowait("void")
        report = await iii.drain()
    assert report == DrainReport(
        finished_handlers=1, cancelled_handlers=(), unsent_calls=1, dropped_results=1, withdrawn=False, seconds=2
    )


async def test_a_link_that_is_lost_under_the_withdrawal_is_not_waited_for(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The engine has forgotten the functions with the connection; on the next one they are not offered."""
    gate = Gate()
    async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        link.wire.stall()
        drain = start(nursery, iii.drain)
        await trio.sleep(5)
        link.wire.cut()
        report: DrainReport = await drain.wait()
    assert not report.withdrawn
    assert trio.current_time() == 5


async def test_a_link_that_is_lost_while_handlers_run_comes_back(
    link: MemoryLink, caller: MemoryLink, autojump_clock: MockClock
) -> None:
    """A drain goes on over a lost link: functions are replayed while handlers may need them, and then withdrawn."""
    async with caller.client() as other, link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        await iii.register_function("slow", _slow).wait_registered()
        other.trigger_nowait("slow", 20)
        await wait_all_tasks_blocked()
        drain = start(nursery, iii.drain)
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        assert await other.trigger("echo", 1) == 1
        assert [frame.id for frame in frames(link.engine, RegisterFunction)] == ["echo", "slow"] * 2
        assert (await drain.wait()).withdrawn
        assert not frames(link.engine, InvocationResult, function_id="slow")


async def test_a_wait_for_a_registration_ends_with_the_drain(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Offline no verdict comes; the client's end is what it hears."""
    async with link.client(drain_timeout=25) as iii, trio.open_nursery() as nursery:
        await link.go_down()
        wait = start(nursery, iii.register_function("echo", _echo).wait_registered)
        await wait_all_tasks_blocked()
        await iii.drain()
        with pytest.raises(ClientClosed):
            await wait.wait()


async def test_a_client_that_fails_has_a_report_too(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Draining cannot help it; the error leaves the block."""
    reports: list[DrainReport | None] = []
    gate = Gate()
    with pytest.raises(AuthenticationError):  # noqa: PT012 - it comes out of the block
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("gate", gate).wait_registered()
            iii.trigger_nowait("gate")
            await gate.wait_entered()
            link.engine.refuse_logins("begone")
            await link.go_down()
            link.is_up = True
            reports.append(await iii.drain())
    reports.append(await iii.drain())
    assert {report.cancelled_handlers for report in reports if report is not None} == {("gate",)}
    assert gate.inside == 0


def test_a_report_is_frozen() -> None:
    """It says what was."""
    fields = {field.name: 0 for field in attrs.fields(DrainReport)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        DrainReport(**fields).seconds = 1  # type: ignore[arg-type, misc]
