"""To whom calls go, and how they end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers import Bench, Worker, answer, uuid_of

STOPPED = {"code": "invocation_stopped", "message": "Invocation stopped"}


def test_a_call_reaches_the_owner_and_its_result_the_caller(caller: Worker, callee: Worker) -> None:
    """The caller is named in an object, whatever it said itself; action and namespace stay behind."""
    assert caller.calls("f", {"x": 1, "_caller_worker_id": "forged"}, call=1, namespace="default", metadata=0) == []
    assert callee.takes() == [
        {
            "type": "invokefunction",
            "invocation_id": uuid_of(1),
            "function_id": "f",
            "data": {"x": 1, "_caller_worker_id": caller.id},
            "metadata": 0,
        }
    ]
    answer(callee, 1, result=[1])
    assert caller.takes() == [
        {"type": "invocationresult", "invocation_id": uuid_of(1), "function_id": "f", "result": [1]}
    ]
    assert callee.takes() == []
    assert not caller.link.calls
    assert not callee.link.calls


@pytest.mark.parametrize("data", [None, [{}], "text", 7])
def test_only_an_object_names_the_caller(caller: Worker, callee: Worker, data: Any) -> None:
    """There is no other place."""
    caller.calls("f", data, call=1)
    assert callee.takes()[0]["data"] == data


@pytest.mark.parametrize(
    ("fields", "arrives"),
    [
        pytest.param({}, {}, id="absent"),
        pytest.param({"result": None}, {}, id="null"),
        pytest.param({"result": False}, {"result": False}, id="false"),
        pytest.param(
            {"result": 1, "error": {"code": "c", "message": "m", "more": 1}},
            {"error": {"code": "c", "message": "m"}},
            id="error-wins",
        ),
        pytest.param(
            {"error": {"code": "c", "message": "m", "stacktrace": "s"}},
            {"error": {"code": "c", "message": "m", "stacktrace": "s"}},
            id="stacktrace",
        ),
    ],
)
def test_the_forms_of_a_result(caller: Worker, callee: Worker, fields: dict[str, Any], arrives: dict[str, Any]) -> None:
    """No value is an absent key."""
    caller.calls("f", call=1)
    answer(callee, 1, **fields)
    (frame,) = caller.takes()
    assert {key: value for key, value in frame.items() if key in ("result", "error")} == arrives


def test_the_trace_context_travels_with_a_call_and_returns_unchanged(caller: Worker, callee: Worker) -> None:
    """What the callee says of it is ignored."""
    caller.calls("f", call=1, traceparent="garbage", baggage="k=v")
    (invocation,) = callee.takes()
    assert invocation["baggage"] == "k=v,iii.function.id=f"
    assert "traceparent" not in invocation
    answer(callee, 1, traceparent="other", baggage="other=1")
    (result,) = caller.takes()
    assert (result["traceparent"], result["baggage"]) == ("garbage", "k=v")


@pytest.mark.parametrize("fields", [{"action": {"type": "void"}, "call": 1}, {"action": {"type": "void"}}, {}])
def test_a_call_that_wants_no_answer_gets_none(caller: Worker, callee: Worker, fields: dict[str, Any]) -> None:
    """Its handler sees an id that the engine made; an unknown function is silence, and so is the caller's end."""
    caller.calls("f", **fields)
    (invocation,) = callee.takes()
    assert invocation["invocation_id"] not in (None, uuid_of(1))
    assert not caller.link.calls
    callee.sends("invocationresult", invocation_id=invocation["invocation_id"], function_id="f", result=1)
    assert caller.takes() == []
    assert caller.calls("unknown", **fields) == []


def test_an_unknown_function_is_told_with_the_namespaces_that_have_it(bench: Bench, caller: Worker) -> None:
    """In their order."""
    for namespace in ("shop", "mail"):
        bench.worker(namespace=namespace).sends("registerfunction", id="g")
    (frame,) = caller.calls("g", call=1, traceparent="t")
    assert frame["error"] == {
        "code": "function_not_found",
        "message": "Function g not found in namespace default. It is registered in namespace(s): mail, shop.",
    }
    assert frame["traceparent"] == "t"
    assert caller.calls("h", call=2)[0]["error"]["message"] == "Function h not found in namespace default."


def test_a_blank_namespace_is_an_error_and_no_default(caller: Worker, callee: Worker) -> None:
    """Without an id it is silence, and nothing is called."""
    (frame,) = caller.calls("f", call=1, namespace=" ")
    assert frame["error"]["code"] == "INVALID_NAMESPACE"
    assert caller.calls("f", namespace="") == []
    assert callee.takes() == []


def test_results_nobody_waits_for_are_ignored(caller: Worker, callee: Worker) -> None:
    """A second one, and one for an id that never was."""
    caller.calls("f", call=1)
    answer(callee, 1)
    caller.takes()
    answer(callee, 1)
    answer(callee, 2)
    assert caller.takes() == callee.takes()[1:] == []


def test_a_result_is_believed_whoever_sends_it(bench: Bench, caller: Worker, callee: Worker) -> None:
    """The id is all that counts."""
    stranger = bench.worker()
    caller.calls("f", call=1)
    answer(stranger, 1, result="mine")
    assert caller.takes()[0]["result"] == "mine"
    assert not callee.link.calls


def test_an_id_in_use_is_taken_over_by_the_second_call(caller: Worker, callee: Worker) -> None:
    """The first one fails at once; the first answer is for the second one."""
    caller.calls("f", call=1)
    (failed,) = caller.calls("f", call=1)
    assert failed["error"] == {"code": "invocation_error", "message": "channel closed"}
    answer(callee, 1, result="answer")
    assert caller.takes()[0]["result"] == "answer"
    answer(callee, 1)
    assert caller.takes() == []


def test_calls_are_stopped_when_the_callee_leaves(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Those that somebody waits for."""
    caller.calls("f", call=1)
    caller.calls("f")
    caller.calls("f", call=2)
    bench.engine.disconnect(callee.link)
    assert [(frame["invocation_id"], frame["error"]) for frame in caller.takes()] == [
        (uuid_of(1), STOPPED),
        (uuid_of(2), STOPPED),
    ]
    assert not caller.link.calls


def test_the_callee_hears_nothing_of_a_caller_that_leaves(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Its result goes nowhere."""
    caller.calls("f", call=1)
    callee.takes()
    bench.engine.disconnect(caller.link)
    assert not callee.link.calls
    answer(callee, 1)
    assert callee.takes() == []


def test_a_worker_can_call_itself_and_leave(bench: Bench, callee: Worker) -> None:
    """The one connection is both sides."""
    assert callee.calls("f", call=1)[0]["type"] == "invokefunction"
    answer(callee, 1, result=1)
    assert callee.takes()[0]["result"] == 1
    callee.calls("f", call=2)
    bench.engine.disconnect(callee.link)
    assert callee.takes() == []


def test_a_builtin_that_is_called_without_an_id_says_nothing(caller: Worker) -> None:
    """It runs all the same."""
    assert caller.calls("engine::workers::register", {"description": "told"}) == []
    assert caller.calls("engine::workers::register", None) == []
    assert caller.link.profile.description == "told"


# ---- enqueue --------------------------------------------------------------------------------------------------------

ENQUEUE = {"type": "enqueue", "queue": "jobs"}


@pytest.fixture
def provider(bench: Bench) -> Worker:
    """The worker behind the action `enqueue`."""
    worker = bench.worker("provider")
    worker.sends("registerfunction", id="engine::queue::enqueue")
    return worker


def test_without_a_provider_nothing_can_be_enqueued(caller: Worker) -> None:
    """Silence for who wants no answer."""
    (frame,) = caller.calls("f", call=1, action=ENQUEUE)
    assert frame["error"]["code"] == "enqueue_error"
    assert frame["error"]["message"].startswith("No queue provider is installed.")
    assert frame["error"]["message"].endswith(
        "(underlying: Function engine::queue::enqueue not found in namespace default)"
    )
    assert caller.calls("f", action=ENQUEUE) == []


def test_the_provider_gets_the_call_and_the_caller_a_receipt(caller: Worker, provider: Worker) -> None:
    """Neither metadata nor the caller's id travel; the provider's own result is ignored."""
    assert caller.calls("f", {"n": 1}, call=1, action=ENQUEUE, metadata={"lost": 1}) == []
    (invocation,) = provider.takes()
    receipt = invocation["data"].pop("messageReceiptId")
    assert invocation["data"] == {
        "queue": "jobs",
        "function_id": "f",
        "data": {"n": 1},
        "traceparent": None,
        "baggage": "iii.function.id=f",
    }
    assert invocation.keys() == {"type", "invocation_id", "function_id", "data"}
    provider.sends("invocationresult", invocation_id=invocation["invocation_id"], function_id="x", result="own")
    assert caller.takes()[0]["result"] == {"messageReceiptId": receipt}


def test_a_namespace_is_told_to_the_provider_when_it_is_not_the_default(caller: Worker, provider: Worker) -> None:
    """Older providers refuse a field that they do not know."""
    caller.calls("f", action=ENQUEUE, namespace="shop")
    caller.calls("f", action=ENQUEUE, namespace="default")
    assert [frame["data"].get("namespace") for frame in provider.takes()] == ["shop", None]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("full", "full: no room", id="any"),
        pytest.param("function_not_found", "No queue provider is installed.", id="as-if-there-were-none"),
    ],
)
def test_a_failure_of_the_provider_is_an_enqueue_error(
    caller: Worker, provider: Worker, code: str, message: str
) -> None:
    """With its code in the message."""
    caller.calls("f", call=1, action=ENQUEUE)
    (invocation,) = provider.takes()
    provider.sends(
        "invocationresult",
        invocation_id=invocation["invocation_id"],
        function_id="x",
        error={"code": code, "message": "no room"},
    )
    (frame,) = caller.takes()
    assert frame["error"]["code"] == "enqueue_error"
    assert frame["error"]["message"].startswith(message)


def test_a_blank_namespace_cannot_be_enqueued_to(caller: Worker, provider: Worker) -> None:
    """It is looked at first."""
    assert caller.calls("f", call=1, action=ENQUEUE, namespace="")[0]["error"]["code"] == "INVALID_NAMESPACE"
    assert provider.takes() == []
