"""Configuration entries and their events, where the recording does not look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker

SCHEMA = {"type": "integer"}
REGISTER, SET, GET = "configuration::register", "configuration::set", "configuration::get"


@pytest.fixture
def worker(bench: Bench) -> Worker:
    """A worker with a function to be told."""
    worker = bench.worker("worker")
    worker.sends("registerfunction", id="f")
    worker.sends("registerfunction", id="c")
    return worker


def registers(worker: Worker, entry: str = "e", **fields: Any) -> Any:
    """An entry."""
    (answer, *_) = worker.calls(
        REGISTER, {"id": entry, "name": "n", "description": "d", "schema": SCHEMA, **fields}, call=1
    )
    return answer.get("result", answer.get("error"))


def binds(worker: Worker, config: Any, binding: str = "b") -> list[Any]:
    """A binding to the events."""
    worker.sends("registertrigger", id=binding, trigger_type="configuration", function_id="f", config=config)
    return worker.takes()


def events(worker: Worker, outcome: Any = None) -> list[str]:
    """What the functions are called for, each answered."""
    found = []
    while calls := [frame for frame in worker.takes() if frame["type"] == "invokefunction"]:
        for call in calls:
            found.append(f"{call['function_id']} {call['data']['event_type'].partition(':')[2]} {call['data']['id']}")
            worker.sends(
                "invocationresult", invocation_id=call["invocation_id"], function_id=call["function_id"], result=outcome
            )
    return found


def test_a_value_is_checked_when_it_is_given_and_when_it_is_read(worker: Worker) -> None:
    """Not when only the schema changes."""
    assert registers(worker, initial_value="x")["code"] == "SCHEMA_INVALID"
    assert worker.error_of(GET, {"id": "e"})[0] == "NOT_FOUND"
    assert registers(worker, initial_value=5)["value"] == 5
    assert registers(worker, schema={"type": "string"})["value"] == 5
    assert worker.error_of(GET, {"id": "e"})[0] == "SCHEMA_INVALID"
    assert worker.result_of(GET, {"id": "e", "raw": True}) == {"id": "e", "value": 5}
    assert worker.result_of(SET, {"id": "e", "value": "x"}) == {"old_value": 5, "new_value": "x"}


def test_what_cannot_be_filled_in_yet_is_stored_and_refused_when_read(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the engine counts at that moment."""
    monkeypatch.delenv("EMBEDDED_A", raising=False)
    registers(worker, initial_value="${EMBEDDED_A}")
    assert worker.error_of(GET, {"id": "e"}) == (
        "EXPAND_FAILED",
        "configuration 'e' references unset environment variable(s) with no default: EMBEDDED_A",
    )
    monkeypatch.setenv("EMBEDDED_A", "7")
    assert worker.result_of(GET, {"id": "e"}) == {"id": "e", "value": 7}
    monkeypatch.setenv("EMBEDDED_A", "seven")
    assert worker.error_of(SET, {"id": "e", "value": "${EMBEDDED_A}"})[0] == "SCHEMA_INVALID"


def test_an_entry_without_a_schema_takes_no_value(worker: Worker) -> None:
    """But may be read."""
    registers(worker, schema=None)
    assert worker.error_of(SET, {"id": "e", "value": 1}) == (
        "SCHEMA_UNAVAILABLE",
        "configuration 'e' has no schema available yet; the owning worker must register before values can be set",
    )
    assert worker.result_of(GET, {"id": "e"}) == {"id": "e", "value": None}


@pytest.mark.parametrize("entry", ["", "A", "a.b", "ä", "x" * 65, "a\n"])
def test_an_id_is_small_and_short(worker: Worker, entry: str) -> None:
    """Whichever function is called; 64 characters are good."""
    assert worker.error_of(SET, {"id": entry, "value": 1})[0] == "INVALID_ID"
    assert registers(worker, entry)["code"] == "INVALID_ID"
    assert registers(worker, "x" * 64)["id"] == "x" * 64


def test_a_list_is_sorted_and_has_no_values(worker: Worker) -> None:
    """And metadata only where there are any."""
    registers(worker, "z", initial_value=1)
    registers(worker, "a", metadata={"m": 1})
    row = {"name": "n", "description": "d", "schema": SCHEMA}
    assert worker.result_of("configuration::list", {}) == {
        "configurations": [{"id": "a", **row, "metadata": {"m": 1}}, {"id": "z", **row}]
    }
    assert worker.result_of("configuration::schema", {"id": "z"}) == {"id": "z", **row}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, ["f registered e", "f updated e", "f registered x"], id="everything"),
        pytest.param([], ["f registered e", "f updated e", "f registered x"], id="an-array-is-read-too"),
        pytest.param({"configuration_id": "e"}, ["f registered e", "f updated e"], id="one-entry"),
        pytest.param({"event_types": ["configuration:updated"]}, ["f updated e"], id="one-event"),
        pytest.param({"event_types": []}, [], id="no-event"),
        pytest.param(
            {"condition_function_id": "c", "configuration_id": "x"},
            ["c registered x", "f registered x"],
            id="condition",
        ),
    ],
)
def test_events_reach_who_asked_for_them(bench: Bench, worker: Worker, config: Any, expected: list[str]) -> None:
    """Until the binding goes."""
    assert binds(worker, config) == []
    other = bench.worker("other")
    found = []
    for entry in ("e", "e", "x"):
        registers(other, entry)
        found += events(worker)
    assert found == expected
    worker.sends("unregistertrigger", id="b")
    registers(other, "e")
    assert events(worker) == []


def test_a_condition_that_says_false_keeps_the_event_back(bench: Bench, worker: Worker) -> None:
    """And does not stop the next binding."""
    binds(worker, {"condition_function_id": "c"}, "first")
    binds(worker, {}, "second")
    registers(bench.worker("other"))
    assert events(worker, outcome=False) == ["c registered e", "f registered e"]


def test_bindings_are_told_one_after_another(bench: Bench, worker: Worker) -> None:
    """The second one when the first is done."""
    binds(worker, {}, "first")
    binds(worker, {}, "second")
    registers(bench.worker("other"))
    (call,) = worker.takes()
    worker.sends("invocationresult", invocation_id=call["invocation_id"], function_id="f")
    assert len(worker.takes()) == 1


def test_a_config_that_does_not_fit_is_refused(worker: Worker) -> None:
    """In the engine's words."""
    (refusal,) = binds(worker, {"event_types": [1]})
    assert refusal["error"] == {
        "code": "trigger_registration_failed",
        "message": "Failed to parse configuration trigger config: invalid type: integer `1`, expected a string",
    }


def test_a_flag_that_is_null_is_refused(worker: Worker) -> None:
    """It may only be left out."""
    assert worker.error_of(GET, {"id": "e", "raw": None}) == (
        "deserialization_error",
        "Failed to deserialize input for configuration::get: invalid type: null, expected a boolean",
    )
