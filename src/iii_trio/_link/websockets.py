"""The fast transport: the codec of the library `websockets`, without its I/O, on a stream of ours.

There is no task and no queue between the socket and the client: the reader task feeds the codec, and the writer task sends
what the codec makes of a whole batch in one go. The library's own shells, and with them its keepalive, are not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final

import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState, PayloadTooBig
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.uri import WebSocketURI

from iii_trio._link.incoming import Incoming
from iii_trio._link.small_frames import BINARY, SMALL, TEXT, encode, fresh_masks
from iii_trio._link.transport import READ_AHEAD, LinkLost, Transport
from iii_trio._link.watched import FLOOD, MAX_UNASKED, WatchedStream
from iii_trio._wire.codec import MAX_FRAME_SIZE, MAX_MESSAGE_SIZE
from iii_trio._wire.urls import EngineUrl

logger = logging.getLogger("iii_trio")

_RECEIVE_BYTES: Final = 64 * 1024

_END_OF_HEADERS: Final = b"\r\n\r\n"

_FLOOD: Final = 8
"""How often a socket that has given all that was asked is asked for more, before the messages are handed on. Asking for more
at once would cost more, since it would not stay in the processor's cache."""

_FEW: Final = 16
"""With more messages than that they are handed on first: whoever gets them holds up the loop for each."""

_SEND_BYTES: Final = 64 * 1024
"""When so much was written the stream gets it. A frame of that size goes alone, and is not copied once more."""

# The library counts a control frame between two fragments as part of the message. What it allows above our limit is room
# for one, so that a ping cannot end a message which is just large enough; the limit itself is checked in `Incoming`.
_CONTROL_FRAME: Final = 125

# The library's logger would write headers and payloads to whoever listens at DEBUG, and the login is a header.
_SILENT: Final = logging.Logger("iii_trio.websockets", logging.CRITICAL + 1)


class WebsocketsTransport(Transport):
    """One WebSocket of websockets' codec."""

    NAME: ClassVar = "websockets"
    MAX_OUTGOING: ClassVar = MAX_MESSAGE_SIZE

    def __init__(
        self, protocol: ClientProtocol, stream: WatchedStream, max_message_size: int, on_pending: Callable[[], None]
    ) -> None:
        self._protocol = protocol
        self._stream = stream
        self._max_message_size = max_message_size
        self._on_pending = on_pending
        self._incoming = Incoming(protocol, max_message_size)
        self._waiting: list[bytes] = []
        """Frames to send, in order."""

        self._unasked = 0
        """Bytes among them that the codec wants to answer by itself."""

        self._early: list[str | bytes] = []
        """Messages that came in one piece with the end of the handshake."""

        self._is_mute = False
        """Whether a goodbye is of no use: half a frame may be on the wire, or nobody reads."""

    @classmethod
    async def serve(
        cls,
        stream: trio.abc.Stream,
        url: EngineUrl,
        headers: Sequence[tuple[str, str]],
        max_message_size: int,
        on_pending: Callable[[], None],
        read_ahead: int = READ_AHEAD,
        *,
        task_status: trio.TaskStatus[Transport] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """See `Transport`. Nothing reads ahead here."""
        watched = WatchedStream(stream)
        uri = WebSocketURI(url.tls, url.host, url.port, url.path, url.query)
        protocol = ClientProtocol(uri, max_size=max_message_size + _CONTROL_FRAME, logger=_SILENT)
        try:
            try:
                rest = await _shake_hands(protocol, watched, headers)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise watched.handshake_error(None) from None
            if not watched.upgraded:
                raise watched.handshake_error(_words(protocol.handshake_exc))
            transport = cls(protocol, watched, max_message_size, on_pending)
            protocol.events_received()  # the answer to the handshake
            if rest:
                transport._early = transport._digest(rest)
            task_status.started(transport)
            await trio.sleep_forever()
        finally:
            await trio.aclose_forcefully(watched)

    @property
    def last_received(self) -> float:
        """See `Transport`."""
        return self._stream.last_received

    @property
    def has_pending(self) -> bool:
        """See `Transport`."""
        return bool(self._waiting)

    @property
    def close_code(self) -> int | None:
        """See `Transport`."""
        close = self._protocol.close_rcvd
        return None if close is None else int(close.code)

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Transport`. A message larger than a frame may be goes out in several.

        There is no checkpoint when the socket takes everything at once: the writer waits for more to send soon enough.
        """
        waiting = self._waiting
        with self._sending():
            if messages:
                self._check_open()
            for message, mask in zip(messages, fresh_masks(len(messages)), strict=True):
                if len(message) < SMALL:
                    waiting.append(encode(TEXT, message, mask))
                else:
                    await self._put_large(TEXT, message)
            await self._stream.send_eagerly(self._encoded())

    async def write(self, messages: Sequence[str | bytes]) -> None:
        """See `Transport`."""
        size = 0
        with self._sending():
            for message, mask in zip(messages, fresh_masks(len(messages)), strict=True):
                if size >= _SEND_BYTES:
                    await self._stream.send_eagerly(self._encoded())
                    size = 0
                self._check_open()
                kind, data = (BINARY, message) if isinstance(message, bytes) else (TEXT, message.encode())
                size += len(data)
                if len(data) < SMALL:
                    self._waiting.append(encode(kind, data, mask))
                else:
                    await self._put_large(kind, data)
            await self._flush()

    @contextmanager
    def _sending(self) -> Iterator[None]:
        if self._stream.ended:
            raise self._loss()
        try:
            yield
        except (InvalidState, trio.BrokenResourceError, trio.ClosedResourceError):
            raise self._loss() from None
        except trio.Cancelled:
            self._is_mute = True
            raise

    def _check_open(self) -> None:
        if self._protocol.state is not State.OPEN:
            raise self._loss()

    async def receive(self) -> Sequence[str | bytes]:
        """See `Transport`. No message is held across a checkpoint, so a cancelled call has nothing to lose."""
        protocol = self._protocol
        if self._early:
            await trio.lowlevel.checkpoint()
            early, self._early = self._early, []
            return early
        while self._incoming.verdict is None and protocol.state is State.OPEN:
            try:
                data = await self._stream.receive_some(_RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                break
            messages = self._digest(data)
            if len(data) == _RECEIVE_BYTES:
                self._take_flood(messages)
            if messages:
                return messages
        raise self._loss()

    def _digest(self, data: bytes | bytearray) -> list[str | bytes]:
        """The messages that these bytes complete; what the codec wants to answer is left to the writer."""
        messages = self._incoming.digest(data)
        self._collect(self._protocol.data_to_send())
        return messages

    def _take_flood(self, messages: list[str | bytes]) -> None:
        """Add the messages in what a socket has besides; what comes behind an end the codec drops by itself."""
        for _ in range(_FLOOD):
            if len(messages) > _FEW:
                break
            data = self._stream.receive_nowait(_RECEIVE_BYTES)
            if data:
                messages += self._digest(data)
            if len(data) < _RECEIVE_BYTES:
                break

    async def aclose(self) -> None:
        """See `Transport`. After a Close of the peer, or what no peer may send, nobody is waited for."""
        protocol, stream = self._protocol, self._stream
        try:
            if not self._is_mute and not stream.ended:
                waits = protocol.state is State.OPEN
                if waits:
                    protocol.send_close(CloseCode.NORMAL_CLOSURE)
                await self._flush()
                while waits and protocol.close_rcvd is None and protocol.parser_exc is None:
                    data = await stream.receive_some(_RECEIVE_BYTES)
                    if not data:
                        break
                    self._incoming.ignore(data)
                    protocol.data_to_send()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("the connection broke while it was closed")
        finally:
            await trio.aclose_forcefully(stream)

    async def _put_large(self, kind: int, message: bytes) -> None:
        """Have the codec make the frames of a message, and send all but the last; pongs may go between them."""
        send = self._protocol.send_text if kind == TEXT else self._protocol.send_binary
        rest = memoryview(message)
        send(rest[:MAX_FRAME_SIZE], fin=len(message) <= MAX_FRAME_SIZE)
        for begin in range(MAX_FRAME_SIZE, len(message), MAX_FRAME_SIZE):
            await self._flush()  # before the next is masked, which is another copy
            end = begin + MAX_FRAME_SIZE
            self._protocol.send_continuation(rest[begin:end], fin=end >= len(message))
        self._waiting += self._protocol.data_to_send()

    async def _flush(self) -> None:
        await self._stream.send_all(self._encoded())

    def _encoded(self) -> bytes:
        """What is to be sent, in one piece; taken out."""
        data = b"".join([*self._waiting, *self._protocol.data_to_send()])
        self._waiting.clear()
        self._unasked = 0
        return data

    def _collect(self, answers: Iterable[bytes]) -> None:
        """Keep what the codec answers by itself, pongs and a Close, for the writer."""
        for answer in answers:
            if answer:  # the empty one stands for the end of the stream
                self._waiting.append(answer)
                self._unasked += len(answer)
        if self._unasked > MAX_UNASKED:
            self._is_mute = True
            self._incoming.verdict = LinkLost.by_end(FLOOD)
        elif self._unasked:
            self._on_pending()

    def _loss(self) -> LinkLost:
        """How the connection was lost. Reader and writer each get an exception of their own."""
        error, close = self._protocol.parser_exc, self._protocol.close_rcvd
        if self._incoming.verdict is not None:
            return LinkLost(*self._incoming.verdict.args)
        if close is not None:
            return LinkLost.by_close(close.code, close.reason)
        if isinstance(error, PayloadTooBig):
            return LinkLost.by_size(self._max_message_size)
        if error is not None and not isinstance(error, EOFError):
            return LinkLost.by_breach(_words(error))
        return LinkLost.by_end(self._stream.fault)


async def _shake_hands(protocol: ClientProtocol, stream: WatchedStream, headers: Sequence[tuple[str, str]]) -> bytes:
    """Ask for the upgrade, and mark the stream as upgraded if it was granted; returns what came behind the answer."""
    request = protocol.connect()
    for name, value in headers:
        request.headers[name] = value
    protocol.send_request(request)
    await stream.send_all(b"".join(protocol.data_to_send()))
    last, rest = b"", b""
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        data = await stream.receive_some(_RECEIVE_BYTES)
        if stream.hopeless.is_set():
            return b""
        # Behind the answer the codec would begin with a frame, and not tell where it stands in it.
        head, end, rest = (last + data).partition(_END_OF_HEADERS)
        answer = head + end
        protocol.receive_data(answer[len(last) :])
        last = answer[1 - len(_END_OF_HEADERS) :]
    if protocol.handshake_exc is None:
        stream.upgraded = True
    return rest


def _words(error: BaseException | None) -> str | None:
    if error is None:
        return None
    return str(error.__cause__ or error) or type(error).__name__
