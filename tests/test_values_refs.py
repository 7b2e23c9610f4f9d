"""References to channels."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import pytest

from iii_trio._values.building import build
from iii_trio._values.refs import LiveRef, StreamChannelRef, enliven, may_hold_ref
from iii_trio._wire.check import jsonable
from iii_trio._wire.codec import encode
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ConfigurationError, PayloadError
from tests._recordings import results


def test_the_recorded_refs_make_the_value() -> None:
    """Both ends, and written they are the same again."""
    (created, *_) = results("channel-create", "engine::channels::create")
    for end, direction in (("reader", "read"), ("writer", "write")):
        ref = build(StreamChannelRef, created[end])
        assert ref.direction == direction
        assert jsonable(ref) == created[end]


def test_the_key_is_not_shown() -> None:
    """Whoever has it has the channel."""
    assert "s3cret" not in repr(StreamChannelRef(channel_id="c", access_key="s3cret", direction="read"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"channel_id": ""}, "StreamChannelRef.channel_id must not be blank", id="no id"),
        pytest.param({"access_key": None}, "StreamChannelRef.access_key must be text", id="no key"),
        pytest.param({"direction": "both"}, "StreamChannelRef.direction must be 'read' or 'write'", id="both ends"),
    ],
)
def test_a_ref_that_opens_nothing_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=reason):
        StreamChannelRef(**{"channel_id": "c", "access_key": "k", "direction": "read", **fields})


class Live(LiveRef):
    """Stands for a ref, as readers and writers do."""

    def __init__(self, ref: StreamChannelRef, *, opened: bool = False) -> None:
        self._ref = ref
        self._opened = opened

    @property
    def ref(self) -> StreamChannelRef:
        return self._ref

    def give_away(self) -> StreamChannelRef:
        if self._opened:
            raise TypeError("it was opened here")
        return self._ref


REF: Final = {"channel_id": "c", "access_key": "k", "direction": "read"}


def test_a_mark_is_written_where_there_is_one() -> None:
    """Other SDKs never see it otherwise."""
    marked = StreamChannelRef(channel_id="c", access_key="k", direction="read", verified=True)
    assert jsonable(marked) == {**REF, "verified": True}
    assert jsonable(StreamChannelRef(**REF)) == REF  # type: ignore[arg-type]


@pytest.mark.parametrize("verified", [False, "yes"])
def test_a_mark_is_there_or_not(verified: Any) -> None:
    """There is one way to write it."""
    with pytest.raises(ConfigurationError, match=r"StreamChannelRef\.verified"):
        StreamChannelRef(channel_id="c", access_key="k", direction="read", verified=verified)


def test_a_live_end_is_its_ref_in_json() -> None:
    """As long as it is of use to somebody else."""
    ref = StreamChannelRef(**REF)  # type: ignore[arg-type]
    assert jsonable(Live(ref)) == ref
    frame = encode(InvokeFunction("f", {"a": [Live(ref)]}))
    assert json.loads(frame)["data"] == {"a": [REF]}
    with pytest.raises(PayloadError, match="it was opened here") as caught:
        encode(InvokeFunction("f", {"a": [Live(ref, opened=True)]}))
    assert caught.value.path == "$.a[0]"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        pytest.param(REF, "<c>", id="the payload itself"),
        pytest.param({"a": REF, "b": 1}, {"a": "<c>", "b": 1}, id="a field"),
        pytest.param([REF, [REF], {"x": {"y": [1, REF]}}], ["<c>", ["<c>"], {"x": {"y": [1, "<c>"]}}], id="anywhere"),
        pytest.param({**REF, "more": 1}, "<c>", id="with more in it, from a newer engine"),
        pytest.param({**REF, "direction": "both"}, {**REF, "direction": "both"}, id="no direction"),
        pytest.param({**REF, "access_key": 7}, {**REF, "access_key": 7}, id="no key"),
        pytest.param({**REF, "channel_id": " "}, {**REF, "channel_id": " "}, id="no id"),
        pytest.param({"access_key": "k"}, {"access_key": "k"}, id="something else with a key"),
        pytest.param("access_key", "access_key", id="text"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_refs_are_found_wherever_they_are(tree: Any, expected: Any) -> None:
    """And what only looks like one stays what it is."""
    tree = copy.deepcopy(tree)
    assert enliven(tree, lambda ref: f"<{ref.channel_id}>") == expected


def test_a_ref_keeps_its_mark() -> None:
    """And takes nothing else for one."""
    made: list[StreamChannelRef] = []
    enliven([{**REF, "verified": True}, {**REF, "verified": "yes"}, REF], made.append)
    assert [ref.verified for ref in made] == [True, None, None]


def test_refs_are_found_however_deep() -> None:
    """A payload may be nested deeper than Python recurses."""
    tree: Any = dict(REF)
    for _ in range(5_000):
        tree = [tree]
    tree = enliven(tree, lambda ref: None)
    for _ in range(5_000):
        (tree,) = tree
    assert tree is None


_REF: Final = {"channel_id": "c", "access_key": "k", "direction": "read"}
_TEXT: Final = "x" * 4000


@pytest.mark.parametrize(
    "tree",
    [
        _REF,
        {**_REF, "direction": _TEXT},  # it would be refused later, and that is no matter for here
        {"text": _TEXT, "ref": _REF},
        {"text": _TEXT, "in": {"deep": [1, {"ref": _REF}]}},
        {"text": _TEXT, "refs": [_REF]},
        [_TEXT, _REF],
        {**dict.fromkeys(map(str, range(1000)), 1), "ref": _REF},
    ],
    ids=lambda tree: json.dumps(tree).replace(_TEXT, "…")[:60],
)
def test_no_ref_is_overlooked(tree: Any) -> None:
    """However long the payload is, and wherever the ref stands."""
    assert may_hold_ref(json.dumps(tree), tree)


@pytest.mark.parametrize(
    "tree", [_TEXT, {"text": _TEXT}, {"text": _TEXT, "more": {}, "n": 1}, None, 7, [1], {"a": [{}]}]
)
def test_what_holds_none_is_not_walked(tree: Any) -> None:
    """Neither for its text nor for its values."""
    assert not may_hold_ref(json.dumps(tree), tree)


def test_a_long_text_that_names_the_key_is_no_ref() -> None:
    """It is not even searched when there are few values, and costs a walk when there are many."""
    assert not may_hold_ref(json.dumps({"text": _TEXT + "access_key"}), {"text": _TEXT + "access_key"})
    many = {"text": _TEXT + "access_key", "list": [1]}
    assert may_hold_ref(json.dumps(many), many)
    assert enliven(copy.deepcopy(many), lambda ref: ref) == many
