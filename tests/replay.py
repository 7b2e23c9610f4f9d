"""Holds an engine against a recorded conversation with the real one (tests/transcripts/README.md has the format).

It needs nothing but a function that opens a stream to the engine, so the same transcript runs over memory and over
sockets. Line kinds that no transcript of the worker protocol uses raise `Unsupported`.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import attrs
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from tests.http_client import Client, Response

OpenStream: TypeAlias = Callable[[], Awaitable[trio.abc.Stream]]
Line: TypeAlias = dict[str, Any]
Item: TypeAlias = tuple[str, Any]
"""What arrived: ``text`` with str, ``binary``, ``ping`` or ``pong`` with bytes, ``close`` with code and reason."""

NO_CLOSE: Final = 1006
NO_CODE: Final = 1005
TIMEOUT: Final = 8.0
_OPTIONAL_WAIT_MS: Final = 300
_FAREWELL: Final = 2.0


class Differs(AssertionError):
    """The engine did something else than the transcript says."""


class Unsupported(Exception):
    """The transcript has a line that this replay does not know."""


# ---- values ---------------------------------------------------------------------------------------------------------

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PATTERNS: Final = {
    "uuid": _UUID,
    "token": _UUID,
    "trace": r"[0-9a-f]{32}",
    "span": r"[0-9a-f]{16}",
    "ts": r"[-+:.TZ0-9]+",
    "ns": r"\d{19}",
    "any": r".*?",
    "n": r"-?\d+(?:\.\d+)?",
    "s": r".*?",
}
_NUMERIC: Final = ("ts", "ns", "n")
_PLACEHOLDER: Final = re.compile(r"\$(uuid|token|trace|span|ts|ns|any|n|s)(\d+)")


def _invent(kind: str) -> Any:
    if kind in ("uuid", "token"):
        return str(uuid.uuid4())
    if kind in _NUMERIC:
        return secrets.randbelow(10**6)
    return secrets.token_hex({"trace": 16, "span": 8}.get(kind, 6))


def _same(want: Any, got: Any) -> bool:
    """Numbers by value; True is not 1, and null is only null."""
    if isinstance(want, bool) or isinstance(got, bool) or want is None or got is None:
        return want is got
    return bool(want == got)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"


@attrs.define
class Placeholders:
    """The values that stand behind `$uuid1` and its like: bound once, the same ever after."""

    values: dict[str, Any] = attrs.field(factory=dict)

    def expand(self, value: Any) -> Any:
        """A value to send, with values for new placeholders and sizes unfolded."""
        if isinstance(value, dict):
            if set(value) == {"$repeat"}:
                text, times = value["$repeat"]
                return self.expand(text) * times
            if set(value) == {"$nest"}:
                depth, inner = value["$nest"]
                nested = self.expand(inner)
                for _ in range(depth):
                    nested = [nested]
                return nested
            return {self.expand(key): self.expand(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item) for item in value]
        if not isinstance(value, str):
            return value
        if whole := _PLACEHOLDER.fullmatch(value):
            return self._get(whole)
        return _PLACEHOLDER.sub(lambda match: str(self._get(match)), value)

    def _get(self, match: re.Match[str]) -> Any:
        if match[0] not in self.values:
            self.values[match[0]] = _invent(match[1])
        return self.values[match[0]]

    def problem(self, want: Any, got: Any, *, exact: bool = True) -> str | None:
        """How `got` differs from what was recorded; None binds new placeholders. `exact` refuses additional keys."""
        saved = dict(self.values)
        try:
            self._compare(want, got, "$", exact)
        except Differs as difference:
            self.values = saved
            return str(difference)
        return None

    def _compare(self, want: Any, got: Any, path: str, exact: bool) -> None:
        if isinstance(want, dict):
            if len(want) == 1 and (special := self._SPECIAL.get(next(iter(want)))) is not None:
                special(self, next(iter(want.values())), got, path, exact)
            else:
                self._compare_objects(want, got, path, exact)
        elif isinstance(want, list):
            if not isinstance(got, list) or len(got) != len(want):
                raise Differs(f"{path}: expected {_short(want)}, got {_short(got)}")
            for index, (wanted, actual) in enumerate(zip(want, got, strict=True)):
                self._compare(wanted, actual, f"{path}[{index}]", exact)
        elif isinstance(want, str) and _PLACEHOLDER.search(want):
            self._compare_text(want, got, path)
        elif not _same(want, got):
            raise Differs(f"{path}: expected {_short(want)}, got {_short(got)}")

    def _compare_objects(self, want: dict[str, Any], got: Any, path: str, exact: bool) -> None:
        if not isinstance(got, dict):
            raise Differs(f"{path}: expected {_short(want)}, got {_short(got)}")
        wanted = {self.expand(key): value for key, value in want.items()}
        for key, value in wanted.items():
            if key not in got:
                raise Differs(f"{path}: no key {key!r} in {_short(got)}")
            self._compare(value, got[key], f"{path}.{key}", exact)
        if exact and (more := sorted(got.keys() - wanted.keys())):
            raise Differs(f"{path}: unexpected keys {more} in {_short(got)}")

    def _compare_text(self, want: str, got: Any, path: str) -> None:
        if whole := _PLACEHOLDER.fullmatch(want):
            self._bind(whole[0], whole[1], got, path)
            return
        if not isinstance(got, str):
            raise Differs(f"{path}: expected {want!r}, got {_short(got)}")
        found = list(_PLACEHOLDER.finditer(want))
        literals = [re.escape(part) for part in re.split(_PLACEHOLDER.pattern.replace("(", "(?:"), want)]
        pattern = literals[0] + "".join(
            f"({_PATTERNS[match[1]]}){literal}" for match, literal in zip(found, literals[1:], strict=True)
        )
        actual = re.fullmatch(pattern, got, re.DOTALL)
        if actual is None:
            raise Differs(f"{path}: expected {want!r}, got {_short(got)}")
        for match, text in zip(found, actual.groups(), strict=True):
            self._bind(match[0], match[1], text, path)

    def _bind(self, name: str, kind: str, got: Any, path: str) -> None:
        if name in self.values:
            if not _same(self.values[name], got):
                raise Differs(f"{path}: {name} was {_short(self.values[name])}, now {_short(got)}")
            return
        number = kind in _NUMERIC and isinstance(got, (int, float)) and not isinstance(got, bool)
        text = isinstance(got, str) and re.fullmatch(_PATTERNS[kind], got, re.DOTALL)
        if not (kind == "any" or number or text):
            raise Differs(f"{path}: {_short(got)} cannot be {name}")
        if kind in ("uuid", "token") and got in self.values.values():
            raise Differs(f"{path}: {name} must be new, but {got} was seen before")
        self.values[name] = got

    def _contains(self, want: list[Any], got: Any, path: str, exact: bool) -> None:
        if not isinstance(got, list):
            raise Differs(f"{path}: expected an array, got {_short(got)}")
        for item in want:
            if all(self.problem(item, candidate, exact=exact) is not None for candidate in got):
                raise Differs(f"{path}: no element like {_short(item)} in {_short(got)}")

    def _excludes(self, want: list[Any], got: Any, path: str, exact: bool) -> None:
        for item in want:
            for candidate in got:
                if Placeholders(dict(self.values)).problem(item, candidate, exact=exact) is None:
                    raise Differs(f"{path}: unexpected element {_short(item)}")

    def _set(self, want: list[Any], got: Any, path: str, exact: bool) -> None:
        if not isinstance(got, list) or len(got) != len(want):
            raise Differs(f"{path}: expected {len(want)} elements in any order, got {_short(got)}")
        self._contains(want, got, path, exact)

    def _csv(self, want: list[Any], got: Any, path: str, exact: bool) -> None:
        self._set(want, got.split(",") if isinstance(got, str) else got, path, exact)

    def _repeat(self, want: Any, got: Any, path: str, exact: bool) -> None:
        if not _same(self.expand({"$repeat": want}), got):
            raise Differs(f"{path}: the long text differs: {_short(got)}")

    def _nest(self, want: Any, got: Any, path: str, exact: bool) -> None:
        if not _same(self.expand({"$nest": want}), got):
            raise Differs(f"{path}: the nested value differs: {_short(got)}")

    _SPECIAL: ClassVar = {
        "$contains": _contains,
        "$excludes": _excludes,
        "$set": _set,
        "$csv": _csv,
        "$repeat": _repeat,
        "$nest": _nest,
    }


# ---- one connection -------------------------------------------------------------------------------------------------


class Refused(Exception):
    """The engine answered the upgrade with something else."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


class Socket:
    """A WebSocket of which every frame is visible, and on which nothing is sent that the transcript does not send,
    except the echo of a Close."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.reading = trio.Event()
        self.reading.set()
        self.ended = trio.Event()
        self._items: deque[Item] = deque()
        self._news = trio.lowlevel.ParkingLot()
        self._pieces: list[Any] = []
        self._sent_close = False
        # The echo of a Close is sent while a message may still be on its way.
        self._sending = trio.Lock()

    async def upgrade(self, path: str, headers: dict[str, str]) -> None:
        """Open it; raises `Refused`."""
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.stream.send_all(self.protocol.send(Request(host="engine", target=path, extra_headers=extra)))
        status, body = 0, b""
        while True:
            data = await self.stream.receive_some()
            if not data:
                raise Differs("the connection was dropped during the upgrade")
            self.protocol.receive_data(bytes(data))
            for event in self.protocol.events():
                if isinstance(event, AcceptConnection):
                    return
                if isinstance(event, RejectConnection):
                    status = event.status_code
                if isinstance(event, RejectData):
                    body += event.data
                    if event.body_finished:
                        raise Refused(status, body.decode())

    async def pump(self) -> None:
        """Read until the end."""
        try:
            while True:
                for item in self._arrived():
                    self._items.append(item)
                    self._news.unpark_all()
                    if item[0] == "close" and not self._sent_close:
                        await self.close(NO_CODE, "")
                await self.reading.wait()
                data = await self.stream.receive_some()
                if not data:
                    break
                self.protocol.receive_data(bytes(data))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # An end like any other, the engine's or the transcript's.
        self.ended.set()
        self._items.append(("close", (NO_CLOSE, "")))
        self._news.unpark_all()

    def _arrived(self) -> Iterator[Item]:
        for event in self.protocol.events():
            if isinstance(event, (TextMessage, BytesMessage)):
                self._pieces.append(event.data)
                if event.message_finished:
                    pieces, self._pieces = self._pieces, []
                    yield ("text" if isinstance(event, TextMessage) else "binary"), pieces[0][:0].join(pieces)
            elif isinstance(event, Pong):
                yield "pong", bytes(event.payload)
            elif isinstance(event, Ping):
                yield "ping", bytes(event.payload)
            elif isinstance(event, CloseConnection):
                yield "close", (int(event.code), event.reason or "")

    async def get(self, seconds: float) -> Item | None:
        """The next thing that arrived, or None if nothing does in time."""
        with trio.move_on_after(seconds):
            while not self._items:
                await self._news.park()
        return self._items.popleft() if self._items else None

    def put_back(self, item: Item) -> None:
        """As if it had not been got."""
        self._items.appendleft(item)

    async def send(self, message: str | bytes, fragment: int | None) -> None:
        """A message, in frames of at most `fragment` bytes or characters."""
        size = fragment or max(len(message), 1)
        for start in range(0, max(len(message), 1), size):
            piece, last = message[start : start + size], start + size >= len(message)
            if isinstance(piece, str):
                event: TextMessage | BytesMessage = TextMessage(data=piece, message_finished=last)
            else:
                event = BytesMessage(data=piece, message_finished=last)
            await self._send(self.protocol.send(event))

    async def flood(self, message: str | bytes, most: int, stall: float, nursery: trio.Nursery) -> int:
        """Send a message until that takes longer than `stall` seconds: how many were handed over, with the stuck one."""
        for count in range(1, most + 1):
            sent = trio.Event()
            nursery.start_soon(self._send_and_tell, message, sent)
            with trio.move_on_after(stall):
                await sent.wait()
            if not sent.is_set():
                return count
        raise Differs(f"expected the engine to stall, but it took {most} messages")

    async def _send_and_tell(self, message: str | bytes, sent: trio.Event) -> None:
        await self.send(message, None)
        sent.set()

    @property
    def is_stuck(self) -> bool:
        """Whether something is being sent."""
        return self._sending.locked()

    async def ping(self, payload: bytes) -> None:
        """A WebSocket ping."""
        await self._send(self.protocol.send(Ping(payload=payload)))

    async def close(self, code: int, reason: str) -> None:
        """A Close frame, or with `NO_CLOSE` the bare end of the connection."""
        self._sent_close = True
        if code == NO_CLOSE:
            await self.stream.aclose()
        else:
            await self._send(self.protocol.send(CloseConnection(code=code, reason=reason or None)))

    async def finish(self) -> None:
        """Leave, and wait until the engine is done with this connection."""
        self.reading.set()
        with trio.move_on_after(_FAREWELL):
            if not self._sent_close:
                await self.close(1000, "")
            await self.ended.wait()
        await trio.aclose_forcefully(self.stream)

    async def _send(self, data: bytes) -> None:
        # What the transcript expects of a broken connection shows in what arrives.
        with suppress(trio.BrokenResourceError):
            async with self._sending:
                await self.stream.send_all(data)


# ---- a transcript ---------------------------------------------------------------------------------------------------


def read_transcript(path: Path) -> list[tuple[int, Line]]:
    """The lines behind the head, with their numbers."""
    lines = [(number, json.loads(text)) for number, text in enumerate(path.read_text("utf-8").splitlines(), 1) if text]
    return lines[1:]


async def replay(
    path: Path,
    open_stream: OpenStream,
    *,
    open_http: OpenStream | None = None,
    skip: Collection[str] = (),
    silence: float = 1.0,
) -> None:
    """Work a transcript off.

    Args:
        path: The file.
        open_stream: Opens a stream to the engine.
        open_http: Opens one to what serves HTTP.
        skip: Placeholders of invocations and bindings that are left out.
        silence: Factor on the recorded silences.

    Raises:
        Differs: With the number of the line.
    """
    lines = [line for line in read_transcript(path) if _id_of(line[1]) not in skip]
    conversation = _Conversation(open_stream, open_http, silence)
    async with trio.open_nursery() as nursery:
        conversation.nursery = nursery
        try:
            while lines:
                number, group = _next_group(lines)
                try:
                    await conversation.step(group)
                except Differs as difference:
                    raise Differs(f"{path.name}:{number}: {difference}") from None
        finally:
            with trio.CancelScope(shield=True):
                await conversation.finish()
            nursery.cancel_scope.cancel()


def _id_of(line: Line) -> Any:
    """The placeholder of the invocation or the binding that a line is about."""
    frame = line.get("frame", {})
    return frame.get("invocation_id", frame.get("id"))


def _next_group(lines: list[tuple[int, Line]]) -> tuple[int, list[Line]]:
    """Take one line, or neighbouring ones whose order is free."""
    number, line = lines.pop(0)
    group = [line]
    while line.get("unordered") and lines and lines[0][1].get("unordered") and lines[0][1]["conn"] == line["conn"]:
        group.append(lines.pop(0)[1])
    return number, group


@attrs.define
class _Conversation:
    open_stream: OpenStream
    open_http: OpenStream | None
    silence: float
    nursery: trio.Nursery = attrs.field(init=False)
    placeholders: Placeholders = attrs.field(factory=Placeholders)
    sockets: dict[str, Socket] = attrs.field(factory=dict)
    responses: dict[str, trio.MemoryReceiveChannel[Response]] = attrs.field(factory=dict)

    async def step(self, group: list[Line]) -> None:
        line = group[0]
        what = line["dir"]
        if what == "wait":
            await trio.sleep(line["ms"] / 1_000)
            return
        if what == "open":
            await self._open(line)
            return
        if what == "http>":
            await self._request(line)
            return
        if what == "http<":
            await self._expect_response(line)
            return
        socket = self.sockets[line["conn"]]
        if what == ">":
            await self._send(socket, line)
        elif what == "<" and line.get("optional"):
            await self._receive_optional(socket, line)
        elif what == "<":
            await self._receive(socket, group)
        elif what == "silent":
            item = await socket.get(line["ms"] / 1_000 * self.silence)
            if item is not None:
                raise Differs(f"expected silence, got {_show(item)}")
        elif what == "close" and line["by"] == "client":
            await socket.close(line["code"], line.get("reason", ""))
        elif what == "close":
            item = await socket.get(line.get("within_ms", TIMEOUT * 1_000) / 1_000)
            if item != ("close", (line["code"], line.get("reason", ""))):
                raise Differs(f"expected close {line['code']}, got {_show(item)}")
        elif what == "flood":
            count = await socket.flood(self._message(line), line["max"], line["stall_ms"] / 1_000, self.nursery)
            self.placeholders.values[line["count"]] = count
        elif what == "drain":
            for _ in range(self.placeholders.values[line["count"]]):
                await self._receive(socket, [line])
        elif what == "hold":
            socket.reading = trio.Event()
        elif what == "release":
            socket.reading.set()
        else:
            raise Unsupported(f"a line of kind {what!r}")

    async def finish(self) -> None:
        for socket in self.sockets.values():
            await socket.finish()

    async def _open(self, line: Line) -> None:
        if "endpoint" in line:
            raise Unsupported(f"the endpoint {line['endpoint']!r}")
        with trio.fail_after(TIMEOUT):
            socket = Socket(await self.open_stream())
            try:
                await socket.upgrade(
                    self.placeholders.expand(line.get("path", "/")), self.placeholders.expand(line.get("headers", {}))
                )
            except Refused as refused:
                await trio.aclose_forcefully(socket.stream)
                wanted = line.get("refused", {"status": 101})
                problem = self.placeholders.problem(wanted, {"status": refused.status, "text": refused.text})
                if problem is not None:
                    raise Differs(problem) from None
                return
        self.sockets[line["conn"]] = socket
        self.nursery.start_soon(socket.pump)
        if "refused" in line:
            raise Differs(f"expected status {line['refused']['status']}, got 101")

    async def _request(self, line: Line) -> None:
        if self.open_http is None or line.get("status"):
            raise Unsupported("HTTP without anybody who serves it")
        send, self.responses[line["conn"]] = trio.open_memory_channel[Response](1)
        client = Client(await self.open_http())
        headers = {"host": "127.0.0.1:3111", "connection": "close", **self.placeholders.expand(line.get("headers", {}))}
        body = None
        if "json" in line:
            body = json.dumps(self.placeholders.expand(line["json"])).encode()
        elif "text" in line or "binary_b64" in line:
            message = self._message(line)
            body = message.encode() if isinstance(message, str) else message

        async def exchange() -> None:
            async with client.stream:
                await send.send(await client.request(line["method"], line["path"], headers, body))

        self.nursery.start_soon(exchange)

    async def _expect_response(self, line: Line) -> None:
        if line["conn"] not in self.responses:
            raise Unsupported("a response to nothing")
        with trio.move_on_after(line.get("within_ms", TIMEOUT * 1_000) / 1_000) as waiting:
            response = await self.responses[line["conn"]].receive()
        if waiting.cancelled_caught:
            raise Differs(f"expected a response with status {line['status']}, got nothing")
        want = {name: line[name] for name in ("status", "headers", "json", "text") if name in line}
        got: dict[str, Any] = {"status": response.status, "headers": response.headers}
        if "json" in line:
            got["json"] = json.loads(response.body)
        elif "text" in line:
            got["text"] = response.body.decode()
        problem = self.placeholders.problem(want, got, exact=False)
        if problem is not None:
            raise Differs(f"{problem} (status {response.status}, body {_short(response.body.decode())})")

    async def _send(self, socket: Socket, line: Line) -> None:
        if "ping" in line and socket.is_stuck:
            self.nursery.start_soon(socket.ping, line["ping"].encode())
        elif "ping" in line:
            await socket.ping(line["ping"].encode())
        else:
            await socket.send(self._message(line), line.get("fragment"))

    def _message(self, line: Line) -> str | bytes:
        expand: Callable[[Any], Any] = self.placeholders.expand
        if "otlp" in line:
            return f"{line['otlp']}{json.dumps(expand(line['frame']))}".encode()
        if "frame" in line:
            text = json.dumps(expand(line["frame"]), ensure_ascii=False)
            return text.encode() if line.get("as") == "binary" else str(text)
        if "text" in line:
            return str(expand(line["text"]))
        if "binary_b64" in line:
            return bytes(base64.b64decode(line["binary_b64"]))
        if "binary_repeat" in line:
            data, times = line["binary_repeat"]
            return bytes(base64.b64decode(data) * times)
        raise Unsupported(f"a message with {sorted(line)}")

    async def _receive(self, socket: Socket, group: list[Line]) -> None:
        missing = list(group)
        while missing:
            item = await socket.get(missing[0].get("within_ms", TIMEOUT * 1_000) / 1_000)
            if item is None:
                raise Differs(f"expected {_short(missing[0])}, got nothing")
            problems = []
            for line in missing:
                problem = self._problem(line, item)
                if problem is None:
                    missing.remove(line)
                    break
                problems.append(problem)
            else:
                raise Differs(problems[0])

    async def _receive_optional(self, socket: Socket, line: Line) -> None:
        item = await socket.get(line.get("within_ms", _OPTIONAL_WAIT_MS) / 1_000)
        if item is not None and self._problem(line, item) is not None:
            socket.put_back(item)

    def _problem(self, line: Line, item: Item) -> str | None:
        """How what arrived differs from what was recorded."""
        kind, payload = item
        if "pong" in line:
            return None if item == ("pong", line["pong"].encode()) else f"expected a pong, got {_show(item)}"
        if "frame" in line and "otlp" not in line:
            if kind != ("binary" if line.get("as") == "binary" else "text"):
                return f"expected {_short(line['frame'])}, got {_show(item)}"
            try:
                frame = json.loads(payload)
            except ValueError:
                return f"expected {_short(line['frame'])}, got {_show(item)}"
            return self.placeholders.problem(line["frame"], frame, exact=not line.get("partial"))
        if "text" in line:
            return self.placeholders.problem(line["text"], payload if kind == "text" else None)
        return None if payload == self._message(line) else f"another message was expected than {_show(item)}"


def _show(item: Item | None) -> str:
    return "nothing" if item is None else f"{item[0]} {_short(str(item[1]))}"
