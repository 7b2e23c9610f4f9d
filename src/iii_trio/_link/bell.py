"""A bell: many ring, one task waits, and a ring before the wait is not lost."""

from __future__ import annotations

import trio


class Bell:
    """Like an event that clears itself when somebody saw it."""

    __slots__ = ("_rung", "_task")

    def __init__(self) -> None:
        self._rung = False
        self._task: trio.lowlevel.Task | None = None

    def ring(self) -> None:
        """Wake the waiting task, or let the next wait return at once. Never blocks."""
        if self._task is None:
            self._rung = True
        else:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Wait for a ring. Cancelling it loses none."""
        if self._rung:
            await trio.lowlevel.checkpoint()
            self._rung = False
            return

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)
