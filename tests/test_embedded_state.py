"""State beyond what the recordings show: who hears of a change, in which order, and in which namespace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """With a handler and a condition."""
    worker = bench.worker("one")
    for function_id in ("on", "other", "condition"):
        worker.sends("registerfunction", id=function_id)
    return worker


def watch(worker: Worker, binding_id: str, function_id: str = "on", **fields: Any) -> None:
    """Bind a function to state."""
    worker.sends(
        "registertrigger", id=binding_id, trigger_type="state", function_id=function_id, **{"config": {}, **fields}
    )


def told(worker: Worker) -> list[tuple[str, str]]:
    """Who is called, and about what."""
    return [(frame["function_id"], frame["data"]["event_type"]) for frame in worker.takes()]


def test_whoever_wrote_has_the_answer_before_the_event_comes(worker: Worker) -> None:
    """Also on the same connection."""
    watch(worker, "t")
    answer, event = worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=1)
    assert answer["result"] == {"old_value": None, "new_value": 1}
    assert event["data"]["event_type"] == "state:created"


def test_the_bindings_of_one_write_are_called_one_after_the_other(worker: Worker) -> None:
    """Those of the next write do not wait for them."""
    watch(worker, "t1")
    watch(worker, "t2", "other")
    _, first = worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=1)
    assert first["function_id"] == "on"
    _, second = worker.calls("state::delete", {"scope": "s", "key": "k"}, call=2)
    assert second["data"]["event_type"] == "state:deleted"
    worker.sends("invocationresult", invocation_id=first["invocation_id"], function_id="on", result=None)
    assert told(worker) == [("other", "state:created")]


@pytest.mark.parametrize(
    ("config", "hears"),
    [
        pytest.param({}, True, id="all"),
        pytest.param({"scope": None, "key": None, "more": 1}, True, id="nulls-and-more"),
        pytest.param({"scope": "s"}, True, id="scope"),
        pytest.param({"key": "k"}, True, id="key"),
        pytest.param(["s", "k", None], True, id="array"),
        pytest.param({"scope": "other"}, False, id="other-scope"),
        pytest.param({"key": ""}, False, id="empty-key"),
    ],
)
def test_a_binding_hears_of_what_it_asked_for(worker: Worker, config: Any, hears: bool) -> None:
    """Exactly that."""
    watch(worker, "t", config=config)
    worker.sends("invokefunction", function_id="state::update", data={"scope": "s", "key": "k", "ops": []})
    assert told(worker) == ([("on", "state:created")] if hears else [])


def test_a_config_that_does_not_fit_is_refused(worker: Worker) -> None:
    """In the engine's words; a live binding with the same id stays."""
    watch(worker, "t", config={"scope": 5})
    (refusal,) = worker.takes()
    assert refusal["error"] == {
        "code": "trigger_registration_failed",
        "message": "Failed to parse trigger config: invalid type: integer `5`, expected a string",
    }


def test_a_condition_that_cannot_be_asked_forbids_the_call(bench: Bench, worker: Worker) -> None:
    """And one that says anything but false allows it."""
    watch(worker, "t1", config={"condition_function_id": "missing"})
    watch(worker, "t2", "other", config={"condition_function_id": "condition"})
    worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=1)
    bench.passes(0)
    (asked,) = worker.takes()
    assert asked["function_id"] == "condition"
    worker.sends("invocationresult", invocation_id=asked["invocation_id"], function_id="condition", result=0)
    assert told(worker) == [("other", "state:created")]


def test_a_binding_that_is_gone_hears_nothing(bench: Bench, worker: Worker) -> None:
    """Unregistered, or left with its worker."""
    listener = bench.worker("two", namespace="shop")
    listener.sends("registerfunction", id="on")
    watch(listener, "t1", namespace="shop")
    watch(worker, "t2")
    worker.sends("unregistertrigger", id="t2")
    worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=1)
    assert told(worker) == []
    assert told(listener) == [("on", "state:created")]
    bench.engine.disconnect(listener.link)
    worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=2)
    assert worker.takes() == []


def test_a_restart_forgets_everything(bench: Bench, worker: Worker) -> None:
    """It is kept in memory."""
    worker.calls("state::set", {"scope": "s", "key": "k", "value": 1}, call=1)
    bench.engine.restart()
    assert bench.worker("three").result_of("state::list_groups", {}) == {"groups": []}
