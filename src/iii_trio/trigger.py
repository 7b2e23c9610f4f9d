"""Routing of calls, and trigger types of your own."""

from iii_trio._values.requests import TriggerActionVoid
from iii_trio._values.trigger_types import TriggerConfig, TriggerHandler

__all__ = ["TriggerActionVoid", "TriggerConfig", "TriggerHandler"]
