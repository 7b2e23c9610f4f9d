"""References to channels: what travels in a payload in place of a reader or a writer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import attrs

from iii_trio._values.building import LEFT_OUT
from iii_trio._values.checks import one_of, optional, text

REF_KEY: Final = "access_key"
"""A payload that holds a ref has this in its text."""

_DIRECTIONS: Final = ("read", "write")


@attrs.frozen(kw_only=True)
class StreamChannelRef:
    """One end of a channel, as it travels in a payload. Whoever holds it can take that end, once.

    Source: the references' ``StreamChannelRef``. Both ends of a channel have the same id and the same key.
    """

    channel_id: str = attrs.field(validator=text)
    """Id of the channel, a UUID made by the engine."""

    access_key: str = attrs.field(validator=text, repr=False)
    """Secret that opens the channel; never part of the value's text."""

    direction: Literal["read", "write"] = attrs.field(validator=one_of(*_DIRECTIONS))
    """Which end it is: ``"read"`` makes a reader of it, ``"write"`` a writer."""

    verified: Literal[True] | None = attrs.field(default=None, validator=optional(one_of(True)), metadata={**LEFT_OUT})
    """Whether the writer ends with length and checksum, and the reader insists on them. Only iii-trio knows of it."""


class LiveRef(ABC):
    """What stands for a ref in payloads here: an end that can be opened. In JSON it is its ref again."""

    @property
    @abstractmethod
    def ref(self) -> StreamChannelRef:
        """The ref that it was made of."""

    @abstractmethod
    def give_away(self) -> StreamChannelRef:
        """The ref, for somebody else.

        Raises:
            TypeError: It was opened here, and would be of no use there.
        """


def may_hold_ref(message: str, tree: Any) -> bool:
    """Whether the decoded JSON value may hold a ref; `message` is the text that it came in.

    A payload whose text lacks the key is not walked. Of a long one a few values are looked at first, which takes less time
    than to search it: mostly it is long because of a text or two.
    """
    if len(message) > _LONG and _has_few_values(tree, len(message) // _TEXT_A_VALUE):
        return False
    return REF_KEY in message


_LONG: Final = 2048
_TEXT_A_VALUE: Final = 100
"""Characters that are searched while one value is looked at."""


def _has_few_values(value: Any, at_most: int) -> bool:
    """Whether that is so, and none of them is a ref or stands in a list."""
    if type(value) is not dict:
        return type(value) is not list
    if len(value) > at_most or REF_KEY in value:
        return False
    return all(type(each) is not list and (type(each) is not dict or not each) for each in value.values())


def enliven(tree: Any, make: Callable[[StreamChannelRef], Any]) -> Any:
    """The decoded JSON value, with what `make` returns in place of every ref in it; lists and dicts are changed in place."""
    root = [tree]
    pending: list[Any] = [root]
    while pending:
        container = pending.pop()
        items: Iterable[tuple[Any, Any]] = enumerate(container) if type(container) is list else list(container.items())
        for place, value in items:
            if type(value) is dict and _is_ref(value):
                container[place] = make(_as_ref(value))
            elif type(value) in (dict, list):
                pending.append(value)
    return root[0]


def _is_ref(value: dict[str, Any]) -> bool:
    texts = [value.get("channel_id"), value.get(REF_KEY)]
    return all(type(each) is str and each.strip() for each in texts) and value.get("direction") in _DIRECTIONS


def _as_ref(value: dict[str, Any]) -> StreamChannelRef:
    return StreamChannelRef(
        channel_id=value["channel_id"],
        access_key=value[REF_KEY],
        direction=value["direction"],
        verified=True if value.get("verified") is True else None,
    )
