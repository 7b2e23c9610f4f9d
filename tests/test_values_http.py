"""Functions that the engine reaches over HTTP, and the plain values of requests."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.http import (
    HttpAuthApiKey,
    HttpAuthBearer,
    HttpAuthHmac,
    HttpInvocationConfig,
    HttpRequest,
    HttpResponse,
)
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import invocations

URL = "https://example.com/score"


def test_an_address_is_all_it_takes() -> None:
    """The rest is the engine's choice."""
    config = HttpInvocationConfig(url=URL)
    assert (config.method, config.timeout_ms, config.headers, config.auth) == ("POST", None, None, None)


@pytest.mark.parametrize(
    ("given", "auth"),
    [
        pytest.param({"type": "hmac", "secret_key": "S"}, HttpAuthHmac(secret_key="S"), id="hmac"),
        pytest.param({"type": "bearer", "token_key": "T"}, HttpAuthBearer(token_key="T"), id="bearer"),
        pytest.param(
            {"type": "api_key", "header": "X-Key", "value_key": "K"},
            HttpAuthApiKey(header="X-Key", value_key="K"),
            id="api_key",
        ),
    ],
)
def test_the_three_kinds_of_auth_come_as_values_or_dicts(given: dict[str, Any], auth: Any) -> None:
    """And are written with their type, without which the engine drops the registration."""
    assert build(HttpInvocationConfig, {"url": URL, "auth": given}).auth == auth
    assert HttpInvocationConfig(url=URL, auth=auth).auth is auth
    assert jsonable(auth) == given


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"url": " "}, "url must not be blank", id="no address"),
        pytest.param({"url": 7}, "url must be text", id="a number"),
        pytest.param({"url": "example.com/x"}, "url must be an address", id="no scheme"),
        pytest.param({"url": "ftp://example.com"}, "url must be an address", id="another scheme"),
        pytest.param({"url": "https:///x"}, "url must be an address", id="no host"),
        pytest.param({"url": "https://[::1"}, "url must be an address", id="a host that is none"),
        pytest.param({"url": "https://example.com:65536"}, "url must be an address", id="a port that is none"),
        pytest.param({"method": "get"}, "method must be 'GET' or", id="lower case, which the engine does not know"),
        pytest.param({"timeout_ms": 0}, "timeout_ms must be at least 1", id="no time at all"),
        pytest.param({"timeout_ms": 1.5}, "timeout_ms must be a whole number", id="half a millisecond"),
        pytest.param({"headers": {"a": 1}}, "headers must map text to text", id="a header that is a number"),
        pytest.param({"headers": [("a", "b")]}, "headers must be a dict", id="pairs"),
        pytest.param({"auth": {"type": "basic"}}, "the type of HttpInvocationConfig.auth must be", id="another auth"),
        pytest.param({"auth": {"type": "hmac"}}, "HttpAuthHmac needs its secret_key", id="an auth without its key"),
        pytest.param({"auth": {"type": "hmac", "secret_key": ""}}, "HttpAuthHmac.secret_key must not", id="blank key"),
        pytest.param({"auth": "hmac"}, "HttpInvocationConfig.auth is a dict, HttpAuthHmac or", id="text"),
    ],
)
def test_what_the_engine_would_drop_is_refused(fields: dict[str, Any], reason: str) -> None:
    """It would offer no function, and tell nobody."""
    with pytest.raises(ConfigurationError, match=reason):
        HttpInvocationConfig(**{"url": URL, **fields})


def test_a_recorded_request_has_the_fields_of_ours() -> None:
    """By their names; the channels and what the engine says about the trigger are no part of the plain value."""
    (request, *_) = invocations("http-basic", "hb::f")
    plain = {name: request[name] for name in ("path_params", "query_params", "body", "headers", "method")}
    built = build(HttpRequest, plain)
    assert (built.path_params, built.query_params) == ({"id": "42"}, {"x": "1", "y": "two"})
    assert (built.body, built.method, built.headers["x-custom"]) == (None, "GET", "Value")
    assert HttpRequest() == HttpRequest(path_params={}, query_params={}, body=None, headers={}, method="GET")


def test_an_answer_is_written_by_the_names_that_the_engine_reads() -> None:
    """A null body included: it is an answer too."""
    assert jsonable(HttpResponse(status_code=201)) == {"status_code": 201, "body": None, "headers": {}}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"status_code": 99}, "status_code must be at least 100", id="too small"),
        pytest.param({"status_code": 600}, "status_code must be at most 599", id="too large"),
        pytest.param({"status_code": "404"}, "status_code must be a whole number", id="text"),
        pytest.param({"status_code": 404.0}, "status_code must be a whole number", id="a float"),
        pytest.param({"status_code": 200, "headers": {"a": None}}, "headers must map text", id="a header without text"),
    ],
)
def test_an_answer_that_would_arrive_as_another_is_refused(fields: dict[str, Any], reason: str) -> None:
    """The engine would make 200 of the status, or skip the header; a status from 600 on no client knows."""
    with pytest.raises(ConfigurationError, match=f"HttpResponse.{reason}"):
        HttpResponse(**fields)
