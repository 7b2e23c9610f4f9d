"""A worker on the official SDK that tests command with JSON lines. Run by an interpreter that has it; not a test.

It says ``{"ready": true}``, then for each ``{"id", "trigger": {…}}`` on stdin one ``{"id", "result"}`` or
``{"id", "error"}`` on stdout, in any order, and ``{"state"}`` whenever its connection changes. The end of stdin ends it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from iii import InitOptions, InvocationError, register_worker  # type: ignore[import-not-found]
from iii.iii_constants import ReconnectionConfig  # type: ignore[import-not-found]

_lock = threading.Lock()
_seen: list[Any] = []


def say(**line: Any) -> None:
    with _lock:
        print(json.dumps(line), flush=True)


def plain(data: Any) -> Any:
    """Objects get the caller's id from the engine, and the official SDK hands it to the handler as a part of them."""
    return {key: value for key, value in data.items() if key != "_caller_worker_id"} if isinstance(data, dict) else data


def echo(data: Any) -> Any:
    return plain(data)


async def echo_async(data: Any) -> Any:
    return plain(data)


def caller(data: Any) -> Any:
    return data["_caller_worker_id"]


def nothing(data: Any) -> None:
    return None


def fail(data: Any) -> None:
    raise ValueError(f"no good: {data}")


def fail_with_code(data: Any) -> None:
    raise InvocationError("out_of_stock", "none left")


def with_metadata(data: Any, metadata: Any = None) -> Any:
    return [data, metadata]


def slow(data: Any) -> Any:
    time.sleep(data)
    return data


def note(data: Any) -> None:
    say(noted=plain(data))


FUNCTIONS = {
    "echo": echo,
    "echo_async": echo_async,
    "caller": caller,
    "nothing": nothing,
    "fail": fail,
    "fail_with_code": fail_with_code,
    "with_metadata": with_metadata,
    "slow": slow,
    "note": note,
}


def call(worker: Any, number: int, request: dict[str, Any]) -> None:
    try:
        say(id=number, result=worker.trigger(request))
    except InvocationError as error:
        say(id=number, error={"code": error.code, "message": error.message})
    except BaseException as error:
        say(id=number, error={"code": type(error).__name__, "message": str(error)})


def main(url: str, prefix: str) -> None:
    options = InitOptions(
        worker_name=prefix,
        otel={"enabled": False},
        reconnection_config=ReconnectionConfig(initial_delay_ms=100, max_delay_ms=500),
    )
    worker = register_worker(url, options)
    worker.add_connection_state_listener(lambda state: say(state=state))
    for name, handler in FUNCTIONS.items():
        worker.register_function(f"{prefix}::{name}", handler)
    say(ready=True)
    for line in sys.stdin:
        command = json.loads(line)
        threading.Thread(target=call, args=(worker, command["id"], command["trigger"]), daemon=True).start()
    # Its own threads may live on after a shutdown, and nobody waits for them here.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
