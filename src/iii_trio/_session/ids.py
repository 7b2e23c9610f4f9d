"""Invocation ids: random UUIDs, made in bulk.

They must not be guessable, since the engine lets any worker that knows the id of a call answer it (docs/engine.md,
"Calls"). One read of the system's randomness makes 256 of them, at a sixth of the price of ``uuid.uuid4``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_BATCH: Final = 256


def _generate() -> Iterator[str]:
    while True:
        pool = os.urandom(16 * _BATCH).hex()
        for at in range(0, len(pool), 32):
            # Version 4, variant 1 (RFC 9562): six bits are fixed, and so two digits are not taken from the pool.
            yield (
                f"{pool[at : at + 8]}-{pool[at + 8 : at + 12]}-4{pool[at + 13 : at + 16]}"
                f"-a{pool[at + 17 : at + 20]}-{pool[at + 20 : at + 32]}"
            )


class InvocationIds:
    """A source of fresh ids; every session has its own."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids = _generate()

    def fresh(self) -> str:
        """A UUID that nobody else has."""
        return next(self._ids)
