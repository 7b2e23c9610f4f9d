"""Engines as processes, to be killed and started again, and a relay that cuts or silences the way to one.

The embedded engine always; the one of `III_TEST_ENGINE_CMD` too, a command that starts an engine in the foreground. A
``{port}`` in the command is replaced by a free port; without it the engine is expected at `III_TEST_URL`, and nobody else
may listen there.
"""

from __future__ import annotations

import functools
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import attrs
import trio

COMMAND: Final = os.environ.get("III_TEST_ENGINE_CMD", "")
URL: Final = os.environ.get("III_TEST_URL", "")
ENGINES: Final = ["embedded", *(["real"] if COMMAND and URL else [])]

START_LIMIT: Final = 30.0
"""Seconds in which an engine has to listen."""

POLL: Final = 0.02
EMBEDDED: Final = "import sys; from iii_trio._cli import main; sys.argv[0] = 'iii-trio'; main()"


async def until(happened: Callable[[], object]) -> None:
    """Wait for what wakes nobody."""
    while not happened():  # noqa: ASYNC110 - other processes and counters set no events
        await trio.sleep(POLL)


@attrs.define(eq=False)
class EngineProcess:
    """An engine in a process of its own, at an address that it keeps when it is started again."""

    command: list[str]
    host: str
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    async def start(self) -> float:
        """Start it, and wait until it listens; returns the time at which it was first seen to."""
        assert self._process is None
        if await self.listens():
            raise RuntimeError(f"somebody listens at {self.url} already: put {{port}} into III_TEST_ENGINE_CMD")
        self._process = _spawn(self.command)
        with trio.fail_after(START_LIMIT):
            while not await self.listens():
                if self._process.poll() is not None:
                    raise RuntimeError(f"{self.command[0]} ended with {self._process.returncode} before it listened")
                await trio.sleep(POLL)
        return trio.current_time()

    def kill(self) -> None:
        """SIGKILL, as a crash. Killing what does not run does nothing."""
        if self._process is not None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    async def listens(self) -> bool:
        """Whether its port takes connections."""
        try:
            stream = await trio.open_tcp_stream(self.host, self.port)
        except OSError:
            return False
        await trio.aclose_forcefully(stream)
        return True


def _spawn(command: list[str]) -> subprocess.Popen[bytes]:
    # A session of its own, so that a command that is a script can be killed with all that it started.
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def engine_process(kind: str) -> EngineProcess:
    """An engine that was not started yet."""
    if kind == "embedded":
        port = free_port("127.0.0.1")
        return EngineProcess([sys.executable, "-c", EMBEDDED, "engine", "--port", str(port)], "127.0.0.1", port)
    address = urlsplit(URL)
    host = address.hostname or "127.0.0.1"
    port = free_port(host) if "{port}" in COMMAND else address.port or 80
    return EngineProcess([part.replace("{port}", str(port)) for part in shlex.split(COMMAND)], host, port)


def free_port(host: str) -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@attrs.define(eq=False)
class Relay:
    """A way to an engine over loopback sockets on which links can be silenced: both ends live, and nothing comes through.

    That is what a vanished router looks like: the worker has to notice by itself, and the engine believes that the worker
    is still there.
    """

    host: str
    port: int
    links: int = 0
    """Connections that were made."""

    retired: int = 0
    """Silenced connections that the engine ended."""

    _silenced: list[Callable[[], None]] = attrs.field(factory=list)

    async def open(self, nursery: trio.Nursery) -> str:
        """Listen; returns the URL for the worker."""
        on_loopback = functools.partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(on_loopback)
        return f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"

    def silence(self) -> None:
        """Let nothing more through the links that there are; new ones work."""
        for silence in self._silenced:
            silence()
        self._silenced.clear()

    async def _serve(self, worker: trio.SocketStream) -> None:
        try:
            engine = await trio.open_tcp_stream(self.host, self.port)
        except OSError:
            return
        self.links += 1
        async with worker, engine:
            silent = trio.CancelScope()
            self._silenced.append(silent.cancel)
            with silent:
                async with trio.open_nursery() as nursery:
                    for source, target in ((worker, engine), (engine, worker)):
                        nursery.start_soon(_pump, source, target, nursery.cancel_scope)
                return
            # Neither end hears of the other's end any more. What the engine still says is lost on the way.
            try:
                while await engine.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            self.retired += 1


async def _pump(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    try:
        while data := await source.receive_some():
            await target.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    scope.cancel()
