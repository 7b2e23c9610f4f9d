"""Update operations: what `StateUpdateInput` and `StreamUpdateInput` do to a stored value, one after another.

What the engine is certain to refuse is refused here, before anything is sent: it would either fail the whole call, or skip
the operation and say so beside a result that looks like success (docs/engine.md, "Updates").

A path that is text is *one* key, dots and all; ``""`` is the whole value. Only `UpdateMerge` and `UpdateAppend` reach
deeper, with a list of keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import attrs

from iii_trio._values.building import build_kind
from iii_trio._values.checks import Validator, one_of, refuse, whole
from iii_trio.errors import ConfigurationError

MAX_SEGMENTS: Final = 32
"""Keys in a path."""

MAX_SEGMENT_BYTES: Final = 256
"""UTF-8 bytes in one key of a path."""

MAX_MERGE_KEYS: Final = 1024
"""Keys in the value of a merge, at its top."""

MAX_MERGE_DEPTH: Final = 16
"""Objects and lists inside each other in the value of a merge, itself included."""

RESERVED_KEYS: Final = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that the engine lets nobody write through a path or at the top of a merge."""


def _segment(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str):
        refuse(instance, attribute, f"must be text, not {type(value).__name__}")
    elif len(value.encode("utf-8", "surrogatepass")) > MAX_SEGMENT_BYTES:
        refuse(instance, attribute, f"must have no key of more than {MAX_SEGMENT_BYTES} bytes")
    elif value in RESERVED_KEYS:
        refuse(instance, attribute, f"must not have the key {value!r}, which the engine reserves")


def _path(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, list):
        _segment(instance, attribute, value)
        return
    if len(value) > MAX_SEGMENTS:
        refuse(instance, attribute, f"must have at most {MAX_SEGMENTS} keys, not {len(value)}")
    for segment in value:
        _segment(instance, attribute, segment)
        if not segment:
            refuse(instance, attribute, "must have no empty key in a list")


def _mergeable(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if attrs.has(type(value)):
        return  # it becomes an object; how deep is known only when it is written
    if not isinstance(value, dict):
        refuse(instance, attribute, f"must be a dict or an attrs instance, not {type(value).__name__}")
    if len(value) > MAX_MERGE_KEYS:
        refuse(instance, attribute, f"must have at most {MAX_MERGE_KEYS} keys, not {len(value)}")
    for key in RESERVED_KEYS & value.keys():
        refuse(instance, attribute, f"must not have the key {key!r}, which the engine reserves")
    if _is_deeper(value, MAX_MERGE_DEPTH):
        refuse(instance, attribute, f"must not be nested deeper than {MAX_MERGE_DEPTH} levels")


def _is_deeper(value: Any, levels: int) -> bool:
    children: Any = ()
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, (list, tuple)):
        children = value
    else:
        return False
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)


_amount: Final[Validator] = whole(-(2**63), 2**63 - 1)


@attrs.frozen(kw_only=True)
class UpdateSet:
    """Writes a key, or with the path ``""`` the whole value. It needs an object to write a key of.

    Source: the references' ``UpdateSet``.
    """

    path: str = attrs.field(validator=_segment)
    """The key; ``""`` is the whole value."""

    value: Any
    """Any JSON value."""

    type: Literal["set"] = attrs.field(  # pyright: ignore[reportAssignmentType]  # it widens the default to str
        default="set", validator=one_of("set")
    )
    """Always ``"set"``."""


@attrs.frozen(kw_only=True)
class UpdateMerge:
    """Writes several keys of an object, and makes what is missing on the way to it.

    What stands in the way and is no object is replaced by one. But when the *whole* value is no object, a merge without a
    path changes nothing and says nothing.

    Source: the references' ``UpdateMerge``.
    """

    path: str | list[str] | None = attrs.field(default=None, validator=_path)
    """The object: one key, a list of keys from the top down, or None for the whole value."""

    value: Any = attrs.field(validator=_mergeable)
    """What is merged into it, one level deep: a dict or an attrs instance."""

    type: Literal["merge"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="merge", validator=one_of("merge")
    )
    """Always ``"merge"``."""


@attrs.frozen(kw_only=True)
class UpdateIncrement:
    """Adds to a number; what is missing counts as 0. Source: the references' ``UpdateIncrement``."""

    path: str = attrs.field(validator=_segment)
    """The key; ``""`` is the whole value."""

    by: int = attrs.field(validator=_amount)
    """How much: a whole number of 64 bits, since the engine takes no other. What is stored may be a float."""

    type: Literal["increment"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="increment", validator=one_of("increment")
    )
    """Always ``"increment"``."""


@attrs.frozen(kw_only=True)
class UpdateDecrement:
    """Takes from a number; what is missing counts as 0. Source: the references' ``UpdateDecrement``."""

    path: str = attrs.field(validator=_segment)
    """The key; ``""`` is the whole value."""

    by: int = attrs.field(validator=_amount)
    """How much, as for `UpdateIncrement`."""

    type: Literal["decrement"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="decrement", validator=one_of("decrement")
    )
    """Always ``"decrement"``."""


@attrs.frozen(kw_only=True)
class UpdateAppend:
    """Puts an element at the end of a list, or text at the end of text.

    A list as `value` becomes *one* element. What is missing becomes a list with the value; text becomes the text itself,
    unless the path has two keys or more.

    Source: the references' ``UpdateAppend``.
    """

    path: str | list[str] | None = attrs.field(default=None, validator=_path)
    """The list or text: one key, a list of keys from the top down, or None for the whole value."""

    value: Any
    """Any JSON value."""

    type: Literal["append"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="append", validator=one_of("append")
    )
    """Always ``"append"``."""


@attrs.frozen(kw_only=True)
class UpdateRemove:
    """Removes a key; with the path ``""`` the value becomes null. A key that is not there is no error.

    Source: the references' ``UpdateRemove``.
    """

    path: str = attrs.field(validator=_segment)
    """The key; ``""`` is the whole value."""

    type: Literal["remove"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="remove", validator=one_of("remove")
    )
    """Always ``"remove"``."""


UpdateOp: TypeAlias = UpdateSet | UpdateMerge | UpdateIncrement | UpdateDecrement | UpdateAppend | UpdateRemove
"""One step of an update. Source: the references name it ``UpdateOp`` and do not list it."""

_KINDS: Final[Mapping[str, type[UpdateOp]]] = {
    "set": UpdateSet,
    "merge": UpdateMerge,
    "increment": UpdateIncrement,
    "decrement": UpdateDecrement,
    "append": UpdateAppend,
    "remove": UpdateRemove,
}


def as_ops(value: Sequence[UpdateOp | Mapping[str, Any]]) -> list[UpdateOp]:
    """Operations from themselves or from dicts.

    Raises:
        ConfigurationError: One of them cannot work; the error names its place in the list.
    """
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(f"ops must be a list, not {type(value).__name__}")
    ops: list[UpdateOp] = []
    for index, given in enumerate(value):
        try:
            ops.append(build_kind(_KINDS, given, "an update operation"))
        except ConfigurationError as error:
            raise ConfigurationError(f"ops[{index}]: {error}") from None
    return ops


@attrs.frozen(kw_only=True)
class UpdateOpError:
    """Why one operation of an update was skipped. The others were applied.

    Source: the references name it ``UpdateOpError`` and do not list it.
    """

    op_index: int
    """Place of the operation in the list, from 0."""

    code: str
    """The kind of failure, as in ``increment.not_number``."""

    message: str
    """What happened, for people."""

    doc_url: str | None = None
    """Where the engine's own documentation explains the code."""
