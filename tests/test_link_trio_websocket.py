"""What only the transport on trio-websocket does."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from iii_trio._link.transport import ConnectFailed
from iii_trio._link.trio_websocket import TrioWebSocketTransport
from iii_trio._wire.urls import parse_url
from tests._websocket import Script
from tests.test_link_transport import ignore


def test_its_name_and_limit() -> None:
    """A message is one frame, and the engine takes frames of 16 MiB."""
    assert TrioWebSocketTransport.NAME == "trio-websocket"
    assert TrioWebSocketTransport.MAX_OUTGOING == 16 * 1024 * 1024


async def test_a_header_that_http_cannot_carry(autojump_clock: MockClock) -> None:
    """What the HTTP library refuses is a failed attempt with its words."""
    script = Script(end="open")
    with pytest.raises(ConnectFailed, match=r"(?i)header"):
        await TrioWebSocketTransport.serve(
            script, parse_url("ws://engine.invalid"), [("X-Odd", " spaces around ")], 1000, ignore
        )
    assert script.closed


async def test_its_own_task_dies_with_the_connection(autojump_clock: MockClock) -> None:
    """When the stream ends, nothing of the library is left."""
    script = Script()
    async with trio.open_nursery() as nursery:
        await nursery.start(TrioWebSocketTransport.serve, script, parse_url("ws://engine.invalid"), (), 1000, ignore)
    assert script.closed
