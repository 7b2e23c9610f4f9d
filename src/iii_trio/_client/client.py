"""`III`, the client: beside what it calls (`calls`) and registers (`registering`, `binding`), its state and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import trio

from iii_trio._channels.channels import Channel, Channels
from iii_trio._channels.reader import ChannelReader
from iii_trio._channels.writer import ChannelWriter
from iii_trio._client import custom_streams, listings
from iii_trio._client.binding import Binding
from iii_trio._client.calling import Caller
from iii_trio._client.exits import DrainReport
from iii_trio._client.lifecycle import Lifecycle
from iii_trio._client.on import On
from iii_trio._client.operations import check_name
from iii_trio._client.queues import Queues
from iii_trio._client.state import EngineState
from iii_trio._client.statistics import ClientStatistics
from iii_trio._client.streams import EngineStreams
from iii_trio._client.threads import FromThread
from iii_trio._client.watching import StateChanges, StateWatch
from iii_trio._handlers.dispatch import Dispatcher
from iii_trio._handlers.providers import Providers
from iii_trio._link.supervisor import Supervisor
from iii_trio._session.session import Session
from iii_trio._session.states import seeds_word
from iii_trio._values.checks import is_number
from iii_trio._values.engine import FunctionInfo, TriggerInfo, WorkerInfo
from iii_trio._values.refs import StreamChannelRef
from iii_trio._values.stream import IStream
from iii_trio._wire.messages import RegisterFunction, RegisterTrigger, RegisterTriggerType
from iii_trio.errors import ConfigurationError


class III(Binding, trio.abc.AsyncResource):
    """A worker's connection to the engine, made by `open_iii` or `connect_iii`.

    Its methods may be called from any task of its trio run, in any order, connected or not: registrations are kept and
    replayed on every connection, calls wait for one. From threads use `from_thread`.

    Source: the references' client, with its methods under their names; the others are ours.
    """

    def __init__(
        self,
        *,
        session: Session,
        supervisor: Supervisor,
        dispatcher: Dispatcher,
        providers: Providers,
        lifecycle: Lifecycle,
        caller: Caller,
        channels: Channels,
    ) -> None:
        self._session = session
        self._supervisor = supervisor
        self._dispatcher = dispatcher
        self._lifecycle = lifecycle
        self._caller = caller
        self._providers = providers
        self._channels = channels
        self._watch = StateWatch(session)
        self.from_thread: FromThread = FromThread(self, trio.lowlevel.current_trio_token())
        """What sync handlers and other threads call instead of the methods here."""

        self.on: On = On(self)
        """Decorators that register a handler and bind it: ``@iii.on.http("POST", "/greet")`` and its kin."""

        self.state: EngineState = EngineState(self)
        """Values by scope and key, which the engine keeps for all workers."""

        self.streams: EngineStreams = EngineStreams(self)
        """Items by stream, group and id, whose changes can be watched."""

        self.queues: Queues = Queues(self)
        """Topics and queues whose messages are kept and tried again, and their dead letters."""

    def __repr__(self) -> str:
        return f"<III {self._session.worker['name']!r} at {self._supervisor.target.url}, {self.get_connection_state()}>"

    # ---- channels ---------------------------------------------------------------------------------------------------

    async def create_channel(self, buffer_size: int | None = None, *, verified: bool = False) -> Channel:
        """Make a channel: a one-way stream with one writer and one reader, which may be in different workers.

        Args:
            buffer_size: Messages that the engine holds for a slow reader, from 1 to 1024; 64 when left out.
            verified: Whether the stream ends with its length and checksum, so that a reader can tell a writer that has
                finished from one that crashed. Both must be iii-trio; any other reader finds one more text message at
                the end, and with any other writer ours fails at the end.

        Raises:
            ConfigurationError: The buffer size is out of these bounds.
            InvocationError: As `trigger`.

        Cancelling it is safe: the engine forgets a channel that nobody opens within five minutes.
        """
        return await self._channels.create(self.trigger, buffer_size, verified=verified)

    def channel_reader(self, ref: StreamChannelRef | Mapping[str, Any]) -> ChannelReader:
        """The reader of a ref that came some other way than in a payload. Never blocks: it is opened when it is used.

        Raises:
            ConfigurationError: It is no ref, or that of a write end.
        """
        return self._channels.reader(ref)

    def channel_writer(self, ref: StreamChannelRef | Mapping[str, Any]) -> ChannelWriter:
        """The writer of a ref, likewise."""
        return self._channels.writer(ref)

    # ---- state ------------------------------------------------------------------------------------------------------

    @property
    def namespace(self) -> str:
        """The namespace in which this worker's functions live."""
        return self._session.namespace

    @property
    def worker_name(self) -> str:
        """The name under which the engine lists this worker."""
        return str(self._session.worker["name"])

    def get_connection_state(self) -> str:
        """``disconnected``, ``connecting``, ``connected``, ``reconnecting`` or ``failed``, as the references have it."""
        connection = self._session.connection
        return seeds_word(self._session.client.state, connection.state if connection else None)

    async def wait_connected(self) -> None:
        """Wait until the engine knows this worker and its functions, and calls flow.

        Raises:
            ClientClosed: The client is closed.
            IIIError: What ended the client, if it failed.

        Cancelling it is safe.
        """
        await self._lifecycle.wait_ready()

    def state_changes(self) -> StateChanges:
        """The present state and every change that follows, each with its reason: ``async for change in …``. Never blocks.

        Several may watch. The newest 16 changes are kept for each, and a slow watcher holds nobody up; what it missed is
        counted, and it never misses the last one.
        """
        return self._watch.watch()

    def statistics(self) -> ClientStatistics:
        """Everything that is counted, at this moment. Never blocks."""
        session, handlers = self._session, self._dispatcher.counters
        counters, supervisor = session.counters, self._supervisor
        transport = supervisor.transport
        return ClientStatistics(
            state=self.get_connection_state(),
            transport=None if transport is None else transport.NAME,
            worker_id=session.worker_id,
            latency=supervisor.latency,
            connects=supervisor.connects,
            reconnects=supervisor.reconnects,
            engine_restarts=supervisor.engine.restarts,
            connect_failures=supervisor.connect_failures,
            functions=session.registrar.registry.count(RegisterFunction),
            triggers=session.registrar.registry.count(RegisterTrigger),
            trigger_types=session.registrar.registry.count(RegisterTriggerType),
            bindings=self._providers.live,
            standby_functions=len(session.registrar.standby),
            calls_in_flight=len(session.calls),
            timed_out_calls=counters.timed_out_calls,
            lost_calls=counters.lost_calls,
            waiting_for_room=self._caller.room.statistics().tasks_waiting,
            outbox_frames=session.outbox.frames,
            outbox_results=len(session.outbox.results.frames),
            max_outbox_frames=session.outbox.max_frames,
            outbox_bytes=session.outbox.bytes,
            max_outbox_bytes=session.outbox.max_bytes,
            running_handlers=handlers.running,
            max_running_handlers=self._dispatcher.max_running,
            pending_invocations=handlers.pending,
            max_pending_invocations=self._dispatcher.max_pending,
            threads=self._dispatcher.threads.borrowed_tokens,
            max_threads=int(self._dispatcher.threads.total_tokens),
            accepted_invocations=handlers.accepted,
            overloaded_invocations=handlers.overloaded,
            failed_handlers=handlers.failed,
            invalid_inputs=handlers.invalid_inputs,
            timed_out_handlers=handlers.timed_out,
            cancelled_handlers=handlers.cancelled,
            abandoned_threads=handlers.abandoned_threads,
            healed_results=counters.healed_results,
            retried_calls=counters.retried_calls,
            unsent_calls=counters.unsent_calls,
            dropped_results=counters.dropped_results,
            unknown_results=counters.unknown_results,
            refused_registrations=counters.refused_registrations,
            undecodable_frames=counters.undecodable_frames,
            unexpected_frames=counters.unexpected_frames,
            ignored_frames=counters.ignored_frames,
            missed_state_changes=self._watch.missed,
            loop_blocks=self._lifecycle.loop_watch.blocks,
            longest_loop_block=self._lifecycle.loop_watch.longest,
        )

    # ---- what the engine does and knows -----------------------------------------------------------------------------

    async def publish(self, topic: str, data: Any = None) -> None:
        """Give a message to every function that is subscribed to a topic at this moment, once, and keep nothing.

        Nobody hears of a subscriber that fails. `queues.publish` is for messages that must not be lost.

        Args:
            topic: Name of the topic, as in the config of ``subscribe`` triggers.
            data: Any JSON value or attrs instance; what the functions get.

        Raises:
            ConfigurationError: The topic is blank. Nothing was sent.

        Other errors, and what cancelling it means, as `trigger`.
        """
        check_name("topic", topic)
        await self.trigger("publish", {"topic": topic, "data": data})

    def create_stream(self, stream_name: str, stream: IStream[Any]) -> custom_streams.StreamRef:
        """Keep a stream here in place of the engine, now and on every connection to come. Never blocks.

        The engine then asks `stream` whenever anybody gets, sets, deletes or lists items, and tells the watchers what came
        of it. It is never asked to `update`: the engine would change an item of its own.

        Args:
            stream_name: Name of the stream, which no other worker may keep.
            stream: What keeps the items. What it raises is the error of the caller's operation.

        Raises:
            ConfigurationError: One of them cannot work, the stream is kept here already, or this worker's namespace is not
                ``default``, the only one where the engine looks for such functions.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        return custom_streams.create_stream(self, stream_name, stream)

    async def list_functions(self) -> list[FunctionInfo]:
        """All functions of all namespaces, with their schemas, but for those that are internal.

        It is one call, and another for every 32 functions; where a listener does not allow those, the formats are None.
        Raises, and may be cancelled, as `trigger`.
        """
        return await listings.list_functions(self)

    async def list_workers(self) -> list[WorkerInfo]:
        """All workers, with the ids of their functions, and the parts of the engine itself.

        The engine leaves out workers that told it no process id. One without a name has no `functions`, and neither has
        any where a listener does not allow to list them. Raises, and may be cancelled, as `trigger`.
        """
        return await listings.list_workers(self)

    async def list_triggers(self, include_internal: bool = False) -> list[TriggerInfo]:
        """All bindings but those that wait for their trigger type; one call, and another for each of them.

        Args:
            include_internal: Whether those are listed too whose type or function is the engine's own (``engine::``).

        Raises, and may be cancelled, as `trigger`.
        """
        return await listings.list_triggers(self, include_internal)

    def on_functions_available(self, callback: listings.OnFunctions) -> Callable[[], None]:
        """Have `callback` told whenever the functions of the engine are others than before. Never blocks.

        It gets all of them, internal ones too, without their schemas, up to some seconds late, and not what is there at the
        beginning. It is a handler like others: an async one runs as a task, a sync one in a thread, and what it raises
        is logged.

        Returns:
            What ends it; a second time it does nothing.

        Raises:
            ConfigurationError: The callback cannot be called with a list of `FunctionInfo`.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        return listings.on_functions_available(self, callback)

    # ---- the end ----------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Wait until the process is asked to end, so that the block is left, and with it drained.

        It is asked by SIGTERM or SIGINT, on Windows also by SIGBREAK. Ctrl-C is such a signal, and raises no
        `KeyboardInterrupt` from the call on until the client has ended. A second signal in that time stops the client at
        once: handlers are cancelled, what is ready is sent, and the engine is waited for no longer than half a second.
        The third does what it did before.

        Outside of the main thread, where no signal arrives, it waits until the client ends. When the client was closed it
        returns.

        Raises:
            IIIError: What ended the client, if it failed.

        Cancelling it is safe: signals do again what they did before.
        """
        await self._lifecycle.wait_signal()

    async def drain(self, timeout: float | None = None) -> DrainReport | None:
        """End the client when its handlers have ended, and say how that went.

        Meanwhile calls can be made, and invocations are served, so that handlers can call functions of their own worker.
        Triggers are taken back first, so that nothing new begins. When the handlers that ran by then have ended, all
        functions are withdrawn; when the engine has confirmed it and the rest has ended too, the results are sent, and the
        connection is closed within `close_timeout`. Handlers that run longer than `timeout` are cancelled, and their
        callers get ``invocation_failed``. Without a connection only the handlers are waited for.

        Args:
            timeout: Seconds to wait for handlers, the client's `drain_timeout` when left out.

        Returns:
            The report. Every caller gets the same one, also when the client ended otherwise. None in a handler of this
            client, which cannot outlive it: there it only sets the drain going.

        Raises:
            ConfigurationError: The time-out is no number of seconds.

        Cancelling it makes it an `aclose`, carried out before the cancellation goes on. Afterwards every call raises
        `ClientClosed`, and leaving the block does nothing more.
        """
        if timeout is not None and not (is_number(timeout) and timeout >= 0):
            raise ConfigurationError(f"the timeout of a drain is a number of seconds, 0 or more, not {timeout!r}")
        report = await self._lifecycle.drain(timeout)
        await trio.lowlevel.checkpoint()
        return report

    async def shutdown(self) -> None:
        """`drain`, under the references' name. Raises nothing, and may be cancelled, as `drain`."""
        await self.drain()

    async def aclose(self) -> None:
        """End the client: calls end `ClientClosed`, handlers are cancelled, and what is queued is sent.

        Bounded by `close_timeout`, and carried out even when it is cancelled. It cuts a `drain` short, and raises nothing.
        A second time it does nothing. In a handler of this client, which cannot outlive it, it sets the end going and
        returns.
        """
        await self._lifecycle.close()
        await trio.lowlevel.checkpoint()
