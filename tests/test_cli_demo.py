"""`iii-trio demo`: three processes, real calls, a summary, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from iii_trio._cli.demo_parts import percentile
from iii_trio._wire.messages import InvokeFunction
from iii_trio.testing import EmbeddedEngine, open_engine

LIMIT = 60.0
"""Seconds for one demo, on a machine that is busy with other things."""

MANY = "1000000"
"""More calls than are made before something happens."""

posix = pytest.mark.skipif(os.name != "posix", reason="needs process groups")


class Demo:
    """A running demo, in a process group of its own."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.out = b""
        self.err = b""

    @property
    def last_words(self) -> str:
        """The last line on its standard error."""
        return self.err.decode().splitlines()[-1]

    def has_left_processes(self) -> bool:
        """Whether any process of its group is still there."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def find_part(self, name: str) -> int | None:
        """The id of one of its processes, if it has been started."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                command, group = path.read_bytes().split(b"\0"), os.getpgid(int(path.parent.name))
                if group == self.process.pid and b"iii_trio._cli.demo_parts" in command and name.encode() in command:
                    return int(path.parent.name)
        return None

    async def wait_part(self, name: str) -> int:
        """Wait until one of its processes has been started; returns its id."""
        while (found := self.find_part(name)) is None:  # noqa: ASYNC110 - as below
            await trio.sleep(0.02)
        return found

    async def wait_gone(self) -> None:
        """Wait until no process of its group is left."""
        while self.has_left_processes():  # noqa: ASYNC110 - nobody tells a test about processes that are not its own
            await trio.sleep(0.02)


async def _collect(demo: Demo, name: str) -> None:
    stream = demo.process.stdout if name == "out" else demo.process.stderr
    assert stream is not None
    async for data in stream:
        setattr(demo, name, getattr(demo, name) + bytes(data))


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Demo]:
    """A demo with these arguments, for the block; leaving it waits for the demo's end and its last words."""
    command = [sys.executable, "-c", "from iii_trio._cli import main; main()", "demo", *arguments]
    with trio.fail_after(LIMIT):
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        demo = Demo(process)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_collect, demo, "out")
                nursery.start_soon(_collect, demo, "err")
                yield demo
                await process.wait()
        finally:
            if demo.has_left_processes() and process.returncode is None:
                process.kill()


async def calls_flow(engine: EmbeddedEngine) -> None:
    """Wait until the demo is in the middle of its calls."""
    await engine.wait_received(200, InvokeFunction)


@posix
async def test_it_starts_everything_itself_and_sums_up() -> None:
    """One command, no engine around: the summary has every line that it promises, and no process stays."""
    async with started("--calls", "200", "--concurrency", "8") as demo:
        pass
    assert demo.process.returncode == 0, demo.err
    shape = r"calls: 200\ncalls/s: \d+\np50: \d+\.\d\d ms\np99: \d+\.\d\d ms\nlost: 0\n"
    assert re.fullmatch(shape, demo.out.decode())
    assert "200/200" in demo.last_words
    assert not demo.has_left_processes()


@posix
async def test_it_uses_the_engine_it_is_told() -> None:
    """With --url the calls go over that engine, and the engine stays."""
    async with open_engine(port=0) as engine:
        async with started("--calls", "50", "--url", engine.url) as demo:
            pass
        assert demo.process.returncode == 0, demo.err
        calls = [each.frame for each in engine.received if isinstance(each.frame, InvokeFunction)]
        assert sum(call.function_id.startswith("iii-trio-demo::") for call in calls) >= 50
    assert b"lost: 0" in demo.out
    assert not demo.has_left_processes()


@posix
async def test_two_demos_on_one_engine_do_not_meet() -> None:
    """Function ids and names are those of one run."""
    async with (
        open_engine(port=0) as engine,
        started("--calls", "50", "--url", engine.url) as one,
        started("--calls", "50", "--url", engine.url) as other,
    ):
        pass
    assert (one.process.returncode, other.process.returncode) == (0, 0), one.err + other.err


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
async def test_an_interrupted_demo_leaves_nothing_running(number: signal.Signals) -> None:
    """The whole group gets Ctrl-C, as in a terminal; the parts are ended by the demo, which says one line."""
    async with open_engine(port=0) as engine, started("--calls", MANY, "--url", engine.url) as demo:
        await calls_flow(engine)
        os.killpg(demo.process.pid, number) if number is signal.SIGINT else demo.process.send_signal(number)
    assert demo.process.returncode == 130
    assert demo.last_words == "iii-trio demo: interrupted"
    assert not demo.has_left_processes()


@posix
async def test_the_parts_do_not_outlive_a_killed_demo() -> None:
    """Even when nobody is left to end them, they end."""
    async with open_engine(port=0) as engine, started("--calls", MANY, "--url", engine.url) as demo:
        await calls_flow(engine)
        demo.process.kill()
        await demo.process.wait()
        await demo.wait_gone()


@posix
async def test_lost_calls_fail_the_demo() -> None:
    """The engine dies in the middle: the summary counts what was lost, one line says why, and the exit code is 1."""
    async with (
        open_engine(port=0) as engine,
        started("--calls", MANY, "--concurrency", "8", "--url", engine.url) as demo,
    ):
        await calls_flow(engine)
        await engine.aclose()
    assert demo.process.returncode == 1
    assert re.search(rb"^lost: [1-9]", demo.out, re.MULTILINE)
    assert re.fullmatch(r"iii-trio demo: \d+ calls were lost; the first: CONNECTION_LOST: .*", demo.last_words)
    assert not demo.has_left_processes()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the parts in /proc")
@pytest.mark.parametrize("name", ["engine", "worker", "caller"])
async def test_a_part_that_dies_fails_the_demo(name: str) -> None:
    """One line, be it of the part that ended or of the calls that were lost with it, and the others are ended."""
    async with started("--calls", MANY) as demo:
        await demo.wait_part("caller")
        os.kill(await demo.wait_part(name), signal.SIGKILL)
    assert demo.process.returncode == 1
    last = r"iii-trio demo: (the \w+ (ended unexpectedly|failed)|\d+ calls were lost).*"
    assert re.fullmatch(last, demo.last_words)
    assert not demo.has_left_processes()


@posix
async def test_a_demo_without_its_engine_says_where_it_looked() -> None:
    """One line, with the part that failed and the address."""
    async with open_engine(port=0) as engine:
        url = engine.url
    async with started("--url", url.replace("ws:", "http:")) as demo:
        pass
    assert demo.process.returncode == 1
    assert demo.err.decode().startswith("iii-trio demo: the worker failed: the engine's URL must begin with ws://")
    assert demo.err.count(b"\n") == 1
    assert not demo.has_left_processes()


@pytest.mark.parametrize("option", ["--calls", "--concurrency"])
async def test_nothing_is_started_for_a_number_that_cannot_work(option: str) -> None:
    """The command line refuses it."""
    async with started(option, "0") as demo:
        pass
    assert demo.process.returncode != 0
    assert not demo.has_left_processes()


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.5, 6.0), (0.99, 10.0), (1.0, 10.0)], ids=["least", "median", "p99", "greatest"]
)
async def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """It is not interpolated."""
    assert percentile([float(number) for number in range(1, 11)], share) == value
