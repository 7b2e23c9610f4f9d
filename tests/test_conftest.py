"""What the suite says of itself."""

from __future__ import annotations

import os

from iii_trio._link.choice import find_transport
from tests.conftest import MemoryLink


async def test_the_suite_runs_over_the_transport_that_it_was_told(link: MemoryLink) -> None:
    """Otherwise the second run, over the other one, would be the first run once more, and nobody would know."""
    told = os.environ.get("III_TEST_TRANSPORT", "websockets")
    assert told == find_transport("auto").NAME
    async with link.client() as iii:
        assert iii.statistics().transport == told
