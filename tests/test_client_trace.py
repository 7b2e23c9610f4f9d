"""The trace hook: what happens is told once, with the documented facts, and no fault of the hook does harm."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import InvocationError
from iii_trio._link.choice import find_transport
from iii_trio._session.trace import EVENTS
from iii_trio.errors import InvocationTimeout, RegistrationRejectedError
from tests.conftest import Gate, Link, MemoryLink, start
from tests.test_docs import code, rows


class Seen:
    """A hook that keeps everything, and holds it against the list."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        assert tuple(facts) == EVENTS[event]
        self.events.append((event, dict(facts)))

    def names(self) -> list[str]:
        return [event for event, _ in self.events if not event.startswith("frame.")]

    def facts(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.events if name == event]


async def _echo(data: Any) -> Any:
    return data


def test_the_events_are_documented() -> None:
    """Every one, with its facts, and no other."""
    documented = {code(row[0])[0]: tuple(code(row[1])) for row in rows("watching.md", "The trace hook")}
    assert documented == dict(EVENTS)


async def test_a_client_is_told_from_the_first_attempt_to_the_end(link: MemoryLink, autojump_clock: MockClock) -> None:
    """In the order in which it happens, over a lost link and failed attempts."""
    seen = Seen()
    async with link.client(trace=seen) as iii:
        await link.go_down()
        await trio.sleep(1.5)
        link.is_up = True
        await iii.wait_connected()
    assert seen.names() == [
        *("connect.started", "connection.opened", "connection.ready", "connection.lost"),
        *("connect.started", "connect.failed"),
        *("connect.started", "connection.opened", "connection.ready", "connection.lost"),
    ]
    url = link.engine.url
    assert seen.facts("connect.started")[0] == {"url": f"{url}/"}
    assert seen.facts("connect.failed") == [
        {"url": f"{url}/", "reason": "open_stream failed: OSError('the link is down')"}
    ]
    assert seen.facts("connection.opened")[0] == {"transport": find_transport("auto").NAME}
    assert seen.facts("connection.ready")[1] == {"worker_id": iii.statistics().worker_id}
    reasons = [facts["reason"] for facts in seen.facts("connection.lost")]
    assert reasons == ["the connection broke (the link was cut)", "the connection was closed"]


async def test_calls_and_handlers_are_told(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Each has one beginning and one end that says how; the ids tie them together."""
    seen = Seen()

    async def fail() -> None:
        raise ValueError("no")

    async def unsendable() -> object:
        return object()

    async with link.client(trace=seen) as iii:
        gate = Gate()
        handlers: dict[str, Callable[..., Any]] = {"echo": _echo, "fail": fail, "unsendable": unsendable, "gate": gate}
        for name, handler in handlers.items():
            await iii.register_function(name, handler).wait_registered()
        await iii.trigger("echo", 1)
        for name in ("fail", "unsendable", "nobody"):
            with pytest.raises(InvocationError):
                await iii.trigger(name)
        with pytest.raises(InvocationTimeout):
            await iii.trigger("gate", timeout_ms=1_000)
        with trio.move_on_after(1):
            await iii.trigger("gate")
        iii.trigger_nowait("echo", "void")
        await trio.testing.wait_all_tasks_blocked()
    settled = {facts["id"]: facts for facts in seen.facts("call.settled")}
    assert [facts["id"] for facts in seen.facts("call.started")] == [*settled]
    assert [(facts["function_id"], facts["outcome"], facts["fate"]) for facts in settled.values()] == [
        ("echo", "answered", None),
        ("fail", "invocation_failed", "RAN"),
        ("unsendable", "invocation_failed", "RAN"),
        ("nobody", "function_not_found", "NOT_RUN"),
        ("gate", "TIMEOUT", "MAY_HAVE_RUN"),
        ("gate", "cancelled", None),
    ]
    begun = Counter(facts["id"] for facts in seen.facts("handler.started"))
    ended = Counter(facts["id"] for facts in [*seen.facts("handler.finished"), *seen.facts("handler.failed")])
    assert begun == ended
    assert {*begun.values()} == {1}
    assert {*settled} - {*begun} == {key for key, facts in settled.items() if facts["function_id"] == "nobody"}
    assert [facts["function_id"] for facts in seen.facts("handler.finished")] == ["echo", "echo"]
    assert sorted((facts["function_id"], facts["code"]) for facts in seen.facts("handler.failed")) == [
        ("fail", "invocation_failed"),
        ("gate", "TIMEOUT"),
        ("gate", "TIMEOUT"),
        ("unsendable", "invocation_failed"),
    ]


async def test_sync_handlers_are_told(link: MemoryLink) -> None:
    """From the thread that they got to what came of them."""
    seen = Seen()
    async with link.client(trace=seen) as iii:
        await iii.register_function("sync", lambda: 1).wait_registered()
        await iii.trigger("sync")
    assert [name for name in seen.names() if name.startswith("handler.")] == ["handler.started", "handler.finished"]


async def test_a_handler_that_never_ran_is_not_told(link: MemoryLink) -> None:
    """One that is cancelled while it waits for its turn has neither beginning nor end."""
    seen, gate = Seen(), Gate()
    async with link.client(trace=seen) as iii:
        await iii.register_function("gate", gate, concurrency=1).wait_registered()
        for _ in range(3):
            iii.trigger_nowait("gate")
        await trio.testing.wait_all_tasks_blocked()
    assert len(seen.facts("handler.started")) == len(seen.facts("handler.failed")) == 1


async def test_frames_are_told_in_the_batches_in_which_they_go(link: MemoryLink) -> None:
    """How many, and how many bytes: what was said in one go is one event."""
    seen = Seen()
    async with link.client(trace=seen) as iii:
        await trio.testing.wait_all_tasks_blocked()
        seen.events.clear()
        for _ in range(50):
            iii.trigger_nowait("nobody", "x" * 100)
        await trio.testing.wait_all_tasks_blocked()
        (sent,) = seen.facts("frame.sent")
        assert sent["frames"] == 50
        assert 50 * 100 < sent["bytes"] < 50 * 300
        await iii.register_function("echo", _echo).wait_registered()
        seen.events.clear()
        link.say(type="functionregistered", id="x")
        await trio.testing.wait_all_tasks_blocked()
        assert seen.events == [("frame.received", {"frames": 1})]


async def test_refused_functions_are_told(link: MemoryLink) -> None:
    """With the engine's code."""
    seen = Seen()
    async with Link(link.engine).client() as first, link.client(trace=seen) as second:
        await first.register_function("echo", _echo).wait_registered()
        with pytest.raises(RegistrationRejectedError) as caught:
            await second.register_function("echo", _echo).wait_registered()
        assert seen.facts("registration.refused") == [{"function_id": "echo", "code": caught.value.code}]


async def test_a_hook_that_fails_harms_nothing(link: MemoryLink, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, with the event at which it was; calls, handlers and the end go on."""

    def trace(event: str, facts: Mapping[str, Any]) -> None:
        raise RuntimeError(f"no {event}")

    async with link.client(trace=trace) as iii:
        await iii.register_function("echo", _echo).wait_registered()
        assert await iii.trigger("echo", 1) == 1
    told = {record.getMessage().removeprefix("the trace hook failed at ") for record in caplog.records}
    assert {"connect.started", "frame.sent", "call.settled", "handler.finished", "connection.lost"} <= told <= {*EVENTS}
    assert all(record.levelno == logging.WARNING and record.exc_info for record in caplog.records)


async def test_payloads_and_secrets_are_not_told(link: MemoryLink) -> None:
    """What is sent, what comes back, and what logs the worker in."""
    seen = Seen()
    options: dict[str, Any] = {"token": "s3cret-token", "headers": {"X-Key": "s3cret-key"}}

    async def fail(data: str) -> None:
        raise ValueError(data)

    async with link.client(trace=seen, **options) as iii, trio.open_nursery() as nursery:
        await iii.register_function("echo", _echo).wait_registered()
        await iii.register_function("fail", fail).wait_registered()
        await iii.trigger("echo", "s3cret-payload", metadata={"a": "s3cret-metadata"})
        await start(nursery, iii.trigger, "fail", "s3cret-error").done.wait()
    assert "s3cret" not in repr(seen.events)
