"""Update operations: the engine's bounds hold before anything is sent, and what it accepts is accepted."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._values.building import build
from iii_trio._values.strict import strict_converter
from iii_trio._values.updates import (
    UpdateAppend,
    UpdateDecrement,
    UpdateIncrement,
    UpdateMerge,
    UpdateOpError,
    UpdateRemove,
    UpdateSet,
    as_ops,
)
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError
from tests._recordings import frames


def nested(levels: int) -> Any:
    """An object with so many levels."""
    value: Any = 1
    for _ in range(levels):
        value = {"k": value}
    return value


@attrs.frozen
class Address:
    """A value that becomes an object."""

    street: str


@pytest.mark.parametrize(
    ("op", "wire"),
    [
        pytest.param(
            UpdateSet(path="a", value=None), {"type": "set", "path": "a", "value": None}, id="null is a value"
        ),
        pytest.param(
            UpdateMerge(value={"a": 1}), {"type": "merge", "path": None, "value": {"a": 1}}, id="null is the root"
        ),
        pytest.param(UpdateIncrement(path="n", by=-1), {"type": "increment", "path": "n", "by": -1}, id="increment"),
        pytest.param(UpdateDecrement(path="n", by=1), {"type": "decrement", "path": "n", "by": 1}, id="decrement"),
        pytest.param(
            UpdateAppend(path=["a", "b"], value=[1]), {"type": "append", "path": ["a", "b"], "value": [1]}, id="append"
        ),
        pytest.param(UpdateRemove(path=""), {"type": "remove", "path": ""}, id="remove"),
    ],
)
def test_an_operation_is_written_as_the_engine_reads_it(op: Any, wire: dict[str, Any]) -> None:
    """Its type included; and the dict makes the same operation."""
    assert jsonable(op) == wire
    assert as_ops([wire]) == [op]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: UpdateSet(path="a.b", value=1), id="a dot is a letter like any other"),
        pytest.param(lambda: UpdateSet(path="x" * 256, value=1), id="a key of 256 bytes"),
        pytest.param(lambda: UpdateMerge(path=["p"] * 32, value={}), id="a path of 32 keys"),
        pytest.param(lambda: UpdateMerge(path=[], value={}), id="an empty path is the root"),
        pytest.param(lambda: UpdateMerge(value={str(k): k for k in range(1024)}), id="1024 keys"),
        pytest.param(lambda: UpdateMerge(value=nested(16)), id="16 levels"),
        pytest.param(lambda: UpdateMerge(value={"deep": {"__proto__": 1}}), id="a reserved key deeper down"),
        pytest.param(lambda: UpdateMerge(value=Address("x")), id="an attrs instance"),
        pytest.param(lambda: UpdateSet(path="a", value={"__proto__": nested(20)}), id="what is set is not looked at"),
        pytest.param(lambda: UpdateIncrement(path="n", by=2**63 - 1), id="the largest amount"),
        pytest.param(lambda: UpdateDecrement(path="n", by=-(2**63)), id="the smallest amount"),
    ],
)
def test_what_the_engine_takes_is_taken(make: Any) -> None:
    """To the last byte."""
    assert make()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(
            lambda: build(UpdateSet, path=["a"], value=1), "UpdateSet.path must be text", id="a list for a set"
        ),
        pytest.param(lambda: build(UpdateRemove, path=None), "UpdateRemove.path must be text", id="no path"),
        pytest.param(lambda: build(UpdateSet, path="x" * 257, value=1), "UpdateSet.path .* 256 bytes", id="a long key"),
        pytest.param(
            lambda: build(UpdateRemove, path="é" * 129), "UpdateRemove.path .* 256 bytes", id="bytes, not letters"
        ),
        pytest.param(
            lambda: build(UpdateAppend, path=["p"] * 33, value=1), "at most 32 keys, not 33", id="a deep path"
        ),
        pytest.param(lambda: build(UpdateAppend, path=["a", ""], value=1), "no empty key", id="an empty key in a list"),
        pytest.param(
            lambda: build(UpdateMerge, path=["a", 1], value={}), "UpdateMerge.path must be text", id="a number"
        ),
        pytest.param(
            lambda: build(UpdateMerge, path=5, value={}), "UpdateMerge.path must be text", id="a number for a path"
        ),
        pytest.param(lambda: build(UpdateSet, path="__proto__", value=1), "the key '__proto__'", id="a reserved key"),
        pytest.param(lambda: build(UpdateMerge, path=["prototype"], value={}), "the key 'prototype'", id="in a list"),
        pytest.param(lambda: build(UpdateMerge, value=5), "UpdateMerge.value must be a dict", id="a merge of a number"),
        pytest.param(lambda: build(UpdateMerge, value=None), "UpdateMerge.value must be a dict", id="a merge of null"),
        pytest.param(
            lambda: build(UpdateMerge, value={"constructor": 1}), "the key 'constructor'", id="a reserved key merged"
        ),
        pytest.param(
            lambda: build(UpdateMerge, value={str(k): 0 for k in range(1025)}), "1024 keys, not 1025", id="many keys"
        ),
        pytest.param(lambda: build(UpdateMerge, value=nested(17)), "deeper than 16 levels", id="a deep merge"),
        pytest.param(
            lambda: build(UpdateMerge, value={"a": [nested(15)]}), "deeper than 16 levels", id="lists count as well"
        ),
        pytest.param(lambda: build(UpdateIncrement, path="n", by=1.5), "by must be a whole number", id="a fraction"),
        pytest.param(
            lambda: build(UpdateIncrement, path="n", by=True), "by must be a whole number", id="a truth value"
        ),
        pytest.param(
            lambda: build(UpdateIncrement, path="n", by=2**63), "UpdateIncrement.by must be at most", id="too much"
        ),
        pytest.param(
            lambda: build(UpdateDecrement, path="n", by=-(2**63) - 1), "UpdateDecrement.by must be at least", id="few"
        ),
        pytest.param(
            lambda: build(UpdateSet, path="a", value=1, type="merge"), "type must be 'set'", id="another type"
        ),
    ],
)
def test_what_the_engine_would_refuse_is_refused(make: Any, reason: str) -> None:
    """Before it is sent, with the class and the field."""
    with pytest.raises(ConfigurationError, match=reason):
        make()


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        pytest.param("set", "ops must be a list, not str", id="text"),
        pytest.param({"type": "set"}, "ops must be a list, not dict", id="one operation and no list"),
        pytest.param([UpdateRemove(path="a"), {"type": "rename"}], r"ops\[1\]: the type of .* 'rename'", id="unknown"),
        pytest.param([{"type": "set", "value": 1}], r"ops\[0\]: UpdateSet needs its path", id="no path"),
        pytest.param([{"type": "remove", "path": "a", "value": 1}], r"ops\[0\]: UpdateRemove has no value", id="more"),
        pytest.param([5], r"ops\[0\]: an update operation is a dict, UpdateSet or .*, not int", id="a number"),
    ],
)
def test_a_list_of_operations_says_which_one_is_wrong(ops: Any, reason: str) -> None:
    """By its place."""
    with pytest.raises(ConfigurationError, match=reason):
        as_ops(ops)


def exchanges(name: str) -> list[tuple[list[Any], dict[str, Any]]]:
    """The operations and the answer of every update in a recording."""
    recorded = frames(name)
    calls = {
        frame["invocation_id"]: frame["data"]["ops"]
        for frame in recorded
        if frame["type"] == "invokefunction" and frame["function_id"] == "state::update" and "ops" in frame["data"]
    }
    answers = {frame["invocation_id"]: frame for frame in recorded if frame["type"] == "invocationresult"}
    return [(ops, answers[call]) for call, ops in calls.items() if isinstance(ops, list)]


def is_refused(op: Any) -> bool:
    try:
        as_ops([op])
    except ConfigurationError:
        return True
    return False


STORED = {"not_number", "type_mismatch", "target_not_object"}
"""What an operation may fail at that depends on the stored value, which nobody knows beforehand."""


@pytest.mark.parametrize("name", ["state-update", "state-update-bounds"])
def test_the_verdicts_are_those_of_the_recorded_engine(name: str) -> None:
    """An operation that the engine applied is never refused here, and one that it can never apply always is."""
    seen = 0
    for ops, answer in exchanges(name):
        if "error" in answer:  # the whole call failed: at least one operation has a wrong shape
            assert any(map(is_refused, ops)), ops
            continue
        errors = {error["op_index"]: error["code"] for error in answer["result"].get("errors", [])}
        for index, op in enumerate(ops):
            op = {key: value for key, value in op.items() if key != "value" or op["type"] != "remove"}
            if op["type"] == "set":
                op.setdefault("value", None)  # the engine fills it in; the references require it
            by_bounds = index in errors and errors[index].rpartition(".")[2] not in STORED
            assert is_refused(op) == by_bounds, (op, errors.get(index))
            seen += 1
    assert seen > 20


def test_an_error_of_an_operation_is_structured_from_the_answer() -> None:
    """As the engine sends it, and without the address as well."""
    tree = {"op_index": 1, "code": "increment.not_number", "message": "m", "doc_url": "https://iii.dev"}
    converter = strict_converter()
    assert converter.structure(tree, UpdateOpError) == UpdateOpError(
        op_index=1, code="increment.not_number", message="m", doc_url="https://iii.dev"
    )
    del tree["doc_url"]
    assert converter.structure(tree, UpdateOpError).doc_url is None
