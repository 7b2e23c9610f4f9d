"""What the engine tells of its queues."""

from __future__ import annotations

from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class TopicInfo:
    """One topic or named queue. Source: the engine's ``engine::queue::list_topics``."""

    name: str
    """Name of the topic or queue."""

    broker_type: str
    """What keeps it, such as ``builtin``."""

    subscriber_count: int
    """How many functions are subscribed; of a named queue, how many jobs may run at once."""


@attrs.frozen(kw_only=True)
class TopicStats:
    """How full a topic or named queue is. Source: the engine's ``engine::queue::topic_stats``."""

    depth: int
    """Jobs that wait for their turn or run; those that wait for another attempt are not counted."""

    consumer_count: int
    """How many functions are subscribed."""

    dlq_depth: int
    """Dead letters."""


@attrs.frozen(kw_only=True)
class DeadLetterTopic:
    """One topic or named queue that can have dead letters. Source: the engine's ``engine::queue::dlq_topics``."""

    topic: str
    """Name of the topic or queue; a named queue comes a second time, with ``__fn_queue::`` before its name."""

    broker_type: str
    """What keeps it, such as ``builtin``."""

    message_count: int
    """Dead letters; 0 as well."""


@attrs.frozen(kw_only=True)
class DeadLetter:
    """One job that failed at its last attempt. Source: the engine's ``engine::queue::dlq_messages``."""

    id: str
    """What redriving and discarding it ask for."""

    payload: Any
    """What was published."""

    error: str
    """Why the last attempt failed, as the engine prints its error; of a named queue always the same words."""

    failed_at: int
    """When it did, in seconds since 1970."""

    retries: int
    """How many attempts there were, the first one included."""

    size_bytes: int
    """Size of the job as the engine keeps it, in bytes."""
