"""What becomes of handlers whose connection is lost: `on_connection_lost`, and `Invocation.abandoned`."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, Invocation, InvocationError, TriggerAction, current_invocation
from iii_trio._wire.messages import InvocationResult, InvokeFunction
from iii_trio.errors import ConfigurationError, ConnectionLost
from iii_trio.testing import EmbeddedEngine
from tests.conftest import Gate, Link, MemoryLink, frames, start
from tests.interop.engines import until


@attrs.define(eq=False)
class Witness:
    """A handler that works until it is told to end, and remembers how it was cancelled, if it was."""

    invocations: list[Invocation] = attrs.field(factory=list)
    cancelled: list[trio.Cancelled] = attrs.field(factory=list)
    finished: int = 0
    go: trio.Event = attrs.field(factory=trio.Event)

    async def __call__(self) -> str:
        invocation = current_invocation()
        assert invocation is not None
        self.invocations.append(invocation)
        try:
            await self.go.wait()
        except trio.Cancelled as cancelled:
            self.cancelled.append(cancelled)
            raise
        self.finished += 1
        return "finished"


async def _come_back(link: Link[EmbeddedEngine], iii: III) -> None:
    await link.go_down()
    link.is_up = True
    await iii.wait_connected()


_FINISH: list[Any] = [pytest.param({}, id="default"), pytest.param({"on_connection_lost": "finish"}, id="finish")]
_LOSSES: list[Any] = [pytest.param(True, id="and-back"), pytest.param(False, id="and-offline")]


# ---- finish ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keywords", _FINISH)
@pytest.mark.parametrize("action", [None, TriggerAction.Void()], ids=["call", "void"])
async def test_a_handler_outlives_its_connection(
    link: MemoryLink, engine: EmbeddedEngine, keywords: dict[str, Any], action: Any, autojump_clock: MockClock
) -> None:
    """It works to its end; the engine hears no result, of which one is counted, since a void call looks like any other."""
    witness, far = Witness(), Link(engine)
    async with far.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await worker.register_function("f", witness, **keywords).wait_registered()
        start(nursery, iii.trigger, "f", action=action)
        await trio.testing.wait_all_tasks_blocked()
        await _come_back(far, worker)
        witness.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (witness.finished, witness.cancelled) == (1, [])
        statistics = worker.statistics()
        assert (statistics.dropped_results, statistics.cancelled_handlers) == (1, 0)
        assert frames(engine, InvocationResult, function_id="f") == []


async def test_what_waits_for_its_turn_has_it_after_the_loss_too(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It was accepted, and exists nowhere else."""
    witness = Witness()
    async with link.client() as iii:
        await iii.register_function("f", witness, concurrency=1).wait_registered()
        for _ in range(3):
            iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        witness.go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (witness.finished, iii.statistics().dropped_results) == (3, 3)


# ---- cancel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", _LOSSES)
@pytest.mark.parametrize("action", [None, TriggerAction.Void()], ids=["call", "void"])
async def test_a_handler_that_wants_so_is_cancelled_with_its_connection(
    link: MemoryLink, engine: EmbeddedEngine, back: bool, action: Any, autojump_clock: MockClock
) -> None:
    """At once and with a reason, whether there is a next connection or not; nothing is answered and nothing dropped."""
    witness, far = Witness(), Link(engine)
    async with far.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await worker.register_function("f", witness, on_connection_lost="cancel").wait_registered()
        call = start(nursery, iii.trigger, "f", action=action)
        await trio.testing.wait_all_tasks_blocked()
        await far.go_down()
        (cancelled,) = witness.cancelled
        assert cancelled.reason == "the connection of its invocation is gone: the connection broke (the link was cut)"
        if back:
            far.is_up = True
            await worker.wait_connected()
        await trio.testing.wait_all_tasks_blocked()
        statistics = worker.statistics()
        assert (statistics.cancelled_handlers, statistics.running_handlers) == (1, 0)
        assert (statistics.dropped_results, statistics.failed_handlers, statistics.timed_out_handlers) == (0, 0, 0)
        assert frames(engine, InvocationResult, function_id="f") == []
        if action is None:
            with pytest.raises(ConnectionLost, match="invocation_stopped"):
                await call.wait()


async def test_the_decorator_takes_it_too(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And hands it on."""
    witness = Witness()
    async with link.client() as iii:
        await iii.function("f", on_connection_lost="cancel")(witness).wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        assert len(witness.cancelled) == 1


async def test_each_function_says_it_for_itself(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And only handlers of the lost connection are concerned: those of the next one live."""
    mortal, enduring = Witness(), Witness()
    async with link.client() as iii:
        await iii.register_function("mortal", mortal, on_connection_lost="cancel").wait_registered()
        await iii.register_function("enduring", enduring).wait_registered()
        for function_id in ("mortal", "mortal", "enduring"):
            iii.trigger_nowait(function_id)
        await trio.testing.wait_all_tasks_blocked()
        await _come_back(link, iii)
        iii.trigger_nowait("mortal")
        await trio.testing.wait_all_tasks_blocked()
        assert (len(mortal.cancelled), len(enduring.cancelled)) == (2, 0)
        assert iii.statistics().running_handlers == 2
        await _come_back(link, iii)
        assert (len(mortal.cancelled), len(enduring.cancelled)) == (3, 0)
        assert iii.statistics().cancelled_handlers == 3


async def test_what_waits_for_its_turn_never_begins(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is cancelled where it waits, and its place is free for those that come after the loss."""
    witness = Witness()
    async with link.client(max_pending_invocations=2) as iii:
        await iii.register_function("f", witness, concurrency=1, on_connection_lost="cancel").wait_registered()
        for _ in range(3):
            iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().pending_invocations == 2
        await _come_back(link, iii)
        statistics = iii.statistics()
        assert (len(witness.invocations), statistics.cancelled_handlers) == (1, 3)
        assert (statistics.running_handlers, statistics.pending_invocations) == (0, 0)
        witness.go.set()
        assert await iii.trigger("f") == "finished"


async def test_what_was_accepted_and_lost_at_once_never_begins(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Between the moment at which an invocation is accepted and its task's first step, too."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate, on_connection_lost="cancel").wait_registered()
        iii._dispatcher.dispatch(InvokeFunction("gate", None, "some id"))
        iii._dispatcher.lose_connection("gone")
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (gate.entered, statistics.running_handlers, statistics.cancelled_handlers) == (0, 0, 1)


async def test_a_handler_that_does_not_let_itself_be_cancelled_has_an_end_of_its_own(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """What it returns is a dropped result, what it raises a failure; neither counts as cancelled as well."""

    async def handler(data: str) -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            if data == "return":
                return "all the same"
            raise ValueError("on the way out") from None

    async with link.client() as iii:
        await iii.register_function("f", handler, on_connection_lost="cancel").wait_registered()
        iii.trigger_nowait("f", "return")
        iii.trigger_nowait("f", "raise")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        statistics = iii.statistics()
        assert (statistics.cancelled_handlers, statistics.failed_handlers) == (0, 1)
        assert statistics.dropped_results == 2


async def test_a_handler_that_was_timed_out_before_the_loss_stays_so(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The first reason counts, though its cleanup takes until after the loss."""

    async def handler() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    async with link.client() as iii:
        await iii.register_function("f", handler, timeout=1, on_connection_lost="cancel").wait_registered()
        iii.trigger_nowait("f")
        await trio.sleep(2)
        await link.go_down()
        await trio.sleep(20)
        statistics = iii.statistics()
        assert (statistics.timed_out_handlers, statistics.cancelled_handlers) == (1, 0)
        assert statistics.dropped_results == 1


async def test_a_link_that_falls_silent_is_lost_too(link: MemoryLink, autojump_clock: MockClock) -> None:
    """When the heartbeat gives it up, with its words in the reason."""
    witness = Witness()
    async with link.client() as iii:
        await iii.register_function("f", witness, on_connection_lost="cancel").wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        link.wire.stall()
        await trio.sleep(59)
        assert witness.cancelled == []
        await trio.sleep(2)
        (cancelled,) = witness.cancelled
        assert "the engine was silent for 60 s" in str(cancelled.reason)


async def test_the_trace_hook_is_told_that_it_was_cancelled(link: MemoryLink, autojump_clock: MockClock) -> None:
    """handler.failed with `cancelled` for a code, since nobody gets an answer."""
    codes: list[Any] = []

    def trace(event: str, facts: Any) -> None:
        if event == "handler.failed":
            codes.append(facts["code"])

    async with link.client(trace=trace) as iii:
        await iii.register_function("f", Witness(), on_connection_lost="cancel").wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        assert codes == ["cancelled"]


async def test_a_drain_does_not_report_it_as_finished(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A loss in the middle of a drain: one handler is cancelled for it, the other one is waited for."""
    enduring = Witness()
    async with link.client(drain_timeout=20) as iii, trio.open_nursery() as nursery:
        await iii.register_function("mortal", Gate(), on_connection_lost="cancel").wait_registered()
        await iii.register_function("enduring", enduring).wait_registered()
        iii.trigger_nowait("mortal")
        iii.trigger_nowait("enduring")
        await trio.testing.wait_all_tasks_blocked()
        drain = start(nursery, iii.drain)
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        enduring.go.set()
        report = await drain.wait()
        assert (report.finished_handlers, report.cancelled_handlers, report.dropped_results) == (1, (), 1)


@pytest.mark.parametrize("value", ["abort", True, ["cancel"]])
async def test_another_word_is_refused(link: MemoryLink, value: Any) -> None:
    """By both ways to register, with the id."""

    async def handler() -> None: ...

    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="on_connection_lost of 'f'"):
            iii.register_function("f", handler, on_connection_lost=value)
        with pytest.raises(ConfigurationError, match="on_connection_lost of 'f'"):
            iii.function("f", on_connection_lost=value)(handler)
        assert iii.statistics().functions == 0


@pytest.mark.parametrize("method", [III.register_function, III.function], ids=lambda method: str(method.__name__))
def test_nothing_said_is_none(method: Any) -> None:
    """So that a default can depend on what the function is bound to."""
    assert inspect.signature(method).parameters["on_connection_lost"].default is None


# ---- sync handlers --------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Blocked:
    """A sync handler that says when it is there, and what it sees when it is released."""

    entered: threading.Event = attrs.field(factory=threading.Event)
    release: threading.Event = attrs.field(factory=threading.Event)
    abandoned: list[bool] = attrs.field(factory=list)

    def __call__(self) -> str:
        invocation = current_invocation()
        assert invocation is not None
        self.abandoned.append(invocation.abandoned)
        self.entered.set()
        assert self.release.wait(10)
        self.abandoned.append(invocation.abandoned)
        return "done"


@pytest.fixture
def blocked() -> Any:
    """Released when the test ends however it ends."""
    blocked = Blocked()
    yield blocked
    blocked.release.set()


async def test_a_sync_handler_is_abandoned_and_its_thread_keeps_its_place(link: MemoryLink, blocked: Blocked) -> None:
    """Among the threads and in its function's concurrency, until it returns."""
    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii, trio.open_nursery() as nursery:
            ref = iii.register_function("f", blocked, concurrency=1, on_connection_lost="cancel")
            await ref.wait_registered()
            iii.trigger_nowait("f")
            await trio.to_thread.run_sync(blocked.entered.wait, 10)
            await _come_back(link, iii)
            statistics = iii.statistics()
            assert (statistics.cancelled_handlers, statistics.abandoned_threads) == (1, 1)
            assert (statistics.running_handlers, statistics.threads) == (0, 1)
            waiting = start(nursery, iii.trigger, "f")
            await trio.testing.wait_all_tasks_blocked()
            assert iii.statistics().pending_invocations == 1
            blocked.release.set()
            assert await waiting.wait() == "done"
            assert blocked.abandoned[:2] == [False, True]
            statistics = iii.statistics()
            assert (statistics.threads, statistics.dropped_results) == (0, 0)


async def test_a_sync_handler_finishes_by_default_and_sees_that_nobody_waits(
    link: MemoryLink, blocked: Blocked
) -> None:
    """`abandoned` is up to date in its thread."""
    with trio.fail_after(20):
        async with link.client() as iii:
            await iii.register_function("f", blocked).wait_registered()
            iii.trigger_nowait("f")
            await trio.to_thread.run_sync(blocked.entered.wait, 10)
            await link.go_down()
            assert iii.statistics().abandoned_threads == 0
            blocked.release.set()
            await until(lambda: not iii.statistics().running_handlers)
            assert blocked.abandoned == [False, True]
            assert (iii.statistics().dropped_results, iii.statistics().cancelled_handlers) == (1, 0)


async def test_the_calls_of_an_abandoned_thread_end(link: MemoryLink, engine: EmbeddedEngine) -> None:
    """The one that waits and those to come raise trio's Cancelled, so that the thread comes back."""
    ended: list[str] = []
    gate, far = Gate(), Link(engine)
    with trio.fail_after(20):
        async with link.client() as other, far.client() as worker:

            def handler() -> None:
                for _ in range(2):
                    try:
                        worker.from_thread.trigger("gate", timeout_ms=float("inf"), idempotent=True)
                    except trio.Cancelled:
                        ended.append("cancelled")

            await other.register_function("gate", gate).wait_registered()
            await worker.register_function("f", handler, on_connection_lost="cancel").wait_registered()
            other.trigger_nowait("f")
            await gate.wait_entered()
            await far.go_down()
            await until(lambda: not worker.statistics().threads)
            assert ended == ["cancelled", "cancelled"]
            assert worker.statistics().calls_in_flight == 0


async def test_a_thread_that_waits_for_its_place_is_not_begun(link: MemoryLink, blocked: Blocked) -> None:
    """The handler that waited is cancelled; the one that holds the thread goes on."""
    ran: list[int] = []
    with trio.fail_after(20):
        async with link.client(max_threads=1) as iii:
            await iii.register_function("holds", blocked).wait_registered()
            await iii.register_function("waits", lambda: ran.append(1), on_connection_lost="cancel").wait_registered()
            iii.trigger_nowait("holds")
            await trio.to_thread.run_sync(blocked.entered.wait, 10)
            iii.trigger_nowait("waits")
            await trio.testing.wait_all_tasks_blocked()
            await link.go_down()
            statistics = iii.statistics()
            assert (statistics.cancelled_handlers, statistics.abandoned_threads) == (1, 0)
            assert (statistics.running_handlers, statistics.pending_invocations) == (1, 0)
            blocked.release.set()
            await until(lambda: not iii.statistics().running_handlers)
            assert ran == []


# ---- abandoned ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["finish", "cancel"])
async def test_an_invocation_knows_that_its_connection_is_gone(
    link: MemoryLink, policy: Any, autojump_clock: MockClock
) -> None:
    """From the loss on and for good, under either policy; one of the next connection is a matter of its own."""
    witness = Witness()
    async with link.client() as iii:
        await iii.register_function("f", witness, on_connection_lost=policy).wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        assert [invocation.abandoned for invocation in witness.invocations] == [False]
        await _come_back(link, iii)
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        assert [invocation.abandoned for invocation in witness.invocations] == [True, False]


async def test_an_invocation_that_begins_after_the_loss_knows_it_at_once(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """It waited for its turn meanwhile."""
    seen: list[bool] = []

    async def handler() -> None:
        invocation = current_invocation()
        assert invocation is not None
        seen.append(invocation.abandoned)
        await trio.sleep(1)

    async with link.client() as iii:
        await iii.register_function("f", handler, concurrency=1).wait_registered()
        iii.trigger_nowait("f")
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
        await trio.sleep(3)
    assert seen == [False, True]


async def test_a_handler_that_is_cancelled_with_its_connection_sees_it_on_its_way_out(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """Its cleanup can tell this from a time-out."""
    seen: list[bool] = []

    async def handler() -> None:
        invocation = current_invocation()
        assert invocation is not None
        try:
            await trio.sleep_forever()
        finally:
            seen.append(invocation.abandoned)

    async with link.client() as iii:
        await iii.register_function("f", handler, timeout=1, on_connection_lost="cancel").wait_registered()
        with pytest.raises(InvocationError, match="cancelled after 1 s"):
            await iii.trigger("f")
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        await link.go_down()
    assert seen == [False, True]


async def test_an_invocation_outlives_its_client_as_an_abandoned_one(link: MemoryLink) -> None:
    """Also where the client was closed and nothing was lost."""
    witness = Witness()
    async with link.client() as iii:
        await iii.register_function("f", witness).wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        (invocation,) = witness.invocations
        assert not invocation.abandoned
    assert invocation.abandoned
