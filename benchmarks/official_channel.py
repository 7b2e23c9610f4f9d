"""The official SDK as a contender with channels, run as `benchmarks.official`.

``python -m benchmarks.official_channel reader MODE URL ID STREAM``, and the same with ``writer``. MODE says where the
writer writes: on an event loop of its own, or in a handler, which runs on the SDK's event loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from iii.helpers import create_channel_async  # type: ignore[import-not-found]

from benchmarks.cases import READ_LIMIT, Stream
from benchmarks.official import connect, next_step, offer
from benchmarks.steps import cpu_seconds, say


def read(url: str, function_id: str) -> None:
    async def count(data: Any) -> int:
        frames = 0
        if "reader" in data:  # there is none in the question whether the engine has this function
            async for _ in data["reader"]:
                frames += 1
        return frames

    offer(connect(url), function_id, count)
    say(ready=True)
    while next_step():
        say(cpu=cpu_seconds())


def write(mode: str, url: str, function_id: str, stream: Stream) -> None:
    worker = connect(url)
    run = RUNNERS[mode](worker, function_id)
    run(stream.size, stream.warm_up())
    say(ready=True)
    next_step()
    began, cpu = perf_counter(), cpu_seconds()
    frames = run(stream.size, stream.frames)
    say(seconds=perf_counter() - began, cpu=cpu_seconds() - cpu, frames=frames)


async def write_once(worker: Any, function_id: str, size: int, frames: int) -> Any:
    """Send so many frames through a channel of their own; returns how many were read."""
    channel = await create_channel_async(worker)
    frame = b"x" * size
    request = {"function_id": function_id, "payload": {"reader": channel.reader_ref.model_dump()}}
    reading = asyncio.create_task(worker.trigger_async({**request, "timeout_ms": int(READ_LIMIT * 1000)}))
    for _ in range(frames):
        await channel.writer.write(frame)
    await channel.writer.close_async()
    return await reading


def on_own_loop(worker: Any, function_id: str) -> Callable[[int, int], Any]:
    return lambda size, frames: asyncio.run(write_once(worker, function_id, size, frames))


def in_handler(worker: Any, function_id: str) -> Callable[[int, int], Any]:
    async def go(data: Any) -> Any:
        return await write_once(worker, function_id, *data["stream"]) if "stream" in data else None

    writing_id = f"bench::go::{uuid.uuid4().hex}"
    offer(worker, writing_id, go)
    request = {"function_id": writing_id, "dispatch": "remote", "timeout_ms": int(READ_LIMIT * 1000)}
    return lambda size, frames: worker.trigger({**request, "payload": {"stream": [size, frames]}})


RUNNERS = {"loop": on_own_loop, "handler": in_handler}


def main(role: str, mode: str, url: str, function_id: str, stream: str) -> None:
    # Its own threads live on, whatever happens here, and nobody waits for them.
    try:
        if role == "reader":
            read(url, function_id)
        else:
            write(mode, url, function_id, Stream.parse(stream))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
