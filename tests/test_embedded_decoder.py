"""The embedded engine decodes what the real one decodes, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iii_trio._embedded.decoder import MAX_NESTING, Undecodable, decode
from iii_trio._wire.messages import (
    ABSENT,
    EnqueueAction,
    ErrorBody,
    HttpInvocation,
    InvocationResult,
    InvokeFunction,
    Ping,
    Pong,
    Reattach,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
    TelemetryFrame,
    TriggerRegistrationResult,
    UnregisterTrigger,
    VoidAction,
)

ID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def invoke(**fields: Any) -> str:
    """The text of an invocation, with some fields replaced."""
    return json.dumps({"type": "invokefunction", "function_id": "f", "data": {}, **fields})


def with_data(text: str) -> str:
    """The text of an invocation with a payload that Python would not write."""
    return f'{{"type":"invokefunction","function_id":"f","data":{text}}}'


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        pytest.param(invoke(), InvokeFunction("f", {}), id="least-invocation"),
        pytest.param(invoke(data=None), InvokeFunction("f", None), id="null-is-data"),
        pytest.param(
            invoke(
                invocation_id=ID,
                namespace="n",
                metadata=False,
                traceparent="t",
                baggage="b",
                action={"type": "enqueue", "queue": "q"},
            ),
            InvokeFunction("f", {}, ID, EnqueueAction("q"), "n", False, "t", "b"),
            id="whole-invocation",
        ),
        pytest.param(
            invoke(action={"type": "void", "more": 1}), InvokeFunction("f", {}, action=VoidAction()), id="void"
        ),
        pytest.param(
            invoke(invocation_id=None, namespace=None, action=None, metadata=None), InvokeFunction("f", {}), id="nulls"
        ),
        pytest.param(
            json.dumps({"type": "invocationresult", "invocation_id": ID, "function_id": "f", "result": None}),
            InvocationResult(ID, "f", ABSENT),
            id="null-result-is-none",
        ),
        pytest.param(
            json.dumps(
                {
                    "type": "invocationresult",
                    "invocation_id": ID,
                    "function_id": "f",
                    "error": {"code": "c", "message": "m", "stacktrace": None, "more": 1},
                }
            ),
            InvocationResult(ID, "f", error=ErrorBody("c", "m")),
            id="error",
        ),
        pytest.param(
            json.dumps(
                {
                    "type": "registerfunction",
                    "id": "f",
                    "invocation": {
                        "url": "u",
                        "method": "GET",
                        "timeout_ms": 2**64 - 1,
                        "headers": {"a": "b"},
                        "auth": {"type": "bearer", "token_key": "k"},
                    },
                }
            ),
            RegisterFunction("f", invocation=HttpInvocation("u", "GET", 2**64 - 1, {"a": "b"}, {"token_key": "k"})),
            id="function-by-http",
        ),
        pytest.param(
            '{"type":"registertriggertype","id":"t","description":""}', RegisterTriggerType("t", ""), id="trigger-type"
        ),
        pytest.param(
            '{"type":"registertrigger","id":"1","trigger_type":"t","function_id":"f","config":null}',
            RegisterTrigger("1", "t", "f", None),
            id="trigger",
        ),
        pytest.param('{"type":"unregistertrigger","id":"1"}', UnregisterTrigger("1"), id="unregister-trigger"),
        pytest.param(
            '{"type":"triggerregistrationresult","id":"1","trigger_type":"t","function_id":"f"}',
            TriggerRegistrationResult("1", "t", "f"),
            id="trigger-result",
        ),
        pytest.param('{"type":"registerservice","id":"s"}', RegisterService("s"), id="service-without-name"),
        pytest.param('{"type":"reattach","previous_worker_id":"w"}', Reattach("w"), id="reattach-without-token"),
        pytest.param(' {"type":"ping","more":[1]} \n', Ping(), id="more-keys-and-blanks"),
        pytest.param(b'{"type":"pong"}', Pong(), id="binary-json"),
        pytest.param(b"OTLP{}", TelemetryFrame("OTLP", b"{}"), id="spans"),
        pytest.param(b"MTRC", TelemetryFrame("MTRC", b""), id="metrics"),
        pytest.param(b"LOGS\xff", TelemetryFrame("LOGS", b"\xff"), id="logs"),
        pytest.param("", None, id="empty-is-ignored"),
        pytest.param(" \n", None, id="blank-is-ignored"),
    ],
)
def test_a_good_message_is_its_frame(text: str | bytes, frame: object) -> None:
    """Absent and null are alike where a field is optional; unknown keys do not matter."""
    assert decode(text) == frame


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(ID, id="canonical"),
        pytest.param(ID.upper(), id="upper-case"),
        pytest.param(ID.replace("-", ""), id="without-hyphens"),
        pytest.param(f"{{{ID}}}", id="in-braces"),
        pytest.param(f"urn:uuid:{ID.upper()}", id="urn"),
    ],
)
def test_an_invocation_id_becomes_canonical(spelling: str) -> None:
    """Whoever correlates by text must know that the engine rewrites it."""
    frame = decode(invoke(invocation_id=spelling))
    assert isinstance(frame, InvokeFunction)
    assert frame.invocation_id == ID


def nested(levels: int) -> str:
    """A payload of so many arrays inside each other."""
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(b"\x00\x01\x02", "not JSON", id="binary-garbage"),
        pytest.param(b"\xff", "not UTF-8", id="binary-not-utf8"),
        pytest.param(b"", "not JSON", id="binary-empty"),
        pytest.param("hello", "not JSON", id="no-json"),
        pytest.param('{"type":"ping"}{"type":"ping"}', "not JSON", id="two-objects"),
        pytest.param(with_data("NaN"), "not JSON", id="nan"),
        pytest.param(with_data("-Infinity"), "not JSON", id="infinity"),
        pytest.param(with_data("1e400"), "not JSON", id="number-out-of-range"),
        pytest.param(with_data(r'"\ud800"'), "not JSON", id="lone-surrogate"),
        pytest.param("[]", "not a JSON object", id="array"),
        pytest.param("null", "not a JSON object", id="null"),
        pytest.param("{}", "unknown type None", id="no-type"),
        pytest.param('{"type":["ping"]}', "unknown type ['ping']", id="type-is-an-array"),
        pytest.param('{"type":"PING"}', "unknown type 'PING'", id="wrong-case"),
        pytest.param('{"type":"error","error":{"code":"c","message":"m"}}', "unknown type 'error'", id="of-the-engine"),
        pytest.param('{"type":"unregistertriggertype","id":"t"}', "unknown type", id="of-newer-engines"),
        pytest.param('{"type":"invokefunction","function_id":"f"}', "missing field `data`", id="no-data"),
        pytest.param(invoke(function_id=None), "function_id: not text", id="null-where-required"),
        pytest.param(invoke(namespace=5), "namespace: not text", id="number-for-text"),
        pytest.param(invoke(invocation_id="not-a-uuid"), "invocation_id: not a UUID", id="no-uuid"),
        pytest.param(invoke(invocation_id=ID + "0"), "invocation_id: not a UUID", id="uuid-too-long"),
        pytest.param(invoke(invocation_id=5), "invocation_id: not text", id="uuid-a-number"),
        pytest.param(invoke(action={"type": "later"}), "action: unknown variant 'later'", id="unknown-action"),
        pytest.param(invoke(action="void"), "action: unknown variant None", id="action-is-text"),
        pytest.param(invoke(action={"type": "enqueue"}), "action: missing field `queue`", id="no-queue"),
        pytest.param(
            json.dumps({"type": "invocationresult", "invocation_id": ID, "function_id": "f", "error": {"code": "c"}}),
            "error: missing field `message`",
            id="error-without-message",
        ),
        pytest.param(
            json.dumps({"type": "invocationresult", "invocation_id": ID, "function_id": "f", "error": "e"}),
            "error: not an object",
            id="error-is-text",
        ),
        pytest.param(
            '{"type":"registertriggertype","id":"t","description":null}', "description: not text", id="no-description"
        ),
        pytest.param(
            '{"type":"registertrigger","id":"1","trigger_type":"t","function_id":"f"}',
            "missing field `config`",
            id="no-config",
        ),
        pytest.param('{"type":"registerservice","id":"s","name":null}', "name: not text", id="service-name-null"),
        *(
            pytest.param(json.dumps({"type": "registerfunction", "id": "f", "invocation": http}), reason, id=name)
            for http, reason, name in (
                ({}, "invocation: missing field `url`", "no-url"),
                ({"url": "u", "method": "get"}, "invocation: method: unknown variant 'get'", "method-lower-case"),
                ({"url": "u", "timeout_ms": -1}, "invocation: timeout_ms: not an unsigned", "negative-timeout"),
                ({"url": "u", "timeout_ms": True}, "invocation: timeout_ms: not an unsigned", "boolean-timeout"),
                ({"url": "u", "headers": None}, "invocation: headers: not an object", "null-headers"),
                ({"url": "u", "headers": {"a": 1}}, "invocation: headers: not text", "number-header"),
                ({"url": "u", "auth": {"type": "basic"}}, "invocation: auth: unknown variant 'basic'", "unknown-auth"),
            )
        ),
        pytest.param(with_data(nested(MAX_NESTING)), "nested deeper", id="too-deep"),
    ],
)
def test_a_bad_message_is_undecodable(message: str | bytes, reason: str) -> None:
    """The reason names the field, for the person whose test fails."""
    with pytest.raises(Undecodable, match=reason.replace("[", r"\[")):
        decode(message)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(with_data(nested(MAX_NESTING - 1)), id="deepest"),
        pytest.param(with_data(json.dumps([[]] * 200)), id="wide"),
        pytest.param(with_data(json.dumps("[" * 200)), id="brackets-in-text"),
        pytest.param(
            with_data(json.dumps([{"type": 1}, {"data": 2, "function_id": 3}])), id="keys-like-the-envelope's"
        ),
        pytest.param(with_data('{"a":1,"a":2}'), id="duplicate-in-the-payload"),
        pytest.param(with_data('{},"more":1,"more":2'), id="duplicate-unknown-key"),
        pytest.param(with_data(r'"\u0041"'), id="escapes"),
        pytest.param(invoke(action={"type": "void"}), id="type-of-the-action"),
    ],
)
def test_what_only_looks_bad_is_decoded(text: str) -> None:
    """The quick looks at a text are never the last word."""
    assert isinstance(decode(text), InvokeFunction)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(with_data('1,"data":2'), id="data"),
        pytest.param(with_data('1,"metadata":null,"metadata":null'), id="nulls"),
        pytest.param(with_data(r'1,"d\u0061ta":2'), id="escaped"),
        pytest.param(with_data('1,"action":{"type":"enqueue","queue":"a","queue":"b"}'), id="in-the-action"),
        pytest.param(with_data('{"data":1},"data":{"data":1}'), id="hidden-among-others"),
    ],
)
def test_a_field_that_is_written_twice_is_undecodable(text: str) -> None:
    """The parser would take the last one."""
    with pytest.raises(Undecodable, match="duplicate field"):
        decode(text)
