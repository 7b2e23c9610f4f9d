"""Update operations: what `state::update` and `stream::update` do to one value.

They run in order, each on what the one before left. One that fails is skipped and reported, and the others apply; a
call with a wrong shape is refused as a whole (docs/engine.md, "Updates"). No value is changed in place: what
was stored and what was sent may be shared by whoever holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from iii_trio._embedded.inputs import Field, Input, anything, i64, text, texts, wrong_type
from iii_trio._wire.messages import ABSENT, Json

_DEEPEST_PATH: Final = 32
_LONGEST_SEGMENT: Final = 256
_MOST_KEYS: Final = 1_024
_DEEPEST_VALUE: Final = 16
# Keys with which a JavaScript consumer would change the prototype of its objects.
_POLLUTING: Final = ("__proto__", "constructor", "prototype")
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1
_ABOUT_ERRORS: Final = "https://iii.dev/docs/workers/iii-state#error-codes"


@attrs.frozen
class Operation:
    """One operation, decoded."""

    kind: str
    """Its `type`, the first part of its errors' codes."""
    path: tuple[str, ...]
    """Literal keys; none for the root."""
    value: Json = None
    """What is written; of a decrement what is added."""
    sent: Json = None
    """What it was read from, for whoever does it in place of the engine."""


class _Fault(Exception):
    """An operation does not apply."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def apply(old: Json, operations: Sequence[Operation]) -> tuple[Json, list[dict[str, Json]]]:
    """The value after the operations, and the errors of those that did not apply; never raises.

    Args:
        old: The value, `ABSENT` for none. Then it starts as an empty object, except for operations on the root.
        operations: In the order in which they run.
    """
    current = old
    errors: list[dict[str, Json]] = []
    for index, operation in enumerate(operations):
        try:
            _check_path(operation.path)
            current = _EFFECTS[operation.kind](current, operation)
        except _Fault as fault:
            errors.append(
                {
                    "op_index": index,
                    "code": f"{operation.kind}.{fault.reason}",
                    "message": fault.message,
                    "doc_url": _ABOUT_ERRORS,
                }
            )
    return ({} if current is ABSENT else current), errors


# ---- bounds ---------------------------------------------------------------------------------------------------------


def _check_path(path: tuple[str, ...]) -> None:
    if len(path) > _DEEPEST_PATH:
        raise _Fault("path.too_deep", f"Path depth {len(path)} exceeds maximum of {_DEEPEST_PATH}")
    for segment in path:
        size = len(segment.encode())
        if not size:
            raise _Fault("path.empty_segment", "Path contains an empty segment")
        if size > _LONGEST_SEGMENT:
            raise _Fault("path.segment_too_long", f"Path segment of {size} bytes exceeds maximum of {_LONGEST_SEGMENT}")
        if segment in _POLLUTING:
            raise _Fault("path.proto_polluted", f"Path segment '{segment}' is not allowed (prototype pollution).")


def _check_merged(value: Json) -> None:
    if not isinstance(value, dict):
        raise _Fault("value.not_an_object", "Merge value must be a JSON object")
    if len(value) > _MOST_KEYS:
        raise _Fault(
            "value.too_many_keys", f"Merge value has {len(value)} top-level keys, exceeds maximum of {_MOST_KEYS}"
        )
    for key in _POLLUTING:
        if key in value:
            raise _Fault("value.proto_polluted", f'Merge value top-level key "{key}" is a prototype-pollution sink')
    depth = _depth(value)
    if depth > _DEEPEST_VALUE:
        raise _Fault("value.too_deep", f"Merge value JSON nesting depth {depth} exceeds maximum of {_DEEPEST_VALUE}")


def _depth(value: Json) -> int:
    """How many arrays and objects are inside each other."""
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


# ---- effects --------------------------------------------------------------------------------------------------------

# Each takes the value and the operation, and returns the value afterwards. A value that is still absent is an empty
# object to whatever names a key.


def _set(current: Json, operation: Operation) -> Json:
    if not operation.path:
        return operation.value
    (key,) = operation.path
    return {**_object(current, operation), key: operation.value}


def _remove(current: Json, operation: Operation) -> Json:
    if not operation.path:
        return None
    (key,) = operation.path
    return {name: value for name, value in _object(current, operation).items() if name != key}


def _add(current: Json, operation: Operation) -> Json:
    """Increment and decrement: they differ in the sign of what they add, and in the words of their errors."""
    if not operation.path:
        return _sum(current, operation)
    (key,) = operation.path
    target = _object(current, operation)
    return {**target, key: _sum(target.get(key, ABSENT), operation)}


def _sum(number: Json, operation: Operation) -> Json:
    if number is ABSENT:
        return operation.value
    if isinstance(number, float):
        return number + operation.value
    if isinstance(number, int) and not isinstance(number, bool):
        # The engine tries signed 64 bits first, then unsigned ones.
        whole: int = number + operation.value
        if _LOWEST <= whole <= _HIGHEST:
            return whole
    raise _Fault("not_number", f"Expected number at path '{_key(operation)}', got {_type_name(number)}.")


def _merge(current: Json, operation: Operation) -> Json:
    _check_merged(operation.value)
    if not operation.path and not isinstance(current, dict) and current is not ABSENT:
        return current  # Without an error, as in the real engine; on a path it would have been replaced.
    return _at(current, operation.path, lambda target: {**_object_or_new(target), **operation.value})


def _append(current: Json, operation: Operation) -> Json:
    path = operation.path
    if not path:
        return _appended(current, operation)
    if not isinstance(current, dict) and current is not ABSENT:
        raise _Fault(
            "target_not_object",
            f"Cannot append at path '[{', '.join(path)}]': target is {_type_name(current)}, expected object.",
        )
    if len(path) == 1:
        return _at(current, path, lambda leaf: _appended(leaf, operation))
    return _at(current, path, lambda leaf: [operation.value] if leaf is ABSENT else _appended(leaf, operation))


def _appended(target: Json, operation: Operation) -> Json:
    value = operation.value
    if target is ABSENT or target is None:
        return value if isinstance(value, str) else [value]
    if isinstance(target, list):
        return [*target, value]
    if not isinstance(target, str):
        raise _Fault(
            "type_mismatch",
            f"Cannot append at path '{_key(operation)}': target is {_type_name(target)}, "
            "expected array, string, null, or missing field.",
        )
    if not isinstance(value, str):
        raise _Fault(
            "type_mismatch", f"Expected string append value at path '{_key(operation)}', got {_type_name(value)}."
        )
    return target + value


_EFFECTS: Final[Mapping[str, Callable[[Json, Operation], Json]]] = {
    "set": _set,
    "merge": _merge,
    "increment": _add,
    "decrement": _add,
    "append": _append,
    "remove": _remove,
}


def _at(node: Json, path: tuple[str, ...], change: Callable[[Json], Json]) -> Json:
    """A copy of `node` with another value at the end of `path`; what is no object on the way there is replaced."""
    if not path:
        return change(node)
    parent = _object_or_new(node)
    return {**parent, path[0]: _at(parent.get(path[0], ABSENT), path[1:], change)}


def _object_or_new(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _object(current: Json, operation: Operation) -> dict[str, Json]:
    if current is ABSENT:
        return {}
    if not isinstance(current, dict):
        raise _Fault(
            "target_not_object",
            f"Cannot {operation.kind} at path '{_key(operation)}': target is {_type_name(current)}, expected object.",
        )
    return current


def _key(operation: Operation) -> str:
    return operation.path[-1] if operation.path else "root"


def _type_name(value: Json) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    names = {type(None): "null", bool: "boolean", str: "string", list: "array"}
    return names.get(type(value), "object")


# ---- shapes ---------------------------------------------------------------------------------------------------------


def _single(value: Any) -> tuple[str, ...]:
    """A string is one literal key, and the empty one is the root."""
    key = text(value)
    return (key,) if key else ()


def _path(value: Any) -> tuple[str, ...]:
    """A string, or an array of literal keys."""
    try:
        return _single(value) if isinstance(value, str) else tuple(texts(value))
    except ValueError:
        raise ValueError("data did not match any variant of untagged enum MergePath") from None


_KEY: Final = Field("path", _single, required=True)
_PATH: Final = Field("path", _path)
_VALUE: Final = Field("value", anything, required=True)
_BY: Final = Field("by", i64, required=True)
_SHAPES: Final[Mapping[str, Input]] = {
    name: Input(f"variant UpdateOp::{name.capitalize()}", fields)
    for name, fields in (
        ("set", (_KEY, Field("value", anything, may_end=False))),
        ("merge", (_PATH, _VALUE)),
        ("increment", (_KEY, _BY)),
        ("decrement", (_KEY, _BY)),
        ("append", (_PATH, _VALUE)),
        ("remove", (_KEY,)),
    )
}


def read_operation(value: Any) -> Operation:
    """An element of `ops`, as a kind of input.

    Raises:
        ValueError: It does not fit; in the engine's words.
    """
    name, body = _tagged(value)
    shape = _SHAPES[name]
    names = [field.name for field in shape.fields]
    if isinstance(body, dict):
        told, given = shape.read(body), body
    else:
        told, given = shape.read(body[: len(names)]), dict(zip(names, body, strict=False))
        if len(body) > len(names):
            expected = f"{len(names)} element{'s' if len(names) != 1 else ''}"
            raise ValueError(f"invalid length {len(body)}, expected {expected} in sequence")
    # The engine leaves out a path that it may leave out, and writes a value that was left out.
    sent = {field: given.get(field) for field in names if field != "path" or given.get(field) is not None}
    operand: Any = told.get("value", told.get("by"))
    return Operation(
        name, told["path"] or (), -operand if name == "decrement" else operand, sent={"type": name, **sent}
    )


def _tagged(value: Any) -> tuple[str, Any]:
    """The name of an operation, and its fields: an object without its `type`, or what follows it in an array."""
    name: Any
    body: Any
    if isinstance(value, dict):
        name, body = value.get("type", ABSENT), {key: item for key, item in value.items() if key != "type"}
    elif isinstance(value, list):
        name, body = value[0] if value else ABSENT, value[1:]
    else:
        raise wrong_type(value, "internally tagged enum UpdateOp")
    if name is ABSENT:
        raise ValueError("missing field `type`")
    if not isinstance(name, str):
        raise wrong_type(name, "variant identifier")
    if name not in _SHAPES:
        known = ", ".join(f"`{known}`" for known in _SHAPES)
        raise ValueError(f"unknown variant `{name}`, expected one of {known}")
    return name, body
