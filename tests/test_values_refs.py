"""References to channels."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.refs import StreamChannelRef
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import results


def test_the_recorded_refs_make_the_value() -> None:
    """Both ends, and written they are the same again."""
    (created, *_) = results("channel-create", "engine::channels::create")
    for end, direction in (("reader", "read"), ("writer", "write")):
        ref = build(StreamChannelRef, created[end])
        assert ref.direction == direction
        assert jsonable(ref) == created[end]


def test_the_key_is_not_shown() -> None:
    """Whoever has it has the channel."""
    assert "s3cret" not in repr(StreamChannelRef(channel_id="c", access_key="s3cret", direction="read"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"channel_id": ""}, "StreamChannelRef.channel_id must not be blank", id="no id"),
        pytest.param({"access_key": None}, "StreamChannelRef.access_key must be text", id="no key"),
        pytest.param({"direction": "both"}, "StreamChannelRef.direction must be 'read' or 'write'", id="both ends"),
    ],
)
def test_a_ref_that_opens_nothing_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=reason):
        StreamChannelRef(**{"channel_id": "c", "access_key": "k", "direction": "read", **fields})
