"""How the processes of a benchmark talk: lines of JSON out, a line in for every step; the end of the input is the end."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from types import TracebackType
from typing import IO, Any, Final

import trio

STDIN: Final = 0


# ---- in the process -------------------------------------------------------------------------------------------------


def say(**facts: Any) -> None:
    """One line for whoever runs the benchmark."""
    print(json.dumps(facts), flush=True)


def cpu_seconds() -> float:
    """CPU time of this process so far, in user and system mode."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def next_step() -> bool:
    """Wait until the next step is wanted; False at the end."""
    return bool(await trio.to_thread.run_sync(os.read, STDIN, 1, abandon_on_cancel=True))


async def tell_cpu() -> None:
    """A worker's life beside its work: say how much CPU it took, each time somebody asks."""
    say(ready=True)
    while await next_step():
        say(cpu=cpu_seconds())


# ---- outside of it --------------------------------------------------------------------------------------------------


class Process:
    """A process of a benchmark, seen from outside. Leaving the block ends it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = f"{module} {' '.join(arguments[:1])}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def step(self) -> dict[str, Any]:
        """Ask for the next step, and wait for what comes of it."""
        pipe = self._pipe(self._process.stdin)
        pipe.write("\n")
        pipe.flush()
        return self.next()

    def next(self) -> dict[str, Any]:
        """Its next line."""
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._name} ended, exit code {self._process.wait()}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
