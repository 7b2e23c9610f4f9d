"""What operations share: the forms of their input, where they are addressed, and that they can be cancelled."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import InvocationError
from iii_trio._client.operations import UNSAID, as_input, check_name
from iii_trio._values.state import StateSetInput
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ClientClosed, ConfigurationError
from tests._operations import OPERATIONS
from tests.conftest import MemoryLink, frames, start


def test_an_input_comes_in_three_forms() -> None:
    """Keywords that were not said are left out; None was said."""
    value = StateSetInput(scope="s", key="k", value=None)
    assert as_input(StateSetInput, value, scope=UNSAID) is value
    assert as_input(StateSetInput, {"scope": "s", "key": "k", "value": None}, scope=UNSAID) == value
    assert as_input(StateSetInput, None, scope="s", key="k", value=None) == value
    with pytest.raises(ConfigurationError, match="StateSetInput needs its key, value"):
        as_input(StateSetInput, None, scope="s", key=UNSAID, value=UNSAID)
    assert repr(UNSAID) == "<left out>"


@pytest.mark.parametrize("value", ["", " \t", None, 7, b"x"])
def test_a_name_is_text_that_is_not_blank(value: Any) -> None:
    """The error says which name it is."""
    check_name("topic", "t")
    with pytest.raises(ConfigurationError, match="topic must be text"):
        check_name("topic", value)


@pytest.mark.parametrize("part", ["state", "streams", "queues"])
async def test_every_operation_of_a_part_is_in_the_table(link: MemoryLink, part: str) -> None:
    """A new one would otherwise be held to nothing."""
    async with link.client() as iii:
        methods = inspect.getmembers(type(getattr(iii, part)), inspect.iscoroutinefunction)
        there = {f"{part}.{name}" for name, _ in methods if not name.startswith("_")}
    assert there == {name for name in OPERATIONS if name.startswith(f"{part}.")}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_can_be_cancelled(link: MemoryLink, name: str) -> None:
    """One that waits for an engine that takes nothing more is taken back."""
    async with link.client() as iii:
        await iii.wait_connected()
        link.wire.stall()
        async with trio.open_nursery() as nursery:
            start(nursery, OPERATIONS[name], iii)
            await trio.testing.wait_all_tasks_blocked()
            assert iii.statistics().calls_in_flight == 1
            nursery.cancel_scope.cancel()
        assert iii.statistics().calls_in_flight == 0
        link.wire.flow()


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_of_a_closed_client_says_so(link: MemoryLink, name: str) -> None:
    """As calls do."""
    async with link.client() as iii:
        await iii.aclose()
        with pytest.raises(ClientClosed):
            await OPERATIONS[name](iii)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_is_addressed_in_default(link: MemoryLink, name: str) -> None:
    """Also from a namespace, where the engine has nothing."""
    async with link.client(namespace="orders") as iii:
        await OPERATIONS[name](iii)
        asked = [
            frame for frame in frames(link.engine, InvokeFunction) if frame.function_id != "engine::workers::register"
        ]
        assert asked
        assert {frame.namespace for frame in asked} <= {None, "default"}


async def test_an_operation_goes_to_the_worker_that_owns_its_function(link: MemoryLink) -> None:
    """Whoever takes an id of the engine's in its own namespace means that one."""

    async def get(data: dict[str, Any]) -> str:
        return f"mine: {data['key']}"

    async with link.client(namespace="orders") as iii:
        await iii.register_function("state::get", get, force=True).wait_registered()
        assert await iii.state.get(scope="s", key="k") == "mine: k"
        assert await iii.state.list(scope="s") == []


async def test_an_answer_of_another_shape_is_an_error(link: MemoryLink) -> None:
    """The engine's answers are structured strictly, so what a worker in its place says cannot pass for one."""

    async def answer(_: Any) -> Any:
        return {"new": 1}

    async with link.client() as worker, link.client() as iii:
        await worker.register_function("state::set", answer, force=True).wait_registered()
        with pytest.raises(InvocationError, match="new_value") as caught:
            await iii.state.set(scope="s", key="k", value=1)
        assert caught.value.code == "invalid_result"
