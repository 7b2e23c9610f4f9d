"""`state_changes()`: every change with its reason, for every watcher, and the last one in any case."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, StateChange, StateChanges
from iii_trio._client import watching
from iii_trio._client.watching import KEPT
from iii_trio._session.states import ClientEvent, ConnectionEvent
from iii_trio.errors import AuthenticationError
from tests.conftest import MemoryLink, start


async def all_of(changes: StateChanges) -> list[StateChange]:
    """What comes until the end."""
    return [change async for change in changes]


async def come_back(link: MemoryLink, iii: III) -> None:
    """Lose the connection, and find the engine again."""
    await link.go_down()
    link.is_up = True
    await iii.wait_connected()


async def test_a_lost_link_is_told_with_its_reason(link: MemoryLink, autojump_clock: MockClock) -> None:
    """From the state at the time of asking to the end, in the references' words and in the finer ones."""
    async with link.client() as iii:
        changes = iii.state_changes()
        await come_back(link, iii)
        came_back_at = trio.current_time()
    told = [(change.state, change.client, change.connection, change.reason) for change in await all_of(changes)]
    assert told == [
        ("connected", "online", "ready", "the engine knows this worker and what it registered"),
        ("reconnecting", "offline", None, "the connection broke (the link was cut)"),
        ("reconnecting", "offline", "opening", "a connection was opened"),
        ("reconnecting", "offline", "replaying", "the engine greeted this worker"),
        ("connected", "online", "ready", "the engine knows this worker and what it registered"),
        ("connected", "draining", "ready", "this client is being drained"),
        ("disconnected", "closed", "ready", "this client was closed"),
    ]
    assert came_back_at > 0


async def test_a_change_says_when_it_was(link: MemoryLink, autojump_clock: MockClock) -> None:
    """On trio's clock, and not when the watcher came to look."""
    async with link.client() as iii:
        changes = iii.state_changes()
        await trio.sleep(7)
        await link.go_down()
        await trio.sleep(1_000)
        first, second = await anext(changes), await anext(changes)
        assert (first.at, second.at) == (0, 7)


async def test_a_restarted_engine_is_told_from_a_lost_link(link: MemoryLink, autojump_clock: MockClock) -> None:
    """`link_lost` each time, and `session_lost` behind the change to ready when the engine is another one."""
    async with link.client() as iii:
        changes = iii.state_changes()
        await come_back(link, iii)
        await link.engine.restart()
        await trio.sleep(10)
        assert iii.get_connection_state() == "connected"
    told = [(change.client, change.connection, change.cause) for change in await all_of(changes)]
    back = [("offline", "opening", None), ("offline", "replaying", None), ("online", "ready", None)]
    assert told == [
        ("online", "ready", None),
        ("offline", None, "link_lost"),
        *back,
        ("offline", None, "link_lost"),
        *back,
        ("online", "ready", "session_lost"),
        ("draining", "ready", None),
        ("closed", "ready", None),
    ]


async def test_an_engine_that_does_not_say_since_when_it_runs_was_not_restarted(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """A restricted listener refuses the question: nothing is known, and nothing is said."""
    link.engine.never_answers("engine::workers::list")
    async with link.client() as iii:
        await link.engine.restart()
        await trio.sleep(10)
        assert (iii.statistics().reconnects, iii.statistics().engine_restarts) == (1, 0)
        assert iii.statistics().calls_in_flight == 0


async def test_a_failure_is_the_last_change(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It says what made the client fail; who asks later gets it too, and nothing else."""
    clients: list[III] = []
    changes: list[StateChanges] = []
    with pytest.raises(AuthenticationError, match="begone"):  # noqa: PT012 - it comes out of the block
        async with link.client() as iii:
            clients.append(iii)
            changes.append(iii.state_changes())
            link.engine.refuse_logins("begone")
            await link.go_down()
            link.is_up = True
            await trio.sleep_forever()
    *_, last = await all_of(changes[0])
    assert (last.state, last.client) == ("failed", "failed")
    assert "begone" in last.reason
    assert await all_of(clients[0].state_changes()) == [last]


async def test_a_slow_watcher_keeps_the_newest(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is told how many it missed, once, and gets the last one; the client waits for nobody."""
    async with link.client() as iii:
        slow, fast = iii.state_changes(), iii.state_changes()
        for _ in range(10):
            await come_back(link, iii)
            for _ in range(4):
                await anext(fast)
    seen = await all_of(slow)
    assert len(seen) == KEPT == 16
    total = 1 + 10 * 4 + 2
    assert [change.missed for change in seen] == [total - KEPT] + [0] * (KEPT - 1)
    assert seen[-1].client == "closed"
    rest = await all_of(fast)
    assert [change.missed for change in rest] == [0, 0, 0]
    assert iii.statistics().missed_state_changes == total - KEPT


async def test_watchers_wait_for_what_comes(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Several at once, of one stream or of their own: each change wakes who waits for it, and the end wakes all."""
    async with trio.open_nursery() as nursery:
        async with link.client() as iii:
            shared = iii.state_changes()
            watchers = [start(nursery, all_of, changes) for changes in (iii.state_changes(), shared, shared)]
            await trio.testing.wait_all_tasks_blocked()
            await come_back(link, iii)
        own, *halves = [await watcher.wait() for watcher in watchers]
    assert len(own) == 7
    assert sorted([*halves[0], *halves[1]], key=own.index) == own


async def test_a_cancelled_watcher_loses_nothing(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The next one who asks gets the change."""
    async with link.client() as iii:
        changes = iii.state_changes()
        await anext(changes)
        with trio.move_on_after(1) as waiting:
            await anext(changes)
        assert waiting.cancelled_caught
        await link.go_down()
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(changes)
        assert (await anext(changes)).client == "offline"


async def test_a_watcher_that_nobody_holds_costs_nothing(link: MemoryLink, autojump_clock: MockClock) -> None:
    """A loop that was left needs no closing: its watcher is gone."""
    async with link.client() as iii:
        for _ in range(3):
            async for _change in iii.state_changes():
                break
        for _ in range(10):
            await come_back(link, iii)
        assert iii.statistics().missed_state_changes == 0


async def test_a_change_is_frozen() -> None:
    """Watchers share it."""
    change = StateChange(state="failed", client="failed", connection=None, reason="", at=0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        change.missed = 1  # type: ignore[misc]


async def test_reasons_and_causes_of_the_session_are_handed_on(link: MemoryLink) -> None:
    """What the session says is told; where it says nothing, the event is put into words."""
    async with link.client() as iii:
        changes = iii.state_changes()
        iii._session.client.fire(ClientEvent.LOSS, "the engine restarted", "session_lost")
        iii._session.client.fire(ClientEvent.LOSS, "no change of the state")
        iii._session.client.fire(ClientEvent.CONFLICT)
        iii._session.client.fire(ClientEvent.READY, None, "link_lost")
        iii._session.client.fire(ClientEvent.DRAIN)
        told = [await anext(changes) for _ in range(5)]
        assert [(change.client, change.reason, change.cause) for change in told[1:]] == [
            ("offline", "the engine restarted", "session_lost"),
            ("standby", "another worker has what this one asks for", None),
            ("online", "the engine knows this worker and what it registered", "link_lost"),
            ("draining", "this client is being drained", None),
        ]


def test_every_event_has_words() -> None:
    """An event without a reason of its own must not fail the session that fires it."""
    assert {*ClientEvent, *ConnectionEvent, None} == {*watching._REASONS, *watching._PASSING}
