"""An HTTP client on a stream, for tests: it sends what it is told, and shows all that comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import attrs
import h11
import trio


@attrs.frozen
class Response:
    """A whole response. The last value of a header counts; names are lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, *events: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        """Send parts of a request."""
        await self.stream.send_all(b"".join(self._http.send(event) or b"" for event in events))

    async def begin(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of a request."""
        await self.send(_head(method, path, headers))

    async def end(self) -> None:
        """Send the end of a request."""
        await self.send(h11.EndOfMessage())

    async def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Send a whole request, and read the response."""
        length = {} if body is None else {"content-length": str(len(body))}
        data = [h11.Data(data=body)] if body else []
        await self.send(_head(method, path, {**length, **(headers or {})}), *data, h11.EndOfMessage())
        return await self.response()

    async def head(self) -> h11.Response:
        """The head of the response."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event
            assert isinstance(event, h11.InformationalResponse), event

    async def body(self) -> AsyncIterator[bytes]:
        """What follows the head, in pieces; raises `h11.RemoteProtocolError` when it is cut off."""
        while isinstance(event := await self._next(), h11.Data):
            yield bytes(event.data)

    async def response(self) -> Response:
        """A whole response."""
        head = await self.head()
        body = b"".join([piece async for piece in self.body()])
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        headers = {name.decode(): value.decode() for name, value in head.headers}
        return Response(head.status_code, head.reason.decode(), headers, body)

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                assert event is not h11.NEED_DATA
                return event  # type: ignore[return-value]
            self._http.receive_data(bytes(await self.stream.receive_some()))


def _head(method: str, path: str, headers: Mapping[str, str] | None) -> h11.Request:
    given = {"host": "127.0.0.1:3111", **(headers or {})}
    return h11.Request(method=method, target=path, headers=[*given.items()])
