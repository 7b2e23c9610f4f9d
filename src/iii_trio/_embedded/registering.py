"""What a worker announces with `engine::workers::register` (docs/engine.md, "Namespaces")."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

import attrs

from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Profile
from iii_trio._embedded.inputs import Field, Input, debug, read, text, u32
from iii_trio._embedded.registry import Refusal
from iii_trio._wire.messages import Json

REGISTER: Final = "engine::workers::register"

_LONGEST_TEXT: Final = 280
# Overrides and isolates of the writing direction, and the separators: they would garble a terminal.
_UNSAFE: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")

_TELEMETRY: Final = Input(
    "WorkerConnectionTelemetryMeta",
    (
        Field("language", text, may_end=False),
        Field("project_name", text, may_end=False),
        Field("framework", text, may_end=False),
    ),
)
_INPUT: Final = Input(
    "RegisterWorkerInput",
    (
        Field("_caller_worker_id", text, required=True),
        Field("runtime", text, may_end=False),
        Field("version", text, may_end=False),
        Field("name", text, may_end=False),
        Field("description", text),
        Field("os", text, may_end=False),
        Field("telemetry", _TELEMETRY.read, may_end=False),
        Field("pid", u32),
        Field("isolation", text),
        Field("namespace", text),
    ),
)


@attrs.frozen
class Announcement:
    """A decoded call of `engine::workers::register`."""

    namespace: str
    profile: Profile

    def renew(self, known: Profile) -> Profile:
        """What is known of the worker afterwards: only runtime and version are forgotten when they are left out."""
        told: dict[str, Any] = {
            field: value
            for field, value in attrs.asdict(self.profile).items()
            if value is not None or field in ("runtime", "version")
        }
        return attrs.evolve(known, **told)


def read_announcement(data: Json) -> Announcement:
    """Decode the payload.

    Raises:
        Refusal: It does not fit, or names a blank namespace.
    """
    told = read(REGISTER, _INPUT, data)
    namespace = told["namespace"]
    if namespace is not None and not namespace.strip():
        name = "<unnamed>" if told["name"] is None else told["name"]
        raise Refusal(
            "INVALID_NAMESPACE",
            f"namespace is empty: worker '{name}' declared {debug(namespace)}. "
            f"Give it a name, or omit the field to register in '{DEFAULT_NAMESPACE}'.",
        )
    return Announcement(
        namespace=DEFAULT_NAMESPACE if namespace is None else namespace,
        profile=Profile(
            name=_displayable(told["name"]),
            description=_displayable(told["description"]),
            runtime="unknown" if told["runtime"] is None else told["runtime"],
            version=told["version"],
            os=told["os"],
            pid=told["pid"],
            isolation=told["isolation"],
        ),
    )


def _displayable(raw: str | None) -> str | None:
    """Text without control characters, cut to what the engine shows; None when nothing is left."""
    if raw is None:
        return None
    kept = [character for character in raw if unicodedata.category(character) != "Cc" and character not in _UNSAFE]
    return "".join(kept[:_LONGEST_TEXT]).strip() or None
