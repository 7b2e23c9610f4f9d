"""Routing of calls."""

from iii_trio._values.requests import TriggerActionVoid

__all__ = ["TriggerActionVoid"]
