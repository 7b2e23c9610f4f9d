"""What the engine tells of functions and workers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker

LIST, INFO = "engine::functions::list", "engine::functions::info"
WORKERS, WORKER = "engine::workers::list", "engine::workers::info"


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A worker with some functions, and another one elsewhere."""
    other = bench.worker("mailer", namespace="mail", pid=2)
    other.sends("registerfunction", id="shop::sell", description="elsewhere")
    other.sends("registerfunction", id="mail::send")
    nameless = bench.worker(pid=3)
    nameless.sends("registerfunction", id="odd::one")
    worker = bench.worker("seller", pid=1, runtime="python")
    worker.sends("registerfunction", id="shop::sell", description="Sells", request_format={}, metadata={"a": 1})
    worker.sends("registerfunction", id="shop::hidden", metadata={"internal": True})
    worker.sends("registerfunction", id="engine::queue::enqueue", response_format={"b": 2})
    return worker


def names(rows: list[dict[str, Any]]) -> list[str]:
    """Ids with their namespaces, without what the parts of the engine bring."""
    parts = ("iii-state", "iii-stream", "iii-queue")
    return [f"{row['function_id']}@{row['namespace']}" for row in rows if row["worker_name"] not in parts]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param(
            {"workers": ["seller", "mailer", "odd"]},
            [
                "engine::queue::enqueue@default",
                "mail::send@mail",
                "odd::one@default",
                "shop::sell@mail",
                "shop::sell@default",
            ],
            id="all-workers",
        ),
        pytest.param({"prefix": "shop::s"}, ["shop::sell@mail", "shop::sell@default"], id="prefix"),
        pytest.param({"worker": "mailer"}, ["mail::send@mail", "shop::sell@mail"], id="worker"),
        pytest.param({"worker": "odd"}, ["odd::one@default"], id="nameless-worker-has-the-first-part"),
        pytest.param({"workers": ["mailer", "none"], "prefix": "mail"}, ["mail::send@mail"], id="workers"),
        pytest.param({"workers": [], "prefix": "mail"}, ["mail::send@mail"], id="no-workers-are-all"),
        pytest.param({"search": "SELL"}, ["shop::sell@mail", "shop::sell@default"], id="search"),
        pytest.param({"search": "elsewhere"}, ["shop::sell@mail"], id="description"),
        pytest.param({"search": "hidden", "include_internal": True}, ["shop::hidden@default"], id="internal"),
    ],
)
def test_functions_are_listed_as_asked(worker: Worker, query: dict[str, Any], found: list[str]) -> None:
    """Of all namespaces, without the internal ones, sorted by id."""
    assert names(worker.result_of(LIST, query)["functions"]) == found


def test_better_matches_come_first(worker: Worker) -> None:
    """A part of the id before any piece of it before the description."""
    worker.sends("registerfunction", id="a::resend")
    worker.sends("registerfunction", id="b", description="to send")
    found = worker.result_of(LIST, {"search": "send"})["functions"]
    assert names(found) == ["mail::send@mail", "a::resend@default", "b@default"]


def test_a_row_has_no_schemas_and_a_detail_has_them(worker: Worker) -> None:
    """What is not set is left out."""
    row = {
        "function_id": "shop::sell",
        "namespace": "default",
        "worker_name": "seller",
        "description": "Sells",
        "metadata": {"a": 1},
    }
    assert row in worker.result_of(LIST, {})["functions"]
    assert worker.result_of(INFO, {"function_id": "shop::sell"}) == {
        **row,
        "request_schema": {},
        "registered_triggers": [],
    }
    builtin = worker.result_of(INFO, {"function_id": "engine::workers::list"})
    assert builtin["worker_name"] == "iii-engine-functions"


def test_a_detail_is_looked_up_where_it_is_unambiguous(bench: Bench, worker: Worker) -> None:
    """In the default namespace, or the only one; strictly in a given one."""
    assert worker.result_of(INFO, {"function_id": "mail::send"})["namespace"] == "mail"
    assert worker.result_of(INFO, {"function_id": "shop::sell", "namespace": "mail"})["worker_name"] == "mailer"
    code, message = worker.error_of(INFO, {"function_id": "mail::send", "namespace": "default"})
    assert (code, message) == (
        "NOT_FOUND",
        "Function 'mail::send' is ambiguous: it is registered in namespace(s): mail. Pass `namespace` to select one.",
    )
    bench.worker(namespace="more").sends("registerfunction", id="mail::send")
    assert "namespace(s): mail, more." in worker.error_of(INFO, {"function_id": "mail::send"})[1]
    assert worker.error_of(INFO, {"function_id": "none"})[1] == "Function 'none' is not registered."


def test_several_details_can_be_asked_for(worker: Worker) -> None:
    """Each once, in the order of the question; a bad one does not fail the others."""
    entries = worker.result_of(INFO, {"function_ids": ["none", "odd::one", "none"]})["functions"]
    assert entries[0] == {"function_id": "none", "error": "not_found"}
    assert entries[1]["worker_name"] == "odd"
    assert len(entries) == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param({}, "missing field `function_id` (or `function_ids` for a batch)", id="neither"),
        pytest.param(
            {"function_id": "a", "function_ids": []}, "pass either `function_id` or `function_ids`, not both", id="both"
        ),
        pytest.param({"function_ids": []}, "`function_ids` must be a non-empty array of function ids", id="empty"),
        pytest.param({"function_ids": [str(n) for n in range(33)]}, "too many function_ids (max 32)", id="too-many"),
    ],
)
def test_a_senseless_question_is_refused(worker: Worker, query: dict[str, Any], message: str) -> None:
    """With a word of its own."""
    assert worker.error_of(INFO, query) == ("INVALID_ARGUMENTS", message)


def test_workers_are_listed_when_they_told_their_process(bench: Bench, worker: Worker) -> None:
    """Sorted by name, or by id for the nameless, the engine's own among them."""
    bench.worker("without-pid")
    everybody = worker.result_of(WORKERS, {})["workers"]
    engine = [row["name"] for row in everybody if row["runtime"] == "engine"]
    assert set(engine) > {"configuration", "iii-engine-functions"}
    assert engine == sorted(engine)
    rows = [row for row in everybody if row["name"] not in {*engine} - {"iii-engine-functions"}]
    assert [row["name"] for row in rows] == [None, "iii-engine-functions", "mailer", "seller"]
    assert rows[3] == {
        "name": "seller",
        "description": None,
        "version": None,
        "id": worker.id,
        "namespace": "default",
        "runtime": "python",
        "os": None,
        "status": "connected",
        "function_count": 3,
        "connected_at_ms": 1_700_000_000_000,
        "active_invocations": 1,
        "isolation": None,
        "ip_address": "127.0.0.1",
    }
    assert rows[1]["function_count"] == 12


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({"search": "SELL"}, ["seller"], id="search"),
        pytest.param({"runtime": "engine", "search": "engine"}, ["iii-engine-functions"], id="runtime"),
        pytest.param({"status": "available", "search": "cron"}, ["iii-cron"], id="status"),
        pytest.param({"search": "e", "status": "busy"}, [], id="none"),
    ],
)
def test_workers_are_filtered_as_asked(worker: Worker, query: dict[str, Any], found: list[str]) -> None:
    """All conditions hold."""
    assert [row["name"] for row in worker.result_of(WORKERS, query)["workers"]] == found


def test_one_worker_is_told_in_full(bench: Bench, worker: Worker) -> None:
    """Also one without a process id."""
    told = worker.result_of(WORKER, {"name": "seller"})
    assert told["worker"]["pid"] == 1
    assert told["worker"]["internal"] is False
    assert names(told["functions"]) == [
        "engine::queue::enqueue@default",
        "shop::hidden@default",
        "shop::sell@default",
    ]
    assert (told["trigger_types"], told["registered_triggers"]) == ([], [])
    bench.worker("without-pid")
    assert "pid" not in worker.result_of(WORKER, {"name": "without-pid"})["worker"]
    engine = worker.result_of(WORKER, {"name": "iii-engine-functions"})
    assert engine["worker"]["internal"] is True
    assert len(engine["functions"]) == engine["worker"]["function_count"] == 12


def test_a_worker_is_looked_up_where_its_name_is_unambiguous(bench: Bench, worker: Worker) -> None:
    """As a function is, with words of its own."""
    assert worker.result_of(WORKER, {"name": "mailer"})["worker"]["namespace"] == "mail"
    assert worker.result_of(WORKER, {"name": "mailer", "namespace": "mail"})["worker"]["pid"] == 2
    assert worker.error_of(WORKER, {"name": "mailer", "namespace": "default"}) == (
        "NOT_FOUND",
        "Worker 'mailer' is not connected in the requested namespace; it is connected in namespace(s): mail.",
    )
    bench.worker("mailer", namespace="more")
    assert worker.error_of(WORKER, {"name": "mailer"}) == (
        "NOT_FOUND",
        "Worker 'mailer' is ambiguous: it is connected in namespace(s): mail, more. Pass `namespace` to disambiguate.",
    )
    assert worker.error_of(WORKER, {"name": "none"})[1] == "Worker 'none' is not connected."
