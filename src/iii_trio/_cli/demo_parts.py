"""The three processes of `iii-trio demo`: ``python -m iii_trio._cli.demo_parts engine | worker | caller …``.

Each says what happens in lines of JSON on its standard output, and ends when its standard input does: so none of them
outlives the demo, not even one that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import attrs
import trio

from iii_trio import III, InitOptions, open_iii
from iii_trio.errors import ConnectionLost, IIIError, InvocationError
from iii_trio.testing import open_engine

WARM_UP: Final = 16
"""Calls before the ones that count, so that no import or first connection is among those."""

TEXT: Final = "x" * 180
"""What a call carries beside its number; about 200 bytes of payload together."""

_PROGRESS_SECONDS: Final = 0.1
_STDIN: Final = 0

Part: TypeAlias = Callable[[], Awaitable[None]]


def say(**facts: Any) -> None:
    """One line for the demo."""
    print(json.dumps(facts), flush=True)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted `values` lie; NaN when there is none."""
    if not values:
        return float("nan")
    return values[min(len(values) - 1, int(len(values) * share))]


# ---- the parts ------------------------------------------------------------------------------------------------------


async def engine() -> None:
    """An embedded engine on a free loopback port."""
    async with open_engine(port=0) as server:
        say(ready=server.url)
        await trio.sleep_forever()


async def worker(url: str, function_id: str) -> None:
    """A worker with one function, which gives back what it gets."""

    async def echo(payload: Any) -> Any:
        return payload

    async with open_iii(url, InitOptions(worker_name=f"{function_id} worker")) as iii:
        await iii.register_function(function_id, echo).wait_registered()
        say(ready=function_id)
        await trio.sleep_forever()


async def caller(url: str, function_id: str, calls: int, concurrency: int) -> None:
    """A worker that calls the other one's function, so many times at once, and counts."""
    async with open_iii(url, InitOptions(worker_name=f"{function_id} caller")) as iii:
        warm = _Tally(iii, function_id, WARM_UP)
        await warm.run(1)
        if warm.lost:
            raise warm.failure or RuntimeError("the worker gave a wrong answer")
        say(ready=function_id)
        tally = _Tally(iii, function_id, calls)
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tally.report)
            await tally.run(concurrency)
            nursery.cancel_scope.cancel()
        say(**tally.summary(trio.current_time() - started))


@attrs.define
class _Tally:
    """Calls that are made, and what became of them."""

    iii: III
    function_id: str
    calls: int
    made: int = 0
    answered: int = 0
    lost: int = 0
    failure: InvocationError | None = None
    milliseconds: list[float] = attrs.field(factory=list)

    async def run(self, concurrency: int) -> None:
        """Make all calls, so many at once; when the link is lost, make no more."""
        async with trio.open_nursery() as nursery:
            for _ in range(min(concurrency, self.calls)):
                nursery.start_soon(self._call_on)

    async def _call_on(self) -> None:
        while self.made < self.calls and not isinstance(self.failure, ConnectionLost):
            number, self.made = self.made, self.made + 1
            sent = {"number": number, "text": TEXT}
            began = trio.current_time()
            try:
                answer = await self.iii.trigger(self.function_id, sent)
            except InvocationError as error:
                self.lost += 1
                self.failure = self.failure or error
                continue
            self.milliseconds.append((trio.current_time() - began) * 1000)
            if answer == sent:
                self.answered += 1
            else:
                self.lost += 1

    async def report(self) -> None:
        """Say from time to time how far it is."""
        while True:
            await trio.sleep(_PROGRESS_SECONDS)
            say(progress=self.answered + self.lost)

    def summary(self, seconds: float) -> dict[str, Any]:
        """What the demo prints in the end."""
        took = sorted(self.milliseconds)
        return {
            "calls": self.answered + self.lost,
            "seconds": seconds,
            "p50": percentile(took, 0.50),
            "p99": percentile(took, 0.99),
            "lost": self.lost,
            "failure": None if self.failure is None else str(self.failure),
        }


# ---- their lives ----------------------------------------------------------------------------------------------------


async def _run_until_input_ends(part: Part) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_at_end_of_input, nursery.cancel_scope)
        await part()
        nursery.cancel_scope.cancel()


async def _cancel_at_end_of_input(scope: trio.CancelScope) -> None:
    # os.read and not sys.stdin: a thread that is left behind must not hold a lock that the interpreter wants at its end.
    while await trio.to_thread.run_sync(os.read, _STDIN, 1024, abandon_on_cancel=True):
        pass
    scope.cancel()


def _part(arguments: list[str]) -> Part:
    match arguments:
        case ["engine"]:
            return engine
        case ["worker", url, function_id]:
            return lambda: worker(url, function_id)
        case ["caller", url, function_id, calls, concurrency]:
            return lambda: caller(url, function_id, int(calls), int(concurrency))
    raise ValueError(f"no part of the demo: {arguments}")


def main(arguments: list[str]) -> int:
    """Be one part; the exit code."""
    # Ctrl-C reaches every process of the terminal. Here it is the demo that hears it and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        trio.run(_run_until_input_ends, _part(arguments))
    except BaseException as error:  # whatever it was, the demo shows it as one line
        say(error=_words(error))
        return 1
    return 0


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, (IIIError, OSError)) else repr(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
