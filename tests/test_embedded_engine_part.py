"""The engine's own trigger types, where the recordings do not look."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._embedded.engine_part import FUNCTIONS_POLL
from tests.workers import Bench, Worker


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """Who listens."""
    worker = bench.worker("listener")
    worker.sends("registerfunction", id="f")
    return worker


def binds(worker: Worker, kind: str, binding: str = "b", **fields: Any) -> None:
    """A binding; its config is not looked at."""
    worker.sends("registertrigger", id=binding, trigger_type=kind, function_id="f", config=None, **fields)


def test_workers_are_told_of_at_once(bench: Bench, worker: Worker) -> None:
    """Coming before they have a name, and their end."""
    binds(worker, "engine::workers-available", metadata={"m": 1})
    other = bench.worker("other")
    bench.engine.disconnect(other.link)
    calls = worker.takes()
    assert [call["metadata"] for call in calls] == [{"m": 1}] * 3
    assert [call["data"] for call in calls] == [
        {"event": event, "worker_id": other.id}
        for event in ("worker_connected", "worker_metadata_updated", "worker_disconnected")
    ]


def test_a_worker_that_is_refused_its_name_is_no_news(bench: Bench, worker: Worker) -> None:
    """It came, and that is all."""
    binds(worker, "engine::workers-available")
    other = bench.connect()
    other.registers(name="listener")
    assert [call["data"]["event"] for call in worker.takes()] == ["worker_connected"]


def test_functions_are_looked_at_while_somebody_listens(bench: Bench, worker: Worker) -> None:
    """Every five seconds; without a binding there is nothing to wake up for."""
    assert bench.engine.next_deadline() is None
    binds(worker, "engine::functions-available")
    assert FUNCTIONS_POLL == 5.0
    assert bench.engine.next_deadline() == bench.now + 5.0
    bench.passes(5.0)
    assert worker.takes() == []
    other = bench.worker("other", namespace="ns")
    other.sends("registerfunction", id="g", metadata={"internal": True})
    bench.passes(4.9)
    assert worker.takes() == []
    bench.passes(0.1)
    (call,) = worker.takes()
    assert call["data"]["event"] == "functions_changed"
    rows = {row["function_id"]: row for row in call["data"]["functions"]}
    assert rows["g"] == {
        "function_id": "g",
        "namespace": "ns",
        "worker_name": "other",
        "metadata": {"internal": True},
    }
    assert {"f", "publish", "engine::workers::list"} < rows.keys()
    worker.sends("unregistertrigger", id="b")
    bench.passes(5.0)
    assert bench.engine.next_deadline() is None


def test_a_second_listener_changes_nothing_about_the_looks(bench: Bench, worker: Worker) -> None:
    """Both hear of the same change, and a changed description is none."""
    binds(worker, "engine::functions-available")
    bench.passes(3.0)
    worker.sends("registerfunction", id="f", description="changed")
    binds(worker, "engine::functions-available", "c")
    bench.passes(2.0)
    assert worker.takes() == []
    worker.sends("registerfunction", id="g")
    bench.passes(5.0)
    assert len(worker.takes()) == 2
    worker.sends("unregisterfunction", id="g")
    bench.passes(5.0)
    assert len(worker.takes()) == 2


def test_an_unowned_binding_keeps_what_it_was_given(worker: Worker) -> None:
    """Its target is in the default namespace, and metadata and config are shown."""
    data = {"trigger_type": "engine::workers-available", "function_id": "f", "config": {"c": 1}, "metadata": [2]}
    binding_id = worker.result_of("engine::register_trigger", data)["id"]
    told = worker.result_of("engine::registered-triggers::info", {"id": binding_id})
    assert (told["config"], told["metadata"], told["function"]["namespace"]) == ({"c": 1}, [2], "default")
