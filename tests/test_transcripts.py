"""The embedded engine says and does what the real one was recorded to say and do, to the letter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing
from _pytest.mark.structures import ParameterSet

from iii_trio.testing import open_engine
from tests.replay import replay

FOLDER: Final = Path(__file__).parent / "transcripts"
GRACE_MS: Final = 1_500
HTTP_TIMEOUT_MS: Final = 2_500
"""How the engine that was recorded was configured."""

REPLAYED: Final[dict[str, frozenset[str]]] = {
    "big-frames": frozenset(),
    "callee-disconnect": frozenset(),
    "caller-disconnect": frozenset(),
    **dict.fromkeys(
        (
            "channel-backpressure",
            "channel-close-echo",
            "channel-create",
            "channel-empty",
            "channel-order",
            "channel-reader-gone",
            "channel-refused",
            "channel-taken",
        ),
        frozenset(),
    ),
    "configuration": frozenset(),
    "cron": frozenset(),
    "deep-json": frozenset(),
    "duplicate-invocation-id": frozenset(),
    "echo": frozenset(),
    "engine-register-trigger": frozenset(),
    "enqueue": frozenset(),
    "function-conflict": frozenset(),
    "functions-available": frozenset(),
    "grace-period": frozenset(),
    "handshake": frozenset(),
    **dict.fromkeys(
        ("http-basic", "http-condition", "http-errors", "http-returns", "http-routes", "http-stream"), frozenset()
    ),
    "introspect-functions": frozenset(),
    # every trigger type there is
    "introspect-triggers": frozenset({"$uuid12"}),
    # a function by which state hears of its configuration
    "introspect-workers": frozenset({"$uuid15"}),
    "late-results": frozenset(),
    "malformed": frozenset(),
    "metadata-trace": frozenset(),
    "name-conflict": frozenset(),
    "namespaces": frozenset(),
    "not-found": frozenset(),
    "parked-registrations": frozenset(),
    "ping": frozenset(),
    "pubsub": frozenset(),
    "queue-dlq": frozenset(),
    "queue-durable": frozenset(),
    "reattach": frozenset(),
    "register-trigger-timeout": frozenset(),
    "register-worker-errors": frozenset(),
    "reregister": frozenset(),
    "results": frozenset(),
    "services": frozenset(),
    "state-basic": frozenset(),
    "state-trigger": frozenset(),
    "state-update": frozenset(),
    "state-update-bounds": frozenset(),
    "stream-basic": frozenset(),
    "stream-custom": frozenset(),
    "stream-trigger": frozenset(),
    "trigger-namespaces": frozenset(),
    "trigger-parking": frozenset(),
    "trigger-provider": frozenset(),
    "trigger-refused": frozenset(),
    # engine::log::debug, and what comes of it
    "trigger-reregister": frozenset({"$uuid18", "$uuid19"}),
    "uuid-forms": frozenset(),
    "void": frozenset(),
    "workers-available": frozenset(),
}
"""Transcripts that the embedded engine passes, with the invocations and bindings that need parts it does not have."""

NOT_YET: Final[dict[str, str]] = {
    "stream-binding-no-name": "refused here, where the real engine never reads from the connection again",
    "stream-socket": "needs the public socket of streams",
    "http-function": "needs functions that are served by HTTP",
    **dict.fromkeys(("log", "log-twice", "otel"), "needs logs and telemetry"),
    **dict.fromkeys(("middleware", "rbac-calls", "rbac-refused"), "needs a listener with access rules"),
}
"""Transcripts of what the embedded engine does not do, and why."""


SLOW: Final = frozenset(
    {"big-frames", "cron", "grace-period", "http-errors", "malformed", "queue-dlq", "register-trigger-timeout"}
)
"""Transcripts that take more than a second in real time."""


PATIENT: Final = frozenset({"register-trigger-timeout"})
"""Transcripts whose silences are as long as what they wait for."""


def names(slow: Collection[str]) -> list[ParameterSet]:
    """What is replayed, with a mark on what takes its time."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in sorted(REPLAYED)]


def test_every_transcript_is_replayed_or_has_a_reason() -> None:
    """No recording is forgotten."""
    assert not REPLAYED.keys() & NOT_YET.keys()
    assert REPLAYED.keys() | NOT_YET.keys() == {path.stem for path in FOLDER.glob("*.jsonl")}


@pytest.mark.parametrize("name", names(slow={"big-frames"}))
async def test_the_engine_in_memory_behaves_as_recorded(name: str, autojump_clock: trio.testing.MockClock) -> None:
    """Recorded waits cost no time here."""
    async with open_engine(namespace_grace_ms=GRACE_MS, http_timeout_ms=HTTP_TIMEOUT_MS) as engine:
        path = FOLDER / f"{name}.jsonl"
        await replay(path, engine.open_stream, open_http=engine.open_http_stream, skip=REPLAYED[name])
        assert engine.connections == ()


@pytest.fixture(scope="module")
def engine_ports() -> Iterator[tuple[int, int]]:
    """The ports of `iii-trio engine` in a process of its own, for workers and for HTTP."""
    command = [sys.executable, "-c", "from iii_trio._cli import main; main()", "engine", "--port", "0"]
    command += ["--http-port", "0", "--http-timeout-ms", str(HTTP_TIMEOUT_MS)]
    environment = {**os.environ, "III_NAMESPACE_GRACE_MS": str(GRACE_MS)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().strip() for _ in range(2)]
            assert lines[0].startswith("iii-trio engine listening on ws://127.0.0.1:")
            assert lines[1].startswith("iii-trio engine serving HTTP on http://127.0.0.1:")
            port, http_port = (int(line.rpartition(":")[2]) for line in lines)
            yield port, http_port
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("name", names(slow=SLOW))
async def test_the_engine_as_a_process_behaves_as_recorded(name: str, engine_ports: tuple[int, int]) -> None:
    """Over sockets and in real time; a short silence is as telling as a long one there."""
    open_stream, open_http = (partial(trio.open_tcp_stream, "127.0.0.1", port) for port in engine_ports)
    with trio.fail_after(60):
        silence = 1.0 if name in PATIENT else 0.2
        path = FOLDER / f"{name}.jsonl"
        await replay(path, open_stream, open_http=open_http, skip=REPLAYED[name], silence=silence)
