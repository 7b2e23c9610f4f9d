"""Engines on sockets, and what tests need that run on the embedded one and on the real one alike."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import trio

from iii_trio import III
from iii_trio.errors import RegistrationRejectedError

ENGINES: Final = ["embedded", *(["real"] if os.environ.get("III_TEST_URL") else [])]
"""The real one is that of III_TEST_URL."""


@attrs.frozen
class Engine:
    """An engine on a socket."""

    url: str

    async def open_stream(self) -> trio.abc.Stream:
        address = urlsplit(self.url)
        assert address.hostname is not None
        return await trio.open_tcp_stream(address.hostname, address.port or 80)


def within(seconds: float) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Bound a test: what waits on a socket fails and does not hang."""

    def bound(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(test)
        async def bounded(**fixtures: Any) -> None:
            with trio.fail_after(seconds):
                await test(**fixtures)

        return bounded

    return bound


async def register_when_free(iii: III, function_id: str, handler: Any) -> None:
    """Another run of these tests may have it just now."""
    while True:
        ref = iii.register_function(function_id, handler, force=True)
        try:
            await ref.wait_registered()
        except RegistrationRejectedError:
            ref.unregister()
        else:
            return
