"""Values that are written as text: which forms of a date and time, a date and a UUID are taken."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest

from iii_trio._types.table import Misfit, typed

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("2024-02-29T12:30:15Z", datetime.datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC), id="utc"),
        pytest.param(
            "2024-02-29t12:30:15z", datetime.datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC), id="small-letters"
        ),
        pytest.param(
            "2024-02-29T12:30:15.5-05:30",
            datetime.datetime(
                2024, 2, 29, 12, 30, 15, 500_000, datetime.timezone(-datetime.timedelta(hours=5, minutes=30))
            ),
            id="offset",
        ),
        pytest.param(
            "2024-02-29T12:30:15.123456789Z",
            datetime.datetime(2024, 2, 29, 12, 30, 15, 123_456, tzinfo=UTC),
            id="of-nanoseconds-the-microseconds",
        ),
    ],
)
def test_a_date_and_time_is_rfc_3339(text: str, value: datetime.datetime) -> None:
    """With its offset, which it keeps."""
    structured = typed(datetime.datetime).structure(text)
    assert structured == value
    assert structured.utcoffset() == value.utcoffset()


@pytest.mark.parametrize(
    ("type_", "tree"),
    [
        pytest.param(datetime.datetime, "2024-02-29T12:30:15", id="naive"),
        pytest.param(datetime.datetime, "2024-02-29", id="only-a-date"),
        pytest.param(datetime.datetime, "2024-02-30T12:30:15Z", id="no-such-day"),
        pytest.param(datetime.datetime, "2024-02-29T24:00:00Z", id="no-such-hour"),
        pytest.param(datetime.datetime, "2024-02-29 12:30:15Z", id="space"),
        pytest.param(datetime.datetime, "20240229T123015Z", id="basic-form"),
        pytest.param(datetime.datetime, "2024-02-29T12:30:15+25:00", id="no-such-offset"),
        pytest.param(datetime.datetime, "٢٠٢٤-02-29T12:30:15Z", id="digits-of-another-script"),
        pytest.param(datetime.datetime, 1709209815, id="seconds"),
        pytest.param(datetime.date, "20240229", id="basic-date"),
        pytest.param(datetime.date, "2024-W09-4", id="week"),
        pytest.param(datetime.date, "2024-02-29T00:00:00Z", id="more-than-a-date"),
        pytest.param(uuid.UUID, "12345678123456781234567812345678", id="no-dashes"),
        pytest.param(uuid.UUID, "{12345678-1234-5678-1234-567812345678}", id="braces"),
        pytest.param(uuid.UUID, "urn:uuid:12345678-1234-5678-1234-567812345678", id="urn"),
        pytest.param(uuid.UUID, 5, id="number"),
    ],
)
def test_other_forms_are_refused(type_: Any, tree: Any) -> None:
    """One form each, whatever Python's own readers take."""
    with pytest.raises(Misfit, match=r"^expected .*, got .* @ \$$"):
        typed(type_).structure(tree)


def test_a_uuid_may_have_capital_letters() -> None:
    """As some write it."""
    text = "ABCDEF00-1234-5678-1234-567812345678"
    assert typed(uuid.UUID).structure(text) == uuid.UUID(text)
