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

    latency: float | None
    """Seconds that the last heartbeat of the present connection took to the engine and back; None before there was one,
    as on a link that is never silent."""

    connects: int
    """Connections that were opened."""

    reconnects: int
    """Times that a client which had been ready before was ready again."""

    engine_restarts: int
    """Times that a new connection led to another engine than the one before: it was restarted. An engine that does not
    let this worker list its workers does not say."""

    connect_failures: int
    """Attempts that led to no connection."""

    functions: int
    """Functions that are registered here."""

    standby_functions: int
    """Functions among them that another worker owns, and that are asked for again (``on_conflict="standby"``)."""

    triggers: int
    """Triggers that are registered here."""

    trigger_types: int
    """Trigger types that are provided here."""

    bindings: int
    """Bindings of any worker's triggers that the trigger types of this one have accepted."""

    calls_in_flight: int
    """Calls that wait for room in the outbox, or for their answer, sent or not."""

    timed_out_calls: int
    """Calls that ended at their time-out."""

    lost_calls: int
    """Calls whose connection was lost after they were sent."""

    healed_results: int
    """Answers that were sent a second time, in case the first had come too early for the engine."""

    retried_calls: int
    """Times that an idempotent call was made again after its connection was lost."""

    unsent_calls: int
    """Void calls that were never sent: the client ended, or was offline for too long."""

    waiting_for_room: int
    """Calls and results that wait until the outbox has room for them."""

    outbox_frames: int
    """Frames that wait to be sent."""

    outbox_results: int
    """Frames among them that are answers of handlers."""

    max_outbox_frames: int
    """The bound of frames that wait, for calls and for results each (`InitOptions.max_outbox_frames`)."""

    outbox_bytes: int
    """Bytes that wait to be sent."""

    max_outbox_bytes: int
    """The bound of bytes that wait, likewise (`InitOptions.max_outbox_bytes`)."""

    running_handlers: int
    """Handlers that run; quick sync ones that stand in the line for a shared thread are among them."""

    max_running_handlers: int | None
    """How many may (`InitOptions.max_running_handlers`)."""

    pending_invocations: int
    """Invocations that wait for their function's ``concurrency`` or for a thread."""

    max_pending_invocations: int
    """How many may (`InitOptions.max_pending_invocations`)."""

    threads: int
    """Threads that run sync handlers, abandoned ones included."""

    max_threads: int
    """How many may (`InitOptions.max_threads`)."""

    accepted_invocations: int
    """Invocations that got a task."""

    overloaded_invocations: int
    """Invocations that were refused because a bound was reached."""

    invalid_inputs: int
    """Invocations that were answered ``invalid_input``, since their payload is not what the handler takes."""

    failed_handlers: int
    """Handlers that raised, or whose result could not be sent. Each handler ends in one way: it answers, fails, is timed
    out or cancelled."""

    timed_out_handlers: int
    """Handlers that were cancelled at their function's time-out, or at their caller's deadline."""

    cancelled_handlers: int
    """Handlers that were cancelled with their client, or with the connection of their invocation
    (``on_connection_lost="cancel"``); those that still waited for their turn included."""

    abandoned_threads: int
    """Sync handlers whose invocation ended before they did."""

    dropped_results: int
    """Answers of handlers whose connection was gone."""

    unknown_results: int
    """Answers of the engine to calls that nobody waits for any more."""

    refused_registrations: int
    """Functions and triggers that the engine, or the provider of a trigger's type, refused; a function on standby counts
    once a connection."""

    undecodable_frames: int
    """Messages of the engine that are no frames."""

    unexpected_frames: int
    """Frames of the engine that the state did not allow."""

    ignored_frames: int
    """Frames of newer engines that this version does not use."""

    missed_state_changes: int
    """State changes that slow watchers did not get (`III.state_changes`)."""

    loop_blocks: int
    """Times that one step of a task took at least `InitOptions.loop_watch` seconds; 0 when that is not set."""

    longest_loop_block: float
    """Seconds of the longest of them."""
