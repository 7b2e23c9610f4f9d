"""`iii-trio engine`: the embedded engine as a process of its own."""

from __future__ import annotations

import signal
import sys

import trio

from iii_trio._embedded.core import Engine
from iii_trio._embedded.server import Server, open_listeners, url_of


def run_engine(host: str, port: int, namespace_grace_ms: int) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    return trio.run(_serve, host, port, namespace_grace_ms)


async def _serve(host: str, port: int, namespace_grace_ms: int) -> int:
    try:
        listeners, actual = await open_listeners(host, port)
    except OSError as error:
        print(f"iii-trio engine: cannot listen on {host}:{port}: {error.strerror or error}", file=sys.stderr)
        return 1
    server = Server(Engine(grace=namespace_grace_ms / 1_000))
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, listeners)
            print(f"iii-trio engine listening on {url_of(host, actual)}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return 0
