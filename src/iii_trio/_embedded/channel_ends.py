"""The ends of a channel for tasks: a writer that waits for room, and a reader that waits for messages."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from iii_trio._embedded.channels import Channel, Channels, Message
from iii_trio._embedded.signals import Signal


class WriteEnd:
    """The writer of a channel, for the length of a block."""

    def __init__(self, channels: Channels, channel: Channel) -> None:
        self._channels = channels
        self._channel = channel
        self._room = Signal()
        channel.on_room = self._room.set

    async def put(self, message: Message) -> bool:
        """Add a message, when there is room for it; False if nobody will read it."""
        while self._channel.is_full:
            await self._room.wait()
        return self._channel.put(message)

    def end(self) -> None:
        """Let the reader have what is there, and then its end; nothing happens the second time."""
        self._channels.leave(self._channel, "write")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()


class ReadEnd:
    """The reader of a channel, for the length of a block."""

    def __init__(self, channels: Channels, channel: Channel) -> None:
        self._channels = channels
        self._channel = channel
        self._message = Signal()
        channel.on_message = self._message.set

    @property
    def is_empty(self) -> bool:
        """Whether `get` would wait."""
        return self._channel.is_empty

    async def get(self) -> Message | None:
        """The next message; None at the end."""
        while self._channel.is_empty:
            await self._message.wait()
        return self._channel.get()

    async def wait(self) -> None:
        """Return when `get` may have something, or somebody called `wake`."""
        await self._message.wait()

    def wake(self) -> None:
        """Let `wait` return."""
        self._message.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._channels.leave(self._channel, "read")
