"""The embedded engine as a process of a benchmark."""

from __future__ import annotations

import trio

from benchmarks.load import next_step
from benchmarks.steps import say
from iii_trio.testing import open_engine


async def main() -> None:
    async with open_engine(port=0) as engine:
        say(url=engine.url)
        await next_step()


if __name__ == "__main__":
    trio.run(main)
