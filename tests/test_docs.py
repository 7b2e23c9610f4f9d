"""The documents say what the code does: tables, diagrams, headings and names are held against it.

``python -m tests.test_docs`` draws the diagrams anew.
"""

from __future__ import annotations

import builtins
import datetime
import decimal
import enum
import re
import typing
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from iii_trio import InitOptions, ReconnectionConfig, TelemetryOptions, errors
from iii_trio._client.exits import DrainReport
from iii_trio._client.statistics import ClientStatistics
from iii_trio._link.trio_websocket import TrioWebSocketTransport
from iii_trio._link.websockets import WebsocketsTransport
from iii_trio._session import states
from iii_trio._types.scalars import SCALARS
from iii_trio._types.shape import UnknownType
from iii_trio._types.table import typed
from iii_trio._wire import messages
from iii_trio._wire.check import MAX_NESTING
from iii_trio._wire.codec import MAX_FRAME_SIZE, MAX_MESSAGE_SIZE

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
ARCHITECTURE: Final = DOCS / "architecture.md"
DOCUMENTS: Final = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md")])
SOURCES: Final = sorted(
    path for folder in ("src", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py") if path.name[0] != "."
)
MIB: Final = 1024 * 1024

# A reference as comments and docstrings write it; a heading may be wrapped onto the next line.
REFERENCE: Final = re.compile(r'docs/([\w-]+\.md)(?:,\s+(?:#\s+)?"([^"]+)")?')
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


# ---- reading documents ----------------------------------------------------------------------------------------------


def plain(path: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(path: Path) -> list[str]:
    """The headings of a document, in order."""
    return re.findall(r"^#+ (.+)$", plain(path), re.MULTILINE)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(document: str, heading: str) -> str:
    """The text under one heading, up to the next."""
    found = re.search(
        rf"^## {heading}$(.*?)(?=^## |\Z)", (DOCS / document).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None, heading
    return found[1]


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the table under one heading, without its head."""
    lines = [line for line in section(document, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    """What stands in backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)


# ---- references -----------------------------------------------------------------------------------------------------


def references() -> Iterator[tuple[str, str, str]]:
    """Every mention of a document in the sources: where, which, and which heading, if one is named."""
    for path in SOURCES:
        for found in REFERENCE.finditer(path.read_text("utf-8")):
            yield str(path.relative_to(ROOT)), found[1], re.sub(r"\s*\n\s*(#\s+)?", " ", found[2] or "")


@pytest.mark.parametrize(("source", "document", "heading"), sorted(set(references())))
def test_a_reference_in_the_source_leads_to_a_heading(source: str, document: str, heading: str) -> None:
    """Comments cite facts instead of repeating them, so what they cite must be there."""
    path = DOCS / document
    assert path.is_file(), source
    assert not heading or heading in headings(path), source


def test_references_in_the_source_are_found_at_all() -> None:
    """The test above would pass without any."""
    assert {"engine.md", "wire.md"} <= {document for _, document, heading in references() if heading}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    """Files and anchors; addresses elsewhere are not asked."""
    for target in LINK.findall(plain(path)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.is_file(), target
        assert not anchor or anchor in [slug(heading) for heading in headings(there)], target


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_name_no_path_of_somebodys_machine(path: Path) -> None:
    """Who clones the repository has nothing but the repository."""
    assert not re.search(r"(?<![\w.])/(work|home|root|tmp|Users)/", path.read_text("utf-8"))


@pytest.mark.parametrize("document", ["engine.md", "wire.md"])
def test_cited_recordings_exist(document: str) -> None:
    """A fact about the engine is as good as the recording behind it."""
    recordings = {path.stem for path in (ROOT / "tests" / "transcripts").glob("*.jsonl")}
    cited = {
        name
        for group in re.findall(r"\((`[a-z-]+`(?:, `[a-z-]+`)*)\)", (DOCS / document).read_text("utf-8"))
        for name in code(group)
    }
    assert cited
    assert cited <= recordings


# ---- tables ---------------------------------------------------------------------------------------------------------


def shown(field: attrs.Attribute[Any]) -> str:
    """A default as the tables write it."""
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class at run time, a function to type checkers
        return f"{default.factory.__name__}()"
    return repr(default)


@pytest.mark.parametrize("options", [InitOptions, ReconnectionConfig, TelemetryOptions], ids=lambda cls: cls.__name__)
def test_the_options_are_documented_with_their_defaults(options: type[Any]) -> None:
    """Every field in its order, and nothing that is none."""
    documented = [(code(row[0])[0], code(row[1])[0]) for row in rows("options.md", options.__name__)]
    assert documented == [(field.name, shown(field)) for field in attrs.fields(options)]


def test_the_fates_are_documented_as_they_are() -> None:
    """Every code of its own meaning has a row, with the fate that an error of this code has."""
    table = {code(row[0])[0]: code(row[2]) for row in rows("fates.md", "How a call ends") if code(row[0])}
    assert all(errors.is_reserved(each) for each in table)
    for each, fates in table.items():
        assert errors.fate_of(each).name in fates
        assert set(fates) <= {fate.name for fate in errors.Fate}
    known = [each for each in errors._FATES if each not in table]
    assert known == []


def test_the_classes_in_the_table_of_fates_exist() -> None:
    """And each is an error of a call."""
    for row in rows("fates.md", "How a call ends"):
        (name,) = code(row[1])
        assert issubclass(getattr(errors, name), errors.InvocationError)


def test_the_types_are_documented() -> None:
    """What the page lists is taken, what it leaves out on purpose is not, and no scalar is missing."""
    names = {**vars(typing), **vars(builtins), "datetime": datetime, "uuid": uuid, "X": int, "Y": str}
    listed = [each.replace("\\|", "|") for row in rows("types.md", "What is taken") for each in code(row[0])]
    of_others = {"Literal", "TypedDict", "NewType", "Annotated", "Final", "type", "Optional", "Union"}
    known = [eval(each, names) for each in listed if each not in of_others]
    assert of_others < set(listed)
    assert all(typed(each) for each in known)
    assert set(SCALARS) - {type(None)} < set(known)
    left_out = re.findall(r"^- `(\w+)`:", section("types.md", "What is taken"), re.MULTILINE)
    assert left_out == ["bytes", "Decimal", "NamedTuple"]
    for each in (bytes, decimal.Decimal, typing.NamedTuple("Row", [("a", int)])):
        with pytest.raises(UnknownType):
            typed(each)


MESSAGES: Final = ["A call", "A void call", "The result of a handler", "A registration"]

# What somebody may be told by, beside figures: classes of errors, their codes and fates, and the wait that raises.
_TOLD: Final = {
    *errors.__all__,
    *errors._FATES,
    *(fate.name for fate in errors.Fate),
    *(field.name for cls in (ClientStatistics, DrainReport) for field in attrs.fields(cls)),
    *("invocation_failed", "DrainReport", "loop_watch", "wait_registered()"),
}


def defined_tests() -> set[str]:
    """The names of all tests."""
    texts = [path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", text, re.MULTILINE)}


@pytest.mark.parametrize("heading", MESSAGES)
def test_what_happens_to_a_message_is_told_by_what_there_is(heading: str) -> None:
    """Each line names errors, codes, fates and figures that exist, and says of each code the fate that it has."""
    for when, _, told, _ in rows("messages.md", heading):
        words = code(told)
        assert {*words} <= _TOLD, when
        assert words or "nothing" in told or "trio's" in told, when
        fates = {word for word in words if word in errors.Fate.__members__}
        for word in words:
            if fates and errors.is_reserved(word) and word not in ("TIMEOUT", "SHUTDOWN"):
                assert fates == {errors.fate_of(word).name}, when


@pytest.mark.parametrize("heading", MESSAGES)
def test_what_happens_to_a_message_is_held_by_tests(heading: str) -> None:
    """Each line names at least one, and each that it names is there."""
    tests = defined_tests()
    for when, _, _, held in rows("messages.md", heading):
        assert code(held), when
        assert {*code(held)} <= tests, when


def test_every_end_of_a_call_happens_to_a_message() -> None:
    """The classes and fates of the table of fates are all among the things that can go wrong."""
    told = {word for heading in MESSAGES for row in rows("messages.md", heading) for word in code(row[2])}
    classes = {code(row[1])[0] for row in rows("fates.md", "How a call ends")}
    assert classes <= told
    assert {fate.name for fate in errors.Fate} <= told


def test_every_drop_that_is_counted_happens_to_a_message() -> None:
    """Who wonders about a figure finds the line that explains it."""
    told = {word for heading in MESSAGES for row in rows("messages.md", heading) for word in code(row[2])}
    drops = re.compile(
        r"lost_calls|timed_out|overloaded|failed_handlers|unsent|dropped|unknown_results|refused|abandoned"
    )
    counted = {field.name for field in attrs.fields(ClientStatistics) if drops.search(field.name)}
    assert counted
    assert counted <= told


def test_the_frames_are_documented() -> None:
    """Each type that this package knows, and no other."""
    documented = [name for row in rows("wire.md", "Frames") for name in code(row[0])]
    assert sorted(documented) == sorted(cls.TYPE for cls in messages.FRAMES)


def test_the_keys_that_must_be_written_are_documented() -> None:
    """A frame without one of them is dropped, and nobody answers."""
    always = {name for cls in messages.FRAMES for name in cls.ALWAYS}
    (sentence,) = re.findall(r"Some keys must be there: (.*?)\. An", section("wire.md", "Frames"), re.DOTALL)
    assert set(code(sentence)) == always


def test_limits_in_the_prose_are_those_of_the_code() -> None:
    """A number that is written down here and there is the same number."""
    sizes = section("wire.md", "Sizes")
    assert f"messages of up to {MAX_MESSAGE_SIZE // MIB} MiB" in sizes
    assert f"a\nmessage of ours may have {TrioWebSocketTransport.MAX_OUTGOING // MIB} MiB" in sizes
    assert f"over [websockets](options.md#the-transport) {WebsocketsTransport.MAX_OUTGOING // MIB} MiB" in sizes
    assert f"takes frames of up to {MAX_FRAME_SIZE // MIB} MiB" in sizes
    nesting = f"deeper than {MAX_NESTING}, the frame itself included, so {MAX_NESTING - 1} for a payload"
    assert nesting in section("wire.md", "What the engine cannot decode")


def test_every_package_has_its_place_in_the_house() -> None:
    """The list of the architecture has what there is."""
    listed = {name.removeprefix("iii_trio") for row in rows("architecture.md", "The house") for name in code(row[0])}
    there = {path.stem for path in (ROOT / "src" / "iii_trio").iterdir() if path.suffix in ("", ".py")}
    assert listed - {""} == there - {"__init__", "__pycache__", "_embedded"}


# ---- diagrams -------------------------------------------------------------------------------------------------------

DIAGRAMS: Final[Mapping[str, tuple[enum.Enum, Mapping[Any, Mapping[Any, Any]]]]] = {
    "connection": (states.Connection.OPENING, states.CONNECTION_TRANSITIONS),
    "client": (states.Client.STARTING, states.CLIENT_TRANSITIONS),
}


def draw(start: enum.Enum, transitions: Mapping[Any, Mapping[Any, Any]]) -> str:
    """A table of transitions as a mermaid diagram, with one arrow for all events that lead the same way."""
    lines = ["stateDiagram-v2", f"    [*] --> {start.value}"]
    for state, targets in transitions.items():
        arrows: dict[Any, list[str]] = {}
        for event, target in targets.items():
            arrows.setdefault(target, []).append(event.value)
        lines += [f"    {state.value} --> {target.value}: {', '.join(events)}" for target, events in arrows.items()]
        if not targets:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)


def drawn(name: str) -> re.Pattern[str]:
    """Where a diagram stands in the document."""
    return re.compile(rf"(<!-- {name} -->\n```mermaid\n)(.*?)(```\n<!-- /{name} -->)", re.DOTALL)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_diagrams_show_the_tables(name: str) -> None:
    """``python -m tests.test_docs`` draws them anew."""
    found = drawn(name).search(ARCHITECTURE.read_text("utf-8"))
    assert found is not None
    assert found[2] == draw(*DIAGRAMS[name]) + "\n"


def draw_all() -> None:
    """Put the present diagrams into the document."""
    text = ARCHITECTURE.read_text("utf-8")
    for name, diagram in DIAGRAMS.items():
        text = drawn(name).sub(rf"\g<1>{draw(*diagram)}\n\g<3>", text)
    ARCHITECTURE.write_text(text, "utf-8")


if __name__ == "__main__":
    draw_all()
