"""Values that calls and registrations are made of."""

from iii_trio._values.functions import RegisterFunctionInput
from iii_trio._values.requests import TriggerRequest

__all__ = ["RegisterFunctionInput", "TriggerRequest"]
