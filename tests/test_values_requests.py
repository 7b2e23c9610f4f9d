"""A call as a value, its routing, and the receipt."""

from __future__ import annotations

import math
from typing import Any

import pytest

from iii_trio._values.requests import (
    EnqueueResult,
    TriggerAction,
    TriggerActionEnqueue,
    TriggerActionVoid,
    TriggerRequest,
)
from iii_trio.errors import ConfigurationError


def test_actions_are_made_by_name_or_by_class() -> None:
    """The references know both spellings."""
    assert TriggerAction.Void() == TriggerActionVoid()
    assert TriggerAction.Enqueue(queue="mail") == TriggerActionEnqueue("mail")
    assert (TriggerAction.Void().type, TriggerAction.Enqueue(queue="mail").type) == ("void", "enqueue")


def test_a_receipt_has_the_references_name() -> None:
    """It is structured from the engine's answer by that name."""
    assert EnqueueResult(messageReceiptId="r").messageReceiptId == "r"


def test_a_request_needs_no_more_than_an_id() -> None:
    """The payload is null, and the result is awaited as long as the client says."""
    request = TriggerRequest(function_id="f")
    assert (request.payload, request.action, request.timeout_ms) == (None, None, None)
    assert (request.namespace, request.metadata) == (None, None)


@pytest.mark.parametrize("timeout", [0, 0.5, 30_000, math.inf], ids=["at once", "half", "default", "for ever"])
def test_a_timeout_is_any_number_from_zero(timeout: float) -> None:
    """Infinity waits for ever."""
    assert TriggerRequest(function_id="f", timeout_ms=timeout).timeout_ms == timeout


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"function_id": ""}, "function_id must not be blank", id="no id"),
        pytest.param({"action": "void"}, "action is a dict, TriggerActionVoid or", id="an action by name only"),
        pytest.param({"timeout_ms": -1}, "timeout_ms must be from 0", id="a time-out in the past"),
        pytest.param({"timeout_ms": "30"}, "timeout_ms must be a number", id="a time-out that is text"),
        pytest.param({"namespace": " "}, "namespace must not be blank", id="a blank namespace is not an absent one"),
    ],
)
def test_a_request_that_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError, match=f"TriggerRequest.{reason}"):
        TriggerRequest(**{"function_id": "f", **fields})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: TriggerActionEnqueue(""), "queue must not be blank", id="a queue without a name"),
        pytest.param(lambda: TriggerActionVoid("enqueue"), "type must be 'void'", id="a void that enqueues"),  # type: ignore[arg-type]
        pytest.param(lambda: TriggerActionEnqueue("q", "void"), "type must be 'enqueue'", id="the other way"),  # type: ignore[arg-type]
    ],
)
def test_an_action_that_cannot_work_is_refused(make: Any, reason: str) -> None:
    """The same for routing."""
    with pytest.raises(ConfigurationError, match=reason):
        make()
