"""The server's side of WebSocket framing, without I/O: bytes in to messages, messages to bytes out.

wsproto reads. What it has no setting for is what an engine does differently from other servers: the limits, which it
checks in the header of a frame, before any of its payload. Frames out are single, unmasked and as long as they are, so
they are written here (docs/wire.md, "Sizes").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

from iii_trio._embedded.connection import Outgoing

MAX_FRAME: Final = 16 * 1024 * 1024
MAX_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes in one frame, and in all frames of one message. Both inclusive."""

_FIN: Final = 0x80
_SHORT: Final = 125
_MEDIUM: Final = 0xFFFF


@attrs.frozen
class PingReceived:
    """A WebSocket ping."""

    payload: bytes


@attrs.frozen
class Closed:
    """A Close frame. Nothing after it counts."""

    payload: bytes
    """Its code and reason, if it has any."""


@attrs.frozen
class Broken:
    """The breach of a rule or a limit. Nothing after it counts."""


Event: TypeAlias = str | bytes | PingReceived | Closed | Broken
"""What a client sends: a message, or what else matters."""


class _Limits(Extension):
    """Not negotiated with anybody: wsproto's way to look at the header of each frame."""

    name = "limits"

    def __init__(self) -> None:
        self._message_size = 0

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        if not opcode.iscontrol():
            if opcode is not Opcode.CONTINUATION:
                self._message_size = 0
            self._message_size += payload_length
            if payload_length > MAX_FRAME or self._message_size > MAX_MESSAGE:
                return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)


class Inbound:
    """Bytes of a client to messages."""

    def __init__(self, trailing: bytes = b"") -> None:
        self._protocol = Connection(ConnectionType.SERVER, [_Limits()], trailing)
        self._text: list[str] = []
        self._binary: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take received bytes; what they complete comes from `events`."""
        self._protocol.receive_data(data)

    def events(self) -> Iterator[Event]:
        """Complete messages and what else matters, in order."""
        for event in self._protocol.events():
            if isinstance(event, TextMessage):
                self._text.append(event.data)
                if event.message_finished:
                    text, self._text = "".join(self._text), []
                    yield text
            elif isinstance(event, BytesMessage):
                self._binary.append(bytes(event.data))
                if event.message_finished:
                    binary, self._binary = b"".join(self._binary), []
                    yield binary
            elif isinstance(event, Ping):
                yield PingReceived(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                yield self._end(event)

    def _end(self, event: CloseConnection) -> Event:
        # wsproto tells of a broken rule with the Close that it would send.
        if self._protocol.state is not ConnectionState.REMOTE_CLOSING:
            return Broken()
        if event.code == CloseReason.NO_STATUS_RCVD:
            return Closed(b"")
        return Closed(event.code.to_bytes(2, "big") + (event.reason or "").encode())


def frame(outgoing: Outgoing) -> bytes:
    """One whole frame."""
    opcode, payload = outgoing
    size = len(payload)
    if size <= _SHORT:
        return bytes((_FIN | opcode, size)) + payload
    if size <= _MEDIUM:
        return bytes((_FIN | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, 127)) + size.to_bytes(8, "big") + payload
