"""The two views of a channel are streams as trio means them: trio's own checks say so, over both transports."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from iii_trio.channel import ReadableStream, WritableStream
from tests._relay import Relay

TRANSPORTS = ("trio-websocket", "websockets")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_channel_is_a_one_way_stream(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    """With every rule for sending, receiving, closing and cancelling; `aclose` is quiet once the loss was raised."""
    async with trio.open_nursery() as nursery:

        async def make() -> tuple[WritableStream, ReadableStream]:
            relay = Relay(nursery, transport)
            return relay.writer().stream, relay.reader().stream

        with trio.fail_after(60):
            await trio.testing.check_one_way_stream(make, None)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_full_channel_keeps_the_rules_too(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    """With a buffer that nobody empties."""
    async with trio.open_nursery() as nursery:

        async def make() -> tuple[WritableStream, ReadableStream]:
            relay = Relay(nursery, transport)
            return relay.writer().stream, relay.reader().stream

        async def make_clogged() -> tuple[WritableStream, ReadableStream]:
            relay = Relay(nursery, transport, buffer_size=1)
            writer, reader = relay.writer(), relay.reader()
            await writer.open()
            await reader.open()

            async def write() -> None:
                while True:
                    await writer.write(bytes(65536))

            async with trio.open_nursery() as writing:
                writing.start_soon(write)
                await trio.testing.wait_all_tasks_blocked(0.01)
                writing.cancel_scope.cancel()
            return writer.stream, reader.stream

        with trio.fail_after(60):
            await trio.testing.check_one_way_stream(make, make_clogged)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_two_channels_are_a_two_way_stream(transport: str, autojump_clock: trio.testing.MockClock) -> None:
    """Stapled together."""
    async with trio.open_nursery() as nursery:

        async def make() -> tuple[trio.abc.Stream, trio.abc.Stream]:
            there, back = Relay(nursery, transport), Relay(nursery, transport)
            return (
                trio.StapledStream(there.writer().stream, back.reader().stream),
                trio.StapledStream(back.writer().stream, there.reader().stream),
            )

        with trio.fail_after(60):
            await trio.testing.check_two_way_stream(make, None)
        nursery.cancel_scope.cancel()
