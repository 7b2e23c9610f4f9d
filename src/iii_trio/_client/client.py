"""`III`, the client: what a worker registers, calls and asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, overload

import attrs
import trio

from iii_trio._channels.channels import Channel, Channels
from iii_trio._channels.reader import ChannelReader
from iii_trio._channels.writer import ChannelWriter
from iii_trio._client.calling import Caller, as_request, as_result, check_returns
from iii_trio._client.exits import DrainReport
from iii_trio._client.handles import FunctionRef
from iii_trio._client.lifecycle import Lifecycle
from iii_trio._client.namespaces import is_builtin
from iii_trio._client.statistics import ClientStatistics
from iii_trio._client.threads import FromThread
from iii_trio._client.watching import StateChanges, StateWatch
from iii_trio._handlers.dispatch import Dispatcher, Function
from iii_trio._handlers.signature import inspect_handler, response_schema
from iii_trio._link.supervisor import Supervisor
from iii_trio._options import OnConflict, OnConnectionLost
from iii_trio._session.session import Session
from iii_trio._session.states import seeds_word
from iii_trio._values.checks import is_number
from iii_trio._values.functions import Format, RegisterFunctionInput
from iii_trio._values.refs import StreamChannelRef
from iii_trio._values.requests import Action, EnqueueResult, TriggerActionEnqueue, TriggerActionVoid, TriggerRequest
from iii_trio._wire.messages import RegisterFunction
from iii_trio.errors import ClientClosed, ConfigurationError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Request: TypeAlias = str | TriggerRequest | Mapping[str, Any]


class III(trio.abc.AsyncResource):
    """A worker's connection to the engine, made by `open_iii` or `connect_iii`.

    Its methods may be called from any task of its trio run, in any order, connected or not: registrations are kept and
    replayed on every connection, calls wait for one. From threads use `from_thread`.
    """

    def __init__(
        self,
        *,
        session: Session,
        supervisor: Supervisor,
        dispatcher: Dispatcher,
        lifecycle: Lifecycle,
        caller: Caller,
        channels: Channels,
    ) -> None:
        self._session = session
        self._supervisor = supervisor
        self._dispatcher = dispatcher
        self._lifecycle = lifecycle
        self._caller = caller
        self._channels = channels
        self._watch = StateWatch(session)
        self.from_thread = FromThread(self, trio.lowlevel.current_trio_token())
        """What sync handlers and other threads call instead of the methods here."""

    def __repr__(self) -> str:
        return f"<III {self._session.worker['name']!r} at {self._supervisor.target.url}, {self.get_connection_state()}>"

    # ---- functions --------------------------------------------------------------------------------------------------

    def register_function(
        self,
        function_id: str | RegisterFunctionInput | Mapping[str, Any],
        handler: F,
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> FunctionRef[F]:
        """Offer a function to the engine, now and on every connection to come. Never blocks.

        Args:
            function_id: Its id, or a `RegisterFunctionInput` or dict that has it and what else describes the function.
            handler: Takes the payload, or nothing, and the invocation's metadata if it has a parameter of that name. An
                async one runs as a task, a sync one in a thread.
            description: One line for people and models.
            metadata: A JSON object for the engine's listings.
            request_format: JSON Schema of the payload, or a `RegisterFunctionFormat`; made of the handler's annotation when
                left out. The engine shows it and does not enforce it; a payload that does not fit the annotation is
                answered ``invalid_input``.
            response_format: JSON Schema of the result, likewise; nothing enforces it.
            concurrency: How many invocations may run at once; the others wait. None sets no limit.
            timeout: Seconds after which a running handler is cancelled and its caller told so; waiting for its turn does
                not count. A thread cannot be cancelled: it is abandoned, and keeps its place until it returns.
            force: Take an id of the engine's own. It replaces the engine's function for everybody, and nobody has it any
                more once this worker is gone.
            on_conflict: What happens when another worker owns the id: ``"raise"`` leaves it at that, and `wait_registered`
                raises; ``"standby"`` asks again every few seconds until it is ours, and `wait_registered` waits.
            on_connection_lost: What becomes of a handler when the connection over which its invocation came is lost, so
                that nobody gets its result: ``"finish"`` lets it go on, since what was sent as a void call exists nowhere
                else; ``"cancel"`` cancels it, and one that waits for its turn never begins. A thread is abandoned, as at
                the time-out. None means ``"finish"``.

        Returns:
            A handle to withdraw the function, or to wait until the engine has it.

        Raises:
            ConfigurationError: The id, the handler or another argument cannot work, or the id is registered here already.
                An annotation of the payload or the result that no JSON can be is one that cannot work.
            PayloadError: Metadata or a format cannot be sent.
            ClientClosed: The client is closed, or about to be: a drain has begun.
        """
        self._caller.check_open(None)
        if self._session.is_draining:
            raise ClientClosed("SHUTDOWN", "this client is about to end, and offers no new functions")
        extras = {
            "description": description,
            "metadata": metadata,
            "request_format": request_format,
            "response_format": response_format,
        }
        described = _as_input(function_id, extras)
        if is_builtin(described.id) and not force:
            raise ConfigurationError(
                f"{described.id!r} is an id of the engine's own; force=True takes it from everybody"
            )
        if on_conflict not in ("raise", "standby"):
            raise ConfigurationError(
                f"the on_conflict of {described.id!r} must be 'raise' or 'standby', not {on_conflict!r}"
            )
        function = _as_function(described.id, handler, concurrency, timeout, on_connection_lost)
        frame = RegisterFunction(**attrs.asdict(_with_formats(described, function), recurse=False))
        registration = self._session.registrar.register(frame, function, on_conflict)
        return FunctionRef(self._session, registration, handler)

    def function(
        self,
        function_id: str | RegisterFunctionInput | Mapping[str, Any],
        *,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        request_format: Format | None = None,
        response_format: Format | None = None,
        concurrency: int | None = None,
        timeout: float = math.inf,
        force: bool = False,
        on_conflict: OnConflict = "raise",
        on_connection_lost: OnConnectionLost | None = None,
    ) -> Callable[[F], FunctionRef[F]]:
        """`register_function` as a decorator, with the same arguments and errors.

        The decorated name becomes the `FunctionRef`; calling that calls the handler itself.
        """

        def register(handler: F) -> FunctionRef[F]:
            return self.register_function(
                function_id,
                handler,
                description=description,
                metadata=metadata,
                request_format=request_format,
                response_format=response_format,
                concurrency=concurrency,
                timeout=timeout,
                force=force,
                on_conflict=on_conflict,
                on_connection_lost=on_connection_lost,
            )

        return register

    # ---- calls ------------------------------------------------------------------------------------------------------

    @overload
    async def trigger(
        self,
        request: Request,
        payload: Any = None,
        *,
        action: TriggerActionVoid,
        timeout_ms: float | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        idempotent: bool = False,
    ) -> None: ...

    @overload
    async def trigger(
        self,
        request: Request,
        payload: Any = None,
        *,
        action: TriggerActionEnqueue,
        timeout_ms: float | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        idempotent: bool = False,
    ) -> EnqueueResult: ...

    @overload
    async def trigger(
        self,
        request: Request,
        payload: Any = None,
        *,
        action: None = None,
        timeout_ms: float | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        idempotent: bool = False,
        returns: type[T],
    ) -> T: ...

    @overload
    async def trigger(
        self,
        request: Request,
        payload: Any = None,
        *,
        action: Action | None = None,
        timeout_ms: float | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        idempotent: bool = False,
    ) -> Any: ...

    async def trigger(
        self,
        request: Request,
        payload: Any = None,
        *,
        action: Action | None = None,
        timeout_ms: float | None = None,
        namespace: str | None = None,
        metadata: Any = None,
        idempotent: bool = False,
        returns: type[Any] | None = None,
    ) -> Any:
        """Call a function and wait for its result.

        Args:
            request: Id of the function, or a `TriggerRequest` or dict that holds the id and the rest.
            payload: Any JSON value, or what stands for one: attrs and dataclass instances, enums, dates, UUIDs, sets
                (docs/types.md). Sent as ``null`` when left out.
            action: ``TriggerAction.Void()`` returns None as soon as the call is queued, and nobody hears of its end;
                ``TriggerAction.Enqueue(queue=...)`` returns the engine's receipt, an `EnqueueResult`.
            timeout_ms: Milliseconds to wait, the client's `invocation_timeout_ms` when left out. The caller's own cancel
                scopes count as well. Void calls have none.
            namespace: Where the function is looked up; this worker's own namespace when left out, and ``default`` for the
                engine's own functions.
            metadata: A JSON value that travels beside the payload.
            idempotent: Whether it does no harm if the handler runs twice. Such a call is made again, within its time-out,
                when its connection is lost after it was sent; a budget keeps retries from becoming a storm.
            returns: A type that the result is to have, any that a handler can take (docs/types.md). Nothing is converted;
                a result of another shape is an error.

        Returns:
            What the handler returned; None when it returned nothing.

        Raises:
            InvocationTimeout: No answer in time. Whether the handler may have run is in `fate`.
            ConnectionLost: The link, or the handler's link, broke after the call was sent. The handler may have run.
            InvocationError: The engine or the handler refused or failed; see `code` and `fate`.
            InvalidResult: The handler ran, and its result is not what `returns` says.
            EngineUnavailable: The engine has been away for longer than `offline_grace`. Nothing was sent.
            ClientClosed: The client is closed, or was closed meanwhile.
            PayloadError: Payload or metadata cannot be sent. Nothing was sent.
            ConfigurationError: The request itself is wrong. Nothing was sent.

        Cancelling it is safe: a call that still waits here is taken back, one that was sent is forgotten and its late
        answer dropped. The handler is not told, since the protocol has no word for it.
        """
        asked = {
            "payload": payload,
            "action": action,
            "timeout_ms": timeout_ms,
            "namespace": namespace,
            "metadata": metadata,
            "idempotent": idempotent or None,
        }
        wanted = as_request(request, asked)
        if returns is not None:
            check_returns(returns)
        self._caller.check_callable(wanted.function_id)
        if isinstance(wanted.action, TriggerActionVoid):
            if returns is not None:
                raise ConfigurationError("nobody answers a void call, so it has no result for returns=")
            return await self._caller.send(wanted)
        value, call_id = await self._caller.call(wanted)
        if returns is None and isinstance(wanted.action, TriggerActionEnqueue):
            returns = EnqueueResult
        return value if returns is None else as_result(value, returns, call_id, wanted.function_id)

    def trigger_nowait(
        self, request: Request, payload: Any = None, *, namespace: str | None = None, metadata: Any = None
    ) -> None:
        """Call a function and forget it: like `trigger` with ``TriggerAction.Void()``, without waiting. Never blocks.

        Raises:
            WouldBlock: The outbox is full. Nothing was sent.
            EngineUnavailable, ClientClosed, PayloadError, ConfigurationError: As `trigger`.
        """
        wanted = as_request(request, {"payload": payload, "namespace": namespace, "metadata": metadata})
        if isinstance(wanted.action, TriggerActionEnqueue):
            raise ConfigurationError("trigger_nowait makes void calls; await trigger for the receipt of enqueued work")
        self._caller.check_callable(wanted.function_id)
        self._caller.send_nowait(wanted)

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
            functions=len(session.registrar.registry),
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
        When the handlers that ran at the beginning have ended, all functions are withdrawn; when the engine has confirmed
        it and the rest has ended too, the results are sent, and the connection is closed within `close_timeout`. Handlers
        that run longer than `timeout` are cancelled, and their callers get ``invocation_failed``. Without a connection
        only the handlers are waited for.

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
        """`drain`, under the references' name."""
        await self.drain()

    async def aclose(self) -> None:
        """End the client: calls end `ClientClosed`, handlers are cancelled, and what is queued is sent.

        Bounded by `close_timeout`, and carried out even when it is cancelled. It cuts a `drain` short. A second time it
        does nothing. In a handler of this client, which cannot outlive it, it sets the end going and returns.
        """
        await self._lifecycle.close()
        await trio.lowlevel.checkpoint()


def _as_input(
    function: str | RegisterFunctionInput | Mapping[str, Any], extras: Mapping[str, Any]
) -> RegisterFunctionInput:
    """The one description of a function, from any of the three forms."""
    given = {name: value for name, value in extras.items() if value is not None}
    if isinstance(function, str):
        return RegisterFunctionInput(id=function, **given)
    if given:
        raise ConfigurationError(f"a function that is described by a value takes no {', '.join(given)} beside it")
    if isinstance(function, RegisterFunctionInput):
        return function
    if not isinstance(function, Mapping):
        raise ConfigurationError(f"a function is named by text, a RegisterFunctionInput or a dict, not {function!r}")
    known = {field.name for field in attrs.fields(RegisterFunctionInput)}
    if unknown := [str(name) for name in function if name not in known]:
        raise ConfigurationError(f"a function has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    if "id" not in function:
        raise ConfigurationError("a function needs its id")
    return RegisterFunctionInput(**function)


def _as_function(
    function_id: str, handler: Callable[..., Any], concurrency: Any, timeout: Any, on_connection_lost: Any
) -> Function:
    if concurrency is not None and (
        isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1
    ):
        raise ConfigurationError(f"the concurrency of {function_id!r} must be a whole number of at least 1")
    if not (is_number(timeout) and timeout > 0):
        raise ConfigurationError(f"the timeout of {function_id!r} must be more than 0 seconds")
    if on_connection_lost not in (None, "finish", "cancel"):
        raise ConfigurationError(
            f"the on_connection_lost of {function_id!r} must be 'finish' or 'cancel', not {on_connection_lost!r}"
        )
    slots = None if concurrency is None else trio.CapacityLimiter(concurrency)
    if isinstance(handler, FunctionRef):  # two decorators on one handler
        handler = handler.handler
    return Function(
        inspect_handler(function_id, handler),
        concurrency,
        timeout,
        slots,
        on_connection_lost,
        task_name=f"iii handler {function_id}",
    )


def _with_formats(described: RegisterFunctionInput, function: Function) -> RegisterFunctionInput:
    """The description, with the schemas of the handler's annotations where it has none of its own."""
    signature = function.signature
    taken, returned = described.request_format, described.response_format
    if taken is None and signature.payload_type is not None:
        taken = signature.payload_type.schema
    if returned is None:
        returned = response_schema(described.id, signature.function)
    return attrs.evolve(described, request_format=taken, response_format=returned)
