"""Something that one task waits for and others bring about."""

from __future__ import annotations

import trio


class Signal:
    """Remembers that something happened until somebody has waited for it."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """It happened."""
        self._event.set()

    async def wait(self) -> None:
        """Return when it has happened since the last time."""
        await self._event.wait()
        self._event = trio.Event()
