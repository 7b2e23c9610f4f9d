"""The client as a contender.

``python -m benchmarks.client worker TRANSPORT URL ID LOAD``, the same with ``worker-once`` and with ``caller``.
"""

from __future__ import annotations

import sys
from typing import Any

import trio

from benchmarks.cases import TIMEOUT, Load
from benchmarks.load import call_under_load, tell_cpu
from benchmarks.steps import SyncEcho, say
from iii_trio import InitOptions, open_iii
from iii_trio.errors import ConfigurationError


async def work(transport: Any, url: str, function_id: str, load: Load, heals: bool) -> None:
    async def echo(payload: Any) -> Any:
        return payload

    sync_echo = SyncEcho()
    async with open_iii(url, InitOptions(heal_early_results=heals), transport=transport) as iii:
        await iii.register_function(function_id, sync_echo if load.sync else echo).wait_registered()
        await tell_cpu(sync_echo, transport=iii.statistics().transport)


async def call(transport: Any, url: str, function_id: str, load: Load) -> None:
    async with open_iii(url, InitOptions(invocation_timeout_ms=TIMEOUT * 1000), transport=transport) as iii:

        async def trigger(payload: Any) -> Any:
            return await iii.trigger(function_id, payload)

        await call_under_load(trigger, load, transport=iii.statistics().transport)


def main(role: str, transport: str, url: str, function_id: str, load: str) -> None:
    try:
        match role:
            case "worker" | "worker-once":
                trio.run(work, transport, url, function_id, Load.parse(load), role == "worker")
            case "caller":
                trio.run(call, transport, url, function_id, Load.parse(load))
    except ConfigurationError as error:  # such as a transport whose library is not installed
        say(cannot=str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
