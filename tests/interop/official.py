"""The handle on a worker that runs on the official SDK, in an interpreter of its own (`official_peer.py`)."""

from __future__ import annotations

import json
import os
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import trio

PYTHON: Final = os.environ.get("III_TEST_OFFICIAL_PYTHON", "")
SCRIPT: Final = Path(__file__).with_name("official_peer.py")
LIMIT: Final = 30.0
"""Seconds for whatever a test waits for here."""


class OfficialError(Exception):
    """What the official SDK raised at its caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@attrs.define(eq=False)
class Official:
    """A worker on the official SDK. Its functions' ids begin with `prefix`."""

    prefix: str
    _process: trio.Process
    states: list[str] = attrs.field(factory=list)
    """The states of its connection, as it told them."""

    notes: list[Any] = attrs.field(factory=list)
    """What its function `note` was called with."""

    is_ready: bool = False
    _answers: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    _calls: int = 0
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _turn: trio.Lock = attrs.field(factory=trio.Lock)
    _has_ended: bool = False
    _last_words: deque[str] = attrs.field(factory=lambda: deque(maxlen=20))

    async def trigger(self, function_id: str, payload: Any = None, **request: Any) -> Any:
        """Have it call a function."""
        self._calls += 1
        number = self._calls
        command = {"id": number, "trigger": {"function_id": function_id, "payload": payload, **request}}
        assert self._process.stdin is not None
        async with self._turn:
            await self._process.stdin.send_all(json.dumps(command).encode() + b"\n")
        await self.wait_until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise OfficialError(**answer["error"])
        return answer["result"]

    async def wait_connects(self, count: int) -> None:
        """Wait until it has said so often that it is connected."""
        await self.wait_until(lambda: self.states.count("connected") >= count)

    async def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait until something is true that a line of it makes true."""
        with trio.fail_after(LIMIT):
            while not happened():
                assert not self._has_ended, "the official worker ended: " + "".join(self._last_words)
                await self._news.park()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        async for data in self._process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            self._news.unpark_all()
        self._has_ended = True
        self._news.unpark_all()

    async def _read_words(self) -> None:
        assert self._process.stderr is not None
        async for data in self._process.stderr:
            self._last_words.append(data.decode(errors="replace"))

    def _take(self, line: dict[str, Any]) -> None:
        if "id" in line:
            self._answers[line["id"]] = line
        elif "state" in line:
            self.states.append(line["state"])
        elif "noted" in line:
            self.notes.append(line["noted"])
        else:
            self.is_ready = True


@asynccontextmanager
async def open_official(url: str, prefix: str) -> AsyncIterator[Official]:
    """A worker on the official SDK for the length of a block; killed at its end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("III_", "PYTHON"))}
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [PYTHON, str(SCRIPT), url, prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        try:
            official = Official(prefix, process)
            nursery.start_soon(official._read)
            nursery.start_soon(official._read_words)
            await official.wait_until(lambda: official.is_ready)
            yield official
        finally:
            process.kill()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await process.wait()
