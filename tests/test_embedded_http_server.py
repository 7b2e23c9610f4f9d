"""What is answered without a handler, and what every response has."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tests._http_stage import staged

VARY = "origin, access-control-request-method, access-control-request-headers"


async def test_an_unknown_path_is_a_404(autojump_clock: MockClock) -> None:
    """In the engine's envelope; HEAD gets its headers only."""
    async with staged() as stage:
        for method in ("GET", "HEAD", "BREW"):
            response = await stage.client().request(method, "/nothing")
            assert (response.status, response.headers["content-type"]) == (404, "application/json")
            envelope = b'{"error":{"code":"NOT_FOUND","message":"Not Found"}}'
            assert response.body == (b"" if method == "HEAD" else envelope)


async def test_another_method_is_a_405(autojump_clock: MockClock) -> None:
    """Which says what there is."""
    async with staged() as stage:
        stage.bind("/a")
        stage.bind("/a", "POST")
        response = await stage.client().request("PUT", "/a")
        assert (response.status, response.body, response.headers["allow"]) == (405, b"", "GET,HEAD,POST")


async def test_options_are_answered_for_every_path(autojump_clock: MockClock) -> None:
    """As a browser asks before it asks; a binding to the method is never reached."""
    async with staged() as stage:
        stage.bind("/a", "OPTIONS")
        for path in ("/a", "/nothing"):
            response = await stage.client().request("OPTIONS", path)
            headers = {name: value for name, value in response.headers.items() if name.startswith("access")}
            assert (response.status, response.body) == (200, b"")
            assert headers == {f"access-control-allow-{name}": "*" for name in ("origin", "methods", "headers")}
            assert response.headers.get("allow") == ("OPTIONS" if path == "/a" else None)


async def test_every_response_may_be_read_from_anywhere(autojump_clock: MockClock) -> None:
    """Whatever the handler says of that; its `vary` stays beside the engine's."""
    async with staged() as stage:
        stage.bind("/a")
        response = stage.ask("GET", "/a")
        own = {"access-control-allow-origin": "me", "x-own": "1"}
        stage.answer(await stage.call(), {"headers": own})
        headers = (await response.receive()).headers
        assert headers["access-control-allow-origin"] == headers["access-control-expose-headers"] == "*"
        assert (headers["vary"], headers["x-own"]) == (VARY, "1")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_status_that_ends_nothing_is_a_bare_500(streamed: bool, autojump_clock: MockClock) -> None:
    """As with the real engine."""
    async with staged() as stage:
        stage.bind("/a")
        response = stage.ask("GET", "/a")
        call = await stage.call()
        if streamed:
            writer = await stage.open(call["data"]["response"])
            await writer.send('{"type":"set_status","status_code":150}', None)
            await writer.send(b"x", None)
        else:
            stage.answer(call, {"status_code": 150})
        answered = await response.receive()
        assert (answered.status, answered.body) == (500, b"")


async def test_a_connection_is_kept_for_the_next_request(autojump_clock: MockClock) -> None:
    """Behind every kind of answer."""
    async with staged(5.0) as stage:
        stage.bind("/a")
        client = stage.client()

        async def play() -> None:
            stage.answer(await stage.call(), {"body": 1})
            writer = await stage.open((await stage.call())["data"]["response"])
            await writer.send(b"2", None)
            await writer.close(1_000, "")

        stage.nursery.start_soon(play)
        bodies = [(await client.request("GET", "/a")).body for _ in range(3)]
        assert bodies == [b"1", b"2", b""]  # the last one is a 504
        assert (await client.request("GET", "/nothing")).status == 404
        assert (await client.request("OPTIONS", "/a")).status == 200


async def test_a_request_that_comes_early_waits_for_its_turn(autojump_clock: MockClock) -> None:
    """While a handler runs; responses come in the order of requests."""
    async with staged() as stage:
        stage.bind("/a")
        stream = stage.server.open_http_stream()
        await stream.send_all(b"GET /a?n=1 HTTP/1.1\r\nhost: x\r\n\r\n")
        first = await stage.call()
        await stream.send_all(b"GET /a?n=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await wait_all_tasks_blocked()
        stage.answer(first, {"body": "first"})
        second = await stage.call()
        assert second["data"]["query_params"] == {"n": "2"}
        stage.answer(second, {"body": "second"})
        answers = b"".join([bytes(chunk) async for chunk in stream])
        assert answers.index(b'"first"') < answers.index(b'"second"')


async def test_a_body_that_nobody_wants_does_not_end_the_connection(autojump_clock: MockClock) -> None:
    """If it is there as a whole."""
    async with staged() as stage:
        client = stage.client()
        for _ in range(2):
            assert (await client.request("POST", "/nothing", body=b"x" * 1_000)).status == 404


async def test_a_restart_ends_http_connections_and_forgets_routes(autojump_clock: MockClock) -> None:
    """As a new process would."""
    async with staged() as stage:
        stage.bind("/a")
        client = stage.client()
        await client.begin("GET", "/a")
        await client.end()
        await stage.call()
        stage.server.restart()
        assert await client.stream.receive_some() == b""
        assert (await stage.client().request("GET", "/a")).status == 404


async def test_nothing_is_left_of_an_exchange(autojump_clock: MockClock) -> None:
    """Neither channels nor tasks."""
    async with staged() as stage:
        stage.bind("/a")
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        client = stage.client()
        response = stage.ask("GET", "/a")
        call = await stage.call()
        refs = [call["data"][name] for name in ("request_body", "response")]
        assert all(stage.server.engine.channels.knows(ref["channel_id"], ref["access_key"]) for ref in refs)
        stage.answer(call, {})
        await response.receive()
        await client.stream.aclose()
        await trio.sleep(100)  # connections that are not used are dropped
        assert not any(stage.server.engine.channels.knows(ref["channel_id"], ref["access_key"]) for ref in refs)
        assert trio.lowlevel.current_statistics().tasks_living == before
