"""HTTP over channels: the request with its body as a stream, and an answer that is sent piece by piece.

An HTTP request comes as an invocation with two channels in its payload. What a handler returns is the answer, unless it has
begun to stream one (docs/engine.md, "HTTP").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Mapping
from typing import Any

import attrs

from iii_trio._channels.reader import ChannelReader
from iii_trio._channels.writer import ChannelWriter, WritableStream
from iii_trio._values.http import MAX_STATUS, HttpResponse
from iii_trio.errors import ChannelError, ConfigurationError

logger = logging.getLogger("iii_trio")


@attrs.frozen(kw_only=True)
class StreamRequest:
    """An HTTP request as the handler of an ``http`` trigger gets it, with its body as a stream.

    Source: the references' ``StreamRequest``.
    """

    path_params: dict[str, str]
    """What the ``:name`` segments of the path matched, as it was sent: not percent-decoded."""

    query_params: dict[str, str | list[str]]
    """The decoded parameters of the query."""

    body: Any
    """The decoded JSON body; None for any other content type, and for JSON that cannot be decoded."""

    headers: dict[str, str | list[str]]
    """Headers by their names in lower case."""

    method: str
    """Method of the request, upper case."""

    request_body: ChannelReader
    """The bytes of the body: JSON in one message, everything else as it arrives."""


@attrs.frozen(kw_only=True)
class InternalHttpRequest:
    """An HTTP request with both of its channels, for a handler that streams its answer too.

    Source: the references' ``InternalHttpRequest``.
    """

    path_params: dict[str, str]
    """As `StreamRequest.path_params`."""

    query_params: dict[str, str | list[str]]
    """As `StreamRequest.query_params`."""

    body: Any
    """As `StreamRequest.body`."""

    headers: dict[str, str | list[str]]
    """As `StreamRequest.headers`."""

    method: str
    """As `StreamRequest.method`."""

    request_body: ChannelReader
    """As `StreamRequest.request_body`."""

    response: ChannelWriter
    """Where the answer can be streamed to; `StreamResponse` knows how."""


class StreamResponse:
    """An answer that is sent piece by piece: ``StreamResponse(request.response)``.

    Status and headers go with the first bytes, or with the end when there are none. Until then the handler can still fail,
    and its client gets a 500, or return another answer. The handler's return ends the stream, if nobody did before.

    Source: the references' ``StreamResponse``.
    """

    def __init__(self, writer: ChannelWriter) -> None:
        self._writer = writer
        self._status_code = 200
        self._headers: dict[str, str] = {}
        self._is_begun = False

    @property
    def writer(self) -> ChannelWriter:
        """The channel. What is written to it directly does not know of the head."""
        return self._writer

    @property
    def stream(self) -> WritableStream:
        """The bytes of the body as a stream; likewise."""
        return self._writer.stream

    def status(self, status_code: int) -> None:
        """Set the HTTP status, which is 200 otherwise.

        Raises:
            ConfigurationError: It is not from 100 to 599, or the head has been sent.
        """
        code: Any = status_code
        if isinstance(code, bool) or not isinstance(code, int) or not 100 <= code <= MAX_STATUS:
            raise ConfigurationError(f"an HTTP status is a whole number from 100 to {MAX_STATUS}, not {code!r}")
        self._check()
        self._status_code = code

    def headers(self, headers: Mapping[str, str]) -> None:
        """Add headers; one that was there is replaced.

        Raises:
            ConfigurationError: A name or a value is no text, or the head has been sent.
        """
        if not all(isinstance(each, str) for pair in headers.items() for each in pair):
            raise ConfigurationError("the names and values of headers are text")
        self._check()
        self._headers.update(headers)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes of the body, and before the first of them the head. Raises as `ChannelWriter.write`.

        Cancelled, it may have sent the head and none of the bytes, which can be sent then.
        """
        await self._begin()
        await self._writer.write(data)

    async def aclose(self) -> None:
        """End the answer, and wait until the engine has it. Raises as `ChannelWriter.aclose`.

        Cancelled, it gives the answer up, which the client sees as its end.
        """
        await self._begin()
        await self._writer.aclose()

    async def _begin(self) -> None:
        if not self._is_begun:
            head = [{"type": "set_status", "status_code": self._status_code}]
            if self._headers:
                head.append({"type": "set_headers", "headers": self._headers})
            for message in head:
                await self._writer.send_message(json.dumps(message))
            self._is_begun = True

    def _check(self) -> None:
        if self._is_begun:
            raise ConfigurationError("status and headers of this answer have been sent")


def is_http(payload: Any) -> bool:
    """Whether a payload is an HTTP request."""
    return (
        type(payload) is dict
        and "request_body" in payload  # cheaper than to ask for a class of theirs
        and isinstance(payload["request_body"], ChannelReader)
        and isinstance(payload.get("response"), ChannelWriter)
    )


async def answer_http(payload: dict[str, Any], run: Awaitable[Any]) -> Any:
    """Run the handler of an HTTP request, and make sure that its client gets an answer; returns the result to send.

    A result of None asks the engine to wait for the channel. So one that nobody has written to gives an empty answer, and
    one that somebody has is ended.

    Raises:
        ConfigurationError: The handler has returned a dict with a status or headers that are none.
    """
    body: ChannelReader = payload["request_body"]
    response: ChannelWriter = payload["response"]
    if _has_body(payload):
        response.opens_first = body  # the engine forgets it as soon as the answer begins
    try:
        result = await run
        if response.is_started:
            await _end(response)
            return None
        _check_answer(result)
        return {} if result is None else result
    finally:
        response.abandon()
        body.abandon()


def _check_answer(result: Any) -> None:
    """Hold a dict to what is asked of an `HttpResponse`: the engine would send a 200, or leave the header out."""
    if type(result) is dict:
        headers = result.get("headers")
        # The engine takes a list of "Name: value" as well.
        named = {} if headers is None or isinstance(headers, list) else headers
        HttpResponse(status_code=result.get("status_code", 200), headers=named)


def _has_body(payload: Mapping[str, Any]) -> bool:
    headers = payload.get("headers")
    if not isinstance(headers, Mapping):
        return False
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def _end(response: ChannelWriter) -> None:
    try:
        await response.aclose()
    except ChannelError as error:
        logger.debug("an HTTP answer was not taken to its end: %s", error)
