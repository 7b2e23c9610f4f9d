"""Opening a client: what leaves the doors when a server is missing, wrong or hostile, and when they are left half-way."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest
import trio
import trustme
from trio.testing import MockClock

from iii_trio import III, InitOptions, ReconnectionConfig, connect_iii, open_iii, register_worker
from iii_trio._link.choice import TransportName, find_transport
from iii_trio._link.transport import Transport
from iii_trio._link.trio_websocket import TrioWebSocketTransport
from iii_trio._link.websockets import WebsocketsTransport
from iii_trio.errors import (
    AuthenticationError,
    ConfigurationError,
    EngineUnavailable,
    HandshakeRefused,
    IIIError,
    RegistrationRejectedError,
)
from iii_trio.testing import EmbeddedEngine, open_engine
from tests._hostile import (
    AnswersHttp,
    AnswersInFragments,
    AtStep,
    CannotClose,
    DropsAfterUpgrade,
    EndsInHandshake,
    Engine,
    NameTaken,
    Network,
    NeverAnswers,
    NeverGreets,
    PingsInsteadOfAnswering,
    PingsInsteadOfGreeting,
    Recorder,
    RefusesLogin,
    RefusesRegistration,
    RegistersWithoutPong,
    Silent,
    SpeaksSmtp,
    first_name_is_free,
    leaves_nothing,
    listen,
    unused_port,
)
from tests.conftest import MemoryLink

URL = "ws://engine.invalid"
EXACT = ReconnectionConfig(jitter_factor=0)


async def fails_to_open(network: Network, **options: Any) -> IIIError:
    """Open a client that does not come about; returns the one error, and sees that nothing is left."""
    with leaves_nothing(network), pytest.raises(IIIError) as caught:
        async with open_iii(URL, InitOptions(**options), open_stream=network.open_stream):
            raise AssertionError("it opened")
    return caught.value


# ---- it works -------------------------------------------------------------------------------------------------------


async def test_opens_in_memory(autojump_clock: MockClock) -> None:
    """The block begins when the engine knows the worker, and the engine sees it leave."""
    async with open_engine() as engine:
        with leaves_nothing():
            async with open_iii(engine.url, open_stream=engine.open_stream) as iii:
                assert iii.get_connection_state() == "connected"
                assert iii.statistics().transport == find_transport("auto").NAME
                assert engine.connections == (iii.statistics().worker_id,)
            assert engine.connections == ()
        assert iii.get_connection_state() == "disconnected"
        assert iii.statistics().transport is None


async def test_opens_over_a_socket() -> None:
    """The same over TCP."""
    with trio.fail_after(5):
        async with open_engine(port=0) as engine, open_iii(engine.url) as iii:
            assert iii.get_connection_state() == "connected"


async def test_the_references_name_is_the_same_door() -> None:
    """`register_worker` opens a client too."""
    with trio.fail_after(5):
        async with open_engine(port=0) as engine, register_worker(engine.url, InitOptions(worker_name="w")) as iii:
            assert iii.worker_name == "w"


async def test_a_door_opens_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Entering the same `open_iii(...)` again is refused, inside its block and after it."""
    network = Network(nursery, Engine())
    door = open_iii(URL, open_stream=network.open_stream)
    async with door:
        with pytest.raises(ConfigurationError, match="one connection"):
            await door.__aenter__()
    with pytest.raises(ConfigurationError, match="one connection"):
        await door.__aenter__()
    assert len(network.opened_at) == 1


async def test_a_stream_that_cannot_close_is_only_noted(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What somebody's stream raises when it is closed reaches nobody."""
    network = Network(nursery, Engine(), wrap=CannotClose)
    with leaves_nothing(network):
        async with open_iii(URL, open_stream=network.open_stream):
            pass


async def test_the_states_of_a_life(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """connected → reconnecting → connected → disconnected, seen by a client that took two attempts to open."""
    engine = Engine()
    network = Network(nursery, NeverGreets(), engine)
    states = []

    async def watch(iii: Any) -> None:
        states.append(iii.get_connection_state())

    async with trio.open_nursery() as inner:
        async with open_iii(URL, InitOptions(open_timeout=60), open_stream=network.open_stream) as iii:
            await watch(iii)
            await engine.link.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            await watch(iii)
            await iii.wait_connected()
            await watch(iii)
        await watch(iii)
        inner.cancel_scope.cancel()
    assert states == ["connected", "reconnecting", "connected", "disconnected"]
    assert iii.statistics().connects == 3


# ---- nobody there ---------------------------------------------------------------------------------------------------


async def test_an_unused_port() -> None:
    """Nobody listens: `EngineUnavailable` names the URL and the cause, within the open time-out."""
    with trio.fail_after(5):
        async with unused_port() as port:
            with leaves_nothing(), pytest.raises(EngineUnavailable) as caught:
                async with open_iii(f"ws://127.0.0.1:{port}", InitOptions(open_timeout=0.01)):
                    raise AssertionError("it opened")
    assert caught.value.code == "OFFLINE"
    assert f"ws://127.0.0.1:{port}" in str(caught.value)
    assert "refused" in str(caught.value).lower()


async def test_an_open_timeout_of_zero_is_one_attempt(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Zero does not mean none, and not two."""
    network = Network(nursery, DropsAfterUpgrade())
    error = await fails_to_open(network, open_timeout=0)
    assert isinstance(error, EngineUnavailable)
    assert len(network.opened_at) == 1
    assert trio.current_time() == network.opened_at[0]


async def test_transient_failures_are_retried_until_the_open_timeout(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Waits of 1, 2 and 4 s fit into ten; the one of 8 does not, and is not waited for."""
    network = Network(nursery, AnswersHttp(503))
    began = trio.current_time()
    error = await fails_to_open(network, reconnection_config=EXACT)
    assert isinstance(error, EngineUnavailable)
    assert "503" in str(error)
    assert network.waits == pytest.approx([1, 2, 4])
    assert trio.current_time() - began == pytest.approx(7)


async def test_an_endless_open_timeout_waits_for_the_engine(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With infinity the client opens when the engine comes up, however late."""
    network = Network(nursery, *[EndsInHandshake()] * 12, Engine())
    options = InitOptions(open_timeout=float("inf"))
    async with open_iii(URL, options, open_stream=network.open_stream) as iii:
        assert iii.statistics().connect_failures == 12
        assert trio.current_time() > 120


async def test_max_retries_bounds_attempts(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Two retries are three attempts, whatever the open time-out."""
    network = Network(nursery, EndsInHandshake())
    error = await fails_to_open(
        network, open_timeout=1000, reconnection_config=ReconnectionConfig(max_retries=2, jitter_factor=0)
    )
    assert isinstance(error, EngineUnavailable)
    assert len(network.opened_at) == 3


# ---- somebody else there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["length", "empty", "end of stream", "never"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (403, AuthenticationError),
        (400, HandshakeRefused),
        (404, HandshakeRefused),
        (418, HandshakeRefused),
    ],
)
async def test_a_4xx_is_final_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock, status: int, kind: type[IIIError], body: str
) -> None:
    """One attempt and no wait, however the answer's body ends, or does not."""
    server = AnswersHttp(status, body)
    network = Network(nursery, server)
    error = await fails_to_open(network)
    assert type(error) is kind
    assert str(status) in str(error)
    assert getattr(error, "status", None) == status or getattr(error, "code", None) == str(status)
    assert server.requests == 1
    assert trio.current_time() == network.opened_at[0]


@pytest.mark.parametrize("status", [300, 500, 502, 503])
async def test_another_status_may_pass(nursery: trio.Nursery, autojump_clock: MockClock, status: int) -> None:
    """A gateway in front of an engine that starts says 503, and later the engine answers."""
    network = Network(nursery, AnswersHttp(status), Engine())
    async with open_iii(URL, open_stream=network.open_stream) as iii:
        assert iii.statistics().connect_failures == 1


@pytest.mark.parametrize(
    ("peer", "seconds", "cause"),
    [
        pytest.param(EndsInHandshake(), 0, "ended before", id="the end instead of an answer"),
        pytest.param(EndsInHandshake(b"HTTP/1.1 101 Switch"), 0, "ended before", id="the end within the answer"),
        pytest.param(EndsInHandshake(b"HTTP/1.1 4"), 0, "ended before", id="the end within the status"),
        pytest.param(SpeaksSmtp(), 0, "HTTP", id="no HTTP"),
        pytest.param(EndsInHandshake(b"HTTP/1.1 101 X\r\n\r\n"), 0, "handshake", id="no upgrade in the 101"),
        pytest.param(Silent(), 3, "within 3 s", id="silence in the handshake"),
        pytest.param(NeverGreets(), 3, "greet", id="silence after the upgrade"),
        pytest.param(PingsInsteadOfGreeting(), 3, "greet", id="only pings after the upgrade"),
        pytest.param(NeverAnswers(), 3, "registration", id="silence after the greeting"),
        pytest.param(RegistersWithoutPong(), 3, "registration", id="no end of the replay"),
        pytest.param(PingsInsteadOfAnswering(), 63, "registration", id="only pings after the greeting"),
        pytest.param(DropsAfterUpgrade(), 0, "without a Close", id="the end after the upgrade"),
    ],
)
async def test_a_server_that_leads_nowhere(
    nursery: trio.Nursery, autojump_clock: MockClock, peer: Any, seconds: float, cause: str
) -> None:
    """Whatever it does or does not do, an attempt ends, and the error says how."""
    network = Network(nursery, peer)
    error = await fails_to_open(network, connect_timeout=3, open_timeout=0)
    assert isinstance(error, EngineUnavailable)
    assert cause in str(error)
    assert len(network.opened_at) == 1
    assert trio.current_time() == pytest.approx(seconds)


async def test_a_server_that_drops_is_not_hammered(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The waits grow to 30 s although every connection opens: only a ready one starts them over."""
    network = Network(nursery, DropsAfterUpgrade())
    error = await fails_to_open(network, open_timeout=150, reconnection_config=EXACT)
    assert isinstance(error, EngineUnavailable)
    assert network.waits == pytest.approx([1, 2, 4, 8, 16, 30, 30, 30])


# ---- an engine that refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "kind", "code"),
    [
        pytest.param(RefusesLogin(), AuthenticationError, "AUTH_ERROR", id="login"),
        pytest.param(NameTaken(), RegistrationRejectedError, "WORKER_NAMESPACE_CONFLICT", id="name"),
        pytest.param(
            RefusesRegistration("INVALID_NAMESPACE"), RegistrationRejectedError, "INVALID_NAMESPACE", id="namespace"
        ),
        pytest.param(RefusesRegistration("FORBIDDEN"), RegistrationRejectedError, "FORBIDDEN", id="forbidden"),
        pytest.param(
            RefusesRegistration("deserialization_error"),
            RegistrationRejectedError,
            "deserialization_error",
            id="undecodable",
        ),
    ],
)
async def test_a_refusal_of_the_engine_is_final(
    nursery: trio.Nursery, autojump_clock: MockClock, engine: Engine, kind: type[IIIError], code: str
) -> None:
    """One attempt, no wait, and the engine's code."""
    network = Network(nursery, engine)
    error = await fails_to_open(network)
    assert type(error) is kind
    assert getattr(error, "code", None) == code
    assert len(network.opened_at) == 1
    assert trio.current_time() == 0
    await trio.testing.wait_all_tasks_blocked()
    assert engine.link.ended.is_set()


async def test_a_refused_name_says_whose_it_is(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The error tells name, namespace and owner."""
    error = await fails_to_open(Network(nursery, NameTaken()), worker_name="orders")
    assert isinstance(error, RegistrationRejectedError)
    assert (error.worker_name, error.namespace, error.owner_worker_id) == ("orders", "default", "somebody")


async def test_two_clients_with_one_name(autojump_clock: MockClock) -> None:
    """The engine keeps the first; the second fails with one error, and the first goes on."""
    async with open_engine() as engine:
        options = InitOptions(worker_name="only-me")
        async with open_iii(engine.url, options, open_stream=engine.open_stream) as first:
            with pytest.raises(RegistrationRejectedError):
                async with open_iii(engine.url, options, open_stream=engine.open_stream):
                    raise AssertionError("it opened")
            assert first.get_connection_state() == "connected"


# ---- the caller's mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1", id="scheme"),
        pytest.param("ws://", id="no host"),
        pytest.param("ws://user:secret@127.0.0.1", id="password"),
        pytest.param("ws://127.0.0.1:99999", id="port"),
        pytest.param(f"ws://{'a' * 64}.example", id="label too long"),
        pytest.param("ws://a..example", id="empty label"),
    ],
)
async def test_a_wrong_url(url: str) -> None:
    """A URL that can never work is the caller's mistake, at once."""
    with trio.fail_after(5), leaves_nothing(), pytest.raises(ConfigurationError):
        async with open_iii(url):
            raise AssertionError("it opened")


async def test_an_open_stream_that_opens_no_stream(autojump_clock: MockClock) -> None:
    """It is the caller's mistake, and not tried again."""

    async def open_stream() -> Any:
        await trio.lowlevel.checkpoint()
        return "a stream"

    with leaves_nothing(), pytest.raises(ConfigurationError, match="must return"):
        async with open_iii(URL, open_stream=open_stream):
            raise AssertionError("it opened")
    assert trio.current_time() == 0


# ---- open_stream ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [OSError("no tunnel"), ValueError("no tunnel"), ExceptionGroup("two", [OSError("no tunnel"), KeyError("k")])],
    ids=lambda fault: type(fault).__name__,
)
async def test_an_open_stream_that_raises(nursery: trio.Nursery, autojump_clock: MockClock, fault: Exception) -> None:
    """A tunnel may fail in any way: it is tried again, and what it said stands in the error."""

    async def open_stream() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise fault

    with leaves_nothing(), pytest.raises(EngineUnavailable, match="no tunnel"):
        async with open_iii(URL, open_stream=open_stream):
            raise AssertionError("it opened")
    assert trio.current_time() > 1


async def test_an_open_stream_that_hangs(autojump_clock: MockClock) -> None:
    """It has the connect time-out, like every attempt."""

    async def open_stream() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    with leaves_nothing(), pytest.raises(EngineUnavailable, match="within 4 s"):
        async with open_iii(URL, InitOptions(connect_timeout=4, open_timeout=0), open_stream=open_stream):
            raise AssertionError("it opened")
    assert trio.current_time() == 4


@pytest.mark.parametrize("fault", [OSError(5, "I/O"), RuntimeError("bang"), trio.BrokenResourceError("gone")])
async def test_a_stream_that_raises_anything(
    nursery: trio.Nursery, autojump_clock: MockClock, fault: Exception
) -> None:
    """Whatever a stream raises while frames go over it is a lost connection, and its words are kept."""
    engine = Engine()
    network = Network(nursery, engine)
    async with open_iii(URL, open_stream=network.open_stream) as iii:
        network.streams[0].broken_by = fault
        iii.trigger_nowait("work")
        await trio.testing.wait_all_tasks_blocked()
        assert iii.get_connection_state() == "reconnecting"
        await iii.wait_connected()
        assert iii.statistics().connects == 2


async def test_a_stream_that_raises_in_the_handshake(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The same before the connection is open."""

    def broken(stream: trio.abc.Stream) -> Recorder:
        return Recorder(stream, broken_by=RuntimeError("bang"))

    error = await fails_to_open(Network(nursery, Engine(), wrap=broken), open_timeout=0)
    assert isinstance(error, EngineUnavailable)
    assert "bang" in str(error)


# ---- TLS ------------------------------------------------------------------------------------------------------------


def tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.parametrize("transport", ["trio-websocket", "websockets"])
@pytest.mark.parametrize("peer", [Engine, AnswersInFragments])
async def test_wss_with_a_context(nursery: trio.Nursery, transport: TransportName, peer: type[Engine]) -> None:
    """`wss://` works with an `ssl_context` that trusts the certificate, over both transports, in small and in large."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with trio.fail_after(10):
        engine = peer()
        port = await listen(nursery, engine, tls(authority, "127.0.0.1"))
        with leaves_nothing():
            options = InitOptions(ssl_context=trusting)
            async with open_iii(f"wss://127.0.0.1:{port}", options, transport=transport) as iii:
                assert iii.statistics().transport == transport
                for data in ({"over": "tls"}, {"large": "x" * 300_000}):
                    assert await iii.trigger("echo", data) == data
            await engine.link.ended.wait()
        assert engine.link.close is not None


@pytest.mark.parametrize("trusts", [False, True], ids=["an unknown authority", "another host's certificate"])
async def test_wss_verifies(nursery: trio.Nursery, trusts: bool) -> None:
    """Verification is on by default and with a context: the error says that it was the certificate."""
    authority = trustme.CA()
    context = None
    if trusts:
        context = ssl.create_default_context()
        authority.configure_trust(context)
    with trio.fail_after(10):
        port = await listen(nursery, Engine(), tls(authority, "engine.example"))
        with leaves_nothing(), pytest.raises(EngineUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            async with open_iii(f"wss://127.0.0.1:{port}", InitOptions(ssl_context=context, open_timeout=0)):
                raise AssertionError("it opened")


async def test_wss_to_a_server_without_tls(nursery: trio.Nursery) -> None:
    """It is a failed attempt with a reason."""
    with trio.fail_after(10):
        port = await listen(nursery, SpeaksSmtp())
        with leaves_nothing(), pytest.raises(EngineUnavailable, match="TLS handshake failed"):
            async with open_iii(f"wss://127.0.0.1:{port}", InitOptions(open_timeout=0)):
                raise AssertionError("it opened")


async def test_cancelled_in_the_tls_handshake(nursery: trio.Nursery) -> None:
    """The socket is closed."""
    with trio.fail_after(10):
        port = await listen(nursery, Silent())
        with leaves_nothing(), trio.move_on_after(0.05) as scope:
            async with open_iii(f"wss://127.0.0.1:{port}"):
                raise AssertionError("it opened")
        assert scope.cancelled_caught


# ---- what the server is sent ----------------------------------------------------------------------------------------


def headers_of(engine: Engine) -> dict[str, str]:
    assert engine.link.request is not None
    return {name.decode().lower(): value.decode() for name, value in engine.link.request.extra_headers}


async def test_headers_and_token_of_the_options(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Both are sent with the handshake, and a query stays in the request."""
    engine = Engine()
    network = Network(nursery, engine)
    options = InitOptions(headers={"X-Tenant": "blue"}, token="s3cret")
    async with open_iii("ws://engine.invalid:81/?key=v%20w&x", options, open_stream=network.open_stream) as iii:
        assert headers_of(engine)["x-tenant"] == "blue"
        assert headers_of(engine)["authorization"] == "Bearer s3cret"
        assert engine.link.request is not None
        assert engine.link.request.target == "/?key=v%20w&x"
        assert engine.link.request.host == "engine.invalid:81"
        assert "s3cret" not in repr(iii)
        assert "v%20w" not in repr(iii)


@pytest.mark.parametrize("explicit", [False, True], ids=["the URL of III_URL", "the same URL as an argument"])
async def test_the_token_of_the_environment(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, explicit: bool
) -> None:
    """`III_TOKEN` is a secret of the engine that `III_URL` names: who names the URL himself does not send it."""
    engine = Engine()
    with trio.fail_after(5):
        url = f"ws://127.0.0.1:{await listen(nursery, engine)}"
        monkeypatch.setenv("III_URL", url)
        monkeypatch.setenv("III_TOKEN", "s3cret")
        async with open_iii(url if explicit else None):
            assert headers_of(engine).get("authorization") == (None if explicit else "Bearer s3cret")


# ---- cancelled and interrupted --------------------------------------------------------------------------------------


async def test_cancelled_before_it_begins(autojump_clock: MockClock) -> None:
    """An expired scope opens nothing and hangs nowhere."""
    async with open_engine() as engine:
        with leaves_nothing(), trio.move_on_after(0) as scope:
            async with open_iii(engine.url, open_stream=engine.open_stream):
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught


@pytest.mark.parametrize("door", ["open_iii", "connect_iii"])
async def test_cancelled_at_every_step(autojump_clock: MockClock, door: str) -> None:
    """Whichever await of opening, serving or leaving a cancellation hits: nothing stays behind, here or at the engine."""
    async with open_engine() as engine:
        streams: list[Recorder] = []

        async def open_stream() -> trio.abc.Stream:
            streams.append(Recorder(await engine.open_stream()))
            return streams[-1]

        async def live() -> None:
            if door == "open_iii":
                async with open_iii(engine.url, open_stream=open_stream) as iii:
                    await iii.wait_connected()
                return
            async with trio.open_nursery() as nursery:
                iii = await connect_iii(nursery, engine.url, open_stream=open_stream)
                await iii.aclose()

        acted, step = True, 0
        while acted:
            scope = trio.CancelScope()
            with leaves_nothing(), AtStep(step, scope.cancel) as cancellation, scope:
                await live()
            assert all(stream.closed for stream in streams)
            await trio.testing.wait_all_tasks_blocked()
            assert engine.connections == ()
            acted, step = cancellation.acted, step + 1
        assert step > 40
        assert trio.current_time() == 0


def test_interrupted_at_every_step() -> None:
    """Control-C at any await leaves the block as `KeyboardInterrupt`, never in a group, and nothing stays behind."""

    async def live(engine: EmbeddedEngine, interrupt: AtStep) -> None:
        async with open_iii(engine.url, open_stream=engine.open_stream) as iii:
            await iii.wait_connected()
        await trio.lowlevel.checkpoint()
        if not interrupt.acted:
            raise KeyboardInterrupt

    async def main(step: int) -> bool:
        async with open_engine() as engine:
            interrupt = AtStep(step, lambda: signal.raise_signal(signal.SIGINT))
            with leaves_nothing():
                with interrupt, pytest.raises(KeyboardInterrupt):
                    await live(engine, interrupt)
                # The engine has a task for the link, which has yet to see its end.
                await trio.testing.wait_all_tasks_blocked()
            return interrupt.acted

    step = 0
    while trio.run(main, step, clock=MockClock(autojump_threshold=0)):
        step += 1
    assert step > 40


# ---- connect_iii ----------------------------------------------------------------------------------------------------


async def test_connect_iii(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The client lives in the caller's nursery until it is closed; closing it again does nothing."""
    engine = Engine()
    network = Network(nursery, engine)
    with leaves_nothing(network):
        async with trio.open_nursery() as inner:
            iii = await connect_iii(inner, URL, open_stream=network.open_stream)
            assert await iii.trigger("echo", 1) == 1
            await iii.aclose()
            assert iii.get_connection_state() == "disconnected"
            await iii.aclose()
            await iii.shutdown()
    assert engine.link.close is not None


async def test_connect_iii_cancelled(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Cancelling the nursery closes the client, with a Close for the engine."""
    engine = Engine()
    network = Network(nursery, engine)
    with leaves_nothing(network):
        async with trio.open_nursery() as inner:
            await connect_iii(inner, URL, open_stream=network.open_stream)
            inner.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert engine.link.close is not None
    assert engine.link.close.code == 1000


async def test_connect_iii_that_cannot_open(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Its error is raised where it was awaited, and in no group."""
    network = Network(nursery, AnswersHttp(401))
    with leaves_nothing(network):
        async with trio.open_nursery() as inner:
            with pytest.raises(AuthenticationError):
                await connect_iii(inner, URL, open_stream=network.open_stream)


async def test_connect_iii_that_fails_later(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Its error is raised in the caller's nursery, once."""
    engine = Engine()
    network = Network(nursery, engine, RefusesLogin())
    clients: list[III] = []

    async def live() -> None:
        async with trio.open_nursery() as inner:
            clients.append(await connect_iii(inner, URL, open_stream=network.open_stream))
            await engine.link.stream.aclose()
            await trio.sleep_forever()

    with leaves_nothing(network), pytest.raises(ExceptionGroup) as caught:
        await live()
    assert [type(error) for error in caught.value.exceptions] == [AuthenticationError]
    assert [iii.get_connection_state() for iii in clients] == ["failed"]


async def test_connect_iii_in_a_closed_nursery(autojump_clock: MockClock) -> None:
    """The nursery refuses, and the worker's name is not lost."""
    async with trio.open_nursery() as inner:
        pass
    with pytest.raises(RuntimeError, match="closed"):
        await connect_iii(inner, URL)
    assert first_name_is_free()


@pytest.mark.parametrize("name", [name for name in get_args(TransportName) if name != "auto"])
async def test_channels_run_over_the_transport_of_their_client(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch, name: TransportName
) -> None:
    """As its calls do, and not over the one that would be chosen by itself."""
    served: list[str] = []

    def noted(transport: type[Transport]) -> Callable[..., Awaitable[None]]:
        serve = transport.serve

        async def note(*args: Any, **kwargs: Any) -> None:
            served.append(transport.NAME)
            await serve(*args, **kwargs)

        return note

    for transport in (TrioWebSocketTransport, WebsocketsTransport):
        monkeypatch.setattr(transport, "serve", noted(transport))
    async with open_iii(link.engine.url, transport=name, open_stream=link.open_stream) as iii:
        assert served == [name]
        channel = await iii.create_channel()
        async with channel.writer, channel.reader:
            await channel.writer.open()
            await channel.reader.open()
            assert served == [name] * 3
