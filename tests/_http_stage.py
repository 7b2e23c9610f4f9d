"""The embedded engine in memory with one worker that a test plays, and HTTP clients."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from iii_trio._embedded.core import Engine
from iii_trio._embedded.server import Server
from iii_trio._embedded.signals import Signal
from tests.http_client import Client, Response
from tests.replay import Socket


class Stage:
    """What a test acts on."""

    def __init__(self, server: Server, nursery: trio.Nursery) -> None:
        self.server = server
        self.nursery = nursery
        self._calls: deque[dict[str, Any]] = deque()
        self._news = Signal()
        self._worker = server.engine.connect(
            trio.current_time(), ip_address="127.0.0.1", wake=self._hear, drop=lambda: None
        )
        self._say(type="invokefunction", invocation_id=None, function_id="engine::workers::register", data={})
        self.refused: list[str] = []

    def _hear(self) -> None:
        # What the engine sends is there when this returns.
        self.nursery.start_soon(self._read)

    async def _read(self) -> None:
        while self._worker.outbox:
            frame = json.loads(self._worker.outbox.popleft()[1])
            if frame["type"] == "invokefunction":
                self._calls.append(frame)
            elif "error" in frame:
                self.refused.append(frame["error"]["message"])
        self._news.set()

    def _say(self, **frame: Any) -> None:
        self.server.engine.receive(self._worker, json.dumps(frame), trio.current_time())

    def bind(self, path: str, method: str = "GET", **more: Any) -> None:
        """Serve a path with the function `f`."""
        self._say(type="registerfunction", id="f")
        for function_id in (more.get("condition_function_id"), *more.get("middleware_function_ids", ())):
            if function_id is not None:
                self._say(type="registerfunction", id=function_id)
        config = {"api_path": path, "http_method": method, **more}
        self._say(
            type="registertrigger",
            id=f"{method} {path}",
            trigger_type="http",
            function_id="f",
            config=config,
            metadata="m",
        )

    async def call(self) -> dict[str, Any]:
        """The next call of one of the worker's functions."""
        while not self._calls:
            await self._news.wait()
        return self._calls.popleft()

    def answer(self, call: dict[str, Any], result: Any = None, error: tuple[str, str] | None = None) -> None:
        """Settle a call."""
        outcome = {"result": result} if error is None else {"error": {"code": error[0], "message": error[1]}}
        self._say(
            type="invocationresult", invocation_id=call["invocation_id"], function_id=call["function_id"], **outcome
        )

    def leave(self) -> None:
        """End the worker."""
        self.server.engine.disconnect(self._worker)

    async def open(self, ref: dict[str, str]) -> Socket:
        """Take an end of a channel."""
        socket = Socket(self.server.open_stream())
        path = f"/ws/channels/{ref['channel_id']}?key={ref['access_key']}&dir={ref['direction']}"
        await socket.upgrade(path, {})
        self.nursery.start_soon(socket.pump)
        return socket

    def client(self) -> Client:
        """A new HTTP client."""
        return Client(self.server.open_http_stream())

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> trio.MemoryReceiveChannel[Response]:
        """Send a request; the response can be received when it is complete."""
        send, receive = trio.open_memory_channel[Response](1)

        async def exchange() -> None:
            await send.send(await self.client().request(method, path, headers, body))

        self.nursery.start_soon(exchange)
        return receive


@asynccontextmanager
async def staged(timeout: float | None = None) -> AsyncIterator[Stage]:
    """For the length of a block."""
    async with trio.open_nursery() as nursery:
        server = Server(Engine()) if timeout is None else Server(Engine(), timeout)
        await nursery.start(server.run)
        yield Stage(server, nursery)
        nursery.cancel_scope.cancel()
