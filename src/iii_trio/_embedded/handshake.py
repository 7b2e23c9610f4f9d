"""The HTTP request that becomes a WebSocket, and the answers to one that does not (docs/wire.md, "Handshake").

There are no subprotocols and no extensions, so no compression either.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote

import attrs
import h11
import trio
from wsproto.utilities import generate_accept_token

from iii_trio._embedded.channels import Channels, Direction

TIMEOUT: Final = 10.0
"""Seconds from the connection to a complete request. After that the engine has no time-out of any kind."""

_CHUNK: Final = 65_536
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")


@attrs.frozen
class Refusal:
    """An answer other than an upgrade."""

    status: int
    reason: bytes
    text: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


@attrs.frozen
class ChannelEnd:
    """One end of a channel, as a client asks for it."""

    channel_id: str
    access_key: str = attrs.field(repr=False)
    direction: Direction


@attrs.frozen
class Accepted:
    """A stream that is a WebSocket now."""

    trailing: bytes
    """What the client sent behind its request."""
    end: ChannelEnd | None
    """What it is for; None for a worker."""


_NOT_HTTP: Final = Refusal(400, b"Bad Request")
_NO_CHANNEL: Final = Refusal(404, b"Not Found", "Channel not found", (_TEXT,))
_CHANNEL_PATH: Final = re.compile("/ws/channels/([^/]+)")
_NO_UPGRADE: Final = Refusal(
    426, b"Upgrade Required", "WebSocket request couldn't be upgraded since no upgrade state was present", (_TEXT,)
)


async def accept(stream: trio.abc.Stream, channels: Channels) -> Accepted | None:
    """Answer the request of a client; None if the stream is of no more use.

    Raises:
        trio.BrokenResourceError: The client is gone.
    """
    http = h11.Connection(h11.SERVER)
    with trio.move_on_after(TIMEOUT):
        try:
            request = await _read_request(http, stream)
        except h11.RemoteProtocolError:
            await _refuse(http, stream, _NOT_HTTP)
            return None
        if request is None:
            return None
        verdict = judge(request, channels)
        if isinstance(verdict, Refusal):
            await _refuse(http, stream, verdict)
            return None
        trailing, _ = http.trailing_data
        await stream.send_all(_upgrade(http, request))
        return Accepted(trailing, verdict)
    return None


async def _read_request(http: h11.Connection, stream: trio.abc.Stream) -> h11.Request | None:
    """The request with its end, or None if the client left."""
    request = None
    while True:
        event = http.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(_CHUNK)))
        elif isinstance(event, h11.ConnectionClosed):
            return None
        elif isinstance(event, h11.EndOfMessage):
            return request


def judge(request: h11.Request, channels: Channels) -> ChannelEnd | Refusal | None:
    """What an upgrade is for, or why a request is none, in the order in which the engine looks; None for a worker."""
    path, _, query = request.target.decode("ascii").partition("?")
    channel_path = _CHANNEL_PATH.fullmatch(path)
    if path != "/" and channel_path is None:
        return Refusal(404, b"Not Found")
    if request.method != b"GET":
        return Refusal(405, b"Method Not Allowed", headers=((b"allow", b"GET,HEAD"),))
    end = None
    if channel_path is not None:
        try:
            end = _read_end(unquote(channel_path[1]), query)
        except ValueError as error:
            return _bad(f"Failed to deserialize query string: {error}")
    refusal = _judge_headers(request)
    if refusal is None and end is not None and not channels.knows(end.channel_id, end.access_key):
        return _NO_CHANNEL
    return refusal or end


def _read_end(channel_id: str, query: str) -> ChannelEnd:
    """Raises `ValueError` in the engine's words."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in ("key", "dir"):
            continue
        if name in given:
            raise ValueError(f"duplicate field `{name}`")
        if name == "dir" and value not in ("read", "write"):
            raise ValueError(f"dir: unknown variant `{value}`, expected `read` or `write`")
        given[name] = value
    for name in ("key", "dir"):
        if name not in given:
            raise ValueError(f"missing field `{name}`")
    return ChannelEnd(channel_id, given["key"], "read" if given["dir"] == "read" else "write")


def _judge_headers(request: h11.Request) -> Refusal | None:
    headers = {name: value.lower() for name, value in request.headers}
    if b"upgrade" not in headers.get(b"connection", b""):
        return _bad("Connection header did not include 'upgrade'")
    if headers.get(b"upgrade") != b"websocket":
        return _bad("`Upgrade` header did not include 'websocket'")
    if headers.get(b"sec-websocket-version") != b"13":
        return _bad("`Sec-WebSocket-Version` header did not include '13'")
    if b"sec-websocket-key" not in headers:
        return _bad("`Sec-WebSocket-Key` header missing")
    if request.http_version != b"1.1":
        return _NO_UPGRADE
    return None


def _bad(text: str) -> Refusal:
    return Refusal(400, b"Bad Request", text, (_TEXT,))


def _upgrade(http: h11.Connection, request: h11.Request) -> bytes:
    key = dict(request.headers)[b"sec-websocket-key"]
    headers = [
        (b"connection", b"upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", generate_accept_token(key)),
    ]
    answer = http.send(h11.InformationalResponse(status_code=101, headers=headers, reason=b"Switching Protocols"))
    return answer or b""


async def _refuse(http: h11.Connection, stream: trio.abc.Stream, refusal: Refusal) -> None:
    body = refusal.text.encode()
    headers = [*refusal.headers, (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    answer = h11.Response(status_code=refusal.status, headers=headers, reason=refusal.reason)
    parts = [http.send(answer), http.send(h11.Data(data=body)), http.send(h11.EndOfMessage())]
    await stream.send_all(b"".join(part or b"" for part in parts))
