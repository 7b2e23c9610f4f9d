"""Bytes to frames and back: nothing is converted on the way in, and nothing undecodable goes out."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import uuid
from collections import OrderedDict
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._wire import messages as wire
from iii_trio._wire.codec import MAX_MESSAGE_SIZE, UndecodableFrame, decode, encode
from iii_trio.errors import PayloadError
from tests._session_values import (
    FRAMES,
    Color,
    Pair,
    Point,
    Row,
    Unsendable,
    anything,
    as_json,
    examples,
    frames,
    json_values,
)

ID = "9f3c1c52-7d4e-4c1b-a111-0123456789ab"


def strict(encoded: bytes) -> Any:
    """What a JSON reader makes of it that knows neither NaN nor lone surrogates."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(encoded.decode(), parse_constant=refuse)


def nesting(value: Any) -> int:
    if isinstance(value, (dict, list)):
        children = value.values() if isinstance(value, dict) else value
        return 1 + max(map(nesting, children), default=0)
    return 0


def nested(depth: int, container: str = "list") -> Any:
    """A value of `depth` containers inside each other."""
    value: Any = {} if container == "dict" else []
    for _ in range(depth - 1):
        value = {"k": value} if container == "dict" else [value]
    return value


def invoke(data: Any) -> wire.InvokeFunction:
    return wire.InvokeFunction("f", data)


# ---- round trips ----------------------------------------------------------------------------------------------------


def test_every_frame_class_has_a_strategy() -> None:
    """The round trip below is about all of them."""
    assert set(FRAMES) == set(wire.FRAMES)


@given(frames)
@examples(300)
def test_every_frame_comes_back_as_it_was_sent(frame: Any) -> None:
    """Encoding and decoding cancel out, types of payload values included."""
    decoded = decode(encode(frame))
    assert decoded == frame
    assert repr(decoded) == repr(frame)  # == holds True for 1, repr does not


@given(frames)
@examples(100)
def test_text_and_bytes_mean_the_same(frame: Any) -> None:
    """The engine sends text messages; a transport may hand on either."""
    encoded = encode(frame)
    assert decode(encoded.decode()) == decode(encoded)


@given(frames)
@examples(100)
def test_a_frame_names_its_type_and_only_known_fields(frame: Any) -> None:
    """What is left out is what is None by default."""
    tree = strict(encode(frame))
    assert tree.pop("type") == frame.TYPE
    fields = attrs.fields_dict(type(frame))
    assert set(tree) <= set(fields)
    assert all(getattr(frame, name) == fields[name].default for name in set(fields) - set(tree))


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        pytest.param(wire.InvokeFunction("f", None), "data", id="without data a call hangs"),
        pytest.param(wire.RegisterTrigger("i", "t", "f", None), "config", id="without config a trigger never exists"),
        pytest.param(wire.InvocationResult(ID, "f", result=None), "result", id="a success that says null"),
    ],
)
def test_null_is_written_where_it_is_a_value(frame: Any, field: str) -> None:
    """The engine drops the frame, or the receiver cannot tell, when these are left out."""
    assert strict(encode(frame))[field] is None


def test_the_description_of_a_trigger_type_is_always_written() -> None:
    """The engine requires it, the empty one too."""
    assert strict(encode(wire.RegisterTriggerType("t", "")))["description"] == ""


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(
            wire.InvokeFunction("f", 1), {"type": "invokefunction", "function_id": "f", "data": 1}, id="a bare call"
        ),
        pytest.param(
            wire.InvokeFunction("f", 1, action=wire.VoidAction()),
            {"type": "invokefunction", "function_id": "f", "data": 1, "action": {"type": "void"}},
            id="an action keeps its type, which is a default",
        ),
        pytest.param(
            wire.InvokeFunction("f", 1, action=wire.EnqueueAction("mail")),
            {
                "type": "invokefunction",
                "function_id": "f",
                "data": 1,
                "action": {"queue": "mail", "type": "enqueue"},
            },
            id="enqueue",
        ),
        pytest.param(
            wire.InvokeFunction("f", 1, metadata=0),
            {"type": "invokefunction", "function_id": "f", "data": 1, "metadata": 0},
            id="metadata that is false is still metadata",
        ),
        pytest.param(
            wire.InvocationResult(ID, "f"),
            {"type": "invocationresult", "invocation_id": ID, "function_id": "f"},
            id="no value: no result",
        ),
        pytest.param(
            wire.InvocationResult(ID, "f", error=wire.ErrorBody("c", "m")),
            {
                "type": "invocationresult",
                "invocation_id": ID,
                "function_id": "f",
                "error": {"code": "c", "message": "m"},
            },
            id="a failure says no result",
        ),
        pytest.param(wire.Ping(), {"type": "ping"}, id="a frame without fields"),
        pytest.param(wire.Reattach("w"), {"type": "reattach", "previous_worker_id": "w"}, id="no token known"),
    ],
)
def test_frames_are_written_like_this(frame: Any, expected: dict[str, Any]) -> None:
    """The spelling is the engine's."""
    assert strict(encode(frame)) == expected


# ---- what comes in --------------------------------------------------------------------------------------------------

RESULT = {"type": "invocationresult", "invocation_id": ID, "function_id": "f"}
CALL = {"type": "invokefunction", "function_id": "f", "data": None}
REJECTED = {"type": "registrationrejected", "code": "c", "namespace": "n", "owner_worker_id": "o"}
OFFER = {"type": "registerfunction", "id": "f"}


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({**CALL, "function_id": 7}, id="7 is not text"),
        pytest.param({**CALL, "function_id": True}, id="True is not text"),
        pytest.param({**CALL, "function_id": None}, id="null where text is required"),
        pytest.param({**CALL, "function_id": ["f"]}, id="a list is not text"),
        pytest.param({**CALL, "invocation_id": 7}, id="optional text may be absent, not a number"),
        pytest.param({"type": "invokefunction", "function_id": "f"}, id="data absent"),
        pytest.param({"type": "invokefunction", "data": 1}, id="function_id absent"),
        pytest.param({**CALL, "action": "void"}, id="an action is an object"),
        pytest.param({**CALL, "action": {"type": "later"}}, id="an unknown action"),
        pytest.param({**CALL, "action": {"type": ["void"]}}, id="an action whose type is a list"),
        pytest.param({**CALL, "action": {"type": "enqueue"}}, id="enqueue without a queue"),
        pytest.param({**CALL, "action": {"type": "enqueue", "queue": 1}}, id="a queue that is no text"),
        pytest.param({**RESULT, "error": "oops"}, id="an error is an object"),
        pytest.param({**RESULT, "error": {"message": "m"}}, id="an error without code"),
        pytest.param({**RESULT, "error": {"code": "c"}}, id="an error without message"),
        pytest.param({**RESULT, "error": {"code": 404, "message": "m"}}, id="a code is text"),
        pytest.param({**RESULT, "error": {"code": "c", "message": "m", "stacktrace": []}}, id="a stack trace is text"),
        pytest.param({**REJECTED, "namespace": None}, id="a required field that is null"),
        pytest.param({"type": "workerregistered"}, id="a greeting without an id"),
        pytest.param({"type": "workerregistered", "worker_id": "w", "features": "all"}, id="text is no list"),
        pytest.param({"type": "workerregistered", "worker_id": "w", "features": {"a": 1}}, id="an object is no list"),
        pytest.param({"type": "workerregistered", "worker_id": "w", "features": [1]}, id="a list of something else"),
        pytest.param({**OFFER, "invocation": {}}, id="HTTP without a URL"),
        pytest.param({**OFFER, "invocation": {"url": "u", "method": "BREW"}}, id="an unknown method"),
        pytest.param({**OFFER, "invocation": {"url": "u", "method": ["GET"]}}, id="a method that is a list"),
        pytest.param({**OFFER, "invocation": {"url": "u", "timeout_ms": True}}, id="True is not 1"),
        pytest.param({**OFFER, "invocation": {"url": "u", "timeout_ms": 1.0}}, id="1.0 is not whole"),
        pytest.param({**OFFER, "invocation": {"url": "u", "timeout_ms": "1"}}, id="'1' is not a number"),
        pytest.param({**OFFER, "invocation": {"url": "u", "headers": {"a": 1}}}, id="a header that is a number"),
        pytest.param({**OFFER, "invocation": {"url": "u", "headers": [["a", "b"]]}}, id="pairs are not an object"),
        pytest.param({"type": "error", "error": None}, id="a refused login without its error"),
    ],
)
def test_a_field_of_the_wrong_type_makes_no_frame(tree: dict[str, Any]) -> None:
    """Nothing is converted: the alternative to the right type is no frame, and the fault is named."""
    with pytest.raises(UndecodableFrame, match=str(tree["type"])):
        decode(json.dumps(tree))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        pytest.param('{"type":"teleport"}', "unknown frame type 'teleport'", id="a type that nobody knows"),
        pytest.param('{"type":7}', "unknown frame type 7", id="a type that is a number"),
        pytest.param('{"type":["ping"]}', "unknown frame type", id="a type that cannot be looked up"),
        pytest.param('{"type":{"ping":1}}', "unknown frame type", id="a type that is an object"),
        pytest.param('{"kind":"ping"}', "unknown frame type None", id="no type"),
        pytest.param("[]", "not a JSON object", id="a list"),
        pytest.param('"ping"', "not a JSON object", id="text"),
        pytest.param("null", "not a JSON object", id="null"),
        pytest.param("12", "not a JSON object", id="a number"),
        pytest.param("", "not JSON", id="nothing"),
        pytest.param(b"", "not JSON", id="no bytes"),
        pytest.param("{", "not JSON", id="half an object"),
        pytest.param('{"type":"ping"} {}', "not JSON", id="two values"),
        pytest.param('{"type":"ping","x":NaN}', "not JSON", id="NaN"),
        pytest.param(b'{"type":"ping\xff"}', "not JSON", id="bytes that are not UTF-8"),
        pytest.param('{"type":"ping","x":"\ud800"}', "not JSON", id="text that is not Unicode"),
        pytest.param(b"OTL", "not JSON", id="three of four letters"),
        pytest.param("OTLP{}", "not JSON", id="telemetry is binary only"),
        pytest.param("[" * 5000 + "]" * 5000, "not JSON", id="deeper than any reader goes"),
    ],
)
def test_what_is_no_frame_says_why(message: str | bytes, why: str) -> None:
    """The text goes into the log."""
    with pytest.raises(UndecodableFrame, match=why):
        decode(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param('{"type":"pong","hop":1}', wire.Pong(), id="in the envelope"),
        pytest.param(
            json.dumps({**RESULT, "error": {"code": "c", "message": "m", "hint": [1]}}),
            wire.InvocationResult(ID, "f", error=wire.ErrorBody("c", "m")),
            id="inside an error",
        ),
        pytest.param(
            json.dumps({**CALL, "action": {"type": "void", "speed": 9}}),
            wire.InvokeFunction("f", None, action=wire.VoidAction()),
            id="inside an action",
        ),
        pytest.param(
            '{"type":"workerregistered","worker_id":"w","features":["observe"],"region":"eu"}',
            wire.WorkerRegistered("w", features=["observe"]),
            id="in a greeting of 0.25, whose features are known",
        ),
    ],
)
def test_unknown_fields_are_ignored(message: str, expected: object) -> None:
    """A newer engine may say more."""
    assert decode(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(json.dumps(RESULT), wire.InvocationResult(ID, "f"), id="absent"),
        pytest.param(json.dumps({**RESULT, "error": None}), wire.InvocationResult(ID, "f"), id="null error"),
        pytest.param(
            json.dumps({**RESULT, "result": None}), wire.InvocationResult(ID, "f", result=None), id="null result"
        ),
    ],
)
def test_absent_and_null_are_alike_but_for_the_result(message: str, expected: object) -> None:
    """Only there the difference is kept."""
    assert decode(message) == expected


@pytest.mark.parametrize("kind", sorted(wire.IGNORED_TYPES))
def test_a_frame_of_engine_0_25_is_known_and_ignored(kind: str) -> None:
    """It is told from nonsense by its name; what is in it does not matter."""
    assert decode(json.dumps({"type": kind, "anything": [1, {"x": None}]})) == wire.Ignored(kind)


def test_no_type_is_both_ignored_and_a_frame() -> None:
    """The two lists are about different frames."""
    assert wire.IGNORED_TYPES.isdisjoint(frame.TYPE for frame in wire.FRAMES)
    assert len({frame.TYPE for frame in wire.FRAMES}) == len(wire.FRAMES)


@pytest.mark.parametrize("kind", ["OTLP", "MTRC", "LOGS"])
def test_telemetry_is_recognised_by_its_four_letters(kind: Any) -> None:
    """What follows them is not looked at."""
    assert decode(kind.encode() + b"\xff{not json") == wire.TelemetryFrame(kind, b"\xff{not json")


def test_a_payload_is_not_touched() -> None:
    """Not even where it looks like a frame, holds a number for text, or is as deep as the engine sends it."""
    data = {"type": 7, "invocation_id": True, "deep": nested(200), "big": MAX_MESSAGE_SIZE}
    frame = decode(json.dumps({**CALL, "data": data}))
    assert isinstance(frame, wire.InvokeFunction)
    assert frame.data == data


def _is_lawful(message: str | bytes) -> None:
    try:
        frame: object = decode(message)
    except UndecodableFrame:
        return
    assert isinstance(frame, (*wire.FRAMES, wire.Ignored, wire.TelemetryFrame))


@given(st.binary(max_size=40) | st.text(st.characters(), max_size=40))
@examples(300)
def test_any_bytes_and_any_text_are_a_frame_or_undecodable(message: str | bytes) -> None:
    """Nothing else comes out of the decoder, whatever a peer sends."""
    _is_lawful(message)


@given(st.sampled_from([b"OTLP", b"MTRC", b"LOGS", b'{"type":"ping"', b'{"type":']), st.binary(max_size=20))
@examples(100)
def test_any_rest_of_a_good_beginning_is_a_frame_or_undecodable(beginning: bytes, rest: bytes) -> None:
    """The same, closer to the real thing."""
    _is_lawful(beginning + rest)


@given(json_values)
@examples(100)
def test_any_json_is_a_frame_or_undecodable(value: Any) -> None:
    """The same for everything that is JSON."""
    _is_lawful(json.dumps(value))


@given(st.data(), frames, json_values)
@examples(300)
def test_a_frame_with_one_field_changed_is_a_frame_or_undecodable(data: st.DataObject, frame: Any, value: Any) -> None:
    """The same for frames with a field that holds anything, is absent, or has anything inside."""
    tree = strict(encode(frame))
    field = data.draw(st.sampled_from(sorted({*tree, *attrs.fields_dict(type(frame))})))
    change = data.draw(st.sampled_from(["replace", "remove", "inside"]))
    if change == "remove":
        tree.pop(field, None)
    elif change == "inside" and isinstance(tree.get(field), dict):
        tree[field][data.draw(st.sampled_from(sorted(tree[field]) or ["type"]))] = value
    else:
        tree[field] = value
    _is_lawful(json.dumps(tree))


# ---- what goes out --------------------------------------------------------------------------------------------------


@attrs.frozen
class Basket:
    """An attrs class with something in it."""

    items: Any


@attrs.frozen(slots=False)
class HalfMade:
    """An attrs class whose field was never set."""

    x: int = attrs.field(init=False)


@dataclasses.dataclass
class Reading:
    """A dataclass; what is not a field of it is no part of its value."""

    value: Any


class BrokenZone(datetime.tzinfo):
    """A time zone that knows nothing; the JSON encoder by itself crashes on it."""

    def _unknown(self, when: datetime.datetime | None) -> Any:
        raise NotImplementedError("a tzinfo must say this")

    utcoffset = dst = tzname = _unknown


class ArrayLike:
    """Compares by element, as arrays do, and has no truth value."""

    def __eq__(self, other: object) -> Any:
        return self

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


class Word(str):
    """A subclass of text."""

    __slots__ = ()


class Ratio(float):
    """A subclass of float, as numpy's are."""


class NotANumber(enum.Enum):
    """An enumeration with a value that is no JSON."""

    NAN = math.nan


def _circular(kind: str) -> Any:
    if kind == "list":
        ring: list[Any] = []
        ring.append(ring)
        return ring
    if kind == "dict":
        loop: dict[str, Any] = {}
        loop["self"] = loop
        return loop
    items: list[Any] = []
    items.append(Basket(items))
    return items


REFUSED = [
    pytest.param(math.nan, "$", "not a JSON number", id="NaN, which the encoder writes as null"),
    pytest.param([1, {"a": math.nan}], "$[1].a", "not a JSON number", id="NaN inside"),
    pytest.param({"a": (0.0, math.inf)}, "$.a[1]", "not a JSON number", id="infinity in a tuple"),
    pytest.param([-math.inf], "$[0]", "not a JSON number", id="minus infinity"),
    pytest.param(Basket([math.nan]), "$.items[0]", "not a JSON number", id="NaN in an attrs instance"),
    pytest.param(Reading([None, math.nan]), "$.value[1]", "not a JSON number", id="NaN in a dataclass"),
    pytest.param(Pair(1, math.inf), "$._right", "not a JSON number", id="infinity in a private field"),
    pytest.param([NotANumber.NAN], "$[0]", "not a JSON number", id="NaN in an enumeration"),
    pytest.param("\ud800", "$", "lone surrogate", id="a lone surrogate"),
    pytest.param([["a", "\udfffz"]], "$[0][1]", "lone surrogate", id="a lone surrogate inside"),
    pytest.param({"ok": {"\ud800": 1}}, "$.ok", "lone surrogate", id="a lone surrogate in a key"),
    pytest.param(2**64, "$", "64-bit", id="one more than 64 bits"),
    pytest.param({"n": -(2**63) - 1}, "$.n", "64-bit", id="one less than 64 bits"),
    pytest.param({"a": {7: 1}}, "$.a", "key 7", id="a key that is a number"),
    pytest.param({None: 1}, "$", "key None", id="a key that is None"),
    pytest.param({True: 1}, "$", "key True", id="a key that is True"),
    pytest.param([{Word("k"): 1}], "$[0]", "key 'k' of type Word", id="a key that is a subclass of text"),
    pytest.param({"a": {b""}}, "$.a[0]", "bytes", id="bytes in a set"),
    pytest.param([b"x"], "$[0]", "bytes", id="bytes"),
    pytest.param(Basket(object()), "$.items", "object", id="an object inside an attrs instance"),
    pytest.param([Basket], "$[0]", "type", id="a class is no instance of itself"),
    pytest.param({"row": Row("a", 1)}, "$.row", "Row", id="a named tuple, which the encoder refuses"),
    pytest.param([Ratio(0.5)], "$[0]", "Ratio", id="a subclass of float, which the encoder refuses"),
    pytest.param([HalfMade()], "$[0]", "x", id="an attrs instance with a field missing"),
    pytest.param([datetime.datetime(2020, 1, 1, tzinfo=BrokenZone())], "$[0]", "tzinfo", id="a broken time zone"),
    pytest.param([ArrayLike()], "$[0]", "ArrayLike", id="an array, that cannot even be compared"),
    pytest.param([None, {"deep": nested(125)}], "$[1].deep" + "[0]" * 124, "126 levels", id="nested too deep inside"),
]


@pytest.mark.parametrize(("value", "path", "reason"), REFUSED)
def test_what_the_engine_cannot_decode_is_refused_with_its_place(value: Any, path: str, reason: str) -> None:
    """The engine would drop the frame without an answer, and the caller would hang."""
    with pytest.raises(PayloadError, match=reason) as caught:
        encode(invoke(value))
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(("value", "path", "reason"), REFUSED)
def test_no_field_of_a_frame_is_exempt(value: Any, path: str, reason: str) -> None:
    """Results, configs, metadata and schemas are held to the same rules as payloads."""
    places: list[tuple[Any, str]] = [
        (wire.InvocationResult(ID, "f", result=value), "$"),
        (wire.RegisterTrigger("i", "t", "f", value), "$"),
        (wire.InvokeFunction("f", None, metadata=value), "metadata"),
        (wire.RegisterFunction("f", request_format=value), "request_format"),
    ]
    for frame, root in places:
        with pytest.raises(PayloadError, match=reason) as caught:
            encode(frame)
        assert caught.value.path == root + path[1:]


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        pytest.param(wire.InvokeFunction("f\ud800", 1), "function_id", id="the id of a function"),
        pytest.param(wire.InvokeFunction("f", 1, namespace="\udfff"), "namespace", id="a namespace"),
        pytest.param(wire.RegisterFunction("\ud800"), "id", id="the id of a registration"),
        pytest.param(
            wire.InvocationResult(ID, "f", error=wire.ErrorBody("c", "\ud800")), "error.message", id="an error message"
        ),
    ],
)
def test_text_around_the_payload_is_checked_too(frame: Any, path: str) -> None:
    """A file name from the system can hold a lone surrogate anywhere."""
    with pytest.raises(PayloadError, match="lone surrogate") as caught:
        encode(frame)
    assert caught.value.path == path


@pytest.mark.parametrize("kind", ["list", "dict", "attrs"])
def test_a_circular_structure_is_refused(kind: str) -> None:
    """It ends where nesting ends."""
    with pytest.raises(PayloadError, match="126 levels"):
        encode(invoke(_circular(kind)))


@pytest.mark.parametrize("container", ["list", "dict"])
def test_data_may_be_nested_126_deep_and_no_deeper(container: str) -> None:
    """The engine takes 127 containers, of which the frame is one."""
    encoded = encode(invoke(nested(126, container)))
    assert nesting(strict(encoded)) == 127
    with pytest.raises(PayloadError, match="126 levels"):
        encode(invoke(nested(127, container)))


def test_nesting_counts_what_attrs_and_dataclasses_add() -> None:
    """An instance is an object on the wire."""
    assert nesting(strict(encode(invoke(Basket(Reading(nested(124))))))) == 127
    with pytest.raises(PayloadError, match="126 levels") as caught:
        encode(invoke(Basket(Reading(nested(125)))))
    assert caught.value.path.startswith("$.items.value[0]")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("[{" * 500, id="brackets in text"),
        pytest.param([[]] * 500, id="many containers side by side"),
        pytest.param([None] * 500, id="many nulls"),
        pytest.param("null", id="the word null"),
        pytest.param({"null": [None, 1.5]}, id="null as a key"),
    ],
)
def test_what_only_looks_suspicious_is_sent(value: Any) -> None:
    """Nulls and brackets make the codec look twice, no more."""
    assert strict(encode(invoke(value)))["data"] == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(2**64 - 1, 2**64 - 1, id="the largest number"),
        pytest.param(-(2**63), -(2**63), id="the smallest number"),
        pytest.param((1, 2), [1, 2], id="a tuple is a list"),
        pytest.param(OrderedDict(a=1), {"a": 1}, id="a subclass of dict"),
        pytest.param(Word("w"), "w", id="a subclass of text"),
        pytest.param([Color.RED, None], ["red", None], id="an enumeration is its value"),
        pytest.param(Point(1, Point(2)), {"x": 1, "y": {"x": 2, "y": None}}, id="attrs instances"),
        pytest.param(Pair(1, None), {"left": 1, "_right": None}, id="a dataclass, private fields included"),
        pytest.param(uuid.UUID(ID), ID, id="a UUID"),
        pytest.param([None, datetime.date(2024, 2, 29)], [None, "2024-02-29"], id="a date"),
        pytest.param(datetime.time(1, 2, tzinfo=datetime.UTC), "01:02:00+00:00", id="a time with a zone"),
        pytest.param(datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05", id="a date and time"),
    ],
)
def test_values_become_this_json(value: Any, expected: Any) -> None:
    """What a user's value is on the wire."""
    assert strict(encode(invoke(value)))["data"] == expected


def test_only_the_fields_of_a_dataclass_are_sent() -> None:
    """What else lies in the instance, a cached property say, is none of the peer's business."""
    reading = Reading(1)
    reading.cached = math.nan  # type: ignore[attr-defined]
    assert strict(encode(invoke(reading)))["data"] == {"value": 1}


def test_a_value_is_never_compared() -> None:
    """A result that compares like an array is refused like any other object, and not with the error of its own."""
    for frame in (
        wire.InvocationResult(ID, "f", result=ArrayLike()),
        wire.InvokeFunction("f", 1, metadata=ArrayLike()),
    ):
        with pytest.raises(PayloadError, match="ArrayLike cannot be sent as JSON"):
            encode(frame)


def test_a_message_may_be_as_large_as_the_limit_and_no_larger() -> None:
    """The limit counts bytes of UTF-8, not characters."""
    frame = invoke("é" * 1000)
    size = len(encode(frame))
    assert size > 2000
    assert len(encode(frame, max_size=size)) == size
    with pytest.raises(PayloadError, match=f"{size} bytes, and at most {size - 1}") as caught:
        encode(frame, max_size=size - 1)
    assert caught.value.path == "$"


def test_the_limit_is_the_engines_own() -> None:
    """64 MiB, and one more byte makes the engine drop the connection."""
    overhead = len(encode(invoke("")))
    assert len(encode(invoke("x" * (64 * 1024 * 1024 - overhead)))) == MAX_MESSAGE_SIZE
    with pytest.raises(PayloadError, match="67108865 bytes"):
        encode(invoke("x" * (64 * 1024 * 1024 - overhead + 1)))


@given(anything)
@examples(500)
def test_what_is_sent_is_what_a_strict_reader_reads(value: Any) -> None:
    """A value is refused exactly when it has no JSON; otherwise a strict reader finds that JSON, within the limits."""
    try:
        expected = as_json(value)
    except Unsendable:
        with pytest.raises(PayloadError):
            encode(invoke(value))
    else:
        read = strict(encode(invoke(value)))
        assert repr(read["data"]) == repr(expected)
        assert nesting(read) <= 127


@given(st.integers(100, 140), st.lists(st.sampled_from(["list", "tuple", "dict", "attrs", "data"]), min_size=1))
@examples(60)
def test_nesting_is_counted_alike_whatever_nests(depth: int, kinds: list[str]) -> None:
    """Up to 126 levels of any mixture pass, and none beyond."""
    wraps: dict[str, Any] = {
        "list": lambda value: [value],
        "tuple": lambda value: (value,),
        "dict": lambda value: {"k": value},
        "attrs": Basket,
        "data": Reading,
    }
    value: Any = "innermost"
    for level in range(depth):
        value = wraps[kinds[level % len(kinds)]](value)
    if depth > 126:
        with pytest.raises(PayloadError, match="126 levels"):
            encode(invoke(value))
    else:
        assert nesting(strict(encode(invoke(value)))) == depth + 1
