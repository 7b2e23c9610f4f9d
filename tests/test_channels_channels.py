"""How the channels of a client are made, and what becomes of refs."""

from __future__ import annotations

from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio._channels.channels import BUFFER_SIZE, CREATE, MAX_BUFFER_SIZE, Channels
from iii_trio._link.choice import find_transport
from iii_trio._link.connect import Target
from iii_trio._wire.urls import parse_url
from iii_trio.channel import ChannelReader, ChannelWriter, StreamChannelRef
from iii_trio.errors import ChannelClosed, ConfigurationError, InternalError

REF: Final = {"channel_id": "c", "access_key": "k"}
READ: Final = {**REF, "direction": "read"}
WRITE: Final = {**REF, "direction": "write"}


@attrs.define(eq=False)
class Engine:
    """Answers the one call, as the client does: with live ends in place of refs."""

    channels: Channels
    answer: Any = attrs.field(factory=lambda: {"writer": dict(WRITE), "reader": dict(READ)})
    asked: list[tuple[str, Any]] = attrs.field(factory=list)

    async def call(self, function_id: str, payload: Any, /) -> Any:
        await trio.lowlevel.checkpoint()
        self.asked.append((function_id, payload))
        return self.channels.enliven(self.answer)


@pytest.fixture
def channels() -> Channels:
    """Those of a client that runs nowhere: nothing can be opened."""
    return Channels(
        Target(
            url=parse_url("ws://engine.invalid"),
            transport=find_transport("auto"),
            headers=(),
            ssl_context=None,
            open_stream=None,
            max_message_size=1000,
            timeout=5,
        )
    )


def test_the_sizes_of_a_buffer() -> None:
    """At the engine: what it makes of none, and the most that it takes."""
    assert (BUFFER_SIZE, MAX_BUFFER_SIZE) == (64, 1024)


@pytest.mark.parametrize(("size", "asked"), [(None, 64), (1, 1), (1024, 1024)])
async def test_the_engine_is_asked_for_a_buffer(channels: Channels, size: int | None, asked: int) -> None:
    """Of 64 messages when nobody says how many."""
    engine = Engine(channels)
    await channels.create(engine.call, size, verified=False)
    assert engine.asked == [(CREATE, {"buffer_size": asked})]


@pytest.mark.parametrize("size", [0, -1, 1025, 1.5, "64", True])
async def test_a_buffer_size_that_the_engine_would_change(channels: Channels, size: Any) -> None:
    """Is refused, where the engine would take another one in silence; it is not asked."""
    engine = Engine(channels)
    with pytest.raises(ConfigurationError, match="buffer_size must be a whole number from 1 to 1024"):
        await channels.create(engine.call, size, verified=False)
    assert engine.asked == []


@pytest.mark.parametrize("verified", [False, True])
async def test_both_ends_bear_the_mark(channels: Channels, verified: bool) -> None:
    """Of a verified channel, and so do the refs that travel; else nothing has one."""
    channel = await channels.create(Engine(channels).call, None, verified=verified)
    assert channel.writer.ref is channel.writer_ref
    assert channel.reader.ref is channel.reader_ref
    assert [ref.direction for ref in (channel.writer_ref, channel.reader_ref)] == ["write", "read"]
    assert [ref.verified for ref in (channel.writer_ref, channel.reader_ref)] == [True if verified else None] * 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"writer": WRITE}, id="one end"),
        pytest.param({"writer": READ, "reader": WRITE}, id="the wrong way round"),
        pytest.param({"writer": {}, "reader": {}}, id="no refs"),
    ],
)
async def test_an_answer_that_is_no_channel(channels: Channels, answer: Any) -> None:
    """The engine is to blame, and not whoever asked."""
    with pytest.raises(InternalError, match="something else than two refs"):
        await channels.create(Engine(channels, answer).call, None, verified=False)


def test_a_ref_of_any_form_becomes_its_end(channels: Channels) -> None:
    """As a value, and as it stands in JSON."""
    assert isinstance(channels.reader(READ), ChannelReader)
    assert isinstance(channels.writer(WRITE), ChannelWriter)
    ref = StreamChannelRef(channel_id="c", access_key="k", direction="read")
    assert channels.reader(ref).ref == ref


def test_a_ref_of_the_other_end(channels: Channels) -> None:
    """Is refused with both words."""
    with pytest.raises(ConfigurationError, match="ref of a channel's write end, and a read end is wanted"):
        channels.reader(WRITE)
    with pytest.raises(ConfigurationError, match="ref of a channel's read end, and a write end is wanted"):
        channels.writer(READ)


def test_refs_in_a_payload_come_to_life(channels: Channels) -> None:
    """Each as the end that it is."""
    tree = channels.enliven({"from": dict(READ), "to": [dict(WRITE)], "more": 1})
    assert isinstance(tree["from"], ChannelReader)
    assert isinstance(tree["to"][0], ChannelWriter)
    assert tree["more"] == 1


async def test_without_a_client_nothing_is_opened(channels: Channels) -> None:
    """Before it runs and after it has ended; ends that were made before are no exception."""
    reader = channels.reader(READ)
    with pytest.raises(ChannelClosed, match="client is closed"):
        await reader.open()
    async with trio.open_nursery() as nursery:
        channels.serve_in(nursery)
        channels.serve_in(None)
    with pytest.raises(ChannelClosed, match="client is closed"):
        await reader.open()
