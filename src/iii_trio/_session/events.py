"""What a session has to say that nobody waits for: events for the link, and counters for everybody."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from iii_trio._wire.messages import InvokeFunction, RegisterTrigger, UnregisterTrigger
from iii_trio.errors import IIIError


@attrs.frozen
class Ready:
    """The engine knows this worker and everything that it replayed."""


@attrs.frozen
class Fatal:
    """The engine refused this worker for good."""

    error: IIIError


@attrs.frozen
class Conflict:
    """Another worker has this one's name, and may leave."""

    error: IIIError


@attrs.frozen
class Misplaced:
    """The engine has this worker in another namespace than its own, for as long as the connection lasts."""

    reason: str


@attrs.frozen
class Withdrawn:
    """The engine has heard that bindings, or all functions, are withdrawn."""


Event: TypeAlias = (
    InvokeFunction | RegisterTrigger | UnregisterTrigger | Ready | Fatal | Conflict | Misplaced | Withdrawn
)
"""What `Session.receive` may have to say. An `InvokeFunction` asks for a handler, a `RegisterTrigger` or
`UnregisterTrigger` for the provider of a trigger type of ours."""


@attrs.define
class Counters:
    """What happened that nobody is told about otherwise."""

    undecodable_frames: int = 0
    """Messages of the engine that are no frames."""

    unexpected_frames: int = 0
    """Frames that the state does not allow, or that only an engine may receive."""

    ignored_frames: int = 0
    """Frames of newer engines that this version does not use."""

    unknown_results: int = 0
    """Answers to calls that are not (or no longer) in flight: late ones above all."""

    dropped_results: int = 0
    """Answers of handlers whose connection was gone: the engine had told the caller already."""

    healed_results: int = 0
    """Answers that were sent a second time, in case the first had come too early for the engine."""

    retried_calls: int = 0
    """Times that an idempotent call was made again after its connection was lost."""

    unsent_calls: int = 0
    """Calls that want no answer and were never sent: the client ended, or was offline for too long."""

    refused_registrations: int = 0
    """Functions and triggers that the engine, or a provider, refused; a function on standby counts once a connection."""

    timed_out_calls: int = 0
    """Calls that ended at their deadline."""

    lost_calls: int = 0
    """Calls that were sent, and whose connection was lost before the answer."""
