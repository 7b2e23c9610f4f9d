"""What the engine tells of trigger types and bindings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker

TYPES, TYPE = "engine::triggers::list", "engine::triggers::info"
BINDINGS, BINDING = "engine::registered-triggers::list", "engine::registered-triggers::info"
LONG = {"z": "x" * 80, "a": 1}


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A worker with a type and bindings."""
    nameless = bench.worker()
    nameless.sends("registertriggertype", id="odd::kind", description="Of nobody")
    worker = bench.worker("shop")
    worker.sends("registertriggertype", id="Sale", description="Something SOLD", call_request_format={"c": 1})
    worker.sends("registerfunction", id="shop::f")
    worker.sends("registertrigger", id="b", trigger_type="Sale", function_id="shop::f", config=LONG)
    worker.sends("registertrigger", id="a", trigger_type="Sale", function_id="later::g", config="é" * 40)
    worker.sends("registertrigger", id="c", trigger_type="subscribe", function_id="engine::x", config={})
    worker.sends("registertrigger", id="parked", trigger_type="none", function_id="shop::f", config={})
    worker.takes()
    return worker


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({"worker": "shop"}, ["Sale"], id="worker"),
        pytest.param({"worker": "odd"}, ["odd::kind"], id="nameless-worker-has-the-first-part"),
        pytest.param({"worker": "iii-cron"}, ["cron"], id="part"),
        pytest.param({"search": "sold"}, ["Sale"], id="description"),
        pytest.param({"search": "KIND"}, ["odd::kind"], id="id"),
        pytest.param({"prefix": "engine::"}, [], id="internal-are-hidden"),
        pytest.param(
            {"prefix": "engine::", "include_internal": True},
            ["engine::functions-available", "engine::workers-available"],
            id="internal",
        ),
    ],
)
def test_types_are_listed_as_asked(worker: Worker, query: dict[str, Any], found: list[str]) -> None:
    """Sorted by id."""
    assert [row["id"] for row in worker.result_of(TYPES, query)["triggers"]] == found


def test_all_types_are_sorted_by_id(worker: Worker) -> None:
    """Those of workers and those of the engine."""
    ids = [row["id"] for row in worker.result_of(TYPES, {})["triggers"]]
    assert {"Sale", "odd::kind", "configuration", "cron", "subscribe"} <= {*ids}
    assert ids == sorted(ids)


def test_a_type_is_told_with_the_schemas_it_has(worker: Worker) -> None:
    """And how many live bindings there are to its id."""
    assert worker.result_of(TYPE, {"id": "Sale"}) == {
        "id": "Sale",
        "namespace": "default",
        "worker_name": "shop",
        "description": "Something SOLD",
        "request_schema": {"c": 1},
        "instance_count": 2,
    }
    assert worker.error_of(TYPE, {"id": "Sale", "namespace": "ns"}) == (
        "NOT_FOUND",
        "Trigger type 'Sale' is not registered in namespace 'ns'.",
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({}, ["a", "b"], id="all-but-internal-and-parked"),
        pytest.param({"include_internal": True, "trigger_type": "subscribe"}, ["c"], id="internal"),
        pytest.param({"trigger_type": "Sale"}, ["a", "b"], id="type"),
        pytest.param({"function_id": "shop::f"}, ["b"], id="function"),
        pytest.param({"worker": "shop"}, ["b"], id="worker-of-the-function"),
        pytest.param({"worker": "later"}, ["a"], id="first-part-of-a-function-that-is-not-there"),
        pytest.param({"search": "G"}, ["a"], id="search"),
        pytest.param({"search": "sale"}, ["a", "b"], id="search-in-types"),
    ],
)
def test_bindings_are_listed_as_asked(worker: Worker, query: dict[str, Any], found: list[str]) -> None:
    """Sorted by id."""
    assert [row["id"] for row in worker.result_of(BINDINGS, query)["registered_triggers"]] == found


def test_a_config_is_shown_in_full_and_in_80_characters(worker: Worker) -> None:
    """Keys are sorted there."""
    short, cut = worker.result_of(BINDINGS, {})["registered_triggers"]
    assert short["config_summary"] == f'"{"é" * 40}"'
    assert cut["config"] == LONG
    assert cut["config_summary"] == '{"a":1,"z":"' + "x" * 68 + "…"


def test_a_binding_is_told_with_its_type_and_its_function(worker: Worker) -> None:
    """Each null when there is none."""
    told = worker.result_of(BINDING, {"id": "b"})
    assert told.keys() == {"id", "trigger_type", "function_id", "worker_name", "config", "trigger", "function"}
    assert told["trigger"]["id"] == "Sale"
    assert told["function"]["registered_triggers"] == [{"id": "b", "trigger_type": "Sale", "config": LONG}]
    assert worker.result_of(BINDING, {"id": "a"})["function"] is None
    assert worker.error_of(BINDING, {"id": "parked"}) == ("NOT_FOUND", "Registered trigger 'parked' was not found.")


def test_a_worker_is_told_with_its_types_and_the_bindings_to_its_functions(bench: Bench, worker: Worker) -> None:
    """Whoever made them; of workers and parts alike."""
    told = worker.result_of("engine::workers::info", {"name": "shop"})
    assert [row["id"] for row in told["trigger_types"]] == ["Sale"]
    assert [row["id"] for row in told["registered_triggers"]] == ["b"]
    worker.sends("registertrigger", id="p", trigger_type="Sale", function_id="publish", config={})
    worker.takes()
    part = worker.result_of("engine::workers::info", {"name": "iii-pubsub"})
    assert [row["id"] for row in part["trigger_types"]] == ["subscribe"]
    assert [row["id"] for row in part["registered_triggers"]] == ["p"]
    assert [row["function_id"] for row in part["functions"]] == ["publish"]
    assert part["worker"]["internal"] is False
    assert worker.result_of("engine::workers::info", {"name": "configuration"})["worker"]["internal"] is True
