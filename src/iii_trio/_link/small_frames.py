"""Small messages as WebSocket frames: the two halves of the codec that every call needs twice.

A frame is small when it holds a whole message of less than 64 KiB and uses no extension: its form needs no memory of the
connection, and to write or to read it takes a fraction of what the codec takes. Everything else, control frames, fragments,
large frames and whatever is wrong, is left to the codec (docs/decisions.md, "Small frames pass by the codec").
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # there is no C extension for this platform
    from websockets.utils import apply_mask

SMALL: Final = 64 * 1024
"""Bytes that a small message has less than: its length fits into the shorter forms of a header."""

TEXT: Final = 0x81
BINARY: Final = 0x82
"""The first byte of a frame that holds a whole message."""

_MASKED: Final = 0x80
_MASK_BYTES: Final = 4
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_LENGTH_BYTES: Final = {_LENGTH_16: 2, _LENGTH_64: 8}
_LONGER_HEADER: Final = struct.Struct("!BBH").pack


def fresh_masks(count: int) -> Iterator[bytes]:
    """So many masks, which nobody can foresee: of the random numbers of a batch most of the cost is to ask for them."""
    masks = os.urandom(_MASK_BYTES * count)
    return (masks[begin : begin + _MASK_BYTES] for begin in range(0, len(masks), _MASK_BYTES))


def encode(kind: int, message: bytes, mask: bytes) -> bytes:
    """The frame of a small message."""
    size = len(message)
    header = bytes((kind, _MASKED | size)) if size < _LENGTH_16 else _LONGER_HEADER(kind, _MASKED | _LENGTH_16, size)
    return header + mask + apply_mask(message, mask)


def take(data: bytes | bytearray, begin: int, max_size: int, messages: list[str | bytes]) -> int:
    """Take the small messages that stand at `begin`, and answer where something else stands, or the end.

    Raises:
        UnicodeDecodeError: The text of one is no UTF-8. Those before it are taken.
    """
    end = len(data)
    while begin + 2 <= end:
        kind, size = data[begin], data[begin + 1]
        start = begin + 2
        if size == _LENGTH_16 and start + 2 <= end:
            size = data[start] << 8 | data[start + 1]
            start += 2
        elif size >= _LENGTH_16:  # larger, masked, or not here yet
            break
        stop = start + size
        if stop > end or size > max_size:
            break
        if kind == TEXT:
            messages.append(str(data[start:stop], "utf-8"))
        elif kind == BINARY:
            messages.append(bytes(data[start:stop]))
        else:
            break
        begin = stop
    return begin


def frame_size(data: bytes | bytearray, begin: int) -> int | None:
    """Bytes of whatever frame stands at `begin`, with its header; None when not enough of that is here."""
    start = begin + 2
    if len(data) < start:
        return None
    size = data[begin + 1] & ~_MASKED
    if size in _LENGTH_BYTES:
        start += _LENGTH_BYTES[size]
        if len(data) < start:
            return None
        size = int.from_bytes(data[begin + 2 : start])
    mask = _MASK_BYTES if data[begin + 1] & _MASKED else 0
    return start - begin + mask + size
