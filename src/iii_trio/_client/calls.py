"""How functions are called: `III.trigger` and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeAlias, TypeVar, overload

from iii_trio._client.calling import Caller, as_request, as_result, check_returns
from iii_trio._session.session import Session
from iii_trio._values.requests import Action, EnqueueResult, TriggerActionEnqueue, TriggerActionVoid, TriggerRequest
from iii_trio.errors import ConfigurationError

T = TypeVar("T")

Request: TypeAlias = str | TriggerRequest | Mapping[str, Any]


class Calls:
    """The part of `III` that calls."""

    _session: Session
    _caller: Caller

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

    # What ``A | B`` is to a type checker says nothing of A and B, until there is a TypeForm that all of them know.
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
        returns: UnionType,
    ) -> Any: ...

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
        returns: type[Any] | UnionType | None = None,
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
