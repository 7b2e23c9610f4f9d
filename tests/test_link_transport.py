"""What both transports promise: which bytes of a peer become which messages, losses and errors, and what a peer hears."""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._link.choice import find_transport
from iii_trio._link.transport import READ_AHEAD, ConnectFailed, LinkLost, Transport
from iii_trio._link.watched import MAX_UNASKED
from iii_trio._wire.urls import parse_url
from iii_trio.errors import AuthenticationError, HandshakeRefused
from tests._hostile import AtStep, Recorder
from tests._websocket import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    End,
    Script,
    close,
    connected_sockets,
    frame,
    grant,
    on_a_socket,
    parse,
    upgrade,
)

Kind = type[Transport]

NAMES: Final = ("trio-websocket", "websockets")
LIMIT: Final = 1000
"""Bytes of the largest message in most of these tests."""

MEDIA: Final = ("memory", "socket")
"""What is under a transport; a socket it passes by trio's stream."""

BOUND: Final = 600
"""Seconds after which a test has failed: an autojump clock needs a deadline to jump to, or a fault would hang. A test on
sockets has a closer limit of its own."""

MOST: Final = 60_000
"""Messages that no peer here says. Who hears more hears the same ones again and again, and no clock would ever jump."""

URL: Final = "ws://engine.example:8080/path?token=s3cret"
HEADERS: Final = (("Authorization", "Bearer s3cret"), ("X-Extra", "e"))


@pytest.fixture(params=NAMES)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the two."""
    return find_transport(request.param)


def ignore() -> None:
    """The writer, which need not be woken."""


@asynccontextmanager
async def opened(
    kind: Kind,
    stream: trio.abc.Stream,
    *,
    limit: int = LIMIT,
    on_pending: Callable[[], None] = ignore,
    read_ahead: int = READ_AHEAD,
) -> AsyncIterator[Transport]:
    """An open transport on a stream; leaving it closes the stream, as the end of a connection does."""
    with trio.fail_after(BOUND):
        async with trio.open_nursery() as nursery:
            transport: Transport = await nursery.start(
                kind.serve, stream, parse_url(URL), HEADERS, limit, on_pending, read_ahead
            )
            try:
                yield transport
            finally:
                nursery.cancel_scope.cancel()


async def hear(transport: Transport, into: list[str | bytes] | None = None) -> tuple[list[str | bytes], str]:
    """Everything that comes, and how it ends; who may be cancelled says where to put it."""
    messages = [] if into is None else into
    while True:
        try:
            batch = await transport.receive()
        except LinkLost as loss:
            return messages, str(loss)
        assert batch
        messages += batch
        assert len(messages) <= MOST


async def saying(nursery: trio.Nursery, over: str, pieces: Sequence[bytes], end: End) -> trio.abc.Stream:
    """A client's end of a connection, in memory or over a socket, on which the peer says these pieces."""
    return Script(*pieces, end=end) if over == "memory" else await on_a_socket(nursery, pieces, end)


async def heard(
    kind: Kind, *pieces: bytes, end: End = "end", limit: int = LIMIT, over: str = "memory"
) -> tuple[list[str | bytes], str]:
    """What becomes of these bytes, within what is a long time on any clock."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            async with opened(kind, await saying(nursery, over, pieces, end), limit=limit) as transport:
                outcome = await hear(transport)
            nursery.cancel_scope.cancel()
    return outcome


@asynccontextmanager
async def opened_to_a_socket(kind: Kind) -> AsyncIterator[tuple[Transport, trio.SocketStream]]:
    """An open transport over a socket, and its peer, which has done the handshake; for at most ten seconds.

    Their buffers are small, or what it takes to fill them would be the machine's choice.
    """
    with trio.fail_after(10):
        ours, peer = await connected_sockets()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        async with peer, trio.open_nursery() as nursery:
            nursery.start_soon(grant, peer)
            async with opened(kind, ours) as transport:
                await wait_all_tasks_blocked()
                yield transport, peer


async def hears(peer: trio.SocketStream) -> bytes:
    """Everything that comes to a peer."""
    return b"".join([bytes(data) async for data in peer])


async def refused(kind: Kind, stream: trio.abc.Stream) -> Exception:
    """What becomes of a handshake that fails."""
    try:
        with trio.fail_after(BOUND):
            await kind.serve(stream, parse_url(URL), HEADERS, LIMIT, ignore)
    except (AuthenticationError, ConnectFailed, HandshakeRefused) as error:
        return error
    raise AssertionError("it opened")


ENDED: Final = "the connection ended without a Close"
BREACH: Final = "the engine broke the rules of WebSocket"
TOO_LARGE: Final = f"the engine sent a message of more than {LIMIT} bytes"


# ---- the handshake --------------------------------------------------------------------------------------------------


async def test_the_request_says_where_and_who(kind: Kind, autojump_clock: MockClock) -> None:
    """Authority, path, query and headers are in it, and no extension is offered: compression would cost more than it
    saves on one machine."""
    script = Script(end="open")
    async with opened(kind, script):
        head, *lines = script.request.decode().split("\r\n")
    fields = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines if line}
    assert head == "GET /path?token=s3cret HTTP/1.1"
    assert fields["host"] == "engine.example:8080"
    assert (fields["authorization"], fields["x-extra"]) == ("Bearer s3cret", "e")
    assert (fields["upgrade"].lower(), fields["sec-websocket-version"]) == ("websocket", "13")
    assert "sec-websocket-extensions" not in fields


@pytest.mark.parametrize("body", ["length", "empty", "end of stream", "never", "chunks"])
@pytest.mark.parametrize("pieces", ["at once", "byte by byte"])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, HandshakeRefused),
        (302, HandshakeRefused),
        (400, HandshakeRefused),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, HandshakeRefused),
        (426, HandshakeRefused),
        (500, HandshakeRefused),
        (503, HandshakeRefused),
    ],
)
async def test_a_status_that_is_no_upgrade(
    kind: Kind, autojump_clock: MockClock, status: int, error: type[Exception], body: str, pieces: str
) -> None:
    """The status decides, and is not kept back by a body that never ends."""
    head = f"HTTP/1.1 {status} Whatever\r\n"
    answer = {
        "length": head + "Content-Length: 2\r\n\r\nno",
        "empty": head + "Content-Length: 0\r\n\r\n",
        "end of stream": head + "Connection: close\r\n\r\nno",
        "never": head + "Content-Length: 1000000\r\n\r\nno",
        "chunks": head + "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n",
    }[body].encode()
    said = [answer] if pieces == "at once" else [answer[at : at + 1] for at in range(len(answer))]
    script = Script(*said, end="end" if body == "end of stream" else "open", granted=False)
    caught = await refused(kind, script)
    assert type(caught) is error
    assert str(status) in str(caught)
    assert getattr(caught, "status", status) == status
    assert getattr(caught, "code", str(status)) == str(status)
    assert script.closed


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"220 mail.example ESMTP\r\n", id="another protocol"),
        pytest.param(bytes(range(256)), id="binary"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="no headers"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            id="an answer to somebody else",
        ),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", id="no WS"),
        pytest.param(b"HTTP/1.1 101 \r\n: no name\r\n\r\n", id="no header"),
        pytest.param(b"HTTP/1.1 101 Fine\r\n" + b"X: " + b"x" * 3_000_000, id="an endless header"),
        pytest.param(b"HTTP/1.1 101 Fine\r\n" + b"X: x\r\n" * 500_000, id="endless headers"),
        pytest.param(b"HTTP/1.1 101" + b" " * 3_000_000, id="an endless reason"),
    ],
)
async def test_an_answer_that_is_none(kind: Kind, autojump_clock: MockClock, answer: bytes) -> None:
    """It may be another time's engine: the attempt has failed, and nothing else."""
    script = Script(answer, end="open", granted=False)
    error = await refused(kind, script)
    assert type(error) is ConnectFailed
    assert str(error).startswith("the WebSocket handshake failed: ")
    assert script.closed


async def test_an_extension_that_nobody_asked_for(kind: Kind, autojump_clock: MockClock) -> None:
    """A server that compresses all the same is no peer of ours."""
    script = Script(end="open", extra=["Sec-WebSocket-Extensions: permessage-deflate"])
    assert type(await refused(kind, script)) is ConnectFailed
    assert script.closed


async def test_an_end_anywhere_in_the_handshake(kind: Kind, autojump_clock: MockClock) -> None:
    """Whatever part of the answer was read, the stream's end or break is told as what it is."""
    probe = Script(end="open")
    async with opened(kind, probe):
        answer = upgrade(probe.request)
    for length in range(len(answer)):
        for end, words in (("end", "ended before"), ("reset", "failed: reset")):
            script = Script(answer[:length], end=end, granted=False)  # type: ignore[arg-type]
            if not length:
                script = Script(end=end, granted=False)  # type: ignore[arg-type]
            error = await refused(kind, script)
            assert type(error) is ConnectFailed, length
            assert words in str(error), length
            assert script.closed


async def test_a_silent_server_is_left_when_the_caller_gives_up(kind: Kind, autojump_clock: MockClock) -> None:
    """Cancelling the attempt closes the stream."""
    script = Script(end="open", granted=False)
    with trio.move_on_after(5) as scope:
        await refused(kind, script)
    assert scope.cancelled_caught
    assert script.closed


class CutAt(Script):
    """A peer whose answer and first words come in one piece, or in two that are cut at a place."""

    def __init__(self, *pieces: bytes, place: int = 0) -> None:
        super().__init__(*pieces, end="open")
        self._place = place
        self.said = 0
        """Bytes of the whole."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await super().send_all(data)
        if self.request == data:
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self.said = len(whole)
            self.say(*(piece for piece in (whole[: self._place], whole[self._place :]) if piece))


async def test_what_comes_with_the_answer_is_received(kind: Kind, autojump_clock: MockClock) -> None:
    """A greeting and a Close in one piece with the upgrade, as an engine sends them that refuses a login."""
    script = CutAt(frame(TEXT, b"no"), frame(TEXT, b"such key"), close())
    async with opened(kind, script) as transport:
        assert await hear(transport) == (["no", "such key"], "the engine closed the connection (code 1005)")


async def test_where_the_answer_is_cut_does_not_matter(kind: Kind, autojump_clock: MockClock) -> None:
    """Also in the middle of its last line, or of the first frames behind it."""
    place = said = 0
    while place <= said:
        first = frame(TEXT, b"a", fin=False) + frame(CONT, b"b")
        script = CutAt(
            first, frame(TEXT, b"x" * 200), frame(BINARY, b"\r\n\r\n"), frame(PING), close(1001), place=place
        )
        async with opened(kind, script) as transport:
            messages, loss = await hear(transport)
            assert messages == ["ab", "x" * 200, b"\r\n\r\n"], place
            assert loss == "the engine closed the connection (code 1001)"
        place, said = place + 1, script.said
    assert place > 300


# ---- ends -----------------------------------------------------------------------------------------------------------

HELLO: Final = frame(TEXT, b"hello")


@pytest.mark.parametrize("over", MEDIA)
@pytest.mark.parametrize(
    ("farewell", "end", "reason"),
    [
        pytest.param(close(1000), "open", "the engine closed the connection (code 1000)", id="1000"),
        pytest.param(close(1001), "end", "the engine closed the connection (code 1001)", id="1001"),
        pytest.param(
            close(1011, "on fire"), "open", "the engine closed the connection (code 1011 'on fire')", id="1011"
        ),
        pytest.param(close(4999), "open", "the engine closed the connection (code 4999)", id="4999"),
        pytest.param(close(), "open", "the engine closed the connection (code 1005)", id="no code"),
        pytest.param(close(1000) + HELLO, "open", "the engine closed the connection (code 1000)", id="talks on"),
        pytest.param(b"", "end", ENDED, id="no Close"),
        pytest.param(b"\x81", "end", ENDED, id="cut in a header"),
        pytest.param(b"\x81\x7f\x00", "end", ENDED, id="cut in a length"),
        pytest.param(b"\x81\x05he", "end", ENDED, id="cut in a payload"),
        pytest.param(frame(TEXT, b"he", fin=False), "end", ENDED, id="cut between fragments"),
        pytest.param(frame(TEXT, b"he", fin=False) + b"\x80\x05l", "end", ENDED, id="cut in a fragment"),
        pytest.param(b"", "reset", "the connection broke (", id="reset"),
        pytest.param(b"\x81\x05he", "reset", "the connection broke (", id="reset in a payload"),
    ],
)
async def test_every_end(kind: Kind, farewell: bytes, end: End, reason: str, over: str) -> None:
    """A Close is told from a bare end and from a break, and what came before it is received."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            said = [HELLO + HELLO, farewell] if farewell else [HELLO + HELLO]
            async with opened(kind, await saying(nursery, over, said, end)) as transport:
                messages, loss = await hear(transport)
                with pytest.raises(LinkLost) as again:
                    await transport.receive()
                with pytest.raises(LinkLost):
                    await transport.send([b"{}"])
                await transport.aclose()
            nursery.cancel_scope.cancel()
    # What TCP still had when it was reset is lost with it.
    assert messages == ["hello", "hello"] or (end, over) == ("reset", "socket")
    assert loss.startswith(reason)
    assert str(again.value) == loss


async def test_a_close_is_answered_once_with_its_code(kind: Kind, autojump_clock: MockClock) -> None:
    """The answer waits for the writer like a pong, or goes when the transport is closed; nobody is waited for after it."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        script.say(close(1001, "bye"))
        assert (await hear(transport))[0] == []
        assert transport.has_pending
        assert script.heard == b""
        with trio.fail_after(1):
            await transport.aclose()
    (answer,) = script.frames()
    assert (answer.opcode, answer.payload[:2]) == (CLOSE, b"\x03\xe9")
    assert script.closed


@pytest.mark.parametrize("over", MEDIA)
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(frame(TEXT, b"", rsv=4), id="RSV1, as a compressed message has it"),
        pytest.param(frame(TEXT, b"", rsv=2), id="RSV2"),
        pytest.param(frame(PING, b"", rsv=1), id="RSV3"),
        pytest.param(frame(3), id="opcode 3"),
        pytest.param(frame(7), id="opcode 7"),
        pytest.param(frame(11), id="opcode 11"),
        pytest.param(frame(15), id="opcode 15"),
        pytest.param(frame(TEXT, b"{}", mask=bytes(4)), id="masked"),
        pytest.param(frame(CONT, b"on"), id="a continuation of nothing"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), id="a message in a message"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), id="bytes in a text"),
        pytest.param(frame(PING, b"", fin=False), id="a ping in pieces"),
        pytest.param(frame(CLOSE, b"", fin=False), id="a Close in pieces"),
        pytest.param(frame(PING, bytes(126)), id="a long ping"),
        pytest.param(frame(CLOSE, bytes(126)), id="a long Close"),
        pytest.param(frame(CLOSE, b"\x03"), id="half a code"),
        pytest.param(close(1006), id="a code that is never sent"),
        pytest.param(close(999), id="a code that is none"),
        pytest.param(frame(CLOSE, b"\x03\xe8\xff"), id="a reason that is no UTF-8"),
        pytest.param(frame(TEXT, b"\xff\xfe"), id="no UTF-8"),
        pytest.param(frame(TEXT, b"\xed\xa0\x80"), id="a surrogate"),
        pytest.param(frame(TEXT, b"ok \xe2\x82"), id="half a character"),
        pytest.param(frame(TEXT, b"a\xe2", fin=False) + frame(CONT, b"b"), id="half a character in a fragment"),
        pytest.param(frame(TEXT, b"a", fin=False) + frame(CONT, b"\xe2\x82"), id="half a character at the end"),
    ],
)
async def test_every_breach(kind: Kind, bad: bytes, over: str) -> None:
    """What no peer may send ends the link and says so; what came before it is received, what comes after it is not."""
    for pieces in ([HELLO + bad + HELLO], [HELLO, bad, HELLO], [bytes([byte]) for byte in HELLO + bad + HELLO]):
        messages, loss = await heard(kind, *pieces, end="open", over=over)
        assert messages == ["hello"]
        assert loss.startswith(BREACH)


async def test_a_breach_ends_quickly(kind: Kind, autojump_clock: MockClock) -> None:
    """Nobody waits for the goodbye of a peer that does not know the rules."""
    script = Script(frame(3), end="open")
    async with opened(kind, script) as transport:
        await hear(transport)
        with trio.fail_after(1):
            await transport.aclose()
    assert script.closed
    assert {each.opcode for each in script.frames()} <= {CLOSE}


# ---- messages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", MEDIA)
async def test_messages_of_every_shape(kind: Kind, over: str) -> None:
    """Empty ones, bytes, and all three forms of a length; text comes as text and bytes as bytes."""
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000]
    data = b"".join(frame(TEXT, b"x" * size) + frame(BINARY, b"\xff" * size) for size in sizes)
    messages, loss = await heard(kind, data, limit=200_000, over=over)
    assert messages == [each for size in sizes for each in ("x" * size, b"\xff" * size)]
    assert loss == ENDED


@pytest.mark.parametrize("over", MEDIA)
async def test_fragments_become_one_message(kind: Kind, over: str) -> None:
    """Also where a character or nothing at all is in a fragment, and with other frames in between."""
    text = "grüße €𝄞".encode()
    data = frame(TEXT, b"", fin=False)
    for at in range(len(text)):
        data += (
            frame(CONT, text[at : at + 1], fin=False) + frame(PING, b"between") + frame(PONG) + frame(CONT, fin=False)
        )
    data += frame(CONT) + frame(BINARY, b"\xff", fin=False) + frame(CONT, b"\xfe") + HELLO
    messages, loss = await heard(kind, data, over=over)
    assert messages == [text.decode(), b"\xff\xfe", "hello"]
    assert loss == ENDED


async def test_a_message_of_very_many_fragments(kind: Kind, autojump_clock: MockClock) -> None:
    """Empty fragments, of which there may be any number, take no room."""
    data = frame(TEXT, b"x", fin=False) + frame(CONT, fin=False) * 50_000 + frame(CONT, b"y")
    assert await heard(kind, data) == (["xy"], ENDED)


async def test_many_messages_in_one_piece(kind: Kind, autojump_clock: MockClock) -> None:
    """None is lost and none changes its place."""
    texts = [str(number) for number in range(5_000)]
    data = b"".join(frame(TEXT, text.encode()) for text in texts)
    assert await heard(kind, data) == (texts, ENDED)


@pytest.mark.parametrize("over", MEDIA)
@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda data: frame(TEXT, data), id="one frame"),
        pytest.param(lambda data: frame(BINARY, data), id="bytes"),
        pytest.param(lambda data: frame(TEXT, data[:-1], fin=False) + frame(CONT, data[-1:]), id="two frames"),
        pytest.param(lambda data: frame(TEXT, data, fin=False) + frame(CONT), id="an empty end"),
        pytest.param(
            lambda data: (
                frame(TEXT, data[:1], fin=False)
                + b"".join(frame(CONT, data[at : at + 1], fin=False) for at in range(1, len(data)))
                + frame(CONT)
            ),
            id="single bytes",
        ),
        pytest.param(
            lambda data: frame(TEXT, data[:-1], fin=False) + frame(PING, b"p" * 125) + frame(CONT, data[-1:]),
            id="a ping before the end",
        ),
    ],
)
async def test_the_limit(kind: Kind, shape: Callable[[bytes], bytes], size: int, over: str) -> None:
    """A message of just that size is taken, one of a byte more ends the link with a reason that says so."""
    messages, loss = await heard(kind, HELLO + shape(b"x" * size) + HELLO, over=over)
    if size == LIMIT:
        assert [len(message) for message in messages] == [5, LIMIT, 5]
        assert loss == ENDED
    else:
        assert loss == TOO_LARGE
        # trio-websocket throws away what it has queued.
        assert messages == ["hello"] or (messages == [] and kind.NAME == "trio-websocket")


@pytest.mark.parametrize("first", [b"", frame(TEXT, b"x" * 500, fin=False)], ids=["alone", "a fragment"])
async def test_a_size_that_is_only_announced(kind: Kind, autojump_clock: MockClock, first: bytes) -> None:
    """Whatever a header promises, no more than the limit is ever kept."""
    head = bytes([0x80 if first else 0x81]) + b"\x7f" + (2**40).to_bytes(8)
    messages, loss = await heard(kind, first + head, *[b"x" * 100] * 15, end="open")
    assert (messages, loss) == ([], TOO_LARGE)


# ---- pings ----------------------------------------------------------------------------------------------------------


async def test_pings_are_answered_by_the_writer(kind: Kind, autojump_clock: MockClock) -> None:
    """The reader only collects the answers and rings; they go out in one piece, in order, before the next messages."""
    rung = 0

    def ring() -> None:
        nonlocal rung
        rung += 1

    pings = [str(number).encode() for number in range(50)]
    script = Script(end="open")
    async with opened(kind, script, on_pending=ring) as transport:
        assert not transport.has_pending
        script.say(*(frame(PING, each) for each in pings), frame(PONG, b"unasked"), HELLO)
        assert list(await transport.receive()) == ["hello"]
        assert rung
        assert transport.has_pending
        assert script.writes == 0
        await transport.send([b"{}"])
        assert not transport.has_pending
    assert [(each.opcode, each.payload) for each in script.frames()] == [
        *((PONG, each) for each in pings),
        (TEXT, b"{}"),
    ]
    assert script.writes == 1


@pytest.mark.parametrize("way", ["send", "write"])
async def test_the_writer_is_rung_for_again(kind: Kind, autojump_clock: MockClock, way: str) -> None:
    """For a ping that comes after it has sent, whichever way, as for the first."""
    rung = 0

    def ring() -> None:
        nonlocal rung
        rung += 1

    script = Script(end="open")
    async with opened(kind, script, on_pending=ring) as transport:
        for _ in range(3):
            rung = 0
            await (transport.send([b"{}"]) if way == "send" else transport.write(["{}"]))
            assert not rung
            script.say(frame(PING), HELLO)
            assert list(await transport.receive()) == ["hello"]
            assert rung
            assert transport.has_pending


@pytest.mark.parametrize("way", ["send", "write"])
async def test_many_pings_are_no_flood_for_who_answers(kind: Kind, autojump_clock: MockClock, way: str) -> None:
    """Only what waits counts, and what was sent does not wait any more."""
    script = Script(end="open")
    count = MAX_UNASKED // 250
    async with opened(kind, script) as transport:
        for _ in range(4):
            script.say(frame(PING, bytes(125)) * count, HELLO)
            assert list(await transport.receive()) == ["hello"]
            await (transport.send([b"{}"]) if way == "send" else transport.write(["{}"]))
    assert [each.opcode for each in script.frames()] == [*[PONG] * count, TEXT] * 4


@pytest.mark.parametrize("batch", [1, 1000])
async def test_a_flood_of_pings(kind: Kind, autojump_clock: MockClock, batch: int) -> None:
    """What waits for the writer is bounded; beyond it the link is given up, and no goodbye is tried."""
    piece = frame(PING, bytes(125)) * batch
    script = Script(end="open")
    async with opened(kind, script) as transport:
        outcome: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                outcome.append(await hear(transport))

            nursery.start_soon(read)
            sent = 0
            while not outcome and sent < 2 * MAX_UNASKED:
                script.say(piece)
                sent += len(piece)
                await wait_all_tasks_blocked()
        assert sent == pytest.approx(MAX_UNASKED, rel=0.2)
        ((messages, loss),) = outcome
        assert messages == []
        assert loss == "the connection broke (the peer asks with pings and does not read the answers)"
        with trio.fail_after(1):
            await transport.aclose()
    assert script.heard == b""


async def test_any_byte_is_a_sign_of_life(kind: Kind, autojump_clock: MockClock) -> None:
    """Half a frame counts; what we send does not."""
    script = Script(end="open")
    async with opened(kind, script) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(hear, transport)
        for byte in HELLO:
            await trio.sleep(10)
            script.say(bytes([byte]))
            await wait_all_tasks_blocked()
            assert transport.last_received == trio.current_time()
        await trio.sleep(10)
        await transport.send([b"{}"])
        assert transport.last_received == trio.current_time() - 10
        nursery.cancel_scope.cancel()


# ---- sending --------------------------------------------------------------------------------------------------------


async def test_a_batch_is_one_write(kind: Kind, autojump_clock: MockClock) -> None:
    """Every message is a masked text frame of its own, each with another mask."""
    messages = [b"x" * size for size in (0, 1, 125, 126, 127, 65_535, 65_536)] * 2
    script = Script(end="open")
    async with opened(kind, script) as transport:
        await transport.send(messages)
        assert script.writes == 1
    assert [each.payload for each in script.frames()] == messages
    assert all((each.opcode, each.fin, each.masked) == (TEXT, True, True) for each in script.frames())
    plain = bytes(script.heard)
    assert plain.count(b"x" * 100) == 0


async def test_reader_and_writer_do_not_wait_for_each_other(kind: Kind, autojump_clock: MockClock) -> None:
    """A socket that takes nothing does not keep messages from being received."""
    script = Script(end="open")
    wire = Recorder(script)
    async with opened(kind, wire) as transport, trio.open_nursery() as nursery:
        wire.jammed = True
        nursery.start_soon(transport.send, [b"{}"])
        await wait_all_tasks_blocked()
        for _ in range(100):
            script.say(frame(PING) + HELLO)
            assert list(await transport.receive()) == ["hello"]
        nursery.cancel_scope.cancel()


async def test_a_slow_reader_gets_everything(kind: Kind) -> None:
    """Over a socket, whose buffers fill up meanwhile."""
    texts = [f"{number}" * 1000 for number in range(2_000)]
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            stream = await on_a_socket(nursery, [b"".join(frame(TEXT, text.encode()) for text in texts)], "end")
            async with opened(kind, stream, limit=10_000) as transport:
                messages: list[str | bytes] = []
                while len(messages) < len(texts):
                    messages += await transport.receive()
                    await trio.sleep(0.001)
            assert messages == texts


@pytest.mark.parametrize("size", [1, 16 * 1024 * 1024])
async def test_the_largest_frame(kind: Kind, size: int) -> None:
    """Up to 16 MiB a message is one frame."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        await transport.send([b"x" * size])
    (sent,) = script.frames()
    assert (sent.opcode, sent.fin, len(sent.payload)) == (TEXT, True, size)


async def test_text_and_bytes_keep_their_kind_and_order(kind: Kind, autojump_clock: MockClock) -> None:
    """In one go as well, and empty ones too."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        await transport.write(["héllo", b"\x00\xff", "", b"", "x" * 30_000, b"y" * 30_000])
        assert script.writes == 1
    assert [(each.opcode, each.payload) for each in script.frames()] == [
        (TEXT, "héllo".encode()),
        (BINARY, b"\x00\xff"),
        (TEXT, b""),
        (BINARY, b""),
        (TEXT, b"x" * 30_000),
        (BINARY, b"y" * 30_000),
    ]


async def test_what_is_written_is_masked(kind: Kind, autojump_clock: MockClock) -> None:
    """In frames with every form of a length, each with a mask of its own, however much is written at once."""
    sizes = [0, 1, 125, 126, 127, 65_535, 65_536] * 2
    messages = [each for size in sizes for each in (b"x" * size, "x" * size)]
    script = Script(end="open")
    async with opened(kind, script) as transport:
        await transport.write(messages)
    said = script.frames()
    assert [each.payload for each in said] == [b"x" * size for size in sizes for _ in range(2)]
    assert [each.opcode for each in said] == [BINARY, TEXT] * len(sizes)
    assert all(each.fin and each.masked for each in said)
    assert bytes(script.heard).count(b"x" * 100) == 0


async def test_writing_to_a_lost_link_is_a_loss(kind: Kind, autojump_clock: MockClock) -> None:
    """As sending is."""
    async with opened(kind, Script()) as transport:
        await hear(transport)
        with pytest.raises(LinkLost):
            await transport.write([b"late"])


# ---- reading only ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["end", "reset", "open"])
async def test_who_only_reads_says_nothing(kind: Kind, autojump_clock: MockClock, end: End) -> None:
    """No pong, no answer to a Close, no goodbye: at the read end of a channel each of them would cost data."""
    script = Script(frame(PING, b"?"), frame(BINARY, b"data"), frame(PING), close(), end=end)
    async with opened(kind, script) as transport:
        messages, _ = await hear(transport)
        await wait_all_tasks_blocked()
    assert messages == [b"data"]
    assert script.closed
    assert script.heard == b""


async def test_who_only_reads_and_leaves_says_nothing(kind: Kind, autojump_clock: MockClock) -> None:
    """In the middle of everything."""
    script = Script(frame(PING), frame(BINARY, b"data"), end="open")
    async with opened(kind, script) as transport:
        assert list(await transport.receive()) == [b"data"]
    assert script.closed
    assert script.heard == b""


async def test_a_slow_reader_stops_the_stream(kind: Kind, autojump_clock: MockClock) -> None:
    """With `read_ahead` 1 no more than a few messages are taken that nobody has asked for, and none is lost."""
    script = Script(*[frame(BINARY, bytes([number])) for number in range(100)], end="end")
    async with opened(kind, script, read_ahead=1) as transport:
        await wait_all_tasks_blocked()
        assert script.left >= 97
        assert list(await transport.receive()) == [b"\x00"]
        await wait_all_tasks_blocked()
        assert script.left >= 96
        messages, _ = await hear(transport)
    assert messages == [bytes([number]) for number in range(1, 100)]


# ---- closing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["end", "close", "reset"])
async def test_a_goodbye(kind: Kind, autojump_clock: MockClock, answer: str) -> None:
    """Close goes out, with code 1000; then the peer is waited for, whether it ends the stream or says Close as well."""
    script = Script(end="open")
    async with opened(kind, script) as transport, trio.open_nursery() as nursery:
        await transport.send([b"{}"])
        nursery.start_soon(transport.aclose)
        await trio.sleep(3)
        assert [each.opcode for each in script.frames()] == [TEXT, CLOSE]
        assert script.frames()[-1].payload[:2] == b"\x03\xe8"
        assert not script.closed
        script.say(HELLO)
        await wait_all_tasks_blocked()
        assert not script.closed
        if answer == "close":
            script.say(close(1000))
        else:
            script.finish(answer)  # type: ignore[arg-type]
        await wait_all_tasks_blocked()
        assert script.closed
    assert script.frames()[1].opcode == CLOSE


@pytest.mark.parametrize(
    ("farewell", "end", "code"),
    [
        pytest.param(close(1000), "open", 1000, id="1000"),
        pytest.param(close(), "open", 1005, id="no code"),
        pytest.param(close(4999, "bye"), "end", 4999, id="4999"),
        pytest.param(b"", "end", None, id="no Close"),
        pytest.param(b"", "reset", None, id="reset"),
        pytest.param(b"\x88\x02\x03", "end", None, id="half a Close"),
        pytest.param(frame(3), "open", None, id="a breach"),
        pytest.param(frame(TEXT, b"x" * (LIMIT + 1)), "open", None, id="too large"),
    ],
)
async def test_the_code_of_the_peers_close(
    kind: Kind, autojump_clock: MockClock, farewell: bytes, end: End, code: int | None
) -> None:
    """None unless the peer said Close; our own does not count."""
    script = Script(HELLO, end="open")
    async with opened(kind, script) as transport:
        assert list(await transport.receive()) == ["hello"]
        assert transport.close_code is None
        if farewell:
            script.say(farewell)
        script.finish(end)
        await hear(transport)
        assert transport.close_code == code
        await transport.aclose()
        assert transport.close_code == code


@pytest.mark.parametrize(
    ("answer", "end", "code"),
    [
        pytest.param(close(1000), "open", 1000, id="echo"),
        pytest.param(close(), "open", 1005, id="no code"),
        pytest.param(b"", "end", None, id="end"),
        pytest.param(b"", "reset", None, id="reset"),
    ],
)
async def test_a_goodbye_tells_whether_it_was_answered(
    kind: Kind, autojump_clock: MockClock, answer: bytes, end: End, code: int | None
) -> None:
    """An end without a Close after ours is no answer."""
    script = Script(end="open")
    async with opened(kind, script) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(transport.aclose)
        await wait_all_tasks_blocked()
        if answer:
            script.say(answer)
        script.finish(end)
        await wait_all_tasks_blocked()
        assert script.closed
        assert transport.close_code == code


async def test_a_goodbye_that_nobody_answers(kind: Kind, autojump_clock: MockClock) -> None:
    """The caller's bound holds."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        with trio.move_on_after(5) as scope:
            await transport.aclose()
        assert scope.cancelled_caught
        assert script.closed


async def test_a_cancelled_close_closes_at_once(kind: Kind, autojump_clock: MockClock) -> None:
    """Who cannot wait for the goodbye gets a closed stream; closing again does nothing."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        with trio.CancelScope() as scope:
            scope.cancel()
            await transport.aclose()
        assert script.closed
        await transport.aclose()


async def test_a_closed_transport_is_lost(kind: Kind, autojump_clock: MockClock) -> None:
    """In our word for it."""
    script = Script()
    async with opened(kind, script) as transport:
        await transport.aclose()
        with pytest.raises(LinkLost):
            await transport.send([b"{}"])
        with pytest.raises(LinkLost):
            await transport.receive()


@pytest.mark.parametrize("way", ["send", "receive"])
async def test_a_stream_that_breaks(kind: Kind, autojump_clock: MockClock, way: str) -> None:
    """Whatever a stream of somebody's raises, the reason is in the loss, and closing raises nothing."""
    script = Script(end="open")
    wire = Recorder(script)
    async with opened(kind, wire) as transport:
        wire.broken_by = OSError("cable cut")
        script.say(b"\x81")
        with pytest.raises(LinkLost, match=r"the connection broke \(cable cut\)"):
            await (transport.send([b"{}"]) if way == "send" else transport.receive())
        await transport.aclose()
        assert script.closed


async def test_the_end_of_the_scope_closes_the_stream(kind: Kind, autojump_clock: MockClock) -> None:
    """Nobody need say goodbye."""
    script = Script(end="open")
    async with opened(kind, script):
        assert not script.closed
    assert script.closed
    assert script.heard == b""


async def test_no_secret_is_logged(kind: Kind, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever listens at DEBUG hears neither the login nor what is said."""
    caplog.set_level(logging.DEBUG)
    script = Script(end="open")
    async with opened(kind, script) as transport:
        await transport.send([b"s3cret"])
        script.say(frame(TEXT, b"s3cret"), frame(3))
        await hear(transport)
    assert "s3cret" not in caplog.text


# ---- cancelled at every step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", MEDIA)
async def test_a_cancelled_receive_loses_nothing(kind: Kind, over: str) -> None:
    """Whenever it is cancelled, what comes is received by the next call, once and in order."""
    texts = [str(number) for number in range(10)]
    data = b"".join(frame(TEXT, text[:1].encode(), fin=False) + frame(CONT, text[1:].encode()) for text in texts)
    pieces = [data[at : at + 7] for at in range(0, len(data), 7)]
    acted, step = True, 0
    while acted:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                async with opened(kind, await saying(nursery, over, pieces, "end")) as transport:
                    messages: list[str | bytes] = []
                    with trio.CancelScope() as scope, AtStep(step, scope.cancel) as cancelling:
                        await hear(transport, messages)
                    await hear(transport, messages)
                nursery.cancel_scope.cancel()
        assert messages == texts
        acted, step = cancelling.acted, step + 1
    assert step > 5


async def test_a_receive_that_waits_is_cancelled_without_loss(kind: Kind, autojump_clock: MockClock) -> None:
    """The message that comes later is received by the next call."""
    script = Script(end="open")
    async with opened(kind, script) as transport:
        with trio.move_on_after(1) as scope:
            await transport.receive()
        assert scope.cancelled_caught
        script.say(HELLO)
        assert list(await transport.receive()) == ["hello"]


async def test_a_cancelled_send_gives_the_connection_up(kind: Kind, autojump_clock: MockClock) -> None:
    """Behind what may be half a frame nothing is sent, not even a Close, and closing waits for nobody."""
    script = Script(frame(PING), HELLO, end="open")
    wire = Recorder(script)
    async with opened(kind, wire) as transport:
        wire.jammed = True
        with trio.move_on_after(1):
            await transport.send([b"{}"])
        wire.jammed = False
        await transport.receive()
        count = len(wire.writes)
        await transport.aclose()
        assert len(wire.writes) == count
        assert script.closed
        assert trio.current_time() == 1


@pytest.mark.parametrize("way", ["send", "write"])
async def test_a_cancelled_write_is_the_last_that_a_socket_hears(kind: Kind, way: str) -> None:
    """The peer gets whole frames up to one cut, and behind it nothing: no pong, and no Close as part of a message."""
    messages = [os.urandom(50_000).hex().encode() for _ in range(50)]
    async with opened_to_a_socket(kind) as (transport, peer), trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(cancelled_when_idle, scope)
            await (transport.send(messages) if way == "send" else transport.write(messages))
        assert scope.cancelled_caught
        await peer.send_all(frame(PING) + HELLO)
        assert list(await transport.receive()) == ["hello"]
        said: list[bytes] = []

        async def listen() -> None:
            said.append(await hears(peer))

        nursery.start_soon(listen)
        await wait_all_tasks_blocked()  # the socket takes anything again
        with trio.fail_after(1):
            await transport.aclose()
    frames = list(parse(said[0], cut=True))
    whole, payloads = b"".join(messages), b"".join(each.payload for each in frames)
    assert {each.opcode for each in frames} == {TEXT if way == "send" else BINARY}
    assert 0 < len(payloads) < len(whole)
    assert whole.startswith(payloads)


async def cancelled_when_idle(scope: trio.CancelScope) -> None:
    """Cancel a scope when everybody waits."""
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_closed_at_every_step_of_its_life(kind: Kind, autojump_clock: MockClock) -> None:
    """Whenever the nursery of a connection is cancelled, opening, sending, receiving or closing, its stream is closed."""

    async def live(script: Script) -> None:
        async with opened(kind, script) as transport:
            await transport.send([b"{}"])
            await transport.receive()
            await transport.aclose()

    acted, step = True, 0
    while acted:
        script = Script(HELLO, frame(PING), HELLO)
        with trio.CancelScope() as scope, AtStep(step, scope.cancel) as cancelling:
            await live(script)
        assert script.closed or not script.request
        acted, step = cancelling.acted, step + 1
    assert step > 10


# ---- half an end ----------------------------------------------------------------------------------------------------


async def test_a_peer_that_has_ended_and_reads_on(kind: Kind) -> None:
    """Over a socket it is lost like one that is gone: it hears nothing more, and nobody waits for its goodbye."""
    async with opened_to_a_socket(kind) as (transport, peer):
        await transport.send([b"{}"])
        await peer.send_all(HELLO + frame(PING, b"?"))
        await peer.send_eof()
        assert await hear(transport) == (["hello"], ENDED)
        for way in (transport.send([b"late"]), transport.write(["late"])):
            with pytest.raises(LinkLost, match=ENDED):
                await way
        with trio.fail_after(1):
            await transport.aclose()
        assert transport.close_code is None
        assert [(each.opcode, each.payload) for each in parse(await hears(peer))] == [(TEXT, b"{}")]


# ---- laws -----------------------------------------------------------------------------------------------------------

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.encode)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """What a peer may say: messages in any number of fragments, pings between them, and perhaps a Close."""
    said = b""
    for _ in range(draw(st.integers(0, 6))):
        opcode, payload = draw(
            st.one_of(st.tuples(st.just(TEXT), TEXTS), st.tuples(st.just(BINARY), st.binary(max_size=20)))
        )
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        parts = [payload[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        for number, part in enumerate(parts):
            said += frame(opcode if number == 0 else CONT, part, fin=number == len(parts) - 1)
            said += draw(st.sampled_from([b"", frame(PING, b"?"), frame(PONG)]))
    return said + draw(st.sampled_from([b"", close(), close(1000), close(1011, "x")]))


def in_pieces(data: bytes, seed: int) -> list[bytes]:
    """The same bytes, cut at random places."""
    places = sorted(random.Random(seed).randrange(len(data) + 1) for _ in range(min(len(data), 12)))
    parts = [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]
    return [part for part in parts if part]


def outcome(
    name: str, pieces: Sequence[bytes], limit: int = LIMIT, over: str = "memory"
) -> tuple[list[str | bytes], str]:
    """What a transport makes of these pieces; anything but messages and a loss is an error here."""

    async def run() -> tuple[list[str | bytes], str]:
        with trio.fail_after(60):
            return await heard(find_transport(name), *(piece for piece in pieces if piece), limit=limit, over=over)

    return trio.run(run)


@given(said=conversations(), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_where_the_bytes_are_cut_does_not_matter(said: bytes, seed: int) -> None:
    """At once, byte by byte or anyhow, and over both transports: the same messages and the same loss."""
    shapes = [[said], [bytes([byte]) for byte in said], in_pieces(said, seed)]
    assert len({repr(outcome(name, shape)) for shape in shapes for name in NAMES}) == 1


@given(said=conversations(), seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_where_a_socket_cuts_the_bytes_does_not_matter(said: bytes, seed: int) -> None:
    """What was read of it at once or bit by bit is what would come out of memory."""
    shapes = [[said], [bytes([byte]) for byte in said], in_pieces(said, seed)]
    told = {repr(outcome(name, shape, over="socket")) for shape in shapes for name in NAMES}
    assert told == {repr(outcome("websockets", [said]))}


@pytest.mark.parametrize("name", NAMES)
@given(said=conversations(), noise=st.binary(max_size=30), place=st.floats(0, 1), seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_any_bytes_become_messages_or_a_loss(name: str, said: bytes, noise: bytes, place: float, seed: int) -> None:
    """Nothing else comes out, whatever goes in."""
    at = int(place * len(said))
    for data in (noise, said[:at] + noise + said[at:]):
        messages, loss = outcome(name, in_pieces(data, seed), limit=30)
        assert loss
        assert all(len(message) <= 30 for message in messages)


@pytest.mark.parametrize("name", NAMES)
@given(
    answer=st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda lines: b"\r\n".join([b"HTTP/1.1 101 Fine", *lines, b"", b""]),
            st.lists(
                st.builds(
                    lambda key, value: key + b": " + value,
                    st.sampled_from(
                        [b"Upgrade", b"Connection", b"Sec-WebSocket-Accept", b"Sec-WebSocket-Extensions", b"X", b""]
                    ),
                    st.one_of(
                        st.sampled_from([b"websocket", b"Upgrade", b'a; b="', b",", b";"]), st.binary(max_size=10)
                    ),
                ),
                max_size=5,
            ),
        ),
    ),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_any_answer_to_the_handshake_is_a_failed_attempt(name: str, answer: bytes, seed: int) -> None:
    """Of three kinds, and of no fourth; nobody can guess the key."""

    async def run() -> Exception:
        with trio.fail_after(60):
            return await refused(find_transport(name), Script(*in_pieces(answer, seed), granted=False))

    assert str(trio.run(run))
