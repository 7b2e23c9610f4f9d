"""Waits between attempts: they grow, are bounded, and are spread."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._options import ReconnectionConfig
from iii_trio._session.backoff import REFUSED_MAX_DELAY, delay
from tests._session_values import examples

EXACT = ReconnectionConfig(jitter_factor=0)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        pytest.param(0, 1.0, id="the first: a second"),
        pytest.param(1, 2.0, id="then twice as long"),
        pytest.param(4, 16.0, id="and so on"),
        pytest.param(5, 30.0, id="up to thirty"),
        pytest.param(10**6, 30.0, id="after weeks"),
    ],
)
def test_the_wait_doubles_to_its_maximum(attempt: int, seconds: float) -> None:
    """The documented row."""
    assert delay(attempt, EXACT, 0.5) == seconds


@pytest.mark.parametrize(("random", "seconds"), [(0.0, 0.7), (0.5, 1.0), (1.0, 1.3)], ids=["least", "middle", "most"])
def test_jitter_spreads_the_wait_both_ways(random: float, seconds: float) -> None:
    """By its share, the bounds included."""
    assert delay(0, ReconnectionConfig(), random) == pytest.approx(seconds)


def test_jitter_goes_over_the_maximum_but_not_over_that_of_a_refused_port() -> None:
    """A host that refuses is asked at least every two seconds, jitter included."""
    assert delay(20, ReconnectionConfig(), 1.0) == pytest.approx(39.0)
    assert delay(20, ReconnectionConfig(), 1.0, refused=True) == REFUSED_MAX_DELAY == 2.0
    assert delay(0, ReconnectionConfig(), 0.0, refused=True) == pytest.approx(0.7)


@pytest.mark.parametrize("multiplier", [1e6, 10**6, math.inf], ids=["a large one", "a large whole one", "infinity"])
def test_a_multiplier_that_overflows_means_the_maximum(multiplier: float) -> None:
    """No number of attempts raises."""
    config = ReconnectionConfig(backoff_multiplier=multiplier, jitter_factor=0)
    assert delay(0, config, 0.5) == 1.0
    assert delay(64, config, 0.5) == delay(10_000, config, 0.5) == 30.0


@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_a_wait_without_a_maximum_may_become_infinite_and_stays_a_number(jitter: float, random: float) -> None:
    """Whatever the jitter; a port that refuses is asked all the same."""
    config = ReconnectionConfig(max_delay_ms=math.inf, jitter_factor=jitter)
    assert delay(10**6, config, random) == math.inf
    assert delay(10**6, config, random, refused=True) == REFUSED_MAX_DELAY


@given(
    st.builds(
        ReconnectionConfig,
        initial_delay_ms=st.floats(0.001, 1e12) | st.just(math.inf),
        max_delay_ms=st.floats(0.001, 1e12) | st.just(math.inf),
        backoff_multiplier=st.floats(1, 1e300),
        jitter_factor=st.floats(0, 1),
    ),
    st.integers(0, 10**9),
    st.floats(0, 1),
    st.booleans(),
)
@examples(200)
def test_a_wait_is_always_a_time(config: ReconnectionConfig, attempt: int, random: float, refused: bool) -> None:
    """Whatever the options: from zero to the maximum and its jitter."""
    wait = delay(attempt, config, random, refused=refused)
    assert 0 <= wait <= config.max_delay_ms / 1000 * (1 + config.jitter_factor) * 1.000001
    assert not refused or wait <= REFUSED_MAX_DELAY


@given(st.integers(0, 100), st.floats(0, 1))
@examples(50)
def test_a_wait_is_never_shorter_than_the_one_before(attempt: int, random: float) -> None:
    """With the same luck."""
    assert delay(attempt, ReconnectionConfig(), random) <= delay(attempt + 1, ReconnectionConfig(), random)


def test_a_thousand_clients_do_not_come_back_together() -> None:
    """Whichever attempt it is, no twentieth of the time over which they spread has more than a tenth of them."""
    numbers = Random(1)
    for attempt in (0, 3, 9):
        exact = delay(attempt, ReconnectionConfig(jitter_factor=0), 0.5)
        waits = [delay(attempt, ReconnectionConfig(), numbers.random()) for _ in range(1_000)]
        slots = Counter(int((wait / exact - 0.7) / 0.6 * 20) for wait in waits)
        assert {*slots} <= {*range(20)}
        assert max(slots.values()) <= 100
