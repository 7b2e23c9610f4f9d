"""Messages of a worker to frames, exactly as strict as the engine.

A message that the engine cannot decode gets no answer, so a lenient decoder here would hide the worst kind of bug: a
call that hangs on the real engine only. It is therefore the engine's own, and shares no code with the client's codec,
which tells the same rules from the sender's side (docs/wire.md, "What the engine cannot decode").
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
import orjson

from iii_trio._wire.messages import (
    EnqueueAction,
    ErrorBody,
    Frame,
    HttpInvocation,
    InvocationResult,
    InvokeFunction,
    Json,
    Ping,
    Pong,
    Reattach,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
    RegistrationRejected,
    TelemetryFrame,
    TriggerRegistrationResult,
    UnregisterFunction,
    UnregisterTrigger,
    VoidAction,
    WorkerRegistered,
)

MAX_NESTING: Final = 127
"""Containers inside each other, the frame itself included."""

_MAX_U64: Final = 2**64 - 1
_TELEMETRY_KINDS: Final[Mapping[bytes, Literal["OTLP", "MTRC", "LOGS"]]] = {
    b"OTLP": "OTLP",
    b"MTRC": "MTRC",
    b"LOGS": "LOGS",
}


class Undecodable(Exception):
    """The engine would drop this message with a line in its log; the text says why."""


def decode(message: str | bytes) -> Frame | TelemetryFrame | None:
    """The frame in one message; None for blank text, which the engine ignores.

    Raises:
        Undecodable: The engine would drop it without an answer.
    """
    if isinstance(message, bytes):
        if message[:4] in _TELEMETRY_KINDS:
            return TelemetryFrame(kind=_TELEMETRY_KINDS[message[:4]], body=message[4:])
        text = _utf8(message)
    else:
        text = message
        if not text.strip():
            return None
    tree = parse(text)
    if type(tree) is not dict:
        raise Undecodable("not a JSON object")
    kind = tree.get("type")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise Undecodable(f"unknown type {kind!r}")
    try:
        frame: Frame = shape.build(tree)
    except ValueError as error:
        raise Undecodable(f"{kind}: {error}") from None
    _refuse_duplicates(text, tree, shape)
    return frame


def _utf8(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError as error:
        raise Undecodable(f"not UTF-8: {error}") from None


def parse(text: str) -> Json:
    """A JSON text, as strictly as the engine reads it everywhere.

    Raises:
        Undecodable: It is none, or is nested too deep.
    """
    try:
        tree = orjson.loads(text)
    except ValueError as error:
        raise Undecodable(f"not JSON: {error}") from None
    if text.count("[") + text.count("{") > MAX_NESTING and _is_deep(tree):
        raise Undecodable(f"nested deeper than {MAX_NESTING} containers")
    return tree


def _is_deep(tree: Any) -> bool:
    level = [tree]
    for _ in range(MAX_NESTING):
        level = [
            child
            for container in level
            for child in (container.values() if type(container) is dict else container)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


# ---- the shape of each frame ----------------------------------------------------------------------------------------

_Check: TypeAlias = Callable[[Any], Any]


@attrs.frozen
class _Shape:
    """What an object must have to become an instance of `cls`: each field with the check that makes its value."""

    cls: Callable[..., Any]
    required: Mapping[str, _Check] = attrs.field(factory=dict)
    """Must be present."""
    optional: Mapping[str, _Check] = attrs.field(factory=dict)
    """May be absent or null."""
    defaulted: Mapping[str, _Check] = attrs.field(factory=dict)
    """May be absent, but not null."""
    fields: frozenset[str] = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: frozenset({"type", *self.required, *self.optional, *self.defaulted}), takes_self=True
        ),
    )
    """Their names, and the tag."""

    def build(self, tree: Any) -> Any:
        if type(tree) is not dict:
            raise ValueError("not an object")
        values = {}
        name = ""
        try:
            for name, check in self.required.items():
                values[name] = check(tree[name])
            for name, check in self.optional.items():
                if (value := tree.get(name)) is not None:
                    values[name] = check(value)
            for name, check in self.defaulted.items():
                if name in tree:
                    values[name] = check(tree[name])
        except KeyError:
            raise ValueError(f"missing field `{name}`") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        return self.cls(**values)


def _any(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not text")
    return value


_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HYPHENATED: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_SPELLINGS: Final = re.compile(rf"{_HYPHENATED}|[0-9a-fA-F]{{32}}|\{{{_HYPHENATED}\}}|urn:uuid:{_HYPHENATED}")


def _uuid(value: Any) -> str:
    """The canonical spelling, which the engine uses from here on."""
    text = _text(value)
    if _CANONICAL.fullmatch(text):
        return text
    if _SPELLINGS.fullmatch(text):
        return str(uuid.UUID(text))
    raise ValueError("not a UUID")


def _u64(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_U64:
        raise ValueError("not an unsigned 64-bit integer")
    return value


def _headers(value: Any) -> dict[str, str]:
    if type(value) is not dict:
        raise ValueError("not an object")
    return {name: _text(text) for name, text in value.items()}


def _one_of(*words: str) -> _Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"unknown variant {value!r}")
        return str(value)

    return check


def _tagged(variants: Mapping[str, _Shape]) -> _Check:
    """A union of shapes that is told apart by its `type`."""

    def check(value: Any) -> Any:
        kind = value.get("type") if type(value) is dict else None
        if not isinstance(kind, str) or kind not in variants:
            raise ValueError(f"unknown variant {kind!r}")
        return variants[kind].build(value)

    return check


_ACTION: Final = _tagged({"void": _Shape(VoidAction), "enqueue": _Shape(EnqueueAction, {"queue": _text})})
_ERROR: Final = _Shape(ErrorBody, {"code": _text, "message": _text}, {"stacktrace": _text})
_AUTH: Final = _tagged(
    {
        "hmac": _Shape(dict, {"secret_key": _text}),
        "bearer": _Shape(dict, {"token_key": _text}),
        "api_key": _Shape(dict, {"header": _text, "value_key": _text}),
    }
)
_HTTP: Final = _Shape(
    HttpInvocation,
    {"url": _text},
    {"timeout_ms": _u64, "auth": _AUTH},
    {"method": _one_of("GET", "POST", "PUT", "PATCH", "DELETE"), "headers": _headers},
)

_SHAPES: Final[Mapping[str, _Shape]] = {
    InvokeFunction.TYPE: _Shape(
        InvokeFunction,
        {"function_id": _text, "data": _any},
        {
            "invocation_id": _uuid,
            "action": _ACTION,
            "namespace": _text,
            "metadata": _any,
            "traceparent": _text,
            "baggage": _text,
        },
    ),
    InvocationResult.TYPE: _Shape(
        InvocationResult,
        {"invocation_id": _uuid, "function_id": _text},
        {"result": _any, "error": _ERROR.build, "traceparent": _text, "baggage": _text},
    ),
    RegisterFunction.TYPE: _Shape(
        RegisterFunction,
        {"id": _text},
        {
            "description": _text,
            "request_format": _any,
            "response_format": _any,
            "metadata": _any,
            "invocation": _HTTP.build,
        },
    ),
    UnregisterFunction.TYPE: _Shape(UnregisterFunction, {"id": _text}),
    RegisterTriggerType.TYPE: _Shape(
        RegisterTriggerType,
        {"id": _text, "description": _text},
        {"trigger_request_format": _any, "call_request_format": _any, "namespace": _text},
    ),
    RegisterTrigger.TYPE: _Shape(
        RegisterTrigger,
        {"id": _text, "trigger_type": _text, "function_id": _text, "config": _any},
        {"metadata": _any, "namespace": _text, "trigger_namespace": _text},
    ),
    UnregisterTrigger.TYPE: _Shape(UnregisterTrigger, {"id": _text}, {"trigger_type": _text}),
    TriggerRegistrationResult.TYPE: _Shape(
        TriggerRegistrationResult,
        {"id": _text, "trigger_type": _text, "function_id": _text},
        {"error": _ERROR.build},
    ),
    RegisterService.TYPE: _Shape(
        RegisterService, {"id": _text}, {"description": _text, "parent_service_id": _text}, {"name": _text}
    ),
    Reattach.TYPE: _Shape(Reattach, {"previous_worker_id": _text}, {"reattach_token": _text}),
    Ping.TYPE: _Shape(Ping),
    Pong.TYPE: _Shape(Pong),
    WorkerRegistered.TYPE: _Shape(WorkerRegistered, {"worker_id": _text}, {"reattach_token": _text}),
    RegistrationRejected.TYPE: _Shape(
        RegistrationRejected,
        {"code": _text, "namespace": _text, "owner_worker_id": _text},
        {"worker_name": _text, "function_id": _text},
    ),
}


# ---- duplicate keys -------------------------------------------------------------------------------------------------

_NESTED: Final[Mapping[str, frozenset[str]]] = {
    "action": frozenset({"type", "queue"}),
    "error": _ERROR.fields,
    "invocation": _HTTP.fields,
}


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


def _refuse_duplicates(text: str, tree: Mapping[str, Any], shape: _Shape) -> None:
    """Raise `Undecodable` if a field of the envelope is written twice: the parser takes that, and the engine does not.

    Counting the spelled key in the text settles nearly every frame. Only where a payload has a key like it, or the text
    has escapes that may spell one, the text is parsed once more with all its pairs.
    """
    names = [*tree]
    for field in _NESTED:
        if type(inner := tree.get(field)) is dict:
            names += inner
    if "\\u" not in text:
        for name in names:
            found = text.count(f'"{name}"')
            if found != 1 and found != names.count(name):
                break
        else:
            return
    pairs: _Pairs = json.loads(text, object_pairs_hook=_Pairs)
    _refuse_twice(pairs, shape.fields)
    for name, value in pairs:
        if name in _NESTED and isinstance(value, _Pairs):
            _refuse_twice(value, _NESTED[name])


def _refuse_twice(pairs: _Pairs, fields: frozenset[str]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in fields and name in seen:
            raise Undecodable(f"duplicate field `{name}`")
        seen.add(name)
