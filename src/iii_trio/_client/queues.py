"""`III.queues`: durable topics, named queues, and what became of their messages."""

from __future__ import annotations

from typing import Any

import attrs

from iii_trio._client.operations import Caller, check_name
from iii_trio._values.queue import DeadLetter, DeadLetterTopic, TopicInfo, TopicStats
from iii_trio.errors import ConfigurationError


@attrs.frozen
class _Redriven:
    redriven: int


@attrs.frozen(eq=False)
class Queues:
    """The engine's queues. Work is put into a named one with ``TriggerAction.Enqueue``, and into those of a topic here.

    Where a method takes a `queue`, it is a named queue, or else a topic. A name that the engine does not know is no error:
    it has nothing. Of a topic it tells what its present subscribers have; what one has left behind is seen again when it
    comes back (docs/engine.md, "Queues").

    Each method raises `ConfigurationError` for an argument that cannot work, before anything is sent; and what `III.trigger`
    raises. Cancelling one is safe, but one that was sent may be carried out all the same.
    """

    _caller: Caller

    async def publish(self, topic: str, data: Any = None) -> None:
        """Give a message to every function that is subscribed to a topic: it is kept, and tried again when it fails.

        When this returns the engine has it. It keeps nothing for those who subscribe later: without any subscriber the
        message is lost. See `III.publish` for messages that are not kept.

        Args:
            topic: Name of the topic.
            data: Any JSON value or attrs instance; what the functions get.

        Raises:
            PayloadError: The data cannot be sent. Nothing was sent.

        Other errors as the class says.
        """
        check_name("topic", topic)
        await self._caller.trigger("iii::durable::publish", {"topic": topic, "data": data})

    async def redrive(self, queue: str) -> int:
        """Try all dead letters again, as if they were new; returns how many. Errors as the class says."""
        check_name("queue", queue)
        done = await self._caller.trigger("iii::queue::redrive", {"queue": queue}, returns=_Redriven)
        return done.redriven

    async def redrive_message(self, queue: str, message_id: str) -> bool:
        """Try one dead letter again, as if it was new; returns whether there was one. Errors as the class says."""
        return await self._one("iii::queue::redrive_message", queue, message_id)

    async def discard_message(self, queue: str, message_id: str) -> bool:
        """Throw one dead letter away; returns whether there was one. Errors as the class says."""
        return await self._one("iii::queue::discard_message", queue, message_id)

    async def list_topics(self) -> list[TopicInfo]:
        """The topics that have subscribers, and the named queues, in no particular order. Errors as the class says."""
        return await self._caller.trigger("engine::queue::list_topics", {}, returns=list[TopicInfo])

    async def topic_stats(self, queue: str) -> TopicStats:
        """How full a topic or named queue is. Errors as the class says."""
        check_name("queue", queue)
        return await self._caller.trigger("engine::queue::topic_stats", {"topic": queue}, returns=TopicStats)

    async def dlq_topics(self) -> list[DeadLetterTopic]:
        """The topics and named queues, with their numbers of dead letters. Errors as the class says."""
        return await self._caller.trigger("engine::queue::dlq_topics", {}, returns=list[DeadLetterTopic])

    async def dlq_messages(self, queue: str, *, offset: int = 0, limit: int = 50) -> list[DeadLetter]:
        """The dead letters of a topic or named queue, the newest first.

        Args:
            queue: Name of the queue or topic.
            offset: How many to leave out.
            limit: How many to return at most.

        Errors as the class says.
        """
        check_name("queue", queue)
        _check_count("offset", offset)
        _check_count("limit", limit)
        asked = {"topic": queue, "offset": offset, "limit": limit}
        return await self._caller.trigger("engine::queue::dlq_messages", asked, returns=list[DeadLetter])

    async def _one(self, function_id: str, queue: str, message_id: str) -> bool:
        check_name("queue", queue)
        check_name("message_id", message_id)
        asked = {"queue": queue, "message_id": message_id}
        done = await self._caller.trigger(function_id, asked, returns=_Redriven)
        return done.redriven > 0


def _check_count(what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ConfigurationError(f"{what} must be a whole number of at least 0 that fits 63 bits, not {value!r}")
