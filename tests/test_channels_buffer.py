"""What waits between a socket and its user: in order, and bounded both ways."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from iii_trio._channels.buffer import MAX_BYTES, MAX_MESSAGES, TURN, Buffer
from iii_trio._channels.channels import BUFFER_SIZE, MAX_BUFFER_SIZE


class Waiter:
    """A task that waits, and whether it was woken."""

    def __init__(self, nursery: trio.Nursery, buffer: Buffer, *, for_room: bool = False) -> None:
        self.woken = False
        self.scope = trio.CancelScope()
        self._wait = buffer.wait_room if for_room else buffer.wait_news
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self.scope:
            await self._wait()
            self.woken = True


def test_it_is_full_by_number_and_by_bytes() -> None:
    """A message larger than the bound waits alone."""
    buffer = Buffer()
    for number in range(MAX_MESSAGES):
        assert not buffer.is_full
        buffer.put(str(number))
    assert buffer.is_full
    assert buffer.messages[0] == "0"
    assert buffer.take_all() == [str(number) for number in range(MAX_MESSAGES)]
    assert not buffer.messages
    buffer.put(bytes(MAX_BYTES - 1))
    assert not buffer.is_full
    buffer.put(b"x")
    assert buffer.is_full
    assert buffer.size == MAX_BYTES


def test_what_is_in_memory_anyway_goes_in_at_once() -> None:
    """Behind what waits, and beyond the bound; all of it counts."""
    buffer = Buffer()
    buffer.put("a")
    buffer.put_all([b"12", "b", *[b""] * MAX_MESSAGES])
    assert buffer.is_full
    assert buffer.size == 4
    assert [buffer.take() for _ in range(4)] == ["a", b"12", "b", b""]
    assert buffer.size == 0


@pytest.mark.parametrize(
    ("messages", "most", "taken"),
    [
        pytest.param([], 3, [], id="nothing"),
        pytest.param([b"1", b"", b"3"], 9, [b"1", b"", b"3"], id="everything"),
        pytest.param([b"1", b"2", b"3"], 2, [b"1", b"2"], id="so many"),
        pytest.param([b"1", "text", b"3"], 9, [b"1"], id="up to text"),
        pytest.param(["text", b"1"], 9, [], id="behind text"),
    ],
)
def test_binary_messages_are_taken_up_to_text(messages: list[str | bytes], most: int, taken: list[bytes]) -> None:
    """And the rest keeps its order and its size."""
    buffer = Buffer()
    buffer.put_all(messages)
    assert buffer.take_binary(most) == taken
    rest = messages[len(taken) :]
    assert buffer.size == sum(map(len, rest))
    assert buffer.take_all() == rest


@pytest.mark.parametrize("several", [False, True])
async def test_who_waits_for_news_is_woken_by_what_is_put_in(several: bool) -> None:
    """Everybody, and again the next time; also when somebody else who waited was cancelled, or has waited for room."""
    buffer = Buffer()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            waiters = [Waiter(nursery, buffer) for _ in range(3)]
            somebody = Waiter(nursery, buffer, for_room=True)
            await wait_all_tasks_blocked()
            waiters[0].scope.cancel()
            await wait_all_tasks_blocked()
            if several:
                buffer.put_all(["1", b"2"])
            else:
                buffer.put("1")
            await wait_all_tasks_blocked()
            assert [waiter.woken for waiter in waiters] == [False, True, True]
            assert not somebody.woken
            somebody.scope.cancel()


@pytest.mark.parametrize("most", [1, TURN])
async def test_who_waits_for_room_is_woken_when_half_of_it_is_free(most: int) -> None:
    """A wake-up for each message would cost more than the message. Everybody who waits is woken, and again the next time."""
    buffer = Buffer()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            buffer.put_all([b""] * (MAX_MESSAGES - len(buffer.messages)))
            cancelled, *waiters = (Waiter(nursery, buffer, for_room=True) for _ in range(3))
            await wait_all_tasks_blocked()
            cancelled.scope.cancel()
            for left in range(MAX_MESSAGES, MAX_MESSAGES // 2, -most):
                assert len(buffer.messages) == left
                await wait_all_tasks_blocked()
                assert not any(waiter.woken for waiter in waiters)
                if most == 1:
                    buffer.take()
                else:
                    buffer.take_binary(most)
            await wait_all_tasks_blocked()
            assert all(waiter.woken for waiter in waiters)


async def test_room_is_bytes_too() -> None:
    """Half of them have to go."""
    buffer = Buffer()
    quarter = bytes(MAX_BYTES // 4)
    buffer.put_all([quarter] * 4)
    async with trio.open_nursery() as nursery:
        waiter = Waiter(nursery, buffer, for_room=True)
        await wait_all_tasks_blocked()
        buffer.take()
        await wait_all_tasks_blocked()
        assert not waiter.woken
        buffer.take()
        await wait_all_tasks_blocked()
        assert waiter.woken


@pytest.mark.parametrize("use", [Buffer.wake, Buffer.clear, Buffer.take_all])
async def test_everybody_looks_again(use: object) -> None:
    """When the owner says that something has changed, and when everything is gone."""
    assert callable(use)
    buffer = Buffer()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            waiters = [Waiter(nursery, buffer, for_room=for_room) for for_room in (False, True)]
            await wait_all_tasks_blocked()
            use(buffer)
            await wait_all_tasks_blocked()
            assert all(waiter.woken for waiter in waiters)


async def test_waiting_is_a_checkpoint() -> None:
    """Also for who is woken at once."""
    buffer = Buffer()
    for wait in (buffer.wait_news, buffer.wait_room):
        async with trio.open_nursery() as nursery:

            async def wake() -> None:
                await wait_all_tasks_blocked()
                buffer.wake()

            nursery.start_soon(wake)
            with assert_checkpoints():
                await wait()


def test_the_documents_have_the_bounds() -> None:
    """As they are."""
    docs = Path(__file__).parents[1] / "docs"
    text = (docs / "channels.md").read_text("utf-8")
    found = re.findall(r"\| (reader|engine|writer) \| (.*) \|", text)
    assert [where for where, _ in found] == ["reader", "engine", "writer"]
    held = dict(found)
    for where in ("reader", "writer"):
        assert f"{MAX_MESSAGES} messages or {MAX_BYTES // 1024**2} MiB" in held[where]
    assert f"{BUFFER_SIZE}, from 1 to {MAX_BUFFER_SIZE:,}" in held["engine"]
    assert f"every {TURN + 1}th message" in text
    assert f"up to {TURN} messages" in (docs / "decisions.md").read_text("utf-8")
