"""Messages between a task that has a socket and one that has none, bounded both ways: by number and by bytes."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs
import trio

MAX_MESSAGES: Final = 256
"""Messages that wait at one end of a channel. Small ones share a system call by waiting together."""

MAX_BYTES: Final = 512 * 1024
"""Bytes that wait there; a larger message waits alone."""


@attrs.define(eq=False)
class Buffer:
    """What waits, in order. Who puts in looks for room first, and who takes out looks whether it is empty."""

    _messages: deque[str | bytes] = attrs.field(factory=deque, init=False)
    _size: int = attrs.field(default=0, init=False)
    news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where to wait for something; the owner wakes it too when there is an end."""

    room: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Where to wait for room; likewise."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be put in."""
        return len(self._messages) >= MAX_MESSAGES or self._size >= MAX_BYTES

    def put(self, message: str | bytes) -> None:
        """Add a message, whatever its size."""
        self._messages.append(message)
        self._size += len(message)
        if self.news:
            self.news.unpark_all()

    @property
    def first(self) -> str | bytes | None:
        """The oldest message, which stays; None when there is none."""
        return self._messages[0] if self._messages else None

    def take(self) -> str | bytes:
        """Take the oldest message. Who waits for room is woken when half of it is free, and not for each message."""
        message = self._messages.popleft()
        self._size -= len(message)
        if self.room and len(self._messages) <= MAX_MESSAGES // 2 and self._size <= MAX_BYTES // 2:
            self.room.unpark_all()
        return message

    def take_all(self) -> list[str | bytes]:
        """Take everything."""
        messages = list(self._messages)
        self.clear()
        return messages

    def clear(self) -> None:
        """Forget everything."""
        self._messages.clear()
        self._size = 0
        self.wake()

    def wake(self) -> None:
        """Have everybody look again: something has changed that is not in here."""
        self.news.unpark_all()
        self.room.unpark_all()
