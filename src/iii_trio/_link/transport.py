"""The seam between the client and a WebSocket implementation.

One connection, whole messages, batches of them. There are two implementations behind it, and one set of tests for both.
The writer task is the only one that sends, the reader task the only one that receives. What goes wrong in the
implementation, or in trio below it, becomes `LinkLost` or, before the connection is open, `ConnectFailed`,
`AuthenticationError` or `HandshakeRefused`; nothing else comes out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final, Self, TypeAlias

import trio

from iii_trio._wire.urls import EngineUrl

READ_AHEAD: Final = 64
"""Messages that a worker's connection may hold. Its reader is never slow."""

OpenStream: TypeAlias = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the engine, with TLS on it if there is to be any."""


class LinkLost(Exception):
    """The connection is gone; the text says how. It never leaves the package."""

    @classmethod
    def by_close(cls, code: int, reason: str | None) -> Self:
        """The peer said Close."""
        said = f" {reason!r}" if reason else ""
        return cls(f"the engine closed the connection (code {int(code)}{said})")

    @classmethod
    def by_size(cls, limit: int) -> Self:
        """A message was larger than we take."""
        return cls(f"the engine sent a message of more than {limit} bytes")

    @classmethod
    def by_breach(cls, how: str | None = None) -> Self:
        """The peer sent what no WebSocket peer may send."""
        return cls(f"the engine broke the rules of WebSocket{f' ({how})' if how else ''}")

    @classmethod
    def by_end(cls, fault: str | None) -> Self:
        """The stream ended without a word, or `fault` broke it."""
        return cls("the connection ended without a Close" if fault is None else f"the connection broke ({fault})")


class ConnectFailed(Exception):
    """An attempt to connect failed in a way that may pass. It never leaves the package."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused
        """Whether the host is up and nobody listens on the port."""


class Transport(trio.abc.AsyncResource):
    """An open WebSocket."""

    NAME: ClassVar[str]
    """What `transport=` calls it."""

    MAX_OUTGOING: ClassVar[int]
    """Bytes of the largest message that it can send."""

    @classmethod
    @abstractmethod
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
        """Do the handshake on `stream`, report the open transport, and close the stream when cancelled.

        `on_pending` is called when `has_pending` has become true: the writer is to `send`, if only nothing. An
        implementation that reads by itself holds `read_ahead` messages at most for a slow reader, and then stops.

        Raises:
            ConnectFailed: The stream ended, or said something that is no handshake.
            AuthenticationError: HTTP status 401 or 403.
            HandshakeRefused: Any other status.
        """

    @property
    @abstractmethod
    def last_received(self) -> float:
        """When the last byte came, on trio's clock: any byte is a sign of life."""

    @property
    @abstractmethod
    def has_pending(self) -> bool:
        """Whether the implementation itself has something to send, such as a pong, which the next `send` takes along."""

    @property
    @abstractmethod
    def close_code(self) -> int | None:
        """The code of the peer's Close, 1005 if it named none; None when none has come.

        After `aclose` it tells a goodbye that was answered from a connection that just ended.
        """

    @abstractmethod
    async def send(self, messages: Sequence[bytes]) -> None:
        """Send text messages, all in one go.

        Only the writer task calls it. Cancelling it gives the connection up, since half a frame may be on the wire then.

        Raises:
            LinkLost: The connection is gone. Any of the messages may have arrived.
        """

    @abstractmethod
    async def write(self, messages: Sequence[str | bytes]) -> None:
        """`send` for text and binary messages, as `receive` gives them. Much may go out in several goes."""

    @abstractmethod
    async def receive(self) -> Sequence[str | bytes]:
        """The next messages of the peer, at least one. Cancelling it loses nothing.

        Raises:
            LinkLost: The connection is gone, with or without a Close of the peer.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Send Close, wait until the peer has ended the connection, and let the stream go.

        Only when nobody sends any more. The caller bounds it; cancelled, it closes the stream at once.
        """
