"""The doors: `open_iii`, `connect_iii` and `register_worker`."""

from __future__ import annotations

import random
from types import TracebackType

import trio

from iii_trio._channels.channels import Channels
from iii_trio._client.calling import Caller
from iii_trio._client.client import III
from iii_trio._client.identity import NAMES, worker_facts
from iii_trio._client.lifecycle import Lifecycle
from iii_trio._client.loop_watch import LoopWatch
from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._handlers.providers import Providers
from iii_trio._link.bell import Bell
from iii_trio._link.choice import TransportName, find_transport
from iii_trio._link.connect import Target
from iii_trio._link.connection import Liveness
from iii_trio._link.reattach_file import ReattachFile
from iii_trio._link.supervisor import Supervisor
from iii_trio._link.transport import OpenStream, Transport
from iii_trio._options import InitOptions, resolve_address
from iii_trio._session.outbox import Outbox
from iii_trio._session.session import Session
from iii_trio._session.trace import Trace
from iii_trio._wire.urls import parse_url
from iii_trio.errors import ConfigurationError, IIIError, PayloadError


def open_iii(
    url: str | None = None,
    options: InitOptions | None = None,
    *,
    transport: TransportName = "auto",
    open_stream: OpenStream | None = None,
) -> _OpenIII:
    """Connect to an engine for the length of a block: ``async with open_iii(url) as iii``.

    Entering waits until the engine knows this worker; with ``on_conflict="standby"`` also until its name is free. Leaving
    drains, as `III.drain` does; when the block is cancelled or raises, it closes, as `III.aclose` does, unless
    ``drain_on_cancel`` is set. If the client fails meanwhile, the block is cancelled and the one error leaves it.

    Args:
        url: ``ws://`` or ``wss://`` address; ``III_URL``, or else ``ws://127.0.0.1:49134``, when left out.
        options: Everything else.
        transport: The WebSocket implementation. ``auto`` takes ``websockets`` where the extra ``iii-trio[fast]`` is
            installed, and else ``trio-websocket``, which takes more CPU and sends no message of over 16 MiB.
        open_stream: Opens the byte stream to the engine in place of TCP and TLS: for tests, tunnels and proxies.

    Raises (on entering):
        ConfigurationError: The URL, an option or the transport cannot work.
        EngineUnavailable: No engine could be reached within ``open_timeout``; it says where, and why not.
        AuthenticationError: The engine refused the login.
        HandshakeRefused: A server answered that is no engine, or none at this path.
        PayloadError: The worker's name or another fact about it cannot be sent.
        RegistrationRejectedError: The engine refused the worker: its name is taken, or its namespace not allowed.

    Cancelling it is safe: nothing of it stays behind.
    """
    return _OpenIII(url, options or InitOptions(), transport, open_stream)


def register_worker(address: str | None = None, options: InitOptions | None = None) -> _OpenIII:
    """`open_iii` under the references' name."""
    return open_iii(address, options)


async def connect_iii(
    nursery: trio.Nursery,
    url: str | None = None,
    options: InitOptions | None = None,
    *,
    transport: TransportName = "auto",
    open_stream: OpenStream | None = None,
) -> III:
    """Connect to an engine, with the tasks in a nursery of the caller's, who also calls `III.drain` or `III.aclose`.

    It takes the arguments of `open_iii`, and raises its errors. If the client fails later, its error is raised in the
    nursery. When the nursery is cancelled the client is closed, which takes at most ``close_timeout``, or drained with
    ``drain_on_cancel``. Cancelling this before it returns leaves no client behind.
    """
    opening = _OpenIII(url, options or InitOptions(), transport, open_stream)
    iii: III = await nursery.start(opening.run)
    return iii


class _OpenIII:
    """The context manager behind `open_iii`.

    It is written out, since a generator with a nursery in it would wrap the body's exceptions into groups. An interrupt
    waits for the next checkpoint while one of its methods runs, so that it cannot come between entering and leaving.
    """

    def __init__(self, url: str | None, options: InitOptions, transport: str, open_stream: OpenStream | None) -> None:
        self._arguments = (url, options, transport, open_stream)
        self._assembly: _Assembly | None = None
        self._manager = trio.open_nursery()

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> III:
        if self._assembly is not None:
            raise ConfigurationError("open_iii(...) makes one connection; call it again for another one")
        self._assembly = assembly = _Assembly(*self._arguments)
        lifecycle = assembly.lifecycle
        nursery = await self._manager.__aenter__()
        # Not `nursery.start`, which waits for ever for a shielded task when it is cancelled meanwhile.
        nursery.start_soon(lifecycle.serve)
        try:
            await lifecycle.wait_ready()
        except BaseException:
            await self._leave(assembly, drains=False)
            raise
        lifecycle.body.__enter__()
        return assembly.iii

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        assert self._assembly is not None
        lifecycle = self._assembly.lifecycle
        rest = _leave_scope(lifecycle.body, error)
        drains = rest is None or (self._assembly.drain_on_cancel and not isinstance(rest, KeyboardInterrupt))
        await self._leave(self._assembly, drains=drains)
        failure = lifecycle.failure
        if failure is not None and (rest is None or _is_ours(rest)):
            raise failure
        if rest is not None and rest is not error:
            raise rest
        return False

    async def run(self, *, task_status: trio.TaskStatus[III]) -> None:
        """Be the client in somebody else's nursery: end when it is closed, fail when it fails, close when cancelled."""
        async with self as iii:
            assert self._assembly is not None
            task_status.started(iii)
            await self._assembly.lifecycle.finished.wait()

    @trio.lowlevel.enable_ki_protection
    async def _leave(self, assembly: _Assembly, *, drains: bool) -> None:
        try:
            if drains:
                await assembly.lifecycle.drain(shield=assembly.drain_on_cancel)
            else:
                await assembly.lifecycle.close()
        finally:
            try:
                await self._manager.__aexit__(None, None, None)
            except BaseExceptionGroup as group:  # an interrupt hit a service: no other exception comes out of one
                interrupt: BaseException = group
                while isinstance(interrupt, BaseExceptionGroup):
                    interrupt = interrupt.exceptions[0]
                raise interrupt from None
            finally:
                assembly.release()


def _leave_scope(scope: trio.CancelScope, error: BaseException | None) -> BaseException | None:
    """Leave a scope with an error; returns what is left of it without the scope's own cancellation."""
    try:
        absorbed = scope.__exit__(None if error is None else type(error), error, None)
    except BaseException as rest:  # what else was in a group
        return rest
    return None if absorbed else error


def _is_ours(error: BaseException) -> bool:
    """Whether it says nothing but what the client's own failure does: calls that ended with the client."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_ours(each) for each in error.exceptions)
    return isinstance(error, IIIError)


class _Assembly:
    """All parts of one client, put together."""

    def __init__(self, url: str | None, options: InitOptions, transport: str, open_stream: OpenStream | None) -> None:
        target = _target(url, options, find_transport(transport), open_stream)
        self._slot, name = NAMES.take(options)
        timer_bell = Bell()
        try:
            session = _session(name, options, target.transport, timer_bell)
        except PayloadError:
            self.release()
            raise
        room = trio.lowlevel.ParkingLot()
        dispatcher = Dispatcher(
            session=session,
            room=room,
            threads=trio.CapacityLimiter(options.max_threads),
            max_running=options.max_running_handlers,
            max_pending=options.max_pending_invocations,
            send_stack_traces=options.send_stack_traces,
        )
        providers = Providers(dispatcher)
        supervisor = _supervisor(session, target, options, dispatcher, room)
        supervisor.on_binding, supervisor.on_ready = providers.receive, providers.ready
        session.wake_writer = supervisor.bell.ring
        session.on_engine = supervisor.hear
        channels = Channels(target)
        session.enliven = channels.enliven
        self.lifecycle = Lifecycle(
            session=session,
            supervisor=supervisor,
            channels=channels,
            dispatcher=dispatcher,
            timer_bell=timer_bell,
            drain_timeout=options.drain_timeout,
            close_timeout=options.close_timeout,
            loop_watch=LoopWatch(options.loop_watch, dispatcher),
        )
        self.drain_on_cancel = options.drain_on_cancel
        supervisor.on_change = self.lifecycle.changed.unpark_all
        caller = Caller(session=session, room=room, default_timeout_ms=options.invocation_timeout_ms)
        self.iii = III(
            session=session,
            supervisor=supervisor,
            dispatcher=dispatcher,
            providers=providers,
            lifecycle=self.lifecycle,
            caller=caller,
            channels=channels,
        )

    def release(self) -> None:
        """Give the worker's name back."""
        NAMES.release(self._slot)


def _session(name: str, options: InitOptions, transport: type[Transport], timer_bell: Bell) -> Session:
    return Session(
        worker_facts(name, options),
        Outbox(options.max_outbox_frames, options.max_outbox_bytes),
        min(options.max_message_size, transport.MAX_OUTGOING),
        wake_timer=timer_bell.ring,
        heals=options.heal_early_results,
        offline_grace=options.offline_grace,
        on_conflict=options.on_conflict,
        random=random.random,
        trace=None if options.trace is None else Trace(options.trace),
    )


def _target(
    url: str | None, options: InitOptions, transport: type[Transport], open_stream: OpenStream | None
) -> Target:
    address = resolve_address(url, options)
    return Target(
        url=parse_url(address.url),
        transport=transport,
        headers=address.headers,
        ssl_context=options.ssl_context,
        open_stream=open_stream,
        max_message_size=options.max_message_size,
        timeout=options.connect_timeout,
    )


def _supervisor(
    session: Session, target: Target, options: InitOptions, dispatcher: Dispatcher, room: trio.lowlevel.ParkingLot
) -> Supervisor:
    return Supervisor(
        session=session,
        target=target,
        liveness=Liveness(
            greeting_timeout=options.connect_timeout,
            heartbeat_interval=options.heartbeat_interval,
            heartbeat_timeout=options.heartbeat_timeout,
        ),
        backoff=options.reconnection_config,
        open_timeout=options.open_timeout,
        close_timeout=options.close_timeout,
        on_invocation=dispatcher.dispatch,
        ends_with=options.is_fatal,
        on_loss=dispatcher.lose_connection,
        reattach_file=None if options.reattach_file is None else ReattachFile(options.reattach_file),
        room=room,
    )
