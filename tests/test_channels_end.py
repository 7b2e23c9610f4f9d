"""What both ends of a channel have in common: when they are opened, how that fails, and how they are let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio._channels.end import Turn
from iii_trio.channel import ChannelReader, ChannelWriter
from iii_trio.errors import ChannelBroken, ChannelBusy, ChannelClosed
from tests._relay import Relay, relayed

Make: TypeAlias = Callable[[Relay], ChannelReader | ChannelWriter]


@pytest.fixture(params=["trio-websocket", "websockets"])
async def relay(request: pytest.FixtureRequest) -> AsyncIterator[Relay]:
    """A channel, over each transport."""
    async with relayed(request.param) as relay:
        yield relay


@pytest.fixture(params=[Relay.reader, Relay.writer], ids=["reader", "writer"])
def make(request: pytest.FixtureRequest) -> Make:
    """Each kind of end."""
    kind: Any = request.param
    return lambda relay: kind(relay)


def test_a_turn_is_one_tasks() -> None:
    """A second is refused at once with what the first is doing; after it, however it ended, the next is let in."""
    turn = Turn("reading from")
    for error in (ZeroDivisionError, KeyError):
        with pytest.raises(error), turn:  # noqa: PT012
            with pytest.raises(ChannelBusy, match="another task is reading from this channel"):
                turn.__enter__()
            assert turn.is_taken
            raise error
    assert not turn.is_taken


async def test_the_request_says_where_and_who(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """The client's headers go along, and the key is not spelled out in anything that people see."""
    end = make(relay)
    await end.open()
    (request,) = relay.requests
    way = f"/ws/channels/6b1f0b0c-2f5b-4f0a-8f6e-2a54b1f6a001?key=s3cret%20key%2F%26&dir={end.ref.direction}"
    assert request.startswith(f"GET {way} HTTP")
    assert "X-Extra: e" in request
    assert "s3cret" not in repr(end)


async def test_an_end_is_opened_when_it_is_used(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """Making one, and looking at it, takes nothing; opening it again is nothing."""
    end = make(relay)
    assert not end.is_started
    assert "not open" in repr(end)
    await wait_all_tasks_blocked()
    assert relay.requests == []
    await end.open()
    assert end.is_started
    assert repr(end).endswith(", open>")
    await end.open()
    assert len(relay.requests) == 1
    end.abandon()
    assert repr(end).endswith(", closed>")


async def test_an_end_that_was_used_cannot_be_given_away(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """One that was not travels as its ref."""
    end = make(relay)
    assert end.give_away() is end.ref
    await end.open()
    with pytest.raises(TypeError, match="was opened here"):
        end.give_away()


async def test_who_opens_together_opens_once(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """And each waits until it is done."""
    end = make(relay)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(end.open)
    assert len(relay.requests) == 1


async def test_an_opening_that_was_cancelled_goes_on(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """The end is not taken in vain."""
    end = make(relay)
    with trio.CancelScope() as scope:
        scope.cancel()
        await end.open()
    assert scope.cancelled_caught
    await wait_all_tasks_blocked()
    await end.open()
    assert len(relay.requests) == 1


@pytest.mark.parametrize("status", [401, 500])
async def test_any_refusal_but_404(relay: Relay, autojump_clock: MockClock, make: Make, status: int) -> None:
    """It is told, with what the server said, to each that asks."""
    relay.status = status
    end = make(relay)
    for _ in range(2):
        with pytest.raises(ChannelBroken, match=f"cannot be opened.*{status}"):
            await end.open()
    assert len(relay.requests) == 1


async def test_an_engine_that_cannot_be_reached(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """Is told in our words."""

    async def fail() -> trio.abc.Stream:
        raise OSError("no route")

    relay.home.target = attrs.evolve(relay.home.target, open_stream=fail)
    with pytest.raises(ChannelBroken, match="no route"):
        await make(relay).open()


async def test_the_client_is_gone_while_an_end_is_opened(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """Who waits for it is told."""

    async def never() -> trio.abc.Stream:
        await trio.sleep_forever()

    relay.home.target = attrs.evolve(relay.home.target, open_stream=never)

    async def wait() -> None:
        with pytest.raises(ChannelClosed, match="client was closed"):
            await make(relay).open()

    async with trio.open_nursery() as nursery, trio.open_nursery() as services:
        relay.home.nursery = services
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        services.cancel_scope.cancel()


async def test_abandoning_an_end_lets_its_socket_go(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """At once, and whoever waits for it is told; one that was not used is left alone."""
    unused = make(relay)
    unused.abandon()
    await wait_all_tasks_blocked()
    assert relay.requests == []
    await unused.open()
    unused.abandon()
    with pytest.raises(ChannelClosed, match="this end of the channel was closed"):
        await unused.open()
    await wait_all_tasks_blocked()
    assert relay.clients[unused.ref.direction].closed


async def test_an_end_that_is_abandoned_while_it_is_opened(relay: Relay, autojump_clock: MockClock, make: Make) -> None:
    """Is taken and let go, since else the other side would wait for it."""
    end = make(relay)
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(ChannelClosed):
                await end.open()

        nursery.start_soon(wait)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        end.abandon()
    await wait_all_tasks_blocked()
    assert relay.clients[end.ref.direction].closed
