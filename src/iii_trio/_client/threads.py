"""What a sync handler, or any other thread, calls: `III` from outside of trio."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio

from iii_trio._handlers.context import current_thread_calls
from iii_trio.errors import ClientClosed, ConfigurationError, Fate

if TYPE_CHECKING:
    from iii_trio._client.client import III

T = TypeVar("T")


@attrs.frozen(eq=False)
class FromThread:
    """Blocking forms of `III`'s methods for threads. Nothing here may be called from trio's own thread."""

    _iii: III = attrs.field(repr=False)
    _token: trio.lowlevel.TrioToken = attrs.field(repr=False)

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        """`III.trigger`, blocking this thread. In a sync handler it ends, cancelled, when the invocation does.

        Raises:
            ConfigurationError: This is trio's own thread.
            ClientClosed: trio has ended.
            InvocationError, PayloadError: As `III.trigger`.
        """
        scope = trio.CancelScope()
        result = self._run(trio.from_thread.run, functools.partial(self._trigger, scope, args, kwargs))
        if scope.cancelled_caught:
            trio.from_thread.check_cancelled()
            raise ClientClosed(
                "SHUTDOWN", "the invocation of the handler behind this has ended", fate=Fate.MAY_HAVE_RUN
            )
        return result

    def trigger_nowait(self, *args: Any, **kwargs: Any) -> None:
        """`III.trigger_nowait` from this thread; raises as it does, and as `trigger`."""
        self._run(trio.from_thread.run_sync, functools.partial(self._trigger_nowait, args, kwargs))

    async def _trigger(self, scope: trio.CancelScope, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._check_run()
        calls = current_thread_calls()
        if calls is None:
            return await self._iii.trigger(*args, **kwargs)
        with scope:
            calls.add(scope)
            try:
                return await self._iii.trigger(*args, **kwargs)
            finally:
                calls.remove(scope)

    def _trigger_nowait(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._check_run()
        self._iii.trigger_nowait(*args, **kwargs)

    def _check_run(self) -> None:
        if trio.lowlevel.current_trio_token() is not self._token:
            raise _OtherRun

    def _run(self, run: Callable[..., T], function: Callable[[], Awaitable[T]] | Callable[[], T]) -> T:
        """Have trio run `function`: for the task that waits for this thread, if it lives where the client does."""
        try:
            try:
                return run(function, trio_token=None if _is_trio_thread() else self._token)
            except _OtherRun:
                return run(function, trio_token=self._token)
        except trio.RunFinishedError:
            raise ClientClosed("SHUTDOWN", "the trio run of this client has ended") from None
        except RuntimeError as error:
            raise ConfigurationError(f"from_thread is for threads: {error}") from None


class _OtherRun(Exception):
    """This thread belongs to a task of another trio run than the client's."""


def _is_trio_thread() -> bool:
    """Whether this is one of trio's worker threads, which know their run and their cancellation by themselves."""
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        return False
    return True
