"""How many calls may be made again."""

from __future__ import annotations

from iii_trio._session.budget import CAPACITY, EARNED, RetryBudget


def test_the_figures_are_those_of_grpc() -> None:
    """Ten tokens, a tenth for a success."""
    assert (CAPACITY, EARNED) == (10.0, 0.1)


def test_a_storm_is_stopped_while_the_bucket_is_half_empty() -> None:
    """Four retries at once, and no more until calls succeed again."""
    budget = RetryBudget()
    assert [budget.lost() for _ in range(20)] == [True] * 4 + [False] * 16
    assert budget.tokens == 0
    for _ in range(59):
        budget.succeeded()
    assert not budget.lost()
    for _ in range(20):
        budget.succeeded()
    assert budget.lost()


def test_success_earns_no_more_than_the_bucket_holds() -> None:
    """A long quiet time does not pay for a storm."""
    budget = RetryBudget()
    for _ in range(1_000):
        budget.succeeded()
    assert budget.tokens == CAPACITY
