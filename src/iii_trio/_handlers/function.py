"""A registered handler, and the limits that its registration has given it."""

from __future__ import annotations

import math

import attrs
import trio

from iii_trio._handlers.pool import Habit
from iii_trio._handlers.signature import Signature
from iii_trio._options import OnConnectionLost


@attrs.define(eq=False)
class Function:
    """A registered handler and its limits."""

    signature: Signature
    concurrency: int | None
    timeout: float
    slots: trio.CapacityLimiter | None = None
    on_connection_lost: OnConnectionLost | None = None
    """None when nobody said."""

    task_name: str = "iii handler"
    """What the tasks of its handlers are called."""

    active: int = 0
    """Invocations that were accepted and have not ended; one whose thread was abandoned ends when that returns."""

    comes_again: bool = False
    """Whether a durable queue delivers its work again when it is lost."""

    habit: Habit = attrs.field(factory=Habit, init=False)
    """How long a sync handler takes."""

    has_no_turn: bool = attrs.field(
        default=attrs.Factory(lambda self: self.slots is None and self.signature.is_async, takes_self=True), init=False
    )
    """Whether a handler runs at once, and waits neither for others of its function nor for a thread."""

    @property
    def ends_with_connection(self) -> bool:
        """Whether its handlers are cancelled when their connection is lost: as somebody said, or if no work is lost."""
        return self.comes_again if self.on_connection_lost is None else self.on_connection_lost == "cancel"

    @property
    def needs_scope(self) -> bool:
        """Whether a handler may have to be cancelled by itself. A scope for each is the dearest part of an invocation."""
        return self.timeout != math.inf or self.ends_with_connection
