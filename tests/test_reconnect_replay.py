"""What a client says when it comes back, counted at the engine; and how often it asks one that does not want it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

from iii_trio import III, InitOptions, open_iii
from iii_trio._wire.messages import RegisterFunction
from iii_trio.errors import ConnectionLost, Fate
from iii_trio.testing import EmbeddedEngine, open_engine
from tests._hostile import AnswersHttp, DropsAfterUpgrade, EndsInHandshake, Engine, Link, Network, StopsPonging
from tests.conftest import start
from tests.interop.engines import until

URL: Final = "ws://engine.invalid"
LIMIT: Final = 60.0
MANY: Final = 1_000


async def _echo(data: Any) -> Any:
    return data


class FloodsBeforeTheReplay(Engine):
    """Greets, and sends invocations at once, before it has read anything."""

    def __init__(self, invocations: int) -> None:
        super().__init__()
        self._invocations = invocations
        self.about_to_greet: Callable[[], object] = lambda: None

    async def greet(self, link: Link) -> None:
        self.about_to_greet()
        await super().greet(link)
        for number in range(self._invocations):
            await link.send(type="invokefunction", function_id="work", data=None, invocation_id=f"i-{number}")


# ---- once each ------------------------------------------------------------------------------------------------------


def registered(engine: EmbeddedEngine) -> dict[str, Counter[str]]:
    """How often each connection registered each function."""
    found: dict[str, Counter[str]] = {}
    for received in engine.received:
        if isinstance(received.frame, RegisterFunction):
            found.setdefault(received.connection_id, Counter())[received.frame.id] += 1
    return found


async def register_many(iii: III) -> Counter[str]:
    """A thousand functions, accepted by the engine."""
    refs = [iii.register_function(f"f::{number}", _echo) for number in range(MANY)]
    for ref in refs:
        await ref.wait_registered()
    return Counter(ref.id for ref in refs)


@pytest.fixture
def stack() -> AsyncExitStack:
    """Engines and clients that do not end in the order in which they began."""
    return AsyncExitStack()


async def test_a_thousand_registrations_are_sent_once_each_after_a_drop() -> None:
    """On every connection each once; every one answers."""
    with trio.fail_after(LIMIT):
        async with open_engine(port=0) as engine, open_iii(engine.url) as iii:
            wanted = await register_many(iii)
            for drops in (1, 2, 3):
                engine.drop_links()
                await engine.wait_received(MANY * (drops + 1), RegisterFunction)
                await iii.wait_connected()
                replays = registered(engine)
                assert len(replays) == drops + 1
                assert all(replay == wanted for replay in replays.values())
            assert await iii.trigger(f"f::{MANY - 1}", 1) == 1
            assert engine.undecodable == ()


async def test_a_thousand_registrations_are_sent_once_each_after_a_restart(stack: AsyncExitStack) -> None:
    """To an engine that has never seen this worker; one withdrawn while there was no engine is not among them."""
    with trio.fail_after(LIMIT):
        async with stack:
            first = await stack.enter_async_context(open_engine(port=0))
            iii = await stack.enter_async_context(open_iii(first.url))
            wanted = await register_many(iii)
            gone = iii.register_function("gone", _echo)
            await gone.wait_registered()
            await first.aclose()
            await until(lambda: iii.get_connection_state() != "connected")
            gone.unregister()
            second = await stack.enter_async_context(open_engine(port=first.port))
            await iii.wait_connected()
            assert list(registered(second).values()) == [wanted]
            assert await iii.trigger("f::0", 1) == 1
            assert second.undecodable == ()
            await iii.aclose()


async def test_what_comes_during_a_slow_replay_is_taken(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The socket takes the replay slowly, and the engine sends invocations all the while: their handlers run meanwhile."""
    first, second = Engine(), FloodsBeforeTheReplay(invocations=1_000)
    network = Network(nursery, first, second)
    started: list[float] = []

    async def work() -> None:
        started.append(trio.current_time())

    async with open_iii(URL, InitOptions(heal_early_results=False), open_stream=network.open_stream) as iii:
        iii.register_function("work", work)
        second.about_to_greet = lambda: setattr(network.streams[-1], "delay", 3.0)
        await first.link.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await iii.wait_connected()
        ready_at = trio.current_time()
        assert len(started) == 1_000
        assert max(started) + 2 < ready_at
        await second.wait_for(lambda: second.link.types().count("work") == 1_000)
        assert iii.statistics().dropped_results == 0


async def test_a_replay_that_is_cut_starts_over() -> None:
    """Wherever it was cut: the connection that lasts has each registration once."""
    with trio.fail_after(LIMIT):
        async with open_engine(port=0) as engine, open_iii(engine.url) as iii:
            wanted = await register_many(iii)
            engine.drop_links()
            await engine.wait_received(MANY + 100, RegisterFunction)
            engine.drop_links()
            await until(lambda: iii.statistics().connects == 3)
            await iii.wait_connected()
            assert registered(engine)[engine.connections[-1]] == wanted
            assert len(engine.connections) == 1
            assert await iii.trigger(f"f::{MANY - 1}", 1) == 1


# ---- not hammered ---------------------------------------------------------------------------------------------------


class DropsAtOnce:
    """Accepts a connection and drops it, as a load balancer without a backend does."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        await trio.lowlevel.checkpoint()


class DropsAfterGreeting(Engine):
    """Greets, and drops the link."""

    async def greet(self, link: Link) -> None:
        await super().greet(link)
        await link.stream.aclose()


class DropsInReplay(Engine):
    """Takes the worker's registration for an occasion to leave."""

    async def register(self, link: Link, frame: dict[str, Any]) -> None:
        await link.stream.aclose()


class DropsAtBarrier(Engine):
    """Takes all of the replay, and drops the link before it confirms it."""

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        if frame["type"] == "ping":
            await link.stream.aclose()
        else:
            await super().answer(link, frame)


class DropsWhenReady(Engine):
    """Confirms the replay, and drops the link then."""

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        await super().answer(link, frame)
        if frame["type"] == "ping":
            await link.stream.aclose()


@pytest.fixture(
    params=[
        DropsAtOnce,
        EndsInHandshake,
        DropsAfterUpgrade,
        DropsAfterGreeting,
        DropsInReplay,
        DropsAtBarrier,
        lambda: AnswersHttp(503),
    ],
    ids=["at-once", "in-handshake", "after-upgrade", "after-greeting", "in-replay", "at-the-barrier", "http-503"],
)
def dropping(request: pytest.FixtureRequest) -> Any:
    """A server that accepts connections, and ends each before it was of use."""
    return request.param()


async def attempts_in_a_minute(nursery: trio.Nursery, peer: Any) -> int:
    """How often a client asks in the minute after an engine was replaced by such a peer."""
    engine = Engine()
    network = Network(nursery, engine, peer)
    with trio.move_on_after(60.5):
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            iii.register_function("f", _echo)
            await trio.sleep(0.5)
            await engine.link.stream.aclose()
            await trio.sleep_forever()
    return len(network.opened_at) - 1


async def test_who_accepts_and_drops_is_not_hammered(
    nursery: trio.Nursery, autojump_clock: MockClock, dropping: Any
) -> None:
    """However far it gets before it drops: six times in the first minute at most, as the waits grow."""
    assert 4 <= await attempts_in_a_minute(nursery, dropping) <= 6


async def test_who_drops_when_ready_is_asked_about_once_a_second(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A connection that was ready starts the waits over, and the first wait is 1 s, 0.7 to 1.3 with its jitter."""
    assert 46 <= await attempts_in_a_minute(nursery, DropsWhenReady()) <= 86


# ---- refused for a while --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outage", [0.1, 1, 10, 30, 60])
async def test_functions_answer_soon_after_a_port_that_refused(autojump_clock: MockClock, outage: float) -> None:
    """Within 3 s of its listening again, however long it has refused, ten times over."""
    async with open_engine() as engine, open_iii(engine.url, open_stream=engine.open_stream) as caller:
        is_up = True

        async def open_stream() -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            if not is_up:
                raise ConnectionRefusedError
            return await engine.open_stream()

        async with open_iii(engine.url, open_stream=open_stream) as worker:
            await worker.register_function("echo", _echo).wait_registered()
            for number in range(10):
                is_up = False
                engine.drop_links()
                await trio.sleep(outage)
                is_up = True
                listened_at = trio.current_time()
                await worker.wait_connected()
                await caller.wait_connected()
                assert await caller.trigger("echo", number) == number
                assert trio.current_time() - listened_at < 3


# ---- silent ---------------------------------------------------------------------------------------------------------


async def test_calls_of_a_silent_link_end_with_it(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """60 s after the last byte the link is lost, and 100 calls in flight with it, at once."""
    silent, engine = StopsPonging(), Engine()
    network = Network(nursery, silent, engine)
    async with open_iii(URL, InitOptions(invocation_timeout_ms=600_000), open_stream=network.open_stream) as iii:
        async with trio.open_nursery() as calling:
            calls = [start(calling, iii.trigger, "nobody", number) for number in range(100)]
            await silent.wait_for(lambda: silent.link.types().count("nobody") == 100)
            silent.silent = True
            last_byte = trio.current_time()
        assert 60 <= trio.current_time() - last_byte < 61
        assert {call.error.fate for call in calls if isinstance(call.error, ConnectionLost)} == {Fate.MAY_HAVE_RUN}
        assert iii.statistics().lost_calls == 100
        assert await iii.trigger("echo", 1) == 1


async def test_an_idle_link_is_pinged_whenever_it_fell_silent(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """At any time, also one that makes twenty seconds later less than twenty seconds later, as floats do."""
    engine = Engine()
    network = Network(nursery, engine)
    moments = [number * math.pi / 100 for number in range(1, 400)]
    assert any(moment + 20 - moment < 20 for moment in moments)

    async def idle(moment: float) -> None:
        await trio.sleep_until(moment)
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            await trio.sleep(45)
            assert iii.statistics().connects == 1

    async with trio.open_nursery() as clients:
        for moment in moments:
            clients.start_soon(idle, moment)
    # The barrier of the replay, and one after each 20 s.
    assert [link.types().count("ping") for link in engine.links] == [3] * len(moments)
