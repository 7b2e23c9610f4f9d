"""Engines that are killed, and links that fall silent, over sockets.

Against the embedded engine in a process of its own, and against the one of III_TEST_ENGINE_CMD when that and III_TEST_URL
are set (tests/interop/engines.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
import trio

from iii_trio import III, InitOptions, Invocation, InvocationError, current_invocation, open_iii
from iii_trio.errors import ConnectionLost, Fate
from iii_trio.testing import open_fault_proxy
from tests.conftest import Gate, Outcome, start
from tests.interop.engines import ENGINES, POLL, EngineProcess, Relay, engine_process, until

pytestmark = [pytest.mark.engine, pytest.mark.slow]

LIMIT: Final = 90.0
"""Seconds for one test."""

SETTLED: Final = 1.0
"""Seconds after a loss in which every call that was sent ends."""

BACK: Final = 3.0
"""Seconds after an engine listens again in which functions answer."""


@pytest.fixture(params=ENGINES)
def process(request: pytest.FixtureRequest) -> Iterator[EngineProcess]:
    """An engine that was not started yet. Whatever happens, it is gone after the test."""
    engine = engine_process(request.param)
    try:
        yield engine
    finally:
        engine.kill()


@pytest.fixture
def fresh() -> str:
    """Nobody has used it before."""
    return f"t{uuid.uuid4().hex[:12]}"


async def _echo(data: Any) -> Any:
    return data


async def answer(iii: III, function_id: str, payload: Any) -> Any:
    """Call a function until it is there. Any other refusal fails."""
    while True:
        try:
            return await iii.trigger(function_id, payload)
        except InvocationError as error:
            if error.code != "function_not_found":
                raise
            await trio.sleep(POLL)


def figure(what: str, seconds: float) -> None:
    """Tell a figure: ``pytest -rP`` shows it."""
    print(f"{what}: {seconds:.3f} s")


async def wait_lost(calls: list[Outcome]) -> None:
    """Wait until all calls have ended, and see that each says that its handler may have run."""
    for call in calls:
        await call.done.wait()
    assert {type(call.error) for call in calls} == {ConnectionLost}
    assert {call.error.fate for call in calls if isinstance(call.error, ConnectionLost)} == {Fate.MAY_HAVE_RUN}


# ---- killed ---------------------------------------------------------------------------------------------------------


async def test_a_killed_engine_ends_every_call_at_once(process: EngineProcess, fresh: str) -> None:
    """100 calls in flight end within a second, and say that they may have run; none is left."""
    gate = Gate()
    with trio.fail_after(LIMIT):
        await process.start()
        async with open_iii(process.url) as worker, open_iii(process.url) as caller, trio.open_nursery() as nursery:
            await worker.register_function(f"{fresh}::gate", gate).wait_registered()
            calls = [start(nursery, caller.trigger, f"{fresh}::gate", number) for number in range(100)]
            await gate.wait_entered(100)
            killed_at = trio.current_time()
            process.kill()
            await wait_lost(calls)
            took = trio.current_time() - killed_at
            figure("from loss to settlement", took)
            assert took < SETTLED
            assert {call.error.code for call in calls if isinstance(call.error, ConnectionLost)} == {"CONNECTION_LOST"}
            statistics = caller.statistics()
            assert (statistics.calls_in_flight, statistics.lost_calls) == (0, 100)
            # The handlers live on (their work may exist nowhere else), and nobody waits for their results.
            assert gate.inside == 100
            gate.open()
            await until(lambda: worker.statistics().dropped_results == 100)


@pytest.mark.parametrize("refusals", [1, 4], ids=["back-at-once", "refused-for-a-while"])
async def test_functions_answer_soon_after_the_engine_is_back(
    process: EngineProcess, fresh: str, refusals: int
) -> None:
    """Within 3 s of its listening again; calls that were made meanwhile are delivered, each once."""
    served: list[Any] = []

    async def serve(data: Any) -> Any:
        served.append(data)
        return data

    with trio.fail_after(LIMIT):
        await process.start()
        async with open_iii(process.url) as worker, trio.open_nursery() as nursery:
            ref = worker.register_function(f"{fresh}::serve", serve)
            await ref.wait_registered()
            process.kill()
            await until(lambda: worker.statistics().connect_failures >= refusals)
            calls = [start(nursery, worker.trigger, ref.id, number, timeout_ms=60_000) for number in range(50)]
            listened_at = await process.start()
            async with open_iii(process.url) as somebody:
                assert await answer(somebody, ref.id, "back") == "back"
            took = trio.current_time() - listened_at
            figure("from listening to the first answer", took)
            assert took < BACK
            assert [await call.wait() for call in calls] == [*range(50)]
            served.remove("back")
            assert sorted(served) == [*range(50)]
            assert worker.statistics().connects == 2


async def test_worker_and_caller_survive_one_restart_after_the_other(process: EngineProcess, fresh: str) -> None:
    """Nobody is told, and nobody has to do anything."""
    with trio.fail_after(LIMIT):
        await process.start()
        async with open_iii(process.url, InitOptions(worker_name=fresh)) as worker, open_iii(process.url) as caller:
            await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
            for number in range(3):
                process.kill()
                await until(lambda: not {worker.get_connection_state(), caller.get_connection_state()} & {"connected"})
                await process.start()
                await worker.wait_connected()
                await caller.wait_connected()
                assert await caller.trigger(f"{fresh}::echo", number) == number
            assert worker.statistics().connects == caller.statistics().connects == 4
            assert worker.statistics().refused_registrations == 0


async def test_a_thousand_functions_are_there_again_after_a_restart(process: EngineProcess, fresh: str) -> None:
    """Each is listed once, under this worker, and each answers."""
    with trio.fail_after(LIMIT):
        await process.start()
        async with open_iii(process.url, InitOptions(worker_name=fresh)) as worker:
            refs = [worker.register_function(f"{fresh}::{number}", _echo) for number in range(1_000)]
            for ref in refs:
                await ref.wait_registered()
            process.kill()
            await until(lambda: worker.get_connection_state() != "connected")
            listened_at = await process.start()
            for ref in refs:
                await ref.wait_registered()
            figure("from listening to 1,000 registrations", trio.current_time() - listened_at)
            listed = await worker.trigger("engine::functions::list", {"prefix": f"{fresh}::"})
            rows = [(row["function_id"], row["worker_name"]) for row in listed["functions"]]
            assert sorted(rows) == sorted((ref.id, fresh) for ref in refs)
            async with open_iii(process.url) as caller, trio.open_nursery() as nursery:
                calls = [start(nursery, caller.trigger, ref.id, ref.id) for ref in refs]
                assert [await call.wait() for call in calls] == [ref.id for ref in refs]


# ---- silent ---------------------------------------------------------------------------------------------------------


async def test_a_silent_link_is_noticed_and_its_ghost_retired(process: EngineProcess, fresh: str) -> None:
    """Both ends live and nothing comes through: the worker notices, comes back, and takes its name and functions over.

    The engine believes in the ghost and hands it calls, until the worker has the engine end it.
    """
    gate = Gate()
    options = InitOptions(worker_name=fresh, heartbeat_interval=0.2, heartbeat_timeout=0.6)
    with trio.fail_after(LIMIT):
        await process.start()
        async with trio.open_nursery() as outer:
            relay = Relay(process.host, process.port)
            url = await relay.open(outer)
            async with (
                open_iii(url, options) as worker,
                open_iii(process.url) as other,
                trio.open_nursery() as nursery,
            ):
                await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
                await other.register_function(f"{fresh}::gate", gate).wait_registered()
                first_id = worker.statistics().worker_id
                ours = [start(nursery, worker.trigger, f"{fresh}::gate", number) for number in range(100)]
                await gate.wait_entered(100)
                relay.silence()
                silent_at = trio.current_time()
                theirs = start(nursery, other.trigger, f"{fresh}::echo", "to the ghost")
                await wait_lost(ours)
                took = trio.current_time() - silent_at
                figure("from silence to settlement, limit 0.6", took)
                assert took < 0.6 + SETTLED
                with pytest.raises(ConnectionLost):
                    await theirs.wait()
                await worker.wait_connected()
                assert await answer(other, f"{fresh}::echo", 1) == 1
                await until(lambda: relay.retired == 1)
                statistics = worker.statistics()
                assert (statistics.connects, statistics.refused_registrations) == (2, 0)
                assert statistics.worker_id != first_id
                info = await other.trigger("engine::workers::info", {"name": fresh})
                assert info["worker"]["id"] == statistics.worker_id
                gate.open()
            outer.cancel_scope.cancel()


# ---- handlers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cut", "silent"])
async def test_handlers_end_with_their_connection_where_their_function_says_so(
    process: EngineProcess, fresh: str, loss: str
) -> None:
    """The others go on and see that they are abandoned; of void calls and of calls that somebody waits for alike.

    The engine has told the callers, and takes no late answer for one of the next connection.
    """
    mortal, enduring = Gate(), Gate()
    seen: list[Invocation | None] = []
    options = InitOptions(worker_name=fresh, heartbeat_interval=0.2, heartbeat_timeout=0.6)

    async def endure(data: Any) -> Any:
        seen.append(current_invocation())
        return await enduring(data)

    with trio.fail_after(LIMIT):
        await process.start()
        async with (
            open_fault_proxy(process.host, process.port) as proxy,
            open_iii(process.url) as caller,
            open_iii(proxy.url, options) as worker,
            trio.open_nursery() as nursery,
        ):
            await worker.register_function(f"{fresh}::mortal", mortal, on_connection_lost="cancel").wait_registered()
            await worker.register_function(f"{fresh}::enduring", endure).wait_registered()
            calls: list[Outcome] = []
            for name in ("mortal", "enduring"):
                calls.append(start(nursery, caller.trigger, f"{fresh}::{name}", "call", timeout_ms=60_000))
                caller.trigger_nowait(f"{fresh}::{name}", "void")
            await mortal.wait_entered(2)
            await enduring.wait_entered(2)
            assert [invocation.abandoned for invocation in seen if invocation is not None] == [False, False]
            lost_at = trio.current_time()
            proxy.cut() if loss == "cut" else proxy.blackhole()
            await until(lambda: mortal.inside == 0)
            took = trio.current_time() - lost_at
            figure(f"from {loss} to the end of the handlers", took)
            assert took < (0 if loss == "cut" else 0.6) + SETTLED
            assert [invocation.abandoned for invocation in seen if invocation is not None] == [True, True]
            proxy.pass_again()
            proxy.cut()
            await worker.wait_connected()
            await wait_lost(calls)
            assert {call.error.code for call in calls if isinstance(call.error, ConnectionLost)} == {
                "invocation_stopped"
            }
            enduring.open()
            await until(lambda: worker.statistics().dropped_results == 2)
            statistics = worker.statistics()
            assert (statistics.cancelled_handlers, statistics.running_handlers) == (2, 0)
            assert await answer(caller, f"{fresh}::enduring", "again") == "again"
            assert seen[-1] is not None
            assert not seen[-1].abandoned
            assert caller.statistics().unknown_results == 0
