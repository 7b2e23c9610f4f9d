"""From a request to what decides its response: conditions, middleware, return values, streams, and time."""

from __future__ import annotations

import json
from typing import Any

import h11
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._embedded import http_exchange
from tests._http_stage import Stage, staged
from tests.replay import NO_CLOSE, NO_CODE, Refused

SEQUENCE_END = ("close", (NO_CODE, ""))


async def test_a_handler_gets_the_request_and_makes_the_response(autojump_clock: MockClock) -> None:
    """With the binding's metadata, and the two channels."""
    async with staged() as stage:
        stage.bind("/a/:id", "POST")
        response = stage.ask("POST", "/a/7?q=1", {"content-type": "application/json"}, b'{"n":1}')
        call = await stage.call()
        data = call["data"]
        assert (call["function_id"], call["metadata"]) == ("f", "m")
        assert {name: data[name] for name in ("path", "path_params", "query_params", "method", "body")} == {
            "path": "/a/:id",
            "path_params": {"id": "7"},
            "query_params": {"q": "1"},
            "method": "POST",
            "body": {"n": 1},
        }
        assert (data["request_body"]["direction"], data["response"]["direction"]) == ("read", "write")
        body = await stage.open(data["request_body"])
        assert [await body.get(1), await body.get(1)] == [("binary", b'{"n":1}'), SEQUENCE_END]
        stage.answer(call, {"status_code": 201, "body": "made"})
        assert (await response.receive()).body == b'"made"'


async def test_the_clients_trace_is_the_parent_of_every_call(autojump_clock: MockClock) -> None:
    """As it came: the engine has no spans of its own."""
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": "k=v"}
    async with staged() as stage:
        stage.bind("/a", condition_function_id="c", middleware_function_ids=["m"])
        stage.ask("GET", "/a", trace)
        for function_id in ("c", "m", "f"):
            call = await stage.call()
            assert call["function_id"] == function_id
            assert {name: call[name] for name in trace} == trace
            stage.answer(call, None)


async def test_a_body_arrives_in_its_channel_while_it_is_sent(autojump_clock: MockClock) -> None:
    """Unless it is JSON. Its end is the end of the request."""
    async with staged() as stage:
        stage.bind("/a", "POST")
        client = stage.client()
        await client.begin("POST", "/a", {"transfer-encoding": "chunked"})
        call = await stage.call()
        assert call["data"]["body"] is None
        body = await stage.open(call["data"]["request_body"])
        for piece in (b"one", b"two"):
            await client.send(h11.Data(data=piece))
            assert await body.get(1) == ("binary", piece)
        await client.end()
        assert await body.get(1) == SEQUENCE_END
        stage.answer(call, {"body": 1})
        assert (await client.response()).body == b"1"


async def test_a_body_that_nobody_reads_stops_its_sender(autojump_clock: MockClock) -> None:
    """Until the response is decided; then it is thrown away."""
    async with staged() as stage:
        stage.bind("/a", "POST")
        client = stage.client()
        await client.begin("POST", "/a", {"transfer-encoding": "chunked"})
        call = await stage.call()
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(200):
                await client.send(h11.Data(data=b"x" * 65_536))
                sent += 1
            await client.end()

        stage.nursery.start_soon(send)
        await trio.sleep(5)
        assert 16 <= sent <= 64 + 16 + 2  # the channel holds as many pieces, however short, and the stream a MiB
        stage.answer(call, {"body": "enough"})
        assert (await client.response()).body == b'"enough"'


async def test_a_json_body_has_a_bound(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler never hears of a longer one."""
    monkeypatch.setattr(http_exchange, "MAX_JSON", 5)
    async with staged() as stage:
        stage.bind("/a", "POST")
        response = await stage.ask("POST", "/a", {"content-type": "application/json"}, b"123456").receive()
        assert (response.status, json.loads(response.body)["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
        stage.ask("POST", "/a", {"content-type": "application/json"}, b"12345")
        assert (await stage.call())["data"]["body"] == 12345


@pytest.mark.parametrize(
    ("result", "error", "status"),
    [
        pytest.param(None, None, 200, id="null-passes"),
        pytest.param(0, None, 200, id="only-false-does-not"),
        pytest.param(False, None, 422, id="false"),
        pytest.param(None, ("C", "why"), 500, id="error"),
    ],
)
async def test_a_condition_is_asked_first(
    result: Any, error: tuple[str, str] | None, status: int, autojump_clock: MockClock
) -> None:
    """It gets what the handler gets, without the channels."""
    async with staged() as stage:
        stage.bind("/a", condition_function_id="c")
        response = stage.ask("GET", "/a")
        call = await stage.call()
        assert call["function_id"] == "c"
        assert not {"request_body", "response"} & call["data"].keys()
        stage.answer(call, result, error)
        if status == 200:
            stage.answer(await stage.call(), {})
        assert (await response.receive()).status == status


async def test_middleware_is_asked_in_turn_until_one_answers(autojump_clock: MockClock) -> None:
    """Behind the condition; an error of one is the response."""
    async with staged() as stage:
        stage.bind("/a", condition_function_id="c", middleware_function_ids=["m1", "m2"])
        for last in ({"result": {"action": "respond", "response": {"status_code": 401}}}, {"error": ("E", "m")}):
            response = stage.ask("GET", "/a")
            for function_id in ("c", "m1", "m2"):
                call = await stage.call()
                assert call["function_id"] == function_id
                if function_id == "m2":
                    stage.answer(call, **last)
                else:
                    stage.answer(call, {"action": "continue"})
            assert (await response.receive()).status == (500 if "error" in last else 401)


async def test_an_error_has_the_handlers_code_and_an_id(autojump_clock: MockClock) -> None:
    """Also when its worker leaves, and when there is no such function."""
    async with staged() as stage:
        stage.bind("/a")
        response = stage.ask("GET", "/a")
        stage.answer(await stage.call(), error=("E_USER", "went wrong"))
        answered = await response.receive()
        error = json.loads(answered.body)["error"]
        assert (answered.status, error.pop("error_id") != "", error) == (
            500,
            True,
            {"code": "E_USER", "message": "went wrong"},
        )
        response = stage.ask("GET", "/a")
        await stage.call()
        stage.leave()
        assert json.loads((await response.receive()).body)["error"]["code"] == "invocation_stopped"


async def stream_call(stage: Stage) -> tuple[Any, Any, Any]:
    """A call, the response to come, and the channel for it."""
    response = stage.ask("GET", "/a")
    call = await stage.call()
    return call, response, await stage.open(call["data"]["response"])


async def test_the_first_bytes_begin_the_response(autojump_clock: MockClock) -> None:
    """With what the texts before them said; what the handler returns then does not count."""
    async with staged() as stage:
        stage.bind("/a")
        call, response, writer = await stream_call(stage)
        await writer.send('{"type":"set_status","status_code":206}', None)
        await writer.send('{"type":"set_headers","headers":{"content-type":"text/event-stream"}}', None)
        await writer.send(b"one ", None)
        await wait_all_tasks_blocked()
        stage.answer(call, error=("E", "too late"))
        await writer.send("between", None)
        await writer.send(b"two", None)
        await writer.close(1_000, "")
        answered = await response.receive()
        assert (answered.status, answered.body) == (206, b"one two")
        assert answered.headers["content-type"] == "text/event-stream"
        assert answered.headers["transfer-encoding"] == "chunked"


async def test_a_return_value_before_the_first_bytes_is_the_response(autojump_clock: MockClock) -> None:
    """And nobody reads the channel any more."""
    async with staged() as stage:
        stage.bind("/a")
        call, response, writer = await stream_call(stage)
        await writer.send('{"type":"set_status","status_code":206}', None)
        await wait_all_tasks_blocked()
        stage.answer(call, {"status_code": 201})
        assert (await response.receive()).status == 201
        await wait_all_tasks_blocked()
        await writer.send(b"too late", None)
        assert await writer.get(1) == ("close", (NO_CLOSE, ""))


async def test_a_channel_that_closes_without_bytes_is_a_response_without_a_body(autojump_clock: MockClock) -> None:
    """Also when the handler has returned nothing before."""
    async with staged() as stage:
        stage.bind("/a")
        call, response, writer = await stream_call(stage)
        stage.answer(call, None)
        await wait_all_tasks_blocked()
        await writer.send('{"type":"set_status","status_code":404}', None)
        await writer.close(1_000, "")
        answered = await response.receive()
        assert (answered.status, answered.body) == (404, b"")


async def test_nothing_at_all_is_a_504_after_the_time_out(autojump_clock: MockClock) -> None:
    """With an empty body, and nothing that a browser may read; it does not matter what the handler waits for."""
    async with staged() as stage:
        stage.bind("/a")
        for result in (None, ...):
            started = trio.current_time()
            response = stage.ask("GET", "/a")
            call = await stage.call()
            if result is None:
                stage.answer(call, None)
            answered = await response.receive()
            assert (answered.status, answered.body) == (504, b"")
            assert "access-control-allow-origin" not in answered.headers
            assert trio.current_time() - started == 30
            with pytest.raises(Refused):
                await stage.open(call["data"]["response"])


async def test_half_a_json_body_is_a_504_too(autojump_clock: MockClock) -> None:
    """The handler is not called for it."""
    async with staged(2.5) as stage:
        stage.bind("/a", "POST")
        client = stage.client()
        await client.begin("POST", "/a", {"content-type": "application/json", "content-length": "9"})
        assert (await client.response()).status == 504
        assert trio.current_time() == 2.5


async def test_a_stream_may_take_longer_than_the_time_out(autojump_clock: MockClock) -> None:
    """That is for its head."""
    async with staged() as stage:
        stage.bind("/a")
        _, response, writer = await stream_call(stage)
        for _ in range(3):
            await writer.send(b".", None)
            await trio.sleep(29)
        await writer.close(1_000, "")
        assert (await response.receive()).body == b"..."


async def test_what_was_not_opened_before_the_response_is_gone(autojump_clock: MockClock) -> None:
    """Both channels are forgotten, and who has opened an end goes on."""
    async with staged() as stage:
        stage.bind("/a", "POST")
        client = stage.client()
        await client.begin("POST", "/a", {"transfer-encoding": "chunked"})
        data = (await stage.call())["data"]
        body, writer = await stage.open(data["request_body"]), await stage.open(data["response"])
        await writer.send(b"begins ", None)
        assert (await client.head()).status_code == 200
        for ref in (data["request_body"], data["response"]):
            with pytest.raises(Refused):
                await stage.open(ref)
        await client.send(h11.Data(data=b"and goes on"))
        await client.end()
        assert await body.get(1) == ("binary", b"and goes on")
        await writer.send(b"and goes on", None)
        await writer.close(1_000, "")
        assert b"".join([piece async for piece in client.body()]) == b"begins and goes on"


async def test_a_client_that_goes_away_ends_its_exchange(autojump_clock: MockClock) -> None:
    """Before the response, and in the middle of it: the writer is dropped at its next message."""
    async with staged() as stage:
        stage.bind("/a")
        for has_begun in (False, True):
            client = stage.client()
            await client.begin("GET", "/a")
            await client.end()
            call = await stage.call()
            writer = await stage.open(call["data"]["response"])
            if has_begun:
                await writer.send(b"begins", None)
                assert (await client.head()).status_code == 200
            await client.stream.aclose()
            await wait_all_tasks_blocked()
            await writer.send(b"nobody reads it", None)
            assert await writer.get(1) == ("close", (NO_CLOSE, ""))
            stage.answer(call, {"nobody": "hears it"})


async def test_a_client_that_goes_away_in_its_body_ends_the_body(autojump_clock: MockClock) -> None:
    """Cleanly: the engine has no word for a body that was cut off."""
    async with staged() as stage:
        stage.bind("/a", "POST")
        client = stage.client()
        await client.begin("POST", "/a", {"content-length": "9"})
        await client.send(h11.Data(data=b"half"))
        body = await stage.open((await stage.call())["data"]["request_body"])
        await client.stream.aclose()
        assert [await body.get(1), await body.get(1)] == [("binary", b"half"), SEQUENCE_END]


async def test_a_client_that_does_not_read_stops_the_writer(autojump_clock: MockClock) -> None:
    """Through the channel, up to the worker's socket."""
    async with staged() as stage:
        stage.bind("/a")
        client = stage.client()
        await client.begin("GET", "/a")
        await client.end()
        writer = await stage.open((await stage.call())["data"]["response"])
        count = await writer.flood(b"x" * 65_536, 1_000, 5.0, stage.nursery)
        assert count <= 64 + 2 * 16 + 8  # the channel, both streams, and what is on its way between them
