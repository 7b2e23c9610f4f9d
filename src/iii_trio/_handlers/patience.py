"""Handlers whose callers stop waiting at about the same time share one cancel scope.

Nearly every caller says for how long it waits, and nearly every handler is done long before, while a scope of its own costs
as much as half of an invocation. So where the wait is long a handler runs in a nursery with others, which is cancelled for
all of them at once, a moment after the first of their deadlines (docs/fates.md, "Deadlines").
"""

from __future__ import annotations

import math
from typing import Final

import attrs
import trio

COARSENESS: Final = 0.1
"""Seconds by which a handler may be cancelled later than its caller's deadline. A new nursery opens as often."""

LEAST: Final = 2.0
"""Seconds of the shortest wait for which so much later is soon enough."""

MOST: Final = 64.0
"""Seconds of the longest: each nursery is kept so long."""


@attrs.define(eq=False)
class SharedScopes:
    """The nurseries, by the time at which they are cancelled."""

    _nurseries: dict[int, trio.Nursery | None] = attrs.field(factory=dict)
    """None for one whose task has not run yet."""

    def find(self, home: trio.Nursery, wait: float, deadline: float) -> trio.Nursery | None:
        """Where a handler can run whose caller waits `wait` seconds, until `deadline`; None for in a scope of its own.

        What has to be opened is opened in `home`, for those that come later.
        """
        if not LEAST <= wait <= MOST:
            return None
        number = math.ceil(deadline / COARSENESS)
        if number not in self._nurseries:
            self._nurseries[number] = None
            home.start_soon(self._keep, number, name="iii callers' patience")
        return self._nurseries[number]

    async def _keep(self, number: int) -> None:
        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = number * COARSENESS
            self._nurseries[number] = nursery
            try:
                await trio.sleep_forever()
            finally:
                del self._nurseries[number]  # before it closes: from then on it would refuse who comes
