"""A pair of streams in memory with a bound, so that a reader that stalls stalls its writer, as a socket does."""

from __future__ import annotations

import operator
from collections import deque
from typing import Final

import attrs
import trio

CAPACITY: Final = 1024 * 1024
"""Bytes that one direction holds; about what the kernel holds for a loopback connection."""


class _Turn:
    """Lets one task in at a time, as trio's streams do."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise trio.BusyResourceError(f"another task is {self._what} this stream")
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False


class _Pipe:
    """One direction: a writer waits while it is full, a reader while it is empty."""

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self._size = 0
        self._changed = trio.lowlevel.ParkingLot()
        self.writing = _Turn("writing to")
        self._reading = _Turn("reading from")
        self.write_ended = False
        self.read_ended = False

    def end_writing(self) -> None:
        self.write_ended = True
        self._changed.unpark_all()

    def end_reading(self) -> None:
        self.read_ended = True
        self._changed.unpark_all()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        with self.writing:
            await trio.lowlevel.checkpoint()
            rest = memoryview(bytes(data))
            while True:
                self._check_writable()
                room = CAPACITY - self._size
                if room > 0 and rest:
                    piece, rest = rest[:room], rest[room:]
                    self._pieces.append(piece)
                    self._size += len(piece)
                    self._changed.unpark_all()
                if not rest:
                    return
                await self._changed.park()

    async def wait_writable(self) -> None:
        with self.writing:
            await trio.lowlevel.checkpoint()
            self._check_writable()
            while self._size >= CAPACITY:
                await self._changed.park()
                self._check_writable()

    def _check_writable(self) -> None:
        if self.write_ended:
            raise trio.ClosedResourceError("this stream was closed")
        if self.read_ended:
            raise trio.BrokenResourceError("the other side is gone")

    async def read(self, max_bytes: int | None) -> bytes:
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._reading:
            await trio.lowlevel.checkpoint()
            while True:
                if self.read_ended:
                    raise trio.ClosedResourceError("this stream was closed")
                if self._pieces:
                    return self._take(max_bytes)
                if self.write_ended:
                    return b""
                await self._changed.park()

    def _take(self, max_bytes: int | None) -> bytes:
        piece = self._pieces.popleft()
        if max_bytes is not None and len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        self._size -= len(piece)
        self._changed.unpark_all()
        return bytes(piece)


@attrs.define(eq=False)
class MemoryStream(trio.abc.HalfCloseableStream):
    """One end. Closing it ends the other one's reading after what was sent, and breaks its writing."""

    _incoming: _Pipe
    _outgoing: _Pipe

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes over; waits while the other end reads too slowly."""
        await self._outgoing.write(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for room."""
        await self._outgoing.wait_writable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; none at the end."""
        return await self._incoming.read(max_bytes)

    async def send_eof(self) -> None:
        """End this direction only."""
        with self._outgoing.writing:
            await trio.lowlevel.checkpoint()
            self._outgoing.end_writing()

    async def aclose(self) -> None:
        """End both directions."""
        self._outgoing.end_writing()
        self._incoming.end_reading()
        await trio.lowlevel.checkpoint()


def memory_stream_pair() -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection."""
    one, other = _Pipe(), _Pipe()
    return MemoryStream(one, other), MemoryStream(other, one)
