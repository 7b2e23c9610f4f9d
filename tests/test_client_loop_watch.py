"""`loop_watch`: who held the loop up is named, and nobody else."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import III
from iii_trio._client import loop_watch
from tests.conftest import Gate, Link, MemoryLink, start


class FakeClock:
    """Real time as the watch sees it. Who adds to it has blocked the loop for as long."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def block(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(loop_watch, "clock", clock)
    return clock


def blocks(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of them, and forget it."""
    found = [message for message in caplog.messages if "blocked the loop" in message]
    caplog.clear()
    return found


def line_of(function: Callable[..., Any]) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


async def serve(iii: III, handler: Callable[..., Any], function_id: str = "slow") -> None:
    """Have the client call a function of its own."""
    ref = iii.register_function(function_id, handler)
    await ref.wait_registered()
    await iii.trigger(function_id, 1.25)
    ref.unregister()


async def test_a_handler_that_blocks_is_named(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With the place where it is defined and how long it took; both are counted."""

    async def slow(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        clock.block(seconds)
        await trio.lowlevel.checkpoint()

    async with link.client(loop_watch=1) as iii:
        assert (iii.statistics().loop_blocks, iii.statistics().longest_loop_block) == (0, 0)
        await serve(iii, slow)
        assert (iii.statistics().loop_blocks, iii.statistics().longest_loop_block) == (1, 1.25)
        assert blocks(caplog) == [f"the handler of 'slow' ({line_of(slow)}) blocked the loop for 1.25 s"]


async def test_the_threshold_is_the_first_that_is_told(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Below it nothing is said or counted, and what takes long without blocking is not meant."""

    async def slow(seconds: float) -> None:
        for _ in range(10):
            clock.block(seconds)
            await trio.lowlevel.checkpoint()

    async with link.client(loop_watch=1.26) as iii:
        await serve(iii, slow)
        assert (iii.statistics().loop_blocks, blocks(caplog)) == (0, [])
    async with link.client(loop_watch=1.25) as iii:
        await serve(iii, slow)
        assert iii.statistics().loop_blocks == 10
        assert len(blocks(caplog)) == 10


class Callable_:
    """A handler that is an object."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    async def __call__(self, seconds: float) -> None:
        self.clock.block(seconds)


async def test_every_kind_of_handler_has_its_place(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Partials, wrapped functions and callable objects are where their code is."""

    async def inner(_: None, seconds: float) -> None:
        clock.block(seconds)

    @functools.wraps(inner)
    async def wrapper(seconds: float) -> None:
        await inner(None, seconds)

    del wrapper.__wrapped__  # its signature is its own
    handlers: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
        (functools.partial(functools.partial(inner), None), inner),
        (wrapper, wrapper),
        (Callable_(clock), Callable_.__call__),
    ]
    async with link.client(loop_watch=1) as iii:
        for number, (handler, place) in enumerate(handlers):
            await serve(iii, handler, f"f{number}")
            assert blocks(caplog) == [f"the handler of 'f{number}' ({line_of(place)}) blocked the loop for 1.25 s"]


async def test_tasks_of_a_handler_are_the_handlers(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """What it starts, it answers for; also when its function is gone by then."""

    async def part() -> None:
        clock.block(2)

    async def slow() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(part)

    async def gone() -> None:
        ref.unregister()
        clock.block(2)

    async with link.client(loop_watch=1) as iii:
        await serve(iii, slow)
        assert blocks(caplog) == [f"the handler of 'slow' ({line_of(slow)}) blocked the loop for 2 s"]
        ref = iii.register_function("gone", gone)
        await ref.wait_registered()
        await iii.trigger("gone")
        assert blocks(caplog) == ["the handler of 'gone' blocked the loop for 2 s"]


async def test_other_tasks_are_named_too(link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """With the place where they wait now, or where they begin when they are over."""

    async def waits() -> None:
        clock.block(3)
        await trio.sleep_forever()

    async def ends() -> None:
        clock.block(2)

    async with link.client(loop_watch=1) as iii, trio.open_nursery() as nursery:
        nursery.start_soon(waits, name="waiting")
        await trio.testing.wait_all_tasks_blocked()
        here = f"{waits.__code__.co_filename}:{waits.__code__.co_firstlineno + 2}"
        assert blocks(caplog) == [f"the task 'waiting' ({here}) blocked the loop for 3 s"]
        nursery.start_soon(ends, name="ending")
        await trio.testing.wait_all_tasks_blocked()
        assert blocks(caplog) == [f"the task 'ending' ({line_of(ends)}) blocked the loop for 2 s"]
        assert (iii.statistics().loop_blocks, iii.statistics().longest_loop_block) == (2, 3)
        nursery.cancel_scope.cancel()


async def test_clients_look_for_themselves(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each tells and counts by its own threshold, and a handler is its own client's only."""

    async def slow(seconds: float) -> None:
        clock.block(seconds)

    def client(threshold: float | None) -> AbstractAsyncContextManager[III]:
        return Link(link.engine).client(loop_watch=threshold)

    async with client(1) as iii, client(None) as off, client(1) as other, client(5) as patient:
        await serve(iii, slow)
        assert sorted(message.split(" (")[0] for message in blocks(caplog)) == [
            "the handler of 'slow'",
            "the task 'iii handler slow'",
        ]
        assert [each.statistics().loop_blocks for each in (iii, off, other, patient)] == [1, 0, 1, 0]


async def test_nobody_looks_when_the_client_has_ended(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The instrument is gone with the client."""
    async with link.client(loop_watch=1) as iii:
        pass
    clock.block(9)
    await trio.lowlevel.checkpoint()
    assert (iii.statistics().loop_blocks, blocks(caplog)) == (0, [])
    with pytest.raises(KeyError):
        trio.lowlevel.remove_instrument(iii._lifecycle.loop_watch)


async def test_a_client_that_ends_because_of_a_block_ends_as_ever(
    link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trio throws an instrument out that raises; the client goes on, and ends without a word."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("a log filter with a bug")

    async with link.client(loop_watch=1):
        with monkeypatch.context() as patch:
            patch.setattr(logging.getLogger("iii_trio"), "warning", refuse)
            clock.block(9)
            await trio.lowlevel.checkpoint()
        assert any("removed" in message.lower() or "raised" in message for message in caplog.messages)


async def test_sync_handlers_do_not_block(link: MemoryLink, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    """They have a thread; the gate shows that the loop runs meanwhile."""
    gate = Gate()
    async with link.client(loop_watch=1) as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        call = start(nursery, iii.trigger, "gate")
        await serve(iii, lambda seconds: None)
        gate.open()
        await call.wait()
        assert blocks(caplog) == []


def test_the_clock_of_the_watch_is_real_time() -> None:
    """trio's own stands still while its loop does, when it is a mock."""
    assert loop_watch.clock.__module__ == "time"
    assert Path(loop_watch.__file__).name == "loop_watch.py"
