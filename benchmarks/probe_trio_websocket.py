"""The bare probe on trio-websocket: one message at a time, as that library has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio_websocket

from benchmarks.probe import Probe


class TrioWebSocketProbe(Probe):
    """One connection."""

    def __init__(self, nursery: trio.Nursery, socket: trio_websocket.WebSocketConnection) -> None:
        super().__init__(nursery)
        self._socket = socket

    async def read(self) -> None:
        while True:
            self.take(await self._socket.get_message())

    async def write(self) -> None:
        while True:
            await self.wait_wanted()
            while self.outbox:
                await self._socket.send_message(self.outbox.popleft().decode())


@asynccontextmanager
async def open_probe(url: str) -> AsyncIterator[Probe]:
    """A connection for a block."""
    async with trio_websocket.open_websocket_url(url) as socket, trio.open_nursery() as nursery:
        yield TrioWebSocketProbe(nursery, socket)
        nursery.cancel_scope.cancel()
