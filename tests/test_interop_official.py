"""The official SDK as worker and ours as caller, and the other way round, over the embedded engine on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio

from iii_trio import III, InitOptions, InvocationError, ReconnectionConfig, TriggerAction, open_iii
from iii_trio.errors import ConnectionLost, Fate
from iii_trio.testing import EmbeddedEngine, open_engine
from tests.conftest import Gate, start
from tests.interop.official import PYTHON, Official, OfficialError, open_official

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON,
        reason="III_TEST_OFFICIAL_PYTHON names no interpreter that has iii-sdk: `nox -s interop` makes one, and runs this",
    ),
]

LIMIT = 60.0
FUNCTIONS = 9
"""What the official worker registers."""

PAYLOADS: list[Any] = [{"a": [1, None, "€"]}, [], {}, 0, False, "text", 1.5, 2**63]
"""Without None: the official SDK leaves the data of such a call out, and an engine drops what has none."""

QUICKLY = InitOptions(reconnection_config=ReconnectionConfig(initial_delay_ms=100, max_delay_ms=500))


@attrs.frozen
class Pair:
    """One worker on each SDK, at the same engine."""

    engine: EmbeddedEngine
    ours: III
    official: Official

    async def all_is_registered(self) -> None:
        """The official SDK does not say when its functions are there: the engine lists them."""
        while True:
            listed = await self.ours.trigger("engine::functions::list", {"prefix": f"{self.official.prefix}::"})
            if len(listed["functions"]) == FUNCTIONS:
                return
            await trio.sleep(0.02)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Both are connected, and the engine could decode all that they sent."""
    with trio.fail_after(LIMIT):
        async with (
            open_engine(port=0) as engine,
            open_iii(engine.url, QUICKLY) as ours,
            open_official(engine.url, "official") as official,
        ):
            pair = Pair(engine, ours, official)
            await pair.all_is_registered()
            yield pair
            assert engine.undecodable == ()
            statistics = ours.statistics()
            assert (statistics.undecodable_frames, statistics.unexpected_frames) == (0, 0)


# ---- ours calls the official SDK ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["echo", "echo_async"])
async def test_we_call_it(pair: Pair, name: str) -> None:
    """Sync and async handlers get every kind of payload, and we their results."""
    for payload in [None, *PAYLOADS]:
        assert await pair.ours.trigger(f"official::{name}", payload) == payload


async def test_many_of_our_calls_at_once_find_their_answers(pair: Pair) -> None:
    """A hundred."""
    async with trio.open_nursery() as nursery:
        calls = [start(nursery, pair.ours.trigger, "official::echo_async", number) for number in range(100)]
        assert [await call.wait() for call in calls] == [*range(100)]


async def test_a_handler_of_its_that_returns_nothing(pair: Pair) -> None:
    """The call ends, with None."""
    assert await pair.ours.trigger("official::nothing", 1) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("fail", "no good: 7", id="any-exception"),
        # The official SDK keeps no handler's own code: it stands in the message.
        pytest.param("fail_with_code", "out_of_stock: none left", id="its-own-error-class"),
    ],
)
async def test_an_error_of_its_handler_reaches_us(pair: Pair, name: str, message: str) -> None:
    """Code and message, and that it ran."""
    with pytest.raises(InvocationError) as caught:
        await pair.ours.trigger(f"official::{name}", 7)
    assert (caught.value.code, caught.value.message) == ("invocation_failed", message)
    assert caught.value.fate is Fate.RAN
    assert "Traceback" in (caught.value.stacktrace or "")


async def test_our_metadata_reaches_its_handler(pair: Pair) -> None:
    """As it is, also where a deadline travels with it, and nothing where we sent none."""
    ours = pair.ours
    assert await ours.trigger("official::with_metadata", 1, metadata={"tenant": "acme"}) == [1, {"tenant": "acme"}]
    assert await ours.trigger("official::with_metadata", 1) == [1, None]


async def test_our_void_call_runs_there(pair: Pair) -> None:
    """In both ways to make one."""
    await pair.ours.trigger("official::note", {"n": 1}, action=TriggerAction.Void())
    pair.ours.trigger_nowait("official::note", {"n": 2})
    await pair.official.wait_until(lambda: len(pair.official.notes) == 2)
    assert sorted(note["n"] for note in pair.official.notes) == [1, 2]


async def test_its_handler_sees_who_called(pair: Pair) -> None:
    """In the payload, where the engine puts it."""
    assert await pair.ours.trigger("official::caller", {}) == pair.ours.statistics().worker_id


# ---- the official SDK calls ours ------------------------------------------------------------------------------------


async def _echo(data: Any) -> Any:
    return data


async def test_it_calls_us(pair: Pair) -> None:
    """Async and sync handlers of ours get every kind of payload that it can send."""
    await pair.ours.register_function("ours::echo", _echo).wait_registered()
    await pair.ours.register_function("ours::sync", lambda data: data).wait_registered()
    for payload in PAYLOADS:
        assert await pair.official.trigger("ours::echo", payload) == payload
        assert await pair.official.trigger("ours::sync", payload) == payload


async def test_many_of_its_calls_at_once_find_their_answers(pair: Pair) -> None:
    """A hundred, from as many threads."""
    await pair.ours.register_function("ours::echo", _echo).wait_registered()
    async with trio.open_nursery() as nursery:
        calls = [start(nursery, pair.official.trigger, "ours::echo", number) for number in range(100)]
        assert [await call.wait() for call in calls] == [*range(100)]


async def test_a_handler_of_ours_that_returns_nothing(pair: Pair) -> None:
    """Its call ends, with None."""

    async def nothing(data: Any) -> None:
        return None

    await pair.ours.register_function("ours::nothing", nothing).wait_registered()
    assert await pair.official.trigger("ours::nothing", 1) is None


async def test_an_error_of_our_handler_reaches_it(pair: Pair) -> None:
    """Code and message: of any exception, with a code of its own, and of a function that nobody has."""

    async def fail(data: Any) -> None:
        raise ValueError("no good")

    async def fail_with_code(data: Any) -> None:
        raise InvocationError("out_of_stock", "none left")

    for name, handler, code, words in (
        ("fail", fail, "invocation_failed", "ValueError: no good"),
        ("fail_with_code", fail_with_code, "out_of_stock", "none left"),
        ("nobody", None, "function_not_found", "ours::nobody"),
    ):
        if handler is not None:
            await pair.ours.register_function(f"ours::{name}", handler).wait_registered()
        with pytest.raises(OfficialError) as caught:
            await pair.official.trigger(f"ours::{name}", "seven")
        assert caught.value.code == code
        assert words in caught.value.message


async def test_its_metadata_reaches_our_handler(pair: Pair) -> None:
    """As it is, and nothing where it sent none."""

    async def with_metadata(data: Any, metadata: Any) -> Any:
        return [data, metadata]

    await pair.ours.register_function("ours::with_metadata", with_metadata).wait_registered()
    answer = await pair.official.trigger("ours::with_metadata", 1, metadata={"tenant": "acme"})
    assert answer == [1, {"tenant": "acme"}]
    assert await pair.official.trigger("ours::with_metadata", 1) == [1, None]


async def test_its_void_call_runs_here(pair: Pair) -> None:
    """And it goes on at once."""
    gate = Gate()
    await pair.ours.register_function("ours::gate", gate).wait_registered()
    assert await pair.official.trigger("ours::gate", 1, action={"type": "void"}) is None
    await gate.wait_entered()
    gate.open()


# ---- both come back -------------------------------------------------------------------------------------------------


async def test_both_come_back_and_call_each_other_again(pair: Pair) -> None:
    """Our calls in flight end at once when the links drop; afterwards both directions work, three times over."""
    await pair.ours.register_function("ours::echo", _echo).wait_registered()
    for number in range(1, 4):
        async with trio.open_nursery() as nursery:
            call = start(nursery, pair.ours.trigger, "official::slow", 20)
            await pair.ours.trigger("official::echo", 1)
            lost_at = trio.current_time()
            pair.engine.drop_links()
            with pytest.raises(ConnectionLost) as caught:
                await call.wait()
            assert trio.current_time() - lost_at < 1
            assert caught.value.fate is Fate.MAY_HAVE_RUN
        await pair.official.wait_connects(number)
        await pair.ours.wait_connected()
        await pair.all_is_registered()
        assert await pair.ours.trigger("official::echo", number) == number
        assert await pair.official.trigger("ours::echo", number) == number
    assert pair.ours.statistics().connects == 4
