"""What waits between a socket and its user: in order, and bounded both ways."""

from __future__ import annotations

import re
from pathlib import Path

import trio
from trio.testing import wait_all_tasks_blocked

from iii_trio._channels.buffer import MAX_BYTES, MAX_MESSAGES, Buffer
from iii_trio._channels.channels import BUFFER_SIZE, MAX_BUFFER_SIZE


async def test_it_is_full_by_number_and_by_bytes() -> None:
    """A message larger than the bound waits alone."""
    buffer = Buffer()
    for number in range(MAX_MESSAGES):
        assert not buffer.is_full
        buffer.put(str(number))
    assert buffer.is_full
    assert buffer.first == "0"
    assert buffer.take_all() == [str(number) for number in range(MAX_MESSAGES)]
    assert not buffer
    buffer.put(bytes(MAX_BYTES - 1))
    assert not buffer.is_full
    buffer.put(b"x")
    assert buffer.is_full
    await trio.lowlevel.checkpoint()


async def test_who_waits_for_room_is_woken_when_half_of_it_is_free() -> None:
    """A wake-up for each message would cost more than the message."""
    buffer = Buffer()
    for _ in range(MAX_MESSAGES):
        buffer.put(b"")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(buffer.room.park)
        await wait_all_tasks_blocked()
        for left in range(MAX_MESSAGES, MAX_MESSAGES // 2 + 1, -1):
            assert len(buffer) == left
            buffer.take()
            assert buffer.room
        buffer.take()
        assert not buffer.room


def test_the_documents_have_the_bounds() -> None:
    """As they are."""
    text = (Path(__file__).parents[1] / "docs" / "channels.md").read_text("utf-8")
    found = re.findall(r"\| (reader|engine|writer) \| (.*) \|", text)
    assert [where for where, _ in found] == ["reader", "engine", "writer"]
    held = dict(found)
    for where in ("reader", "writer"):
        assert f"{MAX_MESSAGES} messages or {MAX_BYTES // 1024} KiB" in held[where]
    assert f"{BUFFER_SIZE}, from 1 to {MAX_BUFFER_SIZE:,}" in held["engine"]
