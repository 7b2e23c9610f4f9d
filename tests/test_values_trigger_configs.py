"""Configs of the engine's own trigger types: what they hold, how they are sent, and what is refused, and why."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from iii_trio._values.stream_events import StreamJoinLeaveTriggerConfig, StreamTriggerConfig
from iii_trio._values.trigger_configs import (
    CONFIGS,
    QUEUE,
    ConfigurationTriggerConfig,
    CronTriggerConfig,
    FunctionsAvailableTriggerConfig,
    HttpTriggerConfig,
    LogTriggerConfig,
    QueueTriggerConfig,
    StateTriggerConfig,
    SubscriberQueueConfig,
    SubscribeTriggerConfig,
    TraceTriggerConfig,
    WorkersAvailableTriggerConfig,
    check_config,
    route_path,
    route_shape,
    types_of,
)
from iii_trio._wire.codec import encode
from iii_trio._wire.messages import RegisterTrigger
from iii_trio.errors import ConfigurationError

SMALLEST: dict[str, Any] = {
    "http": {"api_path": "/a"},
    "cron": {"expression": "@daily"},
    "stream": {"stream_name": "chat"},
    "subscribe": {"topic": "t"},
    QUEUE: {"topic": "t"},
}
"""What the types that need something need."""


def smallest(trigger_type: str) -> dict[str, Any]:
    return dict(SMALLEST.get(trigger_type, {}))


def sent(config: Any) -> Any:
    """The config as it is on the wire."""
    return json.loads(encode(RegisterTrigger("t", "x", "f", config)))["config"]


# ---- what they hold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        pytest.param(
            HttpTriggerConfig(api_path="/a"),
            {"api_path": "/a", "http_method": "GET", "middleware_function_ids": []},
            id="http",
        ),
        pytest.param(
            HttpTriggerConfig(
                api_path="a/:id",
                http_method="post",
                condition_function_id="c",
                middleware_function_ids=["m"],
            ),
            {
                "api_path": "a/:id",
                "http_method": "POST",
                "condition_function_id": "c",
                "middleware_function_ids": ["m"],
            },
            id="http-all",
        ),
        pytest.param(CronTriggerConfig(expression="@daily"), {"expression": "@daily"}, id="cron"),
        pytest.param(StateTriggerConfig(), {}, id="state"),
        pytest.param(StateTriggerConfig(scope="", key="k"), {"scope": "", "key": "k"}, id="state-empty-scope"),
        pytest.param(StreamTriggerConfig(stream_name="chat"), {"stream_name": "chat"}, id="stream"),
        pytest.param(StreamJoinLeaveTriggerConfig(), {}, id="join"),
        pytest.param(SubscribeTriggerConfig(topic="t"), {"topic": "t"}, id="subscribe"),
        pytest.param(QueueTriggerConfig(topic="t"), {"topic": "t"}, id="queue"),
        pytest.param(
            QueueTriggerConfig(
                topic="t",
                queue_config=SubscriberQueueConfig(type="fifo", maxRetries=0, concurrency=1, backoffDelayMs=5),
            ),
            {
                "topic": "t",
                "queue_config": {"type": "fifo", "maxRetries": 0, "concurrency": 1, "backoffDelayMs": 5},
            },
            id="queue-all",
        ),
        pytest.param(
            QueueTriggerConfig(topic="t", queue_config={"visibilityTimeout": 5}),
            {"topic": "t", "queue_config": {"visibilityTimeout": 5}},
            id="queue-of-another-adapter",
        ),
        pytest.param(SubscriberQueueConfig(), {}, id="queue-config"),
        pytest.param(LogTriggerConfig(), {"level": "all"}, id="log"),
        pytest.param(TraceTriggerConfig(), {}, id="trace"),
        pytest.param(TraceTriggerConfig(status="OK"), {"status": "ok"}, id="trace-status"),
        pytest.param(ConfigurationTriggerConfig(), {}, id="configuration"),
        pytest.param(FunctionsAvailableTriggerConfig(), {}, id="functions"),
        pytest.param(WorkersAvailableTriggerConfig(), {}, id="workers"),
    ],
)
def test_a_config_is_sent_with_what_it_says(value: Any, wire: Any) -> None:
    """What was left out is left out on the wire too."""
    assert sent(value) == wire


@pytest.mark.parametrize("trigger_type", CONFIGS)
def test_every_type_takes_its_smallest_config(trigger_type: str) -> None:
    """As a value of its class, as a dict, and, where it needs nothing, as none; keys of newer engines go through."""
    config = smallest(trigger_type)
    value = CONFIGS[trigger_type](**config)
    assert trigger_type in types_of(value)
    check_config(trigger_type, value)
    check_config(trigger_type, config)
    check_config(trigger_type, {**config, "of_a_newer_engine": [1]})
    if not config:
        check_config(trigger_type, None)


@pytest.mark.parametrize("trigger_type", CONFIGS)
def test_null_is_the_same_as_nothing(trigger_type: str) -> None:
    """It is to the engine."""
    names = {field.name for field in attrs.fields(CONFIGS[trigger_type])} - smallest(trigger_type).keys()
    check_config(trigger_type, {**smallest(trigger_type), **dict.fromkeys(names)})


# ---- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger_type", "config", "reason"),
    [
        pytest.param("http", {}, "HttpTriggerConfig needs its api_path", id="http without a path"),
        pytest.param("http", {"api_path": 7}, "HttpTriggerConfig.api_path must be text", id="a path that is none"),
        pytest.param("http", {"api_path": " "}, "api_path must not be blank", id="a blank path"),
        pytest.param("http", {"api_path": "/*"}, r"no segment like '\*'", id="a star"),
        pytest.param("http", {"api_path": "/a/:/b"}, "no segment like ':'", id="a colon"),
        pytest.param("http", {"api_path": "/{a"}, r"has a segment '\{a'", id="an open brace"),
        pytest.param("http", {"api_path": "/a}"}, "has a segment 'a}'", id="a closed brace"),
        pytest.param("http", {"api_path": "/{}"}, "has a segment '{}'", id="a parameter without a name"),
        pytest.param("http", {"api_path": "/{*}"}, r"has a segment '\{\*}'", id="a rest without a name"),
        pytest.param("http", {"api_path": "/{*a}/b"}, r"has a segment '\{\*a}'", id="a rest in the middle"),
        pytest.param("http", {"api_path": "/{a}.json"}, "has a segment '{a}.json'", id="a parameter and more"),
        pytest.param("http", {"api_path": "/:a*"}, r"has a segment ':a\*'", id="a star in a name"),
        pytest.param("http", {"api_path": "/:{a}"}, "has a segment ':{a}'", id="two ways at once"),
        pytest.param("http", {"api_path": "/a", "http_method": "FETCH"}, "http_method must be 'GET' or", id="a method"),
        pytest.param(
            "http", {"api_path": "/a", "middleware_function_ids": "m"}, "must be a list, not str", id="one middleware"
        ),
        pytest.param(
            "http", {"api_path": "/a", "middleware_function_ids": [""]}, "must not be blank", id="a blank one"
        ),
        pytest.param("cron", {}, "CronTriggerConfig needs its expression", id="cron without one"),
        pytest.param("cron", {"schedule": "@daily"}, "CronTriggerConfig needs its expression", id="another key"),
        pytest.param("cron", {"expression": "* * * * *"}, "must have six fields", id="five fields"),
        pytest.param("cron", {"expression": "* * * * * * * *"}, "must have six fields", id="eight fields"),
        pytest.param("cron", {"expression": "@often"}, "must have six fields", id="no schedule of this name"),
        pytest.param("cron", {"expression": ""}, "must not be blank", id="a blank expression"),
        pytest.param("state", {"scope": 7}, "StateTriggerConfig.scope must be str", id="a scope that is no text"),
        pytest.param("state", {"key": ["k"]}, "StateTriggerConfig.key must be str", id="a key that is none"),
        pytest.param("state", [], "config of a 'state' trigger is an object, not list", id="a list"),
        pytest.param("state", {"condition_function_id": " "}, "must not be blank", id="a blank condition"),
        pytest.param("stream", None, "StreamTriggerConfig needs its stream_name", id="a stream without a name"),
        pytest.param("stream", {"stream_name": "a", "group_id": 1}, "group_id must be str", id="a group"),
        pytest.param("subscribe", {}, "SubscribeTriggerConfig needs its topic", id="no topic"),
        pytest.param("subscribe", {"topic": ""}, "topic must not be blank", id="a blank topic"),
        pytest.param(QUEUE, None, "QueueTriggerConfig needs its topic", id="a queue without a topic"),
        pytest.param(
            QUEUE, {"topic": "t", "queue_config": []}, "queue_config must be SubscriberQueueConfig", id="list"
        ),
        pytest.param(
            QUEUE, {"topic": "t", "queue_config": {"maxRetries": "3"}}, "maxRetries must be a whole", id="text retries"
        ),
        pytest.param(
            QUEUE, {"topic": "t", "queue_config": {"concurrency": 0}}, "must be at least 1", id="none at once"
        ),
        pytest.param(QUEUE, {"topic": "t", "queue_config": {"type": "lifo"}}, "must be 'standard' or", id="no order"),
        pytest.param(
            QUEUE, {"topic": "t", "queue_config": {"backoffDelayMs": -1}}, "must be at least 0", id="back in time"
        ),
        pytest.param("log", {"level": "warning"}, "LogTriggerConfig.level must be 'all' or", id="no level"),
        pytest.param("trace", {"status": "fine"}, "TraceTriggerConfig.status must be 'ok' or", id="no status"),
        pytest.param("configuration", {"configuration_id": "A B"}, "must be 1 to 64 of a-z", id="an impossible id"),
        pytest.param("configuration", {"event_types": []}, "would never fire", id="no event"),
        pytest.param("configuration", {"event_types": ["updated"]}, "must be 'configuration:registered'", id="short"),
        *(
            pytest.param(
                each,
                {**smallest(each), "condition_function_id": "c"},
                f"asks no condition_function_id before a '{each}' trigger",
                id=f"a condition of {each}",
            )
            for each in ("subscribe", "stream:join", "stream:leave", "log", "trace", "engine::workers-available")
        ),
    ],
)
def test_what_can_never_work_is_refused(trigger_type: str, config: Any, reason: str) -> None:
    """The error names the field; the engine would refuse it, ignore it in silence, or break on it."""
    with pytest.raises(ConfigurationError, match=reason):
        check_config(trigger_type, config)


@pytest.mark.parametrize(
    "expression",
    [
        "0 */5 * * * *",
        "0 0 9 * * Mon 2030",
        "@yearly",
        "@monthly",
        "@weekly",
        "@daily",
        "@hourly",
        "0 1 , 2 - 5 * * * *",
    ],
)
def test_an_expression_has_six_fields_or_seven_or_a_name(expression: str) -> None:
    """Spaces around what joins the parts of a field do not count; what the fields say is the engine's to judge."""
    assert CronTriggerConfig(expression=expression).expression == expression


@pytest.mark.parametrize("path", ["/", "", "a", "/users/:id", "/users/{id}", "/f/{*rest}", "a*/b:c", "/a//b/"])
def test_a_path_that_the_router_takes_is_taken(path: str) -> None:
    """Parameters are whole segments, and a rest is the last; elsewhere a star or a colon is a character like others."""
    if path:
        check_config("http", {"api_path": path})
    assert route_shape(path) == route_shape("/" + path.removeprefix("/"))


def test_a_typed_config_belongs_to_its_own_type() -> None:
    """Another type is a mistake, even one that nobody knows here."""
    for other in ("state", "webhook"):
        with pytest.raises(ConfigurationError, match=f"CronTriggerConfig is no config of a '{other}' trigger"):
            check_config(other, CronTriggerConfig(expression="@daily"))
    assert types_of(StreamJoinLeaveTriggerConfig()) == ["stream:join", "stream:leave"]
    assert types_of({"expression": "@daily"}) == []


def test_routes_of_one_shape_differ_in_names_alone() -> None:
    """Whatever the way in which a parameter is written, and with or without the leading slash."""
    assert route_shape("/users/:id/x") == route_shape("users/{name}/x") == "users/{}/x"
    assert route_shape("/users/:id") != route_shape("/users/all")
    assert route_path("/users/:id") == route_path("users/{id}") != route_path("users/:name")
