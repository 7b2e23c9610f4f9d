"""The proxy that breaks what passes through it. Its sockets are real, so every test has a limit of real seconds."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio
import trio.testing

from iii_trio import InitOptions, ReconnectionConfig, open_iii
from iii_trio.errors import ConnectionLost
from iii_trio.testing import FaultProxy, ProxyCounters, frames, open_engine, open_fault_proxy

LIMIT = 10.0
MIB = 1024 * 1024
RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Target:
    """A server of which a test holds every connection."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.SocketStream](100)
        self.port = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        await self._send.send(stream)
        await trio.sleep_forever()

    async def next(self) -> trio.SocketStream:
        return await self._receive.receive()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    """Where the proxy leads."""
    target = Target()
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            await nursery.start(target.run)
            yield target
            nursery.cancel_scope.cancel()


@pytest.fixture
async def proxy(target: Target) -> AsyncIterator[FaultProxy]:
    """In front of the target."""
    async with open_fault_proxy("127.0.0.1", target.port) as proxy:
        yield proxy


async def connect(proxy: FaultProxy, target: Target) -> tuple[trio.SocketStream, trio.SocketStream]:
    """Both ends of a connection through the proxy."""
    client = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    return client, await target.next()


async def read(stream: trio.SocketStream, size: int) -> bytes:
    """So many bytes, or fewer when the stream ends first."""
    data = bytearray()
    while len(data) < size and (more := await stream.receive_some(size - len(data))):
        data += more
    return bytes(data)


async def ends(stream: trio.SocketStream) -> bytes:
    """Everything up to the bare end."""
    return b"".join([bytes(data) async for data in stream])


async def breaks(stream: trio.SocketStream) -> None:
    """The other side was reset, whatever came before."""
    with pytest.raises(trio.BrokenResourceError) as raised:
        await ends(stream)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.ECONNRESET


def close(*streams: trio.SocketStream) -> None:
    for stream in streams:
        stream.socket.close()


async def test_bytes_pass_both_ways_until_both_sides_have_ended(proxy: FaultProxy, target: Target) -> None:
    """As through a wire, half-closes included; all of it is counted."""
    assert proxy.url == f"ws://127.0.0.1:{proxy.port}"
    client, engine = await connect(proxy, target)
    await client.send_all(b"question")
    assert await read(engine, 8) == b"question"
    await client.send_eof()
    assert await ends(engine) == b""
    await engine.send_all(b"answer")
    await engine.send_eof()
    assert await ends(client) == b"answer"
    await proxy.wait_until(lambda seen: seen.open == 0)
    seen = proxy.counters
    assert (seen.accepted, seen.bytes_to_engine, seen.bytes_to_client, seen.bytes_swallowed) == (1, 8, 6, 0)
    close(client, engine)


async def test_a_reader_that_stalls_stalls_its_sender(proxy: FaultProxy, target: Target) -> None:
    """The proxy holds back a bounded number of bytes, and loses none."""
    client, engine = await connect(proxy, target)
    sent = 0

    async def write() -> None:
        nonlocal sent
        for _ in range(64):
            await client.send_all(bytes(MIB))
            sent += MIB

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert sent < 64 * MIB
        assert len(await read(engine, 64 * MIB)) == 64 * MIB
    close(client, engine)


async def test_connections_are_refused_and_accepted_on_the_same_port(proxy: FaultProxy, target: Target) -> None:
    """Present ones go on."""
    port = proxy.port
    client, engine = await connect(proxy, target)
    proxy.refuse()
    proxy.refuse()
    with pytest.raises(OSError, match="all attempts to connect") as raised:
        await trio.open_tcp_stream("127.0.0.1", port)
    assert isinstance(raised.value.__cause__, ExceptionGroup)
    assert [type(each) for each in raised.value.__cause__.exceptions] == [ConnectionRefusedError]
    await client.send_all(b"x")
    assert await read(engine, 1) == b"x"
    proxy.accept()
    proxy.accept()
    assert proxy.port == port
    close(*await connect(proxy, target), client, engine)


async def test_a_silent_proxy_takes_connections_and_says_nothing(proxy: FaultProxy, target: Target) -> None:
    """It reads, so that only a time-out tells; those connections stay silent."""
    proxy.be_silent()
    silent = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    await silent.send_all(b"hello?")
    await proxy.wait_until(lambda seen: seen.bytes_swallowed == 6)
    proxy.accept()
    client, engine = await connect(proxy, target)
    with trio.move_on_after(0.05) as scope:
        await silent.receive_some()
    assert scope.cancelled_caught
    close(silent)
    await proxy.wait_until(lambda seen: seen.open == 1)
    close(client, engine)


async def test_a_silent_connection_may_be_reset_by_its_client(proxy: FaultProxy) -> None:
    """It ends like any other."""
    proxy.be_silent()
    silent = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    await proxy.wait_until(lambda seen: seen.open == 1)
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    close(silent)
    await proxy.wait_until(lambda seen: seen.open == 0)


async def test_a_target_that_refuses_resets_the_client() -> None:
    """There is nothing else to tell it with."""
    with trio.fail_after(LIMIT), socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with open_fault_proxy("127.0.0.1", bound.getsockname()[1]) as proxy:
            client = await trio.open_tcp_stream("127.0.0.1", proxy.port)
            await breaks(client)
            await proxy.wait_until(lambda seen: seen.accepted == 1 and seen.open == 0)
            close(client)


async def test_every_byte_is_delayed_and_the_end_as_well(proxy: FaultProxy, target: Target) -> None:
    """In each direction; what waits goes at once when the delay is gone."""
    client, engine = await connect(proxy, target)
    proxy.delay(0.05)
    started = trio.current_time()
    await client.send_all(b"ping")
    await read(engine, 4)
    await engine.send_all(b"pong")
    await read(client, 4)
    assert trio.current_time() - started >= 0.1
    proxy.delay(1_000)
    await client.send_all(b"last")
    await client.send_eof()
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert proxy.counters.bytes_to_engine == 4
    proxy.pass_again()
    assert await ends(engine) == b"last"
    close(client, engine)


async def test_a_throttled_direction_has_its_rate(proxy: FaultProxy, target: Target) -> None:
    """Also one of less than a byte at a time; without it the rest goes at once."""
    client, engine = await connect(proxy, target)
    proxy.throttle(50_000)
    started = trio.current_time()
    await client.send_all(bytes(10_000))
    await read(engine, 10_000)
    assert 0.15 <= trio.current_time() - started < 5
    proxy.throttle(1)
    await client.send_all(bytes(10_000))
    assert len(await read(engine, 1)) == 1
    proxy.pass_again()
    assert len(await read(engine, 9_999)) == 9_999
    close(client, engine)


@pytest.mark.parametrize(
    "switch",
    [
        pytest.param(lambda proxy: proxy.delay(-1), id="delay"),
        pytest.param(lambda proxy: proxy.throttle(0), id="rate"),
        pytest.param(lambda proxy: proxy.cut_after("client", 0), id="cut"),
        pytest.param(lambda proxy: proxy.cut_next_after("engine", -1), id="next-cut"),
    ],
)
async def test_switches_take_what_makes_sense(proxy: FaultProxy, switch: Callable[[FaultProxy], None]) -> None:
    """And nothing else."""
    with pytest.raises(ValueError, match=r"negative|positive|one byte"):
        switch(proxy)


async def test_a_black_hole_swallows_bytes_and_ends(proxy: FaultProxy, target: Target) -> None:
    """Nobody is told until it is gone; then the end comes, and the bytes never."""
    client, engine = await connect(proxy, target)
    proxy.delay(1_000)
    await client.send_all(b"on its way")
    await trio.testing.wait_all_tasks_blocked(0.05)
    proxy.blackhole()
    await client.send_all(b"!")
    await engine.send_all(b"?")
    await proxy.wait_until(lambda seen: seen.bytes_swallowed == 12)
    await client.send_eof()
    with trio.move_on_after(0.05) as scope:
        await engine.receive_some()
    assert scope.cancelled_caught
    proxy.pass_again()
    assert await ends(engine) == b""
    close(client, engine)


async def test_a_reset_does_not_leave_a_black_hole(proxy: FaultProxy, target: Target) -> None:
    """It comes out when bytes pass again; otherwise it goes through at once."""
    for is_black in (False, True):
        client, engine = await connect(proxy, target)
        if is_black:
            proxy.blackhole()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        close(client)
        if is_black:
            with trio.move_on_after(0.05) as scope:
                await engine.receive_some()
            assert scope.cancelled_caught
            proxy.pass_again()
        await breaks(engine)
        close(engine)


async def test_a_connection_can_be_cut(proxy: FaultProxy, target: Target) -> None:
    """Both sides see a bare end; the next one passes."""
    client, engine = await connect(proxy, target)
    proxy.cut()
    assert await ends(client) == await ends(engine) == b""
    await proxy.wait_until(lambda seen: seen.open == 0)
    close(*await connect(proxy, target), client, engine)


async def test_a_connection_can_be_cut_after_so_many_bytes(proxy: FaultProxy, target: Target) -> None:
    """To either side, counted from now; the other direction does not count, nor do other connections."""
    client, engine = await connect(proxy, target)
    await engine.send_all(b"before")
    await read(client, 6)
    proxy.cut_after("client", 3)
    later, its_engine = await connect(proxy, target)
    await client.send_all(b"much more than that")
    await read(engine, 19)
    await engine.send_all(b"ab")
    assert await read(client, 2) == b"ab"
    await engine.send_all(b"cdefg")
    assert await ends(client) == b"c"
    assert await ends(engine) == b""
    await its_engine.send_all(b"whole")
    assert await read(later, 5) == b"whole"
    close(client, engine, later, its_engine)


async def test_the_next_connection_can_be_cut(proxy: FaultProxy, target: Target) -> None:
    """Counted from its beginning, and once."""
    proxy.cut_next_after("engine", 4)
    client, engine = await connect(proxy, target)
    await client.send_all(b"handshake")
    assert await ends(engine) == b"hand"
    client_2, engine_2 = await connect(proxy, target)
    await client_2.send_all(b"handshake")
    assert await read(engine_2, 9) == b"handshake"
    proxy.cut_next_after("engine", 4)
    proxy.cut_after("engine", 4)
    proxy.pass_again()
    client_3, engine_3 = await connect(proxy, target)
    for sender, receiver in ((client_2, engine_2), (client_3, engine_3)):
        await sender.send_all(b"handshake")
        assert await read(receiver, 9) == b"handshake"
    close(client, engine, client_2, engine_2, client_3, engine_3)


async def test_a_connection_can_be_reset(proxy: FaultProxy, target: Target) -> None:
    """Both sides see a reset, not an end."""
    client, engine = await connect(proxy, target)
    await proxy.wait_until(lambda seen: seen.open == 1)
    proxy.reset()
    await breaks(client)
    await breaks(engine)
    close(client, engine)


async def test_one_direction_can_be_ended(proxy: FaultProxy, target: Target) -> None:
    """The other one goes on; what still comes the ended way is swallowed."""
    client, engine = await connect(proxy, target)
    proxy.half_close("client")
    proxy.half_close("client")
    assert await ends(client) == b""
    await engine.send_all(b"unheard")
    await proxy.wait_until(lambda seen: seen.bytes_swallowed == 7)
    await client.send_all(b"still here")
    assert await read(engine, 10) == b"still here"
    close(client)
    assert await ends(engine) == b""
    close(engine)
    await proxy.wait_until(lambda seen: seen.open == 0)


async def test_one_direction_can_be_ended_before_the_engine_is_there(proxy: FaultProxy, target: Target) -> None:
    """A switch is not forgotten because it came early."""
    client = await trio.open_tcp_stream("127.0.0.1", proxy.port)
    await proxy.wait_until(lambda seen: seen.accepted == 1)
    proxy.half_close("client")
    assert await ends(client) == b""
    close(client, await target.next())


async def test_one_direction_can_be_ended_while_it_is_stuck(proxy: FaultProxy, target: Target) -> None:
    """What the client had not taken yet is lost with it."""
    client, engine = await connect(proxy, target)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.send_all, bytes(32 * MIB))
        await trio.testing.wait_all_tasks_blocked(0.1)
        proxy.half_close("client")
        await proxy.wait_until(lambda seen: seen.bytes_swallowed > MIB)
    assert len(await ends(client)) < 32 * MIB
    close(client, engine)


async def test_a_half_close_of_what_is_gone_is_harmless(proxy: FaultProxy, target: Target) -> None:
    """No switch fails."""
    client, engine = await connect(proxy, target)
    proxy.cut()
    proxy.half_close("client")
    proxy.hold_engine()
    proxy.cut()
    await proxy.wait_until(lambda seen: seen.open == 0)
    close(client, engine)


async def test_the_engines_side_can_be_held(proxy: FaultProxy, target: Target) -> None:
    """The client is gone, and the engine hears nothing of it until it is released, or lets go itself."""
    client, engine = await connect(proxy, target)
    other, its_engine = await connect(proxy, target)
    await proxy.wait_until(lambda seen: seen.open == 2)
    proxy.hold_engine()
    proxy.hold_engine()
    assert await ends(client) == await ends(other) == b""
    await proxy.wait_until(lambda seen: (seen.held, seen.open) == (2, 0))
    await engine.send_all(b"are you there?")
    await proxy.wait_until(lambda seen: seen.bytes_swallowed == 14)
    close(its_engine)
    await proxy.wait_until(lambda seen: seen.held == 1)
    passing, its_engine = await connect(proxy, target)
    proxy.release_engine()
    assert await ends(engine) == b""
    await proxy.wait_until(lambda seen: (seen.held, seen.open) == (0, 1))
    close(client, engine, other, passing, its_engine)


async def test_a_write_to_a_side_that_is_gone_ends_the_other(proxy: FaultProxy, target: Target) -> None:
    """As soon as the system says so."""
    client, engine = await connect(proxy, target)
    close(engine)
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(bytes(64 * MIB))
    close(client)


async def test_leaving_ends_everything_at_once(target: Target) -> None:
    """Whatever waits in it; the port is free afterwards."""
    async with open_fault_proxy("127.0.0.1", target.port) as proxy:
        client, engine = await connect(proxy, target)
        ghost, its_engine = await connect(proxy, target)
        await proxy.wait_until(lambda seen: seen.open == 2)
        proxy.hold_engine()
        proxy.delay(1_000)
        last, its_engine_2 = await connect(proxy, target)
        await last.send_all(b"waits")
        proxy.refuse()
        port = proxy.port
    for stream in (client, engine, ghost, its_engine, its_engine_2):
        assert await ends(stream) == b""
    close(client, engine, ghost, its_engine, last, its_engine_2)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


async def test_a_client_and_an_engine_survive_it() -> None:
    """Every way in which a link ends brings the functions back, over real sockets."""
    options = InitOptions(reconnection_config=ReconnectionConfig(initial_delay_ms=10, jitter_factor=0.0))
    with trio.fail_after(3 * LIMIT):
        async with (
            open_engine(port=0) as engine,
            open_fault_proxy("127.0.0.1", engine.port or 0) as proxy,
            open_iii(proxy.url, options) as iii,
        ):
            await iii.register_function("f", one).wait_registered()
            switches: list[Callable[[], None]] = [
                proxy.cut,
                proxy.reset,
                partial(proxy.half_close, "client"),
                partial(proxy.half_close, "engine"),
                partial(proxy.cut_after, "client", 3),
                partial(proxy.cut_after, "engine", 3),
                proxy.hold_engine,
            ]
            for accepted, switch in enumerate(switches, start=2):
                switch()
                # A cut in the middle of a frame needs a frame; the others may lose it as well.
                with suppress(ConnectionLost):
                    await iii.trigger("f")
                await proxy.wait_until(partial(has_accepted, accepted))
                assert await iii.trigger("f") == 1
            await engine.wait_received(8, frames.RegisterFunction)
            assert not engine.undecodable


async def one() -> int:
    return 1


def has_accepted(number: int, seen: ProxyCounters) -> bool:
    return seen.accepted >= number
