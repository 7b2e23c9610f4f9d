"""Channels: bounded queues of messages with one writer and one reader (docs/engine.md, "Channels").

Nobody owns a channel. Each of its ends can be taken once; one of which an end was never taken is forgotten five minutes
after it was made, and what had been taken of it ends then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import attrs

from iii_trio._embedded.clock import Alarm, Clock
from iii_trio._embedded.connection import Connection
from iii_trio._embedded.inputs import Field, Input, read, usize
from iii_trio._wire.messages import Json

CREATE: Final = "engine::channels::create"

DEFAULT_CAPACITY: Final = 64
LARGEST_CAPACITY: Final = 1_024
"""Messages that a channel holds, however long they are."""

UNTAKEN_LIFE: Final = 300.0
"""Seconds in which both ends have to be taken."""

KEPT_OVER: Final = 1_000
"""Channels that both ends have left, and that are still told from unknown ones."""

Direction: TypeAlias = Literal["read", "write"]
Message: TypeAlias = str | bytes

_INPUT: Final = Input("CreateChannelInput", (Field("buffer_size", usize),))


def _nothing() -> None:
    return None


@attrs.define(eq=False, kw_only=True)
class Channel:
    """One queue. Whoever takes an end is its only user, and ends it."""

    id: str
    access_key: str = attrs.field(repr=False)
    capacity: int
    made_at: float
    on_room: Callable[[], None] = attrs.field(default=_nothing, repr=False)
    """Told when a message was taken out, and when nobody reads any more."""
    on_message: Callable[[], None] = attrs.field(default=_nothing, repr=False)
    """Told when a message was put in, and when nobody writes any more."""
    taken: set[Direction] = attrs.field(factory=set, init=False)
    write_ended: bool = attrs.field(default=False, init=False)
    read_ended: bool = attrs.field(default=False, init=False)
    _messages: deque[Message] = attrs.field(factory=deque, init=False, repr=False)

    @property
    def is_full(self) -> bool:
        """Whether the writer has to wait."""
        return len(self._messages) >= self.capacity and not self.read_ended

    @property
    def is_empty(self) -> bool:
        """Whether the reader has to wait."""
        return not self._messages and not self.write_ended

    @property
    def is_over(self) -> bool:
        """Whether both ends were taken and have been left."""
        return len(self.taken) == 2 and self.write_ended and self.read_ended

    def put(self, message: Message) -> bool:
        """Add a message to a channel that is not full; False if nobody will read it."""
        if self.read_ended:
            return False
        self._messages.append(message)
        self.on_message()
        return True

    def get(self) -> Message | None:
        """Take the oldest message out of a channel that is not empty; None at the end."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self.on_room()
        return message

    def end_writing(self) -> None:
        """Let the reader have what is in it, and then its end."""
        self.write_ended = True
        self.on_message()

    def end_reading(self) -> None:
        """Throw away what is in it, and whatever comes."""
        self.read_ended = True
        self._messages.clear()
        self.on_room()

    def ref(self, direction: Direction) -> dict[str, Any]:
        """How one end travels in a payload."""
        return {"channel_id": self.id, "access_key": self.access_key, "direction": direction}


@attrs.define(eq=False)
class Channels:
    """Every channel by its id."""

    _clock: Clock
    _new_id: Callable[[], str]
    _all: dict[str, Channel] = attrs.field(factory=dict, init=False)
    _untaken: dict[str, Channel] = attrs.field(factory=dict, init=False)
    """Those of which an end was never taken, oldest first."""
    _over: deque[str] = attrs.field(factory=deque, init=False)
    _alarm: Alarm | None = attrs.field(default=None, init=False)

    def create(self, capacity: int = DEFAULT_CAPACITY) -> Channel:
        """A new channel, with an end for anybody who has its key."""
        channel = Channel(
            id=self._new_id(),
            access_key=self._new_id(),
            capacity=max(1, min(capacity, LARGEST_CAPACITY)),
            made_at=self._clock.now,
        )
        self._all[channel.id] = channel
        self._untaken[channel.id] = channel
        if self._alarm is None:
            self._alarm = self._clock.at(channel.made_at + UNTAKEN_LIFE, self._sweep)
        return channel

    def create_and_tell(self, _: Connection | None, data: Json) -> Json:
        """`engine::channels::create`."""
        size = read(CREATE, _INPUT, data)["buffer_size"]
        channel = self.create(DEFAULT_CAPACITY if size is None else size)
        return {"writer": channel.ref("write"), "reader": channel.ref("read")}

    def knows(self, channel_id: str, access_key: str) -> bool:
        """Whether there is such a channel, whoever has taken its ends."""
        channel = self._all.get(channel_id)
        return channel is not None and channel.access_key == access_key

    def take(self, channel_id: str, access_key: str, direction: Direction) -> Channel | None:
        """Take an end for good; None if there is none to take."""
        channel = self._all.get(channel_id)
        if channel is None or channel.access_key != access_key or direction in channel.taken:
            return None
        channel.taken.add(direction)
        if len(channel.taken) == 2:
            self._untaken.pop(channel.id, None)
        return channel

    def leave(self, channel: Channel, direction: Direction) -> None:
        """End one end of a channel."""
        if direction == "read":
            channel.end_reading()
        else:
            channel.end_writing()
        if channel.is_over and channel.id in self._all:
            self._over.append(channel.id)
            if len(self._over) > KEPT_OVER:
                self._all.pop(self._over.popleft(), None)

    def forget(self, channel: Channel) -> None:
        """Let nobody take an end any more: one that was not taken ends, one that was goes on."""
        self._all.pop(channel.id, None)
        self._untaken.pop(channel.id, None)
        if "write" not in channel.taken:
            channel.end_writing()
        if "read" not in channel.taken:
            channel.end_reading()

    def _sweep(self) -> None:
        self._alarm = None
        for channel in list(self._untaken.values()):
            ends_at = channel.made_at + UNTAKEN_LIFE
            if ends_at > self._clock.now:
                self._alarm = self._clock.at(ends_at, self._sweep)
                return
            self.forget(channel)
