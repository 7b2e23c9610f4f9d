"""The bare probe: the least that a trio program needs to work and to call over an engine.

A reader, a writer, a dict of waiting tasks, one cancel scope a call, one task an invocation, uuid4, orjson, and nothing
else: no reconnect, no heartbeat, no bounds, no errors. It is what the client's cost is measured against, on the same
WebSocket library (`benchmarks.probe_trio_websocket`, `benchmarks.probe_websockets`).
``python -m benchmarks.probe worker TRANSPORT URL ID LOAD``, and the same with ``caller``.
"""

from __future__ import annotations

import sys
import uuid
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import orjson
import trio

from benchmarks.cases import THREADS, TIMEOUT, Load
from benchmarks.load import call_under_load, tell_cpu
from benchmarks.steps import SyncEcho, say

Handler: TypeAlias = Callable[[Any], Awaitable[Any]]


class Probe:
    """One connection, but for its socket."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.outbox: deque[bytes] = deque()
        self._nursery = nursery
        self._wanted = trio.Event()
        self._waiting: dict[str, trio.lowlevel.Task] = {}
        self._answers: dict[str, Any] = {}
        self._pong = trio.Event()
        self._handler: Handler = _echo

    @abstractmethod
    async def read(self) -> None:
        """Hand what comes to `take`, for ever."""

    @abstractmethod
    async def write(self) -> None:
        """Send what is in the outbox, in order, for ever."""

    def take(self, text: str | bytes | bytearray | memoryview) -> None:
        """A frame: an answer wakes its task, an invocation gets one."""
        frame = orjson.loads(text)
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

    def send(self, **frame: Any) -> None:
        """Queue a frame."""
        self.outbox.append(orjson.dumps(frame))
        self._wanted.set()

    async def wait_wanted(self) -> None:
        """Wait until the outbox holds something."""
        if not self.outbox:
            self._wanted = trio.Event()
            await self._wanted.wait()

    async def open(self) -> None:
        """Read and write from now on, and have the engine know the worker."""
        self._nursery.start_soon(self.read)
        self._nursery.start_soon(self.write)
        facts = {"name": f"probe {uuid.uuid4()}", "runtime": "python"}
        await self.call("engine::workers::register", facts)

    async def register(self, function_id: str, handler: Handler) -> None:
        """Offer a function, and wait until the engine has it."""
        self._handler = handler
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
        result = await self._handler(data)
        self.send(
            type="invocationresult",
            invocation_id=frame["invocation_id"],
            function_id=frame["function_id"],
            result=result,
        )


async def _echo(payload: Any) -> Any:
    return payload


def in_threads(function: Callable[[Any], Any]) -> Handler:
    """A plain function as a handler."""
    limiter = trio.CapacityLimiter(THREADS)

    async def handle(payload: Any) -> Any:
        return await trio.to_thread.run_sync(function, payload, limiter=limiter)

    return handle


def open_probe(transport: str, url: str) -> AbstractAsyncContextManager[Probe]:
    """A connection over one of the libraries, for a block."""
    # Imported late, since one of them may be missing where the other is measured.
    if transport == "websockets":
        from benchmarks.probe_websockets import open_probe
    else:
        from benchmarks.probe_trio_websocket import open_probe
    return open_probe(url)


async def work(transport: str, url: str, function_id: str, load: Load) -> None:
    sync_echo = SyncEcho()
    async with open_probe(transport, url) as probe:
        await probe.open()
        await probe.register(function_id, in_threads(sync_echo) if load.sync else _echo)
        await tell_cpu(sync_echo)


async def call(transport: str, url: str, function_id: str, load: Load) -> None:
    async with open_probe(transport, url) as probe:
        await probe.open()

        async def trigger(payload: Any) -> Any:
            return await probe.call(function_id, payload)

        await call_under_load(trigger, load)


def main(role: str, transport: str, url: str, function_id: str, load: str) -> None:
    try:
        trio.run(work if role == "worker" else call, transport, url, function_id, Load.parse(load))
    except ModuleNotFoundError as error:
        say(cannot=f"{error.name} is not installed")


if __name__ == "__main__":
    main(*sys.argv[1:])
