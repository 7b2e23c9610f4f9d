"""`serve`: from the signal to the end of the process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio import III, InitOptions, InvocationError, open_iii
from iii_trio.errors import AuthenticationError, Fate
from iii_trio.testing import EmbeddedEngine, open_engine
from tests._hostile import Engine as HostileEngine
from tests._hostile import Network, NeverEnds
from tests.conftest import Gate, Link, MemoryLink, start

ROOT: Final = Path(__file__).parents[1]
LIMIT: Final = 10.0
"""Seconds that no process here may take for anything."""

SIGNALS: Final = [signal.SIGTERM, signal.SIGINT]


async def _echo(data: Any) -> Any:
    return data


@pytest.fixture(autouse=True)
def _signals_do_afterwards_what_they_did() -> Any:
    """Whatever happens, the process's own handlers are back."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


# ---- in one process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_serve_and_leaving_drains(
    link: MemoryLink, engine: EmbeddedEngine, autojump_clock: MockClock, number: signal.Signals
) -> None:
    """The handler that runs when the signal comes is answered."""
    gate = Gate()
    async with Link(engine).client() as other, trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("gate", gate).wait_registered()
            answer = start(nursery, other.trigger, "gate", 1)
            serving = start(nursery, iii.serve)
            await gate.wait_entered()
            signal.raise_signal(number)
            await serving.wait()
            nursery.start_soon(_open_at, gate, 5)
        assert trio.current_time() == 5
        assert await answer.wait() == 1


async def _open_at(gate: Gate, seconds: float) -> None:
    await trio.sleep(seconds)
    gate.open()


async def _raise_at(seconds: float, number: signal.Signals) -> None:
    await trio.sleep(seconds)
    signal.raise_signal(number)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_second_signal_stops_everything_at_once(
    link: MemoryLink, autojump_clock: MockClock, number: signal.Signals
) -> None:
    """Handlers are cancelled, what is ready is sent, the connection closed; the block is left as ever."""
    gate = Gate()
    async with trio.open_nursery() as nursery:
        async with link.client(drain_timeout=25) as iii:
            await iii.register_function("gate", gate).wait_registered()
            iii.trigger_nowait("gate")
            nursery.start_soon(_raise_at, 1, signal.SIGTERM)
            nursery.start_soon(_raise_at, 3, number)
            await iii.serve()
            assert trio.current_time() == 1
        assert trio.current_time() == 3
    report = await iii.drain()
    assert report is not None
    assert report.cancelled_handlers == ("gate",)
    assert gate.inside == 0
    assert link.engine.connections == ()


@pytest.mark.parametrize(
    "second", [pytest.param(8, id="while handlers run"), pytest.param(33, id="while they are waited for in vain")]
)
async def test_a_second_signal_waits_for_no_engine(
    nursery: trio.Nursery, autojump_clock: MockClock, second: float
) -> None:
    """An engine that does not let go is given half a second, whatever the client waits for: a handler, or the goodbye."""
    engine = NeverEnds()
    network = Network(nursery, engine)
    gate = Gate()
    options = InitOptions(close_timeout=100)
    async with open_iii("ws://engine.invalid", options, open_stream=network.open_stream) as iii:
        iii.register_function("gate", gate)
        await engine.link.send(type="invokefunction", function_id="gate", data=None, invocation_id="i")
        await gate.wait_entered()
        nursery.start_soon(_raise_at, 5, signal.SIGTERM)
        nursery.start_soon(_raise_at, second, signal.SIGINT)
        await iii.serve()
    assert trio.current_time() == pytest.approx(second + 0.5)


async def test_an_engine_that_answers_gets_its_goodbye(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Also in a hurry: a Close, behind what was ready."""
    engine = HostileEngine()
    network = Network(nursery, engine)
    gate = Gate()
    async with open_iii("ws://engine.invalid", open_stream=network.open_stream) as iii:
        iii.register_function("gate", gate)
        await engine.link.send(type="invokefunction", function_id="gate", data=None, invocation_id="i")
        await gate.wait_entered()
        nursery.start_soon(_raise_at, 1, signal.SIGTERM)
        nursery.start_soon(_raise_at, 2, signal.SIGTERM)
        await iii.serve()
    assert trio.current_time() == 2
    assert engine.link.close is not None


async def test_a_cancelled_serve_gives_the_signals_back(link: MemoryLink) -> None:
    """Only the last one does; serving again works."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        before = signal.getsignal(signal.SIGTERM)
        for _ in range(2):
            async with trio.open_nursery() as inner:
                inner.start_soon(iii.serve)
                await wait_all_tasks_blocked()
                with trio.CancelScope() as scope:
                    nursery.start_soon(_cancel_when_blocked, scope)
                    await iii.serve()
                assert signal.getsignal(signal.SIGTERM) is not before
                inner.cancel_scope.cancel()
            await wait_all_tasks_blocked()
            assert signal.getsignal(signal.SIGTERM) is before


async def _cancel_when_blocked(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_serve_given_up_and_taken_up_in_one_breath(link: MemoryLink) -> None:
    """The handlers of signals are put back in order, and the second one hears the signal."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_blocked, scope)
            await iii.serve()
        serving = start(nursery, iii.serve)
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
        await serving.wait()


async def test_serve_after_the_signal_returns_at_once(link: MemoryLink) -> None:
    """All who serve hear of it, early or late."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        servings = [start(nursery, iii.serve) for _ in range(3)]
        await wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
        for serving in servings:
            await serving.wait()
        await iii.serve()


async def test_serve_ends_when_the_client_is_closed(link: MemoryLink, autojump_clock: MockClock) -> None:
    """By anybody; on a closed client it does not wait."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        serving = start(nursery, iii.serve)
        await trio.sleep(1)
        await iii.aclose()
        await serving.wait()
        await iii.serve()


async def test_serve_ends_with_what_ends_the_client(link: MemoryLink, autojump_clock: MockClock) -> None:
    """In the body, and beside it."""
    async with trio.open_nursery() as nursery:
        with pytest.raises(AuthenticationError, match="begone"):  # noqa: PT012 - it comes out of the block
            async with link.client() as iii:
                serving = start(nursery, iii.serve)
                await wait_all_tasks_blocked()
                link.engine.refuse_logins("begone")
                await link.go_down()
                link.is_up = True
                await iii.serve()
        with pytest.raises(AuthenticationError, match="begone"):
            await serving.wait()


def test_serve_outside_of_the_main_thread_waits_for_the_clients_end() -> None:
    """It raises nothing, and no signal is touched."""
    ended: list[str] = []

    async def main() -> None:
        async with open_engine() as engine, Link(engine).client() as iii, trio.open_nursery() as nursery:
            before = signal.getsignal(signal.SIGTERM)
            serving = start(nursery, iii.serve)
            await wait_all_tasks_blocked()
            assert not serving.done.is_set()
            assert signal.getsignal(signal.SIGTERM) is before
            await iii.drain()
            await serving.wait()
            ended.append("well")

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    thread.join(LIMIT)
    assert ended == ["well"]


# ---- a process of its own -------------------------------------------------------------------------------------------


@attrs.define
class Worker:
    """A worker's process."""

    process: trio.Process
    said: list[str] = attrs.field(factory=list)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def listen(self) -> None:
        """Take down what it prints."""
        text = ""
        assert self.process.stdout is not None
        async for data in self.process.stdout:
            text += data.decode()
            self.said[:] = text.splitlines()
            self._news.unpark_all()

    async def wait_said(self, word: str) -> None:
        """Wait for a line."""
        while not any(line.startswith(word) for line in self.said):
            await self._news.park()


@contextlib.asynccontextmanager
async def running(url: str, seconds: float) -> AsyncIterator[Worker]:
    """A worker's process, killed at the end if it is still there."""
    command = [sys.executable, "-m", "tests._worker_process", url, str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        worker = Worker(process)
        nursery.start_soon(worker.listen)
        try:
            await worker.wait_said("ready")
            yield worker
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


class Hammer:
    """Calls ``work`` all the time, and keeps what came of it."""

    def __init__(self, iii: III) -> None:
        self.iii = iii
        self.results = 0
        self.errors: list[InvocationError] = []
        self.wrong: list[Any] = []
        self._news = trio.lowlevel.ParkingLot()

    async def wait_results(self, count: int) -> None:
        """Wait until so many calls were answered."""
        while self.results < count:
            await self._news.park()

    async def swing(self) -> None:
        """One caller, until the function is gone."""
        while not self.errors:
            number = self.results
            try:
                answer = await self.iii.trigger("work", number)
            except InvocationError as error:
                self.errors.append(error)
            else:
                self.results += 1
                self._news.unpark_all()
                if answer != number:
                    self.wrong.append(answer)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that another process could send")
@pytest.mark.parametrize("number", SIGNALS)
async def test_a_worker_under_load_answers_all_that_it_accepted(number: signal.Signals) -> None:
    """SIGTERM while 50 callers hammer it: exit code 0, each invocation that began has its result, the rest never ran."""
    with trio.fail_after(3 * LIMIT):
        async with open_engine(port=0) as engine, running(engine.url, 0.05) as worker, open_iii(engine.url) as iii:
            hammer = Hammer(iii)
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(hammer.swing)
                await hammer.wait_results(200)
                worker.process.send_signal(number)
                with trio.fail_after(LIMIT):
                    assert await worker.process.wait() == 0
            await worker.wait_said(str(hammer.results))
            entered, _, cancelled, withdrawn = worker.said[-1].split()
            assert (int(entered), cancelled, withdrawn) == (hammer.results, "0", "True")
            assert not hammer.wrong
            assert {(error.code, error.fate) for error in hammer.errors} == {("function_not_found", Fate.NOT_RUN)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that another process could send")
async def test_a_worker_that_is_told_twice_is_gone_within_a_second() -> None:
    """Its handlers would take minutes; their callers hear from the engine."""
    with trio.fail_after(3 * LIMIT):
        async with (
            open_engine(port=0) as engine,
            running(engine.url, 300) as worker,
            open_iii(engine.url) as iii,
            trio.open_nursery() as nursery,
        ):
            calls = [start(nursery, iii.trigger, "work") for _ in range(50)]
            await trio.sleep(0.3)
            worker.process.send_signal(signal.SIGTERM)
            await worker.wait_said("draining")
            assert worker.process.poll() is None
            worker.process.send_signal(signal.SIGTERM)
            began = time.perf_counter()
            with trio.fail_after(LIMIT):
                assert await worker.process.wait() == 0
            took = time.perf_counter() - began
            for call in calls:
                with pytest.raises(InvocationError) as caught:
                    await call.wait()
                assert caught.value.code == "invocation_stopped"
            print(f"gone after {took:.3f} s")
            assert took < 3  # the promise is one second; the rest is for a machine that has more to do
