"""Publish and subscribe, where the recording does not look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A subscriber."""
    worker = bench.worker("subscriber")
    worker.sends("registerfunction", id="f")
    return worker


def subscribes(worker: Worker, binding: str, config: Any, **fields: Any) -> None:
    """A binding, without a refusal."""
    worker.sends("registertrigger", id=binding, trigger_type="subscribe", function_id="f", config=config, **fields)
    assert worker.takes() == []


def heard(worker: Worker) -> list[Any]:
    """What `f` was called with."""
    return [frame["data"] for frame in worker.takes()]


@pytest.mark.parametrize("config", [None, {}, {"topic": ""}, {"topic": 1}, ["t"]])
def test_a_binding_without_a_topic_is_taken_and_never_fires(bench: Bench, worker: Worker, config: Any) -> None:
    """Nor does its end harm anybody."""
    subscribes(worker, "good", {"topic": "t"})
    subscribes(worker, "b", config)
    worker.sends("unregistertrigger", id="b")
    bench.worker().calls("publish", {"topic": "t", "data": 1})
    assert heard(worker) == [1]


def test_the_answer_comes_before_the_delivery(worker: Worker) -> None:
    """Also for whoever hears itself."""
    subscribes(worker, "b", {"topic": "t"})
    answer, delivery = worker.calls("publish", {"topic": "t", "data": None}, call=1)
    assert answer["type"] == "invocationresult"
    assert "result" not in answer
    assert (delivery["data"], "metadata" in delivery) == (None, False)


def test_an_id_that_binds_again_hears_once_in_its_new_namespace(bench: Bench, worker: Worker) -> None:
    """The namespace is looked up at each delivery."""
    elsewhere = bench.worker(namespace="ns")
    elsewhere.sends("registerfunction", id="f")
    subscribes(worker, "b", {"topic": "t"})
    subscribes(worker, "b", {"topic": "t"}, namespace="ns")
    bench.worker().calls("publish", {"topic": "t", "data": 1})
    assert (heard(worker), heard(elsewhere)) == ([], [1])


def test_the_end_of_one_worker_silences_the_topic(bench: Bench, worker: Worker) -> None:
    """As the real engine does, and only that topic."""
    other = bench.worker("other")
    subscribes(other, "other", {"topic": "t"})
    subscribes(worker, "b", {"topic": "t"})
    subscribes(worker, "c", {"topic": "u"})
    bench.engine.disconnect(other.link)
    publisher = bench.worker()
    publisher.calls("publish", {"topic": "t", "data": 1})
    publisher.calls("publish", {"topic": "u", "data": 2})
    assert heard(worker) == [2]
