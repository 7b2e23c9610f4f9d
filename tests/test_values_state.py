"""State as values: inputs, results and events, in the engine's own shapes."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.state import (
    IState,
    StateDeleteInput,
    StateDeleteResult,
    StateEventData,
    StateEventType,
    StateGetInput,
    StateListInput,
    StateSetInput,
    StateSetResult,
    StateUpdateInput,
    StateUpdateResult,
)
from iii_trio._values.strict import strict_converter
from iii_trio._values.updates import UpdateIncrement, UpdateSet
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import invocations, results

STRUCTURE = strict_converter().structure


@pytest.mark.parametrize(
    "value",
    [
        StateGetInput(scope="s", key="k"),
        StateSetInput(scope="s", key="k", value=None),
        StateDeleteInput(scope="", key=""),
        StateListInput(scope="s"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_input_is_written_with_all_its_keys(value: Any) -> None:
    """Null and empty text included, which the engine takes; and the dict makes the same input."""
    wire = jsonable(value)
    assert wire == {name: getattr(value, name) for name in wire}
    assert build(type(value), wire) == value


def test_operations_of_an_update_come_as_values_or_dicts() -> None:
    """Mixed, and in their order."""
    given = StateUpdateInput(
        scope="s", key="k", ops=[UpdateSet(path="a", value=1), {"type": "increment", "path": "n", "by": 1}]
    )
    assert given.ops == [UpdateSet(path="a", value=1), UpdateIncrement(path="n", by=1)]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: build(StateGetInput, scope=7, key="k"), "StateGetInput.scope must be str", id="a number"),
        pytest.param(
            lambda: build(StateSetInput, scope="s", key=None, value=1), "StateSetInput.key must be str", id="None"
        ),
        pytest.param(
            lambda: build(StateSetInput, {"scope": "s", "key": "k"}), "StateSetInput needs its value", id="no"
        ),
        pytest.param(lambda: build(StateUpdateInput, scope="s", key="k", ops="x"), "ops must be a list", id="text"),
        pytest.param(
            lambda: build(StateUpdateInput, scope="s", key="k", ops=[{}]), r"ops\[0\]: the type of", id="no type"
        ),
    ],
)
def test_what_the_engine_cannot_read_is_refused(make: Any, reason: str) -> None:
    """Before it is sent, with the class and the field."""
    with pytest.raises(ConfigurationError, match=reason):
        make()


def test_recorded_events_are_structured() -> None:
    """All three kinds."""
    events = [STRUCTURE(data, StateEventData[Any]) for data in invocations("state-trigger", "st::on")]
    assert {event.event_type for event in events} == {*StateEventType}
    assert (events[0].type, events[0].scope, events[0].key) == ("state", "st", "k")
    assert (events[0].old_value, events[0].new_value) == (None, {"n": 1})


def test_recorded_results_are_structured() -> None:
    """With the errors of an update, where there are any."""
    written = [STRUCTURE(result, StateSetResult[Any]) for result in results("state-basic", "state::set")]
    assert written
    updated = [STRUCTURE(result, StateUpdateResult[Any]) for result in results("state-update", "state::update")]
    assert {bool(each.errors) for each in updated} == {True, False}
    assert StateDeleteResult() == StateDeleteResult(old_value=None)


async def test_state_of_ones_own_is_derived_from_the_interface() -> None:
    """A test double needs no engine, and lacks no method."""

    class Memory(IState[int]):
        def __init__(self) -> None:
            self.values: dict[str, int] = {}

        async def get(self, input: StateGetInput) -> int | None:
            return self.values.get(input.key)

        async def set(self, input: StateSetInput) -> StateSetResult[int]:
            old, self.values[input.key] = self.values.get(input.key), input.value
            return StateSetResult(new_value=input.value, old_value=old)

        async def delete(self, input: StateDeleteInput) -> StateDeleteResult:
            return StateDeleteResult(old_value=self.values.pop(input.key, None))

        async def list(self, input: StateListInput) -> builtins.list[int]:
            return [*self.values.values()]

        async def update(self, input: StateUpdateInput) -> StateUpdateResult[int]:
            raise NotImplementedError

    state = Memory()
    assert await state.set(StateSetInput(scope="s", key="k", value=1)) == StateSetResult(new_value=1)
    assert (await state.get(StateGetInput(scope="s", key="k")), await state.list(StateListInput(scope="s"))) == (1, [1])
    assert await state.delete(StateDeleteInput(scope="s", key="k")) == StateDeleteResult(old_value=1)
