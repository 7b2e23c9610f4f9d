"""The frames of the worker protocol: what `EmbeddedEngine.received` has and `EmbeddedEngine.wait_received` waits for.

What the fields of each mean is told by the documentation of the wire.
"""

from iii_trio._wire.messages import (
    ABSENT,
    EnqueueAction,
    ErrorBody,
    Frame,
    HttpInvocation,
    InvocationResult,
    InvokeFunction,
    Ping,
    Pong,
    Reattach,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
    TelemetryFrame,
    TriggerRegistrationResult,
    UnregisterFunction,
    UnregisterTrigger,
    UnregisterTriggerType,
    VoidAction,
)

__all__ = [
    "ABSENT",
    "EnqueueAction",
    "ErrorBody",
    "Frame",
    "HttpInvocation",
    "InvocationResult",
    "InvokeFunction",
    "Ping",
    "Pong",
    "Reattach",
    "RegisterFunction",
    "RegisterService",
    "RegisterTrigger",
    "RegisterTriggerType",
    "TelemetryFrame",
    "TriggerRegistrationResult",
    "UnregisterFunction",
    "UnregisterTrigger",
    "UnregisterTriggerType",
    "VoidAction",
]
