"""What this SDK is for, end to end: links that break while much is under way, lost answers, bounds that are hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, InitOptions, ReconnectionConfig, open_iii
from iii_trio.errors import ConnectionLost, Fate, InvocationError, WouldBlock
from iii_trio.testing import EmbeddedEngine, FaultProxy, open_engine, open_fault_proxy
from iii_trio.testing.frames import RegisterFunction
from tests.conftest import Gate, MemoryLink, start

LIMIT = 60
SOON = InitOptions(reconnection_config=ReconnectionConfig(initial_delay_ms=20, max_delay_ms=100))


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[EmbeddedEngine, FaultProxy]]:
    """An engine on a socket, behind a proxy that breaks things."""
    async with open_engine(port=0) as engine:
        assert engine.port is not None
        async with open_fault_proxy("127.0.0.1", engine.port) as proxy:
            yield engine, proxy


def _cut_in_a_frame(proxy: FaultProxy, iii: III) -> None:
    proxy.cut_after("engine", 30)
    iii.trigger_nowait("nobody", "x" * 100)


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda engine, proxy, iii: proxy.reset(), id="reset"),
        pytest.param(lambda engine, proxy, iii: _cut_in_a_frame(proxy, iii), id="cut in the middle of a frame"),
        pytest.param(lambda engine, proxy, iii: engine.drop_links(), id="dropped without a Close"),
        pytest.param(lambda engine, proxy, iii: engine.close_links(), id="closed without a code"),
        pytest.param(lambda engine, proxy, iii: engine.close_links(1000), id="closed as if all were well"),
        pytest.param(lambda engine, proxy, iii: engine.close_links(1001), id="closed since the engine leaves"),
        pytest.param(lambda engine, proxy, iii: engine.close_links(1011, "boom"), id="closed with an error"),
        pytest.param(lambda engine, proxy, iii: engine.close_links(4000), id="closed with a code of its own"),
    ],
)
async def test_a_broken_link_ends_a_hundred_calls_at_once_and_functions_come_back(
    proxy: tuple[EmbeddedEngine, FaultProxy], break_it: Callable[[EmbeddedEngine, FaultProxy, III], None]
) -> None:
    """Each within a second of the loss, with its fate; afterwards the same functions answer."""
    engine, link = proxy
    gate = Gate()
    with trio.fail_after(LIMIT):
        async with open_iii(link.url, SOON) as iii, trio.open_nursery() as nursery:
            await iii.register_function("gate", gate).wait_registered()
            calls = [start(nursery, iii.trigger, "gate", number) for number in range(100)]
            await gate.wait_entered(100)
            broken_at = trio.current_time()
            break_it(engine, link, iii)
            for call in calls:
                await call.done.wait()
            assert trio.current_time() - broken_at < 1
            assert {type(call.error) for call in calls} == {ConnectionLost}
            assert {call.error.fate for call in calls if isinstance(call.error, InvocationError)} == {Fate.MAY_HAVE_RUN}
            gate.open()
            assert await iii.trigger("gate", "again") == "again"
            assert iii.statistics().calls_in_flight == 0
    assert not engine.undecodable


@pytest.mark.slow
async def test_no_answer_is_lost_to_an_engine_that_loses_early_ones(autojump_clock: MockClock) -> None:
    """100,000 calls, of which the engine files one in a hundred 20 ms late: all are answered."""
    async with open_engine() as engine:
        engine.lose_early_answers(0.01)
        options = InitOptions(invocation_timeout_ms=1_000)
        async with (
            open_iii(engine.url, options, open_stream=engine.open_stream) as worker,
            open_iii(engine.url, options, open_stream=engine.open_stream) as caller,
        ):
            await worker.register_function("echo", _echo).wait_registered()

            async def call(numbers: range) -> None:
                for number in numbers:
                    assert await caller.trigger("echo", number) == number

            async with trio.open_nursery() as nursery:
                for first in range(100):
                    nursery.start_soon(call, range(first, 100_000, 100))
            assert caller.statistics().timed_out_calls == 0
            assert engine.early_answers_lost > 500
            assert not engine.undecodable


async def test_without_the_second_sending_they_would_be_lost(autojump_clock: MockClock) -> None:
    """So the test above tests something."""
    async with open_engine() as engine:
        engine.lose_early_answers(1.0)
        options = InitOptions(heal_early_results=False, invocation_timeout_ms=1_000)
        async with open_iii(engine.url, options, open_stream=engine.open_stream) as iii:
            iii.register_function("echo", _echo)
            with pytest.raises(InvocationError, match="TIMEOUT"):
                await iii.trigger("echo", 1)
            assert engine.early_answers_lost == 1


async def test_calls_made_offline_are_delivered_or_told(link: MemoryLink, autojump_clock: MockClock) -> None:
    """1,500 answered calls and void ones into an outbox for 1,000: nothing is forgotten in silence."""
    seen: Counter[Any] = Counter()

    async def note(data: Any) -> Any:
        seen[data] += 1
        return data

    async with link.client(max_outbox_frames=1_000) as iii, trio.open_nursery() as nursery:
        await iii.register_function("note", note).wait_registered()
        await link.go_down()
        refused = 0
        for number in range(1_500):
            try:
                iii.trigger_nowait("note", f"void {number}")
            except WouldBlock:
                refused += 1
        assert refused == 500
        calls = [start(nursery, iii.trigger, "note", number, timeout_ms=60_000) for number in range(1_500)]
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().outbox_frames == 1_000
        link.is_up = True
        assert [await call.wait() for call in calls] == [*range(1_500)]
        await trio.testing.wait_all_tasks_blocked()
        assert {*seen.values()} == {1}
        assert len(seen) == 2_500
        assert iii.statistics().unsent_calls == 0


async def test_a_flooded_worker_refuses_what_is_too_much(link: MemoryLink) -> None:
    """Pending invocations are bounded: the rest is told ``overloaded`` at once, and counted."""
    gate = Gate()
    async with link.client(max_pending_invocations=10) as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate, concurrency=1).wait_registered()
        calls = [start(nursery, iii.trigger, "gate", number) for number in range(30)]
        await gate.wait_entered()
        await trio.testing.wait_all_tasks_blocked()
        refused = [call.error for call in calls if call.error is not None]
        assert {getattr(error, "code", None) for error in refused} == {"overloaded"}
        assert len(refused) == iii.statistics().overloaded_invocations == 19
        gate.open()
        for call in calls:
            await call.done.wait()


async def test_an_engine_that_answers_twice_or_never_harms_nobody(autojump_clock: MockClock) -> None:
    """The second answer is dropped by its id; the missing one ends at its call's time-out."""
    async with open_engine() as engine:
        engine.answer_twice("echo")
        engine.never_answers("void")
        async with open_iii(engine.url, open_stream=engine.open_stream) as iii:
            await iii.register_function("echo", _echo).wait_registered()
            assert [await iii.trigger("echo", number) for number in range(10)] == [*range(10)]
            with pytest.raises(InvocationError, match="TIMEOUT"):
                await iii.trigger("void", timeout_ms=500)
            await trio.testing.wait_all_tasks_blocked()
            assert iii.statistics().unknown_results == 10


async def test_an_engine_that_stalls_loses_nothing(autojump_clock: MockClock) -> None:
    """Calls wait in the socket and in the outbox, and are answered when it reads again."""
    async with (
        open_engine() as engine,
        open_iii(engine.url, open_stream=engine.open_stream) as iii,
        trio.open_nursery() as nursery,
    ):
        await iii.register_function("echo", _echo).wait_registered()
        engine.stall_reading()
        calls = [start(nursery, iii.trigger, "echo", number) for number in range(200)]
        await trio.sleep(10)
        assert not any(call.done.is_set() for call in calls)
        engine.resume_reading()
        assert [await call.wait() for call in calls] == [*range(200)]


async def test_a_restarted_engine_is_found_again(autojump_clock: MockClock) -> None:
    """It knows nothing of this worker any more; a minute later everything answers."""
    async with open_engine() as engine, open_iii(engine.url, open_stream=engine.open_stream) as iii:
        refs = [iii.register_function(f"f{number}", _echo) for number in range(1_000)]
        await refs[-1].wait_registered()
        await engine.restart(down_for=60)
        up_at = trio.current_time()
        assert await iii.trigger("f999", 1) == 1
        assert trio.current_time() - up_at < 3
    registered = Counter(
        (each.connection_id, each.frame.id) for each in engine.received if isinstance(each.frame, RegisterFunction)
    )
    assert {*registered.values()} == {1}
    assert len(registered) == 2_000


async def _echo(data: Any) -> Any:
    return data
