"""Handles: what registrations give back, and what threads call."""

from iii_trio._client.custom_streams import StreamRef
from iii_trio._client.handles import FunctionRef
from iii_trio._client.threads import FromThread
from iii_trio._client.trigger_types import TriggerTypeRef

__all__ = ["FromThread", "FunctionRef", "StreamRef", "TriggerTypeRef"]
