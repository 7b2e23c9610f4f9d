"""`${NAME:default}` in configuration values: what the environment has is put in its place.

Text that is nothing but one placeholder becomes what unquoted YAML makes of it, a number or a flag or nothing; this engine
reads its scalars, and leaves what would be a list or a map as text (docs/engine.md, "Configuration").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from iii_trio._wire.messages import Json

_PLACEHOLDER: Final = re.compile(r"\$\{([^}:]+)(?::([^}]*))?\}")
_LONE: Final = re.compile(r"\s*\$\{[^}]*\}\s*")

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    # JSON has no word for these.
    **dict.fromkeys(f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")),
    **dict.fromkeys((".nan", ".NaN", ".NAN")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"([-+]?)(?:(0|[1-9][0-9]*)|0x([0-9a-fA-F]+)|0o([0-7]+)|0b([01]+))")
_FLOAT: Final = re.compile(r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**64 - 1


def expand(value: Json, environ: Mapping[str, str]) -> tuple[Json, list[str]]:
    """The value with everything put in, and the names that have neither a value nor a default: those stay as they are."""
    missing: list[str] = []
    return _expand(value, environ, missing), missing


def _expand(value: Json, environ: Mapping[str, str], missing: list[str]) -> Json:
    if isinstance(value, dict):
        return {key: _expand(inner, environ, missing) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, environ, missing) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name in environ:
            return environ[name]
        if default is not None:
            return str(default)
        missing.append(name)
        return found[0]

    filled = _PLACEHOLDER.sub(fill, value)
    return _scalar(filled) if _LONE.fullmatch(value) else filled


def _scalar(text: str) -> Json:
    word = text.strip()
    if word in _WORDS:
        return _WORDS[word]
    integer = _INTEGER.fullmatch(word)
    if integer is not None:
        sign, *digits = integer.groups()
        base, spelled = next((base, found) for base, found in zip((10, 16, 8, 2), digits, strict=True) if found)
        number = int(f"{sign}{spelled}", base)
        # What is too large for the engine stays text.
        return number if _LEAST_INTEGER <= number <= _GREATEST_INTEGER else text
    return float(word) if _FLOAT.fullmatch(word) and math.isfinite(float(word)) else text
