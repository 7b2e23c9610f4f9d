"""Ids of calls: UUIDs in the engine's spelling, and never the same twice."""

from __future__ import annotations

import uuid

from iii_trio._session.ids import InvocationIds


def test_an_id_is_a_random_uuid_in_the_engines_spelling() -> None:
    """Any other spelling would come back different, and the answer would not be recognised."""
    ids = InvocationIds()
    for fresh in (ids.fresh() for _ in range(1000)):
        parsed = uuid.UUID(fresh)
        assert str(parsed) == fresh
        assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_no_id_comes_twice() -> None:
    """Neither within a batch, nor from the next one, nor from another source."""
    one, other = InvocationIds(), InvocationIds()
    assert len({source.fresh() for source in (one, other) for _ in range(2000)}) == 4000


def test_every_free_bit_is_random() -> None:
    """120 of the 128 differ between ids; two digits are the version and the variant."""
    numbers = [int(uuid.UUID(InvocationIds().fresh())) for _ in range(200)]
    varying = 0
    for number in numbers:
        varying |= number ^ numbers[0]
    assert varying.bit_count() == 120
