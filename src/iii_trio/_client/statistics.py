"""What a client says about itself: one frozen value, taken at one moment."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class ClientStatistics:
    """State and counters of one client. Counters only grow, over all connections."""

    state: str
    """``disconnected``, ``connecting``, ``connected``, ``reconnecting`` or ``failed``."""

    transport: str | None
    """The WebSocket implementation of the open connection; None without one."""

    worker_id: str | None
    """What the engine calls this worker on its present or last connection."""

    connects: int
    """Connections that were opened."""

    connect_failures: int
    """Attempts that led to no connection."""

    functions: int
    """Functions that are registered here."""

    calls_in_flight: int
    """Calls that wait for room in the outbox, or for their answer, sent or not."""

    timed_out_calls: int
    """Calls that ended at their time-out."""

    lost_calls: int
    """Calls whose connection was lost after they were sent."""

    healed_results: int
    """Answers that were sent a second time, in case the first had come too early for the engine."""

    unsent_calls: int
    """Void calls that still waited to be sent when the client ended."""

    outbox_frames: int
    """Frames that wait to be sent."""

    outbox_bytes: int
    """Bytes that wait to be sent."""

    running_handlers: int
    """Handlers that run."""

    pending_invocations: int
    """Invocations that wait for their function's ``concurrency`` or for a thread."""

    accepted_invocations: int
    """Invocations that got a task."""

    overloaded_invocations: int
    """Invocations that were refused because a bound was reached."""

    failed_handlers: int
    """Handlers that raised, or whose result could not be sent."""

    timed_out_handlers: int
    """Handlers that were cancelled at their function's time-out."""

    abandoned_threads: int
    """Sync handlers whose invocation ended before they did."""

    dropped_results: int
    """Answers of handlers whose connection was gone."""

    unknown_results: int
    """Answers of the engine to calls that nobody waits for any more."""

    refused_registrations: int
    """Functions that the engine refused."""

    undecodable_frames: int
    """Messages of the engine that are no frames."""

    unexpected_frames: int
    """Frames of the engine that the state did not allow."""

    ignored_frames: int
    """Frames of newer engines that this version does not use."""
