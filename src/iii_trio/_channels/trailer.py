"""The word with which a verified stream ends: how many bytes it had, and their checksum.

To the engine a writer that crashed has ended like one that closed. On a channel of `create_channel(verified=True)` the
writer's last message, a text, says what everything before it came to, so that a reader can tell. A reader that does not
know of it finds one more text message behind the stream, and its bytes untouched.
"""

from __future__ import annotations

import json
import zlib
from typing import Final

import attrs

_KEY: Final = "iii_trio.end"


@attrs.define(eq=False)
class Tally:
    """What a stream has come to so far, at either end."""

    _messages: int = 0
    _bytes: int = 0
    _checksum: int = 0
    _told: str | None = None

    def add(self, message: str | bytes) -> None:
        """Count a message."""
        data = message.encode() if isinstance(message, str) else message
        self._messages += 1
        self._bytes += len(data)
        self._checksum = zlib.crc32(data, self._checksum)

    def trailer(self) -> str:
        """The last message."""
        return json.dumps({_KEY: {"messages": self._messages, "bytes": self._bytes, "crc32": self._checksum}})

    def take(self, message: str | bytes) -> bool:
        """Count a message that came in; returns whether it is the user's, and not the trailer."""
        if isinstance(message, str) and message.startswith(f'{{"{_KEY}"'):
            self._told = message
            return False
        self.add(message)
        return True

    def fault(self) -> str | None:
        """What is wrong with the stream, which has ended; None when it is whole."""
        if self._told is None:
            return "its last word is missing"
        return None if self._told == self.trailer() else "what came is not what was sent"
