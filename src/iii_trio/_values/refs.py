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
