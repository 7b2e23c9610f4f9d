"""The engine's own functions and trigger types by name, and the rows of its listings."""

from iii_trio._values.engine import (
    EngineFunctions,
    EngineTriggers,
    FunctionInfo,
    TriggerInfo,
    TriggerTypeInfo,
    WorkerInfo,
)

__all__ = ["EngineFunctions", "EngineTriggers", "FunctionInfo", "TriggerInfo", "TriggerTypeInfo", "WorkerInfo"]
