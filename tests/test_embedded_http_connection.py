"""HTTP on a stream: what a well-behaved client may do, and what becomes of the other ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from iii_trio._embedded.http_connection import HEAD_TIME, IDLE, LINGER, MAX_HEAD, HttpConnection
from iii_trio._embedded.memory import MemoryStream, memory_stream_pair
from tests.http_client import Client

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


async def echo(connection: HttpConnection) -> None:
    """Answer every request with its path and its body."""
    while (request := await connection.next_request()) is not None:
        await connection.invite_body()
        body = b""
        while (piece := await connection.next_piece()) is not None:
            body += piece
        await connection.respond(200, [], request.path.encode() + b" " + body)
        if not await connection.next_cycle():
            return


@asynccontextmanager
async def serving(handler: Callable[[HttpConnection], Awaitable[None]] = echo) -> AsyncIterator[MemoryStream]:
    """A client's stream to a connection that is closed when the handler returns."""
    ours, theirs = memory_stream_pair()

    async def serve() -> None:
        try:
            await handler(HttpConnection(ours))
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(ours)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield theirs
        await theirs.aclose()


async def rest_of(stream: trio.abc.ReceiveStream) -> bytes:
    """Up to the end."""
    return b"".join([bytes(chunk) async for chunk in stream])


async def test_a_connection_serves_request_after_request(autojump_clock: MockClock) -> None:
    """Also those that come in one piece."""
    async with serving() as stream:
        client = Client(stream)
        assert (await client.request("POST", "/a", body=b"1")).body == b"/a 1"
        assert (await client.request("GET", "/b")).body == b"/b "
        await stream.send_all(GET + GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert (await rest_of(stream)).count(b"/a ") == 2


async def test_responses_have_a_date_and_a_length(autojump_clock: MockClock) -> None:
    """A date of the handler's own counts."""

    async def answer(connection: HttpConnection) -> None:
        for headers in ([], [(b"date", b"long ago")]):
            await connection.next_request()
            await connection.respond(200, headers, b"abc")
            await connection.next_cycle()

    async with serving(answer) as stream:
        client = Client(stream)
        first, second = await client.request("GET", "/"), await client.request("GET", "/")
    assert (first.headers["content-length"], first.reason) == ("3", "OK")
    assert first.headers["date"].endswith("GMT")
    assert second.headers["date"] == "long ago"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_gets_none(method: str, status: int, autojump_clock: MockClock) -> None:
    """Neither a whole one nor in pieces."""

    async def answer(connection: HttpConnection) -> None:
        await connection.next_request()
        await connection.respond(status, [], b"abc")
        assert await connection.next_cycle()
        await connection.next_request()
        await connection.begin(status, [])
        await connection.send_piece(b"abc")
        await connection.end()
        assert await connection.next_cycle()

    async with serving(answer) as stream:
        client = Client(stream)
        for _ in range(2):
            response = await client.request(method, "/")
            assert (response.status, response.body) == (status, b"")


async def test_a_client_that_asks_is_invited_to_send_its_body(autojump_clock: MockClock) -> None:
    """With 100 Continue."""
    async with serving() as stream:
        await stream.send_all(b"POST /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"ok")
        assert b"/a ok" in bytes(await stream.receive_some())


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\x00\x01 what\r\n\r\n", b"400", id="NoHttp"),
        pytest.param(
            b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400", id="TwoLengths"
        ),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", id="NoHost"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 2 * MAX_HEAD, b"431", id="HugeHead"),
    ],
)
async def test_what_is_no_request_is_refused(data: bytes, status: bytes, autojump_clock: MockClock) -> None:
    """In an answer that the client gets to read, though it has sent more than was read."""
    async with serving() as stream:
        await stream.send_all(data)
        assert (await rest_of(stream)).startswith(b"HTTP/1.1 " + status)
    assert trio.current_time() <= LINGER


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        pytest.param(b"", IDLE, id="Silent"),
        pytest.param(b"GET / HTTP/1.1\r\nho", HEAD_TIME, id="HalfARequest"),
    ],
)
async def test_a_client_that_does_not_ask_is_dropped(data: bytes, seconds: float, autojump_clock: MockClock) -> None:
    """Without a word."""
    async with serving() as stream:
        await stream.send_all(data)
        assert await rest_of(stream) == b""
    assert trio.current_time() == seconds


async def test_a_head_that_drips_has_no_more_time(autojump_clock: MockClock) -> None:
    """Each byte would be in time for the next one."""

    async def drip(stream: MemoryStream) -> None:
        with trio.CancelScope():
            try:
                for byte in b"GET /" + b"a" * 100:
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(1)
            except trio.BrokenResourceError:
                pass

    async with serving() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(drip, stream)
        assert await rest_of(stream) == b""
        assert trio.current_time() == HEAD_TIME


async def test_a_kept_connection_has_as_long_again(autojump_clock: MockClock) -> None:
    """For its next request."""
    async with serving() as stream:
        client = Client(stream)
        await trio.sleep(IDLE - 1)
        assert (await client.request("GET", "/a")).status == 200
        await trio.sleep(IDLE - 1)
        assert (await client.request("GET", "/a")).status == 200
        assert await rest_of(stream) == b""
    assert trio.current_time() == 3 * IDLE - 2


async def test_a_body_that_breaks_the_rules_ends_there(autojump_clock: MockClock) -> None:
    """It is answered, and the connection is of no more use."""
    async with serving() as stream:
        await stream.send_all(b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n")
        assert (await rest_of(stream)).endswith(b"\r\n\r\n/a ok")


async def test_a_client_that_leaves_in_a_body_is_gone(autojump_clock: MockClock) -> None:
    """Nobody is told that this was the end of it."""
    has_noticed = False

    async def read(connection: HttpConnection) -> None:
        nonlocal has_noticed
        await connection.next_request()
        assert await connection.next_piece() == b"half"
        with pytest.raises(trio.BrokenResourceError):
            await connection.next_piece()
        has_noticed = True

    async with serving(read) as stream:
        await stream.send_all(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
    assert has_noticed


async def test_a_response_before_the_end_of_the_request_is_not_cut_off(autojump_clock: MockClock) -> None:
    """The rest is thrown away while the client reads; one that sends for ever is dropped."""

    async def refuse(connection: HttpConnection) -> None:
        await connection.next_request()
        await connection.respond(413, [], b"too much")
        assert not await connection.next_cycle()

    async def send_for_ever(stream: MemoryStream) -> None:
        with trio.CancelScope():
            try:
                while True:
                    await stream.send_all(b"x" * 65_536)
                    await trio.sleep(0.1)
            except trio.BrokenResourceError:
                pass

    async with serving(refuse) as stream, trio.open_nursery() as nursery:
        await stream.send_all(b"POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nff0000\r\n")
        nursery.start_soon(send_for_ever, stream)
        assert (await rest_of(stream)).endswith(b"too much")
    assert LINGER <= trio.current_time() < LINGER + 1


@pytest.mark.parametrize("piece", [pytest.param(b"abcd", id="more"), pytest.param(b"ab", id="less")])
async def test_a_length_that_was_promised_is_kept_or_the_client_sees_it(
    piece: bytes, autojump_clock: MockClock
) -> None:
    """The connection breaks off: nothing looks complete that is not."""

    async def send(connection: HttpConnection) -> None:
        await connection.send_piece(piece)
        await connection.end()

    async def promise(connection: HttpConnection) -> None:
        await connection.next_request()
        await connection.begin(200, [(b"content-length", b"3")])
        with pytest.raises(trio.BrokenResourceError, match="breaks its promise"):
            await send(connection)

    async with serving(promise) as stream:
        await stream.send_all(GET)
        head, _, body = (await rest_of(stream)).partition(b"\r\n\r\n")
        assert b"content-length: 3" in head
        assert len(body) < 3


async def test_a_client_that_does_not_read_stops_who_writes(autojump_clock: MockClock) -> None:
    """What waits meanwhile is what the stream holds."""
    sent = 0

    async def stream_for_ever(connection: HttpConnection) -> None:
        nonlocal sent
        await connection.next_request()
        await connection.begin(200, [])
        while True:
            await connection.send_piece(b"x" * 65_536)
            sent += 1

    async with serving(stream_for_ever) as stream:
        await stream.send_all(GET)
        await trio.sleep(60)
        assert 0 < sent <= 16
