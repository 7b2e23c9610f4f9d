"""Channels: streams of bytes and text from one worker to another, and the refs that stand for their ends in payloads."""

from iii_trio._channels.channels import Channel
from iii_trio._channels.reader import ChannelReader, ReadableStream
from iii_trio._channels.writer import ChannelWriter, WritableStream
from iii_trio._values.refs import StreamChannelRef

__all__ = ["Channel", "ChannelReader", "ChannelWriter", "ReadableStream", "StreamChannelRef", "WritableStream"]
