"""What is to exist at the engine, and what the engine made of it."""

from __future__ import annotations

import pytest

from iii_trio._session.registry import Registration, Registry, Verdict
from iii_trio._wire.messages import RegisterFunction
from iii_trio.errors import ConfigurationError, IIIError


def add(registry: Registry, function_id: str) -> Registration:
    return registry.add(RegisterFunction(function_id), b"encoded", handler=None)


def test_functions_are_kept_in_the_order_in_which_they_came() -> None:
    """It is the order of the replay."""
    registry = Registry()
    listed = [add(registry, name) for name in ("b", "a", "c")]
    assert list(registry) == listed
    assert [each.id for each in registry] == ["b", "a", "c"]
    assert registry.count(RegisterFunction) == 3
    assert registry.find("a") is listed[1]
    assert registry.find("z") is None


def test_an_id_is_registered_once() -> None:
    """A second handler for it is a mistake, and changes nothing."""
    registry = Registry()
    first = add(registry, "f")
    with pytest.raises(ConfigurationError, match="'f' is registered already"):
        add(registry, "f")
    assert list(registry) == [first]


def test_removing_withdraws_once() -> None:
    """Afterwards the id is free, and what was removed cannot remove its successor."""
    registry = Registry()
    first = add(registry, "f")
    assert registry.remove(first)
    assert first.verdict is Verdict.WITHDRAWN
    second = add(registry, "f")
    assert not registry.remove(first)
    assert registry.find("f") is second
    assert second.verdict is Verdict.PENDING


def test_a_verdict_wakes_whoever_waits_and_forgets_them() -> None:
    """Each of them once, and with the verdict in place."""
    registration, woken = add(Registry(), "f"), list[Verdict]()
    registration.waiters += [lambda: woken.append(registration.verdict)] * 2
    registration.decide(Verdict.ACCEPTED)
    registration.decide(Verdict.REFUSED)
    assert woken == [Verdict.ACCEPTED] * 2


def test_whoever_is_woken_may_wait_again() -> None:
    """For the next verdict, not for this one."""
    registration, woken = add(Registry(), "f"), list[Verdict]()

    def wake() -> None:
        woken.append(registration.verdict)
        registration.waiters.append(wake)

    registration.waiters.append(wake)
    registration.decide(Verdict.PENDING)
    registration.decide(Verdict.ACCEPTED)
    assert woken == [Verdict.PENDING, Verdict.ACCEPTED]


@pytest.mark.parametrize(
    ("refused", "found"),
    [
        pytest.param("greet", "greet", id="by its id"),
        pytest.param("tenant::greet", "greet", id="behind a prefix"),
        pytest.param("tenant::team::greet", "team::greet", id="behind a prefix, where another id is its end"),
        pytest.param("team::greet", "team::greet", id="by its id, where another id is its end"),
        pytest.param("tenant::other", None, id="not ours"),
    ],
)
def test_a_refusal_finds_its_function(refused: str, found: str | None) -> None:
    """On a listener with a prefix the engine names the prefixed id; the others are left alone."""
    registry, error = Registry(), IIIError("taken")
    listed = [add(registry, name) for name in ("greet", "team::greet", "list")]
    registration = registry.refuse(refused, error)
    assert (registration.id if registration else None) == found
    for each in listed:
        is_refused = each.id == found
        assert (each.verdict is Verdict.REFUSED, each.error is error) == (is_refused, is_refused)


def test_a_reset_forgets_every_verdict() -> None:
    """What another connection was told does not hold for the next one."""
    registry = Registry()
    add(registry, "a").decide(Verdict.ACCEPTED)
    add(registry, "b").decide(Verdict.REFUSED, IIIError("taken"))
    registry.reset()
    assert {(each.verdict, each.error) for each in registry} == {(Verdict.PENDING, None)}
