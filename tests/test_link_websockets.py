"""What only the transport on the codec of websockets does."""

from __future__ import annotations

import os
import sys
from errno import ECONNRESET

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._link.transport import LinkLost
from iii_trio._link.websockets import WebsocketsTransport
from tests._hostile import Recorder
from tests._websocket import BINARY, CLOSE, CONT, PING, PONG, TEXT, Script, close, frame, on_a_socket, parse, upgrade
from tests.test_link_transport import LIMIT, hear, opened

MIB = 1024 * 1024
HELLO = frame(TEXT, b"hello")


def test_its_name_and_limit() -> None:
    """What the engine takes in one message."""
    assert WebsocketsTransport.NAME == "websockets"
    assert WebsocketsTransport.MAX_OUTGOING == 64 * MIB


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (16 * MIB, [16 * MIB]),
        (16 * MIB + 1, [16 * MIB, 1]),
        (17 * MIB, [16 * MIB, MIB]),
        (64 * MIB, [16 * MIB] * 4),
    ],
)
async def test_a_large_message_goes_in_pieces(autojump_clock: MockClock, size: int, pieces: list[int]) -> None:
    """Of at most 16 MiB, since the engine takes no larger frame; small messages before and behind it keep their places."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport:
        await transport.send([b"before", b"x" * size, b"behind"])
    first, *large, last = script.frames()
    assert (first.payload, last.payload) == (b"before", b"behind")
    assert [len(each.payload) for each in large] == pieces
    assert [each.opcode for each in large] == [TEXT, *[CONT] * (len(pieces) - 1)]
    assert [each.fin for each in large] == [*[False] * (len(pieces) - 1), True]
    assert all(each.masked for each in large)
    assert b"".join(each.payload for each in large) == b"x" * size


async def test_pongs_go_between_the_pieces(autojump_clock: MockClock) -> None:
    """A large message does not hold them up."""
    script = Script(end="open")
    wire = Recorder(script, delay=1)
    async with opened(WebsocketsTransport, wire) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(transport.send, [b"x" * (33 * MIB)])
        await wait_all_tasks_blocked()
        script.say(frame(PING, b"?"), HELLO)
        assert list(await transport.receive()) == ["hello"]
    assert [each.opcode for each in script.frames()] == [TEXT, PONG, CONT, CONT]


async def test_a_close_between_the_pieces(autojump_clock: MockClock) -> None:
    """After the answer to a Close nothing more is sent."""
    script = Script(end="open")
    wire = Recorder(script, delay=1)
    async with opened(WebsocketsTransport, wire) as transport, trio.open_nursery() as nursery:

        async def send() -> None:
            with pytest.raises(LinkLost, match="code 1001"):
                await transport.send([b"x" * (33 * MIB)])

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        script.say(close(1001))
        await hear(transport)
        await trio.sleep(5)
        await transport.aclose()
    assert [each.opcode for each in script.frames()] == [TEXT, CLOSE]


async def test_nothing_is_written_after_a_close(autojump_clock: MockClock) -> None:
    """Though the stream would still take it."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport:
        script.say(close(1001))
        await hear(transport)
        with pytest.raises(LinkLost, match="code 1001"):
            await transport.write(["small", b"x" * MIB])
        await transport.aclose()
    assert [each.opcode for each in script.frames()] == [CLOSE]


async def test_a_batch_is_received_at_once(autojump_clock: MockClock) -> None:
    """All messages of one piece come from one call."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport:
        script.say(HELLO * 100 + frame(BINARY, b"x") + frame(TEXT, b"half", fin=False))
        assert await transport.receive() == [*["hello"] * 100, b"x"]


@pytest.mark.parametrize("first", [b"", frame(TEXT, b"x" * 500, fin=False)], ids=["alone", "a fragment"])
async def test_a_size_is_refused_by_its_header(autojump_clock: MockClock, first: bytes) -> None:
    """Before a byte of the payload has come."""
    head = bytes([0x80 if first else 0x81]) + b"\x7e" + (LIMIT + 126).to_bytes(2)
    async with opened(WebsocketsTransport, Script(first + head, end="open")) as transport:
        assert await hear(transport) == ([], f"the engine sent a message of more than {LIMIT} bytes")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        pytest.param(frame(3), 1002, id="breach"),
        pytest.param(frame(TEXT, b"\xff"), 1007, id="no UTF-8"),
        pytest.param(frame(TEXT, bytes(LIMIT + 1)), 1009, id="too large"),
        pytest.param(frame(TEXT, bytes(LIMIT + 1000)), 1009, id="much too large"),
    ],
)
async def test_the_peer_is_told_why(autojump_clock: MockClock, bad: bytes, code: int) -> None:
    """A Close with the code of the fault is the last that it hears, once."""
    script = Script(HELLO + bad + HELLO, end="open")
    async with opened(WebsocketsTransport, script) as transport:
        assert (await hear(transport))[0] == ["hello"]
        assert transport.has_pending
        await transport.aclose()
    (said,) = script.frames()
    assert (said.opcode, int.from_bytes(said.payload[:2])) == (CLOSE, code)


async def test_a_ping_during_the_goodbye(autojump_clock: MockClock) -> None:
    """After our Close nothing is said, and what still comes is dropped."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(transport.aclose)
        await wait_all_tasks_blocked()
        script.say(frame(PING, b"late") + HELLO * 3)
        await wait_all_tasks_blocked()
        assert not script.closed
        script.say(close(1000))
    assert [each.opcode for each in script.frames()] == [CLOSE]


async def test_a_breach_during_the_goodbye(autojump_clock: MockClock) -> None:
    """Ends it."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport, trio.open_nursery() as nursery:
        nursery.start_soon(transport.aclose)
        await wait_all_tasks_blocked()
        script.say(frame(3))
        await wait_all_tasks_blocked()
        assert script.closed


# ---- a flood --------------------------------------------------------------------------------------------------------

FLOOD_FRAME = 10_000


def flood(count: int, size: int = FLOOD_FRAME) -> tuple[list[str | bytes], bytes]:
    """Messages of either kind, and their frames."""
    messages: list[str | bytes] = [
        f"{number:>{size}}" if number % 3 else b"%*d" % (size, number) for number in range(count)
    ]
    frames = (frame(TEXT, each.encode()) if isinstance(each, str) else frame(BINARY, each) for each in messages)
    return messages, b"".join(frames)


@pytest.mark.parametrize(("count", "size"), [(600, FLOOD_FRAME), (20_000, 200)])
async def test_a_flood_comes_out_whole(count: int, size: int) -> None:
    """In order, and of large messages more at once than was asked of the socket at first. Small ones hold up the loop."""
    messages, said = flood(count, size)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            stream = await on_a_socket(nursery, [said], "end")
            async with opened(WebsocketsTransport, stream, limit=FLOOD_FRAME) as transport:
                heard: list[str | bytes] = []
                most = 0
                while len(heard) < len(messages):
                    await wait_all_tasks_blocked()  # until the peer has said all that can be said
                    batch = await transport.receive()
                    most = max(most, len(batch))
                    heard += batch
                assert heard == messages
                assert (await hear(transport))[0] == []
    assert sys.platform == "win32" or (most * size > 2 * 65536) is (size == FLOOD_FRAME)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        pytest.param(close(1001), "code 1001", id="a Close"),
        pytest.param(frame(3), "broke the rules", id="a breach"),
        pytest.param(frame(TEXT, b"\xff"), "no UTF-8", id="no text"),
        pytest.param(frame(TEXT, bytes(FLOOD_FRAME + 1)), "more than", id="too large"),
        pytest.param(b"", "without a Close", id="the end"),
    ],
)
@pytest.mark.parametrize("count", [5, 9, 13, 14, 40])
async def test_an_end_in_the_middle_of_a_flood(count: int, last: bytes, words: str) -> None:
    """What came before it is heard, then how it ended; what comes behind it is not."""
    messages, said = flood(count)
    behind = flood(20)[1] if last else b""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            stream = await on_a_socket(nursery, [said + last + behind], "end")
            async with opened(WebsocketsTransport, stream, limit=FLOOD_FRAME) as transport:
                await wait_all_tasks_blocked()
                heard, loss = await hear(transport)
    assert heard == messages
    assert words in loss


async def test_a_reset_in_the_middle_of_a_flood() -> None:
    """What came before it is heard in order, and the loss has its words."""
    messages, said = flood(200)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            stream = await on_a_socket(nursery, [said], "reset")
            async with opened(WebsocketsTransport, stream, limit=FLOOD_FRAME) as transport:
                heard, loss = await hear(transport)
    assert heard == messages[: len(heard)]
    assert os.strerror(ECONNRESET) in loss


async def test_large_frames_go_one_by_one(autojump_clock: MockClock) -> None:
    """Joined they would be copied once more; small ones before and behind go with them, and everything keeps its order."""
    script = Script(end="open")
    async with opened(WebsocketsTransport, script) as transport:
        await transport.write([b"a", b"b" * 65_536, b"c" * 65_536, "d" * 65_536, b"e", "f"])
        assert script.writes == 4
    assert b"".join(each.payload[:1] for each in script.frames()) == b"abcdef"


async def test_large_frames_over_a_socket() -> None:
    """Past trio's stream they arrive whole, also when the socket is full in between and a part of one is on the wire."""
    messages = [os.urandom(size) for size in [65_536, 10, 65_530, 300_000] * 30]
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    heard = bytearray()

    async def serve() -> None:
        async with await listener.accept() as peer:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += await peer.receive_some()
            await peer.send_all(upgrade(request))
            await wait_all_tasks_blocked()
            async for data in peer:
                heard.extend(data)

    with trio.fail_after(30):
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
            async with opened(WebsocketsTransport, stream) as transport:
                await transport.write(messages)
    assert [each.payload for each in parse(heard)] == messages
