"""Channels among the types: what a reader, a writer and a ref take, and what the engine lists about them."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio._channels.channels import Channels
from iii_trio._link.choice import find_transport
from iii_trio._link.connect import Target
from iii_trio._types.shape import UnknownType
from iii_trio._types.table import Misfit, typed
from iii_trio._wire.urls import parse_url
from iii_trio.channel import ChannelReader, ChannelWriter, StreamChannelRef

READ: Final = {"channel_id": "c", "access_key": "k", "direction": "read"}
WRITE: Final = {**READ, "direction": "write"}


@attrs.frozen
class Job:
    """What a handler takes."""

    source: ChannelReader
    target: ChannelWriter | None = None
    later: tuple[StreamChannelRef, ...] = ()


def live(tree: Any) -> Any:
    """The payload as it gets to a handler."""
    target = Target(
        url=parse_url("ws://h"),
        transport=find_transport("trio-websocket"),
        headers=(),
        ssl_context=None,
        open_stream=None,
        max_message_size=1000,
        timeout=1,
    )
    return Channels(target).enliven(tree)


async def test_the_fields_of_a_class_are_ends() -> None:
    """Readers, writers that may be missing, and refs that stay refs."""
    job = typed(Job).structure(live({"source": {**READ}, "target": {**WRITE}, "later": [{**READ}]}))
    assert type(job.source) is ChannelReader
    assert type(job.target) is ChannelWriter
    assert job.later == (StreamChannelRef(**READ),)  # type: ignore[arg-type]
    assert typed(Job).structure(live({"source": {**READ}, "target": None})).target is None
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (ChannelReader, {**WRITE}, "for a ChannelReader, got the other end's ChannelWriter"),
        (ChannelWriter, {**READ}, "for a ChannelWriter, got the other end's ChannelReader"),
        (ChannelReader, {"channel_id": "c"}, "for a ChannelReader, got dict"),
        (ChannelReader | None, 7, "expected an object or null, got int"),
        (StreamChannelRef, {"channel_id": "c"}, "required field missing"),
    ],
)
async def test_what_is_no_end_does_not_fit(type_: Any, value: Any, words: str) -> None:
    """With words about it."""
    with pytest.raises(Misfit, match=words):
        typed(type_).structure(live(value))


async def test_a_ref_is_an_object_to_the_engine() -> None:
    """Readers and writers too."""
    schema = typed(ChannelReader).schema
    assert schema is not None
    assert schema["required"] == ["channel_id", "access_key", "direction"]
    assert schema == typed(StreamChannelRef).schema == typed(ChannelWriter).schema


async def test_an_end_or_another_object_cannot_be_told_apart() -> None:
    """And is refused when the handler is registered."""
    with pytest.raises(UnknownType, match="ambiguous"):
        typed(ChannelReader | Job)
