"""What both ends of a channel have in common: opened when it is used, one task with a socket, and one way to fail.

The socket belongs to a task in the client's nursery of services, never to the task of a user: so a cancelled `write` can
leave no half frame behind, and a reader's socket is read, up to the bounds of its buffer, whoever waits for what.
"""

from __future__ import annotations

from abc import abstractmethod
from types import TracebackType
from typing import Final, Self

import attrs
import trio

from iii_trio._channels.buffer import Buffer
from iii_trio._link.connect import Target, connect
from iii_trio._link.transport import ConnectFailed, LinkLost, Transport
from iii_trio._values.refs import LiveRef, StreamChannelRef
from iii_trio._wire.urls import channel_url
from iii_trio.errors import (
    AuthenticationError,
    ChannelBroken,
    ChannelBusy,
    ChannelClosed,
    ChannelError,
    ChannelNotFound,
    ConfigurationError,
    HandshakeRefused,
)

NORMAL: Final = 1000
"""The code of our Close, which the engine repeats when it has taken everything (docs/engine.md, "Channels")."""

BARE: Final = 1005
"""What stands for the Close without a code with which the engine ends a stream, or turns somebody away."""

_NOT_FOUND: Final = 404


@attrs.define(eq=False)
class Home:
    """What the ends of one client share: how they connect, and where their tasks live."""

    target: Target
    nursery: trio.Nursery | None = None
    """The client's services; None before they run and after they have ended."""


@attrs.define(eq=False)
class Turn:
    """Lets one task in, and refuses others at once, as trio's streams do."""

    _doing: str
    is_taken: bool = attrs.field(default=False, init=False)
    """Whether somebody is in."""

    def __enter__(self) -> None:
        if self.is_taken:
            raise ChannelBusy(f"another task is {self._doing} this channel")
        self.is_taken = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_taken = False


class ChannelEnd(LiveRef, trio.abc.AsyncResource):
    """One end of a channel."""

    def __init__(self, home: Home, ref: StreamChannelRef) -> None:
        self._home = home
        self._ref = ref
        self._buffer = Buffer()
        self._scope = trio.CancelScope()
        self._is_started = False
        self._is_open = False
        self._is_closed = False
        self._is_given_up = False
        self._fault: tuple[type[ChannelError], str] | None = None
        self._finished = trio.Event()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._is_open else "not open"
        return f"<{type(self).__name__} of {self._ref.channel_id}, {state}>"

    @property
    def ref(self) -> StreamChannelRef:
        """The ref of this end. Who opens an end has it alone, so pass it on or use it here, not both."""
        return self._ref

    def give_away(self) -> StreamChannelRef:
        """See `LiveRef`: an end that was not used here can stand in a payload, and travels as its ref."""
        if self._is_started:
            raise TypeError(f"this {type(self).__name__} was opened here, and nobody else can open it again")
        return self._ref

    @property
    def is_started(self) -> bool:
        """Whether anybody has begun to use it."""
        return self._is_started

    def abandon(self) -> None:
        """Let a used end go at once, and leave one alone that was not used. Never blocks."""
        if self._is_started:
            self._is_closed = True
            self._give_up()
            self._forget()

    async def open(self) -> None:
        """Take this end now. Everything else here does so by itself; it is for those who must not come too late.

        Raises:
            ChannelNotFound: The engine has no such channel, or none any more: an end that nobody takes within five
                minutes takes the whole channel with it.
            ChannelBroken: The engine cannot be reached. It is not tried again.
            ChannelClosed: It was closed, or the client was.

        Cancelling it is safe: the end is taken all the same.
        """
        self._start()
        while not self._is_open:
            self._check()
            await self._buffer.wait_news()
        await trio.lowlevel.checkpoint()

    def _start(self) -> None:
        """Begin to take this end, unless that has begun."""
        if self._is_closed:
            raise ChannelClosed("this end of the channel was closed")
        if self._is_started:
            return
        if self._home.nursery is None:
            raise ChannelClosed("the client is closed, and with it its channels")
        self._is_started = True
        self._home.nursery.start_soon(self._run, name=f"iii channel {self._ref.direction} {self._ref.channel_id}")

    def _forget(self) -> None:
        """Forget what waits here."""
        self._buffer.clear()

    def _give_up(self) -> None:
        """Let the socket go at once; one that is being opened as soon as it is.

        For the other side would wait, as long as this end is not taken, for somebody to come.
        """
        self._is_given_up = True
        if self._is_open:
            self._scope.cancel(reason="this end of the channel was closed")

    async def _run(self) -> None:
        """The task of this end."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    transport = await self._connect(nursery)
                    if transport is not None and not self._is_given_up:
                        self._is_open = True
                        self._buffer.wake()
                        await self._serve(transport)
                    nursery.cancel_scope.cancel(reason="the channel has ended")
        finally:
            self._finished.set()
            self._on_finish()
            self._buffer.wake()

    async def _connect(self, nursery: trio.Nursery) -> Transport | None:
        url = channel_url(self._home.target.url, self._ref)
        target = attrs.evolve(self._home.target, url=url, read_ahead=1, keepalive=True)
        try:
            return await connect(target, nursery, self._buffer.wake)
        except (ConnectFailed, AuthenticationError, HandshakeRefused, ConfigurationError) as error:
            if isinstance(error, HandshakeRefused) and error.status == _NOT_FOUND:
                self._fail(
                    ChannelNotFound, f"the engine has no channel {self._ref.channel_id} of this key, or no longer"
                )
            else:
                self._fail(ChannelBroken, f"the channel cannot be opened: {error}")
            return None

    @abstractmethod
    async def _serve(self, transport: Transport) -> None:
        """Move messages until the end of the stream."""

    def _on_finish(self) -> None:
        """The task has ended; without a fault and before its time it was the client's end."""
        self._fail(ChannelClosed, "the client was closed, and with it its channels")

    def _fail(self, kind: type[ChannelError], words: str) -> None:
        """Nothing more can come of this end; the first reason counts."""
        if self._fault is None:
            self._fault = (kind, words)
        self._buffer.wake()

    def _lose(self, loss: LinkLost) -> None:
        self._fail(ChannelBroken, f"the channel was lost: {loss}")

    def _check(self) -> None:
        """Raise what is wrong with this end, a new exception each time."""
        if self._is_closed:
            raise ChannelClosed("this end of the channel was closed")
        if self._fault is not None:
            raise self._error(*self._fault)

    def _error(self, kind: type[ChannelError], words: str) -> ChannelError:
        return kind(words)

    async def __aenter__(self) -> Self:
        return self
