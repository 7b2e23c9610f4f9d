"""The server's side of WebSocket framing."""

from __future__ import annotations

import pytest
from wsproto.frame_protocol import FrameProtocol, Opcode

from iii_trio._embedded import websocket
from iii_trio._embedded.connection import CLOSE, PONG, TEXT
from iii_trio._embedded.websocket import Broken, Closed, Inbound, PingReceived, frame


def client() -> FrameProtocol:
    """What writes a client's frames."""
    return FrameProtocol(client=True, extensions=[])


def test_messages_arrive_whole_and_in_order() -> None:
    """However they are cut: in frames, or on their way."""
    peer = client()
    data = bytes(
        peer.send_data("a", fin=False)
        + peer.ping(b"p")
        + peer.send_data("ü", fin=True)
        + peer.send_data(b"\x00", fin=False)
        + peer.send_data(b"\x01", fin=True)
        + peer.send_data("", fin=True)
        + peer.pong(b"unasked")
        + peer.close(1000)
    )
    inbound = Inbound(data[:3])
    events = list(inbound.events())
    for index in range(3, len(data)):
        inbound.feed(data[index : index + 1])
        events += inbound.events()
    assert events == [PingReceived(b"p"), "aü", b"\x00\x01", "", Closed(b"\x03\xe8")]


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        pytest.param(None, None, b"", id="no-code"),
        pytest.param(1000, None, b"\x03\xe8", id="code"),
        pytest.param(4000, "wäre", b"\x0f\xa0w\xc3\xa4re", id="reason"),
    ],
)
def test_a_close_is_handed_on_as_it_came(code: int | None, reason: str | None, payload: bytes) -> None:
    """Code and reason, so that it can be echoed."""
    assert list(Inbound(bytes(client().close(code, reason))).events()) == [Closed(payload)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x81\x01x", id="unmasked"),
        pytest.param(b"\xc1\x80\0\0\0\0", id="reserved-bit"),
        pytest.param(b"\x83\x80\0\0\0\0", id="unknown-opcode"),
        pytest.param(b"\x81\x81\0\0\0\0\xff", id="invalid-utf8"),
        pytest.param(b"\x80\x80\0\0\0\0", id="continuation-of-nothing"),
        pytest.param(b"\x88\x81\0\0\0\0x", id="close-of-one-byte"),
    ],
)
def test_a_broken_rule_is_the_end(data: bytes) -> None:
    """The connection is dropped for it."""
    assert list(Inbound(data).events()) == [Broken()]


def header(opcode: Opcode, size: int, *, fin: bool) -> bytes:
    """The head of a long frame of a client."""
    return bytes((fin << 7 | opcode, 0x80 | 127)) + size.to_bytes(8, "big") + bytes(4)


@pytest.mark.parametrize(
    ("sizes", "passes"),
    [
        pytest.param([16 * 1024 * 1024], True, id="largest-frame"),
        pytest.param([16 * 1024 * 1024 + 1], False, id="one-byte-more"),
    ],
)
def test_a_frame_has_a_limit_that_its_header_tells(sizes: list[int], passes: bool) -> None:
    """Not a byte of a payload that is too long is kept."""
    inbound = Inbound(header(Opcode.BINARY, sizes[0], fin=True))
    assert list(inbound.events()) == ([] if passes else [Broken()])


def test_a_message_has_a_limit_over_all_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inclusive, and counted anew for each message; control frames between do not count."""
    monkeypatch.setattr(websocket, "MAX_MESSAGE", 10)
    peer = client()
    for _ in range(2):
        inbound = Inbound(bytes(peer.send_data(b"x" * 6, fin=False) + peer.ping(b"12345") + peer.send_data(b"x" * 4)))
        assert list(inbound.events()) == [PingReceived(b"12345"), b"x" * 10]
    inbound = Inbound(bytes(peer.send_data(b"x" * 6, fin=False) + peer.send_data(b"x" * 5)))
    assert list(inbound.events()) == [Broken()]


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_to_a_client_are_single_and_unmasked(size: int) -> None:
    """Of any length."""
    reader = FrameProtocol(client=True, extensions=[])
    reader.receive_bytes(frame((TEXT, b"x" * size)))
    (read,) = reader.received_frames()
    assert (read.opcode, read.payload, read.message_finished) == (Opcode.TEXT, "x" * size, True)


def test_pong_and_close_are_frames_too() -> None:
    """A Close is always empty."""
    assert frame((PONG, b"p")) == b"\x8a\x01p"
    assert frame((CLOSE, b"")) == b"\x88\x00"
