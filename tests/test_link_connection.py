"""One connection at work: what is written in one go, what is read, and when silence means that it is lost."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from iii_trio import III, InitOptions, ReconnectionConfig, open_iii
from iii_trio._link.watched import MAX_UNASKED
from tests._hostile import (
    EMPTY_CLOSE,
    RESERVED_BIT,
    Engine,
    Link,
    Network,
    NeverAnswers,
    Recorder,
    StopsPonging,
    leaves_nothing,
)

URL = "ws://engine.invalid"
EXACT = ReconnectionConfig(jitter_factor=0)


@asynccontextmanager
async def client_of(*engines: Engine, **options: Any) -> AsyncIterator[tuple[III, Network]]:
    """A client of an engine in memory; leaving it leaves nothing."""
    async with trio.open_nursery() as nursery:
        network = Network(nursery, *engines)
        said: dict[str, Any] = {"reconnection_config": EXACT}
        with leaves_nothing(network):
            async with open_iii(URL, InitOptions(**(said | options)), open_stream=network.open_stream) as iii:
                await wait_all_tasks_blocked()
                yield iii, network
        nursery.cancel_scope.cancel()


def losses(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reasons of the losses that were logged."""
    return [message.split(" ended: ")[1] for message in caplog.messages if " ended: " in message]


# ---- the writer -----------------------------------------------------------------------------------------------------


async def test_what_waits_is_written_in_one_go(autojump_clock: MockClock) -> None:
    """A thousand frames are one system call."""
    engine = Engine()
    async with client_of(engine) as (iii, network):
        writes = network.streams[0].writes
        before = len(writes)
        for number in range(1000):
            iii.trigger_nowait("work", number)
        await engine.wait_for(lambda: engine.link.types().count("work") == 1000)
        assert len(writes) == before + 1


async def test_a_batch_is_bounded(autojump_clock: MockClock) -> None:
    """What is handed over counts as sent, so a large queue goes in pieces of about a quarter of a megabyte."""
    engine = Engine()
    async with client_of(engine) as (iii, network):
        before = len(network.streams[0].writes)
        for _ in range(100):
            iii.trigger_nowait("work", "x" * 20_000)
        await engine.wait_for(lambda: engine.link.types().count("work") == 100)
        sizes = [len(write) for write in network.streams[0].writes[before:]]
        assert len(sizes) == 8
        assert max(sizes) < 300_000


async def test_others_run_while_a_large_queue_is_written(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each batch, even where the socket takes everything at once and never has to be waited for."""
    taken = 0

    async def take(_: Recorder, data: bytes) -> None:
        nonlocal taken
        taken += len(data)

    async with client_of(Engine(), close_timeout=0) as (iii, _):
        monkeypatch.setattr(Recorder, "send_all", take)
        for _ in range(100):
            iii.trigger_nowait("work", "x" * 20_000)
        seen = [0]
        while taken < 2_000_000:
            await trio.lowlevel.checkpoint()
            seen.append(taken)
        assert max(later - earlier for earlier, later in itertools.pairwise(seen)) < 600_000


async def test_pings_are_answered_while_calls_are_written(autojump_clock: MockClock) -> None:
    """Pongs travel with the writer's next batch, every one of them."""
    engine = Engine()
    async with client_of(engine) as (iii, _):
        for number in range(100):
            await engine.link.send_event(Ping(payload=str(number).encode()))
            iii.trigger_nowait("work", number)
        await engine.wait_for(lambda: engine.link.pongs == 100)
        await engine.wait_for(lambda: engine.link.types().count("work") == 100)


async def test_the_reader_goes_on_when_the_writer_is_stuck(autojump_clock: MockClock) -> None:
    """A socket that takes nothing does not keep us from reading: handlers start, and pongs are collected."""
    engine = Engine()
    async with client_of(engine, close_timeout=0) as (iii, network):
        started = 0

        async def work() -> None:
            nonlocal started
            started += 1

        iii.register_function("work", work)
        await wait_all_tasks_blocked()
        network.streams[0].jammed = True
        iii.trigger_nowait("stuck")
        await wait_all_tasks_blocked()
        for number in range(500):
            await engine.link.send_event(Ping(payload=b"?"))
            await engine.link.send(
                type="invokefunction", function_id="work", data=None, invocation_id=f"00000000-{number}"
            )
        await wait_all_tasks_blocked()
        assert started == 500
        assert iii.get_connection_state() == "connected"


@pytest.mark.parametrize("stuck", [True, False], ids=["stuck in a write", "free"])
async def test_a_flood_of_pings_that_reads_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, stuck: bool
) -> None:
    """At the bound of collected pongs the connection is given up, whether the writer was stuck before or by them."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = Engine(), Engine()
    async with client_of(engine, next_engine) as (iii, network):
        network.streams[0].jammed = True
        if stuck:
            iii.trigger_nowait("stuck")
            await wait_all_tasks_blocked()
        sent = 0
        while iii.get_connection_state() == "connected":
            await engine.link.send_raw(engine.link.encode_event(Ping(payload=bytes(125))) * 100)
            await wait_all_tasks_blocked()
            sent += 125 * 100
        assert MAX_UNASKED / 2 < sent < 2 * MAX_UNASKED
        await iii.wait_connected()
        assert iii.statistics().connects == 2
        assert "does not read the answers" in losses(caplog)[0]


async def test_a_flood_of_invocations_does_not_stop_pongs(autojump_clock: MockClock) -> None:
    """Among 10,000 invocations every ping is answered, and every invocation."""
    engine = Engine()
    async with client_of(engine) as (iii, _):

        async def work() -> int:
            return 1

        iii.register_function("work", work)
        await wait_all_tasks_blocked()
        frames = len(engine.link.frames)
        for number in range(10_000):
            if number % 1000 == 0:
                await engine.link.send_event(Ping(payload=b"?"))
            await engine.link.send(type="invokefunction", function_id="work", data=None, invocation_id=f"{number}")
        await engine.wait_for(lambda: len(engine.link.frames) == frames + 10_000)
        assert engine.link.types().count("work") == 10_000
        assert engine.link.pongs == 10
        assert iii.statistics().accepted_invocations == 10_000


# ---- the reader -----------------------------------------------------------------------------------------------------


async def test_a_burst_is_read_in_order(autojump_clock: MockClock) -> None:
    """More messages at once than the library queues arrive all the same, in order."""
    engine = Engine()
    async with client_of(engine) as (iii, _):
        order: list[int] = []

        async def work(number: int) -> None:
            order.append(number)

        iii.register_function("work", work, concurrency=1)
        await wait_all_tasks_blocked()
        before = iii.statistics().accepted_invocations
        burst = b"".join(
            engine.link.encode(type="invokefunction", function_id="work", data=number, invocation_id=f"{number}")
            for number in range(200)
        )
        await engine.link.send_raw(burst)
        await wait_all_tasks_blocked()
        assert iii.statistics().accepted_invocations == before + 200
        assert sorted(order) == list(range(200))


async def test_a_message_in_fragments(autojump_clock: MockClock) -> None:
    """Continuation frames are put together, with a ping between them."""

    class Fragments(Engine):
        async def reply(self, link: Link, frame: dict[str, Any], **outcome: Any) -> None:
            head = f'{{"type":"invocationresult","invocation_id":"{frame["invocation_id"]}",'
            tail = f'"function_id":"{frame["function_id"]}","result":{{"success":true}}}}'
            await link.send_event(TextMessage(data=head, message_finished=False))
            await link.send_event(Ping(payload=b"between"))
            for character in tail[:-1]:
                await link.send_event(TextMessage(data=character, message_finished=False))
            await link.send_event(TextMessage(data=tail[-1], message_finished=True))

    engine = Fragments()
    async with client_of(engine) as (iii, _):
        assert await iii.trigger("echo") == {"success": True}
        await engine.wait_for(lambda: engine.link.pongs == 2)


async def test_binary_and_nonsense_messages_are_counted(autojump_clock: MockClock) -> None:
    """A message that is no frame is counted, and the connection goes on."""
    engine = Engine()
    async with client_of(engine) as (iii, _):
        for message in (BytesMessage(data=b"\x00\xff"), TextMessage(data="nonsense"), TextMessage(data="{}")):
            await engine.link.send_event(message)
        await wait_all_tasks_blocked()
        assert iii.statistics().undecodable_frames == 3
        assert await iii.trigger("echo", "alive") == "alive"


async def test_a_message_as_large_as_allowed(autojump_clock: MockClock) -> None:
    """The bound itself is allowed."""
    engine = Engine()
    async with client_of(engine, max_message_size=100_000) as (iii, _):
        await engine.link.send_event(TextMessage(data="x" * 100_000))
        await wait_all_tasks_blocked()
        assert iii.statistics().undecodable_frames == 1
        assert iii.get_connection_state() == "connected"


@pytest.mark.parametrize("fragments", [1, 20])
async def test_a_message_over_the_limit_ends_the_connection(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, fragments: int
) -> None:
    """The loss says whose limit it was, and the client comes back."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = Engine(), Engine()
    async with client_of(engine, next_engine, max_message_size=100_000) as (iii, network):
        for number in range(fragments):
            await engine.link.send_event(
                TextMessage(data="x" * (100_001 // fragments + 1), message_finished=number == fragments - 1)
            )
        await wait_all_tasks_blocked()
        assert losses(caplog) == ["the engine sent a message of more than 100000 bytes"]
        await iii.wait_connected()
        assert network.waits == pytest.approx([1])


@pytest.mark.parametrize(
    ("farewell", "reason"),
    [
        pytest.param(CloseConnection(code=1000), "the engine closed the connection (code 1000)", id="1000"),
        pytest.param(CloseConnection(code=1001), "the engine closed the connection (code 1001)", id="1001"),
        pytest.param(EMPTY_CLOSE, "the engine closed the connection (code 1005)", id="none"),
        pytest.param(CloseConnection(code=1008), "the engine closed the connection (code 1008)", id="1008"),
        pytest.param(
            CloseConnection(code=1011, reason="on fire"),
            "the engine closed the connection (code 1011 'on fire')",
            id="1011 and a reason",
        ),
        pytest.param(None, "the connection ended without a Close", id="no Close"),
    ],
)
async def test_the_reason_of_a_loss(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, farewell: CloseConnection | bytes | None, reason: str
) -> None:
    """It names the code and the words of the engine, and no time is lost."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = Engine(), Engine()
    async with client_of(engine, next_engine) as (iii, network):
        if farewell is None:
            await engine.link.stream.aclose()
        elif isinstance(farewell, bytes):
            await engine.link.send_raw(farewell)
        else:
            await engine.link.send_event(farewell)
        await wait_all_tasks_blocked()
        assert losses(caplog) == [reason]
        assert iii.get_connection_state() == "reconnecting"
        await iii.wait_connected()
        assert network.waits == pytest.approx([1])


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(RESERVED_BIT, id="reserved bit"),
        pytest.param(b"\x83\x00", id="unknown opcode"),
        pytest.param(b"\x81\x02\xff\xfe", id="no UTF-8"),
        pytest.param(b"\x81\x82\x00\x00\x00\x00{}", id="masked"),
        pytest.param(b"\x80\x00", id="continuation of nothing"),
        pytest.param(b"\x09\x00", id="fragmented ping"),
        pytest.param(b"\x88\x01\x03", id="half a code"),
        pytest.param(b"\x88\x02\x03\xee", id="forbidden code"),
    ],
)
async def test_an_invalid_frame_ends_the_connection(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    """Nothing but a lost link comes of it, while the writer is busy, and the client is back after the first wait."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = Engine(), Engine()
    async with client_of(engine, next_engine) as (iii, network):
        await engine.link.send_raw(frame)
        for number in range(10):
            iii.trigger_nowait("work", number)
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert len(losses(caplog)) == 1
        await iii.wait_connected()
        assert network.waits == pytest.approx([1])
        assert not caplog.records[-1].exc_info


# ---- the heartbeat --------------------------------------------------------------------------------------------------


async def test_a_blocked_loop_is_not_called_silence(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """When our own process was busy while nothing came, the reason says so, and for how long."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = StopsPonging(), Engine()
    async with client_of(engine, next_engine) as (iii, _):
        engine.silent = True
        await trio.sleep(15)
        autojump_clock.jump(25)  # the ping that was due after 20 s comes 20 s late
        await wait_all_tasks_blocked()
        assert iii.get_connection_state() == "connected"
        await trio.sleep(10)
        autojump_clock.jump(15.5)
        await wait_all_tasks_blocked()
        assert iii.get_connection_state() == "reconnecting"
        blamed = "our own event loop was blocked for 25.5 s, and nothing was received: the engine was silent for 60 s"
        assert losses(caplog) == [blamed]


async def test_a_blocked_loop_is_forgotten_with_the_next_byte(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A later silence is the engine's own; less than a second late is no block."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = StopsPonging(), Engine()
    async with client_of(engine, next_engine) as (iii, _):
        await trio.sleep(15)
        autojump_clock.jump(25)
        assert await iii.trigger("echo", 1) == 1
        engine.silent = True
        await trio.sleep(59.5)
        autojump_clock.jump(1)
        await wait_all_tasks_blocked()
        assert losses(caplog) == ["the engine was silent for 60 s"]
        assert iii.get_connection_state() == "reconnecting"


async def test_what_came_while_the_loop_was_blocked_counts_as_life(autojump_clock: MockClock) -> None:
    """However long it was: the reader looks before the link is given up."""
    for _ in range(20):  # which of the two tasks trio wakes first is chance
        engine = Engine()
        async with client_of(engine) as (iii, _):
            await trio.sleep(1)
            await engine.link.send(type="pong")
            autojump_clock.jump(1_000)
            await wait_all_tasks_blocked()
            assert iii.get_connection_state() == "connected"


async def test_silence_is_pinged_and_then_lost(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    """Pings after 20 and 40 s without a byte; at exactly 60 s the link is lost, and no goodbye is waited for."""
    caplog.set_level(logging.INFO, "iii_trio")
    engine, next_engine = StopsPonging(), Engine()
    async with client_of(engine, next_engine) as (iii, network):
        await trio.sleep(7)
        assert await iii.trigger("echo", 1) == 1
        engine.silent = True
        began, pings = trio.current_time(), engine.link.types().count("ping")
        for seconds, count in ((19.9, 0), (20.1, 1), (39.9, 1), (40.1, 2), (59.9, 2)):
            await trio.sleep_until(began + seconds)
            assert engine.link.types().count("ping") - pings == count
            assert iii.get_connection_state() == "connected"
        await trio.sleep_until(began + 60.1)
        assert iii.get_connection_state() == "reconnecting"
        assert losses(caplog) == ["the engine was silent for 60 s"]
        await iii.wait_connected()
        assert network.opened_at[1] == pytest.approx(began + 61)


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(lambda link: link.send_event(Ping(payload=b"?")), id="a WebSocket ping"),
        pytest.param(lambda link: link.send(type="ping"), id="a ping"),
        pytest.param(lambda link: link.send_event(TextMessage(data="nonsense")), id="nonsense"),
        pytest.param(lambda link: link.send_event(TextMessage(data=" ", message_finished=False)), id="a fragment"),
        pytest.param(lambda link: link.send_raw(b"\x82\x7f" if link.dribble() else b"\x00"), id="a byte of a frame"),
    ],
)
async def test_any_byte_is_a_sign_of_life(autojump_clock: MockClock, sign: Callable[[Link], Any]) -> None:
    """Whatever comes, a link on which something comes every 19 s is not pinged, and not lost."""
    engine = StopsPonging()
    async with client_of(engine, close_timeout=0) as (iii, _):
        engine.silent = True
        pings = engine.link.types().count("ping")
        for _ in range(9):
            await trio.sleep(19)
            await sign(engine.link)
        assert engine.link.types().count("ping") == pings
        assert iii.get_connection_state() == "connected"


async def test_a_busy_link_is_never_pinged(autojump_clock: MockClock) -> None:
    """Answers to calls are life enough."""
    engine = Engine()
    async with client_of(engine) as (iii, _):
        pings = engine.link.types().count("ping")
        for number in range(100):
            await iii.trigger("echo", number)
            await trio.sleep(15)
        assert engine.link.types().count("ping") == pings


async def test_an_idle_link_lives(autojump_clock: MockClock) -> None:
    """For an hour without a call it is pinged every 20 s, and stays."""
    engine = Engine()
    async with client_of(engine) as (iii, network):
        pings = engine.link.types().count("ping")
        await trio.sleep(3600)
        assert engine.link.types().count("ping") - pings == pytest.approx(180, abs=1)
        assert len(network.opened_at) == 1
        assert iii.get_connection_state() == "connected"


async def test_the_heartbeat_is_an_option(autojump_clock: MockClock) -> None:
    """Interval and time-out can be chosen."""
    engine, next_engine = StopsPonging(), Engine()
    async with client_of(engine, next_engine, heartbeat_interval=1, heartbeat_timeout=3) as (iii, network):
        await trio.sleep(0.5)
        engine.silent = True
        await trio.sleep(4.5)
        assert len(network.opened_at) == 2
        assert iii.statistics().connects == 2


async def test_a_long_replay_is_pinged(autojump_clock: MockClock) -> None:
    """With a long connect time-out the engine is asked for a sign of life in the replay too; the answer that comes in the
    end makes the client ready."""
    engine = NeverAnswers()
    async with trio.open_nursery() as nursery:
        network = Network(nursery, engine)
        opened = trio.Event()

        async def live() -> None:
            async with open_iii(URL, InitOptions(connect_timeout=50), open_stream=network.open_stream):
                opened.set()

        nursery.start_soon(live)
        await trio.sleep(45)
        assert engine.link.types() == ["engine::workers::register", "engine::workers::list", "ping", "ping", "ping"]
        for frame in engine.link.frames:
            await Engine.answer(engine, engine.link, frame)
        with trio.fail_after(1):
            await opened.wait()
