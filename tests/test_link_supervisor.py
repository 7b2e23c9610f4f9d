"""Above the connections: how a client comes back, what it says first, and what becomes of calls meanwhile."""

from __future__ import annotations

import errno
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio import III, InitOptions, ReconnectionConfig, open_iii
from iii_trio.errors import (
    AuthenticationError,
    ClientClosed,
    ConnectionLost,
    EngineUnavailable,
    Fate,
    HandshakeRefused,
    IIIError,
    RegistrationRejectedError,
)
from iii_trio.testing import open_engine
from tests._hostile import (
    QUESTION,
    REGISTER,
    AnswersHttp,
    AtStep,
    DropsAfterUpgrade,
    EndsInHandshake,
    Engine,
    NameTaken,
    Network,
    NeverGreets,
    Peer,
    RefusesLogin,
    RefusesRegistration,
    leaves_nothing,
)

URL = "ws://engine.invalid"
EXACT = InitOptions(reconnection_config=ReconnectionConfig(jitter_factor=0))


async def handler() -> None:
    """A handler."""


async def lose(engine: Engine) -> None:
    """Drop the newest connection, and let the client see it."""
    await engine.link.stream.aclose()
    await wait_all_tasks_blocked()


# ---- coming back ----------------------------------------------------------------------------------------------------


async def test_what_a_connection_begins_with(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """First the old connection is retired with its id and token, then worker, functions, question, barrier, each once."""
    engine = Engine()
    network = Network(nursery, engine)
    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii:
        assert engine.link.types() == [REGISTER, QUESTION, "ping"]
        for name in ("one", "two", "three"):
            iii.register_function(name, handler)
        gone = iii.register_function("four", handler)
        gone.unregister()
        for number in (1, 2):
            await lose(engine)
            await iii.wait_connected()
            first, register, *functions, question, ping = engine.link.frames
            assert first == {
                "type": "reattach",
                "previous_worker_id": f"worker-{number}",
                "reattach_token": f"token-{number}",
            }
            assert register["function_id"] == REGISTER
            assert register["invocation_id"]
            assert [(frame["type"], frame["id"]) for frame in functions] == [
                ("registerfunction", name) for name in ("one", "two", "three")
            ]
            assert (question["function_id"], question["data"]) == (QUESTION, {"runtime": "engine"})
            assert ping == {"type": "ping"}
        assert iii.statistics().worker_id == "worker-3"


async def test_calls_that_were_sent_end_with_the_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """They end at once, and say that they may have run; those that were not sent go out on the next connection."""
    engine = Engine()
    network = Network(nursery, engine)
    lost: list[ConnectionLost] = []
    answers: list[Any] = []

    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii, trio.open_nursery() as calls:

        async def sent() -> None:
            with pytest.raises(ConnectionLost) as caught:
                await iii.trigger("nobody")
            lost.append(caught.value)

        async def unsent(number: int) -> None:
            answers.append(await iii.trigger("echo", number))

        for _ in range(100):
            calls.start_soon(sent)
        await wait_all_tasks_blocked()
        await lose(engine)
        assert len(lost) == 100
        assert {(error.code, error.fate) for error in lost} == {("CONNECTION_LOST", Fate.MAY_HAVE_RUN)}
        assert iii.statistics().calls_in_flight == 0
        assert iii.statistics().lost_calls == 100
        for number in range(10):
            calls.start_soon(unsent, number)
        iii.trigger_nowait("audit", "offline")
        await iii.wait_connected()
        await engine.wait_for(lambda: "audit" in engine.link.types())
    assert sorted(answers) == list(range(10))
    replay = [REGISTER, QUESTION, "ping"]
    assert engine.link.types()[1:4] == replay


async def test_an_answer_is_not_carried_to_the_next_connection(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A handler goes on when its connection is lost; its result is dropped, and counted."""
    engine = Engine()
    network = Network(nursery, engine)
    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii:
        finish = trio.Event()

        async def slow() -> None:
            await finish.wait()

        iii.register_function("slow", slow)
        await engine.link.send(type="invokefunction", function_id="slow", data=None, invocation_id="i")
        await wait_all_tasks_blocked()
        await lose(engine)
        await iii.wait_connected()
        finish.set()
        await wait_all_tasks_blocked()
        assert "invocationresult" not in [frame["type"] for frame in engine.link.frames]
        assert iii.statistics().dropped_results == 1


async def test_waiting_for_the_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Everybody who waits is woken by the connection that is ready, not by those that are not."""
    engine = Engine()
    network = Network(nursery, engine, NeverGreets(), DropsAfterUpgrade(), engine)
    woken: list[float] = []

    async def wait(iii: III) -> None:
        await iii.wait_connected()
        woken.append(trio.current_time())

    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii:
        await lose(engine)
        async with trio.open_nursery() as inner:
            for _ in range(5):
                inner.start_soon(wait, iii)
        assert woken == [pytest.approx(network.opened_at[-1])] * 5
        assert network.waits == pytest.approx([1, 12, 4])


# ---- the waits ------------------------------------------------------------------------------------------------------


async def test_the_waits_start_over_when_a_connection_was_ready(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Growing waits before the engine is there, the first wait again after it was."""
    engine = Engine()
    away: list[Peer] = [EndsInHandshake()] * 3
    network = Network(nursery, engine, *away, engine, *away, engine)
    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii:
        for _ in range(2):
            await lose(engine)
            await iii.wait_connected()
        assert network.waits == pytest.approx([1, 2, 4, 8] * 2)
        assert iii.statistics().connects == 3
        assert iii.statistics().connect_failures == 6


async def test_jitter_spreads_the_waits(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Two waits of the same attempt differ, within 30 % of a second."""
    engine = Engine()
    network = Network(nursery, engine)
    async with open_iii(URL, open_stream=network.open_stream) as iii:
        for _ in range(20):
            await lose(engine)
            await iii.wait_connected()
    assert all(0.7 <= wait <= 1.3 for wait in network.waits)
    assert len(set(network.waits)) > 1


class RefusesConnections(trio.abc.SocketFactory):
    """A network stack on which every connection is refused."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []

    def socket(self, *_: Any, **__: Any) -> Any:
        factory = self

        class Refused(trio.socket.SocketType):
            def __init__(self) -> None:
                """Trio's own cannot be made from outside."""

            def setsockopt(self, *_: Any, **__: Any) -> None: ...

            async def connect(self, address: Any) -> None:
                factory.asked_at.append(trio.current_time())
                await trio.lowlevel.checkpoint()
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

            def close(self) -> None: ...

        return Refused()


async def test_a_refused_port_is_asked_often(autojump_clock: MockClock) -> None:
    """On a host that is up waits do not grow beyond 2 s, jitter included."""
    factory = RefusesConnections()
    trio.socket.set_custom_socket_factory(factory)
    with trio.move_on_after(600):
        async with open_iii("ws://127.0.0.1:1", InitOptions(open_timeout=float("inf"))):
            raise AssertionError("it opened")
    waits = [later - earlier for earlier, later in zip(factory.asked_at, factory.asked_at[1:], strict=False)]
    assert len(waits) > 290
    assert max(waits) == pytest.approx(2.0)


# ---- what is final later --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 503])
async def test_later_a_status_may_pass(nursery: trio.Nursery, autojump_clock: MockClock, status: int) -> None:
    """After a ready connection a 4xx may be a proxy before an engine that restarts."""
    engine = Engine()
    network = Network(nursery, engine, AnswersHttp(status), engine)
    async with open_iii(URL, EXACT, open_stream=network.open_stream) as iii:
        await lose(engine)
        await iii.wait_connected()
        assert network.waits == pytest.approx([1, 2])


@pytest.mark.parametrize("status", [401, 403])
async def test_later_a_refused_login_is_final(nursery: trio.Nursery, autojump_clock: MockClock, status: int) -> None:
    """A login that is refused after a reconnect ends the client."""
    engine = Engine()
    network = Network(nursery, engine, AnswersHttp(status))

    async def live() -> None:
        async with open_iii(URL, EXACT, open_stream=network.open_stream):
            await lose(engine)
            await trio.sleep_forever()

    with leaves_nothing(network), pytest.raises(AuthenticationError):
        await live()
    assert len(network.opened_at) == 2


# ---- what the user says of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "kind"),
    [
        pytest.param(AnswersHttp(403), AuthenticationError, id="status"),
        pytest.param(RefusesLogin(), AuthenticationError, id="login"),
        pytest.param(RefusesRegistration("FORBIDDEN"), RegistrationRejectedError, id="worker"),
        pytest.param(NameTaken(), RegistrationRejectedError, id="name"),
    ],
)
async def test_what_is_usually_fatal_can_be_tried_again(
    nursery: trio.Nursery, autojump_clock: MockClock, peer: Peer, kind: type[IIIError]
) -> None:
    """At the beginning and after a loss, with the usual waits; who says so gets the error, and which of the two it is."""
    engine, said = Engine(), []
    network = Network(nursery, peer, engine, peer, peer, Engine())

    def never(error: IIIError, first: bool) -> bool:
        said.append((type(error), first))
        return False

    options = attrs.evolve(EXACT, is_fatal=never)
    async with open_iii(URL, options, open_stream=network.open_stream) as iii:
        assert iii.get_connection_state() == "connected"
        await lose(engine)
        await iii.wait_connected()
        assert said == [(kind, True), (kind, False), (kind, False)]
        assert network.waits == pytest.approx([1, 1, 2, 4])


async def test_an_opening_that_is_tried_again_has_its_time_out(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It says why the last attempt was refused."""
    options = attrs.evolve(EXACT, is_fatal=lambda error, first: False)
    network = Network(nursery, RefusesLogin())
    with leaves_nothing(network), pytest.raises(EngineUnavailable, match="refused the login: no such key"):
        async with open_iii(URL, options, open_stream=network.open_stream):
            raise AssertionError
    assert network.waits == pytest.approx([1, 2, 4])


async def test_what_is_usually_tried_again_can_be_fatal(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The error is raised as it is."""
    network = Network(nursery, AnswersHttp(503))
    with leaves_nothing(network), pytest.raises(HandshakeRefused) as caught:
        async with open_iii(URL, InitOptions(is_fatal=lambda error, first: True), open_stream=network.open_stream):
            raise AssertionError
    assert caught.value.status == 503
    assert len(network.opened_at) == 1


@pytest.mark.parametrize("answer", [None, ValueError("boom")], ids=["says nothing", "raises"])
async def test_who_does_not_say_leaves_it_at_what_is_usual(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, answer: Exception | None
) -> None:
    """A 503 is tried again, a refused login is final; what it raises is logged."""

    def undecided(error: IIIError, first: bool) -> None:
        if answer is not None:
            raise answer

    network = Network(nursery, AnswersHttp(503), RefusesLogin())
    with leaves_nothing(network), pytest.raises(AuthenticationError):
        async with open_iii(URL, attrs.evolve(EXACT, is_fatal=undecided), open_stream=network.open_stream):
            raise AssertionError
    assert network.waits == pytest.approx([1])
    assert caplog.text.count("InitOptions.is_fatal failed") == (2 if answer else 0)


# ---- at every step --------------------------------------------------------------------------------------------------


async def test_lost_at_every_step(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Whenever a link breaks, while opening, working or leaving, the client comes back or leaves, and nothing else."""
    engine = Engine()
    network = Network(nursery, engine)

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            ref = iii.register_function("work", handler)
            await ref.wait_registered()
            try:
                assert await iii.trigger("echo", 1) == 1
            except ConnectionLost:
                await iii.wait_connected()
                assert await iii.trigger("echo", 1) == 1

    def drop_all() -> None:
        for link in engine.links:
            link.drop()

    acted, step = True, 0
    while acted:
        with leaves_nothing(network), AtStep(step, drop_all) as loss:
            await live()
        await wait_all_tasks_blocked()
        assert network.serving == 0
        acted, step = loss.acted, step + 1
    assert step > 50
    assert max(network.waits) < 2


async def test_closed_at_every_step_of_coming_back(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Whenever a client is closed on its way back, it ends, and the engine sees no more of it."""
    async with open_engine() as engine:

        async def come_back(step: int) -> bool:
            door = open_iii(engine.url, EXACT, open_stream=engine.open_stream)
            iii = await door.__aenter__()
            engine.drop_links()
            with AtStep(step, lambda: nursery.start_soon(iii.aclose)) as closing:
                try:
                    await wait_all_tasks_blocked()
                    await iii.wait_connected()
                except ClientClosed:
                    assert closing.acted
            await door.__aexit__(None, None, None)
            return closing.acted

        step = 0
        while await come_back(step):
            step += 1
            await wait_all_tasks_blocked()
            assert engine.connections == ()
        assert step > 40
