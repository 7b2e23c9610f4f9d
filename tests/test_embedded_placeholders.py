"""What the environment puts into configuration values."""

from __future__ import annotations

import math

import pytest

from iii_trio._embedded.placeholders import expand
from iii_trio._wire.messages import Json

ENVIRON = {"PORT": "8080", "HOST": "example.org", "EMPTY": "", "YES": "true"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        pytest.param("${PORT}", 8080, id="number"),
        pytest.param(" ${PORT:1}\n", 8080, id="alone-between-blanks"),
        pytest.param("${YES}", True, id="flag"),
        pytest.param("${HOST}", "example.org", id="text"),
        pytest.param("${EMPTY}", "", id="empty-text-is-not-null"),
        pytest.param("${NONE:}", "", id="empty-default"),
        pytest.param("${NONE:~}", None, id="null"),
        pytest.param("http://${HOST}:${PORT}", "http://example.org:8080", id="inside-text"),
        pytest.param("${PORT}${PORT}", "80808080", id="two-are-text"),
        pytest.param("${NONE:a:b}", "a:b", id="colon-in-a-default"),
        pytest.param("${:5}", "${:5}", id="no-name"),
        pytest.param("$PORT", "$PORT", id="no-braces"),
        pytest.param({"${PORT}": ["${PORT}", 1, None]}, {"${PORT}": [8080, 1, None]}, id="values-not-keys"),
    ],
)
def test_placeholders_are_filled_in(template: Json, value: Json) -> None:
    """Text that is one placeholder becomes what it looks like."""
    assert expand(template, ENVIRON) == (value, [])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("-5", -5),
        ("+5", 5),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("0o17", 15),
        ("0b11", 3),
        ("18446744073709551615", 2**64 - 1),
        ("1.", 1.0),
        (".5", 0.5),
        ("01.5", 1.5),
        ("1E5", 100_000.0),
        (".NaN", None),
        ("-.inf", None),
        ("NULL", None),
        ("FALSE", False),
        (" 5 ", 5),
    ],
)
def test_a_scalar_is_what_yaml_says(written: str, value: Json) -> None:
    """As the real engine said it of these."""
    found, _ = expand(f"${{NONE:{written}}}", {})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        "007",
        "1_000",
        "on",
        "yes",
        "tRue",
        "0XFF",
        "0o8",
        "nan",
        ".",
        "18446744073709551616",
        "1e400",
        "2001-01-01",
        "1:30",
    ],
)
def test_what_is_no_scalar_stays_text(written: str) -> None:
    """As the real engine said it of these."""
    assert expand(f"${{NONE:{written}}}", {}) == (written, [])


def test_what_is_missing_is_named_and_left() -> None:
    """In the order of its occurrence."""
    assert expand(["${B}", "x${A}y"], {}) == (["${B}", "x${A}y"], ["B", "A"])


def test_numbers_are_finite() -> None:
    """JSON has no others."""
    for written in ("1e308", "-1e308"):
        found, _ = expand(f"${{NONE:{written}}}", {})
        assert math.isfinite(found)
