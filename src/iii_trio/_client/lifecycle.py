"""How a client begins, runs and ends: the services below the body, and the one error that may end it from inside."""

from __future__ import annotations

import logging
import threading
from typing import Final

import attrs
import trio

from iii_trio._channels.channels import Channels
from iii_trio._client.exits import DrainReport, SignalWatch
from iii_trio._client.loop_watch import LoopWatch
from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._link.bell import Bell
from iii_trio._link.supervisor import Supervisor
from iii_trio._link.timer import run_timer
from iii_trio._session.registry import Wanted
from iii_trio._session.session import Session
from iii_trio._wire.messages import RegisterFunction, RegisterTrigger
from iii_trio.errors import ClientClosed, IIIError, InternalError

logger = logging.getLogger("iii_trio")

_HURRIED_GOODBYE: Final = 0.5
"""Seconds in which a client that was told twice to stop sends what is ready and says goodbye."""


@attrs.define(eq=False, kw_only=True)
class Lifecycle:
    """The services of one client: supervisor, timer, handlers, and the exit.

    They are shielded from the caller's cancellation, because on the way out the body ends first, then the handlers, then
    the services. It is the exit that ends them: a task that waits until `drain` or `close` asks for it, and is bounded.
    """

    session: Session
    supervisor: Supervisor
    dispatcher: Dispatcher
    channels: Channels
    timer_bell: Bell
    drain_timeout: float
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

    report: DrainReport | None = attrs.field(default=None, init=False)
    """How it ended; there when `finished` is set."""

    _services: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True), init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _handlers: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _handler_nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _handlers_done: trio.Event = attrs.field(factory=trio.Event, init=False)
    _signals: SignalWatch = attrs.field(init=False)

    _ending: trio.Event = attrs.field(factory=trio.Event, init=False)
    _patience: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the drain; its deadline is the drain's."""

    _answers: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the answers of the handlers that the drain did not wait for."""

    _goodbye: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around what is sent last; what is left of its deadline is for the Close."""

    _is_shut: bool = attrs.field(default=False, init=False)
    _tally: _Tally | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._signals = SignalWatch(self.changed.unpark_all, self._stop_at_once)

    async def serve(self) -> None:
        """Run the services until `drain` or `close` has ended them, or the client fails; raises no error."""
        try:
            with self._services, self.loop_watch:
                async with trio.open_nursery() as self._nursery:
                    self.channels.serve_in(self._nursery)
                    self._nursery.start_soon(run_timer, self.session, self.timer_bell)
                    self._nursery.start_soon(self._supervise)
                    self._nursery.start_soon(self._exit)
                    await self._serve_handlers()
        except Exception as error:  # a bug of ours must end in one error that says so, not in a group of anything
            cause = _only(error)
            bug = InternalError(f"a service of iii-trio failed: {cause!r}; please report it")
            bug.__cause__ = cause
            self._fail(bug)
        finally:
            self.channels.serve_in(None)
            self.session.close()  # an interrupt leaves it to us
            self.session.finish()
            self.report = self._begin_tally().report()
            self._handlers_done.set()
            self.finished.set()
            self.changed.unpark_all()

    # ---- what asks for the end --------------------------------------------------------------------------------------

    async def drain(self, timeout: float | None = None, *, shield: bool = False) -> DrainReport | None:
        """Let the handlers end, then send what is queued, say goodbye, and wait for the services; returns the report.

        A second call waits for the first, and an earlier deadline wins. Cancelling it makes it a `close`, unless it is
        shielded. A handler, which would wait for itself, only sets it going, and gets no report.
        """
        seconds = self.drain_timeout if timeout is None else timeout
        self._patience.deadline = min(self._patience.deadline, trio.current_time() + seconds)
        self._begin_tally()
        self.session.drain()
        self._ending.set()
        if self._serves_caller():
            return None
        await self._wait_finished(shield=shield)
        return self.report

    async def close(self) -> None:
        """End everything: calls and handlers first, then send what is queued, say goodbye, and wait for the services.

        Shielded, and bounded by the close time-out where it waits for the engine. It cuts a drain short. A second call
        waits for the first. A handler, which would wait for itself, only sets it going.
        """
        self._cut_short("the client is being closed")
        if not self._serves_caller():
            await self._wait_finished(shield=True)

    async def wait_signal(self) -> None:
        """Wait until the process is asked to end, or the client has ended; raises what it failed with.

        The first signal only ends the waiting. The second one, which may come at any time until the services have ended,
        stops the client at once. Signals reach the main thread only: elsewhere it waits for the end of the client.
        """
        await trio.lowlevel.checkpoint()
        signals, nursery = self._signals, self._nursery
        signals.users += 1
        try:
            if nursery is not None and not self.session.is_final and _is_main_thread():
                await nursery.start(signals.run)
            while not signals.seen and not self.session.is_final:
                await self.changed.park()
        finally:
            signals.users -= 1
            if not signals.users:
                signals.stop()
        if self.failure is not None:
            raise self.failure

    async def _wait_finished(self, *, shield: bool) -> None:
        try:
            try:
                with trio.CancelScope(shield=shield):
                    await self.finished.wait()
            except trio.Cancelled:
                self._cut_short("the drain was cancelled")
                with trio.CancelScope(shield=True):
                    await self.finished.wait()
                raise
        except KeyboardInterrupt:  # it comes through every shield, and somebody is in a hurry
            self.supervisor.stop(0)
            self.supervisor.hurry(0)
            self._handlers.cancel(reason="interrupted")
            self._services.cancel(reason="interrupted")
            raise

    def _cut_short(self, reason: str) -> None:
        """Wait for no handler any more."""
        self._begin_tally()
        self._shut(reason)
        self._patience.cancel(reason=reason)
        self._answers.cancel(reason=reason)
        self._ending.set()

    def _stop_at_once(self) -> None:
        """The second signal: somebody wants the process to be gone, so the engine is not waited for either."""
        self._cut_short("the process was told to stop at once")
        self.close_timeout = min(self.close_timeout, _HURRIED_GOODBYE)
        self._goodbye.deadline = min(self._goodbye.deadline, trio.current_time() + self.close_timeout)
        self.supervisor.hurry(self.close_timeout)

    # ---- the exit ---------------------------------------------------------------------------------------------------

    async def _exit(self) -> None:
        """Wait until somebody asks for the end, and carry it out."""
        await self._ending.wait()
        with self._patience:
            await self._drain()
        if not self._is_shut:
            reason = f"the drain took longer than {self._begin_tally().age():.3g} s"
            self._answers.deadline = trio.current_time() + self.close_timeout
            with self._answers:
                await self._answer_the_rest(reason)
            self._shut(reason)
        self._goodbye.deadline = trio.current_time() + self.close_timeout
        with self._goodbye:
            await self._handlers_done.wait()
            await self.supervisor.flush()
        self.supervisor.stop(max(0.0, self._goodbye.deadline - trio.current_time()))

    async def _drain(self) -> None:
        """Wait for the handlers, in an order in which none of them misses what it needs.

        Triggers go first, so that nothing new is begun. Then those that run may end, while everything is still served:
        they may call functions of this very worker. Then the engine is told to send nothing more, and says when it has
        heard. Then what came in between.
        """
        dispatcher = self.dispatcher
        await self._withdraw(RegisterTrigger)
        await dispatcher.wait_ended(dispatcher.active)
        await self._withdraw(RegisterFunction)
        while dispatcher.active:
            await dispatcher.wait_idle()
            await self.supervisor.flush()  # an invocation that comes in meanwhile is still served
        self._shut("the client has been drained")

    async def _withdraw(self, kind: type[Wanted]) -> None:
        """Take all of a kind back, and wait until the engine has heard, or is gone."""
        registrar = self.session.registrar
        registrar.withdraw(kind)
        while registrar.is_withdrawing:
            await self.changed.park()

    async def _answer_the_rest(self, reason: str) -> None:
        """Cancel the handlers that are left, and let each tell its caller why."""
        tally = self._begin_tally()
        tally.freeze()
        self.dispatcher.stop(reason)
        if tally.cancelled:
            logger.warning("%s: %d handlers are cancelled", reason, len(tally.cancelled))
        await self.dispatcher.wait_idle()

    def _shut(self, reason: str) -> None:
        """End the calls, take nothing in, and cancel what handlers there are."""
        if self._is_shut:
            return
        self._is_shut = True
        self._begin_tally().freeze()
        self.session.close()
        self.dispatcher.nursery = None
        self._handlers.cancel(reason=reason)
        self.changed.unpark_all()

    def _begin_tally(self) -> _Tally:
        if self._tally is None:
            self._tally = _Tally(self.session, self.dispatcher)
        return self._tally

    # ---- the services -----------------------------------------------------------------------------------------------

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
        self._begin_tally().freeze()
        self.session.fail(error)
        self.changed.unpark_all()
        self.body.cancel(reason=f"the client failed: {error}")


def _only(error: Exception) -> BaseException:
    """What a group of one holds, however deep."""
    only: BaseException = error
    while isinstance(only, BaseExceptionGroup) and len(only.exceptions) == 1:
        only = only.exceptions[0]
    return only


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@attrs.define(eq=False)
class _Tally:
    """What the report is made of: the counters as they were when the end began."""

    session: Session
    dispatcher: Dispatcher
    began: float = attrs.field(factory=trio.current_time, init=False)
    finished: int | None = attrs.field(default=None, init=False)
    cancelled: list[str] = attrs.field(factory=list, init=False)
    _ended: int = attrs.field(init=False)
    _stopped: int = attrs.field(init=False)
    _unsent: int = attrs.field(init=False)
    _dropped: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._ended = self.dispatcher.ended
        self._stopped = self.dispatcher.counters.cancelled
        self._unsent = self.session.counters.unsent_calls
        self._dropped = self.session.counters.dropped_results

    def age(self) -> float:
        """Seconds since it began."""
        return trio.current_time() - self.began

    def freeze(self) -> None:
        """From here on handlers are cancelled; only the first time counts."""
        if self.finished is None:
            # Until now nothing but a lost connection has cancelled any.
            lost = self.dispatcher.counters.cancelled - self._stopped
            self.finished = self.dispatcher.ended - self._ended - lost
            self.cancelled = sorted(task.frame.function_id for task in self.dispatcher.active)

    def report(self) -> DrainReport:
        """The end has come."""
        self.freeze()
        counters = self.session.counters
        return DrainReport(
            finished_handlers=self.finished or 0,
            cancelled_handlers=tuple(self.cancelled),
            unsent_calls=counters.unsent_calls - self._unsent,
            dropped_results=counters.dropped_results - self._dropped,
            withdrawn=self.session.registrar.is_withdrawn,
            seconds=self.age(),
        )
