"""Channels end to end, over real sockets: against the embedded engine, and against the one of III_TEST_URL if set."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio import III, InitOptions, open_iii
from iii_trio.channel import Channel, ChannelReader, ChannelWriter, StreamChannelRef
from iii_trio.errors import (
    ChannelBroken,
    ChannelClosed,
    ChannelEnded,
    ChannelNotFound,
    ChannelTaken,
    ConfigurationError,
    InvocationError,
    PayloadError,
)
from iii_trio.testing import open_engine
from tests._channel_process import STATUS
from tests._engines import ENGINES, within

pytestmark = pytest.mark.engine

MIB: Final = 1024 * 1024


@pytest.fixture(params=ENGINES)
async def engine_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an engine that listens."""
    if request.param == "real":
        yield os.environ["III_TEST_URL"]
        return
    async with open_engine(port=0) as engine:
        yield engine.url


@pytest.fixture(params=["trio-websocket", "websockets"])
async def iii(engine_url: str, request: pytest.FixtureRequest) -> AsyncIterator[III]:
    """A client over each transport."""
    async with open_iii(engine_url, InitOptions(drain_timeout=0), transport=request.param) as iii:
        yield iii


@pytest.fixture
def fresh() -> str:
    """Nobody has used it before."""
    return f"t{uuid.uuid4().hex[:12]}"


# ---- refs in payloads -----------------------------------------------------------------------------------------------


@within(30)
async def test_a_handler_gets_a_live_reader(iii: III, fresh: str) -> None:
    """Of the ref in its payload, wherever that stands."""

    async def digest(data: Any) -> str:
        (source,) = data["sources"]
        return hashlib.sha256(await source.read_all()).hexdigest()

    await iii.register_function(f"{fresh}::digest", digest).wait_registered()
    channel = await iii.create_channel()
    data = random.Random(1).randbytes(3 * MIB)
    got: list[str] = []

    async def call() -> None:
        got.append(await iii.trigger(f"{fresh}::digest", {"sources": [channel.reader_ref]}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        async with channel.writer as writer:
            await writer.write(data)
    assert got == [hashlib.sha256(data).hexdigest()]


@attrs.frozen
class Copy:
    """What a handler takes."""

    source: ChannelReader
    target: ChannelWriter


@within(30)
async def test_a_typed_handler_gets_both(iii: III, fresh: str) -> None:
    """As the fields of its class, and the other ends in the caller's hands."""

    async def copy(job: Copy) -> int:
        size = 0
        async with job.target, job.source:
            async for chunk in job.source:
                await job.target.write(chunk.upper())
                size += len(chunk)
        return size

    await iii.register_function(f"{fresh}::copy", copy).wait_registered()
    there, back = await iii.create_channel(), await iii.create_channel()
    done: list[int] = []

    async def call() -> None:
        job = {"source": there.reader_ref, "target": back.writer_ref}
        done.append(await iii.trigger(f"{fresh}::copy", job))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        async with there.writer as writer:
            await writer.write(b"ab")
            await writer.write(b"cd")
        assert await back.reader.read_all() == b"ABCD"
    assert done == [4]


@within(30)
async def test_a_result_may_hold_a_reader(iii: III, fresh: str) -> None:
    """The handler makes the channel, returns its ref, and goes on writing."""
    async with trio.open_nursery() as nursery:

        async def write(channel: Channel) -> None:
            async with channel.writer as writer:
                await writer.write(b"news")

        async def subscribe() -> dict[str, Any]:
            channel = await iii.create_channel()
            nursery.start_soon(write, channel)
            return {"feed": channel.reader_ref}

        await iii.register_function(f"{fresh}::subscribe", subscribe).wait_registered()
        answer = await iii.trigger(f"{fresh}::subscribe")
        assert type(answer["feed"]) is ChannelReader
        assert await answer["feed"].read_all() == b"news"


@within(30)
async def test_an_end_that_was_not_used_travels_on(iii: III, fresh: str) -> None:
    """As its ref; one that was opened is refused before it is sent."""

    async def relay(data: Any) -> Any:
        return await iii.trigger(f"{fresh}::read", data)

    async def read(data: Any) -> str:
        return (await data["source"].read_all()).decode()  # type: ignore[no-any-return]

    for name, handler in (("relay", relay), ("read", read)):
        await iii.register_function(f"{fresh}::{name}", handler).wait_registered()
    channel = await iii.create_channel()
    async with channel.writer as writer:
        await writer.write(b"through two hands")
    with pytest.raises(PayloadError, match="was opened here"):
        await iii.trigger(f"{fresh}::read", {"source": writer})
    assert await iii.trigger(f"{fresh}::relay", {"source": channel.reader}) == "through two hands"


@within(30)
async def test_refs_that_nobody_uses_open_nothing(iii: III, fresh: str) -> None:
    """The handler gets them, and they can be used by somebody else."""
    await iii.register_function(f"{fresh}::ignore", lambda data: repr(data["a"])).wait_registered()
    channel = await iii.create_channel()
    assert "not open" in await iii.trigger(f"{fresh}::ignore", {"a": channel.reader_ref, "b": channel.writer_ref})
    async with channel.writer:
        pass
    assert await channel.reader.read_all() == b""


@within(30)
async def test_a_ref_that_came_another_way(iii: III) -> None:
    """Makes a reader or a writer, as a value and as a dict, and only of its own end."""
    channel = await iii.create_channel()
    ref = channel.writer_ref
    fields = {"channel_id": ref.channel_id, "access_key": ref.access_key, "direction": "write"}
    async with iii.channel_writer(fields) as writer:
        await writer.write(b"x")
    assert await iii.channel_reader(channel.reader_ref).read_all() == b"x"
    with pytest.raises(ConfigurationError, match="the ref of a channel's write end"):
        iii.channel_reader(ref)
    with pytest.raises(ConfigurationError, match="the ref of a channel's read end"):
        iii.channel_writer(channel.reader_ref)
    with pytest.raises(ConfigurationError, match="has no spelling"):
        iii.channel_reader({**fields, "spelling": 1})


# ---- making them ----------------------------------------------------------------------------------------------------


@within(30)
async def test_a_channel_has_two_ends_and_their_refs(iii: III) -> None:
    """With an id in common, that no other channel has; unmarked unless asked for."""
    ids = set()
    for verified in (None, True):
        channel = await iii.create_channel(1, verified=verified is True)
        refs = (channel.writer_ref, channel.reader_ref)
        assert [(ref.direction, ref.verified) for ref in refs] == [("write", verified), ("read", verified)]
        assert refs[0].channel_id == refs[1].channel_id
        ids.add(refs[0].channel_id)
    assert len(ids) == 2


@within(30)
async def test_tcp_asks_on_both_ends(iii: III, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine never pings on them, and a reader sends nothing."""
    streams: list[trio.SocketStream] = []
    open_tcp_stream = trio.open_tcp_stream

    async def noted(host: str, port: int) -> trio.SocketStream:
        streams.append(await open_tcp_stream(host, port))
        return streams[-1]

    monkeypatch.setattr(trio, "open_tcp_stream", noted)
    channel = await iii.create_channel()
    await channel.reader.open()
    await channel.writer.open()
    assert len(streams) == 2
    assert all(stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for stream in streams)


@within(30)
async def test_the_engines_refusal_is_told(iii: III) -> None:
    """As that of any call."""
    with pytest.raises(InvocationError):
        await iii.trigger("engine::channels::create", {"buffer_size": -1})


# ---- ends -----------------------------------------------------------------------------------------------------------


@within(30)
async def test_wrong_and_spent_refs(iii: III) -> None:
    """Each says what is wrong with it."""
    channel = await iii.create_channel()
    wrong = attrs.evolve(channel.reader_ref, access_key=str(uuid.uuid4()))
    with pytest.raises(ChannelNotFound):
        await iii.channel_reader(wrong).receive()
    unknown = StreamChannelRef(channel_id=str(uuid.uuid4()), access_key="k", direction="write")
    with pytest.raises(ChannelNotFound):
        await iii.channel_writer(unknown).write(b"x")
    async with channel.writer as writer:
        await writer.write(b"x")
    with pytest.raises(ChannelTaken):
        await iii.channel_writer(channel.writer_ref).aclose()
    assert await channel.reader.receive() == b"x"
    with pytest.raises(ChannelEnded):
        await channel.reader.receive()


@within(30)
async def test_a_reader_that_leaves_fails_the_writer(iii: III) -> None:
    """Soon, and once it is told closing is quiet."""
    channel = await iii.create_channel()
    await channel.writer.write(b"x")
    assert await channel.reader.receive() == b"x"
    await channel.reader.aclose()
    with pytest.raises(ChannelBroken):  # noqa: PT012
        while True:
            await channel.writer.write(bytes(1000))
            await trio.sleep(0.01)
    await channel.writer.aclose()
    with pytest.raises(ChannelClosed):
        await channel.reader.receive()


@within(30)
async def test_a_writer_that_leaves_is_told_apart_on_a_verified_channel(iii: III) -> None:
    """On others the engine makes an end of it."""
    for verified in (False, True):
        channel = await iii.create_channel(verified=verified)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with channel.writer as writer:
                await writer.write(b"part")
                assert await channel.reader.receive() == b"part"
                raise ZeroDivisionError
        if verified:
            with pytest.raises(ChannelBroken, match="did not finish"):
                await channel.reader.receive()
        else:
            with pytest.raises(ChannelEnded):
                await channel.reader.receive()


@within(30)
async def test_the_client_takes_its_channels_with_it(engine_url: str) -> None:
    """After the block nothing of them is left, and everybody is told."""
    async with open_iii(engine_url) as iii:
        channel = await iii.create_channel()
        await channel.writer.write(b"x")
        unused = await iii.create_channel()
    with pytest.raises(ChannelClosed):
        await channel.writer.write(b"x")
    with pytest.raises(ChannelClosed):
        await unused.reader.receive()


# ---- under load -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@within(120)
async def test_ends_that_vanish_at_random_points(iii: III) -> None:
    """40 rounds: what reports success is whole, and nobody hangs."""
    chance = random.Random(7)
    for _ in range(40):
        await _round(iii, chance)


async def _round(iii: III, chance: random.Random) -> None:
    channel = await iii.create_channel(chance.choice([1, 4, 64]), verified=True)
    sizes = [chance.choice([0, 1, 200, 65_536, 100_000]) for _ in range(chance.randrange(40))]
    data = [chance.randbytes(size) for size in sizes]
    victim, after = chance.choice(["reader", "writer", "nobody"]), chance.randrange(len(data) + 1)
    outcome: dict[str, Any] = {}

    async def write() -> None:
        try:
            async with channel.writer as writer:
                for number, each in enumerate(data):
                    if victim == "writer" and number == after:
                        raise ZeroDivisionError
                    await writer.write(each)
            outcome["writer"] = "whole"
        except (ChannelBroken, ZeroDivisionError) as error:
            outcome["writer"] = error

    async def read() -> None:
        got = bytearray()
        try:
            async with channel.reader as reader:
                if victim == "reader" and after == 0:
                    return
                async for chunk in reader:
                    got += chunk
                    if victim == "reader" and len(got) >= after * 20_000:
                        return
            outcome["reader"] = bytes(got)
        except ChannelBroken as error:
            outcome["reader"] = error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        nursery.start_soon(read)
    whole = b"".join(data)
    if isinstance(outcome.get("reader"), bytes):
        assert outcome["reader"] == whole
        assert outcome["writer"] == "whole"
    elif victim == "nobody":
        raise AssertionError(outcome)
    if victim == "writer" and after < len(data):
        assert isinstance(outcome["writer"], ZeroDivisionError)
        assert isinstance(outcome["reader"], ChannelBroken)


SIZE: Final = 256


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="its peak of memory is read from Linux's /proc; runs there")
@pytest.mark.parametrize("role", ["write", "read"])
@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
@within(180)
async def test_a_slow_reader_holds_the_writer_and_no_memory(engine_url: str, transport: str, role: str) -> None:
    """256 MiB come out as they went in, and the process at either end grows by less than 8 MiB."""
    async with open_iii(engine_url, InitOptions(drain_timeout=0), transport=transport) as iii:  # type: ignore[arg-type]
        channel = await iii.create_channel()
        ref = channel.writer_ref if role == "write" else channel.reader_ref
        command = [sys.executable, "-m", "tests._channel_process", engine_url, transport, role, str(SIZE)]
        arguments = [*command, ref.channel_id, ref.access_key]
        told: list[bytes] = []

        async def other() -> None:
            done = await trio.run_process(arguments, capture_stdout=True, cwd=Path(__file__).parents[1])
            told.append(done.stdout)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(other)
            if role == "write":
                mine = await _digest(channel.reader)
            else:
                mine = await _produce(channel.writer)
        digest, grown, blocked = told[0].decode().split()
        assert digest == mine
        assert int(grown) < 8 * 1024  # KiB
        assert float(blocked) > 0.3  # of the two seconds; the buffers on the way are filled in the rest


async def _digest(reader: ChannelReader) -> str:
    """Read all, with two seconds' rest behind the first message."""
    digest = hashlib.sha256(await reader.receive())
    await trio.sleep(2)
    async for chunk in reader:
        digest.update(chunk)
    return digest.hexdigest()


async def _produce(writer: ChannelWriter) -> str:
    digest = hashlib.sha256()
    async with writer:
        for number in range(SIZE):
            data = random.Random(number).randbytes(MIB)
            digest.update(data)
            await writer.write(data)
    return digest.hexdigest()
