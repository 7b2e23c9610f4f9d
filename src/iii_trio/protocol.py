"""Values that calls and registrations are made of."""

from iii_trio._values.functions import RegisterFunctionFormat, RegisterFunctionInput, RemoteFunctionHandler
from iii_trio._values.protocol_messages import (
    MessageType,
    RegisterFunctionMessage,
    RegisterTriggerMessage,
    RegisterTriggerTypeMessage,
)
from iii_trio._values.requests import TriggerRequest
from iii_trio._values.trigger_types import RegisterTriggerTypeInput
from iii_trio._values.triggers import RegisterTriggerInput

__all__ = [
    "MessageType",
    "RegisterFunctionFormat",
    "RegisterFunctionInput",
    "RegisterFunctionMessage",
    "RegisterTriggerInput",
    "RegisterTriggerMessage",
    "RegisterTriggerTypeInput",
    "RegisterTriggerTypeMessage",
    "RemoteFunctionHandler",
    "TriggerRequest",
]
