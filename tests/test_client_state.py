"""`III.state`, on the embedded engine in memory."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio.errors import ConfigurationError, PayloadError
from iii_trio.state import (
    IState,
    StateDeleteInput,
    StateDeleteResult,
    StateGetInput,
    StateListInput,
    StateSetInput,
    StateSetResult,
    StateUpdateInput,
    StateUpdateResult,
    UpdateIncrement,
    UpdateMerge,
)
from tests.conftest import MemoryLink


@attrs.frozen
class User:
    name: str


async def test_a_value_is_written_read_and_deleted(link: MemoryLink) -> None:
    """Each step tells what was there before."""
    async with link.client() as iii:
        state = iii.state
        assert await state.get(scope="users", key="7") is None
        assert await state.set(scope="users", key="7", value=User("Ada")) == StateSetResult(new_value={"name": "Ada"})
        assert await state.get(scope="users", key="7") == {"name": "Ada"}
        assert await state.set(scope="users", key="7", value=None) == StateSetResult(
            new_value=None, old_value={"name": "Ada"}
        )
        assert await state.list(scope="users") == [None]
        await state.set(scope="users", key="7", value=7)
        assert await state.delete(scope="users", key="7") == StateDeleteResult(old_value=7)
        assert await state.delete(scope="users", key="7") == StateDeleteResult(old_value=None)
        assert await state.list(scope="users") == await state.list(scope="nobody's") == []
        assert await state.list_groups() == ["users"]


async def test_each_operation_takes_a_value_or_a_dict(link: MemoryLink) -> None:
    """With the same outcome as for keywords; so what is written against `IState` runs on it."""
    async with link.client() as iii:
        state: IState[Any] = iii.state
        await state.set(StateSetInput(scope="s", key="k", value=1))
        ops: Any = [{"type": "increment", "path": "", "by": 2}]
        assert (await state.update(StateUpdateInput(scope="s", key="k", ops=ops))).new_value == 3
        assert await state.get(input=StateGetInput(scope="s", key="k")) == 3
        assert await state.list(StateListInput(scope="s")) == [3]
        assert (await state.delete(StateDeleteInput(scope="s", key="k"))).old_value == 3

        await iii.state.set({"scope": "s", "key": "k", "value": 1})
        assert (await iii.state.update({"scope": "s", "key": "k", "ops": ops})).new_value == 3
        assert await iii.state.get({"scope": "s", "key": "k"}) == 3
        assert await iii.state.list({"scope": "s"}) == [3]
        assert (await iii.state.delete({"scope": "s", "key": "k"})).old_value == 3


async def test_an_update_tells_what_it_skipped(link: MemoryLink) -> None:
    """The place in the list, and why; the others apply."""
    async with link.client() as iii:
        await iii.state.set(scope="s", key="k", value={"name": "Ada", "n": 1})
        result = await iii.state.update(
            scope="s",
            key="k",
            ops=[UpdateIncrement(path="name", by=1), UpdateIncrement(path="n", by=1), UpdateMerge(value=User("Bob"))],
        )
        (error,) = result.errors
        assert (error.op_index, error.code) == (0, "increment.not_number")
        assert error.message
        assert result == StateUpdateResult(
            new_value={"name": "Bob", "n": 2}, old_value={"name": "Ada", "n": 1}, errors=[error]
        )
        nothing = await iii.state.update(scope="s", key="new", ops=[])
        assert nothing == StateUpdateResult(new_value={}, old_value=None, errors=[])


@pytest.mark.parametrize(
    ("operation", "given", "reason"),
    [
        pytest.param("get", {"scope": "s"}, "StateGetInput needs its key", id="missing"),
        pytest.param("get", {"scope": 7, "key": "k"}, "StateGetInput.scope must be str", id="a number"),
        pytest.param("set", {"scope": "s", "key": "k"}, "StateSetInput needs its value", id="no value"),
        pytest.param("delete", {"scope": "s", "key": None}, "StateDeleteInput.key must be str", id="None"),
        pytest.param("list", {}, "StateListInput needs its scope", id="nothing"),
        pytest.param("update", {"scope": "s", "key": "k", "ops": {}}, "ops must be a list", id="no list"),
        pytest.param("update", {"scope": "s", "key": "k", "ops": [{"type": "add"}]}, r"ops\[0\].*'add'", id="unknown"),
        pytest.param(
            "update",
            {"scope": "s", "key": "k", "ops": [{"type": "increment", "path": "a", "by": 0.5}]},
            r"ops\[0\]: UpdateIncrement.by must be a whole number",
            id="a fraction",
        ),
        pytest.param(
            "update",
            {"scope": "s", "key": "k", "ops": [{"type": "set", "path": ["a"], "value": 1}]},
            r"ops\[0\]: UpdateSet.path must be text",
            id="a list as path",
        ),
        pytest.param(
            "update",
            {"scope": "s", "key": "k", "ops": [{"type": "merge", "value": {"__proto__": 1}}]},
            r"ops\[0\]: UpdateMerge.value must not have the key '__proto__'",
            id="reserved",
        ),
    ],
)
async def test_a_bad_input_is_refused_before_it_is_sent(
    link: MemoryLink, operation: str, given: dict[str, Any], reason: str
) -> None:
    """The error names the field, as keywords and as a dict."""
    async with link.client() as iii:
        await iii.wait_connected()
        before = len(link.engine.received)
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(iii.state, operation)(**given)
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(iii.state, operation)(given)
        assert len(link.engine.received) == before


async def test_a_dict_with_a_spelling_mistake_is_refused(link: MemoryLink) -> None:
    """And so are keywords beside a value."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="StateGetInput has no scop"):
            await iii.state.get({"scop": "s", "key": "k"})
        with pytest.raises(ConfigurationError, match="takes no key beside it"):
            await iii.state.get({"scope": "s", "key": "k"}, key="k")


async def test_a_value_that_cannot_be_sent_is_refused_with_its_path(link: MemoryLink) -> None:
    """The engine would drop it without a word."""
    async with link.client() as iii:
        with pytest.raises(PayloadError, match=r"\$\.value\.price"):
            await iii.state.set(scope="s", key="k", value={"price": float("nan")})
        with pytest.raises(PayloadError, match=r"\$\.ops\[0\]\.value"):
            await iii.state.update(scope="s", key="k", ops=[{"type": "set", "path": "a", "value": float("inf")}])
