"""For tests: an engine in this process, in memory or on a loopback port (docs/testing.md).

    async with open_engine() as engine, open_iii(engine.url, open_stream=engine.open_stream) as iii:
        ...

With pytest-trio the fixture `iii_engine` is such an engine. `open_fault_proxy` is a proxy that breaks what passes through
it, and `iii_trio.testing.frames` has the frames that an engine receives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iii_trio.testing._engine import EmbeddedEngine, Received, Undecodable, open_engine
    from iii_trio.testing._proxy import FaultProxy, ProxyCounters, open_fault_proxy

__all__ = [
    "EmbeddedEngine",
    "FaultProxy",
    "ProxyCounters",
    "Received",
    "Undecodable",
    "open_engine",
    "open_fault_proxy",
]

_OF_THE_PROXY = ("FaultProxy", "ProxyCounters", "open_fault_proxy")


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run, for its plugin: what the names stand for is imported when one is used.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "_proxy" if name in _OF_THE_PROXY else "_engine"
    return getattr(import_module(f"iii_trio.testing.{module}"), name)
