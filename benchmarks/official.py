"""The official SDK as a contender, run by an interpreter that has it and need not have anything else.

``python -m benchmarks.official worker MODE URL ID LOAD``, and the same with ``caller``. MODE says how the caller calls: from
threads of its own, from an event loop of its own, or from a handler, which runs on the SDK's event loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import Any

from iii import InitOptions, InvocationError, register_worker  # type: ignore[import-not-found]

from benchmarks.cases import TIMEOUT, Load
from benchmarks.steps import STDIN, SyncEcho, cpu_seconds, say, say_made

START_LIMIT = 30.0
"""Seconds until a function has to be callable."""


def next_step() -> bool:
    """Wait until the next step is wanted; False at the end."""
    return bool(os.read(STDIN, 1))


def connect(url: str) -> Any:
    # Telemetry is off everywhere here: what is compared is the calls.
    return register_worker(url, InitOptions(otel={"enabled": False}, enable_metrics_reporting=False))


def offer(worker: Any, function_id: str, handler: Callable[[Any], Any]) -> None:
    """Register a function, and wait until the engine has it, which this SDK tells nobody: so ask for it."""
    worker.register_function(function_id, handler)
    request = {"function_id": function_id, "payload": {}, "dispatch": "remote"}
    until = perf_counter() + START_LIMIT
    while True:
        try:
            worker.trigger(request)
        except InvocationError as error:
            if error.code != "function_not_found" or perf_counter() > until:
                raise
            time.sleep(0.02)
        else:
            return


def work(url: str, function_id: str, load: Load) -> None:
    sync_echo = SyncEcho()

    async def echo(data: Any) -> Any:
        data.pop("_caller_worker_id", None)
        return data

    def echo_in_thread(data: Any) -> Any:
        data.pop("_caller_worker_id", None)
        return sync_echo(data)

    offer(connect(url), function_id, echo_in_thread if load.sync else echo)
    say(ready=True)
    while next_step():
        say(cpu=cpu_seconds(), threads=sync_echo.threads)


class Round:
    """Calls that are made, and what became of them."""

    def __init__(self, worker: Any, function_id: str, calls: int, load: Load) -> None:
        self._worker = worker
        self._left = [None] * calls  # taken from by threads, which popping is safe in
        self._concurrency = load.concurrency
        self._payload = load.payload()
        self._request = {"function_id": function_id, "payload": self._payload, "timeout_ms": int(TIMEOUT * 1000)}
        self._errors: list[BaseException] = []
        self.answered: list[tuple[float, float]] = []

    def in_threads(self) -> None:
        threads = [threading.Thread(target=self._call_on_or_note) for _ in range(self._concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    async def in_tasks(self) -> None:
        await asyncio.gather(*(self._call_on_async() for _ in range(self._concurrency)))

    def _call_on_or_note(self) -> None:
        try:
            self._call_on()
        except BaseException as error:  # it would end its thread and nothing else
            self._errors.append(error)

    def _call_on(self) -> None:
        while self._take():
            started = perf_counter()
            try:
                answer = self._worker.trigger(self._request)
            except InvocationError as error:
                self._check(error)
            else:
                self._ended(started, answer)

    async def _call_on_async(self) -> None:
        while self._take():
            started = perf_counter()
            try:
                answer = await self._worker.trigger_async(self._request)
            except InvocationError as error:
                self._check(error)
            else:
                self._ended(started, answer)

    def _take(self) -> bool:
        try:
            self._left.pop()
        except IndexError:
            return False
        return True

    @staticmethod
    def _check(error: Any) -> None:
        if error.code != "TIMEOUT":  # the engine lost the answer
            raise error

    def _ended(self, started: float, answer: Any) -> None:
        self.answered.append((started, perf_counter()))
        assert answer == self._payload, answer


def call(mode: str, url: str, function_id: str, load: Load) -> None:
    worker = connect(url)
    run = RUNNERS[mode](worker)
    run(Round(worker, function_id, load.warm_up(), load))
    say(ready=True)
    next_step()
    began, cpu = perf_counter(), cpu_seconds()
    made = Round(worker, function_id, load.calls, load)
    run(made)
    say_made(began, cpu, made.answered, load.calls)


def from_threads(worker: Any) -> Callable[[Round], None]:
    return Round.in_threads


def from_loop(worker: Any) -> Callable[[Round], None]:
    return lambda made: asyncio.run(made.in_tasks())


def from_handler(worker: Any) -> Callable[[Round], None]:
    rounds: list[Round] = []

    async def go(data: Any) -> None:
        if rounds:
            await rounds.pop().in_tasks()

    function_id = f"bench::go::{uuid.uuid4().hex}"
    offer(worker, function_id, go)

    def run(made: Round) -> None:
        rounds.append(made)
        worker.trigger({"function_id": function_id, "payload": {}, "dispatch": "remote", "timeout_ms": 600_000})

    return run


RUNNERS = {"threads": from_threads, "loop": from_loop, "handler": from_handler}


def main(role: str, mode: str, url: str, function_id: str, load: str) -> None:
    # Its own threads live on, whatever happens here, and nobody waits for them.
    try:
        if role == "worker":
            work(url, function_id, Load.parse(load))
        else:
            call(mode, url, function_id, Load.parse(load))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
