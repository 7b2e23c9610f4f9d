"""What holds for every type of the table: what is sent can be taken, and the schema says what that is."""

from __future__ import annotations

import copy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from iii_trio._types.table import DIALECT, Misfit, typed
from iii_trio._wire import codec
from iii_trio._wire.messages import InvokeFunction
from tests._session_values import examples, json_values
from tests._type_values import Typed, typed_values


def sent(value: Any) -> Any:
    """A value as the other side reads it."""
    return orjson.loads(codec.encode(InvokeFunction("f", value)))["data"]


def allows(kind: Typed, tree: Any) -> bool:
    """Whether the schema of a type takes a JSON value."""
    schema = typed(kind.type).schema
    return schema is None or Draft202012Validator(schema).is_valid(tree)


def fits(kind: Typed, tree: Any) -> bool:
    """Whether the type itself does."""
    try:
        typed(kind.type).structure(tree)
    except Misfit:
        return False
    return True


@given(typed_values())
@examples(300)
def test_what_is_sent_arrives_as_it_was(drawn: tuple[Typed, Any]) -> None:
    """To JSON and back is the same value, of the same class."""
    kind, value = drawn
    back = typed(kind.type).structure(sent(value))
    assert back == value
    assert type(back) is type(value) or (type(back), type(value)) == (float, int)


@given(typed_values())
@examples(300)
def test_the_schema_allows_what_is_sent(drawn: tuple[Typed, Any]) -> None:
    """And is itself one that its dialect allows."""
    kind, value = drawn
    schema = typed(kind.type).schema
    if schema is not None:
        assert schema["$schema"] == DIALECT
        Draft202012Validator.check_schema(schema)
    assert allows(kind, sent(value))


# Where JSON Schema is wider than the table: it holds 1.0 for a whole number, so whole floats are left out here, as are types
# whose schema cannot say all (`Typed.exact`).
_strangers = json_values.filter(lambda tree: not _has_whole_float(tree))


def _has_whole_float(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(map(_has_whole_float, tree.values()))
    if isinstance(tree, list):
        return any(map(_has_whole_float, tree))
    return isinstance(tree, float) and tree.is_integer()


@st.composite
def _changed(draw: st.DrawFn, tree: Any) -> Any:
    """The JSON value with another one somewhere in it, or without something."""
    if isinstance(tree, dict) and tree and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(tree)))
        changed = dict(tree)
        if draw(st.integers(0, 3)):
            changed[name] = draw(_changed(tree[name]))
        else:
            del changed[name]
        return changed
    if isinstance(tree, list) and tree and draw(st.integers(0, 4)):
        index = draw(st.integers(0, len(tree) - 1))
        return [*tree[:index], draw(_changed(tree[index])), *tree[index + 1 :]]
    return draw(_strangers)


@given(typed_values(), st.data())
@examples(600)
def test_a_changed_value_is_taken_by_both_or_by_neither(drawn: tuple[Typed, Any], data: st.DataObject) -> None:
    """What the type takes its schema allows, always; and the other way round where the schema can say all."""
    kind, value = drawn
    tree = data.draw(_changed(sent(value)))
    before = copy.deepcopy(tree)
    taken = fits(kind, tree)
    assert tree == before
    assert not taken or allows(kind, tree)
    if kind.exact and not _has_whole_float(tree):
        assert taken == allows(kind, tree)
