"""Channels: what travels in a payload in place of a reader or a writer."""

from iii_trio._values.refs import StreamChannelRef

__all__ = ["StreamChannelRef"]
