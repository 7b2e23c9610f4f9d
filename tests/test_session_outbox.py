"""Lanes: order, batches, sums and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._session.outbox import Lane, Line, Outbox
from tests._session_values import examples


def filled(*frames: bytes) -> Lane:
    lane = Lane()
    for number, frame in enumerate(frames):
        lane.put(number, frame)
    return lane


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [
        pytest.param(1000, [b"aaa", b"bb", b"c"], id="room for all"),
        pytest.param(6, [b"aaa", b"bb", b"c"], id="exactly all"),
        pytest.param(5, [b"aaa", b"bb"], id="all but one"),
        pytest.param(4, [b"aaa", b"bb"], id="the frame that reaches the limit goes too"),
        pytest.param(3, [b"aaa"], id="the limit is reached"),
        pytest.param(1, [b"aaa"], id="at least one, however large"),
    ],
)
def test_a_batch_ends_where_the_limit_is_reached(max_bytes: int, expected: list[bytes]) -> None:
    """In order, and what was taken is gone."""
    lane = filled(b"aaa", b"bb", b"c")
    assert [frame for _, frame in lane.take(max_bytes)] == expected
    assert lane.size == sum(map(len, lane.frames.values())) == 6 - len(b"".join(expected))


def test_an_empty_lane_has_nothing() -> None:
    """And says so."""
    lane = Lane()
    assert list(lane.take(1)) == []
    assert lane.clear() == 0
    assert not lane.discard("nobody")


def test_a_frame_can_be_taken_out_by_its_key() -> None:
    """Once."""
    lane = filled(b"aaa", b"bb", b"c")
    assert lane.discard(1)
    assert not lane.discard(1)
    assert lane.size == 4
    assert list(lane.take(100)) == [(0, b"aaa"), (2, b"c")]


def test_clearing_says_how_many_frames_there_were() -> None:
    """For the counters."""
    lane = filled(b"a", b"b")
    assert lane.clear() == 2
    assert (len(lane.frames), lane.size) == (0, 0)


@pytest.mark.parametrize(
    ("frames", "size", "fits"),
    [
        pytest.param([], 1000, True, id="an empty lane takes any frame, or it would wait for ever"),
        pytest.param([b"x"], 9, True, id="up to the last byte"),
        pytest.param([b"x"], 10, False, id="and not one more"),
        pytest.param([b"x", b"x"], 1, True, id="up to the last frame"),
        pytest.param([b"x", b"x", b"x"], 1, False, id="and not one more frame"),
    ],
)
def test_a_lane_is_full_by_frames_or_by_bytes(frames: list[bytes], size: int, fits: bool) -> None:
    """Whichever comes first; the other lanes do not count."""
    outbox = Outbox(max_frames=3, max_bytes=10)
    for frame in frames:
        outbox.calls.put(object(), frame)
        outbox.results.put(frame)
    assert outbox.has_room(outbox.calls, size) is fits
    assert outbox.has_room(outbox.results, size) is fits


def test_the_outbox_sums_its_lanes() -> None:
    """What the statistics show."""
    outbox = Outbox(10, 100)
    outbox.first.put(object(), b"a")
    outbox.results.put(b"bb")
    outbox.again.put(b"dddd")
    outbox.calls.put(object(), b"ccc")
    assert (outbox.frames, outbox.bytes) == (4, 10)


Step = tuple[str, int]


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "discard", "clear"]), st.integers(1, 30))))
@examples(200)
def test_a_lane_is_a_queue_that_knows_its_size(steps: list[Step]) -> None:
    """Whatever is done to it, order and sums are those of a plain list."""
    lane, model = Lane(), list[tuple[object, bytes]]()
    for number, (step, amount) in enumerate(steps):
        if step == "put":
            lane.put(number, b"x" * amount)
            model.append((number, b"x" * amount))
        elif step == "take":
            taken = list(lane.take(amount))
            assert taken == model[: len(taken)]
            assert bool(taken) == bool(model)
            assert sum(len(frame) for _, frame in taken[:-1]) < amount
            model = model[len(taken) :]
            assert not model or sum(len(frame) for _, frame in taken) >= amount
        elif step == "discard":
            listed = [key for key, _ in model]
            assert lane.discard(amount) == (amount in listed)
            model = [entry for entry in model if entry[0] != amount]
        else:
            assert lane.clear() == len(model)
            model = []
        assert list(lane.frames.items()) == model
        assert lane.size == sum(len(frame) for _, frame in model)


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "clear"]), st.integers(1, 30))))
@examples(200)
def test_a_line_is_one_too(steps: list[Step]) -> None:
    """The same without the keys."""
    line, model = Line(), list[bytes]()
    for step, amount in steps:
        if step == "put":
            line.put(b"x" * amount)
            model.append(b"x" * amount)
        elif step == "take":
            taken = line.take(amount)
            assert taken == model[: len(taken)]
            assert bool(taken) == bool(model)
            assert sum(map(len, taken[:-1])) < amount
            model = model[len(taken) :]
            assert not model or sum(map(len, taken)) >= amount
        else:
            assert line.clear() == len(model)
            model = []
        assert list(line.frames) == model
        assert line.size == sum(map(len, model))


@given(st.integers(1, 5), st.integers(1, 60), st.lists(st.tuples(st.booleans(), st.integers(1, 40))))
@examples(200)
def test_a_lane_whose_bounds_are_asked_is_never_above_either(
    max_frames: int, max_bytes: int, steps: list[tuple[bool, int]]
) -> None:
    """Whoever asks before putting keeps both bounds; a frame that is larger than the lane may be is in it alone."""
    outbox = Outbox(max_frames, max_bytes)
    lane = outbox.results
    for puts, amount in steps:
        if not puts:
            lane.take(amount)
        elif outbox.has_room(lane, amount):
            lane.put(b"x" * amount)
        assert len(lane.frames) <= max_frames
        assert lane.size <= max_bytes or len(lane.frames) == 1
