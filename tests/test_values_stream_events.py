"""What streams tell functions and what the functions answer."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.stream_events import (
    StreamAuthInput,
    StreamAuthResult,
    StreamChangeEvent,
    StreamChangeEventDetail,
    StreamJoinLeaveEvent,
    StreamJoinLeaveTriggerConfig,
    StreamJoinResult,
    StreamSentEvent,
    StreamSentEventDetail,
    StreamTriggerConfig,
)
from iii_trio._values.strict import strict_converter
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import invocations, results

STRUCTURE = strict_converter().structure


def test_recorded_events_are_structured() -> None:
    """Changes have their item, and what was sent is told from them by its type."""
    events = [STRUCTURE(data, StreamChangeEvent) for data in invocations("stream-trigger", "stt::on")]
    assert {event.event.type for event in events} == {"create", "update", "delete", "event"}
    assert events[0] == StreamChangeEvent(
        type="stream",
        timestamp=1,
        streamName="stt",
        groupId="g",
        id="a",
        event=StreamChangeEventDetail(type="create", data={"n": 1}),
    )
    sent = [event.event for event in events if isinstance(event.event, StreamSentEventDetail)]
    assert sent[0] == StreamSentEventDetail(type="event", event=StreamSentEvent(type="typing", data={"u": 1}))


def test_recorded_joins_and_leaves_are_structured() -> None:
    """With an item or for the whole group."""
    payloads = [*invocations("stream-socket", "ss::join"), *invocations("stream-socket", "ss::leave")]
    events = [STRUCTURE(data, StreamJoinLeaveEvent) for data in payloads]
    assert {event.stream_name for event in events} == {"sock"}
    assert any(event.id is None for event in events)
    assert any(event.id == "i" for event in events)


def test_a_refusal_is_written_as_the_engine_reads_it() -> None:
    """It is what the recorded handlers answered."""
    answers = results("stream-socket", "ss::join")
    assert jsonable(StreamJoinResult(unauthorized=True)) in answers
    assert jsonable(StreamJoinResult(unauthorized=False)) in answers
    with pytest.raises(ConfigurationError, match=r"StreamJoinResult\.unauthorized must be True or False"):
        StreamJoinResult(unauthorized="yes")  # type: ignore[arg-type]


def test_a_login_is_structured_and_answered() -> None:
    """The answer may say nothing."""
    tree = {"headers": {"a": "b"}, "path": "/", "query_params": {"k": ["v"]}, "addr": "127.0.0.1:1"}
    assert STRUCTURE(tree, StreamAuthInput).query_params == {"k": ["v"]}
    assert jsonable(StreamAuthResult()) == {"context": None}


def test_a_trigger_config_needs_no_more_than_a_stream() -> None:
    """What is None matches all."""
    config = StreamTriggerConfig(stream_name="chat")
    assert (config.group_id, config.item_id, config.condition_function_id) == (None, None, None)
    assert build(StreamTriggerConfig, {"stream_name": "chat", "group_id": ""}).group_id == ""
    assert StreamJoinLeaveTriggerConfig().condition_function_id is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"stream_name": ""}, "stream_name must not be blank", id="a blank stream, which hangs the engine"),
        pytest.param({"stream_name": None}, "stream_name must be text", id="none at all"),
        pytest.param({"group_id": 1}, "group_id must be str", id="a number for a group"),
        pytest.param({"item_id": 1}, "item_id must be str", id="for an item"),
        pytest.param({"condition_function_id": ""}, "condition_function_id must not be blank", id="a blank condition"),
    ],
)
def test_a_trigger_config_that_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """Before it is sent."""
    with pytest.raises(ConfigurationError, match=f"StreamTriggerConfig.{reason}"):
        StreamTriggerConfig(**{"stream_name": "chat", **fields})
    if "condition_function_id" in fields:
        with pytest.raises(ConfigurationError, match=f"StreamJoinLeaveTriggerConfig.{reason}"):
            StreamJoinLeaveTriggerConfig(**fields)
