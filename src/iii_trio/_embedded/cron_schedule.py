"""Cron expressions as the engine reads them, and the next time that one names (docs/engine.md, "Cron").

No library reads this dialect: six or seven fields from the second to the year, Sunday is 1, and the day has to fit both
the month and the week. What cannot be read is refused with the engine's words, which point at the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import attrs

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = r"[ \t\r\n]*[0-9]+[ \t\r\n]*"
_NAME: Final = r"[ \t\r\n]*[A-Za-z]+[ \t\r\n]*"
_BASE: Final = rf"{_NUMBER}-{_NUMBER}|{_NUMBER}|{_NAME}-{_NAME}"
_MAX_U32: Final = 2**32 - 1


def _item(wildcards: str) -> re.Pattern[str]:
    """One of the items that commas separate: first with a step, since the rest of it would read as another field."""
    return re.compile(
        rf"(?P<stepped>{wildcards}|{_BASE})/(?P<step>{_NUMBER})|(?P<plain>{wildcards}|{_BASE})|(?P<name>{_NAME})"
    )


_ITEM: Final = _item(r"\*")
_DAY_ITEM: Final = _item(r"\*|\?")


class Unreadable(Exception):
    """Not a cron expression; the text is the expression, a mark below the place, and what is wrong there."""

    def __init__(self, expression: str, place: int, reason: str = "") -> None:
        super().__init__(f"{expression}\n{' ' * place}^\n{reason}")


@attrs.frozen
class _Unit:
    """One field."""

    title: str
    least: int
    greatest: int
    names: Mapping[str, int] = attrs.field(factory=dict)
    unknown_name: str = ""
    """What is said of a name that is none; empty where no names are."""
    item: re.Pattern[str] = _ITEM

    def named(self, name: str) -> int:
        """The number behind a name. Raises `ValueError`."""
        number = self.names.get(name.lower())
        if number is not None:
            return number
        if self.unknown_name:
            raise ValueError(f"'{name}' is not a valid {self.unknown_name}.")
        raise ValueError(f"The '{self.title}' field does not support using names. '{name}' specified.")

    def check(self, number: int) -> int:
        """The number, if the field can have it. Raises `ValueError`."""
        if number < self.least:
            raise ValueError(f"{self.title} must be greater than or equal to {self.least}. ('{number}' specified.)")
        if number > self.greatest:
            raise ValueError(f"{self.title} must be less than {self.greatest}. ('{number}' specified.)")
        return number

    def numbers(self, item: re.Match[str]) -> Iterable[int]:
        """What one item stands for. Raises `ValueError`."""
        if item["name"] is not None:
            return [self.named(item["name"].strip())]
        if item["step"] is None:
            return self._base(item["plain"].strip(), self.greatest + 1, stepped=False)
        step = int(item["step"])
        if step == 0:
            raise ValueError("range step cannot be zero")
        if step > self.greatest:
            raise ValueError(f"{self.title} must be between 1 and {self.greatest}. ('{step}' specified.)")
        return self._base(item["stepped"].strip(), self.greatest + 1, stepped=True)[::step]

    def _base(self, text: str, end: int, *, stepped: bool) -> range:
        if text in ("*", "?"):
            return range(self.least, end)
        first, dash, last = (part.strip() for part in text.partition("-"))
        if not dash:
            number = self.check(int(first))
            return range(number, end if stepped else number + 1)
        named = not first.isdigit()
        start, stop = (self.named(part) if named else int(part) for part in (first, last))
        if not self.least <= start <= stop <= self.greatest:
            raise ValueError(f"Invalid {'named ' if named else ''}range for {self.title}: {first}-{last}")
        return range(start, stop + 1)


def _names(*words: str) -> dict[str, int]:
    """Numbers from one on, for words that may be cut to three letters."""
    return {name: number for number, word in enumerate(words, 1) for name in (word, word[:3])}


_MONTHS: Final = _names(
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAYS: Final = {
    **_names("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"),
    "tues": 3,
    "thurs": 5,
}
_UNITS: Final = (
    _Unit("Seconds", 0, 59),
    _Unit("Minutes", 0, 59),
    _Unit("Hours", 0, 23),
    _Unit("Days of Month", 1, 31, item=_DAY_ITEM),
    _Unit("Months", 1, 12, _MONTHS, "month name"),
    _Unit("Days of Week", 1, 7, _DAYS, "day of the week", _DAY_ITEM),
)
_YEARS: Final = _Unit("Years", 1970, 2100)
_SHORTHANDS: Final = {
    "@yearly": "0 0 0 1 1 * *",
    "@monthly": "0 0 0 1 * * *",
    "@weekly": "0 0 0 * * 1 *",
    "@daily": "0 0 0 * * * *",
    "@hourly": "0 0 * * * * *",
}


@attrs.frozen
class Schedule:
    """The times of a cron expression, in UTC."""

    _seconds: tuple[int, ...]
    _minutes: tuple[int, ...]
    _hours: tuple[int, ...]
    _days: frozenset[int]
    _months: frozenset[int]
    _weekdays: frozenset[int]
    _years: frozenset[int]

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time in a later second; None if there is none before the year 2101."""
        start = moment.replace(microsecond=0) + timedelta(seconds=1)
        day = start.replace(hour=0, minute=0, second=0)
        while day.year <= _YEARS.greatest:
            if day.year not in self._years:
                day = day.replace(year=day.year + 1, month=1, day=1)
            elif day.month not in self._months:
                day = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
            else:
                found = self._time_on(day, start) if self._fits(day) else None
                if found is not None:
                    return found
                day += timedelta(days=1)
        return None

    def _fits(self, day: datetime) -> bool:
        return day.day in self._days and day.isoweekday() % 7 + 1 in self._weekdays

    def _time_on(self, day: datetime, start: datetime) -> datetime | None:
        for hour in self._hours:
            if day.replace(hour=hour, minute=59, second=59) < start:
                continue
            for minute in self._minutes:
                if day.replace(hour=hour, minute=minute, second=59) < start:
                    continue
                for second in self._seconds:
                    found = day.replace(hour=hour, minute=minute, second=second)
                    if found >= start:
                        return found
        return None


def parse(expression: str) -> Schedule:
    """Read an expression.

    Raises:
        Unreadable: It is none.
    """
    reader = _Reader(expression, _space(expression, 0))
    for word, meaning in _SHORTHANDS.items():
        if expression.startswith(word, reader.place):
            reader.place = _space(expression, reader.place + len(word))
            reader.end()
            return parse(meaning)
    reader.place = 0
    seconds, minutes, hours, days, months, weekdays = (reader.field(unit) for unit in _UNITS)
    years = reader.last_field(_YEARS)
    reader.end()
    return Schedule(tuple(sorted(seconds)), tuple(sorted(minutes)), tuple(sorted(hours)), days, months, weekdays, years)


def _space(expression: str, place: int) -> int:
    found = _SPACE.match(expression, place)
    assert found is not None, "it matches nothing at all as well"
    return found.end()


@attrs.define
class _Reader:
    """Reads field after field. Blanks between them may be left out, where it is clear without."""

    _expression: str
    place: int

    def field(self, unit: _Unit) -> frozenset[int]:
        """The numbers of the next field."""
        begin, self.place = self.place, _space(self._expression, self.place)
        numbers: set[int] = set()
        item = self._item(unit)
        while item is not None:
            self.place = item.end()
            try:
                numbers.update(unit.check(number) for number in unit.numbers(item))
            except ValueError as error:
                raise Unreadable(self._expression, begin, str(error)) from None
            item = self._item(unit, 1) if self._expression.startswith(",", self.place) else None
        if not numbers:
            raise Unreadable(self._expression, self.place)
        self.place = _space(self._expression, self.place)
        return frozenset(numbers)

    def _item(self, unit: _Unit, behind: int = 0) -> re.Match[str] | None:
        item = unit.item.match(self._expression, self.place + behind)
        if item is not None and any(int(digits) > _MAX_U32 for digits in re.findall("[0-9]+", item[0])):
            return None
        return item

    def last_field(self, unit: _Unit) -> frozenset[int]:
        """The numbers of a field that may be missing; one that cannot be read is, and stands in the way of the end."""
        begin = self.place
        try:
            return self.field(unit)
        except Unreadable:
            self.place = begin
            return frozenset(range(unit.least, unit.greatest + 1))

    def end(self) -> None:
        """There is nothing more."""
        if self.place < len(self._expression):
            raise Unreadable(self._expression, self.place)
