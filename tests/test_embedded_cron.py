"""Bindings that fire at times, where the recording does not look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker

MINUTELY = {"expression": "0 * * * * *"}


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A worker with a job. The time of day began at 2023-11-14T22:13:20."""
    worker = bench.worker("worker")
    worker.sends("registerfunction", id="f")
    return worker


def binds(worker: Worker, config: Any = MINUTELY, **fields: Any) -> None:
    """A job."""
    worker.sends("registertrigger", id="job", trigger_type="cron", function_id="f", config=config, **fields)
    assert worker.takes() == []


def runs(worker: Worker) -> list[Any]:
    """Calls of `f` since the last time, each answered."""
    calls = worker.takes()
    for call in calls:
        worker.sends("invocationresult", invocation_id=call["invocation_id"], function_id="f", result=False)
    return calls


def test_a_job_runs_at_its_times(bench: Bench, worker: Worker) -> None:
    """The core says when it is to be told the time."""
    binds(worker, metadata={"m": 1})
    assert bench.engine.next_deadline() == bench.now + 40
    bench.passes(39.9)
    assert runs(worker) == []
    bench.passes(0.5)
    (call,) = runs(worker)
    assert call["metadata"] == {"m": 1}
    assert call["data"] == {
        "trigger": "cron",
        "job_id": "job",
        "scheduled_time": "2023-11-14T22:14:00+00:00",
        "actual_time": "2023-11-14T22:14:00.400000+00:00",
    }
    bench.passes(59.6)
    assert runs(worker)[0]["data"]["actual_time"] == "2023-11-14T22:15:00+00:00"


def test_runs_do_not_overlap_and_what_passed_meanwhile_is_skipped(bench: Bench, worker: Worker) -> None:
    """The next time is looked for when the handler is done."""
    binds(worker)
    bench.passes(40.0)
    bench.passes(150.0)
    (call,) = worker.takes()
    assert bench.engine.next_deadline() is None
    worker.sends(
        "invocationresult", invocation_id=call["invocation_id"], function_id="f", error={"code": "E", "message": ""}
    )
    bench.passes(29.0)
    assert runs(worker) == []
    bench.passes(1.0)
    assert [call["data"]["scheduled_time"] for call in runs(worker)] == ["2023-11-14T22:17:00+00:00"]


def test_a_time_has_one_turn_when_the_clock_woke_up_early(bench: Bench, worker: Worker) -> None:
    """Floating point numbers may be a hair before it."""
    binds(worker, {"expression": "* * * * * *"})
    scheduled = []
    for _ in range(200):
        deadline = bench.engine.next_deadline()
        assert deadline is not None
        bench.now = deadline
        bench.passes(0.0)
        scheduled += [call["data"]["scheduled_time"] for call in runs(worker)]
    assert len(set(scheduled)) == len(scheduled) == 200


def test_a_missing_function_does_not_end_the_job(bench: Bench, worker: Worker) -> None:
    """It may come."""
    worker.sends("unregisterfunction", id="f")
    binds(worker)
    bench.passes(40.0)
    worker.sends("registerfunction", id="f")
    bench.passes(60.0)
    assert len(runs(worker)) == 1


@pytest.mark.parametrize("while_it_runs", [False, True])
def test_a_job_ends_with_its_binding(bench: Bench, worker: Worker, while_it_runs: bool) -> None:
    """Its id is free again."""
    binds(worker)
    if while_it_runs:
        bench.passes(40.0)
    worker.sends("unregistertrigger", id="job")
    runs(worker)
    assert bench.engine.next_deadline() is None
    binds(worker)
    assert bench.engine.next_deadline() is not None


def test_a_job_without_a_time_left_waits_for_nothing(bench: Bench, worker: Worker) -> None:
    """It is accepted all the same, and can be unregistered."""
    binds(worker, {"expression": "0 0 0 1 1 * 1999"})
    assert bench.engine.next_deadline() is None
    assert worker.result_of("engine::unregister_trigger", {"id": "job"}) == {"removed": True}


@pytest.mark.parametrize("config", [None, [], {}, {"expression": 5}, {"expression": ""}, {"schedule": "@daily"}])
def test_a_job_needs_an_expression(worker: Worker, config: Any) -> None:
    """Under that name."""
    assert worker.error_of(
        "engine::register_trigger", {"trigger_type": "cron", "function_id": "f", "config": config}
    ) == (
        "trigger_registration_failed",
        "Cron expression is required",
    )
