"""The engine that users put into their tests."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import InitOptions, open_iii, testing
from iii_trio._wire.messages import Ping, RegisterService
from iii_trio.testing import EmbeddedEngine, Received, open_engine
from tests.http_client import Client
from tests.replay import Socket

PING = '{"type":"ping"}'


async def connect(engine: EmbeddedEngine, nursery: trio.Nursery) -> Socket:
    """A client whose greeting has come."""
    client = Socket(await engine.open_stream())
    await client.upgrade("/", {})
    nursery.start_soon(client.pump)
    assert await client.get(5) is not None
    return client


@pytest.fixture(params=[pytest.param({}, id="memory"), pytest.param({"port": 0}, id="loopback")])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where an engine is reached."""
    place: dict[str, Any] = request.param
    return place


async def test_what_comes_in_can_be_waited_for_and_looked_at(place: dict[str, Any]) -> None:
    """Over all connections, decoded or not."""
    async with open_engine(**place) as engine, trio.open_nursery() as nursery:
        with trio.fail_after(5):
            one, other = await connect(engine, nursery), await connect(engine, nursery)
            async with trio.open_nursery() as waiting:
                waiting.start_soon(engine.wait_received, 3, Ping)
                await one.send(PING, None)
                await other.send('{"type":"registerservice","id":"s"}', None)
                await other.send(PING, None)
                await one.send("nonsense", None)
                await one.send(PING, None)
        first, second = engine.connections
        assert sorted(engine.received, key=repr) == sorted(
            [
                Received(first, Ping()),
                Received(first, Ping()),
                Received(second, RegisterService("s")),
                Received(second, Ping()),
            ],
            key=repr,
        )
        (lost,) = engine.undecodable
        assert (lost.connection_id, lost.raw) == (first, "nonsense")
        await one.finish()
        await other.finish()


async def test_links_can_be_dropped_and_opened_again(place: dict[str, Any]) -> None:
    """Without a Close, as a broken network does it."""
    async with open_engine(**place) as engine, trio.open_nursery() as nursery:
        client = await connect(engine, nursery)
        engine.drop_links()
        assert await client.get(5) == ("close", (1006, ""))
        assert engine.connections == ()
        again = await connect(engine, nursery)
        await client.finish()
        await again.finish()


async def test_logins_can_be_refused_and_accepted(place: dict[str, Any]) -> None:
    """As the engine refuses them: after a successful upgrade."""
    async with open_engine(**place) as engine, trio.open_nursery() as nursery:
        engine.refuse_logins("no")
        refused = Socket(await engine.open_stream())
        await refused.upgrade("/", {})
        nursery.start_soon(refused.pump)
        assert await refused.get(5) == ("text", '{"error":{"code":"AUTH_ERROR","message":"no"},"type":"error"}')
        assert await refused.get(5) == ("close", (1005, ""))
        await refused.finish()
        engine.accept_logins()
        client = await connect(engine, nursery)
        await client.finish()


async def test_closing_it_drops_the_links_and_takes_no_new_ones(place: dict[str, Any]) -> None:
    """Also in the middle of the block, and also twice."""
    async with open_engine(**place) as engine, trio.open_nursery() as nursery:
        client = await connect(engine, nursery)
        await engine.aclose()
        await engine.aclose()
        assert await client.get(5) == ("close", (1006, ""))
        with pytest.raises(trio.ClosedResourceError):
            await engine.open_stream()
        await client.finish()


async def test_in_memory_the_url_leads_nowhere() -> None:
    """So that a client without `open_stream` never meets a real engine."""
    async with open_engine() as engine:
        assert engine.url == "ws://embedded-engine.invalid"
        assert engine.port is None


@pytest.mark.parametrize("place", [{"port": 0}, {"host": "127.0.0.1"}], ids=["port", "host"])
async def test_on_loopback_the_url_leads_to_it(place: dict[str, Any]) -> None:
    """On a free port unless one is given, and not to be had twice."""
    async with open_engine(**place) as engine:
        assert engine.url == f"ws://127.0.0.1:{engine.port}"
        with pytest.raises(OSError, match="in use"):
            async with open_engine(port=engine.port):
                pass


async def test_a_link_that_is_reset_is_torn_down() -> None:
    """As one that ends."""
    async with open_engine(port=0) as engine, trio.open_nursery() as nursery:
        client = await connect(engine, nursery)
        assert isinstance(client.stream, trio.SocketStream)
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert engine.connections == ()


async def test_an_ipv6_address_is_bracketed() -> None:
    """As URLs want it."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    async with open_engine(host="::1") as engine:
        assert engine.url == f"ws://[::1]:{engine.port}"
        stream = await engine.open_stream()
        await stream.aclose()


async def test_an_error_of_the_body_is_raised_as_it_is() -> None:
    """A failing test shows its own exception, and no group."""
    with pytest.raises(KeyError, match="mine"):
        async with open_engine():
            raise KeyError("mine")


async def test_a_body_that_is_cancelled_leaves_it_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """The scope is the user's, and the exception is trio's."""
    with trio.move_on_after(1) as scope:
        async with open_engine() as engine, trio.open_nursery() as nursery:
            await connect(engine, nursery)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(1)


async def test_opening_it_can_be_cancelled() -> None:
    """Nothing of it is left."""
    with trio.CancelScope() as scope:
        scope.cancel()
        async with open_engine():
            raise AssertionError("it was opened")
    assert scope.cancelled_caught


async def test_the_grace_period_is_as_asked(autojump_clock: trio.testing.MockClock) -> None:
    """In milliseconds."""
    async with open_engine(namespace_grace_ms=200) as engine, trio.open_nursery() as nursery:
        client = await connect(engine, nursery)
        await client.send('{"type":"registerfunction","id":"f"}', None)
        await trio.sleep(0.3)
        call = '{"type":"invokefunction","function_id":"f","data":null}'
        await client.send(call, None)
        assert await client.get(5) is not None
        await client.finish()


def test_the_plugin_imports_nothing_until_it_is_used() -> None:
    """pytest loads it in every run."""
    code = "import sys, iii_trio.testing._plugin; print('iii_trio.testing._engine' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_package_has_the_names_it_promises_and_no_others() -> None:
    """Though it imports them late."""
    assert all(hasattr(testing, name) for name in testing.__all__)
    with pytest.raises(AttributeError, match="'nonsense'"):
        testing.nonsense  # noqa: B018


async def test_the_fixture_is_an_engine_in_memory(iii_engine: EmbeddedEngine) -> None:
    """pytest brings it along once the package is installed."""
    assert iii_engine.port is None
    assert iii_engine.connections == ()


@pytest.fixture(params=[pytest.param({}, id="memory"), pytest.param({"http_port": 0}, id="loopback")])
def http_place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where HTTP is served."""
    place: dict[str, Any] = request.param
    return place


async def test_http_triggers_are_served(http_place: dict[str, Any]) -> None:
    """Independently of where workers are; the URL says where, and the stream leads there."""
    with trio.fail_after(10):
        async with open_engine(**http_place) as engine, open_iii(engine.url, open_stream=engine.open_stream) as iii:

            async def handler() -> dict[str, int]:
                return {"body": 1}

            await iii.register_function("f", handler).wait_registered()
            binding = {"trigger_type": "http", "function_id": "f", "config": {"api_path": "/f"}}
            await iii.trigger("engine::register_trigger", binding)
            async with await engine.open_http_stream() as stream:
                assert (await Client(stream).request("GET", "/f")).body == b"1"
                if isinstance(stream, trio.SocketStream):
                    assert engine.http_url == f"http://127.0.0.1:{stream.socket.getpeername()[1]}"
                else:
                    assert engine.http_url == "http://embedded-engine.invalid"


async def test_nobody_is_served_while_the_engine_is_down(http_place: dict[str, Any]) -> None:
    """Nor after it was closed; in between it is where it was."""
    with trio.fail_after(10):
        async with open_engine(**http_place) as engine, trio.open_nursery() as nursery:
            url = engine.http_url
            down = trio.CancelScope()

            async def restart() -> None:
                with down:
                    await engine.restart(down_for=60)

            nursery.start_soon(restart)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(OSError):
                await engine.open_http_stream()
            down.cancel()
            await trio.testing.wait_all_tasks_blocked()
            async with await engine.open_http_stream() as stream:
                assert (await Client(stream).request("GET", "/f")).status == 404
            assert engine.http_url == url
            await engine.aclose()
            with pytest.raises(trio.ClosedResourceError):
                await engine.open_http_stream()


async def test_a_port_that_is_taken_leaves_nothing_open() -> None:
    """The other port is free again."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        taken = listener.socket.getsockname()[1]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(OSError):
            async with open_engine(port=port, http_port=taken):
                raise AssertionError
        async with open_engine(port=port) as engine:
            assert engine.port == port


@pytest.mark.parametrize(
    ("options", "seconds"),
    [pytest.param({}, 30, id="default"), pytest.param({"http_timeout_ms": 500}, 0.5, id="asked")],
)
async def test_a_response_has_as_long_as_asked(
    options: dict[str, Any], seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    """Then it is a 504."""
    hurried = InitOptions(drain_timeout=0)
    async with open_engine(**options) as engine, open_iii(engine.url, hurried, open_stream=engine.open_stream) as iii:

        async def handler() -> None:
            await trio.sleep_forever()

        await iii.register_function("f", handler).wait_registered()
        binding = {"trigger_type": "http", "function_id": "f", "config": {"api_path": "/f"}}
        await iii.trigger("engine::register_trigger", binding)
        started = trio.current_time()
        async with await engine.open_http_stream() as stream:
            assert (await Client(stream).request("GET", "/f")).status == 504
        assert trio.current_time() - started == pytest.approx(seconds, abs=0.1)
