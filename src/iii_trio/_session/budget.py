"""How many calls may be made again: a bucket of tokens, so that retries cannot become a storm.

A call that is lost costs one token, one that succeeds earns a tenth, and nothing is retried while the bucket is half empty.
The figures are those of gRPC's retry throttling.
"""

from __future__ import annotations

from typing import Final

import attrs

CAPACITY: Final = 10.0
EARNED: Final = 0.1


@attrs.define(eq=False)
class RetryBudget:
    """The bucket of one client."""

    tokens: float = CAPACITY

    def succeeded(self) -> None:
        """A call that might have been retried was answered."""
        self.tokens = min(CAPACITY, self.tokens + EARNED)

    def lost(self) -> bool:
        """A call was lost; whether it may be made again."""
        self.tokens = max(0.0, self.tokens - 1)
        return self.tokens > CAPACITY / 2
