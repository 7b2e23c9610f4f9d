"""One worker's connection: who it is, what waits to be sent to it, and where its registrations go.

A connection has no namespace until `engine::workers::register` or the grace period fixes one, for good. Registrations
that come before wait in `parked`, in order (docs/engine.md, "Namespaces").
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs

from iii_trio._wire.messages import Frame, TelemetryFrame

DEFAULT_NAMESPACE: Final = "default"

QUEUE_SIZE: Final = 64
"""Messages that the engine holds for one worker. Whoever has more waiting is not read from until they are gone."""

# WebSocket opcodes of what a client is sent: a message, the answer to a WebSocket ping, or a Close. A worker gets text.
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PONG: Final = 0xA

Outgoing: TypeAlias = tuple[int, bytes]
"""An opcode and a payload."""


def is_blank(namespace: str | None) -> bool:
    """Whether a namespace was named and left blank, which is refused everywhere and never means "none"."""
    return namespace is not None and not namespace.strip()


def blank_namespace(field: str) -> str:
    """How that is refused."""
    return f"`{field}` is empty: it was named and left blank. Give it a name, or omit it to use `default`."


class Phase(enum.Enum):
    """How far a connection is on its way out."""

    OPEN = "open"
    CLOSING = "closing"
    """The engine has sent Close, and waits for the worker's end. Nothing is sent after it."""
    GONE = "gone"
    """Torn down: nothing of it is left in any register."""


@attrs.define
class Profile:
    """What a worker tells of itself with `engine::workers::register`."""

    name: str | None = None
    description: str | None = None
    runtime: str | None = None
    version: str | None = None
    os: str | None = None
    pid: int | None = None
    isolation: str | None = None


@attrs.define(eq=False, kw_only=True)
class Connection:
    """A worker as the engine sees it."""

    id: str
    reattach_token: str = attrs.field(repr=False)
    ip_address: str
    connected_at_ms: int
    wake: Callable[[], None] = attrs.field(repr=False)
    """Called whenever something was put into an empty `outbox`."""
    drop: Callable[[], None] = attrs.field(repr=False)
    """Called once, when the engine is done with the connection: the TCP connection ends without a Close frame."""

    phase: Phase = Phase.OPEN
    namespace: str | None = None
    """Fixed once; None while registrations are parked."""
    grace_ends: float | None = None
    """When the namespace becomes the default one; None once it is fixed or refused."""
    ends_at: float | None = None
    """When it is dropped, whether it has answered a Close or not; None for never."""
    profile: Profile = attrs.field(factory=Profile)
    parked: deque[Frame | TelemetryFrame] = attrs.field(factory=deque, repr=False)
    outbox: deque[Outgoing] = attrs.field(factory=deque, repr=False)
    functions: dict[str, None] = attrs.field(factory=dict, repr=False)
    """Ids of the functions that it owns, in its namespace."""
    calls: dict[str, None] = attrs.field(factory=dict, repr=False)
    """Ids of the calls in flight that it makes or serves."""

    @property
    def home(self) -> str:
        """Where it counts as being registered."""
        return DEFAULT_NAMESPACE if self.namespace is None else self.namespace

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be sent that nothing more is read."""
        return len(self.outbox) >= QUEUE_SIZE

    def send(self, text: bytes) -> None:
        """Queue one message."""
        self._queue(TEXT, text)

    def pong(self, payload: bytes) -> None:
        """Queue the answer to a WebSocket ping."""
        self._queue(PONG, payload)

    def close(self, payload: bytes = b"") -> None:
        """Queue a Close, the last thing that is sent; the real engine's are empty."""
        self._queue(CLOSE, payload)
        if self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING

    def _queue(self, opcode: int, payload: bytes) -> None:
        if self.phase is not Phase.OPEN:
            return
        self.outbox.append((opcode, payload))
        if len(self.outbox) == 1:
            self.wake()
