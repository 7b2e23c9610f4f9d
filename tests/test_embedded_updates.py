"""Update operations do to a value what the real engine was recorded to do, and never fail otherwise."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._embedded.inputs import Field, Input, many
from iii_trio._embedded.updates import apply, read_operation
from iii_trio._wire.messages import ABSENT
from tests.replay import Placeholders, read_transcript

FOLDER: Final = Path(__file__).parent / "transcripts"
HIGHEST: Final = 2**64 - 1
LOWEST: Final = -(2**63)


def run(old: Any, *operations: Any) -> tuple[Any, list[tuple[int, str]]]:
    """The new value, and the indices and codes of the errors."""
    new, errors = apply(old, [read_operation(operation) for operation in operations])
    return new, [(error["op_index"], error["code"]) for error in errors]


# ---- what was recorded ----------------------------------------------------------------------------------------------


def recorded() -> Iterator[Any]:
    """Every update in the transcripts: the value before, the operations, and the answer."""
    for name in ("state-update", "state-update-bounds"):
        stored: Any = ABSENT
        sent: dict[str, Any] = {}
        for number, line in read_transcript(FOLDER / f"{name}.jsonl"):
            frame = Placeholders().expand(line.get("frame", {}))
            if frame.get("type") == "invokefunction":
                sent = frame
            elif frame.get("function_id") == "state::update":
                yield pytest.param(stored, sent["data"], frame, id=f"{name}:{number}")
                stored = frame["result"]["new_value"] if "result" in frame else stored
            elif frame.get("function_id") == "state::set":
                stored = frame["result"]["new_value"]
            elif frame.get("function_id") == "state::delete":
                stored = ABSENT


@pytest.mark.parametrize(("old", "data", "answer"), list(recorded()))
def test_an_update_ends_as_recorded(old: Any, data: Any, answer: Any) -> None:
    """Value, errors and refusals, word by word."""
    shape = Input("", (Field("ops", many(read_operation), required=True),))
    if "error" in answer:
        reason = answer["error"]["message"].removeprefix("Failed to deserialize input for state::update: ")
        with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
            shape.read(data)
        return
    new, errors = apply(old, shape.read(data)["ops"])
    assert json.dumps(new, sort_keys=True) == json.dumps(answer["result"]["new_value"], sort_keys=True)
    assert errors == answer["result"].get("errors", [])


def test_the_recordings_have_successes_errors_and_refusals() -> None:
    """So the test above has something to say about each."""
    answers = [param.values[2] for param in recorded()]
    assert sum("error" in answer for answer in answers) >= 10
    assert sum("errors" in answer.get("result", {}) for answer in answers) >= 10
    assert len(answers) >= 50


# ---- what no recording shows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "operation", "new"),
    [
        pytest.param(ABSENT, {"type": "increment", "path": "", "by": 5}, 5, id="a-missing-root-is-counted-from-zero"),
        pytest.param(ABSENT, {"type": "decrement", "path": "", "by": LOWEST}, 2**63, id="a-missing-root-below-zero"),
        pytest.param({}, {"type": "decrement", "path": "n", "by": LOWEST}, {"n": 2**63}, id="a-missing-key"),
        pytest.param(ABSENT, {"type": "append", "value": "t"}, "t", id="a-missing-root-becomes-text"),
        pytest.param(ABSENT, {"type": "append", "value": [1]}, [[1]], id="an-array-is-one-element"),
        pytest.param(ABSENT, {"type": "remove", "path": "a"}, {}, id="removing-from-nothing-makes-an-object"),
        pytest.param(ABSENT, {"type": "set", "path": "a"}, {"a": None}, id="set-without-value-is-null"),
        pytest.param(ABSENT, {"type": "append", "path": ["a", "b"], "value": "t"}, {"a": {"b": ["t"]}}, id="nested"),
        pytest.param(
            {"a": {"b": None}}, {"type": "append", "path": ["a", "b"], "value": "t"}, {"a": {"b": "t"}}, id="null-leaf"
        ),
        pytest.param([1], {"type": "merge", "path": "a", "value": {"b": 1}}, {"a": {"b": 1}}, id="root-is-replaced"),
        pytest.param(HIGHEST, {"type": "decrement", "path": "", "by": 1}, HIGHEST - 1, id="unsigned-difference"),
        pytest.param(1.5, {"type": "decrement", "path": "", "by": 1}, 0.5, id="float-difference"),
        pytest.param(1.7e308, {"type": "increment", "path": "", "by": 2**62}, 1.7e308, id="a-float-stays-finite"),
        pytest.param({}, ["set", "a", 1], {"a": 1}, id="an-array-is-the-fields-in-order"),
        pytest.param({}, ["append", None, 1], {}, id="a-root-append-needs-an-array"),
    ],
)
def test_an_operation_on_a_value(old: Any, operation: Any, new: Any) -> None:
    """Alone."""
    assert run(old, operation)[0] == new


@pytest.mark.parametrize(
    ("old", "operation", "code"),
    [
        pytest.param({}, {"type": "increment", "path": "", "by": 1}, "increment.not_number", id="object"),
        pytest.param(True, {"type": "increment", "path": "", "by": 1}, "increment.not_number", id="boolean"),
        pytest.param({"n": None}, {"type": "decrement", "path": "n", "by": 1}, "decrement.not_number", id="null"),
        pytest.param(HIGHEST, {"type": "increment", "path": "", "by": 1}, "increment.not_number", id="too-high"),
        pytest.param(LOWEST, {"type": "decrement", "path": "", "by": 1}, "decrement.not_number", id="too-low"),
        pytest.param([], {"type": "remove", "path": "a"}, "remove.target_not_object", id="remove"),
        pytest.param(1, {"type": "append", "path": "a", "value": 1}, "append.target_not_object", id="append"),
        pytest.param("t", {"type": "append", "value": 1}, "append.type_mismatch", id="text-and-number"),
        pytest.param({}, {"type": "set", "path": "\u00e9" * 129}, "set.path.segment_too_long", id="bytes-count"),
    ],
)
def test_an_operation_that_does_not_apply_changes_nothing(old: Any, operation: Any, code: str) -> None:
    """And says why, with its place in the list."""
    assert run(old, ["merge", None, {}], operation) == (old, [(1, code)])


def test_the_others_apply() -> None:
    """In order, each on what the one before left."""
    assert run(
        {"n": 1},
        {"type": "increment", "path": "n", "by": 1},
        {"type": "append", "path": "n", "value": 1},
        {"type": "remove", "path": "n"},
        {"type": "append", "path": "n", "value": 1},
    ) == ({"n": [1]}, [(1, "append.type_mismatch")])


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        pytest.param([], "missing field `type`", id="empty"),
        pytest.param(
            ["set", "a"], "invalid length 1, expected struct variant UpdateOp::Set with 2 elements", id="short"
        ),
        pytest.param(
            ["merge"], "invalid length 1, expected struct variant UpdateOp::Merge with 2 elements", id="merge"
        ),
        pytest.param(["remove", "a", 1], "invalid length 2, expected 1 element in sequence", id="long"),
        pytest.param(["set", 5, 1, 1], "invalid type: integer `5`, expected a string", id="wrong-before-long"),
        pytest.param({"type": 5}, "invalid type: integer `5`, expected variant identifier", id="number"),
        pytest.param(
            {"type": "increment", "path": "a", "by": None}, "invalid type: null, expected i64", id="null-is-no-number"
        ),
        pytest.param(
            {"type": "merge", "path": [1], "value": {}},
            "data did not match any variant of untagged enum MergePath",
            id="path-of-numbers",
        ),
    ],
)
def test_a_wrong_shape_is_refused(operation: Any, message: str) -> None:
    """In the words that the real engine has for it."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_operation(operation)


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        pytest.param({"type": "set", "path": "a", "x": 1}, {"type": "set", "path": "a", "value": None}, id="set"),
        pytest.param(["decrement", "n", 2], {"type": "decrement", "path": "n", "by": 2}, id="array"),
        pytest.param({"type": "merge", "value": {}, "path": None}, {"type": "merge", "value": {}}, id="no-path"),
        pytest.param(
            {"type": "append", "value": 1, "path": ["a"]},
            {"type": "append", "value": 1, "path": ["a"]},
            id="array-path",
        ),
        pytest.param({"type": "merge", "value": {}, "path": ""}, {"type": "merge", "value": {}, "path": ""}, id="root"),
    ],
)
def test_an_operation_remembers_what_it_was_read_from(operation: Any, sent: Any) -> None:
    """Its own fields, as the real engine passes them on."""
    assert read_operation(operation).sent == sent


# ---- laws -----------------------------------------------------------------------------------------------------------

KEYS: Final = st.sampled_from(["a", "b", "", "__proto__", "long" * 65])
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(LOWEST, HIGHEST) | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
PATHS: Final = KEYS | st.lists(KEYS, max_size=4)
NUMBERS: Final = st.integers(LOWEST, 2**63 - 1)
OPERATIONS: Final = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(["set", "remove"]), "path": KEYS, "value": VALUES}),
    st.fixed_dictionaries({"type": st.sampled_from(["increment", "decrement"]), "path": KEYS, "by": NUMBERS}),
    st.fixed_dictionaries({"type": st.sampled_from(["merge", "append"]), "path": PATHS, "value": VALUES}),
)


@given(old=VALUES | st.just(ABSENT), operations=st.lists(OPERATIONS, max_size=6))
def test_whatever_is_asked_something_comes_of_it_and_nothing_is_changed_in_place(
    old: Any, operations: list[Any]
) -> None:
    """A value that can be sent, at most one error an operation in their order, and the same again the next time."""
    before = copy.deepcopy((old, operations)) if old is not ABSENT else (ABSENT, copy.deepcopy(operations))
    decoded = [read_operation(operation) for operation in operations]
    new, errors = apply(old, decoded)
    assert (old, operations) == before
    assert apply(old, decoded) == (new, errors)
    assert json.loads(json.dumps(new, allow_nan=False)) == new
    indices = [error["op_index"] for error in errors]
    assert indices == sorted(set(indices))


@given(old=st.dictionaries(st.sampled_from("abc"), VALUES), key=st.sampled_from("abc"), value=VALUES)
def test_what_is_set_is_there_and_what_is_removed_is_not(old: dict[str, Any], key: str, value: Any) -> None:
    """And no other key is touched."""
    others = {name: item for name, item in old.items() if name != key}
    stored = {"type": "set", "path": key, "value": value}
    removed = {"type": "remove", "path": key}
    assert run(old, stored) == ({**others, key: value}, [])
    assert run(old, removed) == (others, [])
    assert run(old, stored, removed) == run(old, removed)


@given(old=st.integers(LOWEST, HIGHEST), by=st.integers(LOWEST + 1, 2**63 - 1))
def test_what_is_added_can_be_taken_away_again(old: int, by: int) -> None:
    """Unless it would not have fitted, and then nothing is added."""
    up, errors = run(old, {"type": "increment", "path": "", "by": by})
    assert bool(errors) == (not LOWEST <= old + by <= HIGHEST)
    if not errors:
        assert run(up, {"type": "decrement", "path": "", "by": by}) == (old, [])
