"""How a client begins, runs and ends: the services below the body, and the one error that may end it from inside."""

from __future__ import annotations

import logging

import attrs
import trio

from iii_trio._client.loop_watch import LoopWatch
from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._link.bell import Bell
from iii_trio._link.supervisor import Supervisor
from iii_trio._link.timer import run_timer
from iii_trio._session.session import Session
from iii_trio.errors import ClientClosed, IIIError, InternalError

logger = logging.getLogger("iii_trio")


@attrs.define(eq=False, kw_only=True)
class Lifecycle:
    """The services of one client: supervisor, timer, handlers.

    They are shielded from the caller's cancellation, because on the way out the body ends first, then the handlers, then
    the services; it is `close` that ends them, and it is bounded.
    """

    session: Session
    supervisor: Supervisor
    dispatcher: Dispatcher
    timer_bell: Bell
    close_timeout: float
    loop_watch: LoopWatch
    body: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """The scope of the block that the client serves; cancelled when the client fails."""

    failure: IIIError | None = None
    """The one error that ended the client, if it was not asked to end."""

    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    """Where those wait who want to see another state."""

    finished: trio.Event = attrs.field(factory=trio.Event)
    """Set when no service runs any more."""

    _services: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True), init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _handlers: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _handler_nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _handlers_done: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: bool = attrs.field(default=False, init=False)

    async def serve(self) -> None:
        """Run the services until `close`, or until the client fails; raises no error."""
        try:
            with self._services, self.loop_watch:
                async with trio.open_nursery() as self._nursery:
                    self._nursery.start_soon(run_timer, self.session, self.timer_bell)
                    self._nursery.start_soon(self._supervise)
                    await self._serve_handlers()
        except Exception as error:  # a bug of ours must end in one error that says so, not in a group of anything
            cause = _only(error)
            bug = InternalError(f"a service of iii-trio failed: {cause!r}; please report it")
            bug.__cause__ = cause
            self._fail(bug)
        finally:
            self.session.finish()
            self._handlers_done.set()
            self.finished.set()
            self.changed.unpark_all()

    async def close(self) -> None:
        """End everything: calls and handlers first, then send what is queued, say goodbye, and wait for the services.

        Shielded, and bounded by the close time-out where it waits for the engine. A second call waits for the first. A
        handler, which would wait for itself, only sets it going.
        """
        closing, self._closing = self._closing, True
        if self._serves_caller():
            if not closing and self._nursery is not None:
                self._nursery.start_soon(self._wind_down)
            return
        with trio.CancelScope(shield=True):
            try:
                if not closing:
                    await self._wind_down()
                await self.finished.wait()
            except KeyboardInterrupt:  # it comes through every shield, and somebody is in a hurry
                self.supervisor.stop(0)
                self._handlers.cancel(reason="interrupted")
                self._services.cancel(reason="interrupted")
                raise

    async def wait_ready(self) -> None:
        """Wait for a ready connection; raises what ended the client otherwise."""
        while True:
            if self.failure is not None:
                raise self.failure
            if self.session.is_final:
                raise ClientClosed("SHUTDOWN", "this client was closed")
            if self.session.is_ready:
                break
            await self.changed.park()
        await trio.lowlevel.checkpoint()

    async def _wind_down(self) -> None:
        deadline = trio.current_time() + self.close_timeout
        self.session.close()
        self.changed.unpark_all()
        self._handlers.cancel(reason="the client is being closed")
        with trio.CancelScope(deadline=deadline):
            await self._handlers_done.wait()
            await self.supervisor.flush()
        self.supervisor.stop(max(0.0, deadline - trio.current_time()))

    async def _serve_handlers(self) -> None:
        try:
            with self._handlers:
                async with trio.open_nursery() as nursery:
                    self._handler_nursery = self.dispatcher.nursery = nursery
                    try:
                        await trio.sleep_forever()
                    finally:
                        self.dispatcher.nursery = None
        finally:
            self._handlers_done.set()

    def _serves_caller(self) -> bool:
        """Whether the running task is a handler's."""
        nursery = trio.lowlevel.current_task().parent_nursery
        while nursery is not None and nursery is not self._handler_nursery:
            nursery = nursery.parent_task.parent_nursery
        return nursery is not None

    async def _supervise(self) -> None:
        error = await self.supervisor.run()
        if error is not None:
            self._fail(error)
        self._services.cancel(reason="the client has ended")

    def _fail(self, error: IIIError) -> None:
        self.failure = error
        self.session.fail(error)
        self.changed.unpark_all()
        self.body.cancel(reason=f"the client failed: {error}")


def _only(error: Exception) -> BaseException:
    """What a group of one holds, however deep."""
    only: BaseException = error
    while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
        only = only.exceptions[0]
    return only
