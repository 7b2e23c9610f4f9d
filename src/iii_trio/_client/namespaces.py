"""In which namespace a function is looked up.

The engine looks up strictly where it is told, or in ``default`` (docs/engine.md, "Calls"). A worker means its own namespace
when it says nothing, except for the engine's own functions, which live in ``default`` alone.
"""

from __future__ import annotations

from typing import Final

from iii_trio._session.registry import Registry, Verdict

_BUILTIN_PREFIXES: Final = ("engine::", "state::", "stream::", "iii::", "configuration::")
_BUILTIN_IDS: Final = frozenset({"publish"})


def is_builtin(function_id: str) -> bool:
    """Whether the id belongs to the engine: a worker that registers it replaces the engine's function for everybody."""
    return function_id.startswith(_BUILTIN_PREFIXES) or function_id in _BUILTIN_IDS


def target_namespace(function_id: str, asked: str | None, own: str, registry: Registry) -> str | None:
    """What goes into the frame; None stands for ``default``."""
    if asked is not None:
        return asked
    if is_builtin(function_id) and not _owns(registry, function_id):
        return None
    return None if own == "default" else own


def _owns(registry: Registry, function_id: str) -> bool:
    registration = registry.find(function_id)
    return registration is not None and registration.verdict is not Verdict.REFUSED
