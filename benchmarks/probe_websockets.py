"""The bare probe on the codec of websockets: what waits goes out in one send, what comes in one receive is taken at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from benchmarks.probe import Probe

RECEIVE: Final = 64 * 1024
"""Bytes to receive at most in one go."""


class WebsocketsProbe(Probe):
    """One connection."""

    def __init__(self, nursery: trio.Nursery, stream: trio.SocketStream, protocol: ClientProtocol) -> None:
        super().__init__(nursery)
        self._stream = stream
        self._protocol = protocol

    async def shake_hands(self) -> None:
        """Upgrade the stream. The engine's greeting may come along."""
        self._protocol.send_request(self._protocol.connect())
        await self._flush()
        while self._protocol.state is not OPEN:
            await self._receive()

    async def read(self) -> None:
        while True:
            await self._receive()

    async def write(self) -> None:
        while True:
            await self.wait_wanted()
            while self.outbox:
                self._protocol.send_text(self.outbox.popleft())
            await self._flush()

    async def _receive(self) -> None:
        self._protocol.receive_data(await self._stream.receive_some(RECEIVE))
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.take(event.data)

    async def _flush(self) -> None:
        await self._stream.send_all(b"".join(self._protocol.data_to_send()))


@asynccontextmanager
async def open_probe(url: str) -> AsyncIterator[Probe]:
    """A connection for a block."""
    uri = parse_uri(url)
    async with await trio.open_tcp_stream(uri.host, uri.port) as stream, trio.open_nursery() as nursery:
        probe = WebsocketsProbe(nursery, stream, ClientProtocol(uri))
        await probe.shake_hands()
        yield probe
        nursery.cancel_scope.cancel()
