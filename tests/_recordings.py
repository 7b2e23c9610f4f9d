"""What the recordings of the real engine hold, for tests that structure it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

TRANSCRIPTS: Final = Path(__file__).parent / "transcripts"


def frames(name: str) -> list[dict[str, Any]]:
    """Every frame of a recording, in order, with numbers and text in place of what changes from run to run."""
    lines = [json.loads(line) for line in (TRANSCRIPTS / f"{name}.jsonl").read_text("utf-8").splitlines()]
    return [_plain(line["frame"]) for line in lines if "frame" in line]


def invocations(name: str, function_id: str) -> list[Any]:
    """The payloads with which a function was called, by whomever."""
    return [
        frame["data"]
        for frame in frames(name)
        if frame["type"] == "invokefunction" and frame["function_id"] == function_id and "data" in frame
    ]


def results(name: str, function_id: str) -> list[Any]:
    """The results of a function, without those calls that failed or returned nothing."""
    return [
        frame["result"]
        for frame in frames(name)
        if frame["type"] == "invocationresult" and frame["function_id"] == function_id and "result" in frame
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and value.startswith(("$ts", "$n")):
        return 1
    if not isinstance(value, dict):
        return value
    if "$repeat" in value:
        text, times = value["$repeat"]
        return text * times
    for several in ("$set", "$contains"):
        if several in value:
            return _plain(value[several])
    return {key: _plain(item) for key, item in value.items()}
