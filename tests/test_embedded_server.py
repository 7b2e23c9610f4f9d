"""Streams become connections: the handshake, liveness, backpressure, and every way out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, CloseConnection, Ping, Pong, Request, TextMessage

from iii_trio._embedded import handshake
from iii_trio._embedded.core import Engine
from iii_trio._embedded.memory import CAPACITY
from iii_trio._embedded.server import Server

UPGRADE: Final = (
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING: Final = '{"type":"ping"}'


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server in memory."""
    server = Server(Engine())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield server
        nursery.cancel_scope.cancel()


class Client:
    """A worker that says exactly what a test says."""

    def __init__(self, server: Server) -> None:
        self.stream = server.open_stream()
        self.protocol = WSConnection(ConnectionType.CLIENT)

    async def open(self) -> None:
        await self.stream.send_all(self.protocol.send(Request(host="x", target="/")))
        assert isinstance(await self.next(), AcceptConnection)

    async def say(self, *messages: str) -> None:
        data = b"".join(self.protocol.send(TextMessage(data=message)) for message in messages)
        await self.stream.send_all(data)

    async def next(self) -> object:
        """The next event; None at the bare end."""
        while True:
            for event in self.protocol.events():
                return event
            data = await self.stream.receive_some()
            if not data:
                return None
            self.protocol.receive_data(bytes(data))

    async def hear(self) -> object:
        """The next message."""
        text = ""
        while True:
            event = await self.next()
            assert isinstance(event, TextMessage)
            text += event.data
            if event.message_finished:
                return json.loads(text)


async def connect(server: Server) -> Client:
    """A client that was greeted."""
    client = Client(server)
    await client.open()
    await client.hear()
    return client


async def exchange(server: Server, request: str) -> str:
    """A whole HTTP answer."""
    async with server.open_stream() as stream:
        await stream.send_all(request.encode())
        return b"".join([bytes(chunk) async for chunk in stream]).decode()


@pytest.mark.parametrize(
    ("request_text", "status", "body"),
    [
        pytest.param(UPGRADE.replace("GET / ", "GET /otel "), 404, "", id="unknown-path"),
        pytest.param(UPGRADE.replace("GET / ", "HEAD /nothing "), 404, "", id="unknown-path-without-body"),
        pytest.param(UPGRADE.replace("GET", "POST"), 405, "", id="wrong-method"),
        pytest.param(
            UPGRADE.replace("keep-alive, Upgrade", "close"),
            400,
            "Connection header did not include 'upgrade'",
            id="no-connection-upgrade",
        ),
        pytest.param(
            UPGRADE.replace("WebSocket\r", "h2c\r"),
            400,
            "`Upgrade` header did not include 'websocket'",
            id="no-upgrade",
        ),
        pytest.param(
            UPGRADE.replace("13", "12"),
            400,
            "`Sec-WebSocket-Version` header did not include '13'",
            id="wrong-version",
        ),
        pytest.param(UPGRADE.replace("-Key", "-Kex"), 400, "`Sec-WebSocket-Key` header missing", id="no-key"),
        pytest.param(
            UPGRADE.replace("1.1", "1.0"),
            426,
            "WebSocket request couldn't be upgraded since no upgrade state was present",
            id="old-http",
        ),
        pytest.param("garbage\r\n\r\n", 400, "", id="no-http"),
    ],
)
async def test_what_is_no_upgrade_is_answered_as_the_engine_does(
    server: Server, request_text: str, status: int, body: str
) -> None:
    """And the connection ends."""
    answer = await exchange(server, request_text)
    head, _, text = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert text == body


async def test_the_upgrade_accepts_neither_extensions_nor_subprotocols(server: Server) -> None:
    """A query is no other path."""
    async with server.open_stream() as stream:
        request = UPGRADE.replace("GET / ", "GET /?token=x ").replace(
            "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: a\r\n\r\n"
        )
        await stream.send_all(request.encode())
        head = bytes(await stream.receive_some()).partition(b"\r\n\r\n")[0].decode().lower()
    assert head.startswith("http/1.1 101 ")
    assert "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    assert "extensions" not in head
    assert "protocol:" not in head


async def test_a_request_must_be_complete_in_time(server: Server, autojump_clock: MockClock) -> None:
    """Then the stream ends without an answer; afterwards there is no time-out."""
    client = await connect(server)
    started = trio.current_time()
    assert await exchange(server, UPGRADE[:30]) == ""
    assert trio.current_time() - started == handshake.TIMEOUT
    await trio.sleep(3_600)
    await client.say(PING)
    assert await client.hear() == {"type": "pong"}


async def test_a_client_may_leave_during_the_handshake(server: Server) -> None:
    """At any point of it."""
    for sent in ("", UPGRADE[:30], UPGRADE):
        stream = server.open_stream()
        await stream.send_all(sent.encode())
        await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert server.engine.connections == ()


async def test_frames_behind_the_request_are_not_lost(server: Server, autojump_clock: MockClock) -> None:
    """A client need not wait for the answer."""
    peer = WSConnection(ConnectionType.CLIENT)
    peer.send(Request(host="x", target="/"))
    async with server.open_stream() as stream:
        await stream.send_all(UPGRADE.encode() + b"\x89\x81\0\0\0\0p")
        data = b""
        with trio.move_on_after(1):
            async for chunk in stream:
                data += chunk
    assert data.endswith(b"\x8a\x01p" * 2)


async def test_a_body_of_the_request_is_ignored(server: Server) -> None:
    """It is a request like any other."""
    request = UPGRADE.replace("Host: x", "Host: x\r\nContent-Length: 4").replace("GET / ", "GET /nothing ")
    assert (await exchange(server, f"{request}body")).startswith("HTTP/1.1 404 ")


async def test_a_websocket_ping_is_answered_twice(server: Server) -> None:
    """As the engine and its library do."""
    client = await connect(server)
    await client.stream.send_all(client.protocol.send(Ping(payload=b"p")))
    for _ in range(2):
        pong = await client.next()
        assert isinstance(pong, Pong)
        assert pong.payload == b"p"


async def test_a_close_is_not_echoed(server: Server) -> None:
    """Its answer is the end, which comes after the teardown."""
    client = await connect(server)
    await client.stream.send_all(client.protocol.send(CloseConnection(code=1000)))
    assert await client.next() is None
    assert server.engine.connections == ()


@pytest.mark.parametrize(
    "data", [pytest.param(b"\x81\x01x", id="protocol"), pytest.param(b"\x81\x81\0\0\0\0\xff", id="utf8")]
)
async def test_a_violation_drops_the_connection_without_a_close(server: Server, data: bytes) -> None:
    """The peer sees the bare end."""
    client = await connect(server)
    await client.stream.send_all(data)
    assert await client.next() is None
    assert client.protocol.state is ConnectionState.OPEN


async def test_an_evicted_connection_ends_without_a_close(server: Server) -> None:
    """Also while its writer is stuck."""
    client = await connect(server)
    (link,) = server.engine.connections
    link.send(b"x" * 2 * CAPACITY)
    await trio.testing.wait_all_tasks_blocked()
    successor = await connect(server)
    await successor.say(
        json.dumps({"type": "reattach", "previous_worker_id": link.id, "reattach_token": link.reattach_token}), PING
    )
    assert await successor.hear() == {"type": "pong"}
    with trio.fail_after(1):
        while await client.stream.receive_some():
            pass
    assert len(server.engine.connections) == 1


async def test_a_client_that_breaks_off_is_torn_down(server: Server) -> None:
    """Whether the engine reads or writes just then."""
    for size in (1, 2 * CAPACITY):
        client = await connect(server)
        (link,) = server.engine.connections
        link.send(b"x" * size)
        await trio.testing.wait_all_tasks_blocked()
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert server.engine.connections == ()


async def test_a_client_that_does_not_read_is_not_read(server: Server, autojump_clock: MockClock) -> None:
    """Its own answers stop it; when it reads again, none of them is missing."""
    client = await connect(server)
    sent = 0
    with trio.move_on_after(60):
        while True:
            await client.say(*[PING] * 1_000)
            sent += 1_000
    (link,) = server.engine.connections
    assert link.is_full
    assert len(link.outbox) < 100
    answers = 0
    with trio.move_on_after(60):
        while answers < sent:
            assert await client.hear() == {"type": "pong"}
            answers += 1
    assert answers >= sent


async def test_others_go_on_while_one_does_not_read(server: Server) -> None:
    """What is meant for it waits, and nobody else does."""
    await connect(server)
    (stuck,) = server.engine.connections
    other = await connect(server)
    for _ in range(1_000):
        stuck.send(b"x" * 10_000)
    await other.say(PING)
    assert await other.hear() == {"type": "pong"}
    assert len(stuck.outbox) > 64


async def test_a_name_conflict_closes_after_what_was_queued(server: Server, autojump_clock: MockClock) -> None:
    """The Close is empty, and the engine waits for the client to leave."""
    first, second = await connect(server), await connect(server)
    register = json.dumps(
        {
            "type": "invokefunction",
            "invocation_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "function_id": "engine::workers::register",
            "data": {"name": "n"},
        }
    )
    await first.say(register)
    await first.hear()
    await second.say(register)
    assert isinstance(rejected := await second.hear(), dict)
    assert rejected["code"] == "WORKER_NAMESPACE_CONFLICT"
    assert await second.next() == CloseConnection(code=1005, reason="")
    await trio.sleep(60)
    assert len(server.engine.connections) == 2
    await second.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert len(server.engine.connections) == 1


async def test_a_refused_login_opens_and_is_closed(server: Server) -> None:
    """It gets an error frame, and no id."""
    server.refusal = "wrong key"
    client = Client(server)
    await client.open()
    assert await client.hear() == {"type": "error", "error": {"code": "AUTH_ERROR", "message": "wrong key"}}
    assert await client.next() == CloseConnection(code=1005, reason="")
    assert await client.next() is None
    assert server.engine.connections == ()


async def test_the_grace_period_ends_by_itself(server: Server, autojump_clock: MockClock) -> None:
    """For each connection at its time."""
    first = await connect(server)
    await trio.sleep(3)
    second = await connect(server)
    one, other = server.engine.connections
    await trio.sleep(2.1)
    assert (one.namespace, other.namespace) == ("default", None)
    await trio.sleep(3)
    assert other.namespace == "default"
    for client in (first, second):
        await client.stream.aclose()


async def test_a_shutdown_drops_every_link() -> None:
    """Without a Close."""
    server = Server(Engine())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        client = await connect(server)
        nursery.cancel_scope.cancel()
    assert await client.next() is None
    assert server.engine.connections == ()
