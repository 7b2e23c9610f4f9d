"""A process of a benchmark, seen from outside (`benchmarks.steps` is the inside)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import IO, Any


class CannotRun(Exception):
    """The process says that it cannot do its part here; the text says why."""


class Process:
    """A module run in a process of its own, with this interpreter or another one. Leaving the block ends it."""

    def __init__(self, module: str, *arguments: str, python: str | None = None) -> None:
        self._name = f"{module} {' '.join(arguments[:2])}"
        self._process = subprocess.Popen(
            [python or sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=None if python is None else _foreign_environment(),
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
        """Its next line.

        Raises:
            CannotRun: It says so.
        """
        line = self._pipe(self._process.stdout).readline()
        if not line:
            raise RuntimeError(f"{self._name} ended, exit code {self._process.wait()}")
        facts: dict[str, Any] = json.loads(line)
        if "cannot" in facts:
            raise CannotRun(facts["cannot"])
        return facts

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def _foreign_environment() -> dict[str, str]:
    # What is said there to this interpreter, or to this SDK, must not reach another one.
    return {name: value for name, value in os.environ.items() if not name.startswith(("III_", "PYTHON"))}
