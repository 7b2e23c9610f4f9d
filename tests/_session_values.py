"""What properties are about: JSON values, values that are none, and every frame, as strategies."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import uuid
from collections import namedtuple
from typing import Any, Final

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from iii_trio._wire import messages as wire

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**64 - 1


def examples(count: int) -> settings:
    """So many examples, however slow the machine is."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@attrs.frozen
class Point:
    """A value of a user's, as attrs has it."""

    x: Any
    y: Any = None


@dataclasses.dataclass
class Pair:
    """A value of a user's, as the standard library has it; one field is private."""

    left: Any
    _right: Any = None


class Color(enum.Enum):
    """An enumeration of text."""

    RED = "red"
    GREEN = "green"


Row = namedtuple("Row", "name value")

# ---- JSON -----------------------------------------------------------------------------------------------------------

texts: Final = st.text(max_size=8)
integers: Final = st.integers(MIN_INT, MAX_INT)
numbers: Final = integers | st.floats(allow_nan=False, allow_infinity=False)
json_values: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

# ---- whatever users may pass ----------------------------------------------------------------------------------------

_surrogates: Final = st.sampled_from(["\ud800", "a\udfff", "\udc80b"])
_faults: Final = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, MAX_INT + 1, MIN_INT - 1, 10**30]),
    st.sampled_from([b"bytes", {b"bytes"}, 1j, object(), object, Point, Row("a", 1), range(2)]),
    _surrogates,
)
_plain: Final = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    texts,
    st.datetimes(),
    st.dates(),
    st.times(timezones=st.just(datetime.UTC)),
    st.uuids(),
    st.sampled_from(Color),
    st.frozensets(texts, max_size=3),
    st.sampled_from([{1, 2}, set()]),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys: st.SearchStrategy[Any] = st.one_of(texts, texts, texts, _surrogates, st.integers(), st.none())
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
    )


anything: Final[st.SearchStrategy[Any]] = st.recursive(_plain | _plain | _faults, _containers, max_leaves=6)
"""Values that can be sent, and nearly as many that cannot."""


class Unsendable(Exception):
    """The value has no JSON."""


def as_json(value: Any) -> Any:
    """What a reader of the wire must find for `value`: the rules once more, and simpler than in the product.

    Raises:
        Unsendable: The engine could not read it.
    """
    match value:
        case None | bool() | uuid.UUID() | datetime.date() | datetime.time() | enum.Enum():
            return _as_scalar(value)
        case str():
            if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
                raise Unsendable(value)
            return value
        case int() if MIN_INT <= value <= MAX_INT:
            return value
        case float() if math.isfinite(value):
            return value
        case list():
            return [as_json(item) for item in value]
        case tuple() if type(value) is tuple:
            return [as_json(item) for item in value]
        case set() | frozenset():
            return [as_json(item) for item in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {as_json(key): as_json(item) for key, item in value.items()}
        case Point():
            return {"x": as_json(value.x), "y": as_json(value.y)}
        case Pair():
            return {"left": as_json(value.left), "_right": as_json(value._right)}
    raise Unsendable(value)


def _as_scalar(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value.value if isinstance(value, enum.Enum) else value


# ---- frames ---------------------------------------------------------------------------------------------------------

_ids: Final = st.uuids().map(str)
_maybe: Final = st.none() | texts
_errors: Final = st.builds(wire.ErrorBody, code=texts, message=texts, stacktrace=_maybe)
_actions: Final = st.none() | st.builds(wire.VoidAction) | st.builds(wire.EnqueueAction, queue=texts)
_http: Final = st.builds(
    wire.HttpInvocation,
    url=texts,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    timeout_ms=st.none() | st.integers(0, MAX_INT),
    headers=st.dictionaries(texts, texts, max_size=2),
    auth=json_values,
)

FRAMES: Final[dict[type[Any], st.SearchStrategy[Any]]] = {
    wire.InvokeFunction: st.builds(
        wire.InvokeFunction,
        function_id=texts,
        data=json_values,
        invocation_id=st.none() | _ids,
        action=_actions,
        namespace=_maybe,
        metadata=json_values,
        traceparent=_maybe,
        baggage=_maybe,
    ),
    wire.InvocationResult: st.builds(
        wire.InvocationResult,
        invocation_id=_ids,
        function_id=texts,
        result=st.just(wire.ABSENT) | json_values,
        error=st.none() | _errors,
        traceparent=_maybe,
        baggage=_maybe,
    ),
    wire.RegisterTrigger: st.builds(
        wire.RegisterTrigger,
        id=texts,
        trigger_type=texts,
        function_id=texts,
        config=json_values,
        metadata=json_values,
        namespace=_maybe,
        trigger_namespace=_maybe,
    ),
    wire.UnregisterTrigger: st.builds(wire.UnregisterTrigger, id=texts, trigger_type=_maybe),
    wire.TriggerRegistrationResult: st.builds(
        wire.TriggerRegistrationResult, id=texts, trigger_type=texts, function_id=texts, error=st.none() | _errors
    ),
    wire.Ping: st.builds(wire.Ping),
    wire.Pong: st.builds(wire.Pong),
    wire.RegisterFunction: st.builds(
        wire.RegisterFunction,
        id=texts,
        description=_maybe,
        request_format=json_values,
        response_format=json_values,
        metadata=json_values,
        invocation=st.none() | _http,
    ),
    wire.UnregisterFunction: st.builds(wire.UnregisterFunction, id=texts),
    wire.RegisterTriggerType: st.builds(
        wire.RegisterTriggerType,
        id=texts,
        description=texts,
        trigger_request_format=json_values,
        call_request_format=json_values,
        namespace=_maybe,
    ),
    wire.UnregisterTriggerType: st.builds(wire.UnregisterTriggerType, id=texts, namespace=_maybe),
    wire.RegisterService: st.builds(
        wire.RegisterService, id=texts, name=texts, description=_maybe, parent_service_id=_maybe
    ),
    wire.Reattach: st.builds(wire.Reattach, previous_worker_id=texts, reattach_token=_maybe),
    wire.WorkerRegistered: st.builds(
        wire.WorkerRegistered,
        worker_id=texts,
        reattach_token=_maybe,
        features=st.none() | st.lists(texts, max_size=2),
    ),
    wire.RegistrationRejected: st.builds(
        wire.RegistrationRejected,
        code=texts,
        namespace=texts,
        owner_worker_id=texts,
        worker_name=_maybe,
        function_id=_maybe,
    ),
    wire.LoginRefused: st.builds(wire.LoginRefused, error=_errors),
}
"""A strategy for every class of frame."""

frames: Final[st.SearchStrategy[Any]] = st.one_of(*FRAMES.values())
