"""Handlers of `iii.on.http` end to end: on the embedded engine, and on the one of III_TEST_HTTP_URL if that is set.

That one needs III_TEST_URL for its workers.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import pytest
import trio

from iii_trio import III, InitOptions, StreamRequest, StreamResponse, open_iii
from iii_trio._values.trigger_configs import RouteMethod
from iii_trio.errors import ChannelBroken, ConfigurationError
from iii_trio.http import HttpRequest, HttpResponse
from iii_trio.internal import InternalHttpRequest
from iii_trio.testing import open_engine
from tests._curl import ask, curl, needs_curl, start_curl
from tests._engines import within

pytestmark = [pytest.mark.engine, needs_curl]

ENGINES: Final = ["embedded", *(["real"] if os.environ.get("III_TEST_HTTP_URL") else [])]
MIB: Final = 1024 * 1024


@attrs.frozen
class Place:
    """A worker, and where its engine serves HTTP."""

    iii: III
    http_url: str

    async def serve(self, handler: Callable[..., Any], method: RouteMethod = "GET", **keywords: Any) -> str:
        """The URL of a handler."""
        name = f"t{uuid.uuid4().hex[:12]}"
        await self.iii.on.http(method, f"/{name}/:id", function_id=name, **keywords)(handler).wait_registered()
        return f"{self.http_url}/{name}/7"


@pytest.fixture(params=ENGINES)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """One on each engine."""
    options = InitOptions(drain_timeout=0)
    if request.param == "real":
        async with open_iii(os.environ["III_TEST_URL"], options) as iii:
            yield Place(iii, os.environ["III_TEST_HTTP_URL"])
        return
    async with open_engine(port=0, http_port=0) as engine, open_iii(engine.url, options) as iii:
        yield Place(iii, engine.http_url)


# ---- values ---------------------------------------------------------------------------------------------------------


@within(30)
async def test_a_request_is_a_value_and_so_is_the_answer(place: Place) -> None:
    """With parameters, headers and a decoded body in, and status, headers and a body out."""

    async def handle(request: HttpRequest) -> HttpResponse:
        told = {"id": request.path_params["id"], "q": request.query_params["q"], "own": request.headers["x-own"]}
        return HttpResponse(status_code=201, headers={"x-method": request.method}, body={**told, "body": request.body})

    url = await place.serve(handle, "POST")
    answer = await ask(f"{url}?q=a%20b", "--json", '{"n":1}', "-H", "x-own: yes")
    assert (answer.status, answer.headers["x-method"]) == (201, "post")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {"id": "7", "q": "a b", "own": "yes", "body": {"n": 1}}


@within(30)
async def test_a_dict_is_an_answer_too(place: Place) -> None:
    """By the same names; a sync handler may give it."""

    def handle(request: dict[str, Any]) -> dict[str, Any]:
        return {"status_code": 202, "headers": {"content-type": "text/plain"}, "body": request["method"]}

    answer = await ask(await place.serve(handle))
    assert (answer.status, answer.headers["content-type"], answer.body) == (202, "text/plain", b"GET")


@pytest.mark.parametrize(
    ("response", "body"),
    [
        pytest.param(HttpResponse(status_code=204), b"", id="a status that has no body"),
        pytest.param(HttpResponse(status_code=304), b"", id="another one"),
        pytest.param(HttpResponse(status_code=200, headers={"content-type": "text/plain"}), b"", id="none"),
        pytest.param(HttpResponse(status_code=200), b"null", id="null is JSON as well"),
        pytest.param(HttpResponse(status_code=200, body="x"), b'"x"', id="text as JSON"),
        pytest.param(HttpResponse(status_code=200, body="x", headers={"content-type": "text/html"}), b"x", id="text"),
    ],
)
@within(30)
async def test_what_becomes_of_a_body(place: Place, response: HttpResponse, body: bytes) -> None:
    """The content type decides, and the status."""
    answer = await ask(await place.serve(lambda: response))
    assert (answer.status, answer.body) == (response.status_code, body)


@within(20)
async def test_a_handler_that_returns_nothing_answers_at_once(place: Place) -> None:
    """An empty 200, and not the engine's 504 when its time is over."""

    async def handle(request: HttpRequest) -> None:
        await trio.lowlevel.checkpoint()

    answer = await ask(await place.serve(handle))
    assert (answer.status, json.loads(answer.body)) == (200, {})


@attrs.frozen
class Order:
    """A body."""

    count: int


@attrs.frozen
class OrderRequest:
    """What a handler wants of a request."""

    body: Order


@within(30)
async def test_a_request_that_does_not_fit_is_refused(place: Place) -> None:
    """A 500 that names the fault; the handler does not run."""

    counts: list[int] = []

    async def handle(request: OrderRequest) -> HttpResponse:
        counts.append(request.body.count)
        return HttpResponse(status_code=200)

    url = await place.serve(handle, "POST")
    assert (await ask(url, "--json", '{"count":2}')).status == 200
    answer = await ask(url, "--json", '{"count":"two"}')
    assert answer.status == 500
    assert json.loads(answer.body)["error"]["code"] == "invalid_input"
    assert "body.count" in json.loads(answer.body)["error"]["message"]
    assert counts == [2]


# ---- bad answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"status_code": 99}, "status_code must be at least 100", id="a status that is too small"),
        pytest.param({"status_code": 600}, "status_code must be at most 599", id="a status that is too large"),
        pytest.param({"status_code": "404"}, "status_code must be a whole number", id="a status that is text"),
        pytest.param({"status_code": 200, "headers": {"n": 1}}, "headers must map text to text", id="a number"),
    ],
)
@pytest.mark.parametrize("shape", ["value", "dict"])
@within(30)
async def test_an_answer_that_is_none(place: Place, shape: str, fields: dict[str, Any], reason: str) -> None:
    """Is a 500 that says why, where the engine would send a 200 or skip the header."""

    async def handle(request: HttpRequest) -> Any:
        if shape == "dict":
            return fields
        with pytest.raises(ConfigurationError, match=reason):
            HttpResponse(**fields)
        return HttpResponse(**fields)

    answer = await ask(await place.serve(handle))
    assert answer.status == 500
    assert reason in json.loads(answer.body)["error"]["message"]


# ---- streams --------------------------------------------------------------------------------------------------------


@within(30)
async def test_an_upload_is_read_as_a_stream(place: Place, tmp_path: Path) -> None:
    """In pieces, while the rest is still on its way."""

    async def handle(request: StreamRequest) -> HttpResponse:
        digest, pieces = hashlib.sha256(), 0
        async for chunk in request.request_body:
            digest.update(chunk)
            pieces += 1
        assert request.body is None
        return HttpResponse(status_code=200, body={"digest": digest.hexdigest(), "is_whole": pieces == 1})

    path = tmp_path / "upload"
    path.write_bytes(data := os.urandom(8 * MIB))
    url = await place.serve(handle, "PUT")
    printed = await curl("-H", "content-type: application/octet-stream", "-T", str(path), url)
    assert json.loads(printed) == {"digest": hashlib.sha256(data).hexdigest(), "is_whole": False}


@within(30)
async def test_json_is_there_decoded_and_as_bytes(place: Place) -> None:
    """For a signature over the bytes, say."""

    async def handle(request: StreamRequest) -> HttpResponse:
        raw = await request.request_body.read_all()
        return HttpResponse(status_code=200, body={"raw": raw.decode(), "decoded": request.body})

    answer = await ask(await place.serve(handle, "POST"), "--json", '{ "n": 1 }')
    assert json.loads(answer.body) == {"raw": '{ "n": 1 }', "decoded": {"n": 1}}


@within(30)
async def test_an_answer_is_streamed_while_the_request_is_read(place: Place) -> None:
    """With status and headers of its own."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        response.status(206)
        response.headers({"content-type": "text/plain", "x-id": request.path_params["id"]})
        async for chunk in request.request_body:
            await response.write(chunk.upper())

    url = await place.serve(handle, "POST")
    answer = await ask(url, "-H", "content-type: text/plain", "--data-binary", "x" * 100_000)
    assert (answer.status, answer.headers["content-type"], answer.headers["x-id"]) == (206, "text/plain", "7")
    assert answer.body == b"X" * 100_000


@within(30)
async def test_a_file_is_downloaded(place: Place, tmp_path: Path) -> None:
    """With its length, and without being held whole."""
    path = tmp_path / "report"
    path.write_bytes(data := os.urandom(8 * MIB))

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        response.headers({"content-type": "application/octet-stream", "content-length": str(path.stat().st_size)})
        async with await trio.open_file(path, "rb") as file:
            while piece := await file.read(65_536):
                await response.write(piece)

    answer = await ask(await place.serve(handle))
    assert (answer.status, answer.headers["content-length"]) == (200, str(8 * MIB))
    assert answer.body == data


@within(30)
async def test_events_arrive_one_by_one(place: Place) -> None:
    """Each is at the client before the next one is made."""
    go_on, wait = trio.open_memory_channel[int](0)

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        response.headers({"content-type": "text/event-stream"})
        async for number in wait:
            await response.write(f"data: {number}\n\n".encode())

    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, await place.serve(handle))
        for number in range(5):
            await go_on.send(number)
            event = b""
            while not event.endswith(b"\n\n"):
                event += await process.stdout.receive_some()
            assert event == f"data: {number}\n\n".encode()
        await go_on.aclose()
        assert await process.stdout.receive_some() == b""


@within(30)
async def test_an_answer_that_is_only_a_head(place: Place) -> None:
    """A redirect needs no body."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        response.status(303)
        response.headers({"location": "/elsewhere"})
        await response.aclose()

    answer = await ask(await place.serve(handle))
    assert (answer.status, answer.headers["location"], answer.body) == (303, "/elsewhere", b"")


@within(30)
async def test_a_body_is_there_after_the_answer_has_begun(place: Place) -> None:
    """The engine forgets what was not opened by then."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        await response.write(b"begun, ")
        size = len(await request.request_body.read_all())
        await response.write(f"{size} bytes".encode())

    url = await place.serve(handle, "POST")
    answer = await ask(url, "-H", "content-type: text/plain", "--data-binary", "x" * 100_000)
    assert answer.body == b"begun, 100000 bytes"


@within(30)
async def test_many_answers_are_streamed_at_once(place: Place) -> None:
    """Each client gets its own."""

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        for _ in range(10):
            await response.write(str(request.query_params["n"]).encode())

    url = await place.serve(handle)
    bodies: dict[int, bytes] = {}

    async def get(number: int) -> None:
        bodies[number] = (await ask(f"{url}?n={number}")).body

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(get, number)
    assert bodies == {number: str(number).encode() * 10 for number in range(20)}


@within(30)
async def test_a_client_that_does_not_read_stops_the_handler(place: Place) -> None:
    """Nothing of it is kept in memory, and nothing is lost."""
    written = 0

    async def handle(request: InternalHttpRequest) -> None:
        nonlocal written
        response = StreamResponse(request.response)
        for _ in range(64):
            await response.write(bytes(MIB))
            written += 1

    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, await place.serve(handle))
        got = len(await process.stdout.receive_some())
        before = -1
        while written != before:  # until it has stood still for a while
            before = written
            await trio.sleep(0.5)
        assert written < 48
        while data := await process.stdout.receive_some(MIB):
            got += len(data)
    assert (got, written) == (64 * MIB, 64)


# ---- what stands before a handler -----------------------------------------------------------------------------------


@within(30)
async def test_a_condition_and_middleware_decide_before_the_handler(place: Place) -> None:
    """One refuses with a 422, the other one with an answer of its own."""
    ran: list[str] = []
    names = {name: f"t{uuid.uuid4().hex[:12]}" for name in ("condition", "middleware")}

    async def condition(request: HttpRequest) -> bool:
        return request.headers.get("x-let") != "no"

    async def middleware(call: dict[str, Any]) -> dict[str, Any]:
        if "x-user" in call["request"]["headers"]:
            return {"action": "continue"}
        return {"action": "respond", "response": {"status_code": 401, "body": {"who": "are you"}}}

    async def handle(request: HttpRequest, metadata: dict[str, Any]) -> HttpResponse:
        ran.append(str(request.headers["x-user"]))
        return HttpResponse(status_code=200, body=metadata)

    await place.iii.register_function(names["condition"], condition).wait_registered()
    await place.iii.register_function(names["middleware"], middleware).wait_registered()
    url = await place.serve(
        handle,
        condition_function_id=names["condition"],
        middleware_function_ids=[names["middleware"]],
        trigger_metadata={"version": 1},
    )
    assert (await ask(url, "-H", "x-let: no")).status == 422
    refused = await ask(url)
    assert (refused.status, json.loads(refused.body)) == (401, {"who": "are you"})
    assert json.loads((await ask(url, "-H", "x-user: ada")).body) == {"version": 1}
    assert ran == ["ada"]


@within(30)
async def test_a_function_that_is_taken_back_takes_its_route_along(place: Place) -> None:
    """The next request is a 404."""
    name = f"t{uuid.uuid4().hex[:12]}"
    ref = place.iii.on.http("GET", f"/{name}", function_id=name)(lambda: {"body": 1})
    await ref.wait_registered()
    assert (await ask(f"{place.http_url}/{name}")).body == b"1"
    ref.unregister()
    await place.iii.trigger("engine::workers::list", {})  # is answered behind it
    assert (await ask(f"{place.http_url}/{name}")).status == 404


# ---- failures -------------------------------------------------------------------------------------------------------


@within(30)
async def test_a_handler_that_fails_before_the_head(place: Place) -> None:
    """Is a 500, though it had set another status."""

    async def handle(request: InternalHttpRequest) -> None:
        StreamResponse(request.response).status(201)
        raise ValueError("early")

    answer = await ask(await place.serve(handle))
    assert answer.status == 500
    assert "early" in json.loads(answer.body)["error"]["message"]


@within(30)
async def test_a_handler_that_fails_behind_the_head(place: Place) -> None:
    """Ends the body there, so that the client does not hang."""

    async def handle(request: InternalHttpRequest) -> None:
        await StreamResponse(request.response).write(b"half")
        await arrived.wait()
        raise ValueError("late")

    arrived = trio.Event()
    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, await place.serve(handle))
        assert await process.stdout.receive_some() == b"half"
        arrived.set()
        assert await process.stdout.receive_some() == b""
    assert place.iii.statistics().failed_handlers == 1


@within(30)
async def test_a_client_that_goes_away_with_half_its_upload_ends_it(place: Place) -> None:
    """The handler gets what came, and does not hang; the length that was promised tells."""
    seen: list[tuple[int, str]] = []
    has_begun, has_ended = trio.Event(), trio.Event()

    async def handle(request: StreamRequest) -> HttpResponse:
        size = 0
        async for chunk in request.request_body:
            size += len(chunk)
            has_begun.set()
        seen.append((size, str(request.headers["content-length"])))
        has_ended.set()
        return HttpResponse(status_code=200)

    address = urlsplit(await place.serve(handle, "POST"))
    assert address.hostname is not None
    stream = await trio.open_tcp_stream(address.hostname, address.port or 80)
    head = f"POST {address.path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n"
    await stream.send_all(head.encode() + b"half")
    await has_begun.wait()
    await trio.aclose_forcefully(stream)
    await has_ended.wait()
    assert seen == [(4, "100")]


@within(30)
async def test_a_client_that_goes_away_is_told_to_the_handler(place: Place) -> None:
    """Its writes fail, and the next client is served."""
    ends: list[str] = []
    has_ended = trio.Event()

    async def handle(request: InternalHttpRequest) -> None:
        response = StreamResponse(request.response)
        try:
            while True:
                await response.write(bytes(1_000))
                await trio.sleep(0.01)
        except ChannelBroken:
            ends.append("broken")
        finally:
            has_ended.set()

    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, await place.serve(handle))
        assert await process.stdout.receive_some()
        process.kill()
        await has_ended.wait()
    assert ends == ["broken"]
    assert (await ask(await place.serve(lambda: {"body": "next"}))).body == b'"next"'
