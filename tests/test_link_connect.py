"""One attempt to connect: which error means what."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio

from iii_trio import InitOptions
from iii_trio._link.choice import find_transport
from iii_trio._link.connect import KEEPALIVE, Target, connect, is_fatal
from iii_trio._link.transport import ConnectFailed, OpenStream
from iii_trio._wire.urls import parse_url
from iii_trio.errors import (
    AuthenticationError,
    ConfigurationError,
    EngineUnavailable,
    HandshakeRefused,
    IIIError,
    RegistrationRejectedError,
)
from tests._hostile import AnswersHttp, Engine, SpeaksSmtp, listen, unused_port


def target(url: str = "ws://engine.invalid", *, open_stream: OpenStream | None = None, **options: Any) -> Target:
    said: dict[str, Any] = {"headers": (), "ssl_context": None, "max_message_size": 1000, "timeout": 5}
    transport = find_transport("auto")
    return Target(url=parse_url(url), transport=transport, open_stream=open_stream, **(said | options))


def ignore() -> None:
    """The writer that a pending pong would wake."""


async def why_not(wanted: Target) -> Exception:
    """Fail to connect; returns the error."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            try:
                await connect(wanted, nursery, ignore)
            except (IIIError, ConnectFailed) as error:
                return error
    raise AssertionError("it connected")


@pytest.mark.parametrize(
    ("error", "first", "later"),
    [
        pytest.param(AuthenticationError("no", code="401"), True, True, id="login"),
        pytest.param(ConfigurationError("no"), True, True, id="mistake"),
        pytest.param(HandshakeRefused("no", status=400), True, False, id="400"),
        pytest.param(HandshakeRefused("no", status=404), True, False, id="404"),
        pytest.param(HandshakeRefused("no", status=499), True, False, id="499"),
        pytest.param(HandshakeRefused("no", status=302), False, False, id="302"),
        pytest.param(HandshakeRefused("no", status=500), False, False, id="500"),
        pytest.param(HandshakeRefused("no", status=503), False, False, id="503"),
        pytest.param(EngineUnavailable("OFFLINE", "no"), False, False, id="away"),
        pytest.param(RegistrationRejectedError("no", code="X"), False, False, id="not of a handshake"),
    ],
)
def test_is_fatal(error: IIIError, first: bool, later: bool) -> None:
    """What is of no use to try again, at the first connection and later."""
    assert is_fatal(error, first=True) is first
    assert is_fatal(error, first=False) is later


async def test_a_refused_port_is_told_from_others() -> None:
    """A host on which nobody listens is up: it may be asked often."""
    async with unused_port() as port:
        error = await why_not(target(f"ws://127.0.0.1:{port}"))
    assert isinstance(error, ConnectFailed)
    assert error.refused
    assert "refused" in str(error).lower()


async def test_a_refusal_by_every_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses refuses too, and both are named."""

    class TwoAddresses(trio.abc.HostnameResolver):
        async def getaddrinfo(self, host: Any, port: Any, *_: Any, **__: Any) -> Any:
            await trio.lowlevel.checkpoint()
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, ("127.0.0.1", int(port))), (*kind, ("127.0.0.2", int(port)))]

        async def getnameinfo(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

    trio.socket.set_custom_hostname_resolver(TwoAddresses())
    async with unused_port() as port:
        error = await why_not(target(f"ws://two.example:{port}"))
    assert isinstance(error, ConnectFailed)
    assert error.refused


async def test_a_name_that_nobody_knows() -> None:
    """A resolver's failure may pass, and is no refusal."""

    class KnowsNothing(trio.abc.HostnameResolver):
        async def getaddrinfo(self, *_: Any, **__: Any) -> Any:
            await trio.lowlevel.checkpoint()
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        async def getnameinfo(self, *_: Any, **__: Any) -> Any:
            raise AssertionError

    trio.socket.set_custom_hostname_resolver(KnowsNothing())
    error = await why_not(target("ws://nowhere.example"))
    assert isinstance(error, ConnectFailed)
    assert not error.refused
    assert "not known" in str(error)


@pytest.mark.parametrize(
    ("peer", "kind", "words"),
    [
        pytest.param(AnswersHttp(401), AuthenticationError, "401", id="401"),
        pytest.param(AnswersHttp(404), HandshakeRefused, "404", id="404"),
        pytest.param(AnswersHttp(503), HandshakeRefused, "503", id="503"),
        pytest.param(SpeaksSmtp(), ConnectFailed, "does not speak HTTP", id="no HTTP"),
    ],
)
async def test_a_failed_handshake(nursery: trio.Nursery, peer: Any, kind: type[Exception], words: str) -> None:
    """Over a socket as in memory: what the server said decides."""
    port = await listen(nursery, peer)
    error = await why_not(target(f"ws://127.0.0.1:{port}"))
    assert type(error) is kind
    assert words in str(error)


async def test_a_tls_context_that_cannot_work(nursery: trio.Nursery) -> None:
    """A server side's context is the caller's mistake, and the socket does not leak."""
    with trio.fail_after(5):
        port = await listen(nursery, SpeaksSmtp())
        wanted = target(f"wss://127.0.0.1:{port}", ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        assert isinstance(await why_not(wanted), ConfigurationError)


def test_secrets_do_not_show() -> None:
    """Headers and queries are in no repr."""
    shown = repr(target("ws://engine.invalid?token=s3cret", headers=(("Authorization", "Bearer s3cret"),)))
    assert "s3cret" not in shown


@pytest.mark.parametrize("keepalive", [False, True])
async def test_tcp_asks_a_silent_peer_where_nobody_else_does(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, keepalive: bool
) -> None:
    """Only there, since the worker's connection has its heartbeat; a minute of silence is the bound of both."""
    streams: list[trio.SocketStream] = []
    open_tcp_stream = trio.open_tcp_stream

    async def noted(host: str, port: int) -> trio.SocketStream:
        streams.append(await open_tcp_stream(host, port))
        return streams[-1]

    monkeypatch.setattr(trio, "open_tcp_stream", noted)
    with trio.fail_after(5):
        port = await listen(nursery, Engine())
        async with trio.open_nursery() as connection:
            await connect(target(f"ws://127.0.0.1:{port}", keepalive=keepalive), connection, ignore)
            (stream,) = streams
            assert bool(stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is keepalive
            for name, value in KEEPALIVE.items():
                if hasattr(socket, name):
                    said = stream.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
                    assert (said == value) is keepalive
            connection.cancel_scope.cancel()


def test_silence_is_bounded_alike() -> None:
    """As the documents have it; nobody gets it who does not ask."""
    idle, again, times = (KEEPALIVE[name] for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT"))
    assert KEEPALIVE["TCP_KEEPALIVE"] == idle
    assert idle + again * times == InitOptions().heartbeat_timeout
    told = (Path(__file__).parents[1] / "docs" / "channels.md").read_text("utf-8")
    assert (
        f"silent for {idle} seconds is asked three times, and after {idle + again * times} seconds it is lost" in told
    )
    assert times == 3
    assert target().keepalive is False
