"""The benchmarks run. What they measure is no matter of a test; that it is measured, and how it is reckoned, is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from benchmarks import cases, channels, compare, json_libraries, process, report, steps, turns

ROOT: Final = Path(__file__).parents[1]
LIMIT: Final = 240.0
"""Seconds for one benchmark."""

CALLS: Final = "20"
OFFICIAL_PYTHON: Final = os.environ.get(turns.OFFICIAL_PYTHON, "")


def run(module: str, *arguments: str, official: str = "") -> str:
    """What a benchmark prints when it is run as docs/benchmarks.md says, on the embedded engine."""
    environment = {name: value for name, value in os.environ.items() if name != "III_TEST_URL"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**environment, turns.OFFICIAL_PYTHON: official},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    """One run of every case with every contender, but for the official SDK."""
    report: dict[str, Any] = json.loads(run("benchmarks.compare", "--rounds", "1", "--calls", CALLS, "--json"))
    return report


@pytest.mark.slow
def test_compare_measures_every_contender_of_every_case(result: dict[str, Any]) -> None:
    """Every figure is there and nothing is lost; who could not run is named, with the reason."""
    assert [*result["cases"]] == [*cases.CASES]
    for name, case in result["cases"].items():
        expected = [each for each in compare.contenders_of(name) if each not in result["skipped"]]
        assert [*case["contenders"]] == expected
        for summary in case["contenders"].values():
            figures = set(report.FIGURES) - (set() if case["load"]["sync"] else {"threads"})
            assert summary.keys() == figures | {"lost"}
            assert summary["lost"] == 0
            assert all(summary[figure]["median"] > 0 for figure in figures)


@pytest.mark.slow
def test_nobody_is_skipped_without_a_reason(result: dict[str, Any]) -> None:
    """The official SDK when no interpreter is named that has it, and what needs a WebSocket library that is not there."""
    for name in compare.CONTENDERS:
        if name.startswith(report.OFFICIAL):
            assert result["skipped"][name] == "III_TEST_OFFICIAL_PYTHON names no interpreter that has iii-sdk"
    for name, why in result["skipped"].items():
        assert name.startswith(report.OFFICIAL) or "websockets" in why


@pytest.mark.slow
def test_the_tables_hold_the_whole_report(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """One row a contender and a ratio, and a line for everybody who was skipped."""
    report.show(result)
    printed = capsys.readouterr().out
    beginnings = [line.split("  ")[0] for line in printed.splitlines()]
    for name, why in result["skipped"].items():
        assert f"skipped: {name}: {why}" in printed
    for case in result["cases"].values():
        assert {*case["contenders"], *case["ratios"]} <= set(beginnings)


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL_PYTHON, reason=f"{turns.OFFICIAL_PYTHON} names no interpreter that has iii-sdk")
def test_the_official_sdk_calls_in_each_of_its_ways() -> None:
    """With async and sync handlers, and none of the calls is lost."""
    printed = run(
        *("benchmarks.compare", "--rounds", "1", "--calls", CALLS, "--json"),
        *("--only", "official", "--case", "small", "sync"),
        official=OFFICIAL_PYTHON,
    )
    measured = json.loads(printed)
    assert measured["skipped"] == {}
    for case in measured["cases"].values():
        assert [*case["contenders"]] == ["official-threads", "official-loop", "official-handler"]
        assert all(summary["lost"] == 0 for summary in case["contenders"].values())
        assert set(case["official"].values()) <= {*case["contenders"]}


@pytest.mark.slow
def test_channels_measures_every_contender_of_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure is there, no frame is lost, and the tables hold it all."""
    measured = json.loads(run("benchmarks.channels", "--rounds", "1", "--frames", CALLS, "--json"))
    assert [*measured["cases"]] == [*cases.STREAMS]
    report.show(measured)
    printed = capsys.readouterr().out
    for case in measured["cases"].values():
        assert [*case["contenders"]] == [name for name in channels.CONTENDERS if name not in measured["skipped"]]
        assert case["words"] in printed
        for name, summary in case["contenders"].items():
            assert name in printed
            assert summary.keys() == {*report.STREAM_FIGURES, "lost"}
            assert summary["lost"] == 0
            assert all(summary[figure]["median"] > 0 for figure in report.STREAM_FIGURES)
    for name in channels.CONTENDERS:
        if name.startswith(report.OFFICIAL):
            assert measured["skipped"][name] == "III_TEST_OFFICIAL_PYTHON names no interpreter that has iii-sdk"


@pytest.mark.slow
@pytest.mark.skipif(not OFFICIAL_PYTHON, reason=f"{turns.OFFICIAL_PYTHON} names no interpreter that has iii-sdk")
def test_the_official_sdk_has_its_turn_with_channels() -> None:
    """Writing on a loop of its own and in a handler, and every frame is read."""
    printed = run(
        *("benchmarks.channels", "--rounds", "1", "--frames", CALLS, "--json", "--only", "official"),
        official=OFFICIAL_PYTHON,
    )
    measured = json.loads(printed)
    assert measured["skipped"] == {}
    for case in measured["cases"].values():
        assert [*case["contenders"]] == ["official-loop", "official-handler"]
        assert all(summary["lost"] == 0 for summary in case["contenders"].values())


@pytest.mark.parametrize("module", ["benchmarks.compare", "benchmarks.channels"])
def test_a_contender_that_nobody_knows_is_refused(module: str) -> None:
    """A typing error does not measure nothing."""
    with pytest.raises(AssertionError, match="nobody's name begins with 'sours'"):
        run(module, "--only", "sours")


# ---- who is measured, on what, and when ------------------------------------------------------------------------------


def test_contenders_take_turns_within_each_round() -> None:
    """A machine that is slower for a while is so for all of them; who cannot run is not asked again."""
    contenders = {name: turns.Contender("nowhere", name) for name in "abc"}
    asked: list[str] = []

    def measure(contender: turns.Contender) -> dict[str, float]:
        asked.append(contender.variant)
        if contender.variant == "b":
            raise process.CannotRun("it has no legs")
        return {"rate": len(asked)}

    skipped: dict[str, str] = {}
    seen = turns.take_turns(3, contenders, skipped, "rate", measure)
    assert asked == ["a", "b", "c", "a", "c", "a", "c"]
    assert seen == {"a": [{"rate": 1}, {"rate": 4}, {"rate": 6}], "c": [{"rate": 3}, {"rate": 5}, {"rate": 7}]}
    assert skipped == {"b": "it has no legs"}


def test_the_engine_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody measures another one, and the report names it."""
    monkeypatch.setenv("III_TEST_URL", "ws://engine.invalid:1")
    with turns.engine() as named:
        assert named == ("ws://engine.invalid:1", "ws://engine.invalid:1")


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
def test_ours_runs_the_transport_that_it_is_measured_for(monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    """As worker and as caller, on the embedded engine where no other is named; or two rows would be one contender."""
    monkeypatch.delenv("III_TEST_URL", raising=False)
    load = cases.Load(calls=1, concurrency=1, size=100)
    with turns.engine() as (name, url):
        assert name == turns.EMBEDDED
        arguments = (transport, url, "f", load.dump())
        for role in ("worker-once", "worker"):
            with process.Process("benchmarks.client", role, *arguments) as worker:
                assert worker.next() == {"ready": True, "transport": transport}
                with process.Process("benchmarks.client", "caller", *arguments) as caller:
                    assert caller.next() == {"ready": True, "transport": transport}


# ---- how it is reckoned ---------------------------------------------------------------------------------------------


def test_a_ratio_is_taken_within_each_round() -> None:
    """So a machine that is slower in one round moves both sides of it."""
    ours = [{"caller_us": 10.0, "calls_per_second": 100.0}, {"caller_us": 40.0, "calls_per_second": 25.0}]
    theirs = [{"caller_us": 20.0, "calls_per_second": 50.0}, {"caller_us": 80.0, "calls_per_second": 10.0}]
    assert report.ratio_of(ours, theirs) == {
        "caller_us": {"median": 0.5, "min": 0.5, "max": 0.5},
        "calls_per_second": {"median": 2.25, "min": 2.0, "max": 2.5},
    }


def test_a_figure_that_was_nothing_compares_with_nothing() -> None:
    """A caller that lost every call has no ratio, rather than an endless one."""
    ours, theirs = {"caller_us": 10.0, "p50_us": 5.0}, {"caller_us": 20.0, "p50_us": 0.0}
    assert report.ratio_of([ours], [theirs]).keys() == {"caller_us"}


def test_a_summary_shows_the_spread_and_adds_up_what_is_lost() -> None:
    """The median of the rounds, with the least and the most."""
    rounds = [{"caller_us": cost, "lost": lost} for cost, lost in ((30.0, 1), (10.0, 0), (14.0, 2))]
    assert report.summary_of(rounds) == {"caller_us": {"median": 14.0, "min": 10.0, "max": 30.0}, "lost": 3}


def test_the_official_sdk_counts_with_its_best_way_to_call() -> None:
    """Figure by figure, most calls a second and least CPU, and the report says which way it was."""
    figures = {
        "ours-websockets": (900.0, 30.0),
        "official-threads": (450.0, 90.0),
        "official-handler": (300.0, 60.0),
        "official-loop": (200.0, 80.0),
    }
    case = report.report_of(
        {name: [{"calls_per_second": rate, "caller_us": cost, "lost": 0}] for name, (rate, cost) in figures.items()}
    )
    assert case["official"] == {"calls_per_second": "official-threads", "caller_us": "official-handler"}
    ratios = case["ratios"]["ours-websockets / official"]
    assert ratios["calls_per_second"]["median"] == 2.0
    assert ratios["caller_us"]["median"] == 0.5
    assert case["contenders"].keys() == figures.keys()


def test_a_ratio_needs_both_contenders() -> None:
    """One that was skipped or not chosen leaves no row."""
    assert report.report_of({"ours-websockets": [{"calls_per_second": 1.0, "lost": 0}]})["ratios"] == {}


def test_every_ratio_is_of_contenders_that_there_are() -> None:
    """A name that is written wrong would never be divided."""
    for over, under in report.RATIOS:
        assert over in compare.CONTENDERS
        assert under in {*compare.CONTENDERS, report.OFFICIAL}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    """The highest one is the last there is, and none of nothing is 0."""
    assert steps.percentile([float(number) for number in range(1, 101)], share) == value
    assert steps.percentile([], share) == 0


def test_what_is_not_answered_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """And the time is counted up to the last answer, not up to the time-out of a lost call."""
    steps.say_made(began=10.0, cpu=0.0, answered=[(10.0, 10.5), (10.25, 10.5), (10.25, 12.0)], calls=5)
    said = json.loads(capsys.readouterr().out)
    assert {name: said[name] for name in ("lost", "seconds", "p50", "p99")} == {
        "lost": 2,
        "seconds": 2.0,
        "p50": 0.5,
        "p99": 1.75,
    }


def test_the_payload_has_the_size_that_is_said() -> None:
    """As compact JSON, which is what all contenders send."""
    for load in cases.CASES.values():
        assert len(json.dumps(load.payload(), separators=(",", ":"))) == load.size
        assert cases.Load.parse(load.dump()) == load


def test_a_stream_is_counted_in_its_unit() -> None:
    """In frames, or in MiB of 2**20 bytes."""
    assert cases.Stream(frames=48, size=64 * 1024, unit="MiB").amount(32) == 2.0
    assert cases.Stream(frames=48, size=200, unit="frame").amount(32) == 32
    for stream in cases.STREAMS.values():
        assert cases.Stream.parse(stream.dump()) == stream


def test_the_most_a_second_is_the_best() -> None:
    """Of channels as of calls."""
    rates = {"official-loop": 3.0, "official-handler": 7.0}
    case = report.report_of({name: [{"per_second": rate, "lost": 0}] for name, rate in rates.items()})
    assert case["official"] == {"per_second": "official-handler"}


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
