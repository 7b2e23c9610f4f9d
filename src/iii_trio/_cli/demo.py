"""`iii-trio demo`: an engine, a worker and a caller, each a process of its own, and real calls between them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from typing import Any, Final

import attrs
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_MODULE: Final = "iii_trio._cli.demo_parts"
_START_SECONDS: Final = 30.0
"""For a part to be ready: it has an interpreter to start, and an engine to find."""

_END_SECONDS: Final = 10.0
"""For a part to end by itself; then it is killed."""

_MAX_LINE: Final = 65_536


class DemoFailed(Exception):
    """The demo cannot go on; the text says why, for people."""


def run_demo(calls: int, concurrency: int, url: str | None) -> int:
    """Run the demo and print its summary; the exit code."""
    try:
        summary = trio.run(_interruptible, calls, concurrency, url)
    except BaseExceptionGroup as group:
        cause = _first(group)
        if not isinstance(cause, DemoFailed):
            raise
        print(f"iii-trio demo: {cause}", file=sys.stderr)
        return 1
    if summary is None:
        print("iii-trio demo: interrupted", file=sys.stderr)
        return 130
    return _show(summary)


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


def _show(summary: dict[str, Any]) -> int:
    print(f"calls: {summary['calls']}")
    print(f"calls/s: {summary['calls'] / summary['seconds']:.0f}")
    for name in ("p50", "p99"):
        print(f"{name}: {summary[name]:.2f} ms")
    print(f"lost: {summary['lost']}")
    if summary["lost"]:
        why = summary["failure"] or "an answer was not what had been sent"
        print(f"iii-trio demo: {summary['lost']} calls were lost; the first: {why}", file=sys.stderr)
        return 1
    return 0


async def _interruptible(calls: int, concurrency: int, url: str | None) -> dict[str, Any] | None:
    """The summary, or None when a signal came first; either way every part has ended."""
    summary = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_cancel_at_signal, nursery.cancel_scope)
        summary = await _Demo(calls, concurrency).run(url)
        nursery.cancel_scope.cancel()
    return summary


async def _cancel_at_signal(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel(reason="the demo was interrupted")


@attrs.define(eq=False)
class _Part:
    """One of the processes: what it says, line by line, until it ends."""

    name: str
    process: trio.Process
    _rest: bytes = b""

    async def next_line(self) -> dict[str, Any]:
        """What it says next.

        Raises:
            DemoFailed: It said that it failed, or ended.
        """
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            data = await self.process.stdout.receive_some(_MAX_LINE)
            if not data:
                code = await self.process.wait()
                raise DemoFailed(f"the {self.name} ended unexpectedly (exit code {code})")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        facts: dict[str, Any] = json.loads(line)
        if "error" in facts:
            raise DemoFailed(f"the {self.name} failed: {facts['error']}")
        return facts

    async def wait_ready(self) -> str:
        """Its first line."""
        with trio.move_on_after(_START_SECONDS):
            return str((await self.next_line())["ready"])
        raise DemoFailed(f"the {self.name} was not ready within {_START_SECONDS:g} s")

    async def watch(self) -> None:
        """Wait for its end, which is too early as long as somebody waits here."""
        while True:
            await self.next_line()

    async def end(self) -> None:
        """See it end: by itself when its input ends, else by force. Shielded, and bounded."""
        with trio.CancelScope(shield=True):
            assert self.process.stdin is not None
            await self.process.stdin.aclose()
            with trio.move_on_after(_END_SECONDS):
                await self.process.wait()
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
            assert self.process.stdout is not None
            await self.process.stdout.aclose()


@attrs.define(eq=False)
class _Demo:
    """One run."""

    calls: int
    concurrency: int
    _parts: list[_Part] = attrs.field(factory=list, init=False)

    async def run(self, url: str | None) -> dict[str, Any]:
        """The caller's summary."""
        # Unique, so that two demos on one engine do not meet.
        function_id = f"iii-trio-demo::{uuid.uuid4().hex[:12]}"
        try:
            async with trio.open_nursery() as watchers:
                if url is None:
                    engine = await self._start("engine")
                    url = await engine.wait_ready()
                    watchers.start_soon(engine.watch)
                worker = await self._start("worker", url, function_id)
                await worker.wait_ready()
                watchers.start_soon(worker.watch)
                caller = await self._start("caller", url, function_id, str(self.calls), str(self.concurrency))
                await caller.wait_ready()
                summary = await self._follow(caller)
                watchers.cancel_scope.cancel()
            return summary
        finally:
            for part in reversed(self._parts):
                await part.end()

    async def _start(self, name: str, *arguments: str) -> _Part:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", _MODULE, name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        part = _Part(name, process)
        self._parts.append(part)
        return part

    async def _follow(self, caller: _Part) -> dict[str, Any]:
        columns = (TextColumn("calls"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        # In a terminal the line moves and makes room for the summary; elsewhere rich prints it once, at the end.
        with Progress(*columns, console=console, transient=console.is_terminal) as progress:
            bar = progress.add_task("calls", total=self.calls)
            while True:
                facts = await caller.next_line()
                if "calls" in facts:
                    progress.update(bar, completed=facts["calls"])
                    return facts
                progress.update(bar, completed=facts["progress"])
