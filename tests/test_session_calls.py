"""Calls in flight and their deadlines."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._session.calls import Call, Calls
from iii_trio.errors import InvocationError
from tests._session_values import examples

INF = float("inf")


def call(call_id: str, deadline: float = INF, wake: Callable[[], None] = lambda: None) -> Call:
    return Call(call_id, "f", deadline, wake)


class Name(str):
    """An id whose life can be watched."""

    __slots__ = ("__weakref__",)


def test_a_call_is_listed_until_it_is_removed() -> None:
    """By its id, once."""
    calls, one = Calls(), call("a")
    calls.add(one)
    assert (len(calls), list(calls), calls.get("a"), calls.get("b")) == (1, [one], one, None)
    assert calls.remove("a") is one
    assert calls.remove("a") is None
    assert (len(calls), list(calls), calls.get("a")) == (0, [], None)


def test_calls_may_end_while_they_are_walked() -> None:
    """The walk is over those that were there when it began."""
    calls = Calls()
    for name in "abc":
        calls.add(call(name))
    assert [each.id for each in calls if calls.remove(each.id)] == ["a", "b", "c"]


@pytest.mark.parametrize("error", [None, InvocationError("code", "message")], ids=["a result", "an error"])
def test_settling_sets_the_outcome_and_wakes_once(error: InvocationError | None) -> None:
    """The outcome is there before anybody is woken."""
    outcomes: list[object] = []
    one = call("a", wake=lambda: outcomes.append((one.result, one.error, one.done)))
    one.settle("value", error)
    assert outcomes == [("value", error, True)]


def test_the_next_deadline_is_the_earliest_of_those_in_flight() -> None:
    """A call without a deadline has none to offer, and one that ended no longer counts."""
    calls = Calls()
    assert calls.next_deadline() == INF
    for name, deadline in (("late", 9.0), ("never", INF), ("early", 3.0)):
        calls.add(call(name, deadline))
    assert calls.next_deadline() == 3.0
    calls.remove("early")
    assert calls.next_deadline() == 9.0
    calls.remove("late")
    assert calls.next_deadline() == INF
    assert len(calls) == 1


def test_overdue_calls_are_taken_in_the_order_of_their_deadlines() -> None:
    """A deadline that has just come has come; the others stay."""
    calls = Calls()
    for name, deadline in (("c", 3.0), ("a", 1.0), ("d", 3.5), ("b", 2.0), ("never", INF)):
        calls.add(call(name, deadline))
    calls.remove("b")
    assert [each.id for each in calls.take_overdue(3.0)] == ["a", "c"]
    assert calls.take_overdue(3.0) == []
    assert {each.id for each in calls} == {"d", "never"}


@pytest.mark.parametrize("in_flight", [0, 100], ids=["none in flight", "100 in flight"])
def test_calls_that_ended_leave_little_behind(in_flight: int) -> None:
    """Of 10,000 calls that ended before their deadline, no more is kept than of those in flight, and a few."""
    calls = Calls()
    for number in range(in_flight):
        calls.add(call(f"stays {number}", 0.5))
    watched = []
    for number in range(10_000):
        name = Name(number)
        calls.add(call(name, 1000.0 + number))
        calls.remove(name)
        watched.append(weakref.ref(name))
    del name
    gc.collect()
    assert sum(ref() is not None for ref in watched) <= in_flight + 66
    assert calls.next_deadline() == (0.5 if in_flight else INF)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "expire"]), st.integers(0, 20), st.integers(0, 20))))
@examples(200)
def test_the_list_behaves_like_a_plain_dict(steps: list[tuple[str, int, int]]) -> None:
    """Whatever the order of additions, ends and deadlines."""
    calls, model = Calls(), dict[str, float]()
    for number, (step, which, when) in enumerate(steps):
        if step == "add":
            name = f"{which} {number}"
            deadline = INF if when == 20 else float(when)
            calls.add(call(name, deadline))
            model[name] = deadline
        elif step == "remove":
            name = sorted(model)[which % len(model)] if model else "nobody"
            assert (calls.remove(name) is None) == (model.pop(name, None) is None)
        else:
            overdue = calls.take_overdue(float(when))
            assert [each.deadline for each in overdue] == sorted(d for d in model.values() if d <= when)
            for each in overdue:
                del model[each.id]
        assert {each.id: each.deadline for each in calls} == model
        assert len(calls) == len(model)
        assert calls.next_deadline() == min(model.values(), default=INF)
