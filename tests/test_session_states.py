"""Both tables, walked: what they list moves, and nothing else does."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from iii_trio._session.states import (
    CLIENT_TRANSITIONS,
    CONNECTION_TRANSITIONS,
    Client,
    ClientEvent,
    Connection,
    ConnectionEvent,
    Machine,
    seeds_word,
)
from iii_trio.errors import InternalError

Table = Mapping[Any, Mapping[Any, Any]]
TABLES: list[tuple[Table, type[enum.Enum], type[enum.Enum]]] = [
    (CONNECTION_TRANSITIONS, Connection, ConnectionEvent),
    (CLIENT_TRANSITIONS, Client, ClientEvent),
]
PAIRS = [
    pytest.param(table, state, event, id=f"{state} and {event}")
    for table, states, events in TABLES
    for state, event in itertools.product(states, events)
]


@pytest.mark.parametrize(("table", "state", "event"), PAIRS)
def test_a_listed_event_moves_and_any_other_raises_and_changes_nothing(table: Table, state: Any, event: Any) -> None:
    """Every state meets every event."""
    machine = Machine(state, table)
    if event in table[state]:
        assert machine.allows(event)
        assert machine.fire(event) is table[state][event]
        assert machine.state is table[state][event]
    else:
        assert not machine.allows(event)
        with pytest.raises(InternalError, match=f"{event} is impossible while {state}"):
            machine.fire(event)
        assert machine.state is state


@pytest.mark.parametrize(("table", "states", "events"), TABLES, ids=["connection", "client"])
def test_a_table_knows_every_state_and_uses_every_event(
    table: Table, states: type[enum.Enum], events: type[enum.Enum]
) -> None:
    """Nothing is declared that nothing leads to."""
    assert set(table) == set(states)
    assert {event for exits in table.values() for event in exits} == set(events)
    start = next(iter(states))
    reached, frontier = {start}, [start]
    while frontier:
        new = set(table[frontier.pop()].values()) - reached
        reached |= new
        frontier += new
    assert reached == set(states)


@pytest.mark.parametrize(
    ("table", "final"),
    [
        pytest.param(CONNECTION_TRANSITIONS, {Connection.CLOSED}, id="connection"),
        pytest.param(CLIENT_TRANSITIONS, {Client.CLOSED, Client.FAILED}, id="client"),
    ],
)
def test_only_ends_are_final_and_every_state_has_a_way_to_one(table: Table, final: set[Any]) -> None:
    """Nothing can get stuck."""
    assert {state for state, exits in table.items() if not exits} == final
    assert all(final & set(exits.values()) for state, exits in table.items() if state not in final)


def test_a_connection_goes_through_its_states_in_order() -> None:
    """The way that every good connection takes."""
    machine = Machine(Connection.OPENING, CONNECTION_TRANSITIONS)
    assert [machine.fire(event) for event in ConnectionEvent] == list(Connection)[1:]


WORDS = {
    Client.STARTING: "connecting",
    Client.ONLINE: "reconnecting",
    Client.OFFLINE: "reconnecting",
    Client.STANDBY: "reconnecting",
    Client.DRAINING: "reconnecting",
}


@pytest.mark.parametrize("connection", [None, *Connection], ids=str)
@pytest.mark.parametrize("client", Client, ids=str)
def test_the_five_words_cover_the_whole_product(client: Client, connection: Connection | None) -> None:
    """The end of a client wins, then a connection on which calls flow or flowed, then whether there ever was one."""
    if client in (Client.CLOSED, Client.FAILED):
        expected = "disconnected" if client is Client.CLOSED else "failed"
    elif connection in (Connection.READY, Connection.CLOSING):
        expected = "connected"
    else:
        expected = WORDS[client]
    assert seeds_word(client, connection) == expected


def test_who_watches_is_told_after_each_move() -> None:
    """With the event, and the reason and cause that were given; an impossible event is not told."""
    told: list[tuple[object, ...]] = []
    machine = Machine(Client.STARTING, CLIENT_TRANSITIONS, lambda *news: told.append((machine.state, *news)))
    machine.fire(ClientEvent.READY)
    machine.fire(ClientEvent.LOSS, "the cable", "link_lost")
    with pytest.raises(InternalError):
        Machine(Client.CLOSED, CLIENT_TRANSITIONS, lambda *news: told.append(news)).fire(ClientEvent.READY)
    assert told == [
        (Client.ONLINE, ClientEvent.READY, None, None),
        (Client.OFFLINE, ClientEvent.LOSS, "the cable", "link_lost"),
    ]
