"""Streams as values: inputs and results, in the engine's own shapes."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.stream import (
    IStream,
    StreamDeleteInput,
    StreamDeleteResult,
    StreamGetInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSetInput,
    StreamSetResult,
    StreamUpdateInput,
    StreamUpdateResult,
)
from iii_trio._values.strict import strict_converter
from iii_trio._values.updates import UpdateRemove
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import invocations, results

STRUCTURE = strict_converter().structure


@pytest.mark.parametrize(
    "value",
    [
        StreamGetInput(stream_name="s", group_id="g", item_id="i"),
        StreamSetInput(stream_name="s", group_id="g", item_id="i", data=None),
        StreamDeleteInput(stream_name="s", group_id="g", item_id="i"),
        StreamListInput(stream_name="s", group_id=""),
        StreamListGroupsInput(stream_name="s"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_input_is_written_with_all_its_keys(value: Any) -> None:
    """Null and empty text included; and the dict makes the same input."""
    wire = jsonable(value)
    assert wire == {name: getattr(value, name) for name in wire}
    assert build(type(value), wire) == value


def test_operations_of_an_update_come_as_dicts() -> None:
    """As in state."""
    given = StreamUpdateInput(stream_name="s", group_id="g", item_id="i", ops=[{"type": "remove", "path": "a"}])
    assert given.ops == [UpdateRemove(path="a")]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"stream_name": "s", "group_id": "g"}, "StreamGetInput needs its item_id", id="no item"),
        pytest.param({"stream_name": 1, "group_id": "g", "item_id": "i"}, "stream_name must be str", id="a number"),
        pytest.param({"stream_name": "s", "group_id": None, "item_id": "i"}, "group_id must be str", id="None"),
        pytest.param({"stream_name": "s", "group_id": "g", "id": "i"}, "StreamGetInput has no id", id="another name"),
    ],
)
def test_what_the_engine_cannot_read_is_refused(given: dict[str, Any], reason: str) -> None:
    """Before it is sent, with the class and the field."""
    with pytest.raises(ConfigurationError, match=reason):
        build(StreamGetInput, given)


def test_recorded_results_are_structured() -> None:
    """Of writes, updates and deletions."""
    assert [STRUCTURE(result, StreamSetResult[Any]) for result in results("stream-trigger", "stream::set")]
    assert [STRUCTURE(result, StreamUpdateResult[Any]) for result in results("stream-trigger", "stream::update")]
    deleted = [STRUCTURE(result, StreamDeleteResult) for result in results("stream-trigger", "stream::delete")]
    assert {each.old_value is None for each in deleted} == {True, False}


def test_a_recorded_engine_calls_a_custom_stream_with_these_inputs() -> None:
    """With these keys and no others, so that a store of one's own gets the listed values."""
    inputs = {
        "get": StreamGetInput,
        "set": StreamSetInput,
        "delete": StreamDeleteInput,
        "list": StreamListInput,
        "list_groups": StreamListGroupsInput,
    }
    for operation, cls in inputs.items():
        payloads = invocations("stream-custom", f"stream::{operation}(cust)")
        assert payloads, operation
        assert all(build(cls, payload) for payload in payloads)


def test_an_interface_with_a_method_missing_cannot_be_made() -> None:
    """It would fail when the engine first asks."""

    class Half(IStream[int]):
        async def get(self, input: StreamGetInput) -> int | None:
            raise NotImplementedError

    with pytest.raises(TypeError, match=r"delete.*list.*list_groups.*set.*update"):
        Half()  # type: ignore[abstract]
