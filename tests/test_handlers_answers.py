"""What a caller is answered: results, and every way in which a handler can fail."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, InvocationError
from iii_trio._wire.messages import InvocationResult
from iii_trio.errors import ConnectionLost, Fate, PayloadError
from iii_trio.testing import EmbeddedEngine
from tests.conftest import Gate, Link, MemoryLink, frames, start


async def _failure(iii: III, handler: Callable[..., Any], data: Any = None) -> InvocationError:
    """What a caller of a handler gets that does not return."""
    ref = iii.register_function("fails", handler)
    with pytest.raises(InvocationError) as caught:
        await iii.trigger("fails", data)
    ref.unregister()
    assert caught.value.function_id == "fails"
    return caught.value


def _raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def handler() -> None:
        raise error

    return handler


# ---- results --------------------------------------------------------------------------------------------------------


@attrs.frozen
class Point:
    """A result."""

    x: int
    y: int


@pytest.mark.parametrize(
    ("result", "arrives"),
    [
        pytest.param(None, None, id="none"),
        pytest.param(0, 0, id="zero"),
        pytest.param(False, False, id="false"),
        pytest.param("", "", id="empty-text"),
        pytest.param({}, {}, id="empty-object"),
        pytest.param([None], [None], id="list-of-null"),
        pytest.param({"error": {"code": "x"}}, {"error": {"code": "x"}}, id="looks-like-an-error"),
        pytest.param(Point(1, 2), {"x": 1, "y": 2}, id="attrs"),
        pytest.param([Point(1, 2)], [{"x": 1, "y": 2}], id="attrs-inside"),
        pytest.param("€\U0001f600", "€\U0001f600", id="unicode"),
    ],
)
async def test_what_a_handler_returns_is_what_its_caller_gets(link: MemoryLink, result: Any, arrives: Any) -> None:
    """As the JSON that stands for it."""

    async def handler() -> Any:
        return result

    async with link.client() as iii:
        iii.register_function("f", handler)
        assert await iii.trigger("f") == arrives


async def test_every_invocation_is_answered_void_ones_too(link: MemoryLink) -> None:
    """The engine would remember them for ever otherwise."""

    async def handler() -> None: ...

    async with link.client() as iii:
        await iii.register_function("f", handler).wait_registered()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
        (answer,) = frames(link.engine, InvocationResult, function_id="f")
        assert answer.error is None


# ---- handlers that raise --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(ValueError("no good"), "ValueError: no good", id="exception"),
        pytest.param(KeyError("k"), "KeyError: 'k'", id="key-error"),
        pytest.param(ValueError(), "ValueError: ", id="without-text"),
        pytest.param(SystemExit(3), "SystemExit: 3", id="exit"),
        pytest.param(ExceptionGroup("several", [ValueError("a")]), "ExceptionGroup: several", id="group"),
        pytest.param(TimeoutError("theirs"), "TimeoutError: theirs", id="time-out-of-its-own"),
        pytest.param(trio.TooSlowError(), "TooSlowError: ", id="trios-too-slow"),
        pytest.param(PayloadError("bad", path="$.a"), "PayloadError: $.a: bad", id="payload-error"),
        pytest.param(ValueError("\udc80 file"), "ValueError: ? file", id="lone-surrogate"),
    ],
)
async def test_a_handler_that_raises_is_answered_invocation_failed(
    link: MemoryLink, error: BaseException, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With class and text in the message, no stack trace, and a log line that has one."""
    async with link.client() as iii:
        with caplog.at_level(logging.WARNING, "iii_trio"):
            caught = await _failure(iii, _raising(error))
        assert (caught.code, caught.fate) == ("invocation_failed", Fate.RAN)
        assert caught.message.startswith(message)
        assert caught.stacktrace is None
        assert iii.statistics().failed_handlers == 1
    assert any(record.exc_info and record.exc_info[1] is error for record in caplog.records)


async def test_a_stack_trace_is_sent_when_asked_for(link: MemoryLink) -> None:
    """send_stack_traces: as an attribute of the error, and not in its text."""
    async with link.client(send_stack_traces=True) as iii:
        caught = await _failure(iii, _raising(ValueError("no \udc80 good")))
        assert caught.stacktrace is not None
        assert "Traceback" in caught.stacktrace
        assert __file__ in caught.stacktrace
        assert "Traceback" not in str(caught)
        caught = await _failure(iii, _raising(InvocationError("mine", "no good")))
        assert caught.stacktrace is not None


class _Mute(Exception):
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


async def test_an_error_that_has_no_text_is_answered_all_the_same(link: MemoryLink) -> None:
    """Nothing that a handler raises can end the client."""
    async with link.client(send_stack_traces=True) as iii:
        caught = await _failure(iii, _raising(_Mute()))
        assert (caught.code, caught.message) == ("invocation_failed", "_Mute: (it has no text)")
        assert iii.get_connection_state() == "connected"


async def test_an_error_that_is_too_long_is_answered_all_the_same(link: MemoryLink) -> None:
    """It says why its text is not there; it failed once."""
    async with link.client(max_message_size=20_000) as iii:
        caught = await _failure(iii, _raising(ValueError("x" * 50_000)))
        assert caught.code == "invocation_failed"
        assert "20000" in caught.message
        assert iii.statistics().failed_handlers == 1


# ---- codes ----------------------------------------------------------------------------------------------------------


async def test_an_invocation_error_of_the_handler_keeps_its_code(link: MemoryLink) -> None:
    """And its message; the fate is that it ran."""
    async with link.client() as iii:
        caught = await _failure(iii, _raising(InvocationError("out_of_stock", "no more of these")))
        assert (caught.code, caught.message) == ("out_of_stock", "no more of these")
        assert (caught.fate, caught.stacktrace) == (Fate.RAN, None)


@pytest.mark.parametrize(
    "code",
    [
        "function_not_found",
        "FORBIDDEN",
        "INVALID_NAMESPACE",
        "overloaded",
        "invalid_input",
        "deserialization_error",
        "function_not_invokable",
        "url_validation_failed",
        "channel_send_failed",
        "invocation_error",
        "enqueue_error",
        "http_request_failed",
        "invocation_stopped",
        "TIMEOUT",
        "CONNECTION_LOST",
        "OFFLINE",
        "SHUTDOWN",
        "invalid_result",
    ],
)
async def test_a_reserved_code_stands_in_the_message_only(link: MemoryLink, code: str) -> None:
    """As the code it would say of this call what is not true."""
    async with link.client() as iii:
        caught = await _failure(iii, _raising(InvocationError(code, "as if")))
        assert (caught.code, caught.fate) == ("invocation_failed", Fate.RAN)
        assert code in caught.message
        assert "as if" in caught.message
        assert type(caught) is InvocationError


@pytest.mark.parametrize("code", [404, None, True, "\ud800"])
async def test_a_code_that_cannot_be_sent_stands_in_the_message_only(link: MemoryLink, code: Any) -> None:
    """The engine drops an answer whose code is no text, and the caller would wait for ever."""
    async with link.client() as iii:
        caught = await _failure(iii, _raising(InvocationError(code, "as if")))
        assert caught.code == "invocation_failed"
        assert "as if" in caught.message


async def test_a_message_that_is_no_text_is_sent_as_text(link: MemoryLink) -> None:
    """For the same reason."""
    message: Any = {"a": 1}
    async with link.client() as iii:
        caught = await _failure(iii, _raising(InvocationError("mine", message)))
        assert (caught.code, caught.message) == ("mine", "{'a': 1}")


async def test_a_handler_that_answers_cancelled_has_failed(link: MemoryLink) -> None:
    """The word is free, and it is not counted as one that the worker has cancelled."""

    async def refuse() -> None:
        raise InvocationError("cancelled", "by the customer")

    async with link.client() as iii:
        iii.register_function("refuse", refuse)
        with pytest.raises(InvocationError, match="by the customer"):
            await iii.trigger("refuse")
        await trio.testing.wait_all_tasks_blocked()
        statistics = iii.statistics()
        assert (statistics.failed_handlers, statistics.cancelled_handlers) == (1, 0)


async def test_an_error_that_came_out_of_a_call_is_not_the_handlers_own(link: MemoryLink) -> None:
    """A missing function below does not mean that this one was missing; the inner code stands in the message."""
    async with link.client() as iii:

        async def outer(data: str) -> Any:
            return await iii.trigger(data)

        iii.register_function("mine", _raising(InvocationError("out_of_stock", "none")))
        caught = await _failure(iii, outer, "nobody")
        assert (caught.code, caught.fate) == ("invocation_failed", Fate.RAN)
        assert "function_not_found" in caught.message
        caught = await _failure(iii, outer, "mine")
        assert caught.code == "invocation_failed"
        assert "out_of_stock" in caught.message


async def test_an_inner_time_out_does_not_say_that_the_outer_call_timed_out(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The handler that waited for it ran."""
    async with link.client() as iii:

        async def outer() -> Any:
            return await iii.trigger("never", timeout_ms=10)

        iii.register_function("never", Gate())
        caught = await _failure(iii, outer)
        assert (caught.code, caught.fate) == ("invocation_failed", Fate.RAN)
        assert "TIMEOUT" in caught.message


# ---- results that cannot be sent ------------------------------------------------------------------------------------


@attrs.define
class _Unfinished:
    """An instance that lacks a field."""

    value: int = attrs.field(init=False)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        pytest.param({"a": [1, math.nan]}, "$.a[1]", id="nan"),
        pytest.param(object(), "$: object", id="object"),
        pytest.param({"a": b"bytes"}, "$.a: bytes", id="bytes"),
        pytest.param({1: 2}, "key 1", id="key"),
        pytest.param("\udc80", "surrogate", id="surrogate"),
        pytest.param({"a": 2**64}, "$.a", id="integer"),
        pytest.param(_Unfinished(), "value", id="missing-field"),
    ],
)
async def test_a_result_that_cannot_be_sent_is_answered_with_its_fault(
    link: MemoryLink, result: Any, words: str
) -> None:
    """invocation_failed with the path; the engine would drop the answer and the caller wait for ever."""

    async def handler() -> Any:
        return result

    async with link.client() as iii:
        caught = await _failure(iii, handler)
        assert (caught.code, caught.fate) == ("invocation_failed", Fate.RAN)
        assert "cannot be sent" in caught.message
        assert words in caught.message
        assert iii.statistics().failed_handlers == 1


async def test_a_result_that_raises_when_it_is_looked_at_is_answered_too(link: MemoryLink) -> None:
    """Nothing that a handler returns can end the client."""

    def refuse(_: object) -> None:
        raise RuntimeError("leave me alone")

    async def handler() -> Any:
        return type("Hostile", (), {"__class__": property(refuse)})()

    async with link.client() as iii:
        caught = await _failure(iii, handler)
        assert caught.code == "invocation_failed"
        assert "RuntimeError('leave me alone')" in caught.message
        assert iii.get_connection_state() == "connected"


async def test_a_result_that_is_too_large_is_answered_with_its_size(link: MemoryLink) -> None:
    """And the connection lives on."""

    async def handler() -> str:
        return "x" * 5_000

    async with link.client(max_message_size=4_000) as iii:
        assert "4000" in (await _failure(iii, handler)).message


# ---- the others live on ---------------------------------------------------------------------------------------------


async def test_one_handler_that_crashes_leaves_99_others_answering(link: MemoryLink) -> None:
    """They are under way while it happens."""
    gate = Gate()

    async def handler(data: int) -> int:
        await gate(data)
        if data == 50:
            raise SystemExit("crash")
        return data

    async with link.client() as iii, trio.open_nursery() as nursery:
        iii.register_function("f", handler)
        calls = [start(nursery, iii.trigger, "f", number) for number in range(100)]
        await gate.wait_entered(100)
        gate.open()
        for number, call in enumerate(calls):
            if number == 50:
                with pytest.raises(InvocationError, match="SystemExit: crash"):
                    await call.wait()
            else:
                assert await call.wait() == number
        assert iii.statistics().failed_handlers == 1


async def test_handlers_call_siblings_of_the_same_worker_without_deadlock(link: MemoryLink) -> None:
    """Ten deep, a hundred at once."""
    async with link.client() as iii, trio.open_nursery() as nursery:

        async def countdown(data: int) -> int:
            return 0 if data == 0 else 1 + int(await iii.trigger("countdown", data - 1))

        iii.register_function("countdown", countdown)
        calls = [start(nursery, iii.trigger, "countdown", 10) for _ in range(100)]
        assert [await call.wait() for call in calls] == [10] * 100


async def test_a_result_whose_connection_was_lost_is_dropped(
    link: MemoryLink, engine: EmbeddedEngine, autojump_clock: MockClock
) -> None:
    """The handler runs to its end; its caller has been told; the next connection hears nothing of it."""
    gate = Gate()
    far = Link(engine)
    async with far.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await worker.register_function("gate", gate).wait_registered()
        call = start(nursery, iii.trigger, "gate", 1)
        await gate.wait_entered()
        await far.go_down()
        with pytest.raises(ConnectionLost):
            await call.wait()
        far.is_up = True
        await worker.wait_connected()
        assert gate.inside == 1
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert gate.inside == 0
        assert worker.statistics().dropped_results == 1
        assert frames(engine, InvocationResult, function_id="gate") == []
        assert await iii.trigger("gate", 2) == 2


async def test_a_result_that_finishes_offline_is_dropped(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Nobody waits for it any more."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("gate", gate).wait_registered()
        iii.trigger_nowait("gate")
        await gate.wait_entered()
        await link.go_down()
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().dropped_results == 1
        assert iii.statistics().outbox_frames == 0


# ---- cancellation ---------------------------------------------------------------------------------------------------


async def test_a_handler_is_cancelled_when_its_client_is_closed(link: MemoryLink) -> None:
    """Whatever it raises on the way out is nobody's."""
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append("stubborn")
            raise ValueError("on the way out")

    async def nested() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stubborn)
            nursery.start_soon(trio.sleep_forever)

    async with link.client() as iii:
        iii.register_function("stubborn", stubborn)
        iii.register_function("nested", nested)
        iii.trigger_nowait("stubborn")
        iii.trigger_nowait("nested")
        await trio.testing.wait_all_tasks_blocked()
    assert ended == ["stubborn", "stubborn"]
    assert iii.statistics().running_handlers == 0


async def test_an_interrupt_is_not_an_answer(link: MemoryLink) -> None:
    """Ctrl-C that hits a handler ends the program, alone or in a group of the handler's nursery."""

    async def interrupted(data: str) -> None:
        if data == "alone":
            raise KeyboardInterrupt
        raise BaseExceptionGroup("nursery", [KeyboardInterrupt(), ValueError("beside it")])

    for data in ("alone", "group"):
        with pytest.raises(BaseException) as caught:  # noqa: PT012 - it comes out of the block
            async with link.client() as iii:
                iii.register_function("f", interrupted)
                await iii.trigger("f", data)
        error: BaseException = caught.value
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, KeyboardInterrupt)
