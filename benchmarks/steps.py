"""What the processes of a benchmark say: lines of JSON. Every contender reads this, also one that has no trio."""

from __future__ import annotations

import json
import resource
import threading
from typing import Any, Final

STDIN: Final = 0
"""A byte on it asks for the next step; its end is the end."""


def say(**facts: Any) -> None:
    """One line for whoever runs the benchmark."""
    print(json.dumps(facts), flush=True)


def cpu_seconds() -> float:
    """CPU time of this process so far, in user and system mode."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say_made(began: float, cpu: float, answered: list[tuple[float, float]], calls: int) -> None:
    """What a caller tells at the end.

    It began then, with so much CPU; the answered ones of its calls started and ended then.
    """
    latencies = sorted(ended - started for started, ended in answered)
    say(
        # Up to the last answer: who waits for a lost one does nothing, and is not what is measured.
        seconds=max((ended for _, ended in answered), default=began) - began,
        cpu=cpu_seconds() - cpu,
        lost=calls - len(answered),
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
    )


def percentile(ascending: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    if not ascending:
        return 0.0
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)]


class SyncEcho:
    """The handler of the cases with sync handlers. It keeps count of the process's threads, as Python knows them."""

    def __init__(self) -> None:
        self.threads = 0
        """The most that were alive at once."""

    def __call__(self, payload: Any) -> Any:
        self.threads = max(self.threads, threading.active_count())
        return payload
