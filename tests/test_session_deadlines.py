"""How long the caller still waits, on its way to the handler."""

from __future__ import annotations

import math
from typing import Any

import pytest

from iii_trio._session.deadlines import DEADLINE_KEY, take_deadline, with_deadline


@pytest.mark.parametrize(
    ("metadata", "seconds", "sent"),
    [
        pytest.param(None, 1.5, {DEADLINE_KEY: 1500}, id="no metadata"),
        pytest.param({"a": 1}, 1.5, {"a": 1, DEADLINE_KEY: 1500}, id="beside what the caller says"),
        pytest.param(
            {}, 0.0001, {DEADLINE_KEY: 1}, id="rounded up: the handler is not cancelled before its caller gave up"
        ),
        pytest.param(None, -3.0, {DEADLINE_KEY: 0}, id="it has passed"),
        pytest.param([1], 1.5, [1], id="metadata that is no object has no place for it"),
        pytest.param({"a": 1}, math.inf, {"a": 1}, id="no end, nothing to say"),
        pytest.param(None, 1e305, None, id="an end so far away that the engine could not decode it"),
        pytest.param(None, 9e12, {DEADLINE_KEY: 9 * 10**15}, id="three hundred thousand years"),
        pytest.param(None, math.inf, None, id="nothing at all"),
    ],
)
def test_a_deadline_is_one_key_of_the_metadata(metadata: Any, seconds: float, sent: Any) -> None:
    """Only where metadata is absent or an object; the caller's own is not changed."""
    before = repr(metadata)
    assert with_deadline(metadata, seconds) == sent
    assert repr(metadata) == before


@pytest.mark.parametrize(
    ("received", "metadata", "seconds"),
    [
        pytest.param({DEADLINE_KEY: 1500}, None, 1.5, id="alone"),
        pytest.param({"a": 1, DEADLINE_KEY: 250.5}, {"a": 1}, 0.2505, id="beside others"),
        pytest.param({"a": 1}, {"a": 1}, math.inf, id="nobody said"),
        pytest.param(None, None, math.inf, id="no metadata"),
        pytest.param([DEADLINE_KEY], [DEADLINE_KEY], math.inf, id="no object"),
        pytest.param(
            {DEADLINE_KEY: "soon"}, None, math.inf, id="no number: somebody else's, and still not the handler's"
        ),
        pytest.param({DEADLINE_KEY: True}, None, math.inf, id="a truth value is no number"),
        pytest.param({DEADLINE_KEY: -1}, None, math.inf, id="less than nothing"),
    ],
)
def test_the_handler_does_not_see_it(received: Any, metadata: Any, seconds: float) -> None:
    """It is taken out on receipt, whatever it holds."""
    assert take_deadline(received) == (metadata, seconds)
