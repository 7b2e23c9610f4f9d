"""The two ends of a channel on WebSockets (docs/engine.md, "Channels").

The engine never reads from a read end, and from a write end only while there is room: so a reader that stalls stalls its
writer, and nobody is told of a peer that is gone before something is sent to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from iii_trio._embedded import websocket
from iii_trio._embedded.channel_ends import ReadEnd, WriteEnd
from iii_trio._embedded.channels import Channels, Message
from iii_trio._embedded.connection import BINARY, CLOSE, PONG, TEXT
from iii_trio._embedded.handshake import Accepted, ChannelEnd

_CHUNK: Final = 262_144
_BATCH_BYTES: Final = 65_536


async def serve_channel(
    stream: trio.abc.Stream,
    channels: Channels,
    accepted: Accepted,
    end: ChannelEnd,
    reading: Callable[[], Awaitable[None]],
) -> None:
    """The life of a stream that is an end of a channel; an end that is taken already gets a Close.

    `reading` returns when something may be taken in.

    Raises:
        trio.BrokenResourceError: The client is gone.
    """
    channel = channels.take(end.channel_id, end.access_key, end.direction)
    if channel is None:
        await stream.send_all(websocket.frame((CLOSE, b"")))
    elif end.direction == "read":
        with ReadEnd(channels, channel) as reader:
            await _forward(stream, reader)
    else:
        with WriteEnd(channels, channel) as writer:
            await _take_in(stream, writer, websocket.Inbound(accepted.trailing), reading)


async def _forward(stream: trio.abc.Stream, reader: ReadEnd) -> None:
    """Send what the writer sends, a few short messages at once, and then a Close."""
    while True:
        frames: list[bytes] = []
        size = 0
        while not frames or (size < _BATCH_BYTES and not reader.is_empty):
            message = await reader.get()
            frames.append(websocket.frame((CLOSE, b"")) if message is None else _frame(message))
            size += len(frames[-1])
            if message is None:
                await stream.send_all(b"".join(frames))
                return
        await stream.send_all(b"".join(frames))


def _frame(message: Message) -> bytes:
    if isinstance(message, str):
        return websocket.frame((TEXT, message.encode()))
    return websocket.frame((BINARY, message))


async def _take_in(
    stream: trio.abc.Stream, writer: WriteEnd, inbound: websocket.Inbound, reading: Callable[[], Awaitable[None]]
) -> None:
    """Take messages until the client leaves, or nobody reads; either way it is dropped, and only a Close is answered."""
    while True:
        for event in inbound.events():
            if isinstance(event, (str, bytes)):
                if not await writer.put(event):
                    return
            elif isinstance(event, websocket.PingReceived):
                await stream.send_all(websocket.frame((PONG, event.payload)))
            elif isinstance(event, websocket.Closed):
                writer.end()
                await stream.send_all(websocket.frame((CLOSE, event.payload)))
                return
            else:
                return
        data = await stream.receive_some(_CHUNK)
        await reading()
        if not data:
            return
        inbound.feed(bytes(data))
