"""Alarms, what is to happen soon, and the time of day."""

from __future__ import annotations

import pytest

from iii_trio._embedded.clock import Clock


@pytest.fixture
def calls() -> list[str]:
    """What happened, in order; an alarm that became the next one among it."""
    return []


@pytest.fixture
def clock(calls: list[str]) -> Clock:
    """A clock at 100, on a day that began 50 seconds after 1970."""
    return Clock(epoch_ms=lambda: 50_000, on_alarm=lambda: calls.append("earlier"), now=100.0)


def test_alarms_go_off_in_order_and_once(clock: Clock, calls: list[str]) -> None:
    """By their time, then by the order in which they were set."""
    clock.at(103.0, lambda: calls.append("third"))
    clock.at(102.0, lambda: calls.append("first"))
    clock.at(102.0, lambda: calls.append("second"))
    assert clock.next_deadline() == 102.0
    clock.tick(101.9)
    assert calls == ["earlier", "earlier"]
    clock.tick(110.0)
    clock.tick(120.0)
    assert calls[2:] == ["first", "second", "third"]
    assert clock.now == 120.0
    assert clock.next_deadline() is None


def test_a_cancelled_alarm_is_nobodys_deadline(clock: Clock, calls: list[str]) -> None:
    """Also one that is cancelled by another in the same tick; and nothing happens to one that went off."""
    clock.at(101.0, lambda: calls.append("never")).cancel()
    assert clock.next_deadline() is None
    first = clock.at(102.0, lambda: second.cancel())
    second = clock.at(102.0, lambda: calls.append("never"))
    clock.tick(102.0)
    first.cancel()
    assert "never" not in calls


def test_an_alarm_that_sets_itself_again_waits_for_the_next_tick(clock: Clock, calls: list[str]) -> None:
    """So a tick ends."""

    def again() -> None:
        calls.append("again")
        clock.at(clock.now, again)

    again()
    clock.tick(101.0)
    assert calls.count("again") == 2
    assert clock.next_deadline() == 101.0


def test_what_is_to_happen_soon_happens_once_and_its_consequences_later(clock: Clock, calls: list[str]) -> None:
    """Whoever sleeps hears that there is more to do."""

    def soon() -> None:
        calls.append("soon")
        clock.soon(soon)

    clock.soon(soon)
    assert calls == []
    clock.settle()
    assert calls == ["soon", "earlier"]
    assert clock.next_deadline() == 100.0
    clock.tick(100.0)
    assert calls.count("soon") == 3


def test_a_cleared_clock_has_nothing_to_do_and_the_same_time(clock: Clock, calls: list[str]) -> None:
    """As after a restart of the engine."""
    clock.time_of_day()
    clock.at(101.0, lambda: calls.append("never"))
    clock.soon(lambda: calls.append("never"))
    clock.clear()
    clock.tick(102.0)
    assert "never" not in calls
    assert clock.time_of_day() == 52.0


def test_the_time_of_day_passes_with_the_clock(clock: Clock) -> None:
    """It is asked for once."""
    assert clock.time_of_day() == 50.0
    clock.tick(107.5)
    assert clock.time_of_day() == 57.5
