"""One attempt to reach the engine: TCP, TLS, the WebSocket handshake. And what a failed one means."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import attrs
import trio

from iii_trio._link.transport import READ_AHEAD, ConnectFailed, OpenStream, Transport
from iii_trio._wire.urls import EngineUrl
from iii_trio.errors import AuthenticationError, ConfigurationError, HandshakeRefused, IIIError

KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""When TCP asks a silent peer, by the names that a platform may have: after so many seconds (two names for one thing), then
again after so many, and so many times. That is a minute until it counts as lost, as on the worker's connection."""


@attrs.frozen(kw_only=True)
class Target:
    """Where and how to connect."""

    url: EngineUrl
    transport: type[Transport]
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    ssl_context: ssl.SSLContext | None
    open_stream: OpenStream | None
    max_message_size: int
    timeout: float
    """Seconds for the stream and the handshake together."""

    read_ahead: int = READ_AHEAD
    """Messages that the transport may hold for a slow reader."""

    keepalive: bool = False
    """Whether TCP asks a silent peer, for a connection that nobody pings on (docs/engine.md, "Channels"). A stream of the
    user's is left as it is."""


async def connect(target: Target, nursery: trio.Nursery, on_pending: Callable[[], None]) -> Transport:
    """Open a stream and a WebSocket on it, whose task runs in `nursery`.

    Raises:
        ConnectFailed: It may work another time.
        AuthenticationError, HandshakeRefused: A server answered, and it was a no (`is_fatal`).
        ConfigurationError: The host is no host name, or `open_stream` opens no stream.
    """
    with trio.move_on_after(target.timeout):
        stream = await (_open_stream(target) if target.open_stream is None else _open_custom(target.open_stream))
        transport: Transport = await nursery.start(
            target.transport.serve,
            stream,
            target.url,
            target.headers,
            target.max_message_size,
            on_pending,
            target.read_ahead,
        )
        return transport
    raise ConnectFailed(f"no connection within {target.timeout:g} s")


async def _open_stream(target: Target) -> trio.abc.Stream:
    url = target.url
    try:
        stream = await trio.open_tcp_stream(url.host, url.port)
    except OSError as error:
        raise ConnectFailed(_words(error), refused=_is_refusal(error)) from error
    except UnicodeError as error:  # how IDNA says that a label is empty or too long
        raise ConfigurationError(f"the engine's URL names no possible host: {error}") from error
    if target.keepalive:
        _keep_alive(stream)
    if not url.tls:
        return stream
    try:
        secured = trio.SSLStream(
            stream, target.ssl_context or ssl.create_default_context(), server_hostname=url.host, https_compatible=True
        )
    except (ValueError, ssl.SSLError) as error:
        await trio.aclose_forcefully(stream)
        raise ConfigurationError(f"no TLS to {url.host} is possible with this ssl_context: {error}") from error
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, (trio.BrokenResourceError, ssl.SSLError)):
            raise ConnectFailed(f"the TLS handshake failed: {error.__cause__ or error}") from error
        raise
    return secured


def _keep_alive(stream: trio.SocketStream) -> None:
    with suppress(OSError):  # a socket that is lost already says so when it is used
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _open_custom(open_stream: OpenStream) -> trio.abc.Stream:
    try:
        stream = await open_stream()
    except Exception as error:  # a tunnel of the user's may fail in any way, and is tried again like any other
        raise ConnectFailed(f"open_stream failed: {error!r}", refused=_is_refusal(error)) from error
    if not isinstance(stream, trio.abc.Stream):
        raise ConfigurationError(f"open_stream must return a trio.abc.Stream, not {type(stream).__name__}")
    return stream


def _words(error: OSError) -> str:
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return "; ".join(sorted({str(each) for each in cause.exceptions}))
    return str(cause or error)


def _is_refusal(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_refusal(each) for each in error.exceptions)
    return isinstance(error, ConnectionRefusedError) or (error is not None and _is_refusal(error.__cause__))


def is_fatal(error: IIIError, *, first: bool) -> bool:
    """Whether trying again is of no use.

    Refused logins are, and what cannot work. Another 4xx is at the first connection, where it means a wrong URL; later it
    may be a proxy in front of an engine that restarts. All else may pass.
    """
    if isinstance(error, HandshakeRefused):
        return first and 400 <= error.status < 500
    return isinstance(error, (AuthenticationError, ConfigurationError))
