"""The short way of the two frames of every call leads where the long one does, or nowhere."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from cattrs.gen import make_dict_structure_fn
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._values.strict import strict_converter
from iii_trio._wire import messages as wire
from iii_trio._wire.codec import UndecodableFrame, decode, encode
from iii_trio._wire.plain import PLAIN_STRUCTURE, PLAIN_UNSTRUCTURE
from tests._session_values import FRAMES, examples, json_values

HOT = (wire.InvokeFunction, wire.InvocationResult)
CONVERTER = strict_converter()
LONG = {cls: make_dict_structure_fn(cls, CONVERTER) for cls in HOT}

scalars = st.one_of(st.none(), st.text(max_size=3), st.integers(), st.booleans(), st.just([]), st.just({}))
trees: dict[type[Any], st.SearchStrategy[dict[str, Any]]] = {
    cls: st.dictionaries(
        st.sampled_from([*(field.name for field in attrs.fields(cls)), "unknown"]), st.one_of(scalars, json_values)
    )
    for cls in HOT
}


def outcome(structure: Any, tree: dict[str, Any]) -> Any:
    """The frame, or None where there is none."""
    try:
        return structure(tree, None)
    except Exception:
        return None


@pytest.mark.parametrize("cls", HOT)
@given(data=st.data())
@examples(300)
def test_what_is_taken_by_hand_is_what_the_converter_makes_of_it(cls: Any, data: st.DataObject) -> None:
    """From any tree: the short way takes nothing that the long one refuses, and nothing differently."""
    tree = data.draw(trees[cls])
    plain = PLAIN_STRUCTURE[cls](dict(tree))
    if plain is not None:
        assert plain == outcome(LONG[cls], dict(tree))


@pytest.mark.parametrize("cls", HOT)
@given(data=st.data())
@examples(200)
def test_what_is_written_by_hand_is_read_again(cls: Any, data: st.DataObject) -> None:
    """Every field is there, and what has its default is not written, but for `data`."""
    frame = data.draw(FRAMES[cls])
    tree = PLAIN_UNSTRUCTURE[cls](frame)
    if tree is None:
        return
    assert outcome(LONG[cls], tree) == frame
    defaults = {field.name: field.default for field in attrs.fields(cls)}
    assert [name for name, value in tree.items() if name != "type" and value is defaults[name]] == []


@pytest.mark.parametrize(
    "frame",
    [
        wire.InvokeFunction("f", None, "i", wire.VoidAction()),
        wire.InvocationResult("i", "f", error=wire.ErrorBody("c", "m")),
    ],
)
def test_what_is_not_plain_goes_the_long_way(frame: Any) -> None:
    """Both ways, and arrives."""
    assert PLAIN_UNSTRUCTURE[type(frame)](frame) is None
    assert PLAIN_STRUCTURE[type(frame)](json.loads(encode(frame))) is None
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param({"function_id": "f"}, id="no data"),
        pytest.param({"function_id": 7, "data": None}, id="a number for an id"),
        pytest.param({"function_id": "f", "data": None, "baggage": 7}, id="a number for baggage"),
        pytest.param({"function_id": "f", "data": None, "invocation_id": False}, id="a truth value for an id"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tree: dict[str, Any]) -> None:
    """The long way says what it is."""
    assert PLAIN_STRUCTURE[wire.InvokeFunction](tree) is None
    with pytest.raises(UndecodableFrame, match="invokefunction: "):
        decode(json.dumps({"type": "invokefunction", **tree}))
