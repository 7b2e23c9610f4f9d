"""Small frames: what is written is what the codec reads, and nothing is taken that is not small."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._link import small_frames
from iii_trio._link.small_frames import BINARY, SMALL, TEXT, encode, frame_size, fresh_masks, take
from tests import _websocket as ws

MASK = b"\x01\x02\x03\x04"
PLENTY = 2**31
SIZES = [0, 1, 125, 126, 127, 65_534, 65_535]


@pytest.mark.parametrize("kind", [TEXT, BINARY])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_holds_its_message(kind: int, size: int) -> None:
    """At every length that has a form of its own, under its mask, and whole."""
    message = os.urandom(size)
    encoded = encode(kind, message, MASK)
    assert list(ws.parse(encoded)) == [ws.Frame(kind & 0x0F, message)]
    assert frame_size(encoded, 0) == len(encoded)


def test_the_header_is_as_short_as_it_can_be() -> None:
    """As the standard has it."""
    assert [len(encode(TEXT, bytes(size), MASK)) - size for size in (0, 125, 126, 65_535)] == [6, 6, 8, 8]
    assert SMALL == 65_536


def test_each_message_has_a_mask_of_its_own() -> None:
    """From the operating system, so that nobody can foresee it."""
    masks = list(fresh_masks(1000))
    assert [len(mask) for mask in masks] == [4] * 1000
    assert len(set(masks)) > 990
    assert list(fresh_masks(1000)) != masks
    assert list(fresh_masks(0)) == []


def test_it_works_without_the_c_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where websockets was built without it, its own Python stands in."""
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    spec = importlib.util.spec_from_file_location("slow_frames", Path(small_frames.__file__))
    assert spec is not None
    assert spec.loader is not None
    slow = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slow)
    assert slow.apply_mask.__module__ == "websockets.utils"
    for size in SIZES:
        message = os.urandom(size)
        assert slow.encode(TEXT, message, MASK) == encode(TEXT, message, MASK)


@pytest.mark.parametrize("make", [bytes, bytearray])
def test_small_messages_are_taken_in_order(make: type[bytes | bytearray]) -> None:
    """From where they stand to the end, each as what it is."""
    said = make(b"??" + b"".join(ws.frame(ws.TEXT, b"x" * size) + ws.frame(ws.BINARY, bytes(size)) for size in SIZES))
    messages: list[str | bytes] = ["before"]
    assert take(said, 2, PLENTY, messages) == len(said)
    assert messages == ["before", *(message for size in SIZES for message in ("x" * size, bytes(size)))]
    assert all(type(message) in (str, bytes) for message in messages)


HELLO = ws.frame(ws.TEXT, "héllo".encode())


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(ws.frame(ws.PING, b"x"), id="ping"),
        pytest.param(ws.frame(ws.CLOSE), id="close"),
        pytest.param(ws.frame(ws.TEXT, b"x", fin=False), id="a fragment"),
        pytest.param(ws.frame(ws.CONT, b"x"), id="the last fragment"),
        pytest.param(ws.frame(ws.TEXT, b"x", rsv=4), id="compressed"),
        pytest.param(ws.frame(ws.TEXT, b"x", mask=MASK), id="masked"),
        pytest.param(ws.frame(ws.TEXT, bytes(200), mask=MASK), id="masked and longer"),
        pytest.param(ws.frame(3, b"x"), id="no opcode"),
        pytest.param(ws.frame(ws.TEXT, bytes(SMALL)), id="large"),
        pytest.param(b"\x81\x7f" + (1).to_bytes(8) + b"x", id="as long as a large one"),
        pytest.param(ws.frame(ws.TEXT, bytes(1001)), id="over the limit"),
    ],
)
def test_others_are_left(other: bytes) -> None:
    """Whatever is no small message ends what is taken, and what stands behind it waits."""
    messages: list[str | bytes] = []
    assert take(HELLO + other + HELLO, 0, 1000, messages) == len(HELLO)
    assert messages == ["héllo"]
    assert frame_size(HELLO + other + HELLO, len(HELLO)) == len(other)


@pytest.mark.parametrize("size", [0, 5, 125, 126, 300])
def test_what_is_not_complete_is_left(size: int) -> None:
    """Cut anywhere, a frame is taken when its last byte is here."""
    frame = ws.frame(ws.TEXT, b"x" * size)
    for end in range(len(frame)):
        messages: list[str | bytes] = []
        assert take(HELLO + frame[:end], 0, PLENTY, messages) == len(HELLO)
        assert messages == ["héllo"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_bad_utf_8_is_an_error(place: int) -> None:
    """What stands before it is taken."""
    bad = ws.frame(ws.TEXT, b"\xff")
    messages: list[str | bytes] = []
    with pytest.raises(UnicodeDecodeError):
        take(HELLO * place + bad + HELLO, 0, PLENTY, messages)
    assert messages == ["héllo"] * place


@pytest.mark.parametrize("size", [*SIZES, SMALL, 2**20])
@pytest.mark.parametrize("mask", [b"", MASK])
def test_the_size_is_known_from_the_header(size: int, mask: bytes) -> None:
    """As soon as it is complete, and not before."""
    frame = b"?" + ws.frame(ws.CONT, bytes(size), mask=mask)
    width = {126: 2, 127: 8}.get(frame[2] & 0x7F, 0)
    for end in range(1, 3 + width):
        assert frame_size(frame[:end], 1) is None
    assert frame_size(frame[: 3 + width], 1) == len(frame) - 1
    assert frame_size(frame, len(frame)) is None


@given(data=st.binary(max_size=40), begin=st.integers(0, 40), limit=st.integers(0, 40))
def test_any_bytes_can_be_looked_at(data: bytes, begin: int, limit: int) -> None:
    """Nothing but bad UTF-8 is an error, and nothing is taken twice or beyond the end."""
    begin = min(begin, len(data))
    messages: list[str | bytes] = []
    try:
        end = take(data, begin, limit, messages)
    except UnicodeDecodeError:
        return
    assert begin + 2 * len(messages) <= end <= len(data)
    assert all(len(message) <= limit for message in messages)
    size = frame_size(data, end)
    assert size is None or size >= 2
