"""The queues between a writer and a reader, and how long one can take their ends."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from iii_trio._embedded import channels as module
from iii_trio._embedded.channels import UNTAKEN_LIFE, Channel, Channels
from iii_trio._embedded.clock import Clock
from iii_trio._embedded.registry import Refusal


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock(epoch_ms=lambda: 0, on_alarm=lambda: None, now=0.0)


@pytest.fixture
def channels(clock: Clock) -> Channels:
    """None at first."""
    numbers = itertools.count()
    return Channels(clock, lambda: f"id{next(numbers)}")


def take_both(channels: Channels, channel: Channel) -> None:
    """As a writer and a reader do it."""
    assert channels.take(channel.id, channel.access_key, "write") is channel
    assert channels.take(channel.id, channel.access_key, "read") is channel


@pytest.mark.parametrize(
    ("data", "capacity"),
    [
        pytest.param({}, 64, id="default"),
        pytest.param([], 64, id="array"),
        pytest.param({"buffer_size": None}, 64, id="null"),
        pytest.param({"buffer_size": 0}, 1, id="at-least-one"),
        pytest.param({"buffer_size": 7}, 7, id="as-told"),
        pytest.param({"buffer_size": 5_000}, 1_024, id="at-most"),
    ],
)
def test_a_channel_is_made_as_large_as_the_engine_makes_it(data: Any, capacity: int, channels: Channels) -> None:
    """Both references have the same id and key, which differ."""
    assert channels.create_and_tell(None, data) == {
        "writer": {"channel_id": "id0", "access_key": "id1", "direction": "write"},
        "reader": {"channel_id": "id0", "access_key": "id1", "direction": "read"},
    }
    channel = channels.take("id0", "id1", "write")
    assert channel is not None
    assert channel.capacity == capacity


def test_a_size_that_is_no_count_is_refused(channels: Channels) -> None:
    """In the engine's words."""
    with pytest.raises(Refusal, match="expected usize"):
        channels.create_and_tell(None, {"buffer_size": -1})


def test_messages_keep_their_order_and_their_kind(channels: Channels) -> None:
    """Up to the end."""
    channel = channels.create()
    for message in ("a", b"b", ""):
        assert channel.put(message)
    channel.end_writing()
    assert [channel.get() for _ in range(4)] == ["a", b"b", "", None]


def test_it_is_full_at_its_capacity(channels: Channels) -> None:
    """And has room again for each message that was taken."""
    channel = channels.create(2)
    channel.put("1")
    assert not channel.is_full
    channel.put("2")
    assert channel.is_full
    channel.get()
    assert not channel.is_full


def test_each_side_hears_of_the_other(channels: Channels) -> None:
    """A message and the end, room and the end."""
    heard: list[str] = []
    channel = channels.create(1)
    channel.on_message, channel.on_room = lambda: heard.append("message"), lambda: heard.append("room")
    channel.put("1")
    channel.get()
    channel.end_writing()
    channel.end_reading()
    assert heard == ["message", "room", "message", "room"]


def test_a_message_that_nobody_will_read_is_refused(channels: Channels) -> None:
    """What was in it is gone, and nobody waits for room."""
    channel = channels.create(1)
    channel.put("1")
    channel.end_reading()
    assert not channel.is_full
    assert not channel.put("2")
    assert channel.get() is None


@pytest.mark.parametrize(("channel_id", "key"), [pytest.param("x", "id1", id="id"), pytest.param("id0", "x", id="key")])
def test_a_wrong_reference_opens_nothing(channel_id: str, key: str, channels: Channels) -> None:
    """As if there were no such channel."""
    channels.create()
    assert not channels.knows(channel_id, key)
    assert channels.take(channel_id, key, "read") is None


def test_an_end_is_taken_once(channels: Channels) -> None:
    """Also after it was left; the channel is known all the same."""
    channel = channels.create()
    take_both(channels, channel)
    for _ in range(2):
        assert channels.take(channel.id, channel.access_key, "read") is None
        assert channels.take(channel.id, channel.access_key, "write") is None
        assert channels.knows(channel.id, channel.access_key)
        channels.leave(channel, "read")
        channels.leave(channel, "write")


def test_an_end_that_nobody_takes_lives_for_five_minutes(channels: Channels, clock: Clock) -> None:
    """Then the channel is unknown, and what had been taken of it ends."""
    lone_writer, lone_reader, complete = (channels.create() for _ in range(3))
    channels.take(lone_writer.id, lone_writer.access_key, "write")
    channels.take(lone_reader.id, lone_reader.access_key, "read")
    take_both(channels, complete)
    clock.tick(1.0)
    later = channels.create()
    clock.tick(UNTAKEN_LIFE - 0.1)
    assert not lone_writer.read_ended
    clock.tick(UNTAKEN_LIFE)
    assert not channels.knows(lone_writer.id, lone_writer.access_key)
    assert not lone_writer.put("nobody will read it")
    assert not channels.knows(lone_reader.id, lone_reader.access_key)
    assert lone_reader.get() is None
    assert channels.knows(complete.id, complete.access_key)
    assert not complete.write_ended
    assert channels.knows(later.id, later.access_key)
    clock.tick(UNTAKEN_LIFE + 1.0)
    assert not channels.knows(later.id, later.access_key)
    assert UNTAKEN_LIFE == 300


def test_there_is_one_alarm_for_all_of_them(channels: Channels, clock: Clock) -> None:
    """Else a busy engine would collect them for five minutes."""
    for _ in range(100):
        take_both(channels, channels.create())
    assert clock.next_deadline() == UNTAKEN_LIFE
    clock.tick(UNTAKEN_LIFE)
    assert clock.next_deadline() is None


def test_channels_that_are_over_are_forgotten_at_last(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest ones are still told from unknown ones."""
    monkeypatch.setattr(module, "KEPT_OVER", 2)
    over = [channels.create() for _ in range(3)]
    for channel in over:
        take_both(channels, channel)
        channels.leave(channel, "write")
        channels.leave(channel, "read")
    assert [channels.knows(channel.id, channel.access_key) for channel in over] == [False, True, True]


def test_a_channel_that_is_forgotten_serves_who_has_taken_it(channels: Channels) -> None:
    """An end that nobody took can no longer be taken."""
    channel = channels.create()
    channels.take(channel.id, channel.access_key, "read")
    channel.put("left behind")
    channels.forget(channel)
    assert not channels.knows(channel.id, channel.access_key)
    assert [channel.get(), channel.get()] == ["left behind", None]
    channels.leave(channel, "read")
