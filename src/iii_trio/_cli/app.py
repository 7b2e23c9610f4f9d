"""The commands and their options. Each is imported only when it runs."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter, validators

app: Final = App(name="iii-trio", help="The trio-based SDK for the iii engine, on the command line.")


@app.command
def engine(
    *,
    host: str = "127.0.0.1",
    port: int = 49134,
    http_port: int | None = None,
    namespace_grace_ms: Annotated[int, Parameter(env_var="III_NAMESPACE_GRACE_MS")] = 5_000,
    http_timeout_ms: int = 30_000,
) -> int:
    """Run the embedded engine until it is interrupted.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on; 0 for a free one.
    http_port
        Port that serves the HTTP triggers, 3111 with the real engine; 0 for a free one. None is served without it.
    namespace_grace_ms
        Milliseconds after which a worker that does not register itself is put into the default namespace.
    http_timeout_ms
        Milliseconds from an HTTP request to the head of its response; after that it is a 504.
    """
    from iii_trio._cli.engine import run_engine

    return run_engine(host, port, http_port, namespace_grace_ms, http_timeout_ms)


@app.command
def demo(
    *,
    calls: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20_000,
    concurrency: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 64,
    url: str | None = None,
) -> int:
    """Run an engine, a worker and a caller as three processes, make real calls, and sum up.

    Parameters
    ----------
    calls
        Calls to make.
    concurrency
        Calls at once.
    url
        Use the engine that runs there instead of an embedded one.
    """
    from iii_trio._cli.demo import run_demo

    return run_demo(calls, concurrency, url)
