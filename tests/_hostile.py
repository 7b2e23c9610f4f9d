"""Peers and streams that misbehave, one class each, for the tests of the link.

A `Network` is what a client gets as `open_stream`: each connection is served by the next peer of its list, the last peer
serves all further ones. `listen` puts a peer on a loopback port instead. `Engine` is well-behaved as far as the link can
tell; its subclasses each have one fault, and so have the raw peers, which do not even speak HTTP.
"""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import attrs
import trio
import trio.testing
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from iii_trio import InitOptions
from iii_trio._client.identity import NAMES

REGISTER = "engine::workers::register"
QUESTION = "engine::workers::list"
EMPTY_CLOSE = b"\x88\x00"
RESERVED_BIT = b"\xc1\x00"
"""The head of a frame with a bit set that no extension was agreed on for."""


class Peer(Protocol):
    """Serves one connection."""

    async def serve(self, stream: trio.abc.Stream) -> None: ...


# ---- streams --------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Recorder(trio.abc.Stream):
    """The client's end of a connection: notes what is sent in one go, and whether the end was let go.

    Jammed, it takes no more bytes, as a socket whose peer does not read; with a delay it takes them slowly.
    """

    inner: trio.abc.Stream
    writes: list[bytes] = attrs.field(factory=list)
    closed: bool = False
    jammed: bool = False
    delay: float = 0
    """Seconds that each sending takes."""

    broken_by: Exception | None = None
    """Raised by the next sending or receiving that is not under way."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken_by is not None:
            raise self.broken_by
        self.writes.append(bytes(data))
        if self.jammed:
            await trio.sleep_forever()
        await trio.sleep(self.delay)
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self.inner.receive_some(max_bytes)
        if self.broken_by is not None:
            raise self.broken_by
        return data

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


class CannotClose(Recorder):
    """A tunnel of somebody's that raises when it is closed."""

    async def aclose(self) -> None:
        await super().aclose()
        raise RuntimeError("the tunnel collapsed")


# ---- how a client gets to a peer ------------------------------------------------------------------------------------


class Network:
    """Connections in memory. `open_stream` is for clients; the rest says what they did."""

    def __init__(
        self, nursery: trio.Nursery, *peers: Peer, wrap: Callable[[trio.abc.Stream], Recorder] = Recorder
    ) -> None:
        self._nursery = nursery
        self._peers = list(peers)
        self._wrap = wrap
        self.opened_at: list[float] = []
        self.streams: list[Recorder] = []
        self.serving = 0

    @property
    def waits(self) -> list[float]:
        """Seconds from each attempt to the next."""
        return [later - earlier for earlier, later in zip(self.opened_at, self.opened_at[1:], strict=False)]

    async def open_stream(self) -> trio.abc.Stream:
        self.opened_at.append(trio.current_time())
        ours, theirs = trio.testing.memory_stream_pair()
        peer = self._peers.pop(0) if len(self._peers) > 1 else self._peers[0]
        self._nursery.start_soon(self._serve, peer, theirs)
        await trio.lowlevel.checkpoint()
        self.streams.append(self._wrap(ours))
        return self.streams[-1]

    async def _serve(self, peer: Peer, stream: trio.abc.Stream) -> None:
        self.serving += 1
        try:
            await peer.serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.serving -= 1
            await trio.aclose_forcefully(stream)


async def listen(nursery: trio.Nursery, peer: Peer, ssl_context: ssl.SSLContext | None = None) -> int:
    """Serve a peer on a loopback port; returns the port."""

    async def serve(stream: trio.abc.Stream) -> None:
        if ssl_context is not None:
            stream = trio.SSLStream(stream, ssl_context, server_side=True, https_compatible=True)
        try:
            await peer.serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    on_loopback = functools.partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
    listeners: list[trio.SocketListener] = await nursery.start(on_loopback)
    return int(listeners[0].socket.getsockname()[1])


@asynccontextmanager
async def unused_port() -> AsyncIterator[int]:
    """A port that is bound, and on which nobody listens."""
    with trio.socket.socket() as socket:
        await socket.bind(("127.0.0.1", 0))
        yield socket.getsockname()[1]


@contextmanager
def leaves_nothing(*networks: Network) -> Iterator[None]:
    """After the block no task of the client's is left, its streams are closed, and its name is free."""

    def tasks() -> int:
        return trio.lowlevel.current_statistics().tasks_living - sum(network.serving for network in networks)

    before = tasks()
    yield
    assert tasks() == before
    assert all(stream.closed for network in networks for stream in network.streams)
    assert first_name_is_free()


def first_name_is_free() -> bool:
    """Whether no client of this process is open."""
    slot, _ = NAMES.take(InitOptions())
    NAMES.release(slot)
    return slot == 1


class AtStep(trio.abc.Instrument):
    """Does something before one step of any task, counted from when it was added."""

    def __init__(self, step: int, act: Callable[[], object]) -> None:
        self._left = step
        self._act = act
        self.acted = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left < 0 and not self.acted:
            self.acted = True
            self._act()

    def __enter__(self) -> AtStep:
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)


# ---- an engine, as far as the link can tell -------------------------------------------------------------------------


@attrs.define(eq=False)
class Link:
    """The server's end of one WebSocket, without manners of its own."""

    stream: trio.abc.Stream
    request: Request | None = None
    frames: list[dict[str, Any]] = attrs.field(factory=list)
    """What came as JSON."""

    close: CloseConnection | None = None
    """The client's Close."""

    pongs: int = 0
    ended: trio.Event = attrs.field(factory=trio.Event)
    _protocol: WSConnection = attrs.field(factory=lambda: WSConnection(ConnectionType.SERVER))
    _text: str = ""
    _dribbles: bool = False
    _unanswered: list[dict[str, Any]] = attrs.field(factory=list)

    async def accept(self) -> None:
        """Do the handshake."""
        while self.request is None:
            data = await self._receive()
            if not data:
                raise trio.BrokenResourceError("the client ended in the handshake")
            self._protocol.receive_data(data)
            self.request = next((e for e in self._protocol.events() if isinstance(e, Request)), None)
        await self.send_event(AcceptConnection())

    async def send(self, **frame: Any) -> None:
        """Send one JSON frame, unless Close was said already."""
        if self._protocol.state is ConnectionState.OPEN:
            await self.send_event(TextMessage(data=json.dumps(frame)))

    def encode(self, **frame: Any) -> bytes:
        """The bytes of one JSON frame, for sending many in one piece."""
        return self.encode_event(TextMessage(data=json.dumps(frame)))

    def encode_event(self, event: Event) -> bytes:
        return self._protocol.send(event)

    def dribble(self) -> bool:
        """Whether this is the first byte of a frame that never ends."""
        first, self._dribbles = not self._dribbles, True
        return first

    def drop(self) -> None:
        """End the stream now, without a Close."""
        assert isinstance(self.stream, trio.StapledStream)
        for half in (self.stream.send_stream, self.stream.receive_stream):
            assert isinstance(half, (trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream))
            half.close()

    async def say_close(self) -> None:
        """Send the engine's Close, which has no code."""
        self._protocol.send(CloseConnection(code=1000))
        await self.stream.send_all(EMPTY_CLOSE)

    async def send_event(self, event: Event) -> None:
        await self.stream.send_all(self.encode_event(event))

    async def send_raw(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def receive(self) -> list[Event]:
        """What the client does; nothing when it ended the stream or broke a rule."""
        while data := await self._receive():
            try:
                self._protocol.receive_data(data)
            except RemoteProtocolError:
                return []
            if events := list(self._protocol.events()):
                for event in events:
                    self._note(event)
                return events
        return []

    def _note(self, event: Event) -> None:
        if isinstance(event, Pong):
            self.pongs += 1
        elif isinstance(event, CloseConnection):
            self.close = event
        elif isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                self.frames.append(json.loads(self._text))
                self._unanswered.append(self.frames[-1])
                self._text = ""

    def take(self) -> list[dict[str, Any]]:
        """The frames that were not taken yet."""
        taken, self._unanswered = self._unanswered, []
        return taken

    def types(self) -> list[str]:
        """The types of the frames that came, invocations by the function's id."""
        return [frame.get("function_id", frame["type"]) for frame in self.frames if frame["type"] != "pong"]

    async def _receive(self) -> bytes:
        try:
            return bytes(await self.stream.receive_some(65536))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""


class Engine:
    """Greets, registers, answers pings and Close as the real one does: with the end of the stream, not with a Close.

    Calls of the function ``echo`` are answered with their data; others never.
    """

    def __init__(self) -> None:
        self.links: list[Link] = []
        self._news = trio.lowlevel.ParkingLot()

    @property
    def link(self) -> Link:
        """The newest connection."""
        return self.links[-1]

    async def serve(self, stream: trio.abc.Stream) -> None:
        link = Link(stream)
        self.links.append(link)
        try:
            await link.accept()
            await self.greet(link)
            while events := await link.receive():
                for frame in link.take():
                    await self.answer(link, frame)
                for event in events:
                    if isinstance(event, Ping):
                        await link.send_event(event.response())
                self._news.unpark_all()
                if link.close is not None:
                    await self.part(link)
                    return
        finally:
            link.ended.set()
            self._news.unpark_all()

    async def greet(self, link: Link) -> None:
        number = len(self.links)
        await link.send(type="workerregistered", worker_id=f"worker-{number}", reattach_token=f"token-{number}")

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        if frame["type"] == "ping":
            await link.send(type="pong")
        elif frame.get("function_id") == REGISTER:
            await self.register(link, frame)
        elif frame.get("function_id") == "echo" and "invocation_id" in frame:
            await self.reply(link, frame, result=frame["data"])

    async def register(self, link: Link, frame: dict[str, Any]) -> None:
        await self.reply(link, frame, result={"success": True})

    async def reply(self, link: Link, frame: dict[str, Any], **outcome: Any) -> None:
        await link.send(**result(frame, **outcome))

    async def part(self, link: Link) -> None:
        """Answer the client's Close."""

    async def wait_for(self, happened: Callable[[], object]) -> None:
        """Wait until something is true that a frame of a client makes true."""
        while not happened():
            await self._news.park()


def result(frame: dict[str, Any], **outcome: Any) -> dict[str, Any]:
    """The answer to an invocation."""
    names = {name: frame[name] for name in ("invocation_id", "function_id")}
    return {"type": "invocationresult", **names, **outcome}


class AnswersInFragments(Engine):
    """Sends every result in many frames, with pings between them."""

    async def reply(self, link: Link, frame: dict[str, Any], **outcome: Any) -> None:
        whole = json.dumps(result(frame, **outcome))
        for begin in range(0, len(whole), 5000):
            end = begin + 5000
            await link.send_event(TextMessage(data=whole[begin:end], message_finished=end >= len(whole)))
            await link.send_event(Ping())


class NeverGreets(Engine):
    """Upgrades, and then says nothing."""

    async def greet(self, link: Link) -> None:
        pass


class PingsInsteadOfGreeting(Engine):
    """Is alive, and does not greet."""

    async def greet(self, link: Link) -> None:
        while True:
            await link.send_event(Ping(payload=b"?"))
            await trio.sleep(2)


class NeverAnswers(Engine):
    """Greets, and answers nothing."""

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        pass


class PingsInsteadOfAnswering(NeverAnswers):
    """Greets, is alive, and answers nothing."""

    async def greet(self, link: Link) -> None:
        await super().greet(link)
        while True:
            await link.send_event(Ping(payload=b"?"))
            await trio.sleep(2)


class RegistersWithoutPong(Engine):
    """Answers the register call, and never the barrier behind the replay."""

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        if frame["type"] != "ping":
            await super().answer(link, frame)


class DropsAfterUpgrade(Engine):
    """Accepts every connection and drops it."""

    async def greet(self, link: Link) -> None:
        await link.stream.aclose()


class RefusesLogin(Engine):
    """Upgrades, says that the login is refused, and sends Close, as the engine's listeners with access control do."""

    async def greet(self, link: Link) -> None:
        await link.send(type="error", error={"code": "AUTH_ERROR", "message": "no such key"})
        await link.say_close()


class NameTaken(Engine):
    """Somebody else has the worker's name: a rejection, then Close, and no answer to the register call."""

    async def register(self, link: Link, frame: dict[str, Any]) -> None:
        await link.send(
            type="registrationrejected",
            code="WORKER_NAMESPACE_CONFLICT",
            namespace="default",
            owner_worker_id="somebody",
            worker_name=frame["data"]["name"],
        )
        await link.say_close()


@attrs.define(eq=False)
class RefusesRegistration(Engine):
    """Fails the register call."""

    code: str

    def __attrs_pre_init__(self) -> None:
        Engine.__init__(self)

    async def register(self, link: Link, frame: dict[str, Any]) -> None:
        await self.reply(link, frame, error={"code": self.code, "message": "not here"})


class NeverEnds(Engine):
    """Ignores a Close, and keeps the stream open."""

    async def part(self, link: Link) -> None:
        while await link.stream.receive_some():
            pass


class EchoesClose(Engine):
    """Answers a Close with a Close, as most WebSocket servers do, and lets the client end the stream."""

    async def part(self, link: Link) -> None:
        assert link.close is not None
        await link.send_event(link.close.response())
        while await link.stream.receive_some():
            pass


class StopsPonging(Engine):
    """Well-behaved until `silent` is set; then it reads, says nothing more, and does not end either."""

    silent = False

    async def answer(self, link: Link, frame: dict[str, Any]) -> None:
        if not self.silent:
            await super().answer(link, frame)

    async def part(self, link: Link) -> None:
        while self.silent and await link.stream.receive_some():
            pass


# ---- servers that are no engine -------------------------------------------------------------------------------------


class Silent:
    """Accepts the connection, and says nothing, ever."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass


class EndsInHandshake:
    """Ends the stream when it has read the request, after a part of an answer."""

    def __init__(self, said: bytes = b"") -> None:
        self._said = said

    async def serve(self, stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        if self._said:
            await stream.send_all(self._said)


class SpeaksSmtp:
    """Is no HTTP server."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        while await stream.receive_some():
            pass


class AnswersHttp:
    """Answers with an HTTP status; `body` says how the body ends."""

    def __init__(self, status: int, body: str = "length") -> None:
        head = f"HTTP/1.1 {status} Whatever\r\n"
        self._answer = {
            "length": head + "Content-Length: 2\r\n\r\nno",
            "empty": head + "Content-Length: 0\r\n\r\n",
            "end of stream": head + "Connection: close\r\n\r\nno",
            "never": head + "Content-Length: 1000000\r\n\r\nno",
        }[body].encode()
        self._stays = body != "end of stream"
        self.requests = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.requests += 1
        await stream.receive_some()
        # In two pieces, since nobody promises that a status line comes in one.
        await stream.send_all(self._answer[:7])
        await trio.lowlevel.checkpoint()
        await stream.send_all(self._answer[7:])
        while self._stays and await stream.receive_some():
            pass
