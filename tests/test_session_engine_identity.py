"""The same engine, or another one: what its answers prove, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._session.engine_identity import EngineIdentity
from iii_trio._wire.messages import ABSENT


def _answer(since: Any, **others: Any) -> dict[str, Any]:
    """What an engine answers that was started then."""
    name = "iii-engine-functions"
    return {"workers": [{"id": name, "name": name, "runtime": "engine", "connected_at_ms": since, **others}]}


def test_the_first_engine_is_no_other_one() -> None:
    """There is nothing to compare it with."""
    assert not EngineIdentity().learn(_answer(5))


def test_an_engine_with_another_beginning_is_another_one() -> None:
    """Later or earlier: clocks are set. The same one is not, however often it is asked."""
    engine = EngineIdentity()
    seen = [engine.learn(_answer(since)) for since in (5, 5, 7, 7, 6, 6)]
    assert seen == [False, False, True, False, True, False]
    assert engine.restarts == 2


def test_other_workers_inside_of_the_engine_may_come_and_go() -> None:
    """The engine's own is the one that counts; without it the first one does."""
    own = _answer(5)["workers"]
    late, early = ({"id": name, "name": name, "connected_at_ms": since} for name, since in (("a", 9), ("b", 3)))
    engine = EngineIdentity()
    assert [engine.learn({"workers": rows}) for rows in ([*own, late], [early, *own], own)] == [False] * 3
    assert [engine.learn({"workers": rows}) for rows in ([late, early], [early], [late])] == [True, False, True]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ABSENT, id="refused"),
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param({}, id="no workers"),
        pytest.param({"workers": None}, id="null for workers"),
        pytest.param({"workers": [None, "x", {}]}, id="odd workers"),
        pytest.param({"workers": []}, id="none of the engine's"),
        pytest.param(_answer("7"), id="text for a time"),
        pytest.param(_answer(True), id="a truth value for a time"),
        pytest.param(_answer(7, id="7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11"), id="a worker that took the name"),
    ],
)
def test_an_answer_that_says_nothing_changes_nothing(answer: Any) -> None:
    """The next one that does is compared with the last one that did."""
    engine = EngineIdentity()
    engine.learn(_answer(5))
    assert not engine.learn(answer)
    assert not engine.learn(_answer(5))
    assert engine.learn(_answer(6))
