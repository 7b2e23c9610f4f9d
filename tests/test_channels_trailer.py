"""The last word of a verified channel: what it says, and what it does not let pass."""

from __future__ import annotations

import json

import pytest

from iii_trio._channels.trailer import Tally

MESSAGES: list[str | bytes] = [b"abc", "é", b"", "last"]


def trailer_of(*messages: str | bytes) -> str:
    """What a writer of these says at the end."""
    tally = Tally()
    for message in messages:
        tally.add(message)
    return tally.trailer()


def fault_of(*messages: str | bytes) -> str | None:
    """What a reader of these thinks of their end."""
    tally = Tally()
    for message in messages:
        tally.take(message)
    return tally.fault()


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        pytest.param([], {"messages": 0, "bytes": 0, "crc32": 0}, id="nothing"),
        pytest.param([b"abc"], {"messages": 1, "bytes": 3, "crc32": 891568578}, id="bytes"),
        pytest.param([b"a", b"bc"], {"messages": 2, "bytes": 3, "crc32": 891568578}, id="in two"),
        pytest.param(["é"], {"messages": 1, "bytes": 2, "crc32": 235179326}, id="text, as UTF-8"),
    ],
)
def test_what_it_says(messages: list[str | bytes], told: dict[str, int]) -> None:
    """How many messages and bytes there were, and their checksum."""
    assert json.loads(trailer_of(*messages)) == {"iii_trio.end": told}


def test_a_whole_stream() -> None:
    """Has no fault, and the user sees all of it but the trailer."""
    tally = Tally()
    received = [*MESSAGES, trailer_of(*MESSAGES)]
    assert [message for message in received if tally.take(message)] == MESSAGES
    assert tally.fault() is None


@pytest.mark.parametrize(
    "received",
    [
        pytest.param([], id="nothing at all"),
        pytest.param(MESSAGES, id="everything but the trailer"),
        pytest.param([b'{"iii_trio.end": {}}'], id="bytes that look like one"),
    ],
)
def test_a_missing_trailer(received: list[str | bytes]) -> None:
    """The writer did not finish."""
    assert fault_of(*received) == "its last word is missing"


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(MESSAGES[1:], id="one is missing"),
        pytest.param([*MESSAGES, b""], id="an empty one more"),
        pytest.param([b"abd", *MESSAGES[1:]], id="another letter"),
        pytest.param(["é", b"abc", b"", "last"], id="another order"),
    ],
)
def test_another_stream_than_the_trailers(received: list[str | bytes]) -> None:
    """What came is not what was sent."""
    assert fault_of(*received, trailer_of(*MESSAGES)) == "what came is not what was sent"


def test_something_behind_the_trailer() -> None:
    """Nobody who finished has sent it."""
    assert fault_of(*MESSAGES, trailer_of(*MESSAGES), b"more") == "what came is not what was sent"


def test_a_users_text_that_looks_like_a_trailer() -> None:
    """Is not lost in silence: it is missing in the count."""
    text = '{"iii_trio.end": "mine"}'
    assert fault_of(text, trailer_of(text)) == "what came is not what was sent"
