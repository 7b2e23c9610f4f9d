"""`statistics()`: every counter moves when its thing happens, and only then."""

from __future__ import annotations

import ast
import inspect
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, ClientStatistics
from iii_trio._client import statistics as module
from iii_trio._link.choice import find_transport
from iii_trio._wire.messages import InvocationResult
from iii_trio.errors import AuthenticationError, InvocationError, InvocationTimeout, RegistrationRejectedError
from iii_trio.trigger import TriggerConfig, TriggerHandler
from tests.conftest import Gate, Link, MemoryLink, frames, start

_BOUNDS: dict[str, Any] = {
    "max_outbox_frames": 10_000,
    "max_outbox_bytes": 64 * 1024 * 1024,
    "max_running_handlers": None,
    "max_pending_invocations": 10_000,
    "max_threads": 40,
}
_UNKNOWN_ID = "7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11"


async def _echo(data: Any) -> Any:
    return data


def test_every_figure_is_documented() -> None:
    """A docstring under each field."""
    body = ast.parse(inspect.getsource(module)).body
    (cls,) = [node for node in body if isinstance(node, ast.ClassDef)]
    documented = {
        node.target.id
        for node, after in zip(cls.body, cls.body[1:], strict=False)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    assert documented == {field.name for field in attrs.fields(ClientStatistics)}


def test_every_figure_has_a_test_here() -> None:
    """Each field is looked at by a test of this file."""
    text = Path(__file__).read_text()
    assert [field.name for field in attrs.fields(ClientStatistics) if f".{field.name}" not in text] == []


async def test_a_new_client_has_counted_its_connection_and_nothing_else(link: MemoryLink) -> None:
    """The figures are one frozen value."""
    async with link.client() as iii:
        statistics = iii.statistics()
        assert statistics == ClientStatistics(
            state="connected",
            transport=find_transport("auto").NAME,
            worker_id=link.engine.connections[0],
            connects=1,
            **_BOUNDS,
            **{
                field.name: 0
                for field in attrs.fields(ClientStatistics)
                if field.name not in ("state", "transport", "worker_id", "latency", "connects", *_BOUNDS)
            },
            latency=None,
        )
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            statistics.connects = 2  # type: ignore[misc]


async def test_the_connection_is_told(link: MemoryLink, autojump_clock: MockClock) -> None:
    """state, transport, worker_id, connects and connect_failures, over a lost link."""
    async with link.client() as iii:
        first = iii.statistics()
        await link.go_down()
        offline = iii.statistics()
        assert (offline.state, offline.transport, offline.worker_id) == ("reconnecting", None, first.worker_id)
        await trio.sleep(60)
        assert iii.statistics().connect_failures > 1
        assert iii.statistics().connects == 1
        link.is_up = True
        await iii.wait_connected()
        again = iii.statistics()
        assert (again.state, again.transport, again.connects) == ("connected", find_transport("auto").NAME, 2)
        assert again.worker_id not in (None, first.worker_id)
    assert (iii.statistics().state, iii.statistics().transport) == ("disconnected", None)


async def test_latency_is_that_of_the_last_heartbeat(link: MemoryLink, autojump_clock: MockClock) -> None:
    """From the ping that a silence of 20 s asks for to its pong; a new connection has none yet."""
    async with link.client() as iii:
        assert iii.statistics().latency is None
        link.wire.stall()
        await trio.sleep(23)
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().latency == pytest.approx(3)
        await trio.sleep(25)
        assert iii.statistics().latency == pytest.approx(0)
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        assert iii.statistics().latency is None


async def test_results_that_wait_for_room_are_dropped_with_the_client(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """dropped_results has them all, wherever they waited; their handlers have ended, and are not cancelled_handlers."""
    gate = Gate()
    async with Link(link.engine).client() as other, link.client(max_outbox_frames=2, close_timeout=1) as iii:
        await iii.register_function("gate", gate).wait_registered()
        for _ in range(20):
            other.trigger_nowait("gate")
        await gate.wait_entered(20)
        link.wire.stall()
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().running_handlers > 2
        await iii.aclose()
        statistics = iii.statistics()
        # Two were handed to the socket, and may be on their way.
        assert statistics.dropped_results == 18
        assert statistics.cancelled_handlers == 0


async def test_reconnects_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Once the client was ready again, and not for its first time."""
    async with link.client() as iii:
        for count in range(3):
            assert iii.statistics().reconnects == count
            await link.go_down()
            assert iii.statistics().reconnects == count
            link.is_up = True
            await iii.wait_connected()
        assert iii.statistics().missed_state_changes == 0  # nobody watches, so nobody misses any


async def test_restarts_of_the_engine_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And no other reconnects."""
    async with link.client() as iii:
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        assert (iii.statistics().reconnects, iii.statistics().engine_restarts) == (1, 0)
        await link.engine.restart()
        await trio.sleep(10)
        assert (iii.statistics().reconnects, iii.statistics().engine_restarts) == (2, 1)


async def test_the_bounds_stand_beside_the_queues(link: MemoryLink) -> None:
    """As the options say: max_outbox_frames and all."""
    chosen = {name: number for number, name in enumerate(_BOUNDS, start=7)}
    async with link.client(**chosen) as iii:
        statistics = iii.statistics()
        assert {name: getattr(statistics, name) for name in _BOUNDS} == chosen
        assert (statistics.max_outbox_frames, statistics.max_outbox_bytes) == (7, 8)
        assert (statistics.max_running_handlers, statistics.max_pending_invocations) == (9, 10)
        assert statistics.max_threads == 11


async def test_what_waits_for_room_is_counted(link: MemoryLink) -> None:
    """Calls that find the outbox full, until there is room."""
    async with link.client(max_outbox_frames=1) as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        link.wire.stall()
        iii.trigger_nowait("in-the-socket")
        await trio.testing.wait_all_tasks_blocked()
        calls = [start(nursery, iii.trigger, "echo", number) for number in range(4)]
        await trio.testing.wait_all_tasks_blocked()
        assert (iii.statistics().waiting_for_room, iii.statistics().outbox_frames) == (3, 1)
        link.wire.flow()
        for call in calls:
            await call.wait()
        assert iii.statistics().waiting_for_room == 0


async def test_results_that_wait_are_counted(link: MemoryLink) -> None:
    """Among the frames, and by themselves."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate).wait_registered()
        for _ in range(3):
            iii.trigger_nowait("gate")
        await gate.wait_entered(3)
        link.wire.stall()
        iii.trigger_nowait("in-the-socket")
        await trio.testing.wait_all_tasks_blocked()
        gate.open()
        iii.trigger_nowait("waits")
        await trio.testing.wait_all_tasks_blocked()
        assert (iii.statistics().outbox_results, iii.statistics().outbox_frames) == (3, 4)
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().outbox_results == 0


async def test_threads_are_counted(link: MemoryLink) -> None:
    """While their handler runs."""
    release, entered = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        release.wait(10)

    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("wait", wait).wait_registered()
        try:
            call = start(nursery, iii.trigger, "wait")
            await trio.to_thread.run_sync(entered.wait, 10)
            assert iii.statistics().threads == 1
        finally:
            release.set()
        await call.wait()
        assert iii.statistics().threads == 0


async def test_blocks_of_the_loop_are_counted_only_where_somebody_looks(link: MemoryLink) -> None:
    """Of a client without `loop_watch` both figures stay 0; tests/test_client_loop_watch.py has the others."""
    async with link.client() as iii:
        assert (iii.statistics().loop_blocks, iii.statistics().longest_loop_block) == (0, 0)


async def test_functions_are_counted(link: MemoryLink) -> None:
    """Registered and not unregistered."""
    async with link.client() as iii:
        ref = iii.register_function("a", _echo)
        iii.register_function("b", _echo)
        assert iii.statistics().functions == 2
        ref.unregister()
        assert iii.statistics().functions == 1


async def test_calls_in_flight_and_frames_that_wait_are_counted(link: MemoryLink) -> None:
    """From the call to the answer; in the outbox until the writer takes them."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        link.wire.stall()
        iii.trigger_nowait("in-the-socket")
        await trio.testing.wait_all_tasks_blocked()
        call = start(nursery, iii.trigger, "gate", "x" * 100)
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.calls_in_flight, statistics.outbox_frames) == (1, 1)
        assert 100 < statistics.outbox_bytes < 400
        link.wire.flow()
        await gate.wait_entered()
        statistics = iii.statistics()
        assert (statistics.calls_in_flight, statistics.outbox_frames, statistics.outbox_bytes) == (1, 0, 0)
        gate.open()
        await call.wait()
        assert iii.statistics().calls_in_flight == 0


async def test_timed_out_and_late_calls_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """timed_out_calls at the time-out, unknown_results when the answer comes after all."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate).wait_registered()
        with pytest.raises(InvocationError):
            await iii.trigger("gate", timeout_ms=1)
        assert (iii.statistics().timed_out_calls, iii.statistics().unknown_results) == (1, 0)
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert (iii.statistics().timed_out_calls, iii.statistics().unknown_results) == (1, 1)


async def test_lost_calls_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Sent ones only."""
    gate = Gate()
    other = Link(link.engine)
    async with other.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await worker.register_function("gate", gate).wait_registered()
        start(nursery, iii.trigger, "gate")
        await gate.wait_entered()
        await link.go_down()
        start(nursery, iii.trigger, "gate")
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().lost_calls == 1
        nursery.cancel_scope.cancel()


async def test_handlers_are_counted(link: MemoryLink) -> None:
    """accepted, running and pending, and none of the last two at the end."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate, concurrency=2).wait_registered()
        for _ in range(5):
            iii.trigger_nowait("gate")
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.accepted_invocations, statistics.running_handlers) == (5, 2)
        assert statistics.pending_invocations == 3
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.running_handlers, statistics.pending_invocations) == (0, 0)
        assert statistics.accepted_invocations == 5


async def test_handlers_that_the_end_cancels_are_no_longer_counted(link: MemoryLink) -> None:
    """Running and pending ones."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate, concurrency=1).wait_registered()
        for _ in range(3):
            iii.trigger_nowait("gate")
        await trio.testing.wait_all_tasks_blocked()
    assert (iii.statistics().running_handlers, iii.statistics().pending_invocations) == (0, 0)


async def test_overloads_are_counted(link: MemoryLink) -> None:
    """Each refused invocation once."""
    async with link.client(max_running_handlers=1) as iii:
        await iii.register_function("gate", Gate()).wait_registered()
        for _ in range(4):
            iii.trigger_nowait("gate")
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.overloaded_invocations, statistics.accepted_invocations) == (3, 1)


async def test_payloads_that_do_not_fit_are_counted(link: MemoryLink) -> None:
    """The handler does not run, so it is not among those that failed."""

    async def double(number: int) -> int:
        return 2 * number

    async with link.client() as iii:
        await iii.register_function("double", double).wait_registered()
        with pytest.raises(InvocationError):
            await iii.trigger("double", "2")
        statistics = iii.statistics()
        assert (statistics.invalid_inputs, statistics.failed_handlers) == (1, 0)
        assert await iii.trigger("double", 2) == 4
        assert iii.statistics().invalid_inputs == 1


async def test_failed_handlers_are_counted(link: MemoryLink) -> None:
    """What raises, and what returns something that cannot be sent, each once."""

    async def fail(data: Any) -> Any:
        if data == "raise":
            raise ValueError("no")
        return object()

    async with link.client() as iii:
        await iii.register_function("fail", fail).wait_registered()
        for count, data in enumerate(["raise", "return"], start=1):
            with pytest.raises(InvocationError):
                await iii.trigger("fail", data)
            assert iii.statistics().failed_handlers == count


async def test_timed_out_handlers_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """At the function's time-out, and at their caller's deadline."""
    async with link.client() as iii:
        await iii.register_function("gate", Gate(), timeout=2).wait_registered()
        iii.trigger_nowait("gate")
        await trio.sleep(1.9)
        assert iii.statistics().timed_out_handlers == 0
        await trio.sleep(0.2)
        assert iii.statistics().timed_out_handlers == 1
        assert iii.statistics().failed_handlers == 0
        with pytest.raises(InvocationTimeout):
            await iii.trigger("gate", timeout_ms=1_000)
        await trio.sleep(0.1)
        assert iii.statistics().timed_out_handlers == 2
        assert (iii.statistics().failed_handlers, iii.statistics().cancelled_handlers) == (0, 0)


async def test_each_handler_is_counted_by_the_one_way_in_which_it_ended(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """What was accepted answered, failed, timed out or was cancelled, and the four make up the whole."""
    answered: list[Any] = []

    async def handler(data: str) -> Any:
        if data == "raise":
            raise ValueError("no")
        if data == "clumsy":
            return object()
        if data == "raise late":
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("late")
        if data == "late":
            await trio.sleep_forever()
        answered.append(data)
        return data

    async with link.client() as iii:
        await iii.register_function("f", handler, timeout=1).wait_registered()
        await iii.register_function("mortal", Gate(), on_connection_lost="cancel").wait_registered()
        await iii.register_function("gate", Gate(), concurrency=1).wait_registered()
        for data in ("answer", "raise", "clumsy", "raise late", "late"):
            iii.trigger_nowait("f", data)
        for function_id in ("mortal", "gate", "gate"):
            iii.trigger_nowait(function_id)
        await trio.sleep(2)
        await link.go_down()
        assert iii.statistics().cancelled_handlers == 1
    statistics = iii.statistics()
    assert (statistics.accepted_invocations, len(answered)) == (8, 1)
    assert (statistics.failed_handlers, statistics.timed_out_handlers, statistics.cancelled_handlers) == (3, 1, 3)


async def test_handlers_that_a_drain_cancels_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Once each, though their callers are answered."""
    async with link.client() as iii:
        await iii.register_function("gate", Gate(), concurrency=1).wait_registered()
        iii.trigger_nowait("gate")
        iii.trigger_nowait("gate")
        await trio.testing.wait_all_tasks_blocked()
        report = await iii.drain(timeout=1)
        assert report is not None
        assert report.cancelled_handlers == ("gate", "gate")
        statistics = iii.statistics()
        assert (statistics.cancelled_handlers, statistics.failed_handlers) == (2, 0)


async def test_retries_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Each time that an idempotent call is made again."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        call = start(nursery, iii.trigger, "gate", 1, idempotent=True)
        await gate.wait_entered()
        await link.go_down()
        link.is_up = True
        gate.open()
        assert await call.wait() == 1
        assert iii.statistics().retried_calls == 1


async def test_abandoned_threads_are_counted(link: MemoryLink) -> None:
    """When the invocation ends before its thread."""
    release = threading.Event()
    with trio.fail_after(10):
        try:
            async with link.client() as iii:
                await iii.register_function("wait", lambda: release.wait(10), timeout=0.01).wait_registered()
                with pytest.raises(InvocationError):
                    await iii.trigger("wait")
                assert iii.statistics().abandoned_threads == 1
        finally:
            release.set()


async def test_results_without_a_connection_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The engine has told the caller already; on the next connection they are not sent."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate).wait_registered()
        iii.trigger_nowait("gate")
        await gate.wait_entered()
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().dropped_results == 1


async def test_second_sendings_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Prompt answers are sent once more 25 ms later, and the engine ignores what it does not need."""
    async with link.client() as iii:
        await iii.register_function("echo", _echo).wait_registered()
        assert await iii.trigger("echo", 1) == 1
        assert iii.statistics().healed_results == 0
        await trio.sleep(0.03)
        assert iii.statistics().healed_results == 1
        assert len(frames(link.engine, InvocationResult)) == 2
        assert iii.statistics().unknown_results == 0


async def test_void_calls_that_were_never_sent_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A client that ends offline cannot send them, and does not forget them in silence."""
    async with link.client() as iii:
        await link.go_down()
        iii.trigger_nowait("a")
        iii.trigger_nowait("b")
        assert iii.statistics().unsent_calls == 0
    assert iii.statistics().unsent_calls == 2
    assert iii.statistics().outbox_frames == 0


async def test_refused_registrations_are_counted(link: MemoryLink) -> None:
    """By the engine, not by us."""
    async with link.client() as first, link.client() as second:
        await first.register_function("echo", _echo).wait_registered()
        with pytest.raises(RegistrationRejectedError):
            await second.register_function("echo", _echo).wait_registered()
        assert second.statistics().refused_registrations == 1
        assert first.statistics().refused_registrations == 0


async def test_functions_on_standby_are_counted(link: MemoryLink, autojump_clock: MockClock) -> None:
    """As long as somebody else has them; being refused again and again is one refusal."""
    async with link.client() as first, link.client() as second:
        theirs = first.register_function("echo", _echo)
        await theirs.wait_registered()
        ours = second.register_function("echo", _echo, on_conflict="standby")
        await trio.sleep(60)
        statistics = second.statistics()
        assert (statistics.functions, statistics.standby_functions, statistics.refused_registrations) == (1, 1, 1)
        theirs.unregister()
        await ours.wait_registered()
        assert second.statistics().standby_functions == 0
        assert first.statistics().standby_functions == 0


async def test_odd_frames_are_counted_and_harm_nothing(link: MemoryLink) -> None:
    """Undecodable, unexpected, of a newer engine, and answers to calls that nobody made."""
    async with link.client() as iii:
        await iii.register_function("echo", _echo).wait_registered()
        for nonsense in ("", "{", "[]", '{"type":"nonsense"}', '{"type":"invokefunction"}'):
            link.wire.say(nonsense)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().undecodable_frames == 5
        link.say(type="workerregistered", worker_id="x", reattach_token="y")
        link.say(type="pong")
        link.say(type="registerservice", id="x")
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().unexpected_frames == 3
        link.say(type="functionregistered", id="x")
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().ignored_frames == 1
        link.say(type="invocationresult", invocation_id=_UNKNOWN_ID, function_id="x", result=1)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().unknown_results == 1
        assert await iii.trigger("echo", 1) == 1


async def test_the_state_is_one_of_the_references_five_words(link: MemoryLink, autojump_clock: MockClock) -> None:
    """get_connection_state says the same as the statistics."""
    async with link.client() as iii:
        assert iii.get_connection_state() == iii.statistics().state == "connected"
        await link.go_down()
        assert iii.get_connection_state() == iii.statistics().state == "reconnecting"
    assert iii.get_connection_state() == iii.statistics().state == "disconnected"


async def test_a_client_that_fails_says_so(link: MemoryLink, autojump_clock: MockClock) -> None:
    """`failed`, and everybody who waits gets the error."""
    clients: list[III] = []
    with pytest.raises(AuthenticationError, match="begone"):  # noqa: PT012 - it comes out of the block
        async with link.client() as iii:
            clients.append(iii)
            link.engine.refuse_logins("begone")
            await link.go_down()
            link.is_up = True
            await iii.wait_connected()
    assert clients[0].get_connection_state() == "failed"
    with pytest.raises(AuthenticationError, match="begone"):
        await clients[0].wait_connected()


class _Provider(TriggerHandler[Any]):
    async def register_trigger(self, config: TriggerConfig[Any]) -> None:
        if config.function_id == "bad":
            raise ValueError("not this one")

    async def unregister_trigger(self, config: TriggerConfig[Any]) -> None: ...


async def test_triggers_types_and_bindings_are_counted(link: MemoryLink) -> None:
    """Triggers and trigger types that are registered here, and bindings that their providers have accepted."""
    async with link.client() as iii:
        ref = iii.register_trigger_type({"id": "webhook", "description": ""}, _Provider())
        good, _ = (ref.register_trigger(function_id, None) for function_id in ("good", "bad"))
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.triggers, statistics.trigger_types, statistics.bindings) == (2, 1, 1)
        assert statistics.refused_registrations == 1
        good.unregister()
        await trio.testing.wait_all_tasks_blocked()
        assert (iii.statistics().triggers, iii.statistics().bindings) == (1, 0)
        ref.unregister()
        assert iii.statistics().trigger_types == 0
