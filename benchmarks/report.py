"""What comes out of the rounds: medians with their spread, ratios within a round, and tables of both.

The machine and the day move every figure of a round alike, so a ratio is taken within each round, and then the median of
the rounds. ``median`` stands beside ``min`` and ``max`` everywhere.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

FIGURES: Final[Mapping[str, str]] = {
    "caller_us": "caller µs/call",
    "worker_us": "worker µs/call",
    "calls_per_second": "calls/s",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
    "threads": "threads",
}
"""What is measured in a round of calls, and its column: CPU of the processes, what they reach together, how long a call
takes, and the most threads in a worker with a sync handler."""

STREAM_FIGURES: Final[Mapping[str, str]] = {
    "writer_us": "writer µs",
    "reader_us": "reader µs",
    "per_second": "per second",
}
"""The same of a channel, per unit of its case: CPU of both sides, and what they reach together."""

LOST: Final = "lost"
"""Calls whose answer never came, or frames. They are added up, since a median would hide them."""

RATIOS: Final = (
    ("ours-websockets", "probe-websockets"),
    ("ours-trio-websocket", "probe-trio-websocket"),
    ("ours-websockets", "official"),
    ("ours-trio-websocket", "official"),
    ("ours-websockets", "ours-websockets-once"),
    ("ours-trio-websocket", "ours-trio-websocket-once"),
)
"""Which contenders are divided by which."""

OFFICIAL: Final = "official"
"""The official SDK at its best: each figure from that of its ways to call whose median is best."""

_ALL_FIGURES: Final = {**FIGURES, **STREAM_FIGURES}
_MORE_IS_BETTER: Final = ("calls_per_second", "per_second")

Round: TypeAlias = Mapping[str, float]
Spread: TypeAlias = dict[str, float]


def spread_of(values: Sequence[float]) -> Spread:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summary_of(rounds: Sequence[Round]) -> dict[str, Any]:
    """One contender's rounds."""
    figures = {figure: spread_of([each[figure] for each in rounds]) for figure in _ALL_FIGURES if figure in rounds[0]}
    return {**figures, LOST: sum(each[LOST] for each in rounds)}


def ratio_of(over: Sequence[Round], under: Sequence[Round]) -> dict[str, Spread]:
    """How one contender compares with another, round by round. A figure that was 0 in a round compares with nothing."""
    figures = [figure for figure in _ALL_FIGURES if all(each.get(figure, 0) > 0 for each in (*over, *under))]
    return {
        figure: spread_of([one[figure] / other[figure] for one, other in zip(over, under, strict=True)])
        for figure in figures
    }


def report_of(seen: Mapping[str, Sequence[Round]]) -> dict[str, Any]:
    """A case: what its contenders did, and how they compare."""
    known = dict(seen)
    ways = [name for name in seen if name.startswith(f"{OFFICIAL}-")]
    result: dict[str, Any] = {"contenders": {name: summary_of(rounds) for name, rounds in seen.items()}}
    if ways:
        best = {figure: _best_way(seen, ways, figure) for figure in _ALL_FIGURES if figure in seen[ways[0]][0]}
        turns = range(len(seen[ways[0]]))
        known[OFFICIAL] = [{figure: seen[way][turn][figure] for figure, way in best.items()} for turn in turns]
        result[OFFICIAL] = best
    result["ratios"] = {
        f"{over} / {under}": ratio_of(known[over], known[under])
        for over, under in RATIOS
        if over in known and under in known
    }
    return result


def _best_way(seen: Mapping[str, Sequence[Round]], ways: Sequence[str], figure: str) -> str:
    best = max if figure in _MORE_IS_BETTER else min
    return best(ways, key=lambda way: statistics.median(each[figure] for each in seen[way]))


# ---- for people -----------------------------------------------------------------------------------------------------


def show(result: Mapping[str, Any]) -> None:
    """The whole result as tables."""
    print(f"engine: {result['engine']}; {result['rounds']} rounds; median (min..max), ratios within each round")
    for name, why in result["skipped"].items():
        print(f"skipped: {name}: {why}")
    for name, case in result["cases"].items():
        _show_case(name, case)


def _show_case(name: str, case: Mapping[str, Any]) -> None:
    print(f"\n{name}: {case['words']}")
    figures = [figure for figure in _ALL_FIGURES if any(figure in each for each in case["contenders"].values())]
    print(f"{'':42}" + "".join(f"{_ALL_FIGURES[figure]:>26}" for figure in figures) + f"{LOST:>6}")
    for contender, summary in case["contenders"].items():
        cells = "".join(f"{_cell(summary[figure], int(summary[figure]['median'] < 100)):>26}" for figure in figures)
        print(f"{contender:42}{cells}{summary[LOST]:6.0f}")
    for pair, ratios in case["ratios"].items():
        cells = "".join(f"{_cell(ratios[figure], 2) if figure in ratios else '–':>26}" for figure in figures)
        print(f"{pair:42}{cells}")
    if OFFICIAL in case:
        print("official is " + ", ".join(f"{way} in {_ALL_FIGURES[figure]}" for figure, way in case[OFFICIAL].items()))


def _cell(spread: Spread, digits: int) -> str:
    return f"{spread['median']:.{digits}f} ({spread['min']:.{digits}f}..{spread['max']:.{digits}f})"
