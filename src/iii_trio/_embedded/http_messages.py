"""Requests to what a handler gets, and what it returns to responses (docs/engine.md, "HTTP")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

import attrs
import orjson

from iii_trio._embedded.decoder import Undecodable, parse
from iii_trio._embedded.http_paths import path_parameters
from iii_trio._embedded.http_routes import HTTP, Route
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

JSON: Final = "application/json"

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNFIT: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What the value of a header cannot have."""
_READABLE: Final = re.compile(rb"[\t\x20-\x7e]*")
"""What a handler gets to see of a header's value."""

_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
"""What stands before the path when a client asks as it would ask a proxy."""

_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})

Headers = tuple[tuple[str, str], ...]


# ---- requests -------------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class HttpRequest:
    """The head of a request."""

    method: str
    path: str
    """As it was sent, not decoded."""
    query: str
    headers: dict[str, str]
    """The last value of each lower-case name; empty text if it has other characters than those of ASCII."""
    content_type: str
    """The first one."""

    @property
    def is_json(self) -> bool:
        """Whether the body is for the handler to have at once. Upper case counts."""
        return JSON in self.content_type

    @property
    def trace(self) -> tuple[str | None, str | None]:
        """The trace context and the baggage that it came with."""
        return self.headers.get("traceparent"), self.headers.get("baggage")


def read_head(method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> HttpRequest:
    """The head of a request from its parts; names of headers are lower case."""
    text = _without_host(target.decode("ascii"))
    path, _, query = text.partition("?")
    values = [(name.decode("ascii"), _readable(value)) for name, value in headers]
    return HttpRequest(
        method=method.decode("ascii"),
        path=path,
        query=query,
        headers=dict(values),
        content_type=next((value for name, value in values if name == "content-type"), ""),
    )


def _without_host(target: str) -> str:
    absolute = _ABSOLUTE.match(target)
    return target if absolute is None else target[absolute.end() :]


def _readable(value: bytes) -> str:
    return value.decode("ascii") if _READABLE.fullmatch(value) else ""


def read_json(body: bytes) -> Json:
    """What a body of JSON says; None if it says nothing, or is none."""
    try:
        return parse(body.decode())
    except (UnicodeDecodeError, Undecodable):
        return None


def condition_input(route: Route, request: HttpRequest, body: Json) -> dict[str, Any]:
    """What a condition gets, and a handler but for its channels."""
    return {
        **_middleware_request(route, request),
        "path": route.path,
        "body": body,
        "trigger": {"type": HTTP, "path": route.path, "method": request.method},
    }


def middleware_input(route: Route, request: HttpRequest) -> dict[str, Any]:
    """What a middleware gets."""
    return {"phase": "preHandler", "request": _middleware_request(route, request), "context": {}}


def _middleware_request(route: Route, request: HttpRequest) -> dict[str, Any]:
    return {
        "path_params": path_parameters(route.path, request.path),
        "query_params": dict(parse_qsl(request.query, keep_blank_values=True, errors="replace")),
        "headers": request.headers,
        "method": request.method,
    }


# ---- responses ------------------------------------------------------------------------------------------------------


@attrs.frozen
class Reply:
    """A whole response."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def json_reply(status: int, value: Json, headers: Headers = ()) -> Reply:
    """A response of JSON."""
    return Reply(status, (("content-type", JSON), *headers), _dump(value))


def error_reply(status: int, code: str, message: str, **more: Json) -> Reply:
    """A response that the engine makes itself."""
    return json_reply(status, {"error": {"code": code, "message": message, **more}})


def failure_reply(error: ErrorBody, error_id: str) -> Reply:
    """A response to a call that failed."""
    return error_reply(500, error.code, error.message, error_id=error_id)


def returned_reply(value: Json) -> Reply:
    """The response that a handler's return value makes."""
    told: dict[str, Any] = value if isinstance(value, dict) else {}
    headers = _returned_headers(told.get("headers"))
    body = told.get("body", {})
    content_type = next((value for name, value in headers if name == "content-type"), None)
    fit = tuple((name, value) for name, value in headers if name not in _FRAMING and _fits(name, value))
    status = read_status(told.get("status_code"), highest=999)
    if content_type is None:
        return json_reply(status, body, fit)
    if isinstance(body, str):
        return Reply(status, fit, body.encode())
    return Reply(status, fit, b"" if body is None else _dump(body))


def middleware_reply(value: Json) -> Reply | None:
    """The response that a middleware wants; None if the request is to go on."""
    if not isinstance(value, dict) or value.get("action") != "respond":
        return None
    response = value.get("response")
    told: dict[str, Any] = response if isinstance(response, dict) else {}
    given = told.get("headers")
    headers: dict[str, str] = {}
    # One value that is no text, and none of them counts.
    if isinstance(given, dict) and all(isinstance(each, str) for each in given.values()):
        headers = {name.lower(): value.strip() for name, value in given.items() if _fits(name.lower(), value)}
    more = tuple((name, value) for name, value in headers.items() if name not in {*_FRAMING, "content-type"})
    reply = json_reply(read_status(told.get("status_code"), highest=999), told.get("body"), more)
    if "content-type" in headers:
        return attrs.evolve(reply, headers=(("content-type", headers["content-type"]), *more))
    return reply


def read_status(value: Json, *, highest: int, otherwise: int = 200) -> int:
    """A status, if it is a whole number from 100 on."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= highest
    return value if isinstance(value, int) and fits else otherwise


def _returned_headers(value: Json) -> Headers:
    if isinstance(value, dict):
        return tuple((name.lower(), each.strip()) for name, each in value.items() if isinstance(each, str))
    if not isinstance(value, list):
        return ()
    lines = [each.partition(":") for each in value if isinstance(each, str) and ":" in each]
    return tuple((name.strip().lower(), rest.strip()) for name, _, rest in lines if name.strip())


def _fits(name: str, value: str) -> bool:
    return _TOKEN.fullmatch(name) is not None and _UNFIT.search(value) is None


def _dump(value: Json) -> bytes:
    return orjson.dumps(None if value is ABSENT else value, option=orjson.OPT_SORT_KEYS)


@attrs.define
class StreamHead:
    """Status and headers of a streamed response, as the handler's control messages set them."""

    status: int = 200
    _headers: dict[str, str] = attrs.field(factory=dict, init=False)

    def apply(self, message: str) -> None:
        """Do what a text message before the first bytes says; what it does not say well is ignored."""
        try:
            told = parse(message)
        except Undecodable:
            return
        if not isinstance(told, dict):
            return
        if told.get("type") == "set_status":
            self.status = read_status(told.get("status_code"), highest=599, otherwise=self.status)
        headers = told.get("headers")
        if told.get("type") == "set_headers" and isinstance(headers, dict):
            self._headers |= {name: value for name, value in headers.items() if isinstance(value, str)}

    @property
    def headers(self) -> Headers:
        """Those that can be sent; how the body is framed is for the engine to say, but its length may be promised."""
        told = [(name.lower(), value.strip()) for name, value in self._headers.items()]
        return tuple((name, value) for name, value in told if name != "transfer-encoding" and _fits(name, value))
