"""HTTP for the bindings of type `http`: connections become exchanges, and replies become responses.

Every response may be read from any origin, and every OPTIONS request is answered as a question for that, as the real
engine does it when nothing else is configured (docs/engine.md, "HTTP").
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import attrs
import trio

from iii_trio._embedded import http_messages
from iii_trio._embedded.channels import Message
from iii_trio._embedded.core import Engine
from iii_trio._embedded.http_connection import HttpConnection
from iii_trio._embedded.http_exchange import Exchange, StreamedReply
from iii_trio._embedded.http_messages import Headers, HttpRequest, Reply
from iii_trio._embedded.http_routes import Route

DEFAULT_TIMEOUT: Final = 30.0
"""Seconds from a request to the head of its response."""

_FIRST_FINAL: Final = 200
"""The least status that can end a request; a handler that asks for a lower one gets a bare 500."""

_ANYBODY: Final = ("access-control-allow-origin", "*")
_VARY: Final = ("vary", "origin, access-control-request-method, access-control-request-headers")
_ANSWER: Final[Headers] = (_VARY, _ANYBODY, ("access-control-expose-headers", "*"))
_PREFLIGHT: Final[Headers] = (
    _VARY,
    ("access-control-allow-methods", "*"),
    ("access-control-allow-headers", "*"),
    _ANYBODY,
)
_NOT_FOUND: Final = http_messages.error_reply(404, "NOT_FOUND", "Not Found")


@attrs.frozen
class HttpServer:
    """Serves what is bound in an engine to streams."""

    engine: Engine
    timeout: float = DEFAULT_TIMEOUT

    async def serve(self, stream: trio.abc.Stream) -> None:
        """The life of one connection; its stream is closed by the caller.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        connection = HttpConnection(stream)
        while (request := await connection.next_request()) is not None:
            await self._answer(connection, request)
            if not await connection.next_cycle():
                return

    async def _answer(self, connection: HttpConnection, request: HttpRequest) -> None:
        found = self.engine.routes.find(request.method, request.path)
        if request.method == "OPTIONS":
            allow = self.engine.routes.allowed(request.path)
            await connection.respond(200, _encode((*_PREFLIGHT, *_allow(allow))), b"")
        elif isinstance(found, Route):
            await self._exchange(connection, Exchange(self.engine, connection, found, request))
        elif found.allow:
            await connection.respond(405, _encode((*_ANSWER, *_allow(found.allow))), b"")
        else:
            await _send_reply(connection, _NOT_FOUND)

    async def _exchange(self, connection: HttpConnection, exchange: Exchange) -> None:
        is_answered = False
        async with trio.open_nursery() as nursery:
            with exchange.listen() as response, suppress(trio.BrokenResourceError):
                reply = None
                with trio.move_on_after(self.timeout):
                    reply = await exchange.decide(response, nursery)
                if reply is None:
                    await connection.respond(504, (), b"")
                elif isinstance(reply, Reply):
                    await _send_reply(connection, reply)
                else:
                    await _send_stream(connection, reply)
                is_answered = True
            nursery.cancel_scope.cancel()
        if not is_answered:
            raise trio.BrokenResourceError("the client is gone")


async def _send_reply(connection: HttpConnection, reply: Reply) -> None:
    if reply.status < _FIRST_FINAL:
        await connection.respond(500, (), b"")
    else:
        await connection.respond(reply.status, _encode(_with_answer(reply.headers)), reply.body)


async def _send_stream(connection: HttpConnection, reply: StreamedReply) -> None:
    if reply.head.status < _FIRST_FINAL:
        await connection.respond(500, (), b"")
        return
    await connection.begin(reply.head.status, _encode(_with_answer(reply.head.headers)))
    message: Message | None = reply.first
    while message is not None:
        if isinstance(message, bytes):
            await connection.send_piece(message)
        message = await reply.rest.get()
    await connection.end()


def _allow(methods: tuple[str, ...]) -> Headers:
    return (("allow", ",".join(methods)),) if methods else ()


def _with_answer(headers: Headers) -> Headers:
    ours = {name for name, _ in _ANSWER} - {"vary"}
    return (*((name, value) for name, value in headers if name not in ours), *_ANSWER)


def _encode(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]
