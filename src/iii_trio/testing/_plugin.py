"""The pytest plugin of iii-trio. pytest loads it in every run, so it imports nothing until a fixture is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from iii_trio.testing import EmbeddedEngine


@pytest.fixture
async def iii_engine() -> AsyncIterator[EmbeddedEngine]:
    """An engine in memory for one test. Needs pytest-trio.

    It ends with the test, and drops every link that is still open. Give a client its `url` and its `open_stream`.
    """
    from iii_trio.testing import open_engine

    async with open_engine() as engine:
        yield engine
