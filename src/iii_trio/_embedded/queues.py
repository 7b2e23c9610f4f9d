"""Queues: topics whose subscribers get a copy of every message until they could do it, and dead letters.

A subscriber is a function in its namespace, and each has a queue of its own. The named queue is only listed: what feeds
it is the provider of `engine::queue::enqueue`, which a worker has to bring (docs/engine.md, "Queues").
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import attrs

from iii_trio._embedded.inputs import Field, Input, anything, debug_error, reading, text, u64
from iii_trio._embedded.jobs import CONCURRENCY, Consumer, Done, JobQueue
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.registry import Function, Refusal
from iii_trio._embedded.triggers import Binding, TriggerType
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

WORKER: Final = "iii-queue"
TRIGGER_TYPE: Final = "durable:subscriber"

_NAMED: Final = "default"
"""The named queue that every engine has."""
_NAMED_PREFIX: Final = "__fn_queue::"

_QUEUE: Final = Field("queue", text, required=True, alias="topic")
_TOPIC: Final = Field("topic", text, required=True, alias="queue")
_MESSAGE: Final = (_QUEUE, Field("message_id", text, required=True))
_PUBLISH: Final = Input("QueueInput", (Field("topic", text, required=True), Field("data", anything, required=True)))
_REDRIVE: Final = Input("RedriveInput", (_QUEUE,))
_ONE: Final = Input("RedriveSingleInput", _MESSAGE)
_STATS: Final = Input("TopicStatsInput", (_TOPIC,))
_DEAD_LETTERS: Final = Input(
    "DlqMessagesInput", (_TOPIC, Field("offset", u64, default=0), Field("limit", u64, default=50))
)


def queues(host: Host) -> Part:
    """Queues as a part of the engine."""
    kept = _Queues(host)
    described = (
        ("iii::durable::publish", "Enqueue a message", _PUBLISH, kept.publish),
        ("iii::queue::redrive", "Redrive all DLQ messages back to the main queue", _REDRIVE, kept.redrive),
        (
            "iii::queue::redrive_message",
            "Redrive a single DLQ message by ID back to the main queue",
            _ONE,
            kept.redrive_one,
        ),
        ("iii::queue::discard_message", "Discard (purge) a single DLQ message by ID", _ONE, kept.discard),
        ("engine::queue::topic_stats", "Get stats for a queue topic", _STATS, kept.stats),
        ("engine::queue::dlq_messages", "Browse DLQ messages", _DEAD_LETTERS, kept.dead_letters),
    )
    return Part(
        worker=WORKER,
        description="Async job processing with named queues, retries, and dead-letter support.",
        functions=(
            *(reading(WORKER, *row) for row in described),
            # These two take whatever they are given.
            Function(
                id="engine::queue::list_topics",
                description="List all queue topics",
                run=lambda _caller, _data: kept.topics(),
                worker=WORKER,
            ),
            Function(
                id="engine::queue::dlq_topics",
                description="List DLQ topics with counts",
                run=lambda _caller, _data: kept.dead_topics(),
                worker=WORKER,
            ),
        ),
        trigger_types=(
            # The real engine calls its worker so only here.
            TriggerType(
                id=TRIGGER_TYPE,
                description="Queue core module",
                worker="queue",
                accept=kept.accept,
                release=kept.release,
            ),
        ),
    )


@attrs.frozen(eq=False)
class _Subscription:
    topic: str
    target: tuple[str, str]
    """A namespace, and the id of a function."""
    queue: JobQueue
    consumer: Consumer


@attrs.define
class _Queues:
    _host: Host
    _queues: dict[str, JobQueue] = attrs.field(factory=dict, init=False)
    _targets: dict[str, list[tuple[str, str]]] = attrs.field(factory=dict, init=False)
    """Who gets a copy, by topic."""
    _subscriptions: dict[tuple[str, str], _Subscription] = attrs.field(factory=dict, init=False)
    """By topic and the id of the binding."""

    # ---- functions --------------------------------------------------------------------------------------------------

    def publish(self, told: dict[str, Any]) -> Json:
        topic = told["topic"]
        if not topic:
            raise Refusal("topic_not_set", "Topic is not set")
        targets = self._targets.get(topic)
        # What nobody is subscribed to goes where nobody will look for it.
        names = [topic] if targets is None else [_name(topic, target) for target in targets]
        for name in names:
            self._queue(name).push(self._host.new_id(), told["data"])
        return ABSENT

    def redrive(self, told: dict[str, Any]) -> Json:
        found = self._found(_queue_in(told))
        return {"queue": told["queue"], "redriven": sum(queue.redrive() for queue in found)}

    def redrive_one(self, told: dict[str, Any]) -> Json:
        found = self._found(_queue_in(told))
        return {**told, "redriven": int(any(queue.redrive_one(told["message_id"]) for queue in found))}

    def discard(self, told: dict[str, Any]) -> Json:
        found = self._found(_queue_in(told))
        return {**told, "redriven": int(any(queue.discard(told["message_id"]) for queue in found))}

    def stats(self, told: dict[str, Any]) -> Json:
        topic = _topic_in(told)
        found = self._found(topic)
        return {
            "depth": sum(queue.depth for queue in found),
            "consumer_count": CONCURRENCY if topic == _NAMED else self._subscribers().get(topic, 0),
            "dlq_depth": sum(queue.dead for queue in found),
            "config": None,
        }

    def dead_letters(self, told: dict[str, Any]) -> Json:
        first, behind = told["offset"], told["offset"] + told["limit"]
        rows = [letter.row() for queue in self._found(_topic_in(told)) for letter in queue.dead_letters(behind)]
        rows.sort(key=lambda row: row["failed_at"], reverse=True)
        return rows[first:behind]

    def topics(self) -> Json:
        counts = {**self._subscribers(), _NAMED: CONCURRENCY}
        return [{"name": name, "broker_type": "builtin", "subscriber_count": count} for name, count in counts.items()]

    def dead_topics(self) -> Json:
        """The named queue stands there twice, as in the real engine."""
        named = _NAMED_PREFIX + _NAMED
        kinds = [
            *((topic, topic, "builtin") for topic in (*self._subscribers(), named)),
            (_NAMED, named, "function_queue"),
        ]
        return [
            {"topic": name, "broker_type": kind, "message_count": sum(queue.dead for queue in self._found(topic))}
            for name, topic, kind in kinds
        ]

    # ---- subscriptions ----------------------------------------------------------------------------------------------

    def accept(self, binding: Binding) -> None:
        """Whatever the config is; without a topic it never fires."""
        topic = _topic_of(binding)
        if not topic:
            return
        target = (binding.namespace, binding.function_id)
        queue = self._queue(_name(topic, target))
        wanted = binding.config.get("queue_config")
        wanted = wanted if isinstance(wanted, dict) else {}
        retries, concurrency = _natural(wanted, "maxRetries"), _natural(wanted, "concurrency")
        if wanted:
            queue.max_attempts = None if retries is None else retries + 1
            queue.backoff_ms = _natural(wanted, "backoffDelayMs")
        consumer = Consumer(
            deliver=partial(self._deliver, binding),
            concurrency=CONCURRENCY if concurrency is None else concurrency,
            in_order=wanted.get("type") == "fifo",
        )
        queue.consumers.append(consumer)
        targets = self._targets.setdefault(topic, [])
        if target not in targets:
            targets.append(target)
        # An id that is registered again leaves its first consumer where it is for good, as in the real engine.
        self._subscriptions[topic, binding.id] = _Subscription(topic, target, queue, consumer)
        queue.pump()

    def release(self, binding: Binding) -> None:
        subscription = self._subscriptions.pop((_topic_of(binding), binding.id), None)
        if subscription is None:
            return
        subscription.queue.consumers.remove(subscription.consumer)
        topic, target = subscription.topic, subscription.target
        if not any(other.topic == topic and other.target == target for other in self._subscriptions.values()):
            self._targets[topic].remove(target)
            if not self._targets[topic]:
                del self._targets[topic]

    def _deliver(self, binding: Binding, data: Json, done: Done) -> None:
        """Call the subscriber if its condition lets it; without the binding's metadata."""

        def finish(_: Json, error: ErrorBody | None) -> None:
            done(None if error is None else debug_error(error))

        def call() -> None:
            self._host.calls.call(binding.namespace, binding.function_id, data, finish=finish)

        def decide(allowed: bool, error: ErrorBody | None) -> None:
            if allowed:
                call()
            else:
                done(None if error is None else f"Condition function error: {debug_error(error)}")

        if binding.condition is None:
            call()
        else:
            self._host.triggers.check(binding.namespace, binding.condition, data, decide)

    # ---- lookup -----------------------------------------------------------------------------------------------------

    def _queue(self, name: str) -> JobQueue:
        if name not in self._queues:
            self._queues[name] = JobQueue(name, self._host.clock)
        return self._queues[name]

    def _found(self, topic: str) -> list[JobQueue]:
        """The queues of a topic's subscribers, or the one with that name; none if nobody knows it."""
        if topic == _NAMED:
            topic = _NAMED_PREFIX + topic
        targets = self._targets.get(topic)
        if targets is not None:
            return [self._queue(_name(topic, target)) for target in targets]
        return [self._queues[topic]] if topic in self._queues else []

    def _subscribers(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for subscription in self._subscriptions.values():
            counts[subscription.topic] = counts.get(subscription.topic, 0) + 1
        return counts


def _name(topic: str, target: tuple[str, str]) -> str:
    """The queue of one subscriber; no two have the same."""
    namespace, function_id = target
    return f"{_escaped(f'{topic}::{function_id}')}@{_escaped(namespace)}"


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace("@", "\\@")


def _topic_of(binding: Binding) -> str:
    topic = binding.config.get("topic") if isinstance(binding.config, dict) else None
    return topic if isinstance(topic, str) else ""


def _natural(wanted: dict[str, Json], name: str) -> int | None:
    """A whole number; None for anything else."""
    value = wanted.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _queue_in(told: dict[str, Any]) -> str:
    if not told["queue"]:
        raise Refusal("queue_not_set", "Queue name is required")
    if told.get("message_id") == "":
        raise Refusal("message_id_not_set", "Message ID is required")
    return str(told["queue"])


def _topic_in(told: dict[str, Any]) -> str:
    if not told["topic"]:
        raise Refusal("topic_required", "topic is required")
    return str(told["topic"])
