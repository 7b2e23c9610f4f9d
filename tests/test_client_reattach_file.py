"""A crashed worker's successor retires what the crash left in the engine, by a file that outlives the process."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import InitOptions, ReconnectionConfig, open_iii
from iii_trio._wire.messages import Reattach
from iii_trio.errors import RegistrationRejectedError
from tests._hostile import Engine, Network, NeverGreets
from tests.conftest import Link, MemoryLink, frames
from tests.interop.engines import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the client keeps its tokens; nothing is there yet."""
    return tmp_path / "worker.reattach"


def _hold(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _held(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _connections(file: Path) -> list[dict[str, str]]:
    content = _held(file)
    found: list[dict[str, str]] = json.loads(content)["connections"] if content and content.strip() else []
    return found


def _named(file: Path) -> list[str]:
    """The connections in the file, oldest first."""
    return [each["worker_id"] for each in _connections(file)]


async def _crash(link: MemoryLink, file: Path, name: str = "w") -> str:
    """A worker that ends without a goodbye, and whose end the engine does not notice; returns its id."""
    async with link.client(worker_name=name, reattach_file=file) as iii:
        worker_id = iii.statistics().worker_id
        assert worker_id is not None
        await iii.register_function("f", lambda: 1).wait_registered()
        await until(lambda: _named(file) == [worker_id])
        link.wire.is_ghost = True
        await link.go_down()
    assert worker_id in link.engine.connections
    return worker_id


async def test_the_successor_of_a_crashed_worker_opens_at_once(link: MemoryLink, file: Path) -> None:
    """With the name and the function that the engine held for the ghost."""
    ghost = await _crash(link, file)
    successor = Link(link.engine)
    async with successor.client(worker_name="w", reattach_file=str(file)) as iii:
        assert link.engine.connections == (iii.statistics().worker_id,)
        assert [frame.previous_worker_id for frame in frames(link.engine, Reattach)] == [ghost]
        assert iii.statistics().connects == 1
        await iii.register_function("f", lambda: 2).wait_registered()
        assert await iii.trigger("f") == 2


async def test_without_the_file_the_successor_is_refused(link: MemoryLink, file: Path) -> None:
    """The engine believes in the ghost."""
    await _crash(link, file)
    with pytest.raises(RegistrationRejectedError, match="WORKER_NAMESPACE_CONFLICT"):
        async with Link(link.engine).client(worker_name="w"):
            raise AssertionError


async def test_the_successor_of_the_successor_opens_too(link: MemoryLink, file: Path) -> None:
    """The file names the newest connection, and no longer those that were retired."""
    first = await _crash(link, file)
    second_link = Link(link.engine)
    second = await _crash(second_link, file)
    assert link.engine.connections == (second,)
    assert _named(file) == [second] != [first]
    async with Link(link.engine).client(worker_name="w", reattach_file=file):
        pass


async def test_a_reconnect_is_written_down(link: MemoryLink, file: Path) -> None:
    """After it the file names the new connection alone."""
    async with link.client(worker_name="w", reattach_file=file) as iii:
        first = iii.statistics().worker_id
        await link.go_down()
        link.is_up = True
        await iii.wait_connected()
        second = iii.statistics().worker_id
        assert second != first
        await until(lambda: _named(file) == [second])


async def test_a_clean_goodbye_removes_the_file(link: MemoryLink, file: Path) -> None:
    """There is nothing left to retire."""
    async with link.client(reattach_file=file):
        await until(lambda: _named(file) != [])
    assert os.listdir(file.parent) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes on Windows")
async def test_only_the_owner_can_read_the_file(link: MemoryLink, file: Path) -> None:
    """Whatever the umask says, and whatever the mode of an older file was."""
    _hold(file, b"")
    before = os.umask(0)
    try:
        async with link.client(reattach_file=file):
            await until(lambda: _named(file) != [])
            assert _mode(file) == 0o600
            assert os.listdir(file.parent) == [file.name]
    finally:
        os.umask(before)


async def test_the_token_is_shown_nowhere(link: MemoryLink, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the log, nor in what the client, its options and its trace show."""
    caplog.set_level(logging.DEBUG)
    seen: list[Any] = []
    await _crash(link, file)
    (ghost,) = _connections(file)
    options: dict[str, Any] = {"worker_name": "w", "reattach_file": file, "trace": lambda *event: seen.append(event)}
    async with Link(link.engine).client(**options) as iii:
        await until(lambda: _named(file) == [iii.statistics().worker_id])
        (own,) = _connections(file)
        shown = f"{iii!r} {iii.statistics()!r} {InitOptions(**options)!r} {seen!r} {caplog.text}"
    for token in (ghost["reattach_token"], own["reattach_token"]):
        assert token not in shown + caplog.text


_DOCUMENT = {"format": "iii-trio reattach 1", "connections": []}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x00\xff garbage", id="garbage"),
        pytest.param(b'{"format": "iii-trio reattach 1", "conn', id="half of it"),
        pytest.param(b"[" * 100_000, id="brackets"),
        pytest.param(b" " * 100_000 + b"{}", id="too long"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"x"', id="text"),
        pytest.param(b'{"name": "package"}', id="somebody else's JSON"),
        pytest.param(json.dumps({**_DOCUMENT, "format": "2"}).encode(), id="another format"),
        pytest.param(json.dumps({**_DOCUMENT, "connections": 1}).encode(), id="no connections"),
        pytest.param(json.dumps({**_DOCUMENT, "connections": [{"worker_id": "x"}]}).encode(), id="no token"),
        pytest.param(
            json.dumps({**_DOCUMENT, "connections": [{"worker_id": "\ud800", "reattach_token": "t"}]}).encode(),
            id="what cannot be sent",
        ),
        pytest.param(
            json.dumps({**_DOCUMENT, "connections": [{"worker_id": [], "reattach_token": "t"}]}).encode(),
            id="an id that is no text",
        ),
    ],
)
async def test_a_file_that_holds_something_else_is_ignored_and_left_alone(
    link: MemoryLink, file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be somebody's work, named by mistake; a line in the log says so."""
    _hold(file, content)
    async with link.client(reattach_file=file) as iii:
        assert await iii.trigger("engine::workers::list", {}) is not None
    assert frames(link.engine, Reattach) == []
    assert _held(file) == content
    assert f"the reattach file {file} " in caplog.text


@pytest.mark.parametrize("content", [None, b"", b" \n"], ids=["missing", "empty", "blank"])
async def test_a_file_that_holds_nothing_is_begun(
    link: MemoryLink, file: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """With a line in the log."""
    caplog.set_level(logging.INFO)
    if content is not None:
        _hold(file, content)
    async with link.client(reattach_file=file) as iii:
        await until(lambda: _named(file) != [])
        assert _named(file) == [iii.statistics().worker_id]
    assert str(file) in caplog.text


async def test_a_file_that_cannot_be_used_is_no_error(
    link: MemoryLink, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A directory, and a file in a directory that is not there: the client works without."""
    for path in (tmp_path, tmp_path / "missing" / "file"):
        caplog.clear()
        async with link.client(reattach_file=path) as iii:
            assert await iii.trigger("engine::workers::list", {}) is not None
            await until(lambda: "the reattach file" in caplog.text)
        assert "WARNING" in caplog.text


async def test_tokens_that_the_engine_does_not_know_do_no_harm(link: MemoryLink, file: Path) -> None:
    """It was restarted meanwhile, or noticed the crash by itself."""
    await _crash(link, file)
    link.engine.drop_links()
    async with Link(link.engine).client(worker_name="w", reattach_file=file) as iii:
        assert iii.statistics().connects == 1


async def test_a_goodbye_that_nobody_heard_leaves_the_file(link: MemoryLink, file: Path) -> None:
    """The engine takes nothing any more, so it may hold the connection for ever."""
    async with link.client(reattach_file=file, close_timeout=0.05) as iii:
        worker_id = iii.statistics().worker_id
        await until(lambda: _named(file) == [worker_id])
        link.wire.is_ghost = True
        link.wire.stall()
        iii.trigger_nowait("f")
        await trio.testing.wait_all_tasks_blocked()
    assert _named(file) == [worker_id]
    await link.wire.bury()


async def test_a_goodbye_before_the_greeting_leaves_the_connection_before_in_the_file(file: Path) -> None:
    """Closing an attempt says nothing about the ghost that it was to retire."""
    engine = Engine()
    options = InitOptions(reattach_file=file, reconnection_config=ReconnectionConfig(initial_delay_ms=1))
    async with trio.open_nursery() as nursery:
        network = Network(nursery, engine, NeverGreets())
        async with open_iii("ws://engine.invalid", options, open_stream=network.open_stream) as iii:
            await until(lambda: _named(file) == ["worker-1"])
            await trio.aclose_forcefully(engine.link.stream)
            await until(lambda: iii.statistics().connects == 2)
        nursery.cancel_scope.cancel()
    assert _named(file) == ["worker-1"]
