"""The client as a contender with channels.

``python -m benchmarks.channel_client reader TRANSPORT URL ID STREAM``, and the same with ``writer``.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import trio

from benchmarks.cases import READ_LIMIT, Stream
from benchmarks.load import next_step
from benchmarks.steps import cpu_seconds, say
from iii_trio import III, InitOptions, open_iii
from iii_trio.errors import ConfigurationError


async def read(transport: Any, url: str, function_id: str) -> None:
    async def count(payload: Any) -> int:
        frames = 0
        async for _ in payload["reader"]:
            frames += 1
        return frames

    async with open_iii(url, transport=transport) as iii:
        await iii.register_function(function_id, count).wait_registered()
        say(ready=True)
        while await next_step():
            say(cpu=cpu_seconds())


async def write(transport: Any, url: str, function_id: str, stream: Stream) -> None:
    options = InitOptions(invocation_timeout_ms=READ_LIMIT * 1000)
    async with open_iii(url, options, transport=transport) as iii:
        await _write_once(iii, function_id, stream.size, stream.warm_up())
        say(ready=True)
        await next_step()
        began, cpu = perf_counter(), cpu_seconds()
        frames = await _write_once(iii, function_id, stream.size, stream.frames)
        say(seconds=perf_counter() - began, cpu=cpu_seconds() - cpu, frames=frames)


async def _write_once(iii: III, function_id: str, size: int, frames: int) -> int:
    """Send so many frames through a channel of their own; returns how many were read."""
    channel = await iii.create_channel()
    frame = b"x" * size
    counted = 0

    async def have_it_read() -> None:
        nonlocal counted
        counted = await iii.trigger(function_id, {"reader": channel.reader_ref})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(have_it_read)
        async with channel.writer as writer:
            for _ in range(frames):
                await writer.write(frame)
    return counted


def main(role: str, transport: str, url: str, function_id: str, stream: str) -> None:
    try:
        match role:
            case "reader":
                trio.run(read, transport, url, function_id)
            case "writer":
                trio.run(write, transport, url, function_id, Stream.parse(stream))
    except ConfigurationError as error:  # such as a transport whose library is not installed
        say(cannot=str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
