"""For tests: an engine in this process, in memory or on a loopback port (docs/testing.md).

    async with open_engine() as engine, open_iii(engine.url, open_stream=engine.open_stream) as iii:
        ...

With pytest-trio the fixture `iii_engine` is such an engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iii_trio.testing._engine import EmbeddedEngine, Received, Undecodable, open_engine

__all__ = ["EmbeddedEngine", "Received", "Undecodable", "open_engine"]


def __getattr__(name: str) -> Any:
    # pytest imports this package in every run, for its plugin: what the names stand for is imported when one is used.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("iii_trio.testing._engine"), name)
