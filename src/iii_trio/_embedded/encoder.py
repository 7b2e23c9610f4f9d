"""Frames of the engine to the text of a message.

Plain dicts instead of the frames' classes: what is sent was decoded here before, so there is nothing to check, and the
engine puts no limit on its own messages (docs/wire.md, "Sizes").
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from iii_trio._embedded.connection import DEFAULT_NAMESPACE
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

PONG: Final = b'{"type":"pong"}'


def _encode(tree: dict[str, Any]) -> bytes:
    # The engine rebuilds every object with sorted keys, so nobody may rely on an order. (docs/wire.md, "Conventions")
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)


def worker_registered(worker_id: str, reattach_token: str) -> bytes:
    return _encode({"type": "workerregistered", "worker_id": worker_id, "reattach_token": reattach_token})


def registration_rejected(
    code: str, *, namespace: str, owner_id: str, worker_name: str | None = None, function_id: str | None = None
) -> bytes:
    tree = {"type": "registrationrejected", "code": code, "namespace": namespace, "owner_worker_id": owner_id}
    if worker_name is not None:
        tree["worker_name"] = worker_name
    if function_id is not None:
        tree["function_id"] = function_id
    return _encode(tree)


def login_refused(message: str) -> bytes:
    return _encode({"type": "error", "error": {"code": "AUTH_ERROR", "message": message}})


def invocation(
    invocation_id: str, function_id: str, data: Json, *, metadata: Json, traceparent: str | None, baggage: str | None
) -> bytes:
    tree = {"type": "invokefunction", "invocation_id": invocation_id, "function_id": function_id, "data": data}
    if metadata is not None:
        tree["metadata"] = metadata
    return _encode_traced(tree, traceparent, baggage)


def result(
    invocation_id: str, function_id: str, value: Json, *, traceparent: str | None = None, baggage: str | None = None
) -> bytes:
    """An answer; `ABSENT` is "no value"."""
    tree = {"type": "invocationresult", "invocation_id": invocation_id, "function_id": function_id}
    if value is not ABSENT:
        tree["result"] = value
    return _encode_traced(tree, traceparent, baggage)


def failure(
    invocation_id: str,
    function_id: str,
    error: ErrorBody,
    *,
    traceparent: str | None = None,
    baggage: str | None = None,
) -> bytes:
    body = _error(error)
    tree = {"type": "invocationresult", "invocation_id": invocation_id, "function_id": function_id, "error": body}
    return _encode_traced(tree, traceparent, baggage)


def _encode_traced(tree: dict[str, Any], traceparent: str | None, baggage: str | None) -> bytes:
    if traceparent is not None:
        tree["traceparent"] = traceparent
    if baggage is not None:
        tree["baggage"] = baggage
    return _encode(tree)


def register_trigger(
    binding_id: str,
    trigger_type: str,
    function_id: str,
    config: Json,
    *,
    metadata: Json,
    namespace: str,
    trigger_namespace: str,
) -> bytes:
    """A binding for its provider; the default namespace is left out."""
    tree = {
        "type": "registertrigger",
        "id": binding_id,
        "trigger_type": trigger_type,
        "function_id": function_id,
        "config": config,
    }
    if metadata is not None:
        tree["metadata"] = metadata
    if namespace != DEFAULT_NAMESPACE:
        tree["namespace"] = namespace
    if trigger_namespace != DEFAULT_NAMESPACE:
        tree["trigger_namespace"] = trigger_namespace
    return _encode(tree)


def unregister_trigger(binding_id: str, trigger_type: str) -> bytes:
    return _encode({"type": "unregistertrigger", "id": binding_id, "trigger_type": trigger_type})


def trigger_registration_result(binding_id: str, trigger_type: str, function_id: str, error: ErrorBody) -> bytes:
    return _encode(
        {
            "type": "triggerregistrationresult",
            "id": binding_id,
            "trigger_type": trigger_type,
            "function_id": function_id,
            "error": _error(error),
        }
    )


def _error(error: ErrorBody) -> dict[str, Any]:
    return attrs.asdict(error, filter=lambda _, value: value is not None)
