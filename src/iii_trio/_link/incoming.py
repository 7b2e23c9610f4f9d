"""What comes on a WebSocket: bytes to messages, over the codec of websockets.

Each frame goes to whom it belongs. Small messages are read here; of every other frame the codec gets all bytes and none of
the next, so that it always stands between two frames when the next small message comes.
"""

from __future__ import annotations

from typing import Final, cast

from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from iii_trio._link import small_frames
from iii_trio._link.transport import LinkLost

_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Incoming:
    """The half of one connection that reads. What the codec wants to answer is left in it."""

    def __init__(self, protocol: ClientProtocol, max_message_size: int) -> None:
        self._protocol = protocol
        self._max_message_size = max_message_size
        self._head = b""
        """The beginning of a frame that does not tell yet how long it is."""

        self._owed = 0
        """Bytes that the codec still gets of the frame that it has begun."""

        self._message: bytearray | None = None
        """The fragments of a message that has not ended."""

        self._is_text = True
        self.verdict: LinkLost | None = None
        """Why we gave the connection up, if it was us."""

    def digest(self, data: bytes | bytearray) -> list[str | bytes]:
        """The messages that these bytes complete; no bytes are the end."""
        messages: list[str | bytes] = []
        try:
            if data:
                self._share_out(self._head + data if self._head else data, messages)
            else:
                self._protocol.receive_data(self._head)
                self._protocol.receive_eof()
        except LinkLost as verdict:
            self._give_up(CloseCode.MESSAGE_TOO_BIG, verdict)
        except UnicodeDecodeError:
            self._give_up(CloseCode.INVALID_DATA, LinkLost.by_breach("text that is no UTF-8"))
        return messages

    def ignore(self, data: bytes | bytearray) -> None:
        """Let the codec look for the end of the connection in what comes; messages do not matter any more."""
        self._protocol.receive_data(self._head + data)
        self._protocol.events_received()
        self._head = b""

    def _share_out(self, data: bytes | bytearray, messages: list[str | bytes]) -> None:
        """Read the small messages, and give the codec the rest. What comes behind the end of the connection is dropped."""
        begin, self._head = 0, b""
        while begin < len(data) and self._protocol.state is State.OPEN:
            if not self._owed:
                if self._message is None:
                    begin = small_frames.take(data, begin, self._max_message_size, messages)
                size = small_frames.frame_size(data, begin)
                if size is None:
                    self._head = bytes(data[begin:])
                    return
                self._owed = size
            piece = memoryview(data)[begin : begin + self._owed]  # it may be long, and the codec copies it anyway
            begin += len(piece)
            self._owed -= len(piece)
            self._protocol.receive_data(cast("bytes", piece))
            self._put_together(messages)

    def _put_together(self, messages: list[str | bytes]) -> None:
        """Add the messages that end with what the codec has found."""
        for frame in cast("list[Frame]", self._protocol.events_received()):
            if frame.opcode not in _DATA:
                continue
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            message = frame.data  # one that comes whole is not copied
            if self._message is not None:
                message = self._message
                message += frame.data
            if len(message) > self._max_message_size:
                raise LinkLost.by_size(self._max_message_size)
            if frame.fin:
                self._message = None
                messages.append(str(message, "utf-8") if self._is_text else bytes(message))
            elif self._message is None:
                self._message = bytearray(message)

    def _give_up(self, code: CloseCode, verdict: LinkLost) -> None:
        self.verdict = verdict
        if self._protocol.state is State.OPEN:
            self._protocol.fail(code)
