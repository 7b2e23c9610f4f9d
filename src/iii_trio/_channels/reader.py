"""The read end of a channel.

Nothing is ever sent on its socket, not even a pong or the answer to a Close: the engine does not read it, and what lies
unread there makes TCP throw away what the engine has sent (docs/engine.md, "Channels").
"""

from __future__ import annotations

import inspect
import logging
import operator
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import attrs
import trio

from iii_trio._channels.buffer import TURN
from iii_trio._channels.end import BARE, NORMAL, ChannelEnd, Home, Turn
from iii_trio._channels.trailer import Tally
from iii_trio._link.transport import LinkLost, Transport
from iii_trio._values.refs import StreamChannelRef
from iii_trio.errors import (
    ChannelBroken,
    ChannelClosed,
    ChannelEnded,
    ChannelError,
    ChannelOverflow,
    ConfigurationError,
    PayloadError,
)

logger = logging.getLogger("iii_trio")

MAX_READ_ALL: Final = 64 * 1024 * 1024
"""Bytes that `ChannelReader.read_all` takes when nobody says how many."""


class ChannelReader(ChannelEnd):
    """Reads what the writer of a channel sends: bytes by iteration, text on the side.

    It is opened at the first use, and then everything is read in order, by one task at a time. A slow reader stops the
    writer: a MiB waits here, and what the engine's buffer and TCP hold.

    Source: the references' ``ChannelReader``.
    """

    def __init__(self, home: Home, ref: StreamChannelRef) -> None:
        super().__init__(home, ref)
        self._turn = Turn("reading from")
        self._listeners: list[Callable[[str], object]] = []
        self._tally = Tally() if ref.verified else None
        self._has_ended = False
        self._ready: deque[bytes] = deque()
        """What was taken from the buffer, and is to be given out before the rest of it; of the first a part may be gone."""

        self._received = 0
        self.skipped_messages: int = 0
        """Text messages that were passed over, since bytes were read and nobody listened."""

        self._stream = ReadableStream(self)

    @property
    def stream(self) -> ReadableStream:
        """The bytes as a `trio.abc.ReceiveStream`, whatever pieces they came in."""
        return self._stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next binary message; see `receive`. Others have their turn at every 17th at the latest."""
        if self._ready and not self._turn.is_taken:
            await trio.lowlevel.checkpoint_if_cancelled()
            return self._ready.popleft()
        try:
            message = await self.receive()
        except ChannelEnded:
            raise StopAsyncIteration from None
        self._prepare()
        return message

    async def receive(self) -> bytes:
        """Wait for the next binary message, as the writer sent it. Text on the way goes to the listeners.

        Raises:
            ChannelEnded: There is no more, and the writer has closed. A writer that crashed looks the same, and so does an
                end that somebody had opened before, except with ``create_channel(verified=True)``.
            ChannelBroken: The link was lost in the middle. What came before was given out.
            ChannelNotFound: The engine has no such channel, or no longer.
            ChannelClosed: This end was closed, or the client was.
            ChannelBusy: Another task reads.

        Cancelling it is safe: nothing is lost.
        """
        with self._turn:
            return await self._next_bytes()

    async def read_all(self, max_bytes: int = MAX_READ_ALL) -> bytes:
        """Read the bytes up to the end, at most `max_bytes` of them.

        Raises:
            ChannelOverflow: There are more. What was read is gone.
            ChannelBroken: The link was lost in the middle; `ChannelBroken.partial` is what came before.
            ChannelNotFound, ChannelClosed, ChannelBusy: As `receive`.

        Cancelling it loses what it had read.
        """
        parts: list[bytes] = []
        size = 0
        try:
            async for part in self:
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise ChannelOverflow(f"the channel carries more than {max_bytes} bytes")
        except ChannelBroken as error:
            error.partial = b"".join(parts)
            raise
        return b"".join(parts)

    def messages(self) -> AsyncIterator[str]:
        """Iterate over the text messages: ``async for text in reader.messages()``.

        Raises:
            PayloadError: Bytes came, which would be lost here; they can still be read. `on_message` is for both.
            ChannelBroken, ChannelNotFound, ChannelClosed, ChannelBusy: As `receive`.
        """
        return _Messages(self._next_text)

    def on_message(self, listener: Callable[[str], object]) -> None:
        """Have a sync function called with each text message that a task meets while it reads bytes, in their order.

        What it raises comes out of that task's reading. Without a listener text is passed over and counted.

        Raises:
            ConfigurationError: It cannot be called, or would have to be awaited.
        """
        function: Any = listener
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise ConfigurationError("on_message takes a sync function of one argument")
        self._listeners.append(listener)

    async def aclose(self) -> None:
        """Let this end go: its writer fails when it has sent a little more.

        That holds for an end that was not used too, which is taken for it; so do not close an end whose ref somebody else
        has. It waits for nobody, raises nothing, and is carried out even when it is cancelled. A second time nothing
        happens.
        """
        if not self._is_closed:
            with suppress(ChannelClosed):  # there may be no client any more
                self._start()
            self._is_closed = True
            self._forget()
            self._give_up()
        await trio.lowlevel.checkpoint()

    async def _serve(self, transport: Transport) -> None:
        buffer, tally = self._buffer, self._tally
        try:
            while True:
                messages = await transport.receive()
                while buffer.is_full:
                    await buffer.wait_room()
                buffer.put_all(messages if tally is None else [*filter(tally.take, messages)])
        except LinkLost as loss:
            if transport.close_code not in (NORMAL, BARE):
                self._lose(loss)
            elif tally is not None and (fault := tally.fault()):
                self._fail(ChannelBroken, f"the writer did not finish: {fault}")
            else:
                self._has_ended = True
                buffer.wake()

    def _prepare(self) -> None:
        """Make ready what iteration gives out without waiting, once the others had their turn."""
        if not self._ready:
            self._ready.extend(self._buffer.take_binary(TURN))
            self._received += sum(map(len, self._ready))

    async def _next(self) -> str | bytes:
        """The next message of either kind."""
        buffer = self._buffer
        if buffer.messages or self._has_ended or self._is_closed or self._fault is not None:
            await trio.lowlevel.checkpoint()
        self._start()
        while not buffer.messages:
            if self._has_ended and not self._is_closed:
                raise ChannelEnded("everything was read")
            self._check()
            await buffer.wait_news()
        message = buffer.take()
        if isinstance(message, bytes):
            self._received += len(message)
        return message

    async def _next_bytes(self) -> bytes:
        if self._ready:
            await trio.lowlevel.checkpoint()
            if self._ready:  # nobody has closed this end meanwhile
                return self._ready.popleft()
        while True:
            message = await self._next()
            if isinstance(message, bytes):
                return message
            if not self._listeners:
                self.skipped_messages += 1
                if self.skipped_messages == 1:
                    logger.warning("text came over channel %s, and nobody listens to it", self._ref.channel_id)
            for listener in self._listeners:
                listener(message)

    def _forget(self) -> None:
        super()._forget()
        self._ready.clear()

    def _on_finish(self) -> None:
        if not self._has_ended:
            super()._on_finish()

    def _error(self, kind: type[ChannelError], words: str) -> ChannelError:
        return kind(words, received=self._received) if issubclass(kind, ChannelBroken) else kind(words)

    async def _receive_some(self, max_bytes: int | None) -> bytes:
        with self._turn:
            try:
                while not (data := await self._next_bytes()):  # an empty message is no end
                    pass
            except ChannelEnded:
                return b""
            if max_bytes is not None and len(data) > max_bytes:
                self._ready.appendleft(data[max_bytes:])
                data = data[:max_bytes]
            return data

    async def _next_text(self) -> str:
        with self._turn:
            if self._ready:
                await trio.lowlevel.checkpoint()
            if not self._ready:
                message = await self._next()
                if isinstance(message, str):
                    return message
                self._ready.append(message)
            raise PayloadError("bytes came where text was expected; read them, and take text with on_message")


@attrs.frozen
class _Messages(AsyncIterator[str]):
    """The text messages; no generator, since nobody closes those that are left in the middle."""

    _next: Callable[[], Awaitable[str]]

    async def __anext__(self) -> str:
        try:
            return await self._next()
        except ChannelEnded:
            raise StopAsyncIteration from None


class ReadableStream(trio.abc.ReceiveStream):
    """The bytes of a `ChannelReader` as a stream of trio's.

    What it raises are the reader's errors, each of which is one of trio's too; cancelling it is as safe as there.

    Source: the references' ``ReadableStream``.
    """

    def __init__(self, reader: ChannelReader) -> None:
        self._reader = reader

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Some bytes, ``b""`` at the end; see `trio.abc.ReceiveStream` and `ChannelReader.receive`, and as the class says.

        Args:
            max_bytes: The most bytes to return, at least 1; any number when left out.

        Raises:
            ValueError: `max_bytes` is less than 1.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        return await self._reader._receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the reader, as the class says."""
        await self._reader.aclose()
