"""Paths of routes, as the engine's router reads them (docs/engine.md, "HTTP").

`:name` and `{name}` stand for a segment, `{*name}` at the end for the rest, and any of them may follow literal text in its
segment. What the real engine's router breaks at is refused here.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import attrs


class Kind(enum.IntEnum):
    """What a segment takes; the lower one is preferred."""

    LITERAL = 0
    ONE = 1
    """Any text, which may be empty but at the end of the path."""
    REST = 2
    """Any text that is not empty, slashes included."""


@attrs.frozen
class Segment:
    """One part of a path between slashes."""

    kind: Kind
    literal: str
    """The text, or the text before the parameter."""

    def takes(self, text: str, *, is_last: bool) -> bool:
        """Whether the text of a request fits; for the last segment of a pattern it is all that is left."""
        if self.kind is Kind.LITERAL:
            return text == self.literal
        rest = text.removeprefix(self.literal)
        return text.startswith(self.literal) and (bool(rest) or not is_last)

    @property
    def rank(self) -> tuple[int, int]:
        """The lower one is more specific."""
        return self.kind, -len(self.literal)


@attrs.frozen
class Pattern:
    """A path with parameters."""

    text: str
    """With a leading slash, and all parameters in braces."""
    segments: tuple[Segment, ...]

    def matches(self, path: str) -> bool:
        """Whether a request's path, not decoded, is one of these."""
        if not path.startswith("/"):
            return False
        last = len(self.segments) - 1
        parts = path[1:].split("/", last if self.segments[last].kind is Kind.REST else -1)
        return len(parts) == len(self.segments) and all(
            segment.takes(part, is_last=index == last)
            for index, (segment, part) in enumerate(zip(self.segments, parts, strict=True))
        )

    @property
    def rank(self) -> tuple[tuple[int, int], ...]:
        """Of two patterns that match a path the one with the lower rank serves it."""
        return tuple(segment.rank for segment in self.segments)

    def clashes_with(self, other: Pattern) -> bool:
        """Whether the real engine's router breaks when it gets both."""
        if self.segments == other.segments:
            return self.text != other.text
        for mine, its in zip(self.segments, other.segments, strict=False):
            if mine != its:
                return mine.literal == its.literal and {mine.kind, its.kind} == {Kind.ONE, Kind.REST}
        return False


_BRACES: Final = {"{{": "{", "}}": "}"}


def compile_path(path: str) -> Pattern:
    """The pattern of a path as it was registered.

    Raises:
        ValueError: The segment that the real engine's router breaks at.
    """
    segments = [f"{{{segment[1:]}}}" if segment.startswith(":") else segment for segment in path.split("/")]
    text = "/".join(segments)
    text = text if text.startswith("/") else f"/{text}"
    parts = text[1:].split("/")
    return Pattern(
        text, tuple(_compile_segment(part, is_last=index == len(parts)) for index, part in enumerate(parts, 1))
    )


def _compile_segment(text: str, *, is_last: bool) -> Segment:
    if text.startswith(("*", ":")):
        raise ValueError(text)
    literal = ""
    at = 0
    while at < len(text):
        if text[at : at + 2] in _BRACES:
            literal += _BRACES[text[at : at + 2]]
            at += 2
        elif text[at] not in "{}":
            literal += text[at]
            at += 1
        else:
            name = text[at + 1 : -1]
            takes_rest = name.startswith("*")
            whole = text[at] == "{" and text.endswith("}") and not {"{", "}"} & set(name)
            if not whole or not name.removeprefix("*") or (takes_rest and not is_last):
                raise ValueError(text)
            return Segment(Kind.REST if takes_rest else Kind.ONE, literal)
    return Segment(Kind.LITERAL, literal)


def path_parameters(registered: str, path: str) -> dict[str, Any]:
    """The `:name` segments of a path as it was registered, with what a request has there, not decoded.

    Empty segments do not count, and those in braces have no name for the handler.
    """
    names = [segment for segment in registered.split("/") if segment]
    values = [segment for segment in path.split("/") if segment]
    if len(names) != len(values):
        return {}
    return {name[1:]: value for name, value in zip(names, values, strict=True) if name.startswith(":")}
