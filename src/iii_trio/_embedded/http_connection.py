"""One HTTP connection: requests in, responses out, and what a client may do before it is dropped.

h11 speaks HTTP/1.1. What is added is what it leaves to its user: the time that a head may take, the end of a body that
breaks the rules, and a way to leave without cutting off the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import h11
import trio

from iii_trio._embedded.http_messages import HttpRequest, read_head

IDLE: Final = 60.0
"""Seconds between two requests of a connection, and until the first one."""
HEAD_TIME: Final = 10.0
"""Seconds from the first byte of a head to its last."""
MAX_HEAD: Final = 65_536
"""Bytes of a head."""
LINGER: Final = 2.0
"""Seconds for which the rest of a request is read and thrown away, so that its client gets to read the response."""

_CHUNK: Final = 65_536
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}

Sendable = h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage


class HttpConnection:
    """A stream of which one task reads, and one writes."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._method = b""
        self._sends_body = True

    async def next_request(self) -> HttpRequest | None:
        """The head of the next request; None if there is none in time, or none that is one.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        with trio.move_on_after(IDLE) as patience:
            try:
                head = await self._next_head(patience)
            except h11.RemoteProtocolError as error:
                await self.respond(error.error_status_hint, ((b"connection", b"close"),), b"")
                await self._drain()
                return None
            if head is not None:
                self._method = head.method
                return read_head(head.method, head.target, head.headers)
        return None

    async def _next_head(self, patience: trio.CancelScope) -> h11.Request | None:
        has_begun = bool(self._http.trailing_data[0])
        while True:
            if has_begun:
                patience.deadline = min(patience.deadline, trio.current_time() + HEAD_TIME)
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            data = bytes(await self._stream.receive_some(_CHUNK))
            has_begun = has_begun or bool(data)
            self._http.receive_data(data)

    # ---- the body of a request --------------------------------------------------------------------------------------

    async def invite_body(self) -> None:
        """Let a client that asks whether it may send its body send it."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    async def next_piece(self) -> bytes | None:
        """More of the body; None at its end. One that breaks the rules ends there, as in the real engine.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return None
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is not h11.NEED_DATA:
                return None
            data = bytes(await self._stream.receive_some(_CHUNK))
            if not data:
                raise trio.BrokenResourceError("the client left in the middle of a request")
            self._http.receive_data(data)

    async def wait_gone(self) -> None:
        """Wait for the client to leave, behind a body that was read.

        One that has sent more already is not watched: what it sent has to be kept.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        data = bytes(await self._stream.receive_some(_CHUNK))
        if data:
            self._http.receive_data(data)
            await trio.sleep_forever()

    # ---- the response -----------------------------------------------------------------------------------------------

    async def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        length = () if status == 204 else ((b"content-length", b"%d" % len(body)),)
        events: list[Sendable] = [_response(status, (*headers, *length))]
        if body and self._has_body(status):
            events.append(h11.Data(data=body))
        await self._send(*events, h11.EndOfMessage())

    async def begin(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the head of a response of which the body follows in pieces.

        Raises:
            trio.BrokenResourceError: The client is gone.
        """
        self._sends_body = self._has_body(status)
        await self._send(_response(status, headers))

    async def send_piece(self, piece: bytes) -> None:
        """Send a part of the body; it waits for a client that does not take it.

        Raises:
            trio.BrokenResourceError: The client is gone, or more comes than was promised.
        """
        if piece and self._sends_body:
            await self._send(h11.Data(data=piece))

    async def end(self) -> None:
        """Send the end of the body.

        Raises:
            trio.BrokenResourceError: The client is gone, or less came than was promised.
        """
        await self._send(h11.EndOfMessage())

    async def next_cycle(self) -> bool:
        """Whether another request may come; if not, the client has got the response."""
        with suppress(h11.RemoteProtocolError):
            while self._http.their_state is h11.SEND_BODY and isinstance(self._http.next_event(), h11.Data):
                pass  # nobody wanted what has arrived of the body
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        if self._http.their_state is not h11.CLOSED and self._http.their_state is not h11.MUST_CLOSE:
            await self._drain()
        return False

    def _has_body(self, status: int) -> bool:
        return self._method != b"HEAD" and status not in (204, 304)

    async def _send(self, *events: Sendable) -> None:
        try:
            data = b"".join(self._http.send(event) or b"" for event in events)
        except h11.LocalProtocolError as error:
            raise trio.BrokenResourceError(f"the response breaks its promise: {error}") from error
        await self._stream.send_all(data)

    async def _drain(self) -> None:
        with trio.move_on_after(LINGER):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(_CHUNK):
                pass


def _response(status: int, headers: Sequence[tuple[bytes, bytes]]) -> h11.Response:
    dated = headers if any(name == b"date" for name, _ in headers) else (*headers, (b"date", _today()))
    return h11.Response(status_code=status, headers=list(dated), reason=_REASONS.get(status, b""))


def _today() -> bytes:
    return formatdate(usegmt=True).encode()
