"""The trio-based, structured-concurrency Python SDK for the iii engine.

The door is `open_iii`; everything else is reached from the client that it gives.
"""

from iii_trio._channels.http import StreamRequest, StreamResponse
from iii_trio._client.client import III
from iii_trio._client.exits import DrainReport
from iii_trio._client.opening import connect_iii, open_iii, register_worker
from iii_trio._client.statistics import ClientStatistics
from iii_trio._client.watching import StateChange, StateChanges
from iii_trio._handlers.context import Invocation, current_invocation
from iii_trio._options import InitOptions, ReconnectionConfig, TelemetryOptions
from iii_trio._values.http import HttpInvocationConfig
from iii_trio._values.rbac import MiddlewareFunctionInput
from iii_trio._values.requests import EnqueueResult, TriggerAction, TriggerActionEnqueue
from iii_trio._values.services import RegisterServiceInput
from iii_trio.errors import InvocationError

__all__ = [
    "III",
    "ClientStatistics",
    "DrainReport",
    "EnqueueResult",
    "HttpInvocationConfig",
    "InitOptions",
    "Invocation",
    "InvocationError",
    "MiddlewareFunctionInput",
    "ReconnectionConfig",
    "RegisterServiceInput",
    "StateChange",
    "StateChanges",
    "StreamRequest",
    "StreamResponse",
    "TelemetryOptions",
    "TriggerAction",
    "TriggerActionEnqueue",
    "connect_iii",
    "current_invocation",
    "open_iii",
    "register_worker",
]
