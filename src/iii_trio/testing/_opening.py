"""How what runs beside a test is opened for the length of a block."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

import trio

T = TypeVar("T")


class Opening(AbstractAsyncContextManager[T], Generic[T]):
    """Runs something beside a body.

    Leaving it cancels that and nothing else, and hands the nursery no exception of the body: a test that fails raises
    its own exception, not a group with it.
    """

    def __init__(self, handle: T, prepare: Callable[[], Awaitable[None]], run: Callable[..., Awaitable[Any]]) -> None:
        self._handle = handle
        self._prepare = prepare
        self._run = run
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery

    async def __aenter__(self) -> T:
        await self._prepare()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._run)
        except BaseException:
            await self._leave()
            raise
        return self._handle

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        # Everything in there is cancelled, so it takes no time and needs no deadline.
        self._nursery.cancel_scope.shield = True
        self._nursery.cancel_scope.cancel()
        await self._manager.__aexit__(None, None, None)
