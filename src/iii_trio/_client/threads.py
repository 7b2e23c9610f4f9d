"""What a sync handler, or any other thread, calls: `III` from outside of trio."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio

from iii_trio.errors import ClientClosed, ConfigurationError

if TYPE_CHECKING:
    from iii_trio._client.client import III

T = TypeVar("T")


@attrs.frozen(eq=False)
class FromThread:
    """Blocking forms of `III`'s methods for threads. Nothing here may be called from trio's own thread."""

    _iii: III = attrs.field(repr=False)
    _token: trio.lowlevel.TrioToken = attrs.field(repr=False)

    def trigger(self, *args: Any, **kwargs: Any) -> Any:
        """`III.trigger`, blocking this thread. In a sync handler it ends when the invocation is cancelled.

        Raises:
            ConfigurationError: This is trio's own thread.
            ClientClosed: trio has ended.
            InvocationError, PayloadError: As `III.trigger`.
        """
        return self._run(trio.from_thread.run, functools.partial(self._iii.trigger, *args, **kwargs))

    def trigger_nowait(self, *args: Any, **kwargs: Any) -> None:
        """`III.trigger_nowait` from this thread; raises as it does, and as `trigger`."""
        self._run(trio.from_thread.run_sync, functools.partial(self._iii.trigger_nowait, *args, **kwargs))

    def _run(self, run: Callable[..., T], function: Callable[[], Awaitable[T]] | Callable[[], T]) -> T:
        try:
            return run(function, trio_token=None if _is_trio_thread() else self._token)
        except trio.RunFinishedError:
            raise ClientClosed("SHUTDOWN", "the trio run of this client has ended") from None
        except RuntimeError as error:
            raise ConfigurationError(f"from_thread is for threads: {error}") from None


def _is_trio_thread() -> bool:
    """Whether this is one of trio's worker threads, which know their run and their cancellation by themselves."""
    try:
        trio.from_thread.check_cancelled()
    except RuntimeError:
        return False
    return True
