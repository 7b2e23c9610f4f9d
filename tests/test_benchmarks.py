"""The benchmarks run. What they measure is no matter of a test; that it is measured is."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks import compare, json_libraries, load

ROOT: Final = Path(__file__).parents[1]
LIMIT: Final = 120.0
"""Seconds for one benchmark."""


def run(module: str, *arguments: str) -> str:
    """What a benchmark prints when it is run as docs/benchmarks.md says, on the embedded engine."""
    environment = {name: value for name, value in os.environ.items() if name != "III_TEST_URL"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compare_measures_both_on_an_engine_of_its_own() -> None:
    """Every figure of every contender is there, and a ratio for each."""
    result: dict[str, Any] = json.loads(run("benchmarks.compare", "--rounds", "1", "--calls", "100", "--json"))
    for contender in compare.CONTENDERS:
        assert all(result[contender][figure] > 0 for figure in compare.FIGURES)
        assert result[contender]["lost"] == 0
    for figure in compare.FIGURES:
        assert math.isclose(result["ratios"][figure], result["client"][figure] / result["probe"][figure])
        assert math.isclose(result["healing"][figure], result["client"][figure] / result["client once"][figure])


def test_compare_prints_a_table() -> None:
    """One row a contender, then the ratios."""
    rows = run("benchmarks.compare", "--rounds", "1", "--calls", "10", "--concurrency", "2").splitlines()
    assert [row[:16].strip() for row in rows[2:]] == [*compare.CONTENDERS, "client / probe", "client / once"]


def test_the_payload_has_the_size_that_is_said() -> None:
    """As compact JSON, which is what both contenders send."""
    assert len(json.dumps(load.payload_of(200), separators=(",", ":"))) == 200


def test_json_libraries_measures_every_library_and_shape() -> None:
    """Costs of each, and a verdict on everything that an engine cannot decode."""
    result = json.loads(run("benchmarks.json_libraries", "--rounds", "1", "--repeat", "2", "--json"))
    assert len(result["costs"]) == len(json_libraries.SIZES) * len(json_libraries.SHAPES) * len(json_libraries.ENCODERS)
    assert all(cost["encode_us"] > 0 and cost["decode_us"] > 0 for cost in result["costs"])
    assert result["refuses"].keys() == json_libraries.UNDECODABLE.keys()
    assert "orjson" in run("benchmarks.json_libraries", "--rounds", "1", "--repeat", "2")


def test_the_json_library_refuses_what_decisions_say_it_refuses() -> None:
    """docs/decisions.md, "The JSON library", rests on these verdicts."""
    verdicts = {
        fault: json_libraries.refuses(json_libraries.ENCODERS["orjson"], value)
        for fault, value in json_libraries.UNDECODABLE.items()
    }
    refused = {fault for fault, verdict in verdicts.items() if verdict}
    assert refused == {"integer over 64 bits", "lone surrogate", "key that is no text"}
