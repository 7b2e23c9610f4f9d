"""One HTTP request on its way through the engine: condition, middleware, handler, and who decides the response.

The handler is called while its response channel is listened to. What comes first counts: a return value, an error, or
the first bytes in the channel (docs/engine.md, "HTTP").
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final, TypeAlias

import attrs
import trio

from iii_trio._embedded import http_messages
from iii_trio._embedded.channel_ends import ReadEnd, WriteEnd
from iii_trio._embedded.channels import Channel, Direction
from iii_trio._embedded.core import Engine
from iii_trio._embedded.http_connection import HttpConnection
from iii_trio._embedded.http_messages import HttpRequest, Reply, StreamHead
from iii_trio._embedded.http_routes import Route
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

MAX_JSON: Final = 64 * 1024 * 1024
"""Bytes of a body that the handler gets as a whole."""

_SKIPPED: Final = http_messages.json_reply(
    422, {"error": {"code": "CONDITION_NOT_MET", "message": "Request condition not met"}, "skipped": True}
)

_Outcome: TypeAlias = tuple[Json, ErrorBody | None]


@attrs.frozen
class StreamedReply:
    """A response of which the body comes through a channel."""

    head: StreamHead
    first: bytes
    """What has come of it already."""
    rest: ReadEnd


@attrs.define(eq=False)
class Exchange:
    """What happens between a request and its response."""

    _engine: Engine
    _connection: HttpConnection
    _route: Route
    _request: HttpRequest
    _body: Channel = attrs.field(init=False)
    _response: Channel = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._engine.tick(trio.current_time())  # so that the channels live from now on
        self._body, self._response = self._engine.channels.create(), self._engine.channels.create()

    def listen(self) -> ReadEnd:
        """The end of the response channel that the engine reads."""
        return ReadEnd(self._engine.channels, self._take(self._response, "read"))

    def _take(self, channel: Channel, direction: Direction) -> Channel:
        taken = self._engine.channels.take(channel.id, channel.access_key, direction)
        assert taken is not None, "nobody else knows of it"
        return taken

    async def decide(self, response: ReadEnd, nursery: trio.Nursery) -> Reply | StreamedReply:
        """Find out what the response is. A task of `nursery` goes on with the request's body, and watches the client.

        Both channels are forgotten then: what was not opened by now cannot be opened any more.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        try:
            await self._connection.invite_body()
            writer = WriteEnd(self._engine.channels, self._take(self._body, "write"))
            body = None
            if self._request.is_json:
                with writer:
                    text = await self._read_whole()
                    if text is None:
                        return http_messages.error_reply(
                            413, "PAYLOAD_TOO_LARGE", f"a body of JSON has at most {MAX_JSON} bytes"
                        )
                    if text:
                        await writer.put(text)
                body = http_messages.read_json(text)
                nursery.start_soon(self._watch, nursery)
            else:
                nursery.start_soon(self._feed, writer, nursery)
            return await self._ask(body, response)
        finally:
            self._engine.channels.forget(self._body)
            self._engine.channels.forget(self._response)

    # ---- the client -------------------------------------------------------------------------------------------------

    async def _read_whole(self) -> bytes | None:
        """The body, or None if it is too long."""
        pieces = bytearray()
        while (piece := await self._connection.next_piece()) is not None:
            pieces += piece
            if len(pieces) > MAX_JSON:
                return None
        return bytes(pieces)

    async def _feed(self, writer: WriteEnd, nursery: trio.Nursery) -> None:
        """Move the body into its channel, as fast as that is read; what nobody will read is thrown away."""
        try:
            with writer:
                while (piece := await self._connection.next_piece()) is not None:
                    await writer.put(piece)
        except trio.BrokenResourceError:
            nursery.cancel_scope.cancel()
            return
        await self._watch(nursery)

    async def _watch(self, nursery: trio.Nursery) -> None:
        """End everything when the client leaves: there is nobody to answer."""
        with suppress(trio.BrokenResourceError):
            await self._connection.wait_gone()
        nursery.cancel_scope.cancel()

    # ---- the workers ------------------------------------------------------------------------------------------------

    async def _ask(self, body: Json, response: ReadEnd) -> Reply | StreamedReply:
        payload = http_messages.condition_input(self._route, self._request, body)
        condition = self._route.binding.condition
        if condition is not None:
            allowed, error = await self._call(condition, payload)
            if error is not None:
                return _failure(error)
            if allowed is False:
                return _SKIPPED
        for function_id in self._route.middleware:
            wanted, error = await self._call(function_id, http_messages.middleware_input(self._route, self._request))
            if error is not None:
                return _failure(error)
            reply = http_messages.middleware_reply(wanted)
            if reply is not None:
                return reply
        channels = {"request_body": self._body.ref("read"), "response": self._response.ref("write")}
        return await self._handle({**payload, **channels}, response)

    async def _call(self, function_id: str, data: Json) -> _Outcome:
        outcomes: list[_Outcome] = []
        done = trio.Event()

        def finish(value: Json, error: ErrorBody | None) -> None:
            outcomes.append((value, error))
            done.set()

        self._start(function_id, data, None, finish)
        await done.wait()
        return outcomes[0]

    def _start(self, function_id: str, data: Json, metadata: Json, finish: Any) -> None:
        self._engine.call(
            trio.current_time(),
            self._route.binding.namespace,
            function_id,
            data,
            metadata=metadata,
            trace=self._request.trace,
            finish=finish,
        )

    async def _handle(self, payload: dict[str, Any], response: ReadEnd) -> Reply | StreamedReply:
        """Call the handler, and take what comes first: its outcome, or the beginning of a stream."""
        outcomes: list[_Outcome] = []

        def finish(value: Json, error: ErrorBody | None) -> None:
            outcomes.append((value, error))
            response.wake()

        binding = self._route.binding
        self._start(binding.function_id, payload, binding.metadata, finish)
        head = StreamHead()
        while True:
            while not response.is_empty:
                message = await response.get()
                if not isinstance(message, str):
                    return StreamedReply(head, message or b"", response)
                head.apply(message)
            if outcomes:
                value, error = outcomes.pop()
                if error is not None:
                    return _failure(error)
                if value is not None and value is not ABSENT:
                    return http_messages.returned_reply(value)
                # A handler that returns nothing streams, or lets its client wait for the time-out.
            await response.wait()


def _failure(error: ErrorBody) -> Reply:
    return http_messages.failure_reply(error, secrets.token_hex(6))
