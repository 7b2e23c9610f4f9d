"""`iii-trio engine`: the embedded engine as a process of its own."""

from __future__ import annotations

import signal
import sys

import trio

from iii_trio._embedded.core import Engine
from iii_trio._embedded.server import Server, http_url_of, open_listeners, url_of


def run_engine(host: str, port: int, http_port: int | None, namespace_grace_ms: int, http_timeout_ms: int) -> int:
    """Serve until SIGINT or SIGTERM; the exit code."""
    return trio.run(_serve, host, port, http_port, namespace_grace_ms, http_timeout_ms)


async def _serve(host: str, port: int, http_port: int | None, namespace_grace_ms: int, http_timeout_ms: int) -> int:
    opened: list[tuple[list[trio.SocketListener], int]] = []
    for asked in (port,) if http_port is None else (port, http_port):
        try:
            opened.append(await open_listeners(host, asked))
        except OSError as error:
            print(f"iii-trio engine: cannot listen on {host}:{asked}: {error.strerror or error}", file=sys.stderr)
            for listener in (each for listeners, _ in opened for each in listeners):
                listener.socket.close()
            return 1
    server = Server(Engine(grace=namespace_grace_ms / 1_000), http_timeout_ms / 1_000)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, *(listeners for listeners, _ in opened))
            print(f"iii-trio engine listening on {url_of(host, opened[0][1])}", flush=True)
            for _, actual in opened[1:]:
                print(f"iii-trio engine serving HTTP on {http_url_of(host, actual)}", flush=True)
            await anext(signals)
            nursery.cancel_scope.cancel()
    return 0
