"""Where a value has a fault: the place is exact, the first one counts, and it costs no recursion."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._wire.check import MAX_NESTING, find_fault, is_plain, jsonable
from iii_trio._wire.codec import encode
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import PayloadError
from tests._session_values import Pair, Point, Unsendable, anything, as_json, examples, json_values


@attrs.frozen
class Reserved:
    """A field that cannot be read."""

    secret: Any = attrs.field(init=False)


class Silent(datetime.tzinfo):
    """A time zone that fails and does not say why."""

    def _fail(self, when: datetime.datetime | None) -> Any:
        raise RuntimeError

    utcoffset = dst = tzname = _fail


@given(json_values)
@examples(100)
def test_json_has_no_fault(value: Any) -> None:
    """What is JSON already is not refused."""
    assert find_fault(value, root="$") is None


@given(anything)
@examples(200)
def test_a_fault_is_found_exactly_where_there_is_one(value: Any) -> None:
    """It agrees with a reading of the rules that knows no encoder."""
    try:
        as_json(value)
    except Unsendable:
        assert find_fault(value, root="$") is not None
    else:
        assert find_fault(value, root="$") is None


def test_the_first_fault_in_reading_order_is_named() -> None:
    """Depth first, from the left, as one reads the value."""
    fault = find_fault({"a": [1, {"b": {2j}}], "c": b""}, root="data")
    assert fault is not None
    assert fault.path == "data.a[1].b[0]"
    assert str(fault) == "data.a[1].b[0]: complex cannot be sent as JSON"


def test_a_value_deeper_than_python_recurses_has_a_fault_and_no_crash() -> None:
    """The walk keeps its own stack and stops at the limit."""
    value: Any = []
    for _ in range(100_000):
        value = [value]
    fault = find_fault(value, root="$")
    assert fault is not None
    assert fault.path == "$" + "[0]" * (MAX_NESTING - 1)


def test_what_is_equal_to_a_scalar_but_is_none_is_no_scalar() -> None:
    """An object that merely claims to be a UUID has no JSON."""
    fault = find_fault([type("UUID", (), {})()], root="$")
    assert fault is not None
    assert "UUID cannot be sent" in str(fault)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(Reserved(), "secret", id="the reason is the object's own"),
        pytest.param(
            datetime.datetime(2020, 1, 1, tzinfo=Silent()),
            "datetime cannot be read: RuntimeError",
            id="and its class where it says nothing",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_a_fault(value: Any, reason: str) -> None:
    """Whatever its own code raises stays inside."""
    fault = find_fault({"v": value}, root="$")
    assert fault is not None
    assert fault.path == "$.v"
    assert reason in str(fault)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(Point(1, [2]), {"x": 1, "y": [2]}, id="an attrs instance"),
        pytest.param(Pair(1, {2}), {"left": 1, "_right": {2}}, id="a dataclass, one level deep"),
        pytest.param(datetime.date(2024, 1, 2), "2024-01-02", id="a date"),
        pytest.param({(1,)}, [(1,)], id="a set, one level deep"),
        pytest.param(frozenset(), [], id="an empty frozenset"),
    ],
)
def test_what_stands_for_a_value(value: Any, expected: Any) -> None:
    """Only the value itself is replaced; what is inside is somebody else's turn."""
    assert jsonable(value) == expected


@pytest.mark.parametrize("value", [1j, b"", object(), Point], ids=["complex", "bytes", "object", "class"])
def test_nothing_stands_for_the_rest(value: Any) -> None:
    """The encoder asks only for what it does not know."""
    with pytest.raises(TypeError, match="cannot be sent as JSON"):
        jsonable(value)


# ---- a look at few values -------------------------------------------------------------------------------------------


@given(json_values | st.floats() | st.lists(st.floats()) | anything, st.integers(0, 50))
@examples(300)
def test_what_looks_plain_has_no_fault_that_the_encoder_lets_pass(value: Any, max_values: int) -> None:
    """Either the encoder refuses it, or there is nothing wrong with it."""
    if not is_plain(value, max_values):
        return
    try:
        orjson.dumps(value)
    except TypeError:
        return
    assert find_fault(value, root="$") is None


@pytest.mark.parametrize("depth", [MAX_NESTING - 1, MAX_NESTING, 10_000])
def test_what_is_nested_too_deep_is_not_plain(depth: int) -> None:
    """The frame is one level of it."""
    value: Any = "text"
    for _ in range(depth):
        value = [value]
    assert is_plain(value, 1_000_000) is (depth < MAX_NESTING)


def test_a_look_ends_where_it_may_see_no_more() -> None:
    """What is left unseen is not plain."""
    assert is_plain({"a": [1, 2], "b": "c"}, 5)
    assert not is_plain({"a": [1, 2], "b": "c"}, 4)
    assert not is_plain([0] * 1_000_000, 10)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), uuid.uuid4(), object(), {"a": (1, {2})}])
def test_what_is_no_plain_json_is_not_plain(value: Any) -> None:
    """It is for the longer look."""
    assert not is_plain(value, 100)
    assert not is_plain({"a": [value]}, 100)


@pytest.mark.parametrize("size", [10, 10_000])
@pytest.mark.parametrize("fault", [float("nan"), float("-inf")])
def test_a_fault_beside_a_long_text_is_found(size: int, fault: float) -> None:
    """However long."""
    with pytest.raises(PayloadError) as caught:
        encode(InvokeFunction("f", {"text": "x" * size, "number": [fault]}))
    assert caught.value.path == "$.number[0]"
