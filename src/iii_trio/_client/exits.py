"""What a client leaves behind: the report of its end, and the signals that ask for it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

import attrs
import trio

SIGNALS: Final = tuple(
    signal.Signals(number)
    for name in ("SIGTERM", "SIGINT", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
)
"""What asks a process to end; Windows has no SIGTERM that another process could send, and has SIGBREAK."""


@attrs.frozen(kw_only=True)
class DrainReport:
    """How a client ended: what was done in time, and what was not."""

    finished_handlers: int
    """Handlers that ended by themselves since the drain began, failed ones included; not those that a lost connection has
    cancelled."""

    cancelled_handlers: tuple[str, ...]
    """The functions of the handlers, running or waiting for their turn, that the drain had to cancel; one entry a handler,
    in the order of the ids."""

    unsent_calls: int
    """Void calls that still waited to be sent in the end."""

    dropped_results: int
    """Answers of handlers that could not be sent: their connection was lost, or the engine read too slowly."""

    withdrawn: bool
    """Whether the engine has confirmed that it sends no invocations any more, before the last handlers were waited for.
    False without a connection, or when it was lost meanwhile; True when there was no function to withdraw."""

    seconds: float
    """How long it took, the goodbye to the engine included."""


@attrs.define(eq=False)
class SignalWatch:
    """Listens for the signals that ask a process to end, from the first `run` until the second signal."""

    on_signal: Callable[[], object]
    """Called at the first signal."""

    on_second: Callable[[], object]
    """Called at the second."""

    seen: bool = attrs.field(default=False, init=False)
    """Whether there was a signal."""

    users: int = attrs.field(default=0, init=False)
    """How many tasks wait for a signal."""

    _scope: trio.CancelScope | None = attrs.field(default=None, init=False)
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """Held while the handlers of signals are changed, since they must be put back in order."""

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Listen. After the second signal, the next one does again what it did before."""
        if self._scope is not None or self.seen:
            task_status.started()
            return
        with trio.CancelScope() as self._scope:
            async with self._lock:
                with trio.open_signal_receiver(*SIGNALS) as signals:
                    task_status.started()
                    async for _ in signals:
                        if self.seen:
                            self.on_second()
                            return
                        self.seen = True
                        self.on_signal()

    def stop(self) -> None:
        """Listen no more, unless there was a signal already."""
        if self._scope is not None and not self.seen:
            self._scope.cancel(reason="nobody waits for a signal any more")
            self._scope = None
