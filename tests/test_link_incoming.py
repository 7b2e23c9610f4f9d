"""What comes: the same messages, answers and ends as the codec alone would give, however the bytes are cut."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from iii_trio._link.incoming import Incoming
from iii_trio._link.small_frames import SMALL
from tests._websocket import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame, close, frame, parse

LIMIT = 1000
PLENTY = 2**24
HELLO = frame(TEXT, b"hello")


def open_codec(limit: int = LIMIT) -> ClientProtocol:
    """The codec behind a handshake."""
    return ClientProtocol(parse_uri("ws://localhost/"), state=State.OPEN, max_size=limit + 125)


@attrs.frozen
class Outcome:
    """What came of some bytes and their end."""

    messages: list[str | bytes]
    answers: list[Frame]
    fault: str | None


def said_by(protocol: ClientProtocol) -> list[Frame]:
    """What the codec wants to say."""
    return list(parse(b"".join(protocol.data_to_send())))


def fault_of(protocol: ClientProtocol) -> str | None:
    """What the codec found wrong."""
    return None if protocol.parser_exc is None else type(protocol.parser_exc).__name__


def with_the_codec_alone(data: bytes, limit: int = LIMIT) -> Outcome:
    """Byte by byte, as the standard reads: what a frame says ends the connection before the next is looked at."""
    protocol = open_codec(limit)
    messages: list[str | bytes] = []
    message = b""
    is_text = True
    for byte in data:
        if protocol.state is not State.OPEN:
            break
        protocol.receive_data(bytes([byte]))
        for event in protocol.events_received():
            opcode, fin, payload = event.opcode, event.fin, bytes(event.data)  # type: ignore[union-attr]
            if opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            if opcode is not Opcode.CONT:
                message, is_text = b"", opcode is Opcode.TEXT
            message += payload
            if len(message) > limit:
                protocol.fail(CloseCode.MESSAGE_TOO_BIG)
            elif fin:
                try:
                    messages.append(message.decode() if is_text else message)
                except UnicodeDecodeError:
                    protocol.fail(CloseCode.INVALID_DATA)
    if protocol.state is State.OPEN:
        protocol.receive_eof()
    return Outcome(messages, said_by(protocol), fault_of(protocol))


def with_both(pieces: list[bytes], limit: int = LIMIT) -> Outcome:
    """As it is done."""
    protocol = open_codec(limit)
    incoming = Incoming(protocol, limit)
    messages: list[str | bytes] = []
    for piece in pieces:
        messages += incoming.digest(piece)
    if protocol.state is State.OPEN:
        messages += incoming.digest(b"")
    return Outcome(messages, said_by(protocol), fault_of(protocol))


def cut(data: bytes, seed: int) -> list[bytes]:
    """The same bytes, cut at random places."""
    places = sorted(random.Random(seed).randrange(len(data) + 1) for _ in range(8))
    parts = [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]
    return [part for part in parts if part]


FRAMES = st.builds(
    frame,
    st.sampled_from([TEXT, TEXT, TEXT, BINARY, CONT, PING, PONG, CLOSE, 3, 11]),
    st.one_of(
        st.text(max_size=60).map(str.encode),
        st.binary(max_size=20),
        st.integers(100, LIMIT + 200).map(lambda size: b"x" * size),
    ),
    fin=st.sampled_from([True, True, True, False]),
    rsv=st.sampled_from([0, 0, 0, 0, 0, 4]),
    mask=st.sampled_from([b"", b"", b"", b"", b"", b"\x01\x02\x03\x04"]),
)
SAID = st.builds(
    lambda frames, tail: b"".join(frames) + tail,
    st.lists(st.one_of(FRAMES, st.just(HELLO), st.just(frame(PING, b"?")))),
    st.one_of(st.just(b""), st.binary(max_size=15)),
)


@given(said=SAID, seed=st.integers(0, 2**32))
@example(said=HELLO + frame(TEXT, b"\xff") + frame(3), seed=0)
@example(said=frame(TEXT, b"a", fin=False) + HELLO, seed=0)
@example(said=frame(TEXT, b"a", fin=False) + frame(PING) + frame(CONT, b"b") + HELLO, seed=0)
@example(said=HELLO + close(1000) + HELLO, seed=0)
@example(said=HELLO + b"\x83\x7e", seed=0)
@settings(max_examples=500, deadline=None)
def test_the_codec_alone_gives_the_same(said: bytes, seed: int) -> None:
    """Messages, pongs, the code of a Close and what is wrong, whatever comes and wherever it is cut."""
    expected = with_the_codec_alone(said)
    assert with_both([said] if said else []) == expected
    assert with_both(cut(said, seed)) == expected
    assert with_both([bytes([byte]) for byte in said]) == expected


@pytest.mark.parametrize("size", [SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_small_and_large_take_turns(size: int) -> None:
    """The codec stands between two frames whenever a small one comes."""
    said = (HELLO + frame(BINARY, bytes(size)) + frame(TEXT, b"x" * size, fin=False) + frame(CONT, b"y")) * 2 + HELLO
    expected = ["hello", bytes(size), "x" * size + "y"] * 2 + ["hello"]
    for step in (len(said), 64 * 1024, 1000, 77):
        protocol = open_codec(PLENTY)
        incoming = Incoming(protocol, PLENTY)
        messages: list[str | bytes] = []
        for begin in range(0, len(said), step):
            messages += incoming.digest(said[begin : begin + step])
        assert messages == expected
        assert protocol.state is State.OPEN


def test_a_size_is_refused_before_its_payload() -> None:
    """Nothing is kept of a frame over the limit."""
    protocol = open_codec()
    incoming = Incoming(protocol, LIMIT)
    assert incoming.digest(HELLO + b"\x81\x7f" + (2**40).to_bytes(8)) == ["hello"]
    assert isinstance(protocol.parser_exc, PayloadTooBig)
    assert incoming.digest(HELLO) == []


def test_the_verdict_is_ours_where_the_codec_has_none() -> None:
    """Bad UTF-8 and a message just over the limit are faults that it does not look for."""
    for bad, words in ((frame(TEXT, b"\xff"), "no UTF-8"), (frame(TEXT, bytes(LIMIT + 1)), f"more than {LIMIT} bytes")):
        incoming = Incoming(open_codec(), LIMIT)
        assert incoming.verdict is None
        assert incoming.digest(HELLO + bad + HELLO) == ["hello"]
        assert words in str(incoming.verdict)


@pytest.mark.parametrize("place", range(1, len(HELLO) + 2))
def test_what_is_ignored_is_looked_at_for_the_end(place: int) -> None:
    """Also where it begins in the middle of a frame."""
    protocol = open_codec()
    incoming = Incoming(protocol, LIMIT)
    said = HELLO + close(1001)
    incoming.digest(said[:place])
    incoming.ignore(said[place:])
    assert protocol.close_rcvd is not None
    assert protocol.close_rcvd.code == 1001
