"""Streams beyond what the recordings show: names with colons, filters, and workers that keep a stream themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker

ITEM = {"stream_name": "s", "group_id": "g", "item_id": "i"}


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """With a handler."""
    worker = bench.worker("one")
    worker.sends("registerfunction", id="on")
    return worker


def watch(worker: Worker, binding_id: str, **config: Any) -> None:
    """Bind the handler to a stream."""
    worker.sends("registertrigger", id=binding_id, trigger_type="stream", function_id="on", config=config)


def events(worker: Worker) -> list[Any]:
    """What the handler is told."""
    return [frame["data"]["event"] for frame in worker.takes()]


def ask(worker: Worker, function_id: str, data: Any) -> Any:
    """Call a function of a stream that the worker keeps; the call that reaches it."""
    (frame,) = worker.calls(function_id, data, call=1)
    return frame


def give(worker: Worker, asked: Any, **fields: Any) -> Any:
    """Answer it; what the caller gets."""
    worker.sends("invocationresult", invocation_id=asked["invocation_id"], function_id="f", **fields)
    (answer,) = worker.takes()
    return answer.get("error", answer.get("result"))


# ---- the store ------------------------------------------------------------------------------------------------------


def test_a_colon_in_a_name_confuses_the_listings_as_in_the_real_engine(worker: Worker) -> None:
    """Items themselves are found."""
    worker.result_of("stream::set", {**ITEM, "stream_name": "a:b", "group_id": "h", "data": 1})
    worker.result_of("stream::set", {**ITEM, "stream_name": "a", "group_id": "g", "data": 2})
    assert worker.result_of("stream::list_all", {}) == {"stream": [{"id": "a", "groups": ["b", "g"]}], "count": 1}
    assert worker.result_of("stream::list_groups", {"stream_name": "a"}) == ["b:h", "g"]
    assert worker.result_of("stream::list", {"stream_name": "a:b", "group_id": "h"}) == [1]


# ---- bindings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "heard"),
    [
        pytest.param({}, [1, 2, 3], id="stream"),
        pytest.param({"group_id": "", "item_id": ""}, [1, 2, 3], id="empty-filters"),
        pytest.param({"group_id": "g"}, [1, 2], id="group"),
        pytest.param({"item_id": "i"}, [1, 3], id="item"),
        pytest.param({"group_id": "g", "item_id": "i"}, [1], id="both"),
    ],
)
def test_a_binding_hears_of_what_it_asked_for(
    bench: Bench, worker: Worker, config: dict[str, Any], heard: list[int]
) -> None:
    """Of one stream, one group or one item."""
    watch(worker, "t", stream_name="s", **config)
    writer = bench.worker("writer")
    writer.result_of("stream::set", {**ITEM, "data": 1})
    writer.result_of("stream::set", {**ITEM, "item_id": "j", "data": 2})
    writer.result_of("stream::set", {**ITEM, "group_id": "h", "data": 3})
    writer.result_of("stream::set", {**ITEM, "stream_name": "other", "data": 4})
    assert [event["data"] for event in events(worker)] == heard


def test_an_event_has_the_time_in_milliseconds(bench: Bench, worker: Worker) -> None:
    """And it goes on with the engine's clock."""
    watch(worker, "t", stream_name="s")
    writer = bench.worker("writer")
    times = []
    for _ in range(2):
        writer.result_of("stream::send", {**ITEM, "type": "t", "data": 1})
        times += [frame["data"]["timestamp"] for frame in worker.takes()]
        bench.passes(1.5)
    assert times == [1_700_000_000_000, 1_700_000_001_500]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({}, "stream_name is required for stream triggers", id="no-name"),
        pytest.param({"stream_name": None}, "stream_name is required for stream triggers", id="null"),
        pytest.param({"stream_name": 1}, "Failed to deserialize stream trigger", id="number"),
        pytest.param(5, "Failed to deserialize stream trigger", id="no-object"),
    ],
)
def test_a_binding_that_cannot_work_is_refused(worker: Worker, config: Any, message: str) -> None:
    """Also where the real engine would fall silent for good."""
    worker.sends("registertrigger", id="t", trigger_type="stream", function_id="on", config=config)
    (refusal,) = worker.takes()
    assert refusal["error"] == {"code": "trigger_registration_failed", "message": message}
    worker.sends("ping")
    assert worker.takes() == [{"type": "pong"}]


def test_an_id_that_is_registered_again_hears_twice(bench: Bench, worker: Worker) -> None:
    """As in the real engine; once it is gone it hears nothing."""
    writer = bench.worker("writer")
    watch(worker, "t", stream_name="s")
    watch(worker, "t", stream_name="s", item_id="i")
    writer.result_of("stream::set", {**ITEM, "data": 1})
    (first,) = worker.takes()
    worker.sends("invocationresult", invocation_id=first["invocation_id"], function_id="on", result=None)
    assert events(worker) == [{"type": "create", "data": 1}]
    worker.sends("unregistertrigger", id="t")
    writer.result_of("stream::set", {**ITEM, "data": 2})
    assert events(worker) == []


def test_an_id_that_moved_to_another_stream_hears_of_both_until_it_is_gone(bench: Bench, worker: Worker) -> None:
    """The first name stays in the index, as in the real engine."""
    writer = bench.worker("writer")
    watch(worker, "t", stream_name="s")
    watch(worker, "t", stream_name="other")
    writer.result_of("stream::set", {**ITEM, "data": 1})
    writer.result_of("stream::set", {**ITEM, "stream_name": "other", "data": 2})
    assert [event["data"] for event in events(worker)] == [1, 2]
    worker.sends("unregistertrigger", id="t")
    writer.result_of("stream::set", {**ITEM, "data": 3})
    assert events(worker) == []


def test_a_binding_that_is_gone_leaves_the_others(bench: Bench, worker: Worker) -> None:
    """To the same stream."""
    watch(worker, "t1", stream_name="s")
    watch(worker, "t2", stream_name="s", item_id="i")
    worker.sends("unregistertrigger", id="t1")
    bench.worker("writer").result_of("stream::set", {**ITEM, "data": 1})
    assert events(worker) == [{"type": "create", "data": 1}]


def test_joins_and_leaves_can_be_bound(worker: Worker) -> None:
    """Nobody joins here, so nothing comes of it; the config is not read."""
    for kind in ("stream:join", "stream:leave"):
        worker.sends("registertrigger", id=kind, trigger_type=kind, function_id="on", config=None)
    assert worker.takes() == []


# ---- streams that a worker keeps ------------------------------------------------------------------------------------


def test_a_worker_is_asked_in_place_of_the_store(worker: Worker) -> None:
    """With the fields of the input, and without the caller's id."""
    worker.sends("registerfunction", id="stream::update(s)")
    asked = ask(worker, "stream::update", {**ITEM, "more": 1, "ops": [{"type": "set", "path": "a"}]})
    assert asked["function_id"] == "stream::update(s)"
    assert asked["data"] == {**ITEM, "ops": [{"type": "set", "path": "a", "value": None}]}
    assert give(worker, asked, result={"new_value": 1}) == {"old_value": None, "new_value": 1}


def test_a_worker_outside_of_the_default_namespace_is_never_asked(bench: Bench) -> None:
    """The store answers."""
    worker = bench.worker("two", namespace="shop")
    worker.sends("registerfunction", id="stream::list(s)")
    assert worker.result_of("stream::list", {"stream_name": "s", "group_id": "g"}) == []


def test_errors_of_operations_are_passed_on(worker: Worker) -> None:
    """As they are, without what is null."""
    worker.sends("registerfunction", id="stream::update(s)")
    error = {"op_index": 0, "code": "c", "message": "m"}
    asked = ask(worker, "stream::update", {**ITEM, "ops": []})
    result = {"old_value": 1, "new_value": 2, "errors": [{**error, "doc_url": None}]}
    assert give(worker, asked, result=result) == {"old_value": 1, "new_value": 2, "errors": [error]}


@pytest.mark.parametrize(
    ("operation", "answer", "code", "message"),
    [
        pytest.param(
            "delete",
            {"error": {"code": "C", "message": 'a "b"', "stacktrace": "t"}},
            "STREAM_DELETE_ERROR",
            'Failed to delete value: Failed to invoke function: ErrorBody { code: "C", message: "a \\"b\\"", '
            'stacktrace: Some("t") }',
            id="error",
        ),
        pytest.param(
            "update", {}, "STREAM_UPDATE_ERROR", "Failed to update value: Function returned no result", id="nothing"
        ),
        pytest.param(
            "set",
            {"result": 5},
            "JSON_ERROR",
            "Failed to convert result to value: invalid type: integer `5`, expected struct StreamSetResult",
            id="number",
        ),
        pytest.param(
            "update",
            {"result": {"new_value": 1, "errors": None}},
            "JSON_ERROR",
            "Failed to convert result to value: invalid type: null, expected a sequence",
            id="null-errors",
        ),
    ],
)
def test_an_answer_of_no_use_is_an_error(
    worker: Worker, operation: str, answer: dict[str, Any], code: str, message: str
) -> None:
    """And no event comes of it."""
    watch(worker, "t", stream_name="s")
    worker.sends("registerfunction", id=f"stream::{operation}(s)")
    asked = ask(worker, f"stream::{operation}", {**ITEM, "data": 1, "ops": []})
    assert give(worker, asked, **answer) == {"code": code, "message": message}
    assert events(worker) == []


def test_a_worker_that_leaves_gives_its_stream_back(bench: Bench, worker: Worker) -> None:
    """Whoever waits for it hears of its end."""
    keeper = bench.worker("keeper")
    keeper.sends("registerfunction", id="stream::get(s)")
    assert worker.calls("stream::get", ITEM, call=1) == []
    bench.engine.disconnect(keeper.link)
    (answer,) = worker.takes()
    assert answer["error"]["code"] == "invocation_stopped"
    (answer,) = worker.calls("stream::get", ITEM, call=2)
    assert "error" not in answer
    assert "result" not in answer
