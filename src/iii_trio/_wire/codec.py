"""Bytes to frames and frames to bytes.

Structuring is strict: ``7`` is not text and ``"no"`` is not a truth value, while unknown fields are ignored. What cannot
be decoded raises `UndecodableFrame`, which the caller counts; a peer cannot raise anything else here.

Encoding refuses what the engine could not decode, since the engine drops such a frame without an answer
(docs/wire.md, "What the engine cannot decode"). The encoder finds most faults itself; the payload is walked only to
name the place, or where the encoder is silent: it writes NaN as ``null`` and does not count nesting. Of a long one a few
values are looked at, which is cheaper than to search its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args, get_type_hints

import attrs
import orjson
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from iii_trio._values.strict import strict_converter
from iii_trio._wire import messages
from iii_trio._wire.check import MAX_NESTING, find_fault, is_plain, jsonable
from iii_trio._wire.messages import Frame, Ignored, TelemetryFrame
from iii_trio._wire.plain import PLAIN_STRUCTURE, PLAIN_UNSTRUCTURE
from iii_trio.errors import PayloadError

MAX_MESSAGE_SIZE: Final = 64 * 1024 * 1024
"""What the engine takes in one message, in bytes; one more and it drops the connection."""

MAX_FRAME_SIZE: Final = 16 * 1024 * 1024
"""What it takes in one WebSocket frame, of which a message may have several (docs/wire.md, "Sizes")."""


class UndecodableFrame(Exception):
    """A message of the peer that is no frame. Its text says why; it never leaves the package."""


# ---- bytes to frames ------------------------------------------------------------------------------------------------


def decode(message: str | bytes) -> Frame | Ignored | TelemetryFrame:
    """The frame in one text or binary message.

    Raises:
        UndecodableFrame: It is no JSON object, has an unknown type, lacks a field, or has one of the wrong type.
    """
    try:
        tree = orjson.loads(message)
        kind = tree["type"]
        plain, structure = _STRUCTURE[kind]
    except (ValueError, TypeError, LookupError):
        return _decode_rare(message)
    if plain is not None and (frame := plain(tree)) is not None:
        return frame
    try:
        return structure(tree, None)
    except Exception as error:
        raise UndecodableFrame(f"{kind}: {'; '.join(transform_error(error))}") from None


def _decode_rare(message: str | bytes) -> Ignored | TelemetryFrame:
    """Whatever is not a JSON object of a known type."""
    if isinstance(message, bytes) and message[:4] in _TELEMETRY_KINDS:
        return TelemetryFrame(kind=_TELEMETRY_KINDS[message[:4]], body=message[4:])
    try:
        tree = orjson.loads(message)
    except ValueError as error:
        raise UndecodableFrame(f"not JSON: {error}") from None
    kind = tree.get("type") if isinstance(tree, dict) else None
    if isinstance(kind, str) and kind in messages.IGNORED_TYPES:
        return Ignored(kind)
    raise UndecodableFrame(f"unknown frame type {kind!r}" if isinstance(tree, dict) else "not a JSON object")


# ---- frames to bytes ------------------------------------------------------------------------------------------------


def encode(frame: Frame, *, max_size: int = MAX_MESSAGE_SIZE) -> bytes:
    """The UTF-8 JSON text of one frame, of at most `max_size` bytes.

    Raises:
        PayloadError: The engine could not decode it; the error names the path of the fault. Nothing was sent.
    """
    plain, unstructure = _UNSTRUCTURE[type(frame)]
    tree = (plain and plain(frame)) or unstructure(frame)
    try:
        encoded = orjson.dumps(tree, default=jsonable, option=_OPTIONS)
    except TypeError as error:
        raise _fault(tree) or PayloadError(str(error)) from None
    if _is_suspect(tree, encoded) and (fault := _fault(tree)):
        raise fault
    if len(encoded) > max_size:
        advice = _IN_PIECES if max_size == MAX_FRAME_SIZE and len(encoded) <= MAX_MESSAGE_SIZE else ""
        raise PayloadError(f"the message would have {len(encoded)} bytes, and at most {max_size} can be sent{advice}")
    return encoded


_IN_PIECES: Final = "; trio-websocket sends no more at once, the transport websockets does (pip install iii-trio[fast])"


def _is_suspect(tree: dict[str, Any], encoded: bytes) -> bool:
    """Whether the encoder may have let something pass: a number that is none, or too much nesting."""
    if len(encoded) > _LONG and is_plain(tree, len(encoded) // _BYTES_A_VALUE):
        return False
    return b"null" in encoded or _may_be_deep(encoded)


_LONG: Final = 2048
"""Bytes from which on a search costs more than a look at few values."""

_BYTES_A_VALUE: Final = 100
"""Bytes that are searched in the time in which one value is looked at, and about as much again."""


def _may_be_deep(encoded: bytes) -> bool:
    return encoded.count(b"[") + encoded.count(b"{") > MAX_NESTING


# Both the encoder and `find_fault` see these as `jsonable` does. Left to itself the encoder would write what is in the
# `__dict__` of a dataclass instead of its fields, and crash on a time zone that raises.
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

_ROOTS: Final = {"data": "$", "result": "$", "config": "$"}


def _fault(tree: dict[str, Any]) -> PayloadError | None:
    for field, value in tree.items():
        if fault := find_fault(value, root=_ROOTS.get(field, field)):
            return fault
    return None


# ---- the converter --------------------------------------------------------------------------------------------------


def _make_converter() -> Converter:
    converter = strict_converter()
    # Their `type` is a default and must be written all the same: it is what tells them apart.
    for action in get_args(messages.Action):
        converter.register_unstructure_hook(action, attrs.asdict)
    return converter


def _structure_fn(cls: type[Frame]) -> Callable[[Any, Any], Frame]:
    structure: Callable[[Any, Any], Frame] = make_dict_structure_fn(cls, _CONVERTER)
    return structure


def _unstructure_fn(cls: type[Frame]) -> Callable[[Frame], dict[str, Any]]:
    # Fields that hold a user's value are told from their default by identity: `!=` would run code of his, and that of an
    # array answers with an array.
    types = get_type_hints(cls)
    values = {field.name: field.default for field in attrs.fields(cls) if types[field.name] is messages.Json}
    always: Any = {name: override(omit_if_default=False) for name in (*cls.ALWAYS, *values)}
    full = make_dict_unstructure_fn(cls, _CONVERTER, _cattrs_omit_if_default=True, **always)
    kind = cls.TYPE
    omitted = [(name, default) for name, default in values.items() if name not in cls.ALWAYS]

    def unstructure(frame: Frame) -> dict[str, Any]:
        tree = {"type": kind, **full(frame)}
        for name, default in omitted:
            if tree[name] is default:
                del tree[name]
        return tree

    return unstructure


_CONVERTER: Final = _make_converter()
_STRUCTURE: Final = {cls.TYPE: (PLAIN_STRUCTURE.get(cls), _structure_fn(cls)) for cls in messages.FRAMES}
_UNSTRUCTURE: Final = {cls: (PLAIN_UNSTRUCTURE.get(cls), _unstructure_fn(cls)) for cls in messages.FRAMES}
_TELEMETRY_KINDS: Final[dict[bytes, Literal["OTLP", "MTRC", "LOGS"]]] = {
    b"OTLP": "OTLP",
    b"MTRC": "MTRC",
    b"LOGS": "LOGS",
}
