"""How a client ends: what leaves the block, what the engine still gets, and how long it may take."""

from __future__ import annotations

import logging
import signal
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from iii_trio import III, InitOptions, ReconnectionConfig, open_iii
from iii_trio.errors import (
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    EngineUnavailable,
    InternalError,
    PayloadError,
    RegistrationRejectedError,
)
from tests._hostile import (
    AnswersHttp,
    DropsAfterUpgrade,
    EchoesClose,
    Engine,
    Link,
    Network,
    NeverAnswers,
    NeverEnds,
    NeverGreets,
    Peer,
    RefusesLogin,
    Silent,
    leaves_nothing,
)

URL = "ws://engine.invalid"


async def nothing() -> None:
    """A handler."""


# ---- what leaves the block ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ValueError("mine"),
        PayloadError("mine"),
        ExceptionGroup("mine", [ValueError("mine")]),
        BaseExceptionGroup("mine", [KeyboardInterrupt()]),
        SystemExit(3),
        KeyboardInterrupt(),
        StopAsyncIteration(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_bodys_exception_passes_unchanged(
    nursery: trio.Nursery, autojump_clock: MockClock, error: BaseException
) -> None:
    """What the body raises leaves the block as the same object, and nothing stays behind."""
    network = Network(nursery, Engine())
    with leaves_nothing(network):
        try:
            async with open_iii(URL, open_stream=network.open_stream):
                raise error
        except BaseException as caught:
            assert caught is error  # noqa: PT017 - pytest.raises would not show that no group is around it


async def test_the_callers_cancellation_passes(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A cancelled body leaves the block as `Cancelled`, and its scope catches it."""
    engine = Engine()
    network = Network(nursery, engine)
    passed = False
    with leaves_nothing(network), trio.move_on_after(3) as scope:
        try:
            async with open_iii(URL, open_stream=network.open_stream):
                await trio.sleep_forever()
        except trio.Cancelled:
            passed = True
            raise
    assert passed
    assert scope.cancelled_caught
    assert trio.current_time() == 3
    await wait_all_tasks_blocked()
    assert engine.link.close is not None


async def outlive(network: Network, engine: Engine, options: InitOptions | None = None) -> None:
    """Live in a block whose engine drops the connection, until something ends the block."""
    async with open_iii(URL, options, open_stream=network.open_stream):
        await engine.link.stream.aclose()
        await trio.sleep_forever()


def fail_later(nursery: trio.Nursery) -> tuple[Network, Engine]:
    """A network whose first engine works, and whose second refuses the login: the client fails when the first drops."""
    engine = Engine()
    return Network(nursery, engine, RefusesLogin()), engine


async def test_a_fatal_failure_cancels_the_body(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The one error leaves the block, in no group; the client stays failed and says why."""
    network, engine = fail_later(nursery)
    clients: list[III] = []

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            clients.append(iii)
            await engine.link.stream.aclose()
            await trio.sleep_forever()

    with leaves_nothing(network), pytest.raises(AuthenticationError) as caught:
        await live()
    [iii] = clients
    assert iii.get_connection_state() == "failed"
    with pytest.raises(AuthenticationError) as again:
        await iii.wait_connected()
    assert again.value is caught.value
    with pytest.raises(ClientClosed):
        await iii.trigger("echo", 1)


async def test_a_client_that_gives_up(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With `max_retries` a client that was ready fails too when nobody comes back."""
    engine = Engine()
    network = Network(nursery, engine, DropsAfterUpgrade())
    options = InitOptions(reconnection_config=ReconnectionConfig(max_retries=3))
    with leaves_nothing(network), pytest.raises(EngineUnavailable, match="without a Close"):
        await outlive(network, engine, options)
    assert len(network.opened_at) == 4


async def test_the_bodys_own_error_wins(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What the body raises while it is cancelled by a failure is not lost."""
    network, engine = fail_later(nursery)

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream):
            await engine.link.stream.aclose()
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")

    with leaves_nothing(network), pytest.raises(ValueError, match="mine"):
        await live()


async def test_the_bodys_own_error_in_a_group_wins(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """From a group with our cancellation in it, what is the body's own leaves the block."""
    network, engine = fail_later(nursery)

    async def raise_at_the_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("mine")

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream):
            await engine.link.stream.aclose()
            async with trio.open_nursery() as inner:
                inner.start_soon(raise_at_the_end)
                inner.start_soon(trio.sleep_forever)
                await trio.sleep_forever()

    with leaves_nothing(network), pytest.raises(ExceptionGroup) as caught:
        await live()
    assert [str(error) for error in caught.value.exceptions] == ["mine"]


@pytest.mark.parametrize("calls", [1, 3])
async def test_calls_that_end_with_the_client_are_the_failure(
    nursery: trio.Nursery, autojump_clock: MockClock, calls: int
) -> None:
    """However many calls a failure ends, in however many tasks: the failure leaves the block, and no group."""
    network, engine = fail_later(nursery)

    async def call(iii: III) -> None:
        await iii.wait_connected()
        await iii.trigger("unsent", timeout_ms=1e9)

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            await engine.link.stream.aclose()
            await wait_all_tasks_blocked()
            async with trio.open_nursery() as inner:
                for _ in range(calls):
                    inner.start_soon(call, iii)

    with leaves_nothing(network), pytest.raises(AuthenticationError):
        await live()


async def test_the_callers_cancellation_and_a_failure(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """When both come at once the cancellation passes: the caller does not wait for an error any more."""
    network, engine = fail_later(nursery)
    with leaves_nothing(network), trio.CancelScope() as scope:
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            await engine.link.stream.aclose()
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()
                with pytest.raises(AuthenticationError):
                    await iii.wait_connected()
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_a_failure_between_opening_and_the_body(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """An engine that confirms and refuses in one breath: the body is not left alone with a failed client."""

    class ConfirmsAndRefuses(Engine):
        async def answer(self, link: Link, frame: dict[str, Any]) -> None:
            await super().answer(link, frame)
            if frame["type"] == "ping":
                await link.send(
                    type="registrationrejected",
                    code="WORKER_NAMESPACE_CONFLICT",
                    namespace="default",
                    owner_worker_id="somebody",
                    worker_name="me",
                )

    network = Network(nursery, ConfirmsAndRefuses())
    with leaves_nothing(network), trio.fail_after(60), pytest.raises(RegistrationRejectedError):
        async with open_iii(URL, open_stream=network.open_stream):
            await trio.sleep_forever()


class RaisesOn(logging.Filter):
    """A filter of somebody's with a bug: code that is not ours, and that runs in our tasks."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def filter(self, record: logging.LogRecord) -> bool:
        if self._words in record.getMessage():
            raise LookupError("a bug")
        return True


@pytest.mark.parametrize("moment", ["opening", "running", "leaving"])
async def test_a_bug_in_a_service_is_one_error(
    nursery: trio.Nursery, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """Whatever breaks in a task of ours leaves the block as `InternalError`, with the cause chained."""
    engine = Engine()
    network = Network(nursery, engine if moment != "opening" else AnswersHttp(503))

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream):
            if moment == "running":
                await engine.link.stream.aclose()
                await trio.sleep_forever()

    bug = RaisesOn("connection to")
    caplog.set_level(logging.INFO, "iii_trio")
    logging.getLogger("iii_trio").addFilter(bug)
    try:
        with leaves_nothing(network), pytest.raises(InternalError) as caught:
            await live()
    finally:
        logging.getLogger("iii_trio").removeFilter(bug)
    assert isinstance(caught.value.__cause__, LookupError)
    assert "report" in str(caught.value)


async def test_an_interrupt_in_a_handler(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """`KeyboardInterrupt` out of a task of ours leaves the block as such, in no group."""

    async def interrupted() -> None:
        raise KeyboardInterrupt

    engine = Engine()
    network = Network(nursery, engine)

    async def live() -> None:
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            iii.register_function("interrupted", interrupted)
            await engine.link.send(type="invokefunction", function_id="interrupted", data=None, invocation_id="i")
            await trio.sleep_forever()

    with leaves_nothing(network), pytest.raises(KeyboardInterrupt):
        await live()


def test_an_interrupt_ends_a_slow_goodbye() -> None:
    """Control-C while the engine is waited for ends the waiting."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            network = Network(nursery, NeverEnds())
            token = trio.lowlevel.current_trio_token()

            async def interrupt() -> None:
                await trio.sleep(1)
                token.run_sync_soon(signal.raise_signal, signal.SIGINT)

            async def live() -> None:
                async with open_iii(URL, InitOptions(close_timeout=1000), open_stream=network.open_stream):
                    nursery.start_soon(interrupt)
                    await trio.lowlevel.checkpoint()

            with leaves_nothing(network), pytest.raises(KeyboardInterrupt):
                await live()
            assert trio.current_time() == pytest.approx(1)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def test_an_interrupt_ends_a_drain() -> None:
    """Control-C while handlers are waited for cancels them, and leaves a client that is closed."""

    async def main() -> None:
        clients: list[III] = []
        async with trio.open_nursery() as nursery:
            engine = Engine()
            network = Network(nursery, engine)
            token = trio.lowlevel.current_trio_token()

            async def interrupt() -> None:
                await trio.sleep(1)
                token.run_sync_soon(signal.raise_signal, signal.SIGINT)

            async def live() -> None:
                async with open_iii(URL, open_stream=network.open_stream) as iii:
                    clients.append(iii)
                    iii.register_function("endless", trio.sleep_forever)
                    await engine.link.send(type="invokefunction", function_id="endless", data=None, invocation_id="i")
                    nursery.start_soon(interrupt)
                    await wait_all_tasks_blocked()

            with leaves_nothing(network), pytest.raises(KeyboardInterrupt):
                await live()
            assert trio.current_time() == pytest.approx(1)
            nursery.cancel_scope.cancel()
        with pytest.raises(ClientClosed):
            await clients[0].trigger("echo")

    trio.run(main, clock=MockClock(autojump_threshold=0))


# ---- a clean exit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heals", "sendings", "seconds"),
    [pytest.param(False, 1, 0.0, id="once"), pytest.param(True, 2, 0.025, id="with the second sendings of results")],
)
async def test_what_is_queued_is_sent_before_the_goodbye(
    nursery: trio.Nursery, autojump_clock: MockClock, heals: bool, sendings: int, seconds: float
) -> None:
    """Void calls and results that wait when the block ends arrive, then a Close, and then the end is awaited."""
    engine = Engine()
    network = Network(nursery, engine)
    with leaves_nothing(network):
        options = InitOptions(heal_early_results=heals)
        async with open_iii(URL, options, open_stream=network.open_stream) as iii:
            done = trio.Event()

            async def work() -> str:
                done.set()
                return "the result"

            iii.register_function("work", work)
            await engine.link.send(type="invokefunction", function_id="work", data=None, invocation_id="i")
            await done.wait()
            for number in range(1000):
                iii.trigger_nowait("audit", number)
    assert engine.link.ended.is_set()
    assert engine.link.close is not None
    assert engine.link.close.code == 1000
    assert [frame["data"] for frame in engine.link.frames if frame.get("function_id") == "audit"] == list(range(1000))
    assert [frame["result"] for frame in engine.link.frames if frame["type"] == "invocationresult"] == [
        "the result"
    ] * sendings
    assert trio.current_time() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("engine", "seconds"),
    [
        pytest.param(Engine(), 0, id="ends the stream"),
        pytest.param(EchoesClose(), 0, id="answers the Close"),
        pytest.param(NeverEnds(), 5, id="does neither"),
    ],
)
async def test_the_engines_end_is_awaited(
    nursery: trio.Nursery, autojump_clock: MockClock, engine: Engine, seconds: float
) -> None:
    """Leaving waits until the engine has let go, and no longer than the close time-out."""
    network = Network(nursery, engine)
    with leaves_nothing(network):
        async with open_iii(URL, open_stream=network.open_stream):
            pass
    assert trio.current_time() == pytest.approx(seconds)
    assert engine.link.close is not None


@pytest.mark.parametrize(("close_timeout", "seconds"), [(5, 5), (0.5, 0.5), (0, 0)])
async def test_a_peer_that_reads_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock, close_timeout: float, seconds: float
) -> None:
    """A writer that is stuck does not hold up the exit, and nothing is said behind half a frame."""
    network = Network(nursery, Engine())
    with leaves_nothing(network):
        async with open_iii(URL, InitOptions(close_timeout=close_timeout), open_stream=network.open_stream) as iii:
            network.streams[0].jammed = True
            iii.trigger_nowait("audit", "stuck")
    assert trio.current_time() == pytest.approx(seconds)
    assert b"audit" not in network.streams[0].writes[-2]
    assert len(network.streams[0].writes[-1]) > len("audit")


async def test_flush_and_goodbye_share_one_bound(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What the flush took is not granted again for the goodbye."""
    network = Network(nursery, NeverEnds())
    with leaves_nothing(network):
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            network.streams[0].delay = 2
            iii.trigger_nowait("audit", "slow")
    assert trio.current_time() == pytest.approx(5)


async def test_an_engine_that_dies_under_the_goodbye(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Leaving does not wait for an engine that is gone, even with frames that nobody will get."""
    engine = Engine()
    network = Network(nursery, engine)

    async def die() -> None:
        await trio.sleep(1)
        await engine.link.stream.aclose()

    with leaves_nothing(network):
        async with trio.open_nursery() as inner, open_iii(URL, open_stream=network.open_stream) as iii:
            network.streams[0].jammed = True
            for number in range(100):
                iii.trigger_nowait("audit", number)
            await wait_all_tasks_blocked()
            iii.trigger_nowait("audit", "unsent")
            inner.start_soon(die)
    assert trio.current_time() == pytest.approx(1)


@pytest.mark.parametrize(
    ("next_peer", "seconds"),
    [
        pytest.param(None, 0.1, id="in the pause between attempts"),
        pytest.param(Silent(), 2, id="in the handshake"),
        pytest.param(NeverGreets(), 2, id="before the greeting"),
        pytest.param(NeverAnswers(), 2, id="in the replay"),
    ],
)
async def test_leaving_while_reconnecting(
    nursery: trio.Nursery, autojump_clock: MockClock, next_peer: Peer | None, seconds: float
) -> None:
    """Wherever the client is on its way back, leaving takes no time, and calls that wait end."""
    engine = Engine()
    network = Network(nursery, engine, next_peer or Silent())
    ended: list[BaseException] = []

    async def call(iii: III) -> None:
        try:
            await iii.trigger("echo", 1)
        except ClientClosed as error:
            ended.append(error)

    with leaves_nothing(network):
        async with trio.open_nursery() as inner, open_iii(URL, open_stream=network.open_stream) as iii:
            await engine.link.stream.aclose()
            await trio.sleep(seconds)
            inner.start_soon(call, iii)
            await wait_all_tasks_blocked()
            assert iii.get_connection_state() == "reconnecting"
    assert trio.current_time() == pytest.approx(seconds)
    assert [type(error) for error in ended] == [ClientClosed]


async def test_leaving_while_the_stream_is_opened(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A tunnel that is being dug is given up."""
    engine = Engine()
    network = Network(nursery, engine)
    dug = 0

    async def open_stream() -> trio.abc.Stream:
        nonlocal dug
        dug += 1
        if dug > 1:
            await trio.sleep_forever()
        return await network.open_stream()

    with leaves_nothing(network):
        async with open_iii(URL, open_stream=open_stream):
            await engine.link.stream.aclose()
            await trio.sleep(3)
            assert dug == 2
    assert trio.current_time() == 3


# ---- aclose ---------------------------------------------------------------------------------------------------------


async def test_aclose_in_the_body(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client can be closed before its block ends, often and by many: then everything is refused."""
    engine = Engine()
    network = Network(nursery, engine)
    with leaves_nothing(network):
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            async with trio.open_nursery() as inner:
                inner.start_soon(iii.aclose)
                inner.start_soon(iii.shutdown)
            await iii.aclose()
            assert engine.link.ended.is_set()
            for refused in (iii.trigger("echo"), iii.wait_connected()):
                with pytest.raises(ClientClosed):
                    await refused
            with pytest.raises(ClientClosed):
                iii.trigger_nowait("echo")
    assert iii.get_connection_state() == "disconnected"
    assert len(engine.links) == 1


async def test_aclose_cancelled(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Closing is carried out even when it is cancelled, with a Close for the engine."""
    engine = Engine()
    network = Network(nursery, engine)
    async with open_iii(URL, open_stream=network.open_stream) as iii:
        with trio.CancelScope() as scope:
            scope.cancel()
            await iii.aclose()
        assert scope.cancelled_caught
        assert engine.link.close is not None
        assert iii.get_connection_state() == "disconnected"


@pytest.mark.parametrize("depth", ["the handler", "a task of the handler"])
async def test_aclose_in_a_handler(nursery: trio.Nursery, autojump_clock: MockClock, depth: str) -> None:
    """A handler may close its client: it is cancelled with the others, and waits for nobody."""
    engine = Engine()
    network = Network(nursery, engine)
    states = []

    with leaves_nothing(network), trio.fail_after(60):
        async with open_iii(URL, open_stream=network.open_stream) as iii:

            async def stop() -> None:
                try:
                    if depth == "the handler":
                        await iii.aclose()
                    else:
                        async with trio.open_nursery() as inner:
                            inner.start_soon(iii.aclose)
                            inner.start_soon(iii.aclose)
                    await trio.sleep_forever()
                finally:
                    states.append("cancelled")

            iii.register_function("stop", stop)
            await engine.link.send(type="invokefunction", function_id="stop", data=None, invocation_id="i")
            await engine.link.ended.wait()
    assert states == ["cancelled"]
    assert engine.link.close is not None
    assert trio.current_time() == 0


@pytest.mark.parametrize(("shielded", "says_goodbye"), [(3, True), (8, False)])
async def test_a_handler_that_shields_itself(
    nursery: trio.Nursery, autojump_clock: MockClock, shielded: float, says_goodbye: bool
) -> None:
    """It is waited for, since nothing can end it; a link that is closed waits for it within the close time-out only."""
    engine = Engine()
    network = Network(nursery, engine)

    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(shielded)

    with leaves_nothing(network):
        async with open_iii(URL, open_stream=network.open_stream) as iii:
            iii.register_function("stubborn", stubborn)
            await engine.link.send(type="invokefunction", function_id="stubborn", data=None, invocation_id="i")
            await wait_all_tasks_blocked()
            await iii.aclose()
    assert trio.current_time() == pytest.approx(shielded)
    assert (engine.link.close is not None) is says_goodbye


async def test_a_function_of_a_closed_client(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Registering is refused as well, and wrong arguments are still the caller's mistake first."""
    network = Network(nursery, Engine())
    async with open_iii(URL, open_stream=network.open_stream) as iii:
        with pytest.raises(ConfigurationError):
            iii.register_function("", nothing)
    with pytest.raises(ClientClosed):
        iii.register_function("late", nothing)
