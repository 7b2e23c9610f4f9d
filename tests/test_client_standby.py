"""Standby: an id or a name that another worker has is asked for again, until it is ours."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import InitOptions, ReconnectionConfig, open_iii
from iii_trio._session.backoff import STANDBY_DELAY, standby_delay
from iii_trio._wire.messages import InvokeFunction, Reattach, RegisterFunction, UnregisterFunction
from iii_trio.errors import (
    ClientClosed,
    ConfigurationError,
    EngineUnavailable,
    InvocationError,
    RegistrationRejectedError,
)
from tests.conftest import MemoryLink, frames, start


async def ours(data: Any) -> str:
    return "ours"


async def theirs(data: Any) -> str:
    return "theirs"


def offers(link: MemoryLink, function_id: str) -> int:
    """How often the engine was asked for an id, by anybody."""
    return len(frames(link.engine, RegisterFunction, id=function_id))


def registers(link: MemoryLink) -> int:
    """How often the engine was asked for a name, by anybody."""
    return len(frames(link.engine, InvokeFunction, function_id="engine::workers::register"))


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 3.5), (0.5, 5.0), (1.0, 6.5)], ids=["least", "middle", "most"])
def test_who_stands_by_asks_every_5_seconds(random: float, seconds: float) -> None:
    """30 % more or less, so that many do not ask in step."""
    assert standby_delay(random) == pytest.approx(seconds)
    assert STANDBY_DELAY == 5.0


# ---- functions ------------------------------------------------------------------------------------------------------


async def test_a_function_is_ours_when_its_owner_leaves(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Within 6.5 s, as in a rolling deployment; until then the owner serves, and `wait_registered` waits."""
    async with link.client() as second, trio.open_nursery() as nursery:
        async with link.client() as first:
            await first.register_function("f", theirs).wait_registered()
            ref = second.register_function("f", ours, on_conflict="standby")
            waiting = start(nursery, ref.wait_registered)
            await trio.sleep(100)
            assert await second.trigger("f") == "theirs"
            assert "standby" in repr(ref)
            assert not waiting.done.is_set()
        left = trio.current_time()
        await waiting.wait()
        assert trio.current_time() - left <= 6.5
        assert await second.trigger("f") == "ours"
        assert "accepted" in repr(ref)


async def test_a_function_on_standby_is_handed_over_when_nobody_waits_for_it(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """Asking needs no `wait_registered`; as a decorator it is the same."""
    async with link.client() as first, link.client() as second:
        owned = first.register_function("f", theirs)
        await owned.wait_registered()
        second.function("f", on_conflict="standby")(ours)
        await trio.sleep(20)
        owned.unregister()
        await trio.sleep(6.6)
        assert await second.trigger("f") == "ours"
        assert second.statistics().standby_functions == 0


async def test_a_function_on_standby_is_asked_for_every_5_seconds_and_not_more_often(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """However many wait for it, and whatever else is going on; once it is ours it is not asked for any more."""
    async with link.client() as first, link.client() as second, trio.open_nursery() as nursery:
        owned = first.register_function("f", theirs)
        await owned.wait_registered()
        ref = second.register_function("f", ours, on_conflict="standby")
        waits = [start(nursery, ref.wait_registered) for _ in range(3)]
        for _ in range(650):
            await trio.sleep(1)
            await second.trigger("f", timeout_ms=500)
        assert 100 <= offers(link, "f") - 2 <= 185
        owned.unregister()
        for wait in waits:
            await wait.wait()
        asked = offers(link, "f")
        await trio.sleep(100)
        assert offers(link, "f") == asked


async def test_functions_on_standby_are_handed_over_one_by_one(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Each when its own owner lets it go; the others go on waiting."""
    async with link.client() as first, link.client() as second:
        owned = [first.register_function(f"f{number}", theirs) for number in range(5)]
        await owned[-1].wait_registered()
        wanted = [second.register_function(f"f{number}", ours, on_conflict="standby") for number in range(5)]
        await trio.sleep(1)
        assert second.statistics().standby_functions == 5
        for number in range(5):
            owned[number].unregister()
            await wanted[number].wait_registered()
            assert second.statistics().standby_functions == 4 - number
            assert await second.trigger(f"f{number}") == "ours"
            for later in range(number + 1, 5):
                assert await second.trigger(f"f{later}") == "theirs"


async def test_a_function_unregistered_on_standby_is_not_asked_for_any_more(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """Who waits for it is told, and its owner is left alone."""
    async with link.client() as first, link.client() as second, trio.open_nursery() as nursery:
        await first.register_function("f", theirs).wait_registered()
        ref = second.register_function("f", ours, on_conflict="standby")
        waiting = start(nursery, ref.wait_registered)
        await trio.sleep(30)
        ref.unregister()
        with pytest.raises(ConfigurationError, match="unregistered"):
            await waiting.wait()
        asked = offers(link, "f")
        await trio.sleep(30)
        assert offers(link, "f") == asked
        assert frames(link.engine, UnregisterFunction) == []
        assert second.statistics().standby_functions == 0
        assert await second.trigger("f") == "theirs"


async def test_a_client_that_drains_takes_nothing_over(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What stands by is not asked for any more, withdrawn with the rest, and left to its owner."""

    async def slow(data: Any) -> None:
        await trio.sleep(20)

    async with link.client() as first, trio.open_nursery() as nursery:
        await first.register_function("f", theirs).wait_registered()
        async with link.client(drain_timeout=60) as second:
            await second.register_function("slow", slow).wait_registered()
            ref = second.register_function("f", ours, on_conflict="standby")
            waiting = start(nursery, ref.wait_registered)
            await trio.sleep(30)
            second.trigger_nowait("slow")
            await trio.testing.wait_all_tasks_blocked()
            asked = offers(link, "f")
            report = await second.drain()
        assert report is not None
        assert (report.finished_handlers, report.withdrawn) == (1, True)
        assert offers(link, "f") == asked
        assert [frame.id for frame in frames(link.engine, UnregisterFunction)] == ["slow"]
        assert second.statistics().standby_functions == 0
        with pytest.raises(ClientClosed):
            await waiting.wait()
        assert await first.trigger("f") == "theirs"


async def test_a_function_on_standby_is_offered_with_every_replay(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A lost link is no reason to wait longer, and what it refuses again stands by again."""
    async with link.client() as second, trio.open_nursery() as nursery:
        wire = link.wire
        async with link.client() as first:
            await first.register_function("f", theirs).wait_registered()
            ref = second.register_function("f", ours, on_conflict="standby")
            waiting = start(nursery, ref.wait_registered)
            await trio.sleep(30)
            asked = offers(link, "f")
            wire.cut()
            await trio.testing.wait_all_tasks_blocked()
            assert second.statistics().standby_functions == 0
            await second.wait_connected()
            await trio.testing.wait_all_tasks_blocked()
            assert offers(link, "f") == asked + 1
            assert second.statistics().standby_functions == 1
        await waiting.wait()
        assert await second.trigger("f") == "ours"


@pytest.mark.parametrize("given", [{}, {"on_conflict": "raise"}], ids=["default", "raise"])
async def test_a_function_is_refused_for_good_unless_it_stands_by(
    link: MemoryLink, autojump_clock: MockClock, given: dict[str, Any]
) -> None:
    """That is the default; it is not asked for again, even beside others that are."""
    async with link.client() as first, link.client() as second:
        owned = [first.register_function(name, theirs) for name in ("f", "g")]
        await owned[-1].wait_registered()
        second.register_function("g", ours, on_conflict="standby")
        ref = second.register_function("f", ours, **given)
        with pytest.raises(RegistrationRejectedError):
            await ref.wait_registered()
        for each in owned:
            each.unregister()
        await trio.sleep(60)
        assert (offers(link, "f"), await second.trigger("g")) == (2, "ours")
        with pytest.raises(InvocationError, match="not found"):
            await second.trigger("f")
        with pytest.raises(RegistrationRejectedError):
            await ref.wait_registered()


@pytest.mark.parametrize("value", ["wait", "", None, True, ["standby"]], ids=repr)
async def test_there_are_two_ways_to_meet_a_conflict(link: MemoryLink, value: Any) -> None:
    """Another word is refused, and the id stays free."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="on_conflict of 'f'"):
            iii.register_function("f", ours, on_conflict=value)
        with pytest.raises(ConfigurationError, match="on_conflict of 'f'"):
            iii.function("f", on_conflict=value)(ours)
        await iii.register_function("f", ours).wait_registered()


# ---- the name -------------------------------------------------------------------------------------------------------


async def test_a_name_is_ours_when_its_owner_leaves(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Within 6.5 s, with the functions; until then opening waits, far longer than `open_timeout`, and counts no failure."""
    async with trio.open_nursery() as nursery:
        names: list[str] = []

        async def second() -> None:
            options: dict[str, Any] = {
                "on_conflict": "standby",
                "open_timeout": 1,
                "reconnection_config": ReconnectionConfig(max_retries=0),
            }
            async with link.client(worker_name="orders", **options) as iii:
                names.append(iii.worker_name)
                assert iii.statistics().connect_failures == 0
                await iii.register_function("f", ours).wait_registered()
                assert await iii.trigger("f") == "ours"

        async with link.client(worker_name="orders") as first:
            await first.register_function("f", theirs).wait_registered()
            opening = start(nursery, second)
            await trio.sleep(200)
            assert not opening.done.is_set()
            assert await first.trigger("f") == "theirs"
        left = trio.current_time()
        await opening.wait()
        assert names == ["orders"]
        assert trio.current_time() - left <= 6.5


async def test_a_name_is_asked_for_every_5_seconds_and_not_more_often(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """One connection each time, closed in between; the caller's scope is the time-out."""
    async with link.client(worker_name="orders") as first:
        before = registers(link)
        with trio.move_on_after(650) as scope:
            async with link.client(worker_name="orders", on_conflict="standby"):
                raise AssertionError
        assert scope.cancelled_caught
        assert 100 <= registers(link) - before <= 186
        assert frames(link.engine, Reattach) == []
        await trio.sleep(10)
        assert link.engine.connections == (first.statistics().worker_id,)


async def test_standby_is_told_with_its_reason(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A client that lost its name while it was away: state, reason and way back, for watchers."""
    async with link.client(worker_name="orders", on_conflict="standby") as second:
        ref = second.register_function("f", ours)
        await ref.wait_registered()
        changes = second.state_changes()
        await link.go_down()
        link.is_up = True
        async with open_iii(
            link.engine.url, InitOptions(worker_name="orders"), open_stream=link.engine.open_stream
        ) as first:
            await first.wait_connected()
            await trio.sleep(1.5)
            assert second.get_connection_state() == "reconnecting"
        await second.wait_connected()
        assert await second.trigger("f") == "ours"
        assert second.statistics().connect_failures == 0
    told = [(change.client, change.connection, change.reason) async for change in changes]
    taken = "the worker name 'orders' is taken in namespace 'default' (WORKER_NAMESPACE_CONFLICT)"
    assert ("standby", "replaying", taken) in told
    assert ("standby", None, taken) in told
    states = [client for client, _, _ in told]
    assert states.index("offline") < states.index("standby") < len(states) - 1 - states[::-1].index("online")


@pytest.mark.parametrize("given", [{}, {"on_conflict": "raise"}], ids=["default", "raise"])
async def test_a_name_is_refused_for_good_unless_it_stands_by(
    link: MemoryLink, autojump_clock: MockClock, given: dict[str, Any]
) -> None:
    """That is the default: opening fails at once."""
    async with link.client(worker_name="orders"):
        with pytest.raises(RegistrationRejectedError) as caught:
            async with link.client(worker_name="orders", **given):
                raise AssertionError
        assert (caught.value.code, caught.value.worker_name) == ("WORKER_NAMESPACE_CONFLICT", "orders")
    assert trio.current_time() < 1


@pytest.mark.parametrize("way", ["drain", "aclose"])
async def test_a_client_on_standby_can_be_ended(link: MemoryLink, autojump_clock: MockClock, way: str) -> None:
    """It waits for no name any more."""
    async with link.client(worker_name="orders", on_conflict="standby") as second:
        await link.go_down()
        link.is_up = True
        async with open_iii(link.engine.url, InitOptions(worker_name="orders"), open_stream=link.engine.open_stream):
            await trio.sleep(20)
            began, asked = trio.current_time(), registers(link)
            await getattr(second, way)()
            assert trio.current_time() - began < 1
            await trio.sleep(20)
            assert registers(link) == asked


async def test_an_engine_that_goes_away_meanwhile_is_waited_for_as_at_first(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """`open_timeout` counts from the last time that the engine was there, and not from the beginning."""
    async with link.client(worker_name="orders") as first:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def vanish() -> None:
                await trio.sleep(100)
                link.is_up = False

            async def stand_by() -> None:
                async with link.client(worker_name="orders", on_conflict="standby"):
                    raise AssertionError

            nursery.start_soon(vanish)
            opening = start(nursery, stand_by)
        assert isinstance(opening.error, EngineUnavailable)
        assert 100 + 5 < trio.current_time() - began <= 100 + 10 + 6.5
        assert first.get_connection_state() == "connected"
