"""Which times a cron expression names, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from iii_trio._embedded.cron_schedule import Unreadable, parse

SUNDAY = "2026-02-01T00:00:00"


def times(expression: str, count: int = 3, since: str = SUNDAY) -> list[str]:
    """The next times, without their offset."""
    moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    schedule = parse(expression)
    found = []
    for _ in range(count):
        following = schedule.next_after(moment)
        if following is None:
            break
        moment = following
        found.append(moment.isoformat().removesuffix("+00:00"))
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("* * * * * *", ["2026-02-01T00:00:01", "2026-02-01T00:00:02"], id="seconds"),
        pytest.param("******", ["2026-02-01T00:00:01"], id="without-blanks"),
        pytest.param(" 5  * * * * * ", ["2026-02-01T00:00:05", "2026-02-01T00:01:05"], id="blanks"),
        pytest.param(
            "*/25 * * * * *", ["2026-02-01T00:00:25", "2026-02-01T00:00:50", "2026-02-01T00:01:00"], id="step"
        ),
        pytest.param("50/5 * * * * *", ["2026-02-01T00:00:50", "2026-02-01T00:00:55"], id="from-there-to-the-end"),
        pytest.param("10-14/3 * * * * *", ["2026-02-01T00:00:10", "2026-02-01T00:00:13"], id="range-with-step"),
        pytest.param("7,3 0 0 * * *", ["2026-02-01T00:00:03", "2026-02-01T00:00:07"], id="list"),
        pytest.param("0 30 9,17 * * *", ["2026-02-01T09:30:00", "2026-02-01T17:30:00"], id="hours"),
        pytest.param("0 0 0 1 * 1", ["2026-03-01T00:00:00", "2026-11-01T00:00:00"], id="both-days-must-fit"),
        pytest.param("0 0 12 ? * 2", ["2026-02-02T12:00:00", "2026-02-09T12:00:00"], id="two-is-monday"),
        pytest.param("0 0 12 * * sat", ["2026-02-07T12:00:00"], id="short-name"),
        pytest.param("0 0 12 * * Thursday", ["2026-02-05T12:00:00"], id="long-name"),
        pytest.param("0 0 12 * * Tues-Thurs", ["2026-02-03T12:00:00", "2026-02-04T12:00:00"], id="named-range"),
        pytest.param("0 0 0 * * Mon-Fri/2", ["2026-02-02T00:00:00", "2026-02-04T00:00:00"], id="named-step"),
        pytest.param("0 0 0 29 FEB ?", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"], id="leap-days"),
        pytest.param("0 0 0 31 * *", ["2026-03-31T00:00:00", "2026-05-31T00:00:00"], id="long-months"),
        pytest.param("0 0 0 1 1 * 2030-2031", ["2030-01-01T00:00:00", "2031-01-01T00:00:00"], id="years"),
        pytest.param("59 59 23 31 12 * 2100", ["2100-12-31T23:59:59"], id="the-last-second"),
        pytest.param("0 0 0 1 1 * 2025", [], id="past"),
        pytest.param("0 0 0 30 2 *", [], id="never"),
        pytest.param("@hourly", ["2026-02-01T01:00:00"], id="hourly"),
        pytest.param("@daily", ["2026-02-02T00:00:00"], id="daily"),
        pytest.param("@weekly", ["2026-02-08T00:00:00"], id="weekly"),
        pytest.param("@monthly", ["2026-03-01T00:00:00"], id="monthly"),
        pytest.param(" @yearly ", ["2027-01-01T00:00:00", "2028-01-01T00:00:00"], id="yearly"),
    ],
)
def test_the_next_times(expression: str, expected: list[str]) -> None:
    """After midnight of a Sunday, that midnight not among them."""
    assert times(expression, count=len(expected) or 1) == expected


def test_the_next_time_is_in_a_later_second() -> None:
    """However much of this one is over."""
    assert times("* * * * * *", 1, "2026-02-01T00:00:00.999999") == ["2026-02-01T00:00:01"]
    assert times("0 30 9 * * *", 2, "2026-12-31T09:30:00") == ["2027-01-01T09:30:00", "2027-01-02T09:30:00"]
    assert times("10 5 * * * *", 1, "2026-02-01T03:05:10") == ["2026-02-01T04:05:10"]


@pytest.mark.parametrize(
    ("expression", "place", "reason"),
    [
        pytest.param("* * * * *", 9, "", id="five-fields"),
        pytest.param("* * * * * * * *", 14, "", id="eight-fields"),
        pytest.param("* * * * * *x", 11, "", id="something-behind"),
        pytest.param("@reboot", 0, "", id="unknown-shorthand"),
        pytest.param("@Daily", 0, "", id="shorthands-are-small"),
        pytest.param("@weekly x", 8, "", id="behind-a-shorthand"),
        pytest.param("? * * * * *", 0, "", id="question-mark-is-for-days"),
        pytest.param("-1 * * * * *", 0, "", id="negative"),
        pytest.param("1.5 * * * * *", 1, "", id="fraction"),
        pytest.param("1,2, * * * * *", 3, "", id="trailing-comma"),
        pytest.param("1-2-3 * * * * *", 3, "", id="two-dashes"),
        pytest.param("99999999999 * * * * *", 0, "", id="too-large-a-number"),
        pytest.param("* * * * * MON-", 13, "", id="half-a-range"),
        pytest.param("* * * * * Tue/2", 13, "", id="no-step-behind-a-name"),
        pytest.param("* * * * * * 2101", 12, "", id="a-year-that-is-none-stands-in-the-way"),
        pytest.param("60 * * * * *", 0, "Seconds must be less than 59. ('60' specified.)", id="too-large"),
        pytest.param("70/2 * * * * *", 0, "Seconds must be less than 59. ('70' specified.)", id="too-large-a-start"),
        pytest.param(
            "0 0 0 * * 0", 10, "Days of Week must be greater than or equal to 1. ('0' specified.)", id="zero-is-no-day"
        ),
        pytest.param("* * * 32 * *", 6, "Days of Month must be less than 31. ('32' specified.)", id="no-such-day"),
        pytest.param("22-2 * * * * *", 0, "Invalid range for Seconds: 22-2", id="backwards"),
        pytest.param("5-70 * * * * *", 0, "Invalid range for Seconds: 5-70", id="range-too-far"),
        pytest.param("* * * * * Sat-Mon", 10, "Invalid named range for Days of Week: Sat-Mon", id="names-backwards"),
        pytest.param("*/0 * * * * *", 0, "range step cannot be zero", id="step-of-zero"),
        pytest.param("*/60 * * * * *", 0, "Seconds must be between 1 and 59. ('60' specified.)", id="too-large-a-step"),
        pytest.param(
            "x * * * * *", 0, "The 'Seconds' field does not support using names. 'x' specified.", id="no-names-here"
        ),
        pytest.param("* * * * Foo-Bar *", 8, "'Foo' is not a valid month name.", id="no-such-month"),
        pytest.param("* * * * * Mon,Foo", 10, "'Foo' is not a valid day of the week.", id="no-such-weekday"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_mark_at_the_place(expression: str, place: int, reason: str) -> None:
    """As the real engine said it of these."""
    with pytest.raises(Unreadable) as caught:
        parse(expression)
    assert str(caught.value) == f"{expression}\n{' ' * place}^\n{reason}"
