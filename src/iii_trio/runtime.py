"""Handles that registrations give back."""

from iii_trio._client.handles import FunctionRef
from iii_trio._client.trigger_types import TriggerTypeRef

__all__ = ["FunctionRef", "TriggerTypeRef"]
