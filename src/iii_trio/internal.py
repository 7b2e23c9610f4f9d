"""An HTTP request with both of its channels, as the engine sends it."""

from iii_trio._channels.http import InternalHttpRequest

__all__ = ["InternalHttpRequest"]
