"""Which states a connection and a client can be in, and what leads from one to the other.

A *connection* is opening until the engine's greeting, greeted until the replay was handed to the writer, replaying until
both the register call and the barrier behind it were answered, then ready. Whatever ends it ends it from any state; when
we end it, it is closing until the engine has dropped it.

A *client* is starting until its first connection was ready, then online or offline as connections come and go. On standby
it is offline because somebody else owns its name. Draining, with or without a connection, it offers nothing new, while calls
are made and served. Closed and failed are final: the one was asked for, the other has an error to show.

An event that a table does not list for a state raises, and changes nothing. The caller decides what may come from the
peer: a frame that its connection's state does not allow is counted and ignored before it gets here.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from iii_trio.errors import InternalError


class Connection(enum.Enum):
    """States of one connection."""

    OPENING = "opening"
    GREETED = "greeted"
    REPLAYING = "replaying"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class ConnectionEvent(enum.Enum):
    """What happens to a connection."""

    GREETING = "greeting"
    REPLAY = "replay"
    CONFIRMATION = "confirmation"
    CLOSE = "close"
    END = "end"


class Client(enum.Enum):
    """States of a client."""

    STARTING = "starting"
    ONLINE = "online"
    OFFLINE = "offline"
    STANDBY = "standby"
    DRAINING = "draining"
    CLOSED = "closed"
    FAILED = "failed"


class ClientEvent(enum.Enum):
    """What happens to a client."""

    READY = "ready"
    LOSS = "loss"
    CONFLICT = "conflict"
    DRAIN = "drain"
    CLOSE = "close"
    FAILURE = "failure"


_C, _E = Connection, ConnectionEvent

CONNECTION_TRANSITIONS: Final[Mapping[Connection, Mapping[ConnectionEvent, Connection]]] = {
    _C.OPENING: {_E.GREETING: _C.GREETED, _E.CLOSE: _C.CLOSING, _E.END: _C.CLOSED},
    _C.GREETED: {_E.REPLAY: _C.REPLAYING, _E.CLOSE: _C.CLOSING, _E.END: _C.CLOSED},
    _C.REPLAYING: {_E.CONFIRMATION: _C.READY, _E.CLOSE: _C.CLOSING, _E.END: _C.CLOSED},
    _C.READY: {_E.CLOSE: _C.CLOSING, _E.END: _C.CLOSED},
    _C.CLOSING: {_E.END: _C.CLOSED},
    _C.CLOSED: {},
}

_L, _F = Client, ClientEvent
_ENDS: Final = {_F.CLOSE: _L.CLOSED, _F.FAILURE: _L.FAILED}

CLIENT_TRANSITIONS: Final[Mapping[Client, Mapping[ClientEvent, Client]]] = {
    _L.STARTING: {_F.READY: _L.ONLINE, _F.LOSS: _L.STARTING, _F.CONFLICT: _L.STANDBY, **_ENDS},
    _L.ONLINE: {_F.LOSS: _L.OFFLINE, _F.DRAIN: _L.DRAINING, **_ENDS},
    _L.OFFLINE: {_F.READY: _L.ONLINE, _F.LOSS: _L.OFFLINE, _F.CONFLICT: _L.STANDBY, _F.DRAIN: _L.DRAINING, **_ENDS},
    _L.STANDBY: {_F.READY: _L.ONLINE, _F.LOSS: _L.STANDBY, _F.CONFLICT: _L.STANDBY, _F.DRAIN: _L.DRAINING, **_ENDS},
    _L.DRAINING: {_F.READY: _L.DRAINING, _F.LOSS: _L.DRAINING, **_ENDS},
    _L.CLOSED: {},
    _L.FAILED: {},
}

OnMove: TypeAlias = Callable[["ClientEvent | ConnectionEvent | None", str | None, str | None], None]
"""Told of each event after it moved a state: the event (None for a connection that was opened), the reason for people, and
the cause for programs, where there is more to say than the event does."""

S = TypeVar("S", bound=enum.Enum)
E = TypeVar("E", bound=enum.Enum)


class Machine(Generic[S, E]):
    """A state and the table that moves it."""

    __slots__ = ("_on_move", "_transitions", "state")

    def __init__(self, start: S, transitions: Mapping[S, Mapping[E, S]], on_move: OnMove | None = None) -> None:
        self.state: S = start
        self._transitions = transitions
        self._on_move = on_move

    def fire(self, event: E, reason: str | None = None, cause: str | None = None) -> S:
        """Move to the next state, tell who watches, and return the state.

        Raises:
            InternalError: The table has no such transition. Nothing has changed.
        """
        try:
            self.state = self._transitions[self.state][event]
        except KeyError:
            raise InternalError(f"{event} is impossible while {self.state}") from None
        if self._on_move is not None:
            self._on_move(event, reason, cause)  # type: ignore[arg-type]  # there are no other events than the two kinds
        return self.state

    def allows(self, event: E) -> bool:
        """Whether the table has a transition for `event`."""
        return event in self._transitions[self.state]


def seeds_word(client: Client, connection: Connection | None) -> str:
    """The state in the references' five words, which see less than the pair: neither replays, drains nor standbys."""
    if client is Client.FAILED:
        return "failed"
    if client is Client.CLOSED:
        return "disconnected"
    if connection in (Connection.READY, Connection.CLOSING):
        return "connected"
    return "connecting" if client is Client.STARTING else "reconnecting"
