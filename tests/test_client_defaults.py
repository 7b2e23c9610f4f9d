"""The defaults and bounds that the documentation promises, by their figures and by what they do."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import InitOptions, InvocationError, ReconnectionConfig, TelemetryOptions, open_iii
from iii_trio._wire.messages import Ping
from iii_trio.errors import ConfigurationError, EngineUnavailable, WouldBlock
from tests.conftest import Gate, MemoryLink, frames

_MIB = 1024 * 1024

DEFAULTS: dict[str, Any] = {
    "worker_name": None,
    "worker_description": None,
    "namespace": None,
    "isolation": None,
    "on_conflict": "raise",
    "telemetry": None,
    "headers": None,
    "token": None,
    "ssl_context": None,
    "invocation_timeout_ms": 30_000,
    "reconnection_config": ReconnectionConfig(),
    "connect_timeout": 10.0,
    "open_timeout": 10.0,
    "is_fatal": None,
    "close_timeout": 5.0,
    "offline_grace": 120.0,
    "reattach_file": None,
    "drain_timeout": 25.0,
    "drain_on_cancel": False,
    "heartbeat_interval": 20.0,
    "heartbeat_timeout": 60.0,
    "max_outbox_frames": 10_000,
    "max_outbox_bytes": 64 * _MIB,
    "max_message_size": 64 * _MIB,
    "max_running_handlers": None,
    "max_pending_invocations": 10_000,
    "max_threads": 40,
    "heal_early_results": True,
    "send_stack_traces": False,
    "loop_watch": None,
    "trace": None,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_option_has_its_default(name: str) -> None:
    """And no other."""
    assert getattr(InitOptions(), name) == DEFAULTS[name]


def test_each_option_is_listed_here() -> None:
    """A new one needs its line."""
    assert {field.name for field in attrs.fields(InitOptions)} == {*DEFAULTS}


def test_the_reconnection_has_its_defaults() -> None:
    """1 s doubling to 30 s, by 30 % more or less, for ever; None means these."""
    assert ReconnectionConfig() == ReconnectionConfig(
        initial_delay_ms=1_000, max_delay_ms=30_000, backoff_multiplier=2.0, jitter_factor=0.3, max_retries=-1
    )
    assert attrs.asdict(TelemetryOptions()) == dict.fromkeys(attrs.asdict(TelemetryOptions()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("worker_name", " "),
        ("namespace", ""),
        ("token", ""),
        ("headers", {"a": 1}),
        ("headers", {"a b": "c"}),
        ("headers", {"a": "b\r\nc: d"}),
        ("on_conflict", "wait"),
        ("on_conflict", None),
        ("telemetry", {}),
        ("ssl_context", True),
        ("invocation_timeout_ms", -1),
        ("connect_timeout", 0),
        ("open_timeout", -0.1),
        ("is_fatal", True),
        ("close_timeout", "5"),
        ("heartbeat_interval", 0),
        ("heartbeat_timeout", True),
        ("max_outbox_frames", 0),
        ("max_outbox_bytes", 1.5),
        ("max_message_size", 0),
        ("max_running_handlers", 0),
        ("max_pending_invocations", -1),
        ("max_threads", 0),
        ("send_stack_traces", 1),
        ("loop_watch", 0),
        ("trace", 1),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    """When the options are made."""
    with pytest.raises(ConfigurationError, match=f"InitOptions.{name}"):
        InitOptions(**{name: value})


# ---- what they do ---------------------------------------------------------------------------------------------------


async def test_the_outbox_takes_10_000_frames(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And not one more."""
    async with link.client() as iii:
        await link.go_down()
        for _ in range(10_000):
            iii.trigger_nowait("f")
        with pytest.raises(WouldBlock, match="10000 frames"):
            iii.trigger_nowait("f")


async def test_the_outbox_takes_64_mib(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Whatever the number of frames."""
    async with link.client() as iii:
        await link.go_down()
        payload = "x" * (15 * _MIB)
        for _ in range(4):
            iii.trigger_nowait("f", payload)
        with pytest.raises(WouldBlock):
            iii.trigger_nowait("f", payload)
        iii.trigger_nowait("f")


@pytest.mark.slow
async def test_10_000_invocations_may_wait(link: MemoryLink) -> None:
    """The next one is refused overloaded."""
    gate = Gate()
    async with link.client() as iii:
        await iii.register_function("f", gate, concurrency=1).wait_registered()
        for number in range(10_001):
            iii.trigger_nowait("f")
            if number % 1_000 == 0:
                await trio.testing.wait_all_tasks_blocked()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().pending_invocations == 10_000
        with pytest.raises(InvocationError, match="overloaded"):
            await iii.trigger("f")
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().pending_invocations == 0


async def test_the_first_connection_is_tried_for_10_seconds(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Then EngineUnavailable names the URL and the last cause."""
    link.is_up = False
    began = trio.current_time()
    with pytest.raises(EngineUnavailable, match="the link is down") as caught:
        async with link.client():
            raise AssertionError
    assert link.engine.url in str(caught.value)
    # It gives up as soon as it knows that the next attempt would come too late.
    assert 0 < trio.current_time() - began <= 10


async def test_one_attempt_takes_10_seconds(autojump_clock: MockClock) -> None:
    """A peer that says nothing is given up then."""

    async def never() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    with pytest.raises(EngineUnavailable, match="within 10 s"):
        async with open_iii("ws://engine.invalid", InitOptions(open_timeout=0), open_stream=never):
            raise AssertionError
    assert trio.current_time() - began == pytest.approx(10)


async def test_silence_is_pinged_after_20_seconds(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And again every 20 seconds of it."""
    async with link.client():
        await trio.testing.wait_all_tasks_blocked()
        before = len(frames(link.engine, Ping))
        await trio.sleep(19.9)
        assert len(frames(link.engine, Ping)) == before
        await trio.sleep(0.2)
        assert len(frames(link.engine, Ping)) == before + 1


async def test_a_link_is_lost_after_60_seconds_of_silence(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Counted from the last byte."""
    async with link.client() as iii:
        link.wire.stall()
        link.is_up = False
        await trio.sleep(59.9)
        assert iii.get_connection_state() == "connected"
        # The goodbye to an engine that takes nothing may take as long as any.
        await trio.sleep(0.2 + 5)
        assert iii.get_connection_state() == "reconnecting"


async def test_leaving_takes_at_most_5_seconds(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Also when the engine takes nothing any more."""
    async with link.client() as iii:
        link.wire.stall()
        iii.trigger_nowait("f")
        began = trio.current_time()
    assert trio.current_time() - began == pytest.approx(5)


async def test_stack_traces_stay_at_home(link: MemoryLink) -> None:
    """Unless somebody asks for them."""

    async def fail() -> None:
        raise ValueError

    async with link.client() as iii:
        iii.register_function("f", fail)
        with pytest.raises(InvocationError) as caught:
            await iii.trigger("f")
        assert caught.value.stacktrace is None
