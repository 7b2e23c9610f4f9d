"""What a call may cost, counted.

How fast the client is no test can tell on a machine that others use too; docs/benchmarks.md has the figures, and they gate
nothing. But what makes it fast can be counted: how often a message is encoded, a task is scheduled, bytes are handed over,
randomness is asked for. Nothing here reads a clock. Where nothing else shows it, a spy counts, and passes everything on.
"""

from __future__ import annotations

import gc
import json
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

import orjson
import pytest
import trio
import trio.testing
from websockets.client import ClientProtocol

from iii_trio import III, InitOptions, open_iii
from iii_trio._session.healing import DELAY
from iii_trio._session.ids import InvocationIds
from iii_trio._wire import check, codec
from iii_trio._wire.messages import InvocationResult, InvokeFunction
from tests.conftest import Gate, MemoryLink, frames, start

N: Final = 100


class Spy:
    """Passes calls on, and keeps what each got and gave."""

    def __init__(self, inner: Callable[..., Any]) -> None:
        self._inner = inner
        self.calls: list[tuple[tuple[Any, ...], Any]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._inner(*args, **kwargs)
        self.calls.append((args, result))
        return result


class Steps(trio.abc.Instrument):
    """Counts how often trio runs each task, and which begin."""

    def __init__(self) -> None:
        self.of: Counter[trio.lowlevel.Task] = Counter()
        self.begun: list[trio.lowlevel.Task] = []

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.begun.append(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task] += 1


@contextmanager
def counted_steps() -> Iterator[Steps]:
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        yield steps
    finally:
        trio.lowlevel.remove_instrument(steps)


async def echo(data: Any) -> Any:
    return data


def invocation(n: int) -> str:
    """What the engine sends to have `echo` called."""
    return json.dumps(
        {"type": "invokefunction", "invocation_id": str(uuid.UUID(int=n)), "function_id": "echo", "data": n}
    )


def deadlines() -> int:
    """How many cancel scopes there are that trio has to watch the clock for."""
    gc.collect()
    return sum(isinstance(each, trio.CancelScope) and each.deadline < float("inf") for each in gc.get_objects())


# ---- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout_ms", [None, 10_000])
async def test_each_message_is_written_and_read_once(
    link: MemoryLink, mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, timeout_ms: float | None
) -> None:
    """The call and the answer; also when the call tells its deadline, and when the answer is sent a second time."""
    async with link.client() as iii:
        await iii.register_function("echo", echo).wait_registered()
        dumps, loads = Spy(orjson.dumps), Spy(orjson.loads)
        monkeypatch.setattr(codec, "orjson", SimpleNamespace(dumps=dumps, loads=loads))
        assert await iii.trigger("echo", {"n": 1}, timeout_ms=timeout_ms) == {"n": 1}
        mock_clock.jump(2 * DELAY)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().healed_results == 1
        assert [json.loads(text)["type"] for _, text in dumps.calls] == ["invokefunction", "invocationresult"]
        # Who heals is not known to the engine: it passes on the first answer, and drops the second.
        assert [tree["type"] for _, tree in loads.calls] == ["invokefunction", "invocationresult"]


@pytest.mark.parametrize(
    ("payload", "walks"),
    [
        pytest.param({"text": "x" * 10_000, "nothing": None}, 0, id="long"),
        pytest.param({"text": "x" * 10_000, "nulls": "null null"}, 0, id="long, and says null"),
        pytest.param(["x" * 500] * 200, 0, id="long, with some values"),
        pytest.param({"n": 1, "text": "short"}, 0, id="short"),
        pytest.param({"nothing": None}, 1, id="short, and a number that is none could be written so"),
    ],
)
async def test_a_plain_payload_is_not_walked(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch, payload: Any, walks: int
) -> None:
    """Python would look at each value for longer than the encoder takes; a few bytes are cheap either way."""
    async with link.client() as iii:
        await iii.register_function("length", lambda data: len(data)).wait_registered()
        find_fault = Spy(check.find_fault)
        monkeypatch.setattr(codec, "find_fault", find_fault)
        assert await iii.trigger("length", payload) == len(payload)
        assert len([args for args, _ in find_fault.calls if args == (payload,)]) == walks


# ---- tasks and deadlines --------------------------------------------------------------------------------------------


async def test_a_caller_is_run_once_for_its_answer(link: MemoryLink) -> None:
    """It sleeps from the moment its call is queued, and what wakes it is the answer."""
    async with link.client() as iii:
        await iii.register_function("echo", echo).wait_registered()
        with counted_steps() as steps:
            for n in range(N):
                assert await iii.trigger("echo", n) == n
        assert steps.of[trio.lowlevel.current_task()] == N


async def test_an_invocation_is_one_task_and_one_step(link: MemoryLink) -> None:
    """A call is no task at all, and a handler that waits for nothing has its answer queued when it first lets go."""
    async with link.client() as iii:
        await iii.register_function("echo", echo).wait_registered()
        with counted_steps() as steps:
            for n in range(N):
                assert await iii.trigger("echo", n) == n
            await trio.testing.wait_all_tasks_blocked()
        assert len(steps.begun) == N
        assert {steps.of[task] for task in steps.begun} == {1}


@pytest.mark.parametrize("timeout_ms", [None, 10_000])
async def test_a_call_in_flight_has_no_deadline_of_its_own(
    link: MemoryLink, autojump_clock: trio.testing.MockClock, timeout_ms: float | None
) -> None:
    """One timer serves all calls, and one scope all handlers whose callers stop waiting at about the same time."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await iii.register_function("gate", gate).wait_registered()
        first = start(nursery, iii.trigger, "gate", 0, timeout_ms=timeout_ms)
        await gate.wait_entered()
        with_one = deadlines()
        rest = [start(nursery, iii.trigger, "gate", n, timeout_ms=timeout_ms) for n in range(1, N)]
        await gate.wait_entered(N)
        assert iii.statistics().calls_in_flight == N
        assert deadlines() == with_one
        gate.open()
        assert [await outcome.wait() for outcome in (first, *rest)] == [*range(N)]


# ---- batches --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["websockets", "trio-websocket"])
async def ready(request: pytest.FixtureRequest, link: MemoryLink) -> AsyncIterator[III]:
    """A client over each transport, which has nothing to do."""
    async with open_iii(
        link.engine.url,
        InitOptions(drain_timeout=0, heal_early_results=False),
        transport=request.param,
        open_stream=link.open_stream,
    ) as iii:
        await iii.register_function("echo", echo).wait_registered()
        await trio.testing.wait_all_tasks_blocked()
        yield iii


async def test_calls_that_are_made_in_one_go_are_sent_in_one_go(ready: III, link: MemoryLink) -> None:
    """The writer is woken once, and takes all that there is."""
    sends = link.wire.sends
    for n in range(N):
        ready.trigger_nowait("nobody", n)
    await trio.testing.wait_all_tasks_blocked()
    assert [call.data for call in frames(link.engine, InvokeFunction, function_id="nobody")] == [*range(N)]
    assert link.wire.sends - sends == 1


async def test_answers_to_what_came_in_one_go_are_sent_in_few(ready: III, link: MemoryLink) -> None:
    """In one where messages come in batches, as over websockets; trio-websocket hands each over by itself."""
    sends = link.wire.sends
    link.wire.say(*(invocation(n) for n in range(N)))
    await trio.testing.wait_all_tasks_blocked()
    answers = frames(link.engine, InvocationResult, function_id="echo")
    assert sorted(answer.result for answer in answers) == [*range(N)]
    limit = 1 if ready.statistics().transport == "websockets" else N // 10
    assert link.wire.sends - sends <= limit


@pytest.mark.parametrize("ready", ["websockets"], indirect=True)
async def test_a_batch_asks_for_randomness_once(ready: III, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame has a mask of its own, but to ask the system is what costs."""
    urandom = Spy(os.urandom)
    monkeypatch.setattr(os, "urandom", urandom)
    for n in range(N):
        ready.trigger_nowait("nobody", n)
    await trio.testing.wait_all_tasks_blocked()
    assert [len(mask) for _, mask in urandom.calls] == [4 * N]


@pytest.mark.parametrize("ready", ["websockets"], indirect=True)
async def test_small_frames_pass_by_the_codec(ready: III, link: MemoryLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both directions; large ones and control frames do not (docs/decisions.md, "Small frames pass by the codec")."""
    passed = []
    for name in ("receive_data", "send_text", "send_binary", "send_continuation"):
        spy = Spy(getattr(ClientProtocol, name))
        monkeypatch.setattr(ClientProtocol, name, lambda *args, spy=spy, **kwargs: spy(*args, **kwargs))
        passed.append(spy)
    for size in (0, 125, 126, 60_000):
        assert await ready.trigger("echo", "x" * size) == "x" * size
    link.wire.say(*(invocation(n) for n in range(N)))
    await trio.testing.wait_all_tasks_blocked()
    assert [len(spy.calls) for spy in passed] == [0, 0, 0, 0]
    await ready.trigger("echo", "x" * 70_000)
    assert [bool(spy.calls) for spy in passed] == [True, True, False, False]


def test_ids_of_calls_are_made_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system is asked for randomness less than once for a hundred calls, whoever makes them."""
    urandom = Spy(os.urandom)
    monkeypatch.setattr(os, "urandom", urandom)
    ids = InvocationIds()
    assert len({ids.fresh() for _ in range(100 * N)}) == 100 * N
    assert 0 < len(urandom.calls) <= N
