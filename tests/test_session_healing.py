"""Second sendings of answers that may have come too early."""

from __future__ import annotations

import math

import pytest

from iii_trio._session.healing import DELAY, MAX_FRAME, MAX_WAITING, PROMPT, TICK, Healing
from tests._session_peer import Peer

FRAME = b"x" * 100


def test_the_bounds_are_those_of_the_docs() -> None:
    """50 ms, 25 ms, 64 KiB and 16 MiB: docs/engine.md, "Early answers"."""
    assert (PROMPT, DELAY, MAX_FRAME, MAX_WAITING) == (0.05, 0.025, 65_536, 16_777_216)


def test_an_answer_is_due_once_and_after_the_delay() -> None:
    """Not before, and not a third time."""
    healing = Healing()
    assert healing.next_deadline() == math.inf
    assert healing.keep(FRAME, 10.0)
    assert (len(healing), healing.size) == (1, 100)
    assert healing.next_deadline() == 10.0 + DELAY
    assert healing.take_due(10.0 + DELAY - 0.001) == []
    assert healing.take_due(10.0 + DELAY) == [FRAME]
    assert (len(healing), healing.size, healing.next_deadline()) == (0, 0, math.inf)


def test_rounds_are_a_tick_apart() -> None:
    """A busy worker sends again in batches instead of waking for each answer."""
    healing = Healing()
    for number in range(3):
        healing.keep(bytes([number]), number * 0.001)
    assert healing.take_due(DELAY) == [b"\x00"]
    assert healing.take_due(DELAY + 0.002) == []
    assert healing.next_deadline() == DELAY + TICK
    assert healing.take_due(DELAY + TICK) == [b"\x01", b"\x02"]


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        pytest.param(MAX_FRAME - 1, True, id="just small enough"),
        pytest.param(MAX_FRAME, False, id="too large: it crosses more slowly than the engine files"),
    ],
)
def test_only_small_answers_are_kept(size: int, kept: bool) -> None:
    """At most 64 KiB, that is less."""
    assert Healing().keep(bytes(size), 0.0) is kept


def test_what_waits_is_bounded_by_its_bytes() -> None:
    """What comes on top is sent once, as everything would be without healing."""
    healing, frame = Healing(), bytes(MAX_FRAME - 1)
    while healing.size + len(frame) <= MAX_WAITING:
        assert healing.keep(frame, 0.0)
    assert not healing.keep(frame, 0.0)
    healing.clear()
    assert (len(healing), healing.size) == (0, 0)
    assert healing.keep(frame, 0.0)


# ---- in a session ---------------------------------------------------------------------------------------------------


def test_a_prompt_answer_is_sent_twice_and_the_timer_is_told() -> None:
    """By the session, through `next_deadline` and `expire`."""
    peer = Peer().ready()
    woken: list[float] = []
    peer.session.wake_timer = lambda: woken.append(peer.session.arm())
    peer.answer("a", age=0.0, now=5.0)
    peer.answer("b", age=0.01, now=5.001)
    first = peer.session.take(1_000_000)
    assert len(first) == 2
    assert woken == [5.0 + DELAY]
    peer.session.expire(5.0)
    assert peer.session.take(1_000_000) == []
    peer.session.expire(6.0)
    assert peer.session.take(1_000_000) == first
    assert peer.session.counters.healed_results == 2
    assert peer.session.next_deadline() == math.inf


@pytest.mark.parametrize("heals", [True, False])
def test_a_late_answer_or_a_switched_off_session_sends_once(heals: bool) -> None:
    """What took long was filed long before; and the switch is a switch."""
    peer = Peer().ready()
    peer.session.heals = heals
    peer.answer("a", age=PROMPT if heals else 0.0, now=5.0)
    peer.session.take(1_000_000)
    assert peer.session.next_deadline() == math.inf


def test_a_lost_link_forgets_second_sendings_and_counts_none_as_dropped() -> None:
    """The first sending may have arrived, and the engine has ended the call anyway."""
    peer = Peer().ready()
    peer.answer("a", age=0.0, now=5.0)
    peer.session.take(1_000_000)
    peer.answer("b", age=0.0, now=5.0)
    peer.session.take(1_000_000)
    peer.session.expire(5.0 + DELAY)
    peer.answer("c", age=0.0, now=5.0)
    peer.session.disconnected("gone", 0.0)
    assert peer.session.counters.dropped_results == 1
    assert peer.session.next_deadline() == math.inf
