"""The write end of a channel."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Final

import trio

from iii_trio._channels.buffer import TURN
from iii_trio._channels.end import BARE, NORMAL, ChannelEnd, Home, Turn
from iii_trio._channels.trailer import Tally
from iii_trio._link.transport import LinkLost, Transport
from iii_trio._values.refs import StreamChannelRef
from iii_trio.errors import ChannelBroken, ChannelError, ChannelTaken, PayloadError

PIECE: Final = 64 * 1024
"""Bytes of the largest binary message, by the convention of all SDKs."""

_LAST_WORDS: Final = 1.0
"""Seconds in which a broken link may still tell why. The engine's Close can lie in the socket that takes nothing more."""

_TAKEN: Final = "somebody has opened this write end before"
_UNFINISHED: Final = "the link ended before the engine had taken everything, as it does when the reader is gone"


class ChannelWriter(ChannelEnd):
    """Sends bytes and text to the reader of a channel.

    It is opened at the first use. What is written waits in a buffer of a MiB for its turn on the socket, and a reader
    that is slow makes `write` wait. Only `aclose` tells that everything arrived at the engine.

    Leaving ``async with writer`` closes it. When the block raises or is cancelled the end is given up instead, so that a
    reader who can tell the difference (``create_channel(verified=True)``) does not take it for the end.

    Source: the references' ``ChannelWriter``.
    """

    def __init__(self, home: Home, ref: StreamChannelRef) -> None:
        super().__init__(home, ref)
        self._lock = trio.Lock()
        self._moved = TURN
        """Messages since others had their turn. The first waits for one, as a lone one does."""

        self._tally = Tally() if ref.verified else None
        self._is_ended = False
        self._was_told = False
        self._max_message = min(home.target.transport.MAX_OUTGOING, home.target.max_message_size)
        self._stream = WritableStream(self)
        self.opens_first: ChannelEnd | None = None
        """An end that will not be there any more when this one is used, and so is opened before."""

    @property
    def stream(self) -> WritableStream:
        """The bytes as a `trio.abc.SendStream`."""
        return self._stream

    async def open(self) -> None:
        """Take this end now. Writing does so by itself; it is for those who must not come too late.

        Raises:
            ChannelNotFound: The engine has no such channel, or none any more: an end that nobody takes within five
                minutes takes the whole channel with it.
            ChannelBroken: The engine cannot be reached. It is not tried again.
            ChannelClosed: It was closed, or the client was.

        Cancelling it is safe: the end is taken all the same.
        """
        first, self.opens_first = self.opens_first, None
        if first is not None:
            with suppress(ChannelError):  # who reads it will be told
                await first.open()
        await super().open()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, as one message or in messages of 64 KiB. It waits while the buffer is full.

        Tasks may write at once: one waits for the other. While there is room, at most 16 messages go in before other tasks
        have their turn (docs/decisions.md, "Messages share a turn of the loop").

        Raises:
            PayloadError: It is text, or anything else but bytes. Nothing was sent.
            ChannelBroken: The link is lost, as when the reader has gone. Any of what was written before may be lost too.
            ChannelNotFound, ChannelTaken: The end cannot be opened. Nothing was sent.
            ChannelClosed: This end was closed, or the client was. Nothing was sent.

        Cancelled, it has sent none of it, or only the first of several messages; the channel can be used on.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise PayloadError(f"write takes bytes, not {type(data).__name__}; send_message takes text")
        if isinstance(data, bytes) and len(data) <= PIECE:
            if self._moved < TURN:
                await trio.lowlevel.checkpoint_if_cancelled()
            else:
                self._moved = 0
                await trio.lowlevel.checkpoint()
            if self._is_ready:
                self._moved += 1
                self._add(data)
                return
        async with self._lock:
            with memoryview(data) as view, view.cast("B") as octets:
                for begin in range(0, max(len(octets), 1), PIECE):
                    await self._put(bytes(octets[begin : begin + PIECE]))

    async def _write_and_yield(self, data: bytes | bytearray | memoryview) -> None:
        """Write, and give others their turn each time, as trio's streams have to."""
        self._moved = TURN
        await self.write(data)

    async def send_message(self, text: str) -> None:
        """Send one text message, which keeps its place among the bytes.

        Raises:
            PayloadError: It is no text, has a lone surrogate, or is longer than can be sent. Nothing was sent.
            ChannelBroken, ChannelNotFound, ChannelTaken, ChannelClosed: As `write`.

        Cancelled, it has not been sent.
        """
        if not isinstance(text, str):
            raise PayloadError(f"send_message takes text, not {type(text).__name__}; write takes bytes")
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise PayloadError("text with a lone surrogate") from None
        if size > self._max_message:
            raise PayloadError(f"the message has {size} bytes, and at most {self._max_message} can be sent")
        async with self._lock:
            await self._put(text)

    async def aclose(self) -> None:
        """End the stream, and wait until the engine has taken everything, which takes as long as a slow reader makes it.

        An end that was not used is taken for it, since only a writer that comes and goes ends a stream; so do not close an
        end whose ref somebody else has.

        Raises:
            ChannelBroken: The link ended before: the reader may have got any part. It is raised once, here or by `write`.
            ChannelNotFound, ChannelTaken: The end could not be opened.
            ChannelClosed: The client is closed, and the stream has no end.

        Cancelled, it gives the end up: what the engine had not taken is lost. A second time it does nothing.
        """
        if not self._is_closed:
            # Who is cancelled already has not finished, and the trailer that says so must not get out.
            self._begin_close(finishes=trio.current_effective_deadline() > trio.current_time())
        try:
            if self._is_started:
                await self._finished.wait()
            else:
                await trio.lowlevel.checkpoint()
        except BaseException:
            self._give_up()
            raise
        if self._fault is not None and not self._was_told:
            self._was_told = True
            raise self._error(*self._fault)

    def _begin_close(self, *, finishes: bool) -> None:
        try:
            self._start()
        finally:
            self._is_closed = True
        if not finishes:
            self._give_up()
        elif self._tally is not None:
            self._buffer.put(self._tally.trailer())
        self._buffer.wake()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.aclose()
        else:
            await trio.aclose_forcefully(self)

    async def _put(self, message: str | bytes) -> None:
        await self._find_room()
        self._add(message)

    async def _find_room(self) -> None:
        if not self._is_open:
            await self.open()
        self._check()
        while self._buffer.is_full:
            await self._buffer.wait_room()
            self._check()

    @property
    def _is_ready(self) -> bool:
        """Whether a message can go into the buffer at once, past nobody."""
        usable = self._is_open and not self._is_closed and self._fault is None
        return usable and not self._buffer.is_full and not self._lock.locked()

    def _add(self, message: str | bytes) -> None:
        if self._tally is not None:
            self._tally.add(message)
        self._buffer.put(message)

    async def _wait_room(self) -> None:
        await trio.lowlevel.checkpoint()
        await self._find_room()

    def _check(self) -> None:
        self._was_told = self._was_told or (self._fault is not None and not self._is_closed)
        super()._check()

    async def _serve(self, transport: Transport) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, transport, nursery.cancel_scope)
            if await self._send(transport):
                nursery.cancel_scope.cancel(reason="everything was sent")
            else:
                nursery.cancel_scope.deadline = trio.current_time() + _LAST_WORDS
        if self._fault is None:
            await transport.aclose()
            self._judge(transport.close_code)

    async def _listen(self, transport: Transport, scope: trio.CancelScope) -> None:
        """Notice an end of the engine's making. It has nothing else to say here."""
        try:
            while True:
                await transport.receive()
        except LinkLost as loss:
            if transport.close_code == BARE:
                self._fail(ChannelTaken, _TAKEN)
            else:
                self._lose(loss)
            scope.cancel(reason="the link is lost")

    async def _send(self, transport: Transport) -> bool:
        """Send until everything is sent and the stream is to end; returns whether it came so far."""
        buffer = self._buffer
        try:
            while True:
                await self._gather()
                batch = buffer.take_all()
                if batch or transport.has_pending:
                    await transport.write(batch)
                elif self._is_closed:
                    return True
                else:
                    await buffer.wait_news()
        except LinkLost:  # the other task hears how, and it may be more than this one was told
            return False

    async def _gather(self) -> None:
        """Let messages come together as long as there are more of them: they share a system call then.

        In one turn of the loop trio runs tasks in any order, so a task that writes and writes is only sure to have run after
        two.
        """
        waiting = 0
        while waiting < len(self._buffer.messages) and self._buffer.size < PIECE and not self._buffer.is_full:
            waiting = len(self._buffer.messages)
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()

    def _judge(self, close_code: int | None) -> None:
        if close_code == BARE:
            self._fail(ChannelTaken, _TAKEN)
        elif close_code != NORMAL:
            self._fail(ChannelBroken, _UNFINISHED)
        else:
            self._is_ended = True

    def _on_finish(self) -> None:
        if not self._is_ended:
            super()._on_finish()


class WritableStream(trio.abc.SendStream):
    """A `ChannelWriter` as a stream of trio's.

    What it raises are the writer's errors, each of which is one of trio's too; cancelling it is as safe as there.

    Source: the references' ``WritableStream``.
    """

    def __init__(self, writer: ChannelWriter) -> None:
        self._writer = writer
        self._turn = Turn("sending to")

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; see `ChannelWriter.write`, and as the class says."""
        await self._writer._write_and_yield(data)

    async def end(self, data: bytes | bytearray | memoryview | None = None) -> None:
        """Send the last bytes, if there are any, and end the stream; see `ChannelWriter.aclose`, and as the class says."""
        if data is not None:
            await self._writer._write_and_yield(data)
        await self._writer.aclose()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; of none there is no message. See `trio.abc.SendStream`, and as the class says."""
        with self._turn:
            if len(data):
                await self._writer._write_and_yield(data)
            else:
                await self._writer._wait_room()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for room; see `trio.abc.SendStream`, and as the class says."""
        with self._turn:
            await self._writer._wait_room()

    async def aclose(self) -> None:
        """Close the writer; see `ChannelWriter.aclose`, and as the class says."""
        await self._writer.aclose()
