"""Messages between a task that has a socket and one that has none, bounded both ways: by number and by bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs
import trio

MAX_MESSAGES: Final = 256
"""Messages that wait at one end of a channel. Small ones share a system call by waiting together."""

MAX_BYTES: Final = 1024 * 1024
"""Bytes that wait there; a larger message waits alone."""

TURN: Final = 16
"""Messages that a task moves between two turns of the others (docs/decisions.md, "Messages share a turn of the loop")."""


@attrs.define(eq=False)
class Buffer:
    """What waits, in order. Who puts in looks for room first, and who takes out looks whether it is empty."""

    messages: deque[str | bytes] = attrs.field(factory=deque, init=False)
    """To look at; only the methods change it."""

    _size: int = attrs.field(default=0, init=False)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _room: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _wants_news: bool = attrs.field(default=False, init=False)
    _wants_room: bool = attrs.field(default=False, init=False)
    """Whether somebody may wait there; to ask the parking lot takes longer."""

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be put in."""
        return len(self.messages) >= MAX_MESSAGES or self._size >= MAX_BYTES

    def put(self, message: str | bytes) -> None:
        """Add a message, whatever its size."""
        self.messages.append(message)
        self._size += len(message)
        if self._wants_news:
            self._wake_for_news()

    def put_all(self, messages: Sequence[str | bytes]) -> None:
        """Add messages that are in memory anyway, so whatever their number and size."""
        self.messages.extend(messages)
        self._size += sum(map(len, messages))
        if self._wants_news:
            self._wake_for_news()

    def take(self) -> str | bytes:
        """Take the oldest message. Who waits for room is woken when half of it is free, and not for each message."""
        message = self.messages.popleft()
        self._size -= len(message)
        self._wake_for_room()
        return message

    def take_binary(self, most: int) -> list[bytes]:
        """Take binary messages from the front, until the next is text, or `most` are taken."""
        messages, taken = self.messages, list[bytes]()
        while messages and len(taken) < most and isinstance(message := messages[0], bytes):
            messages.popleft()
            taken.append(message)
        self._size -= sum(map(len, taken))
        self._wake_for_room()
        return taken

    def take_all(self) -> list[str | bytes]:
        """Take everything."""
        messages = list(self.messages)
        self.clear()
        return messages

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self._size = 0
        self.wake()

    async def wait_news(self) -> None:
        """Wait until something is put in, or until `wake`; there is always a checkpoint."""
        self._wants_news = True
        await self._news.park()

    async def wait_room(self) -> None:
        """Wait until half of the room is free, or until `wake`; there is always a checkpoint."""
        self._wants_room = True
        await self._room.park()

    def _wake_for_news(self) -> None:
        self._wants_news = False
        self._news.unpark_all()

    def _wake_for_room(self) -> None:
        if self._wants_room and len(self.messages) <= MAX_MESSAGES // 2 and self._size <= MAX_BYTES // 2:
            self._wants_room = False
            self._room.unpark_all()

    def wake(self) -> None:
        """Have everybody look again: something has changed that is not in here."""
        self._wants_news = self._wants_room = False
        self._news.unpark_all()
        self._room.unpark_all()
