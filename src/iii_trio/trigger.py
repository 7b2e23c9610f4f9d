"""Triggers: what makes functions run, trigger types of your own, and the routing of calls."""

from iii_trio._client.handles import Trigger
from iii_trio._client.on import Binder, On
from iii_trio._values.requests import TriggerActionVoid
from iii_trio._values.stream_events import StreamJoinLeaveTriggerConfig, StreamTriggerConfig
from iii_trio._values.trigger_configs import (
    ConfigurationTriggerConfig,
    CronTriggerConfig,
    FunctionsAvailableTriggerConfig,
    HttpTriggerConfig,
    LogTriggerConfig,
    QueueTriggerConfig,
    StateTriggerConfig,
    SubscriberQueueConfig,
    SubscribeTriggerConfig,
    TraceTriggerConfig,
    WorkersAvailableTriggerConfig,
)
from iii_trio._values.trigger_types import TriggerConfig, TriggerHandler

__all__ = [
    "Binder",
    "ConfigurationTriggerConfig",
    "CronTriggerConfig",
    "FunctionsAvailableTriggerConfig",
    "HttpTriggerConfig",
    "LogTriggerConfig",
    "On",
    "QueueTriggerConfig",
    "StateTriggerConfig",
    "StreamJoinLeaveTriggerConfig",
    "StreamTriggerConfig",
    "SubscribeTriggerConfig",
    "SubscriberQueueConfig",
    "TraceTriggerConfig",
    "Trigger",
    "TriggerActionVoid",
    "TriggerConfig",
    "TriggerHandler",
    "WorkersAvailableTriggerConfig",
]
