"""A value from itself, from a dict, or from keywords; and what is left out of its JSON."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._values.building import LEFT_OUT, build, build_kind
from iii_trio._values.checks import text
from iii_trio._wire.check import jsonable
from iii_trio.errors import ConfigurationError


@attrs.frozen(kw_only=True)
class Letter:
    """What has a field that is needed and one that is not."""

    to: str = attrs.field(validator=text)
    stamp: int = 1
    type: str = "letter"


@attrs.frozen(kw_only=True)
class Parcel:
    """Another kind."""

    weight: int
    type: str = "parcel"


KINDS: dict[str, type[Letter | Parcel]] = {"letter": Letter, "parcel": Parcel}


def test_the_three_forms_make_the_same_value() -> None:
    """And a value that is given is that value, not a copy."""
    letter = Letter(to="ada", stamp=2)
    assert build(Letter, letter) is letter
    assert build(Letter, {"to": "ada", "stamp": 2}) == letter
    assert build(Letter, to="ada", stamp=2) == letter


@pytest.mark.parametrize(
    ("given", "keywords", "reason"),
    [
        pytest.param({"to": "a", "form": 1}, {}, "Letter has no form; it has to, stamp, type", id="an unknown key"),
        pytest.param({7: 1, "to": "a"}, {}, "Letter has no 7", id="a key that is no text"),
        pytest.param(None, {"to": "a", "form": 1}, "Letter has no form", id="an unknown keyword"),
        pytest.param({"stamp": 1}, {}, "Letter needs its to", id="a key is missing"),
        pytest.param(None, {}, "Letter needs its to", id="nothing at all"),
        pytest.param({"to": " "}, {}, "Letter.to must not be blank", id="a value that cannot be"),
        pytest.param({"to": "a"}, {"stamp": 1}, "a Letter that is given takes no stamp", id="both forms at once"),
        pytest.param(["to"], {}, "made from itself or a dict, not from list", id="another type"),
        pytest.param(Parcel(weight=1), {}, "made from itself or a dict, not from Parcel", id="another value"),
    ],
)
def test_what_is_no_such_value_is_refused(given: Any, keywords: dict[str, Any], reason: str) -> None:
    """With the class and the field."""
    with pytest.raises(ConfigurationError, match=reason):
        build(Letter, given, **keywords)


def test_a_dict_of_several_kinds_is_told_by_its_type() -> None:
    """Values are themselves."""
    assert build_kind(KINDS, {"type": "parcel", "weight": 3}, "mail") == Parcel(weight=3)
    assert build_kind(KINDS, {"type": "letter", "to": "ada"}, "mail") == Letter(to="ada")
    parcel = Parcel(weight=1)
    assert build_kind(KINDS, parcel, "mail") is parcel


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param({"weight": 1}, "the type of mail must be 'letter' or 'parcel', not None", id="no type"),
        pytest.param({"type": "fax"}, "must be 'letter' or 'parcel', not 'fax'", id="an unknown type"),
        pytest.param({"type": ["letter"]}, r"not \['letter'\]", id="a type that has no hash"),
        pytest.param({"type": "parcel"}, "Parcel needs its weight", id="the kind lacks a field"),
        pytest.param("letter", "mail is a dict, Letter or Parcel, not str", id="only the type"),
    ],
)
def test_what_is_of_no_kind_is_refused(given: Any, reason: str) -> None:
    """With what it should have been."""
    with pytest.raises(ConfigurationError, match=reason):
        build_kind(KINDS, given, "mail")


def test_a_field_is_left_out_only_where_none_means_silence() -> None:
    """Any other None is null, and what is not None is always written."""

    @attrs.frozen
    class Answer:
        spoken: Any = None
        silent: Any = attrs.field(default=None, metadata=LEFT_OUT)

    assert jsonable(Answer()) == {"spoken": None}
    assert jsonable(Answer(silent=False)) == {"spoken": None, "silent": False}
