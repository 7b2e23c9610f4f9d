"""Requests to payloads, and return values to responses, to the letter of the real engine."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._embedded import http_messages as messages
from iii_trio._embedded.http_messages import HttpRequest, Reply, StreamHead
from iii_trio._embedded.http_routes import Route, Routes
from iii_trio._embedded.triggers import Binding

JSON = ("content-type", "application/json")


def head(target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET") -> HttpRequest:
    """As it came."""
    return messages.read_head(method, target, headers)


def route(path: str) -> Route:
    """To a function."""
    routes = Routes()
    routes.accept(Binding(id="1", trigger_type="http", function_id="f", config={"api_path": path}))
    found = routes.find("GET", path.replace(":", ""))
    assert isinstance(found, Route)
    return found


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param(b"/a%20b?x=1?2", "/a%20b", "x=1?2", id="path"),
        pytest.param(b"http://host:1/a?q=http://x/y", "/a", "q=http://x/y", id="absolute"),
        pytest.param(b"http://host", "", "", id="host-only"),
        pytest.param(b"/a?u=http://x/", "/a", "u=http://x/", id="url-inside"),
        pytest.param(b"*", "*", "", id="star"),
        pytest.param(b"host:1", "host:1", "", id="authority"),
    ],
)
def test_the_path_is_what_was_sent(target: bytes, path: str, query: str) -> None:
    """Not decoded, and without a host before it."""
    request = head(target)
    assert (request.path, request.query) == (path, query)


def test_the_last_value_of_a_header_counts_if_it_can_be_read() -> None:
    """But the first content type says whether the body is JSON."""
    request = head(
        b"/",
        (b"content-type", b"application/json"),
        (b"x-a", b"1"),
        (b"x-a", b"2\t3"),
        (b"x-u", "ü".encode()),
        (b"content-type", b"text/plain"),
        (b"traceparent", b"00-t"),
    )
    assert request.headers == {"content-type": "text/plain", "x-a": "2\t3", "x-u": "", "traceparent": "00-t"}
    assert request.is_json
    assert request.trace == ("00-t", None)


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [(b"application/json; charset=utf-8", True), (b"Application/JSON", False), (b"text/json", False)],
)
def test_json_is_told_by_its_lower_case_name(content_type: bytes, is_json: bool) -> None:
    """Anywhere in the content type."""
    assert head(b"/", (b"content-type", content_type)).is_json is is_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":[1]}', {"a": [1]}),
        (b"", None),
        (b"{broken", None),
        (b"\xff", None),
        (b"[" * 127 + b"]" * 127, ...),
        (b"[" * 128 + b"]" * 128, None),
    ],
)
def test_a_body_that_is_no_json_is_null(body: bytes, value: Any) -> None:
    """As strict as the engine is everywhere."""
    read = messages.read_json(body)
    assert read == value or (value is ... and read is not None)


def test_a_handler_gets_the_pattern_and_what_stands_in_its_places() -> None:
    """And a query in which the last value counts."""
    request = head(b"/a/1%2f?x=1&x=2&b&c=%ff+y&d=%zz&&=e", (b"h", b"v"), method=b"GET")
    assert messages.condition_input(route("/a/:id"), request, {"n": 1}) == {
        "path_params": {"id": "1%2f"},
        "query_params": {"x": "2", "b": "", "c": "\ufffd y", "d": "%zz", "": "e"},
        "headers": {"h": "v"},
        "method": "GET",
        "path": "/a/:id",
        "body": {"n": 1},
        "trigger": {"type": "http", "path": "/a/:id", "method": "GET"},
    }


def test_a_middleware_gets_neither_path_nor_body() -> None:
    """There is no way for it to see them."""
    assert messages.middleware_input(route("/a/:id"), head(b"/a/1?q=2")) == {
        "phase": "preHandler",
        "request": {"path_params": {"id": "1"}, "query_params": {"q": "2"}, "headers": {}, "method": "GET"},
        "context": {},
    }


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        pytest.param({}, Reply(200, (JSON,), b"{}"), id="nothing"),
        pytest.param({"hello": 1}, Reply(200, (JSON,), b"{}"), id="other-keys"),
        pytest.param("text", Reply(200, (JSON,), b"{}"), id="no-object"),
        pytest.param({"body": {"b": 1, "a": 2.0}}, Reply(200, (JSON,), b'{"a":2.0,"b":1}'), id="sorted"),
        pytest.param({"body": "x"}, Reply(200, (JSON,), b'"x"'), id="text-is-json"),
        pytest.param({"body": None}, Reply(200, (JSON,), b"null"), id="null-is-json"),
        pytest.param(
            {"headers": {"Content-Type": "text/plain"}, "body": "x"},
            Reply(200, (("content-type", "text/plain"),), b"x"),
            id="text-as-it-is",
        ),
        pytest.param({"headers": {JSON[0]: JSON[1]}, "body": "x"}, Reply(200, (JSON,), b"x"), id="also-as-json"),
        pytest.param({"headers": {JSON[0]: JSON[1]}, "body": None}, Reply(200, (JSON,), b""), id="null-is-empty"),
        pytest.param(
            {"headers": {"content-type": "image/png"}, "body": [1, 2]},
            Reply(200, (("content-type", "image/png"),), b"[1,2]"),
            id="other-type",
        ),
        pytest.param({"status_code": 999}, Reply(999, (JSON,), b"{}"), id="status"),
        *(
            pytest.param({"status_code": bad}, Reply(200, (JSON,), b"{}"), id=f"status-{bad}")
            for bad in (99, 1000, -1, "404", 404.0, None, True)
        ),
        pytest.param(
            {"headers": {"X-A": " 1 ", "bad name": "z", "x-n": 5, "x-b": "a\nb", "": "e"}},
            Reply(200, (JSON, ("x-a", "1")), b"{}"),
            id="unfit-headers",
        ),
        pytest.param(
            {"headers": ["Set-Cookie: a", "set-cookie:b", "broken", ": x", 5]},
            Reply(200, (JSON, ("set-cookie", "a"), ("set-cookie", "b")), b"{}"),
            id="lines",
        ),
        pytest.param({"headers": "x: y"}, Reply(200, (JSON,), b"{}"), id="headers-of-another-type"),
        pytest.param(
            {"headers": {"content-length": "3", "transfer-encoding": "chunked"}, "body": "abcdef"},
            Reply(200, (JSON,), b'"abcdef"'),
            id="framing-is-not-the-handlers",
        ),
    ],
)
def test_a_return_value_makes_a_response(value: Any, reply: Reply) -> None:
    """By its three keys."""
    assert messages.returned_reply(value) == reply


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        pytest.param({"action": "continue"}, None, id="continue"),
        pytest.param({"action": "bogus"}, None, id="unknown"),
        pytest.param(None, None, id="nothing"),
        pytest.param("respond", None, id="no-object"),
        pytest.param({"action": "respond"}, Reply(200, (JSON,), b"null"), id="default"),
        pytest.param(
            {"action": "respond", "response": {"status_code": 401, "headers": {"X-M": "1"}, "body": "no"}},
            Reply(401, (JSON, ("x-m", "1")), b'"no"'),
            id="all",
        ),
        pytest.param(
            {"action": "respond", "response": {"headers": {"X-M": "1", "x-n": 5}}},
            Reply(200, (JSON,), b"null"),
            id="one-unfit-header-spoils-all",
        ),
        pytest.param(
            {
                "action": "respond",
                "response": {"headers": {"Content-Type": "text/x", "content-length": "9", "b d": "z"}},
            },
            Reply(200, (("content-type", "text/x"),), b"null"),
            id="its-own-type",
        ),
    ],
)
def test_a_middleware_answers_or_lets_pass(value: Any, reply: Reply | None) -> None:
    """Only an explicit answer is one, and it is always JSON."""
    assert messages.middleware_reply(value) == reply


@pytest.mark.parametrize(
    ("texts", "status", "headers"),
    [
        pytest.param([], 200, (), id="none"),
        pytest.param(['{"type":"set_status","status_code":599}'], 599, (), id="status"),
        pytest.param(
            ['{"type":"set_status","status_code":201}', '{"type":"set_status","status_code":600}'],
            201,
            (),
            id="unfit-status",
        ),
        pytest.param(
            [
                '{"type":"set_headers","headers":{"X-A":"1","x-n":5,"bad name":"z"}}',
                '{"type":"set_headers","headers":{"X-A":"2","x-b":"3"}}',
            ],
            200,
            (("x-a", "2"), ("x-b", "3")),
            id="headers-add-up",
        ),
        pytest.param(
            ['{"type":"set_headers","headers":{"content-length":"5","transfer-encoding":"gzip"}}'],
            200,
            (("content-length", "5"),),
            id="a-length-can-be-promised",
        ),
        pytest.param(
            ["{broken", "[]", "5", '{"type":"x"}', '{"type":"set_headers"}', '{"headers":{"a":"b"}}'],
            200,
            (),
            id="rest",
        ),
    ],
)
def test_control_messages_make_the_head_of_a_stream(
    texts: list[str], status: int, headers: tuple[tuple[str, str], ...]
) -> None:
    """What they do not say well is ignored."""
    stream = StreamHead()
    for text in texts:
        stream.apply(text)
    assert (stream.status, stream.headers) == (status, headers)


def test_an_error_of_the_engine_has_one_shape() -> None:
    """An id only where something went wrong inside."""
    reply = messages.error_reply(404, "NOT_FOUND", "Not Found")
    assert reply == Reply(404, (JSON,), b'{"error":{"code":"NOT_FOUND","message":"Not Found"}}')
