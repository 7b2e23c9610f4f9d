"""Topics beyond what the recordings show: subscribers that leave, what their configs mean, and what the listings say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker, uuid_of


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A publisher."""
    return bench.worker("publisher")


def subscribe(worker: Worker, binding_id: str, config: Any, function_id: str = "on", **fields: Any) -> None:
    """A function and a binding of it."""
    worker.sends("registerfunction", id=function_id)
    worker.sends(
        "registertrigger",
        id=binding_id,
        trigger_type="durable:subscriber",
        function_id=function_id,
        config=config,
        **fields,
    )


def subscriber(bench: Bench, name: str = "subscriber", **queue_config: Any) -> Worker:
    """A worker that is subscribed to the topic `t`."""
    worker = bench.worker(name)
    subscribe(worker, f"{name}::binding", {"topic": "t", "queue_config": queue_config})
    return worker


def publish(worker: Worker, data: Any, topic: str = "t") -> None:
    """One message."""
    (answer,) = worker.calls("iii::durable::publish", {"topic": topic, "data": data}, call=1)
    assert "result" not in answer
    assert "error" not in answer


def ends(bench: Bench, worker: Worker, asked: Any, error: str | None = None) -> None:
    """The answer of a subscriber, and what comes of it at once."""
    outcome = {"result": None} if error is None else {"error": {"code": "E", "message": error}}
    worker.sends("invocationresult", invocation_id=asked["invocation_id"], function_id="on", **outcome)
    bench.passes(0)


def stats(worker: Worker, topic: str = "t") -> tuple[int, int, int]:
    """Depth, subscribers and dead letters."""
    told = worker.result_of("engine::queue::topic_stats", {"topic": topic})
    assert told.pop("config") is None
    return told["depth"], told["consumer_count"], told["dlq_depth"]


# ---- delivery -------------------------------------------------------------------------------------------------------


def test_every_function_in_every_namespace_gets_a_copy(bench: Bench, worker: Worker) -> None:
    """Two bindings of one function compete for one."""
    one = subscriber(bench)
    subscribe(one, "second", {"topic": "t"})
    subscribe(one, "other", {"topic": "t"}, "other")
    elsewhere = bench.worker("elsewhere", namespace="shop")
    subscribe(elsewhere, "third", {"topic": "t"}, namespace="shop")
    publish(worker, {"n": 1})
    taken = one.takes()
    assert [(frame["function_id"], frame["data"]) for frame in taken] == [("on", {"n": 1}), ("other", {"n": 1})]
    assert [frame["function_id"] for frame in elsewhere.takes()] == ["on"]
    assert stats(worker) == (3, 4, 0)


def test_a_message_waits_for_a_subscriber_that_left(bench: Bench, worker: Worker) -> None:
    """Its call ends with it and is a failed attempt; the one behind it is not tried in vain."""
    leaving = subscriber(bench, concurrency=1)
    publish(worker, 1)
    publish(worker, 2)
    assert [frame["data"] for frame in leaving.takes()] == [1]
    bench.engine.disconnect(leaving.link)
    bench.passes(60)
    successor = subscriber(bench, "successor", concurrency=1)
    (first,) = successor.takes()
    assert first["data"] == 1
    ends(bench, successor, first)
    (second,) = successor.takes()
    ends(bench, successor, second)
    assert (second["data"], stats(worker)) == (2, (0, 1, 0))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(None, id="null"),
        pytest.param({}, id="empty"),
        pytest.param({"topic": ""}, id="empty-topic"),
        pytest.param({"topic": 5}, id="number"),
        pytest.param([], id="array"),
    ],
)
def test_a_binding_without_a_topic_is_taken_and_never_fires(bench: Bench, worker: Worker, config: Any) -> None:
    """Nobody is told."""
    one = bench.worker("one")
    subscribe(one, "binding", config)
    publish(worker, 1)
    assert one.takes() == []
    one.sends("unregistertrigger", id="binding")
    assert one.takes() == []


def test_a_subscriber_says_how_often_it_wants_to_try(bench: Bench, worker: Worker) -> None:
    """Retries come on top of the first attempt, after a pause that doubles."""
    one = subscriber(bench, maxRetries=2, backoffDelayMs=100)
    publish(worker, 1)
    for pause in (0.1, 0.2):
        (asked,) = one.takes()
        ends(bench, one, asked, "no")
        assert one.takes() == []
        bench.passes(pause)
    (asked,) = one.takes()
    ends(bench, one, asked, "no")
    assert stats(worker) == (0, 1, 1)


def test_a_subscriber_may_want_one_at_a_time(bench: Bench, worker: Worker) -> None:
    """In order, and what failed comes again before the next."""
    one = subscriber(bench, type="fifo", backoffDelayMs=100)
    publish(worker, 1)
    publish(worker, 2)
    (asked,) = one.takes()
    ends(bench, one, asked, "no")
    bench.passes(0.1)
    (asked,) = one.takes()
    assert asked["data"] == 1


@pytest.mark.parametrize(
    "queue_config",
    [
        pytest.param({"maxRetries": -1, "backoffDelayMs": "1", "concurrency": True, "type": 5}, id="wrong-types"),
        pytest.param("fifo", id="no-object"),
    ],
)
def test_wishes_that_make_no_sense_are_ignored(bench: Bench, worker: Worker, queue_config: Any) -> None:
    """Ten at once and three attempts, a second apart, as for everybody."""
    one = bench.worker("one")
    subscribe(one, "binding", {"topic": "t", "queue_config": queue_config})
    for number in range(11):
        publish(worker, number)
    asked = one.takes()
    assert len(asked) == 10
    ends(bench, one, asked[0], "no")
    one.takes()
    bench.passes(0.99)
    assert one.takes() == []
    ends(bench, one, asked[1])
    bench.passes(0.01)
    assert [frame["data"] for frame in one.takes()] == [0]


def test_a_condition_that_fails_is_a_failed_attempt(bench: Bench, worker: Worker) -> None:
    """And says so in the dead letter."""
    one = bench.worker("one")
    config = {"topic": "t", "condition_function_id": "missing", "queue_config": {"maxRetries": 0}}
    subscribe(one, "binding", config)
    publish(worker, 1)
    bench.passes(0)
    (letter,) = worker.result_of("engine::queue::dlq_messages", {"topic": "t"})
    assert letter["error"] == (
        'Condition function error: ErrorBody { code: "function_not_found", '
        'message: "Function missing not found in namespace default", stacktrace: None }'
    )
    assert one.takes() == []


def test_a_function_keeps_its_copy_while_one_of_its_bindings_is_left(bench: Bench, worker: Worker) -> None:
    """And gets none afterwards."""
    one = subscriber(bench)
    subscribe(one, "second", {"topic": "t"})
    one.sends("unregistertrigger", id="second")
    publish(worker, 1)
    assert [frame["data"] for frame in one.takes()] == [1]
    one.sends("unregistertrigger", id="subscriber::binding")
    publish(worker, 2)
    assert one.takes() == []


# ---- listings -------------------------------------------------------------------------------------------------------


def test_the_named_queue_is_always_listed(worker: Worker) -> None:
    """Twice among the dead letters, as in the real engine."""
    assert worker.result_of("engine::queue::list_topics", None) == [
        {"name": "default", "broker_type": "builtin", "subscriber_count": 10}
    ]
    assert worker.result_of("engine::queue::dlq_topics", "anything") == [
        {"topic": "__fn_queue::default", "broker_type": "builtin", "message_count": 0},
        {"topic": "default", "broker_type": "function_queue", "message_count": 0},
    ]
    assert stats(worker, "default") == (0, 10, 0)
    publish(worker, 1, topic="default")
    assert stats(worker, "default") == (0, 10, 0)


def test_a_topic_is_listed_while_somebody_is_subscribed(bench: Bench, worker: Worker) -> None:
    """And its dead letters with it."""
    one = subscriber(bench, maxRetries=0)
    publish(worker, 1)
    (asked,) = one.takes()
    ends(bench, one, asked, "no")
    topics = worker.result_of("engine::queue::list_topics", {})
    assert topics[0] == {"name": "t", "broker_type": "builtin", "subscriber_count": 1}
    dead = worker.result_of("engine::queue::dlq_topics", {})
    assert dead[0] == {"topic": "t", "broker_type": "builtin", "message_count": 1}
    bench.engine.disconnect(one.link)
    assert [topic["name"] for topic in worker.result_of("engine::queue::list_topics", {})] == ["default"]
    assert stats(worker) == (0, 0, 0)
    subscriber(bench, "successor")
    assert stats(worker) == (0, 1, 1)
    assert worker.result_of("iii::queue::redrive", {"topic": "t"}) == {"queue": "t", "redriven": 1}


def test_what_nobody_was_subscribed_to_lies_under_the_name_of_the_topic(bench: Bench, worker: Worker) -> None:
    """Until somebody is: then it is out of sight, and never delivered."""
    publish(worker, 1)
    assert stats(worker) == (1, 0, 0)
    one = subscriber(bench)
    assert stats(worker) == (0, 1, 0)
    assert one.takes() == []


def test_dead_letters_are_shown_in_pages_newest_first(bench: Bench, worker: Worker) -> None:
    """Those of all subscribers of the topic."""
    one = subscriber(bench, maxRetries=0)
    subscribe(one, "other", {"topic": "t", "queue_config": {"maxRetries": 0}}, "other")
    for number in range(2):
        publish(worker, number)
        for asked in one.takes():
            ends(bench, one, asked, f"no {asked['function_id']}")
            bench.passes(2)
    letters = worker.result_of("engine::queue::dlq_messages", {"topic": "t"})
    assert [(letter["payload"], letter["error"].split('"')[3]) for letter in letters] == [
        (1, "no other"),
        (1, "no on"),
        (0, "no other"),
        (0, "no on"),
    ]
    page = worker.result_of("engine::queue::dlq_messages", {"queue": "t", "offset": 1, "limit": 2})
    assert page == letters[1:3]
    assert worker.result_of("engine::queue::dlq_messages", ["t", 4]) == []
    message = {"queue": "t", "message_id": letters[3]["id"]}
    assert worker.result_of("iii::queue::discard_message", message) == {**message, "redriven": 1}
    unknown = {"queue": "nobody", "message_id": uuid_of(1)}
    assert worker.result_of("iii::queue::redrive_message", unknown) == {**unknown, "redriven": 0}
