"""curl, which shares no code with what is tested."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any, Final

import attrs
import pytest
import trio

needs_curl: Final = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@attrs.frozen
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def curl(*arguments: str) -> bytes:
    """What it prints; a status from 400 on raises."""
    return (await trio.run_process(["curl", "-sS", "--fail-with-body", *arguments], capture_stdout=True)).stdout


async def ask(url: str, *arguments: str) -> Answer:
    """A whole answer, whatever its status; a body that is cut off raises."""
    done = await trio.run_process(["curl", "-sSi", "-H", "expect:", *arguments, url], capture_stdout=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)


async def start_curl(url: str, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
    """Run it, and give its process: what comes is at ``stdout`` as it comes."""
    command = ["curl", "-sSN", url]
    await trio.run_process(command, stdout=subprocess.PIPE, task_status=task_status, check=False)
