"""A worker as people deploy it: ``python -m tests._worker_process URL SECONDS`` serves until it is told to stop.

It has one function, ``work``, which takes so many seconds. Each line it prints is a fact for the test.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import trio
import trio.testing

from iii_trio import open_iii


async def main(url: str, seconds: float) -> None:
    entered = 0

    async def work(data: Any) -> Any:
        nonlocal entered
        entered += 1
        await trio.sleep(seconds)
        return data

    transport: Any = os.environ.get("III_TEST_TRANSPORT", "auto")
    async with open_iii(url, transport=transport) as iii:
        await iii.register_function("work", work).wait_registered()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(iii.serve)
            await trio.testing.wait_all_tasks_blocked()
            print("ready", flush=True)
        print("draining", flush=True)
    report = await iii.drain()
    assert report is not None
    print(entered, report.finished_handlers, len(report.cancelled_handlers), report.withdrawn, flush=True)


if __name__ == "__main__":
    trio.run(main, sys.argv[1], float(sys.argv[2]))
