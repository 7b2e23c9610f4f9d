"""Who this worker is: its name, and what the register call tells the engine about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from collections.abc import Mapping
from typing import Any, Final

import attrs

from iii_trio._options import InitOptions, TelemetryOptions, resolve_isolation, resolve_namespace


@attrs.define(eq=False)
class Names:
    """Hands out worker names, one for each client of this process that is open at the same time.

    Two live workers cannot bear one name, so a second client cannot have the first one's (docs/engine.md, "Names").
    """

    _taken: set[int] = attrs.field(factory=set)

    def take(self, options: InitOptions, environ: Mapping[str, str] = os.environ) -> tuple[int, str]:
        """A slot, to be given back with `release`, and the name that goes with it."""
        slot = next(number for number in range(1, len(self._taken) + 2) if number not in self._taken)
        self._taken.add(slot)
        return slot, options.worker_name or _default_name(slot, environ)

    def release(self, slot: int) -> None:
        """The client with this slot is gone."""
        self._taken.discard(slot)


NAMES: Final = Names()
"""The names of this process."""


def _default_name(slot: int, environ: Mapping[str, str]) -> str:
    named = environ.get("III_WORKER_NAME", "").strip()
    if slot == 1 and named:
        return named
    base = f"{socket.gethostname()}:{os.getpid()}"
    return base if slot == 1 else f"{base}:{slot}"


def worker_facts(name: str, options: InitOptions) -> dict[str, Any]:
    """The payload of ``engine::workers::register`` (docs/engine.md, "Registration")."""
    facts: dict[str, Any] = {
        "runtime": "python",
        "version": importlib.metadata.version("iii-trio"),
        "name": name,
        "os": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "pid": os.getpid(),
        "isolation": resolve_isolation(options),
        "namespace": resolve_namespace(options),
        "telemetry": _telemetry(options.telemetry or TelemetryOptions()),
    }
    if options.worker_description is not None:
        facts["description"] = options.worker_description
    return facts


def _telemetry(telemetry: TelemetryOptions) -> dict[str, str]:
    said = attrs.asdict(telemetry, filter=lambda _, value: value is not None)
    return {"framework": "iii-trio", **said}
