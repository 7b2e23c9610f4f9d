"""One end of a channel in a process of its own, which tells how much memory it took and how long it had to wait.

``python -m tests._channel_process URL TRANSPORT write|read MIB CHANNEL KEY`` prints the digest of the bytes, the KiB by
which the process grew, and the longest wait in seconds. The reader rests a second when it has begun.
"""

from __future__ import annotations

import hashlib
import random
import re
import sys
from pathlib import Path
from typing import Any, Final

import trio

from iii_trio import III, InitOptions, open_iii
from iii_trio.channel import StreamChannelRef

MIB = 1024 * 1024

STATUS: Final = Path("/proc/self/status")
"""Where Linux tells it."""


def peak() -> int:
    """The most memory that this process has had, in KiB. ``getrusage`` would tell that of the process which started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return int(found[1])


async def main(url: str, transport: Any, role: Any, size: int, channel_id: str, key: str) -> None:
    ref = StreamChannelRef(channel_id=channel_id, access_key=key, direction=role)
    async with open_iii(url, InitOptions(drain_timeout=0), transport=transport) as iii:
        digest = hashlib.sha256()
        random.Random(0).randbytes(MIB)
        begin = peak()
        blocked = await (write(iii, ref, size, digest) if role == "write" else read(iii, ref, digest))
        grown = peak() - begin
    print(digest.hexdigest(), grown, blocked)


async def write(iii: III, ref: StreamChannelRef, size: int, digest: Any) -> float:
    longest = 0.0
    async with iii.channel_writer(ref) as writer:
        for number in range(size):
            data = random.Random(number).randbytes(MIB)
            digest.update(data)
            begin = trio.current_time()
            await writer.write(data)
            longest = max(longest, trio.current_time() - begin)
    return longest


async def read(iii: III, ref: StreamChannelRef, digest: Any) -> float:
    reader = iii.channel_reader(ref)
    await reader.open()
    await trio.sleep(1)
    async for chunk in reader:
        digest.update(chunk)
    return 1.0


if __name__ == "__main__":
    _, url, transport, role, size, channel_id, key = sys.argv
    trio.run(main, url, transport, role, int(size), channel_id, key)
