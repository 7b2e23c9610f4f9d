"""What a client's states were, one after the other: `III.state_changes`, and who is told (docs/watching.md)."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import attrs
import trio

from iii_trio._session.session import Session
from iii_trio._session.states import ClientEvent, ConnectionEvent, seeds_word

KEPT: Final = 16
"""Changes that wait for one watcher; beyond it the oldest is dropped, and counted."""

# The session moves on from these before anybody else can run: what follows tells it.
_PASSING: Final = (ConnectionEvent.GREETING, ConnectionEvent.CONFIRMATION, ConnectionEvent.CLOSE)

_REASONS: Final[Mapping[Any, str]] = {
    None: "a connection was opened",
    ConnectionEvent.REPLAY: "the engine greeted this worker",
    ClientEvent.READY: "the engine knows this worker and what it registered",
    ClientEvent.CONFLICT: "another worker has what this one asks for",
    ClientEvent.DRAIN: "this client is being drained",
    ClientEvent.CLOSE: "this client was closed",
    ClientEvent.FAILURE: "this client failed",
    ClientEvent.LOSS: "the connection was lost",
    ConnectionEvent.END: "the connection ended",
}


@attrs.frozen(kw_only=True)
class StateChange:
    """That a client's state changed, to what, and why."""

    state: str
    """The new state: ``disconnected``, ``connecting``, ``connected``, ``reconnecting`` or ``failed``."""

    client: str
    """The same, finer: ``starting``, ``online``, ``offline``, ``standby``, ``draining``, ``closed`` or ``failed``."""

    connection: str | None
    """The state of the connection: ``opening``, ``replaying``, ``ready`` or ``closing``; None without one."""

    reason: str
    """Why, for people: how the link was lost, what made the client fail."""

    cause: str | None = None
    """Why, in one word for programs, where one is known: ``link_lost`` when the connection was lost, and ``session_lost``
    when the one that replaced it turned out to lead to another engine, which has forgotten what it did not store."""

    at: float
    """When, on trio's clock (`trio.current_time`)."""

    missed: int = 0
    """How many older changes were dropped right before this one, because the watcher was slow."""


class StateChanges:
    """The changes of a client's state for one watcher: ``async for change in iii.state_changes()``.

    The first is the state at the time of asking, with the reason for it; the last is ``closed`` or ``failed``, and then the
    loop ends. The newest 16 are kept for a slow watcher, who sees in `StateChange.missed` what it did not get. It needs no
    closing: a watcher that nobody holds any more is told nothing.
    """

    def __init__(self, watch: StateWatch) -> None:
        self._watch = watch
        self._kept = deque([watch.latest])
        self._missed = 0
        self._news = trio.lowlevel.ParkingLot()

    def __aiter__(self) -> StateChanges:
        """Itself: changes are handed out once."""
        return self

    async def __anext__(self) -> StateChange:
        """Wait for the next change. Cancelling it loses none."""
        await trio.lowlevel.checkpoint()
        while not self._kept:
            if self._watch.is_over:
                raise StopAsyncIteration
            await self._news.park()
        change, missed = self._kept.popleft(), self._missed
        self._missed = 0
        return attrs.evolve(change, missed=missed) if missed else change

    def _tell(self, change: StateChange) -> None:
        if len(self._kept) == KEPT:
            self._kept.popleft()
            self._missed += 1
            self._watch.missed += 1
        self._kept.append(change)
        self._news.unpark_all()


class StateWatch:
    """Sees every change of a session's states, and tells all watchers. Never blocks."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._watchers: weakref.WeakSet[StateChanges] = weakref.WeakSet()
        self.missed = 0
        """Changes that watchers did not get because they were slow."""

        self.latest: StateChange = self._change("this client was made", None)
        session.on_move = self._moved

    @property
    def is_over(self) -> bool:
        """Whether there will be no further change."""
        return self.latest.client in ("closed", "failed")

    def watch(self) -> StateChanges:
        """A new watcher, who gets the latest change and what comes after it."""
        watcher = StateChanges(self)
        self._watchers.add(watcher)
        return watcher

    def _moved(self, event: ClientEvent | ConnectionEvent | None, reason: str | None, cause: str | None) -> None:
        if event in _PASSING or self.is_over:
            return
        change = self._change(reason or _REASONS[event], cause)
        moved = (change.client, change.connection) != (self.latest.client, self.latest.connection)
        if not moved and cause != "session_lost":
            return
        self.latest = change
        for watcher in tuple(self._watchers):
            watcher._tell(change)

    def _change(self, reason: str, cause: str | None) -> StateChange:
        client = self._session.client.state
        connection = None if self._session.connection is None else self._session.connection.state
        return StateChange(
            state=seeds_word(client, connection),
            client=client.value,
            connection=None if connection is None else connection.value,
            reason=reason,
            cause=cause,
            at=trio.current_time(),
        )
