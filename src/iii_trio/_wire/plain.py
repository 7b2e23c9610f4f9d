"""The two frames of every call, in their plain form, without the converter: it takes half of the time.

Each function answers None for a frame that is not plain: one with an error or an action, or one that is wrong. The converter
takes those, and says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from iii_trio._wire.messages import ABSENT, Frame, InvocationResult, InvokeFunction


def _structure_invocation(tree: dict[str, Any]) -> InvokeFunction | None:
    get = tree.get
    call_id, namespace, parent, baggage = get("invocation_id"), get("namespace"), get("traceparent"), get("baggage")
    if (
        "data" in tree
        and get("action") is None
        and type(function_id := get("function_id")) is str
        and (call_id is None or type(call_id) is str)
        and (namespace is None or type(namespace) is str)
        and (parent is None or type(parent) is str)
        and (baggage is None or type(baggage) is str)
    ):
        return InvokeFunction(function_id, tree["data"], call_id, None, namespace, get("metadata"), parent, baggage)
    return None


def _structure_result(tree: dict[str, Any]) -> InvocationResult | None:
    get = tree.get
    parent, baggage = get("traceparent"), get("baggage")
    if (
        get("error") is None
        and type(call_id := get("invocation_id")) is str
        and type(function_id := get("function_id")) is str
        and (parent is None or type(parent) is str)
        and (baggage is None or type(baggage) is str)
    ):
        return InvocationResult(call_id, function_id, get("result", ABSENT), None, parent, baggage)
    return None


def _unstructure_invocation(frame: Any) -> dict[str, Any] | None:
    if frame.action is not None:
        return None
    tree = {"type": InvokeFunction.TYPE, "function_id": frame.function_id, "data": frame.data}
    if frame.invocation_id is not None:
        tree["invocation_id"] = frame.invocation_id
    if frame.namespace is not None:
        tree["namespace"] = frame.namespace
    if frame.metadata is not None:
        tree["metadata"] = frame.metadata
    if frame.traceparent is not None:
        tree["traceparent"] = frame.traceparent
    if frame.baggage is not None:
        tree["baggage"] = frame.baggage
    return tree


def _unstructure_result(frame: Any) -> dict[str, Any] | None:
    if frame.error is not None or frame.traceparent is not None or frame.baggage is not None:
        return None
    tree = {
        "type": InvocationResult.TYPE,
        "invocation_id": frame.invocation_id,
        "function_id": frame.function_id,
    }
    if frame.result is not ABSENT:
        tree["result"] = frame.result
    return tree


PLAIN_STRUCTURE: Final[dict[type[Frame], Callable[[dict[str, Any]], Frame | None]]] = {
    InvokeFunction: _structure_invocation,
    InvocationResult: _structure_result,
}
PLAIN_UNSTRUCTURE: Final[dict[type[Frame], Callable[[Frame], dict[str, Any] | None]]] = {
    InvokeFunction: _unstructure_invocation,
    InvocationResult: _unstructure_result,
}
