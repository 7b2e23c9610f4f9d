"""What a call is made of: the request, its routing, and the receipt of enqueued work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from iii_trio._values.building import build_kind
from iii_trio._values.checks import flag, non_negative, one_of, optional, text


@attrs.frozen
class TriggerActionVoid:
    """Fire-and-forget routing: no answer comes, not even for an unknown function.

    Source: the references' ``TriggerActionVoid``.
    """

    type: Literal["void"] = attrs.field(  # pyright: ignore[reportAssignmentType]  # it widens the default to str
        default="void", validator=one_of("void")
    )
    """Always ``"void"``."""


@attrs.frozen
class TriggerActionEnqueue:
    """Routes the call through a named queue: the answer is an `EnqueueResult`, the work is done later.

    Source: the references' ``TriggerActionEnqueue``.
    """

    queue: str = attrs.field(validator=text)
    """Name of the queue."""

    type: Literal["enqueue"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="enqueue", validator=one_of("enqueue")
    )
    """Always ``"enqueue"``."""


Action: TypeAlias = TriggerActionVoid | TriggerActionEnqueue
"""Where a call goes, when it is not simply run and awaited."""

_ACTIONS: Final[Mapping[str, type[Action]]] = {"void": TriggerActionVoid, "enqueue": TriggerActionEnqueue}


def _as_action(value: Action | Mapping[str, Any] | None) -> Action | None:
    return None if value is None else build_kind(_ACTIONS, value, "TriggerRequest.action")


class TriggerAction:
    """Makes the routing actions: ``TriggerAction.Void()`` and ``TriggerAction.Enqueue(queue="mail")``.

    Source: the references' ``TriggerAction``.
    """

    Void = TriggerActionVoid
    Enqueue = TriggerActionEnqueue


@attrs.frozen
class EnqueueResult:
    """The engine's receipt for enqueued work. Source: the references' ``EnqueueResult``."""

    messageReceiptId: str  # noqa: N815 - the name is the references'
    """UUID that the engine gave to the job."""


@attrs.frozen(kw_only=True)
class TriggerRequest:
    """One call as a value: what `III.trigger` takes instead of keywords.

    Source: the references' ``TriggerRequest``; `namespace` and `metadata` are the engine's.
    """

    function_id: str = attrs.field(validator=text)
    """Id of the function."""

    payload: Any = None
    """Any JSON value or attrs instance; sent as ``null`` when left out."""

    action: Action | None = attrs.field(default=None, converter=_as_action)
    """Routing, or a dict with its `type`; None waits for the function's result."""

    timeout_ms: float | None = attrs.field(default=None, validator=optional(non_negative))
    """Milliseconds to wait for the answer; None takes the client's default, ``math.inf`` waits for ever."""

    namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where the function is looked up; None means the worker's own namespace, ``default`` for the engine's own."""

    idempotent: bool = attrs.field(default=False, validator=flag)
    """Whether it does no harm if the handler runs twice, so that the call may be made again when its link is lost."""

    metadata: Any = None
    """A JSON value that travels beside the payload; lost by the engine when the call is enqueued."""
