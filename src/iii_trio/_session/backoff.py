"""How long to wait before the next attempt: pure functions of the attempt, the reason and a random number."""

from __future__ import annotations

import math
from typing import Final

from iii_trio._options import ReconnectionConfig

REFUSED_MAX_DELAY: Final = 2.0
"""Longest wait in seconds, jitter included, while the engine's port refuses connections: it costs next to nothing to ask
a host that is up, and an engine that is back should be found at once (docs/engine.md, "Restarts")."""


STANDBY_DELAY: Final = 5.0
"""Seconds after which what another worker owns is asked for again, before jitter."""

_STANDBY_JITTER: Final = 0.3


def standby_delay(random: float) -> float:
    """Seconds to wait before an id or a name that another worker owns is asked for again.

    `random` is from 0 to 1 and spreads the wait by 30 % both ways, so that those who stand by do not ask in step.
    """
    return STANDBY_DELAY * (1 + _STANDBY_JITTER * (2 * random - 1))


def delay(attempt: int, config: ReconnectionConfig, random: float, *, refused: bool = False) -> float:
    """Seconds to wait before attempt number `attempt` after the first failure (0, 1, 2 …).

    `random` is from 0 to 1 and spreads the wait by the configured jitter; `refused` says that the last attempt found a
    host on which nobody listens.
    """
    try:
        grown = config.initial_delay_ms * float(config.backoff_multiplier) ** attempt
    except OverflowError:  # a worker that has been offline for weeks, or a multiplier in the thousands
        grown = math.inf
    wait = min(grown, config.max_delay_ms) / 1000
    if math.isfinite(wait):  # infinity has no share to be shorter by
        wait *= 1 + config.jitter_factor * (2 * random - 1)
    return min(wait, REFUSED_MAX_DELAY) if refused else wait
