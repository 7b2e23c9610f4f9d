"""How a client begins, runs and ends: the services below the body, and the one error that may end it from inside."""

from __future__ import annotations

import logging

import attrs
import trio

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
    body: trio.CancelScope | None = None
    """The scope of the block that the client serves; cancelled when the client fails."""

    failure: IIIError | None = None
    """The one error that ended the client, if it was not asked to end."""

    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    """Where those wait who want to see another state."""

    finished: trio.Event = attrs.field(factory=trio.Event)
    """Set when no service runs any more."""

    _handlers: trio.CancelScope | None = attrs.field(default=None, init=False)
    _handlers_done: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: bool = attrs.field(default=False, init=False)

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the services until `close`, or until the client fails; raises nothing."""
        try:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as services:
                    await services.start(self._serve_handlers)
                    services.start_soon(run_timer, self.session, self.timer_bell)
                    services.start_soon(self._supervise, services.cancel_scope)
                    task_status.started()
        except Exception as error:  # a bug of ours must end in one error that says so, not in a group of anything
            bug = InternalError(f"a service of iii-trio failed: {error!r}; please report it")
            bug.__cause__ = error
            self._fail(bug)
        finally:
            self.dispatcher.nursery = None
            self._handlers_done.set()
            self.finished.set()
            self.changed.unpark_all()

    async def close(self) -> None:
        """End everything: calls and handlers first, then send what is queued, say goodbye, and wait for the services.

        Shielded, and bounded by the close time-out where it waits for the engine. A second call waits for the first.
        """
        with trio.CancelScope(shield=True):
            if not self._closing:
                self._closing = True
                deadline = trio.current_time() + self.close_timeout
                self.session.close()
                self.changed.unpark_all()
                if self._handlers is not None:
                    self._handlers.cancel(reason="the client is being closed")
                with trio.CancelScope(deadline=deadline):
                    await self._handlers_done.wait()
                    await self.supervisor.flush()
                self.supervisor.stop(max(0.0, deadline - trio.current_time()))
            await self.finished.wait()

    async def wait_ready(self) -> None:
        """Wait for a ready connection; raises what ended the client otherwise."""
        while not self.session.is_ready:
            if self.failure is not None:
                raise self.failure
            if self.session.is_final:
                raise ClientClosed("SHUTDOWN", "this client was closed")
            await self.changed.park()
        await trio.lowlevel.checkpoint()

    async def _serve_handlers(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            self._handlers = nursery.cancel_scope
            self.dispatcher.nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.dispatcher.nursery = None
        self._handlers_done.set()

    async def _supervise(self, services: trio.CancelScope) -> None:
        error = await self.supervisor.run()
        if error is not None:
            self._fail(error)
        services.cancel(reason="the client has ended")

    def _fail(self, error: IIIError) -> None:
        self.failure = error
        self.session.fail(error)
        self.changed.unpark_all()
        if self.body is not None:
            self.body.cancel(reason=f"the client failed: {error}")
