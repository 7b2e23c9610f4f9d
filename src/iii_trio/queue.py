"""Queues: how a call is routed through one, the receipt for it, and what the engine tells of them."""

from iii_trio._client.queues import Queues
from iii_trio._values.queue import DeadLetter, DeadLetterTopic, TopicInfo, TopicStats
from iii_trio._values.requests import EnqueueResult, TriggerActionEnqueue

__all__ = [
    "DeadLetter",
    "DeadLetterTopic",
    "EnqueueResult",
    "Queues",
    "TopicInfo",
    "TopicStats",
    "TriggerActionEnqueue",
]
