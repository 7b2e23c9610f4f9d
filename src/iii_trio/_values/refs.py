"""References to channels: what travels in a payload in place of a reader or a writer."""

from __future__ import annotations

from typing import Literal

import attrs

from iii_trio._values.checks import one_of, text


@attrs.frozen(kw_only=True)
class StreamChannelRef:
    """One end of a channel, as it travels in a payload. Whoever holds it can take that end, once.

    Source: the references' ``StreamChannelRef``. Both ends of a channel have the same id and the same key.
    """

    channel_id: str = attrs.field(validator=text)
    """Id of the channel, a UUID made by the engine."""

    access_key: str = attrs.field(validator=text, repr=False)
    """Secret that opens the channel; never part of the value's text."""

    direction: Literal["read", "write"] = attrs.field(validator=one_of("read", "write"))
    """Which end it is: ``"read"`` makes a reader of it, ``"write"`` a writer."""
