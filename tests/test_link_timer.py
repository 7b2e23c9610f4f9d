"""The timer: calls end at their deadlines, in the order of these."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock

from iii_trio import InitOptions, open_iii
from iii_trio.errors import Fate, InvocationTimeout
from tests._hostile import Engine, Network

URL = "ws://engine.invalid"


async def test_calls_end_at_their_own_deadlines(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A later call with an earlier deadline does not wait for the first one, and infinity never ends."""
    network = Network(nursery, Engine())
    ended: dict[float, float] = {}

    async with open_iii(URL, open_stream=network.open_stream) as iii, trio.open_nursery() as calls:

        async def call(seconds: float) -> None:
            with pytest.raises(InvocationTimeout) as caught:
                await iii.trigger("nobody", timeout_ms=seconds * 1000)
            assert caught.value.fate is Fate.MAY_HAVE_RUN
            ended[seconds] = trio.current_time()

        for seconds in (40, 5, 20, 1, math.inf, 0.25):
            calls.start_soon(call, seconds)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(50)
        assert iii.statistics().timed_out_calls == 5
        assert iii.statistics().calls_in_flight == 1
        calls.cancel_scope.cancel()
    assert ended == {seconds: pytest.approx(seconds) for seconds in (0.25, 1, 5, 20, 40)}


async def test_calls_time_out_while_there_is_no_link(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Deadlines count whether the engine is there or not, and the error knows that nothing was sent."""
    engine = Engine()
    network = Network(nursery, engine)

    async def open_stream() -> trio.abc.Stream:
        if network.opened_at:
            raise OSError("gone for good")
        return await network.open_stream()

    async with open_iii(URL, InitOptions(invocation_timeout_ms=7_000), open_stream=open_stream) as iii:
        await engine.link.stream.aclose()
        await trio.sleep(1)
        began = trio.current_time()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger("echo")
        assert caught.value.fate is Fate.NEVER_SENT
        assert trio.current_time() - began == pytest.approx(7)
