"""Validators: each says which class, which field, and what is wrong."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from iii_trio._values import checks
from iii_trio.errors import ConfigurationError


def box(validator: checks.Validator) -> Any:
    """A class with one field."""
    return attrs.make_class("Box", {"value": attrs.field(validator=validator)})


async def _later() -> None:
    """What nobody would await."""


class Sub(int):
    """A subclass."""


@pytest.mark.parametrize(
    ("validator", "good"),
    [
        pytest.param(checks.text, ["a", " a ", "é"], id="text"),
        pytest.param(checks.non_negative, [0, 0.0, 1, 2.5, math.inf], id="non_negative"),
        pytest.param(checks.positive, [1, 0.1, math.inf], id="positive"),
        pytest.param(checks.between(0.0, 1.0), [0, 1, 0.5], id="between"),
        pytest.param(checks.whole(-1), [-1, 0, 10**30, Sub(3)], id="whole"),
        pytest.param(checks.flag, [True, False], id="flag"),
        pytest.param(checks.whole(0, 9), [0, 9], id="whole, bounded"),
        pytest.param(checks.texts, [[], ["a", ""]], id="texts"),
        pytest.param(checks.text_map, [{}, {"a": ""}], id="text_map"),
        pytest.param(checks.function, [print, [].append], id="function"),
        pytest.param(checks.one_of("a", None), ["a", None], id="one_of"),
        pytest.param(checks.instance(str, bytes), ["", b""], id="instance"),
        pytest.param(checks.optional(checks.text), [None, "a"], id="optional"),
    ],
)
def test_what_fits_is_taken(validator: checks.Validator, good: list[Any]) -> None:
    """As it is, without conversion."""
    for value in good:
        assert box(validator)(value).value is value


@pytest.mark.parametrize(
    ("validator", "value", "reason"),
    [
        pytest.param(checks.text, 7, "must be text, not int", id="text: a number"),
        pytest.param(checks.text, "", "must not be blank", id="text: empty"),
        pytest.param(checks.text, " \t\n", "must not be blank", id="text: blank, which the engine refuses"),
        pytest.param(checks.non_negative, -0.1, "must be from 0 to inf, not -0.1", id="non_negative: below"),
        pytest.param(checks.non_negative, math.nan, "not nan", id="non_negative: NaN compares with nothing"),
        pytest.param(checks.non_negative, True, "must be a number, not bool", id="non_negative: True is not 1"),
        pytest.param(checks.non_negative, "1", "must be a number, not str", id="non_negative: '1' is not 1"),
        pytest.param(checks.non_negative, 10**400, "is too large; .* math.inf", id="non_negative: more than any float"),
        pytest.param(checks.between(0, 1), 10**5000, "is too large", id="between: too long to be shown"),
        pytest.param(checks.positive, -(10**400), "is too large", id="positive: less than any float"),
        pytest.param(checks.positive, 0, "must be more than 0", id="positive: zero"),
        pytest.param(checks.positive, -1, "must be from 0", id="positive: below"),
        pytest.param(checks.between(0.0, 1.0), 1.1, "must be from 0.0 to 1.0, not 1.1", id="between: above"),
        pytest.param(checks.between(0.0, 1.0), None, "not NoneType", id="between: nothing"),
        pytest.param(checks.whole(1), 0, "must be at least 1, not 0", id="whole: below"),
        pytest.param(checks.whole(1), 1.0, "must be a whole number, not float", id="whole: 1.0 is not whole"),
        pytest.param(checks.whole(1), True, "must be a whole number, not bool", id="whole: True is not 1"),
        pytest.param(checks.whole(1, 9), 10, "must be at most 9, not 10", id="whole: above"),
        pytest.param(checks.whole(1, 9), 10**5000, "must be at most 9$", id="whole: too long to be shown"),
        pytest.param(checks.whole(1), -(10**5000), "must be at least 1$", id="whole: so is the least"),
        pytest.param(checks.texts, "ab", "must be a list, not str", id="texts: text is no list of text"),
        pytest.param(checks.texts, ["a", None], r"\[1\] must be text, not NoneType", id="texts: one is none"),
        pytest.param(checks.text_map, [("a", "b")], "must be a dict, not list", id="text_map: pairs"),
        pytest.param(checks.text_map, {"a": 1}, "must map text to text, not 'a' to int", id="text_map: a number"),
        pytest.param(checks.text_map, {1: "a"}, "must map text to text, not 1 to str", id="text_map: a key"),
        pytest.param(checks.function, 1, "must be callable, not int", id="function: 1 cannot be called"),
        pytest.param(checks.function, _later, "must be a plain function", id="function: nobody would await it"),
        pytest.param(checks.flag, "no", "must be True or False, not str", id="flag: 'no' is not True"),
        pytest.param(checks.flag, 1, "must be True or False, not int", id="flag: 1 is not True"),
        pytest.param(checks.one_of("a", "b"), "c", "must be 'a' or 'b', not 'c'", id="one_of: another"),
        pytest.param(checks.instance(str, bytes), 1, "must be str or bytes, not int", id="instance: another class"),
        pytest.param(checks.optional(checks.text), "", "must not be blank", id="optional: not None and wrong"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(validator: checks.Validator, value: Any, reason: str) -> None:
    """The message says where it was."""
    with pytest.raises(ConfigurationError, match=f"^Box.value .*{reason}"):
        box(validator)(value)
