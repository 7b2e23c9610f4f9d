"""The replay of transcripts notices what differs: a check that cannot fail proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio.testing

from iii_trio.testing import open_engine
from tests.replay import Differs, Placeholders, Unsupported, replay

ID = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
OTHER = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("want", "got"),
    [
        pytest.param(1, 2, id="number"),
        pytest.param(1, True, id="true-is-not-one"),
        pytest.param(None, 0, id="null"),
        pytest.param("a", ["a"], id="text"),
        pytest.param([1], [1, 2], id="longer-array"),
        pytest.param([1], {}, id="no-array"),
        pytest.param({"a": [1]}, {"a": [2]}, id="deep-inside"),
        pytest.param({"a": 1}, {}, id="missing-key"),
        pytest.param({"a": 1}, {"a": 1, "b": 2}, id="additional-key"),
        pytest.param({"a": 1}, 5, id="no-object"),
        pytest.param("$uuid1", "x", id="no-uuid"),
        pytest.param("$n1", "x", id="no-number"),
        pytest.param(["$uuid1", "$uuid1"], [ID, OTHER], id="not-the-same"),
        pytest.param(["$uuid1", "$uuid2"], [ID, ID], id="not-different"),
        pytest.param("at $n1 s", "at x s", id="inside-text"),
        pytest.param("at $n1 s", 5, id="no-text"),
        pytest.param({"$set": [1, 2]}, [1, 1], id="set"),
        pytest.param({"$set": [1, 2]}, [1, 2, 3], id="larger-set"),
        pytest.param({"$contains": [1]}, [2], id="contains"),
        pytest.param({"$contains": [1]}, 1, id="contains-in-no-array"),
        pytest.param({"$excludes": [1]}, [2, 1], id="excludes"),
        pytest.param({"$csv": ["a", "b"]}, "a,c", id="csv"),
        pytest.param({"$csv": ["a", "b"]}, None, id="csv-no-text"),
        pytest.param({"$repeat": ["x", 3]}, "xx", id="repeat"),
        pytest.param({"$nest": [2, 1]}, [1], id="nest"),
    ],
)
def test_a_difference_is_told(want: Any, got: Any) -> None:
    """And binds nothing."""
    placeholders = Placeholders()
    assert placeholders.problem(want, got)
    assert not placeholders.values


@pytest.mark.parametrize(
    ("want", "got"),
    [
        pytest.param({"a": 1.0}, {"a": 1}, id="numbers-by-value"),
        pytest.param(["$uuid1", "$uuid1", "$token1"], [ID, ID, OTHER], id="bound-once"),
        pytest.param(["at $n1 s, $n1"], ["at 1.5 s, 1.5"], id="inside-text"),
        pytest.param(["$any1", "$ts1", "$ns1", "$s1"], [None, 7, 8, ""], id="kinds"),
        pytest.param({"$set": [1, {"a": "$n1"}]}, [{"a": 5}, 1], id="set"),
        pytest.param({"$contains": [1]}, [2, 1], id="contains"),
        pytest.param({"$excludes": [1]}, [2], id="excludes"),
        pytest.param({"$csv": ["a", "b"]}, "b,a", id="csv"),
        pytest.param({"$repeat": ["x", 3]}, "xxx", id="repeat"),
        pytest.param({"$nest": [2, 1]}, [[1]], id="nest"),
    ],
)
def test_what_is_the_same_passes(want: Any, got: Any) -> None:
    """In every notation."""
    assert Placeholders().problem(want, got) is None


def test_additional_keys_pass_where_the_frame_was_recorded_in_part() -> None:
    """Such a line is marked."""
    assert Placeholders().problem({"a": 1}, {"a": 1, "b": 2}, exact=False) is None


GREETED: list[dict[str, Any]] = [
    {"conn": "a", "dir": "open", "path": "/"},
    {
        "conn": "a",
        "dir": "<",
        "frame": {"type": "workerregistered", "worker_id": "$uuid1", "reattach_token": "$token1"},
    },
]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"conn": "a", "dir": "<", "frame": {"type": "pong"}}, id="nothing-came"),
        pytest.param({"conn": "a", "dir": "close", "by": "engine", "code": 1006}, id="no-end"),
        pytest.param(
            {"conn": "b", "dir": "open", "path": "/", "refused": {"status": 404, "text": ""}}, id="not-refused"
        ),
        pytest.param({"conn": "b", "dir": "open", "path": "/nothing"}, id="refused"),
        pytest.param(
            {"conn": "a", "dir": "flood", "binary_b64": "AA==", "max": 3, "stall_ms": 9, "count": "$n1"}, id="no-stall"
        ),
        pytest.param(
            {"conn": "b", "dir": "open", "path": "/nothing", "refused": {"status": 400, "text": ""}}, id="other-status"
        ),
    ],
)
async def test_an_engine_that_does_something_else_is_caught(
    line: dict[str, Any], tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """With the number of the line."""
    path = tmp_path / "made-up.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"scenario": "made-up"}, *GREETED, line])))
    async with open_engine() as engine:
        with pytest.RaisesGroup(pytest.RaisesExc(Differs, match=r"made-up\.jsonl:4: ")):
            await replay(path, engine.open_stream)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"conn": "a", "dir": "silent", "ms": 100}, id="silence"),
        pytest.param({"conn": "a", "dir": "<", "frame": {"type": "pong"}}, id="another-frame"),
    ],
)
async def test_what_comes_unasked_is_caught(
    line: dict[str, Any], tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Here it is the greeting."""
    path = tmp_path / "made-up.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"scenario": "made-up"}, GREETED[0], line])))
    async with open_engine() as engine:
        with pytest.RaisesGroup(pytest.RaisesExc(Differs, match=r"made-up\.jsonl:3: .*workerregistered")):
            await replay(path, engine.open_stream)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"conn": "a", "dir": "listen"}, id="kind"),
        pytest.param({"conn": "a", "dir": ">"}, id="message"),
        pytest.param({"conn": "h", "dir": "http>", "method": "GET", "path": "/"}, id="http-that-nobody-serves"),
        pytest.param({"conn": "h", "dir": "http<", "status": 200}, id="response-to-nothing"),
        pytest.param({"conn": "b", "dir": "open", "endpoint": "rbac"}, id="endpoint"),
    ],
)
async def test_what_the_replay_does_not_know_is_an_error(line: dict[str, Any], tmp_path: Path) -> None:
    """It is never passed over."""
    path = tmp_path / "made-up.jsonl"
    path.write_text("\n".join(map(json.dumps, [{"scenario": "made-up"}, *GREETED, line])))
    async with open_engine() as engine:
        with pytest.RaisesGroup(Unsupported):
            await replay(path, engine.open_stream)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"status": 200}, id="status"),
        pytest.param({"status": 404, "headers": {"x-a": "1"}}, id="header"),
        pytest.param({"status": 404, "json": {"a": 1}}, id="json"),
        pytest.param({"status": 404, "text": ""}, id="text"),
    ],
)
async def test_another_response_is_caught(
    response: dict[str, Any], tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """It is a 404 with an error in JSON."""
    path = tmp_path / "made-up.jsonl"
    request = {"conn": "h", "dir": "http>", "method": "GET", "path": "/nothing"}
    lines = [{"scenario": "made-up"}, request, {"conn": "h", "dir": "http<", **response}]
    path.write_text("\n".join(map(json.dumps, lines)))
    async with open_engine() as engine:
        with pytest.RaisesGroup(pytest.RaisesExc(Differs, match=r"made-up\.jsonl:3: .*status 404")):
            await replay(path, engine.open_stream, open_http=engine.open_http_stream)
