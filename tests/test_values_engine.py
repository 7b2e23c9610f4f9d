"""The engine's names and the rows of its listings."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.engine import (
    EngineFunctions,
    EngineTriggers,
    FunctionInfo,
    TriggerInfo,
    TriggerTypeInfo,
    WorkerInfo,
)
from iii_trio._values.strict import strict_converter
from tests._recordings import frames, results

STRUCTURE = strict_converter().structure

RECORDINGS = ("introspect-functions", "introspect-workers", "introspect-triggers", "functions-available", "log")


def test_a_recorded_engine_knows_every_one_of_these_names() -> None:
    """The functions were called and answered, the trigger types bound."""
    recorded = [frame for name in RECORDINGS for frame in frames(name)]
    answered = {frame["function_id"] for frame in recorded if frame["type"] == "invocationresult" and "result" in frame}
    bound = {frame["trigger_type"] for frame in recorded if frame["type"] == "registertrigger"}
    assert answered >= {value for name, value in vars(EngineFunctions).items() if name.isupper()}
    assert bound >= {value for name, value in vars(EngineTriggers).items() if name.isupper()}


@pytest.mark.parametrize(
    ("recording", "function_id", "key", "cls"),
    [
        ("introspect-functions", EngineFunctions.LIST_FUNCTIONS, "functions", FunctionInfo),
        ("introspect-workers", EngineFunctions.LIST_WORKERS, "workers", WorkerInfo),
        ("introspect-triggers", EngineFunctions.LIST_REGISTERED_TRIGGERS, "registered_triggers", TriggerInfo),
        ("introspect-triggers", EngineFunctions.LIST_TRIGGERS, "triggers", TriggerTypeInfo),
    ],
)
def test_recorded_rows_are_structured(recording: str, function_id: str, key: str, cls: type[Any]) -> None:
    """Every row of every listing, with null where the engine has nothing to say."""
    rows = [row for result in results(recording, function_id) for row in result[key]]
    assert rows
    for row in rows:
        value = STRUCTURE(row, cls)
        for name, content in row.items():
            if hasattr(value, name):
                assert getattr(value, name) == content


def test_a_worker_has_its_id_under_both_names() -> None:
    """The older reference's example prints `worker_id`."""
    worker = WorkerInfo(id="w", status="connected", connected_at_ms=1, function_count=0, active_invocations=0)
    assert worker.worker_id == worker.id == "w"
    assert (worker.name, worker.functions, worker.namespace) == (None, [], "default")
