"""The fault switches of the engine that users put into their tests."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import open_iii
from iii_trio.errors import InvocationTimeout, RegistrationRejectedError
from iii_trio.testing import EmbeddedEngine, frames, open_engine
from tests.replay import Socket

LIMIT = 10.0
PING = '{"type":"ping"}'


@pytest.fixture(params=[pytest.param({}, id="memory"), pytest.param({"port": 0}, id="loopback")])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where an engine is reached."""
    place: dict[str, Any] = request.param
    return place


async def connect(engine: EmbeddedEngine, nursery: trio.Nursery) -> tuple[Socket, str]:
    """A client whose greeting has come, and its id."""
    client = Socket(await engine.open_stream())
    await client.upgrade("/", {})
    nursery.start_soon(client.pump)
    greeting = await client.get(LIMIT)
    assert greeting is not None
    return client, json.loads(greeting[1])["worker_id"]


def client_of(engine: EmbeddedEngine, **options: Any) -> Any:
    return open_iii(engine.url, open_stream=engine.open_stream, **options)


# Async handlers: a sync one runs in a thread, and the clock jumps while it does.


async def one() -> int:
    return 1


async def echo(value: int) -> int:
    return value


async def test_early_answers_are_lost_until_they_are_kept(
    iii_engine: EmbeddedEngine, autojump_clock: MockClock
) -> None:
    """The client does not know: a raw worker sees which answer was ignored, and that a second one helps."""
    async with trio.open_nursery() as nursery:
        worker, _ = await connect(iii_engine, nursery)
        register = {"type": "invokefunction", "function_id": "engine::workers::register", "data": {"name": "w"}}
        await worker.send(json.dumps(register), None)
        await worker.send('{"type":"registerfunction","id":"f"}', None)
        call = {"type": "invokefunction", "function_id": "f", "data": None}
        result = {"type": "invocationresult", "function_id": "f", "result": 1}

        async def answers(call_id: str, *, after: float) -> bool:
            await worker.send(json.dumps({**call, "invocation_id": call_id}), None)
            assert await worker.get(LIMIT) is not None
            await trio.sleep(after)
            await worker.send(json.dumps({**result, "invocation_id": call_id}), None)
            return await worker.get(1) is not None

        ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(4)]
        iii_engine.lose_early_answers(1.0, 0.5)
        assert not await answers(ids[0], after=0.4)
        assert await answers(ids[1], after=0.5)
        assert iii_engine.early_answers_lost == 1
        await worker.send(json.dumps({**result, "invocation_id": ids[0]}), None)
        assert await worker.get(LIMIT) is not None
        iii_engine.keep_early_answers()
        assert await answers(ids[2], after=0)
        assert iii_engine.early_answers_lost == 1
        await worker.finish()


@pytest.mark.parametrize(("share", "stored_after"), [(-0.1, 0.1), (1.1, 0.1), (0.5, -1.0), (float("nan"), 0.1)])
async def test_a_share_is_a_share(iii_engine: EmbeddedEngine, share: float, stored_after: float) -> None:
    """And a time is not negative."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        iii_engine.lose_early_answers(share, stored_after)


async def test_a_function_can_be_refused_and_accepted(iii_engine: EmbeddedEngine, autojump_clock: MockClock) -> None:
    """Though it is nobody's."""
    async with client_of(iii_engine) as iii:
        iii_engine.refuse_function("f")
        refused = iii.register_function("f", one)
        with pytest.raises(RegistrationRejectedError):
            await refused.wait_registered()
        iii_engine.accept_function("f")
        await iii.register_function("g", one).wait_registered()


async def test_calls_can_be_left_without_an_answer(iii_engine: EmbeddedEngine, autojump_clock: MockClock) -> None:
    """The engine got them, and their handler did not run."""
    ran = []

    async def run() -> None:
        ran.append(1)

    async with client_of(iii_engine) as iii:
        await iii.register_function("f", run).wait_registered()
        iii_engine.never_answers("f")
        with pytest.raises(InvocationTimeout):
            await iii.trigger("f", timeout_ms=60_000)
        assert [each.frame.function_id for each in iii_engine.received if isinstance(each.frame, frames.InvokeFunction)]
        assert not ran
        iii_engine.answers_again("f")
        await iii.trigger("f")
        assert ran == [1]


async def test_a_second_answer_does_no_harm(iii_engine: EmbeddedEngine, autojump_clock: MockClock) -> None:
    """The client believes the first one, and goes on."""
    async with client_of(iii_engine) as iii:
        await iii.register_function("f", echo).wait_registered()
        iii_engine.answer_twice("f")
        assert [await iii.trigger("f", number) for number in range(3)] == [0, 1, 2]
        iii_engine.answer_once("f")
        assert await iii.trigger("f", 3) == 3


async def test_answers_come_twice_until_they_come_once(place: dict[str, Any]) -> None:
    """As a raw client sees it; an error of the engine's own counts as well."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, trio.open_nursery() as nursery:
            client, _ = await connect(engine, nursery)
            call = json.dumps(
                {
                    "type": "invokefunction",
                    "function_id": "f",
                    "data": None,
                    "invocation_id": "00000000-0000-4000-8000-000000000001",
                }
            )
            kinds = []
            for switch in (engine.answer_twice, engine.answer_once):
                switch("f")
                await client.send(call, None)
                await client.send(PING, None)
                while True:
                    item = await client.get(LIMIT)
                    assert item is not None
                    kinds.append(json.loads(item[1])["type"])
                    if kinds[-1] == "pong":
                        break
            assert kinds == ["invocationresult", "invocationresult", "pong", "invocationresult", "pong"]
            await client.finish()


async def test_a_server_that_stops_reading_loses_nothing(place: dict[str, Any]) -> None:
    """What piled up is taken in afterwards; a client that connects meanwhile waits for its answer."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, trio.open_nursery() as nursery:
            client, _ = await connect(engine, nursery)
            engine.stall_reading()
            engine.stall_reading()
            await client.send(PING, None)
            newcomer = Socket(await engine.open_stream())
            nursery.start_soon(newcomer.upgrade, "/", {})
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert engine.received == ()
            assert len(engine.connections) == 1
            engine.resume_reading()
            engine.resume_reading()
            await engine.wait_received(1, frames.Ping)
            assert await client.get(LIMIT) == ("text", '{"type":"pong"}')
            await client.finish()
            await newcomer.stream.aclose()


async def test_a_server_that_stops_reading_pushes_back(iii_engine: EmbeddedEngine, autojump_clock: MockClock) -> None:
    """A writer stands still before long, and goes on when reading does."""
    async with trio.open_nursery() as nursery:
        client, _ = await connect(iii_engine, nursery)
        iii_engine.stall_reading()
        sent = 0
        text = json.dumps({"type": "registerservice", "id": "x" * 100_000})

        async def write() -> None:
            nonlocal sent
            for _ in range(100):
                await client.send(text, None)
                sent += 1

        nursery.start_soon(write)
        await trio.sleep(60)
        assert 0 < sent < 50
        iii_engine.resume_reading()
        await iii_engine.wait_received(100, frames.RegisterService)
        await client.finish()


async def test_a_link_can_be_dropped_while_reading_stalls(place: dict[str, Any]) -> None:
    """A stalled reader does not keep it."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, trio.open_nursery() as nursery:
            client, _ = await connect(engine, nursery)
            engine.stall_reading()
            await client.send(PING, None)
            engine.drop_links()
            assert await client.get(LIMIT) == ("close", (1006, ""))
            engine.resume_reading()
            await client.finish()


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        pytest.param((), (1005, ""), id="empty-as-the-real-one"),
        pytest.param((1000,), (1000, ""), id="normal"),
        pytest.param((1001, "going away"), (1001, "going away"), id="with-a-reason"),
        pytest.param((1011, "é" * 61), (1011, "é" * 61), id="longest"),
        pytest.param((4999,), (4999, ""), id="private"),
    ],
)
async def test_links_can_be_closed_with_any_code(
    place: dict[str, Any], arguments: tuple[Any, ...], seen: tuple[int, str]
) -> None:
    """A client that answers is let go at once."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, trio.open_nursery() as nursery:
            client, _ = await connect(engine, nursery)
            engine.close_links(*arguments)
            assert await client.get(LIMIT) == ("close", seen)
            await client.ended.wait()
            assert engine.connections == ()
            await client.finish()


@pytest.mark.parametrize("code", [0, 999, 1005, 1006, 1015, 65535])
async def test_links_can_be_closed_with_a_code_that_none_may_send(
    iii_engine: EmbeddedEngine, autojump_clock: MockClock, code: int
) -> None:
    """The bytes are as asked, and a client that says nothing is dropped after a second."""
    stream = await iii_engine.open_stream()
    client = Socket(stream)
    await client.upgrade("/", {})
    received = bytearray()
    iii_engine.close_links(code, "why")
    started = trio.current_time()
    while data := await stream.receive_some():
        received += data
    assert received.endswith(b"\x88\x05" + struct.pack("!H", code) + b"why")
    assert trio.current_time() - started == pytest.approx(1)
    assert iii_engine.connections == ()
    await stream.aclose()


@pytest.mark.parametrize("arguments", [(-1,), (65536,), (1000, "x" * 124)])
async def test_a_close_has_its_limits(iii_engine: EmbeddedEngine, arguments: tuple[Any, ...]) -> None:
    """Of the protocol."""
    with pytest.raises(ValueError, match=r"at most|bits"):
        iii_engine.close_links(*arguments)


async def test_a_restart_gives_new_ids_and_knows_no_token(place: dict[str, Any]) -> None:
    """The switches stay, and so does what was received."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, trio.open_nursery() as nursery:
            url = engine.url
            client, old = await connect(engine, nursery)
            half_open = await engine.open_stream()
            await client.send(PING, None)
            await engine.wait_received(1, frames.Ping)
            assert await client.get(LIMIT) == ("text", '{"type":"pong"}')
            engine.never_answers("f")
            await engine.restart()
            assert engine.url == url
            assert await client.get(LIMIT) == ("close", (1006, ""))
            assert await half_open.receive_some() == b""
            await half_open.aclose()
            again, new = await connect(engine, nursery)
            assert engine.connections == (new,) != (old,)
            assert len(engine.received) == 1
            await client.finish()
            await again.finish()


async def test_a_client_comes_back_after_a_restart(iii_engine: EmbeddedEngine, autojump_clock: MockClock) -> None:
    """With its functions; while the engine is down, it is refused."""
    async with client_of(iii_engine) as iii:
        await iii.register_function("f", one).wait_registered()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: iii_engine.restart(down_for=20))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ConnectionRefusedError):
                await iii_engine.open_stream()
        assert trio.current_time() - started == pytest.approx(20)
        assert await iii.trigger("f", timeout_ms=60_000) == 1
        assert iii_engine.url == "ws://embedded-engine.invalid"


async def test_a_port_refuses_while_the_engine_is_down_and_is_the_same_afterwards() -> None:
    """Nobody else gets it, not even a connection to itself; cancelling the wait brings it up."""
    with trio.fail_after(LIMIT):
        async with open_engine(port=0) as engine, trio.open_nursery() as nursery:
            port = engine.port
            assert port is not None
            for _ in range(2):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as down:
                        down.start_soon(lambda: engine.restart(down_for=1_000))
                        down.start_soon(lambda: engine.restart(down_for=1_000))
                        await trio.testing.wait_all_tasks_blocked()
                        for _ in range(10):
                            with pytest.raises(OSError, match="all attempts to connect"):
                                await trio.open_tcp_stream("127.0.0.1", port)
                        scope.cancel()
                assert engine.port == port
                client, _ = await connect(engine, nursery)
                await client.finish()


async def test_an_ipv6_port_comes_back_as_well() -> None:
    """As the same address."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    with trio.fail_after(LIMIT):
        async with open_engine(host="::1") as engine, trio.open_nursery() as nursery:
            await engine.restart()
            client, _ = await connect(engine, nursery)
            await client.finish()


@pytest.mark.parametrize("is_down", [False, True])
async def test_an_engine_that_ends_leaves_its_port(is_down: bool) -> None:
    """Also when it is down just then; a restart that still waits brings nothing back."""
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            async with open_engine(port=0) as engine:
                port = engine.port
                if is_down:
                    nursery.start_soon(lambda: engine.restart(down_for=1_000))
                    await trio.testing.wait_all_tasks_blocked()
                await engine.aclose()
                with pytest.raises(trio.ClosedResourceError):
                    await engine.restart()
            nursery.cancel_scope.cancel()
        async with open_engine(port=port):
            pass


async def test_links_of_channels_are_dropped_without_those_of_workers(place: dict[str, Any]) -> None:
    """Neither end gets a Close."""
    with trio.fail_after(LIMIT):
        async with open_engine(**place) as engine, open_iii(engine.url, open_stream=engine.open_stream) as iii:
            channel = await iii.create_channel()
            refs = [channel.writer_ref, channel.reader_ref]
            ends = [Socket(await engine.open_stream()) for _ in refs]
            async with trio.open_nursery() as nursery:
                for end, ref in zip(ends, refs, strict=True):
                    path = f"/ws/channels/{ref.channel_id}?key={ref.access_key}&dir={ref.direction}"
                    await end.upgrade(path, {})
                    nursery.start_soon(end.pump)
                await trio.testing.wait_all_tasks_blocked()  # the engine has gone on from its answers
                engine.drop_channels()
                assert [await end.get(LIMIT) for end in ends] == [("close", (1006, ""))] * 2
                for end in ends:
                    await end.finish()
            await iii.create_channel()
            assert iii.statistics().reconnects == 0
