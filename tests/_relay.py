"""One channel as the engine serves it, in memory, and what can go wrong with it.

Its manners are those of the recordings: a bounded queue; the read end is never read and gets an empty Close; the writer's
Close is repeated behind the last message; whoever comes second gets an empty Close. A stream takes nothing that the other
side does not read, as a socket whose buffers are full.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import trio
import trio.testing
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from iii_trio._channels.end import Home
from iii_trio._channels.reader import ChannelReader
from iii_trio._channels.writer import ChannelWriter
from iii_trio._link.choice import find_transport
from iii_trio._link.connect import Target
from iii_trio._values.refs import StreamChannelRef
from iii_trio._wire.urls import parse_url
from tests._hostile import Recorder
from tests._websocket import BINARY, TEXT, close, frame, upgrade

ID = "6b1f0b0c-2f5b-4f0a-8f6e-2a54b1f6a001"
KEY = "s3cret key/&"


class Relay:
    """The engine's side of one channel."""

    def __init__(self, nursery: trio.Nursery, transport: str, buffer_size: int = 64) -> None:
        self._nursery = nursery
        self._queue_in, self._queue_out = trio.open_memory_channel[bytes](buffer_size)
        self._taken: set[str] = set()
        self.sides: dict[str, trio.abc.Stream] = {}
        """The engine's side of each end that was taken first."""

        self.clients: dict[str, Recorder] = {}
        """The client's side of it."""

        self.requests: list[str] = []
        self.status = 101
        self.keeps_close = False
        """Whether it ends the writer's connection where it should repeat the Close."""

        self.extra: bytes = b""
        """Said to a reader, and to a writer, as soon as it is there."""

        self.home = Home(
            Target(
                url=parse_url("ws://engine.example:8080/"),
                transport=find_transport(transport),
                headers=(("X-Extra", "e"),),
                ssl_context=None,
                open_stream=self.open_stream,
                max_message_size=10_000_000,
                timeout=10,
            ),
            nursery,
        )

    def reader(self, *, verified: bool = False) -> ChannelReader:
        return ChannelReader(self.home, self.ref("read", verified=verified))

    def writer(self, *, verified: bool = False) -> ChannelWriter:
        return ChannelWriter(self.home, self.ref("write", verified=verified))

    def ref(self, direction: str, *, verified: bool = False) -> StreamChannelRef:
        mark = True if verified else None
        return StreamChannelRef(channel_id=ID, access_key=KEY, direction=direction, verified=mark)  # type: ignore[arg-type]

    async def open_stream(self) -> trio.abc.Stream:
        ours, theirs = trio.testing.lockstep_stream_pair()
        client = Recorder(ours)
        self._nursery.start_soon(self._serve, theirs, client)
        await trio.lowlevel.checkpoint()
        return client

    async def cut(self, direction: str) -> None:
        """End a connection without a word."""
        await trio.aclose_forcefully(self.sides[direction])

    async def _serve(self, stream: trio.abc.Stream, client: Recorder) -> None:
        try:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += await stream.receive_some()
            self.requests.append(request.decode())
            address = urlsplit(request.split()[1].decode())
            asked = parse_qs(address.query)
            assert (address.path, asked["key"]) == (f"/ws/channels/{ID}", [KEY])
            if self.status != 101:
                await stream.send_all(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
                return
            (direction,) = asked["dir"]
            await stream.send_all(upgrade(request) + self.extra)
            if direction in self._taken:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._drain, stream)  # nobody reads it, but a socket would take it
                    await stream.send_all(close())
                    nursery.cancel_scope.cancel()
            else:
                self._taken.add(direction)
                self.sides[direction], self.clients[direction] = stream, client
                await (self._serve_reader if direction == "read" else self._serve_writer)(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    async def _drain(self, stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    async def _serve_reader(self, stream: trio.abc.Stream) -> None:
        with self._queue_out:
            async for data in self._queue_out:
                await stream.send_all(data)
            await stream.send_all(close())

    async def _serve_writer(self, stream: trio.abc.Stream) -> None:
        protocol = Connection(ConnectionType.SERVER)
        text, binary = "", b""
        with self._queue_in:
            while True:
                protocol.receive_data(bytes(await stream.receive_some(65536)) or None)
                for event in protocol.events():
                    if isinstance(event, TextMessage):
                        text += event.data
                        if event.message_finished:
                            await self._queue_in.send(frame(TEXT, text.encode()))
                            text = ""
                    elif isinstance(event, BytesMessage):
                        binary += event.data
                        if event.message_finished:
                            await self._queue_in.send(frame(BINARY, binary))
                            binary = b""
                    elif isinstance(event, Ping):
                        await stream.send_all(protocol.send(event.response()))
                    elif isinstance(event, CloseConnection):
                        if not self.keeps_close and event.code != 1006:
                            await stream.send_all(close(event.code, event.reason or ""))
                        return


class Turns(trio.abc.Instrument):
    """Tells after which steps of the task that makes it others had their turn."""

    def __init__(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._had_one = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._had_one = self._had_one or task is self._task

    def had_one(self) -> bool:
        """Whether the task went to the back of the queue since it was asked last."""
        had_one, self._had_one = self._had_one, False
        return had_one


@asynccontextmanager
async def relayed(transport: str, buffer_size: int = 64) -> AsyncIterator[Relay]:
    """A channel for the length of a block, which ends all that is left of it."""

    async def watch() -> None:
        await trio.sleep(80_000)
        raise AssertionError("somebody waits for ever")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)  # an autojump clock comes there at once when nothing else is left to happen
        yield Relay(nursery, transport, buffer_size)
        nursery.cancel_scope.cancel()
