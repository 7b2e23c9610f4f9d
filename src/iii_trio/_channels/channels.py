"""The channels of one client: how they are made, and how refs become readers and writers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

import attrs
import trio

from iii_trio._channels.end import Home
from iii_trio._channels.reader import ChannelReader
from iii_trio._channels.writer import ChannelWriter
from iii_trio._link.connect import Target
from iii_trio._values.building import build
from iii_trio._values.refs import StreamChannelRef, enliven
from iii_trio.errors import ConfigurationError, InternalError

CREATE: Final = "engine::channels::create"

BUFFER_SIZE: Final = 64
"""Messages that the engine holds of a channel when nobody says how many."""

MAX_BUFFER_SIZE: Final = 1024
"""The most that it holds, whatever it is asked for (docs/engine.md, "Channels")."""


@attrs.frozen(kw_only=True, eq=False)
class Channel:
    """Both ends of a new channel, and their refs for payloads.

    Use an end here, or send its ref to somebody who does: each end can be opened once. Nothing is opened before it is used.

    Source: the references' ``Channel``.
    """

    writer: ChannelWriter
    """The write end, for this worker."""

    reader: ChannelReader
    """The read end, for this worker."""

    writer_ref: StreamChannelRef
    """The write end, for another one: send it in a payload."""

    reader_ref: StreamChannelRef
    """The read end, likewise."""


class Call(Protocol):
    """Calls a function of the engine's."""

    async def __call__(self, function_id: str, payload: Any, /) -> Any:
        """The result."""
        ...


class Channels:
    """Makes the ends of one client's channels."""

    def __init__(self, target: Target) -> None:
        self._home = Home(target)

    def serve_in(self, nursery: trio.Nursery | None) -> None:
        """Say where the tasks of channels live; None when nowhere any more."""
        self._home.nursery = nursery

    async def create(self, call: Call, buffer_size: int | None, *, verified: bool) -> Channel:
        """See `III.create_channel`."""
        size: Any = BUFFER_SIZE if buffer_size is None else buffer_size
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MAX_BUFFER_SIZE:
            raise ConfigurationError(f"buffer_size must be a whole number from 1 to {MAX_BUFFER_SIZE}, not {size!r}")
        made = await call(CREATE, {"buffer_size": size})
        try:
            writer, reader = made["writer"], made["reader"]
            assert isinstance(writer, ChannelWriter)
            assert isinstance(reader, ChannelReader)
        except (TypeError, KeyError, AssertionError):
            raise InternalError(f"the engine answered {CREATE} with something else than two refs") from None
        mark: Literal[True] | None = True if verified else None
        writer_ref, reader_ref = (attrs.evolve(end.ref, verified=mark) for end in (writer, reader))
        return Channel(
            writer=self.writer(writer_ref),
            reader=self.reader(reader_ref),
            writer_ref=writer_ref,
            reader_ref=reader_ref,
        )

    def reader(self, ref: StreamChannelRef | Mapping[str, Any]) -> ChannelReader:
        """A reader of this ref."""
        return ChannelReader(self._home, _of_direction(ref, "read"))

    def writer(self, ref: StreamChannelRef | Mapping[str, Any]) -> ChannelWriter:
        """A writer of this ref."""
        return ChannelWriter(self._home, _of_direction(ref, "write"))

    def enliven(self, tree: Any) -> Any:
        """The payload with readers and writers in place of its refs."""
        return enliven(tree, self._end)

    def _end(self, ref: StreamChannelRef) -> ChannelReader | ChannelWriter:
        return ChannelReader(self._home, ref) if ref.direction == "read" else ChannelWriter(self._home, ref)


def _of_direction(ref: StreamChannelRef | Mapping[str, Any], direction: str) -> StreamChannelRef:
    built = build(StreamChannelRef, ref)
    if built.direction != direction:
        raise ConfigurationError(
            f"this is the ref of a channel's {built.direction} end, and a {direction} end is wanted"
        )
    return built
