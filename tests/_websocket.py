"""The server's side of a WebSocket, said in advance, and frames made and read by hand.

No library takes part: what is sent may break any rule, and what is heard is what was on the wire. A `Script` is a stream
for a client; `on_a_socket` has the same said over loopback TCP.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, Literal, TypeAlias

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

End: TypeAlias = Literal["end", "reset", "open"]
"""What a peer does when it has said everything."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@attrs.frozen
class Frame:
    """One frame, as it was on the wire."""

    opcode: int
    payload: bytes = attrs.field(default=b"", repr=lambda payload: f"({len(payload)} bytes)")
    fin: bool = True
    masked: bool = True


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"") -> bytes:
    """The bytes of a frame, also of one that nobody may send."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65536:
        head += struct.pack("!BH", flag | 126, len(payload))
    else:
        head += struct.pack("!BQ", flag | 127, len(payload))
    return head + mask + payload


def close(code: int | None = None, reason: str = "") -> bytes:
    """The bytes of a Close."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def parse(data: bytes | bytearray, *, cut: bool = False) -> Iterator[Frame]:
    """The frames in what a client sent; half a frame at the end is an error, or with `cut` as much of it as came."""
    at = 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        size, at = second & 0x7F, at + 2
        if size == 126:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        elif size == 127:
            size, at = int.from_bytes(data[at : at + 8]), at + 8
        mask = bytes(data[at : at + 4]) if second & 0x80 else b""
        at += len(mask)
        payload = bytes(data[at : at + size])
        if len(payload) < size and not cut:
            raise ValueError("half a frame")
        yield Frame(first & 0x0F, _masked(payload, mask) if mask else payload, bool(first & 0x80), bool(mask))
        at += size


def _masked(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(len(payload))


def upgrade(request: bytes, *extra: str) -> bytes:
    """The answer that grants a request."""
    (key,) = [line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    return "\r\n".join([*head, f"Sec-WebSocket-Accept: {accept}", *extra, "", ""]).encode()


class Script(trio.abc.Stream):
    """A client's end of a connection, on which the peer says these pieces, one at a time, and then ends."""

    def __init__(self, *pieces: bytes, end: End = "end", granted: bool = True, extra: Sequence[str] = ()) -> None:
        """Without `granted` the pieces are the answer to the handshake."""
        self._granted = granted
        self._extra = extra
        self._pieces = deque(pieces)
        self._end = end
        self.request = b""
        self.heard = bytearray()
        """What the client sent after its request."""

        self.writes = 0
        """How often."""

        self.closed = False
        self._news = trio.Event()

    def say(self, *pieces: bytes) -> None:
        """Say more; only of use as long as the script is open."""
        self._pieces.extend(pieces)
        self._news.set()

    def finish(self, end: End = "end") -> None:
        """End, when everything is said."""
        self._end = end
        self._news.set()

    @property
    def left(self) -> int:
        """Pieces that the client has not read."""
        return len(self._pieces)

    def frames(self) -> list[Frame]:
        """What the client said."""
        return list(parse(self.heard))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self.closed:
            raise trio.ClosedResourceError
        if not self.request:
            self.request = bytes(data)
            if self._granted:
                self._pieces.appendleft(upgrade(self.request, *self._extra))
        else:
            self.heard += data
            self.writes += 1

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self.closed:
            if self._pieces:
                piece = self._pieces.popleft()
                if max_bytes is not None and len(piece) > max_bytes:
                    self._pieces.appendleft(piece[max_bytes:])
                return piece[:max_bytes]
            if self._end == "end":
                return b""
            if self._end == "reset":
                raise trio.BrokenResourceError("reset")
            self._news = trio.Event()
            await self._news.wait()
        raise trio.ClosedResourceError

    async def aclose(self) -> None:
        self.closed = True
        self._news.set()
        await trio.lowlevel.checkpoint()


async def on_a_socket(nursery: trio.Nursery, pieces: Iterable[bytes], end: End) -> trio.SocketStream:
    """A socket whose peer says the same; resetting is what TCP calls so. A client that reads gets the pieces one by one."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await grant(stream)
            with suppress(trio.BrokenResourceError):  # a client that has heard enough goes
                for piece in pieces:
                    await wait_all_tasks_blocked()
                    await stream.send_all(piece)
            if end == "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif end == "open":
                await trio.sleep_forever()

    ours, peer = await connected_sockets()
    nursery.start_soon(serve, peer)
    return ours


async def connected_sockets() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Both ends of a loopback connection, the client's first."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        address = listener.socket.getsockname()
        ours = await trio.open_tcp_stream(address[0], address[1])
        return ours, await listener.accept()


async def grant(peer: trio.SocketStream) -> None:
    """Do the server's handshake."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += await peer.receive_some()
    await peer.send_all(upgrade(request))
