"""What tests of handlers and of the client's API share: an engine in memory, and a link to it that can misbehave."""

from __future__ import annotations

import json
import os
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import attrs
import pytest
import trio
import trio.testing

from iii_trio import III, InitOptions, open_iii
from iii_trio._link import choice
from iii_trio.testing import EmbeddedEngine, open_engine
from tests._engines import ENGINES
from tests._websocket import TEXT, frame
from tests.workers import Bench, Worker

FrameT = TypeVar("FrameT")


class FaultyStream(trio.abc.Stream):
    """A stream that can be stalled, cut, and spoken into from the engine's side."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self._flowing = trio.Event()
        self._flowing.set()
        self._said: deque[bytes] = deque()
        self._reading = trio.CancelScope()
        self._is_cut = False
        self.sends = 0
        """How often the client has handed bytes over."""

        self.upgraded = trio.Event()
        """Set as soon as the engine has answered anything: its handshake, and with it, or soon after, its greeting."""

        self.is_ghost = False
        """Whether the peer hears nothing when the client lets go, as when its host has vanished."""

    def stall(self) -> None:
        """Take nothing from the client any more."""
        self._flowing = trio.Event()

    def flow(self) -> None:
        """Take what the client sends again."""
        self._flowing.set()

    def say(self, *texts: str) -> None:
        """Have the client receive text messages in one piece, as if the engine had sent them."""
        self._said.append(b"".join(frame(TEXT, text.encode()) for text in texts))
        self._reading.cancel()

    def cut(self) -> None:
        """End without a Close, as a broken network does."""
        self._is_cut = True
        self._flowing.set()
        self._reading.cancel()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sends += 1
        await self._flowing.wait()
        self._check()
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._flowing.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        while not self._said:
            self._check()
            with trio.CancelScope() as self._reading:
                data = await self._inner.receive_some(max_bytes)
                self.upgraded.set()
                return data
        await trio.lowlevel.checkpoint()
        return self._said.popleft()

    async def aclose(self) -> None:
        if not self.is_ghost:
            await self._inner.aclose()

    async def bury(self) -> None:
        """Let the peer of a ghost hear of its end."""
        await trio.aclose_forcefully(self._inner)

    def _check(self) -> None:
        if self._is_cut:
            raise trio.BrokenResourceError("the link was cut")


class Reachable(Protocol):
    """An engine that one can get a stream to."""

    @property
    def url(self) -> str: ...

    async def open_stream(self) -> trio.abc.Stream: ...


EngineT = TypeVar("EngineT", bound=Reachable)


class Link(Generic[EngineT]):
    """The way of one client to an engine. Its `open_stream` is the client's."""

    def __init__(self, engine: EngineT) -> None:
        self.engine = engine
        self.is_up = True
        self.wire: FaultyStream

    async def open_stream(self) -> trio.abc.Stream:
        if not self.is_up:
            raise OSError("the link is down")
        self.wire = FaultyStream(await self.engine.open_stream())
        return self.wire

    def client(self, **options: Any) -> AbstractAsyncContextManager[III]:
        """A client that waits for no handler when its block is left, unless `drain_timeout` says so."""
        options.setdefault("drain_timeout", 0)
        return open_iii(self.engine.url, InitOptions(**options), open_stream=self.open_stream)

    async def go_down(self) -> None:
        """Cut the connection, let none come, and wait until the client and the engine know."""
        self.is_up = False
        self.wire.cut()
        await trio.testing.wait_all_tasks_blocked()

    def say(self, **frame: Any) -> None:
        self.wire.say(json.dumps(frame))


MemoryLink: TypeAlias = Link[EmbeddedEngine]


class Gate:
    """A handler that holds its invocations until it is opened."""

    def __init__(self) -> None:
        self.entered = 0
        self.inside = 0
        self.peak = 0
        self._news = trio.lowlevel.ParkingLot()
        self._opened = trio.Event()

    async def __call__(self, data: Any) -> Any:
        self.entered += 1
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        self._news.unpark_all()
        try:
            await self._opened.wait()
        finally:
            self.inside -= 1
        return data

    def open(self) -> None:
        self._opened.set()

    async def wait_entered(self, count: int = 1) -> None:
        while self.entered < count:
            await self._news.park()


@attrs.define
class Outcome:
    """What became of something that ran in a task of its own."""

    value: Any = None
    error: BaseException | None = None
    done: trio.Event = attrs.field(factory=trio.Event)

    async def wait(self) -> Any:
        await self.done.wait()
        if self.error is not None:
            raise self.error
        return self.value


def start(nursery: trio.Nursery, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    """Run `function` beside the test, and keep its outcome."""
    outcome = Outcome()

    async def run() -> None:
        try:
            outcome.value = await function(*args, **kwargs)
        except Exception as error:
            outcome.error = error
        finally:
            outcome.done.set()

    nursery.start_soon(run)
    return outcome


def frames(engine: EmbeddedEngine, kind: type[FrameT], **fields: Any) -> list[FrameT]:
    """What the engine received of a kind, with these values in these fields."""
    found = [received.frame for received in engine.received if isinstance(received.frame, kind)]
    return [frame for frame in found if all(getattr(frame, name) == value for name, value in fields.items())]


@pytest.fixture
async def engine() -> AsyncIterator[EmbeddedEngine]:
    """An engine in memory. A good client sends it nothing that it cannot decode."""
    async with open_engine() as engine:
        yield engine
        assert engine.undecodable == ()


@pytest.fixture
def link(engine: EmbeddedEngine) -> MemoryLink:
    """A link to the engine that can misbehave."""
    return Link(engine)


@pytest.fixture(autouse=True)
def _transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes the transport of III_TEST_TRANSPORT, if that is set: the whole suite holds for both."""
    if name := os.environ.get("III_TEST_TRANSPORT"):
        monkeypatch.setattr(choice, "best_transport", lambda: choice.find_transport(name))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what the developer's shell says about engines."""
    for name in ("III_URL", "III_TOKEN", "III_WORKER_NAME", "III_NAMESPACE", "III_ISOLATION"):
        monkeypatch.delenv(name, raising=False)


# ---- engines on sockets -----------------------------------------------------------------------------------------------


@pytest.fixture(params=ENGINES)
async def engine_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an engine that listens."""
    if request.param == "real":
        yield os.environ["III_TEST_URL"]
        return
    async with open_engine(port=0, namespace_grace_ms=1_500) as engine:  # as in tests/engine.yaml
        yield engine.url
        assert engine.undecodable == ()


@pytest.fixture
def fresh() -> str:
    """Nobody has used it before."""
    return f"t{uuid.uuid4().hex[:12]}"


# ---- the embedded engine without I/O ----------------------------------------------------------------------------------


@pytest.fixture
def bench() -> Bench:
    """An engine without I/O."""
    return Bench()


@pytest.fixture
def caller(bench: Bench) -> Worker:
    """A worker without functions."""
    return bench.worker("caller")


@pytest.fixture
def callee(bench: Bench) -> Worker:
    """The owner of the function `f`."""
    worker = bench.worker("callee")
    worker.sends("registerfunction", id="f")
    return worker
