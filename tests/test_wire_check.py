"""Where a value has a fault: the place is exact, the first one counts, and it costs no recursion."""

from __future__ import annotations

import datetime
from typing import Any

import attrs
import pytest
from hypothesis import given

from iii_trio._wire.check import MAX_NESTING, find_fault, jsonable
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
