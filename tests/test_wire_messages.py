"""The classes of frames: what they promise of themselves."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from iii_trio._wire import messages as wire


@pytest.mark.parametrize("frame", wire.FRAMES, ids=lambda frame: str(frame.__name__))
def test_every_frame_is_frozen_and_has_a_type(frame: Any) -> None:
    """A frame that was checked stays as it was, and what must always be written is a field of it.

    Those of calls are not frozen, for what that costs; they live for a moment, and nobody else holds them.
    """
    assert frame.TYPE.islower()
    assert set(frame.ALWAYS) <= set(attrs.fields_dict(frame))
    is_frozen = attrs.resolve_types(frame).__setattr__ is not object.__setattr__
    assert is_frozen is (frame not in (wire.InvokeFunction, wire.InvocationResult))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(wire.Reattach("w", "s3cret"), id="what retires a connection"),
        pytest.param(wire.WorkerRegistered("w", "s3cret"), id="the greeting"),
    ],
)
def test_the_reattach_token_is_not_shown(frame: Any) -> None:
    """Who has it can end the connection, so it is kept out of logs."""
    assert "s3cret" not in repr(frame)


def test_absent_says_its_name() -> None:
    """It shows in the repr of a result."""
    assert repr(wire.InvocationResult("i", "f")) == (
        "InvocationResult(invocation_id='i', function_id='f', result=ABSENT, error=None, traceparent=None, baggage=None)"
    )


def test_a_frame_cannot_be_changed() -> None:
    """Not by accident, that is."""
    frame = wire.UnregisterFunction("f")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        frame.id = "g"  # type: ignore[misc]
    assert copy.copy(frame) == frame == pickle.loads(pickle.dumps(frame))
