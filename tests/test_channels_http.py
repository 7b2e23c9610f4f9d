"""HTTP over channels, with a test in the place of the engine: what is in the answer's channel, and what is returned."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio import III, StreamRequest, StreamResponse
from iii_trio.channel import Channel
from iii_trio.errors import ChannelClosed, ChannelNotFound, ConfigurationError, InvocationError
from iii_trio.internal import InternalHttpRequest
from tests.conftest import MemoryLink


@attrs.define
class Exchange:
    """What became of a request."""

    result: Any = None
    error: InvocationError | None = None
    said: list[Any] = attrs.field(factory=list)
    """Text as JSON, and bytes, in the channel of the answer; None stands for its end."""


async def ask(
    iii: III,
    handler: Callable[..., Awaitable[Any]],
    body: bytes = b"",
    before_body: Callable[[], Awaitable[None]] | None = None,
) -> Exchange:
    """Call a handler as the engine does for an HTTP request."""
    function = iii.register_function("http", handler)
    await function.wait_registered()
    upload, answer = await iii.create_channel(), await iii.create_channel()
    exchange = Exchange()
    payload = {
        "method": "POST",
        "path_params": {"id": "7"},
        "query_params": {},
        "headers": {"content-length": str(len(body))},
        "body": None,
        "trigger": {"type": "http", "path": "/x", "method": "POST"},
        "request_body": upload.reader_ref,
        "response": answer.writer_ref,
    }

    async def send() -> None:
        async with upload.writer as writer:
            if before_body is not None:
                await before_body()
            await writer.write(body)

    async def listen(channel: Channel, scope: trio.CancelScope) -> None:
        channel.reader.on_message(lambda text: exchange.said.append(json.loads(text)))
        with scope:
            async for chunk in channel.reader:
                exchange.said.append(chunk)
            exchange.said.append(None)

    async with trio.open_nursery() as nursery:
        listening = trio.CancelScope()
        nursery.start_soon(send)
        nursery.start_soon(listen, answer, listening)
        try:
            exchange.result = await iii.trigger("http", payload)
        except InvocationError as error:
            exchange.error = error
        await trio.sleep(5)
        listening.cancel()
        nursery.cancel_scope.cancel()
    function.unregister()
    return exchange


async def test_a_body_is_a_stream(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And what is returned is the answer; the channel for it is left alone."""

    async def handle(request: StreamRequest) -> dict[str, Any]:
        assert (request.method, request.path_params) == ("POST", {"id": "7"})
        size = 0
        async for chunk in request.request_body:
            size += len(chunk)
        return {"status_code": 201, "body": size}

    async with link.client() as iii:
        exchange = await ask(iii, handle, b"x" * 200_000)
    assert exchange == Exchange({"status_code": 201, "body": 200_000})


async def test_an_answer_is_streamed(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Status and headers first, then the bytes; the handler's return ends it, and what it returns counts no more."""

    async def handle(request: InternalHttpRequest) -> Any:
        response = StreamResponse(request.response)
        response.status(206)
        response.headers({"content-type": "text/event-stream"})
        response.headers({"x": "y"})
        async for chunk in request.request_body:
            await response.write(chunk.upper())
        return {"body": "too late"}

    async with link.client() as iii:
        exchange = await ask(iii, handle, b"body")
    assert exchange.result is None
    assert exchange.said == [
        {"type": "set_status", "status_code": 206},
        {"type": "set_headers", "headers": {"content-type": "text/event-stream", "x": "y"}},
        b"BODY",
        None,
    ]


async def test_an_answer_without_a_body(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Has its head, and an end."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        response.status(204)
        await response.aclose()
        await response.aclose()

    async with link.client() as iii:
        exchange = await ask(iii, handle)
    assert exchange.said == [{"type": "set_status", "status_code": 204}, None]


async def test_the_view_of_an_answer(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Writer and stream are those of the channel."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        assert response.writer is request.response
        assert response.stream is request.response.stream
        await response.write(b"a")
        await response.stream.send_all(b"b")

    async with link.client() as iii:
        exchange = await ask(iii, handle)
    assert exchange.said == [{"type": "set_status", "status_code": 200}, b"a", b"b", None]


async def test_a_handler_that_returns_nothing_answers(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Null would let the client wait for the 504."""

    async def handle(request: Any) -> None:
        await trio.lowlevel.checkpoint()

    async with link.client() as iii:
        assert await ask(iii, handle) == Exchange({})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({"status_code": 99}, "at least 100", id="a status that is too small"),
        pytest.param({"status_code": 600}, "at most 599", id="a status that is too large"),
        pytest.param({"status_code": None}, "must be a whole number", id="a status that is none"),
        pytest.param({"headers": {"x": 1}}, "must map text to text", id="a header that is a number"),
        pytest.param({"headers": "x: y"}, "must be a dict", id="headers as text"),
    ],
)
async def test_a_dict_that_is_no_answer(
    link: MemoryLink, autojump_clock: MockClock, answer: dict[str, Any], reason: str
) -> None:
    """Fails its handler, where the engine would send something else and tell nobody."""

    async def handle(request: Any) -> dict[str, Any]:
        return answer

    async with link.client() as iii:
        exchange = await ask(iii, handle)
        assert exchange.error is not None
        assert reason in str(exchange.error)
        assert iii.statistics().failed_handlers == 1


@pytest.mark.parametrize("headers", [None, {}, {"x": "y"}, ["x: y"]])
async def test_headers_that_the_engine_takes(link: MemoryLink, autojump_clock: MockClock, headers: Any) -> None:
    """Are left as they are."""

    async def handle(request: Any) -> dict[str, Any]:
        return {"headers": headers}

    async with link.client() as iii:
        assert await ask(iii, handle) == Exchange({"headers": headers})


async def test_a_handler_that_fails_before_the_head(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is an error, which the engine makes a 500 of, though status and headers were set."""

    async def handle(request: InternalHttpRequest) -> None:
        StreamResponse(request.response).status(201)
        raise ValueError("early")

    async with link.client() as iii:
        exchange = await ask(iii, handle)
    assert exchange.error is not None
    assert "early" in str(exchange.error)
    assert exchange.said == []


async def test_a_handler_that_fails_behind_the_head(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The stream ends there, so that its client does not hang."""

    async def handle(request: InternalHttpRequest) -> None:
        await StreamResponse(request.response).write(b"half")
        await wait_all_tasks_blocked()
        raise ValueError("late")

    async with link.client() as iii:
        exchange = await ask(iii, handle)
    assert exchange.error is not None
    assert exchange.said == [{"type": "set_status", "status_code": 200}, b"half", None]


async def test_the_body_is_opened_before_the_answer(link: MemoryLink, autojump_clock: MockClock) -> None:
    """The engine forgets it when the answer begins: a body that was read afterwards would be gone."""
    taken: list[bool] = []

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        assert not request.request_body.is_started
        await response.write(b"going")
        taken.append(request.request_body.is_started)

    async with link.client() as iii:
        await ask(iii, handle, b"body")
        await ask(iii, handle, b"")  # there is none to be opened
    assert taken == [True, False]


async def test_what_a_handler_opened_ends_with_it(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Nobody else could close it."""
    kept: list[Any] = []

    async def handle(request: InternalHttpRequest) -> dict[str, Any]:
        kept.append(request)
        await request.request_body.open()
        return {"body": 1}

    async with link.client() as iii:
        await ask(iii, handle, b"body")
        with pytest.raises(ChannelClosed):
            await kept[0].request_body.receive()
        with pytest.raises((ChannelClosed, ChannelNotFound)):
            await kept[0].request_body.open()


@pytest.mark.parametrize("status", [99, 600, "200", True, 200.0])
async def test_a_status_that_is_none(link: MemoryLink, status: Any) -> None:
    """The engine would ignore it."""
    async with link.client() as iii:
        response = StreamResponse((await iii.create_channel()).writer)
        with pytest.raises(ConfigurationError, match="from 100 to 599"):
            response.status(status)


async def test_headers_are_text_and_come_first(link: MemoryLink) -> None:
    """And so does the status."""
    async with link.client() as iii:
        channel = await iii.create_channel()
        response = StreamResponse(channel.writer)
        with pytest.raises(ConfigurationError, match="text"):
            response.headers({"x": 1})  # type: ignore[dict-item]
        await response.write(b"x")
        with pytest.raises(ConfigurationError, match="have been sent"):
            response.headers({"x": "y"})
        with pytest.raises(ConfigurationError, match="have been sent"):
            response.status(200)
        await channel.reader.aclose()


async def test_a_client_that_goes_away(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Is not the handler's fault, once that has returned."""

    async def handle(request: InternalHttpRequest) -> None:
        await StreamResponse(request.response).write(b"x")

    async with link.client() as iii:
        function = iii.register_function("gone", handle)
        await function.wait_registered()
        upload, answer = await iii.create_channel(), await iii.create_channel(1)
        await answer.reader.open()
        await answer.reader.aclose()
        fields: dict[str, Any] = {"method": "GET", "path_params": {}, "query_params": {}, "headers": {}, "body": None}
        payload = {**fields, "request_body": upload.reader_ref, "response": answer.writer_ref}
        assert await iii.trigger("gone", payload) is None
        assert iii.statistics().failed_handlers == 0
