"""Queues: how a call is routed through one, and the receipt for it."""

from iii_trio._values.requests import EnqueueResult, TriggerActionEnqueue

__all__ = ["EnqueueResult", "TriggerActionEnqueue"]
