"""HTTP end to end with curl: against the embedded engine as a process, and against the one of III_TEST_HTTP_URL if set.

That one needs III_TEST_URL for its workers, and a `default_timeout` that leaves time for an upload.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio import III, InitOptions, open_iii
from iii_trio._values.trigger_configs import RouteMethod
from iii_trio.errors import ChannelBroken
from tests._curl import curl, needs_curl, start_curl
from tests._engines import within

pytestmark = [pytest.mark.engine, needs_curl]

SIZE: Final = 100_000_000
MIB: Final = 1024 * 1024
ENGINES: Final = ["embedded", *(["real"] if os.environ.get("III_TEST_HTTP_URL") else [])]


@attrs.frozen
class Place:
    """Where an engine is, and a worker of it."""

    iii: III
    http_url: str
    pid: int | None
    """The process of the embedded engine."""

    async def serve(self, handler: Callable[..., Any], method: RouteMethod = "GET") -> str:
        """The URL of a handler."""
        name = f"t{uuid.uuid4().hex[:12]}"
        await self.iii.on.http(method, f"/{name}/:id", function_id=name)(handler).wait_registered()
        return f"{self.http_url}/{name}/7"

    def peak(self) -> int:
        """Bytes that the engine's process has had at most."""
        if self.pid is None or not sys.platform.startswith("linux"):
            return 0
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, int | None]]:
    """The URLs of an engine for workers and for HTTP, and its process."""
    if request.param == "real":
        yield os.environ["III_TEST_URL"], os.environ["III_TEST_HTTP_URL"], None
        return
    command = [
        sys.executable,
        "-c",
        "from iii_trio._cli import main; main()",
        "engine",
        "--port",
        "0",
        "--http-port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url, http_url = (process.stdout.readline().split()[-1] for _ in range(2))
            yield url, http_url, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


@pytest.fixture
async def place(engine: tuple[str, str, int | None]) -> AsyncIterator[Place]:
    """An engine with a worker."""
    url, http_url, pid = engine
    async with open_iii(url, InitOptions(drain_timeout=0)) as iii:
        yield Place(iii, http_url, pid)


@within(30)
async def test_json_goes_in_and_out(place: Place) -> None:
    """With status, parameters and headers."""

    async def handler(request: dict[str, Any]) -> dict[str, Any]:
        told = {name: request[name] for name in ("path_params", "query_params", "body")}
        return {"status_code": 201, "headers": {"x-own": "1"}, "body": told}

    url = await place.serve(handler, "POST")
    printed = await curl("-i", "--json", '{"n":1}', f"{url}?q=a%20b")
    head, _, body = printed.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 201 ")
    assert "x-own: 1" in head.lower()
    assert json.loads(body) == {"path_params": {"id": "7"}, "query_params": {"q": "a b"}, "body": {"n": 1}}


@within(60)
async def test_a_large_upload_is_read_as_a_stream(place: Place, tmp_path: Path) -> None:
    """100 MB arrive as they were sent, and the engine never holds much of them."""

    async def handler(request: dict[str, Any]) -> dict[str, Any]:
        digest, size = hashlib.sha256(), 0
        async for chunk in request["request_body"]:
            digest.update(chunk)
            size += len(chunk)
        return {"body": {"size": size, "digest": digest.hexdigest()}}

    url = await place.serve(handler, "POST")
    block = os.urandom(1_000_000)
    expected = hashlib.sha256()
    path = tmp_path / "upload"
    with path.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
            expected.update(block)
    before = place.peak()
    printed = await curl("-H", "content-type: application/octet-stream", "-T", str(path), "-X", "POST", url)
    assert json.loads(printed) == {"size": SIZE, "digest": expected.hexdigest()}
    assert place.peak() - before < 32 * MIB


@within(60)
async def test_a_large_download_is_written_as_a_stream(place: Place, tmp_path: Path) -> None:
    """100 MB with a length that was promised; the engine never holds much of them."""
    block = os.urandom(1_000_000)

    async def handler(request: dict[str, Any]) -> None:
        headers = {"content-type": "application/octet-stream", "content-length": str(SIZE)}
        async with request["response"] as writer:
            await writer.send_message(json.dumps({"type": "set_headers", "headers": headers}))
            for _ in range(SIZE // len(block)):
                await writer.write(block)

    url = await place.serve(handler)
    before = place.peak()
    path = tmp_path / "download"
    await curl("-o", str(path), url)
    assert path.stat().st_size == SIZE
    expected = hashlib.sha256()
    for _ in range(SIZE // len(block)):
        expected.update(block)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected.hexdigest()
    assert place.peak() - before < 32 * MIB


@within(30)
async def test_server_sent_events_arrive_one_by_one(place: Place) -> None:
    """Each is there before the next one is made."""
    go_on, wait = trio.open_memory_channel[int](0)

    async def handler(request: dict[str, Any]) -> None:
        async with request["response"] as writer:
            await writer.send_message('{"type":"set_headers","headers":{"content-type":"text/event-stream"}}')
            async for number in wait:
                await writer.write(f"data: {number}\n\n".encode())

    url = await place.serve(handler)
    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, url)
        for number in range(5):
            await go_on.send(number)
            event = b""
            while not event.endswith(b"\n\n"):
                event += await process.stdout.receive_some()
            assert event == f"data: {number}\n\n".encode()
        await go_on.aclose()
        assert await process.stdout.receive_some() == b""


@within(30)
async def test_a_client_that_goes_away_ends_the_handlers_stream(place: Place) -> None:
    """Its next writes fail, and the engine serves the next client."""
    ends: list[type[BaseException]] = []
    has_ended = trio.Event()

    async def handler(request: dict[str, Any]) -> None:
        try:
            async with request["response"] as writer:
                while True:
                    await writer.write(b"x" * 1_000)
                    await trio.sleep(0.01)
        except ChannelBroken as error:
            ends.append(type(error))
        finally:
            has_ended.set()

    url = await place.serve(handler)
    async with trio.open_nursery() as nursery:
        process = await nursery.start(start_curl, url)
        assert await process.stdout.receive_some()
        process.kill()
        await has_ended.wait()
    assert ends == [ChannelBroken]
    assert json.loads(await curl(await place.serve(lambda: {"body": "next"}))) == "next"
