"""The bare probe: the least that a trio program needs to work and to call over an engine.

A reader, a writer, a dict of waiting tasks, one cancel scope a call, one task an invocation, uuid4, orjson, on
trio-websocket, and nothing else: no reconnect, no heartbeat, no bounds, no errors. It is what the client's cost is
measured against. ``python -m benchmarks.probe worker URL ID`` and ``… caller URL ID CALLS CONCURRENCY SIZE``.
"""

from __future__ import annotations

import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import trio
import trio_websocket

from benchmarks.load import TIMEOUT, call_under_load, payload_of
from benchmarks.process import tell_cpu


class Probe:
    """One connection."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, nursery: trio.Nursery) -> None:
        self._socket = socket
        self._nursery = nursery
        self._outbox: deque[str] = deque()
        self._wanted = trio.Event()
        self._waiting: dict[str, trio.lowlevel.Task] = {}
        self._answers: dict[str, Any] = {}
        self._pong = trio.Event()

    async def read(self) -> None:
        """Take what comes: answers wake their task, invocations get one."""
        while True:
            frame = orjson.loads(await self._socket.get_message())
            kind = frame["type"]
            if kind == "invocationresult":
                task = self._waiting.pop(frame["invocation_id"], None)
                if task is not None:
                    self._answers[frame["invocation_id"]] = frame.get("result")
                    trio.lowlevel.reschedule(task)
            elif kind == "invokefunction":
                self._nursery.start_soon(self._serve, frame)
            elif kind == "pong":
                self._pong.set()

    async def write(self) -> None:
        """Send what waits, in order."""
        while True:
            if not self._outbox:
                self._wanted = trio.Event()
                await self._wanted.wait()
            while self._outbox:
                await self._socket.send_message(self._outbox.popleft())

    def send(self, **frame: Any) -> None:
        """Queue a frame."""
        self._outbox.append(orjson.dumps(frame).decode())
        self._wanted.set()

    async def register(self, function_id: str) -> None:
        """Offer an echo, and wait until the engine has it."""
        self.send(type="registerfunction", id=function_id)
        self.send(type="ping")
        await self._pong.wait()

    async def call(self, function_id: str, payload: Any) -> Any:
        """Call a function."""
        call_id = str(uuid.uuid4())
        self.send(type="invokefunction", invocation_id=call_id, function_id=function_id, data=payload)
        self._waiting[call_id] = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[call_id]
            return trio.lowlevel.Abort.SUCCEEDED

        with trio.fail_after(TIMEOUT):
            await trio.lowlevel.wait_task_rescheduled(abort)
        return self._answers.pop(call_id)

    async def _serve(self, frame: dict[str, Any]) -> None:
        data = frame["data"]
        data.pop("_caller_worker_id", None)
        result = await _echo(data)
        self.send(
            type="invocationresult",
            invocation_id=frame["invocation_id"],
            function_id=frame["function_id"],
            result=result,
        )


async def _echo(payload: Any) -> Any:
    return payload


@asynccontextmanager
async def open_probe(url: str) -> AsyncIterator[Probe]:
    """A connection whose worker the engine knows."""
    async with trio_websocket.open_websocket_url(url) as socket, trio.open_nursery() as nursery:
        probe = Probe(socket, nursery)
        nursery.start_soon(probe.read)
        nursery.start_soon(probe.write)
        facts = {"name": f"probe {uuid.uuid4()}", "runtime": "python"}
        await probe.call("engine::workers::register", facts)
        yield probe
        nursery.cancel_scope.cancel()


async def work(url: str, function_id: str) -> None:
    async with open_probe(url) as probe:
        await probe.register(function_id)
        await tell_cpu()


async def call(url: str, function_id: str, calls: str, concurrency: str, size: str) -> None:
    async with open_probe(url) as probe:

        async def trigger(payload: Any) -> Any:
            return await probe.call(function_id, payload)

        await call_under_load(trigger, int(calls), int(concurrency), payload_of(int(size)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["worker", url, function_id]:
            trio.run(work, url, function_id)
        case ["caller", url, function_id, calls, concurrency, size]:
            trio.run(call, url, function_id, calls, concurrency, size)
