"""What streams tell functions, and what the functions answer: changes, joins, leaves, logins."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs

from iii_trio._values.building import LEFT_OUT
from iii_trio._values.checks import flag, instance, optional, text


@attrs.frozen(kw_only=True)
class StreamTriggerConfig:
    """Config of a ``stream`` trigger: which changes it is about. Source: the references' ``StreamTriggerConfig``."""

    stream_name: str = attrs.field(validator=text)
    """Name of the stream, never blank: without one the connection would hang (docs/engine.md, "Trigger configs")."""

    group_id: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Group of items; None or ``""`` means all."""

    item_id: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Id of the item; None or ``""`` means all."""

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is asked first with the same payload; only its answer ``false`` holds the event back."""


@attrs.frozen(kw_only=True)
class StreamJoinLeaveTriggerConfig:
    """Config of a ``stream:join`` or ``stream:leave`` trigger.

    The engine reads none of it: every join of every stream fires every one of them.

    Source: the references' ``StreamJoinLeaveTriggerConfig``.
    """

    condition_function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Advertised by the engine, and ignored; so a binding with one is refused here."""


@attrs.frozen(kw_only=True)
class StreamChangeEventDetail:
    """A change of an item. Source: the references' ``StreamChangeEventDetail``."""

    type: Literal["create", "update", "delete"]
    """What happened."""

    data: Any
    """The item as it is now; after a deletion, as it was."""


@attrs.frozen(kw_only=True)
class StreamSentEvent:
    """What somebody sent to a stream without storing it. Source: the engine's ``stream::send``."""

    type: str
    """The sender's word for it."""

    data: Any
    """Any JSON value."""


@attrs.frozen(kw_only=True)
class StreamSentEventDetail:
    """Something was sent to the stream with ``stream::send``; nothing was stored. Source: the engine's events."""

    type: Literal["event"]
    """Always ``"event"``."""

    event: StreamSentEvent
    """What was sent."""


StreamEventDetail: TypeAlias = StreamChangeEventDetail | StreamSentEventDetail
"""What a stream trigger tells; `type` says which it is."""


@attrs.frozen(kw_only=True)
class StreamChangeEvent:
    """What the handler of a ``stream`` trigger gets, in the engine's own spelling (docs/engine.md, "Streams").

    Source: the references' ``StreamChangeEvent``.
    """

    type: Literal["stream"]
    """Always ``"stream"``."""

    timestamp: int
    """When, in milliseconds since 1970."""

    streamName: str  # noqa: N815 - the name is the engine's
    """Name of the stream."""

    groupId: str  # noqa: N815
    """Group of items."""

    id: str | None = None
    """Id of the item; None for something that was sent to the whole group."""

    event: StreamEventDetail
    """What happened."""


@attrs.frozen(kw_only=True)
class StreamJoinLeaveEvent:
    """What the handler of a ``stream:join`` or ``stream:leave`` trigger gets.

    Source: the references' ``StreamJoinLeaveEvent``.
    """

    subscription_id: str
    """The watcher's own name for the subscription."""

    stream_name: str
    """Name of the stream."""

    group_id: str
    """Group of items."""

    id: str | None = None
    """Id of the item; None when the whole group is watched."""

    context: Any = None
    """What the stream's auth function answered about this connection."""


@attrs.frozen(kw_only=True)
class StreamJoinResult:
    """What a ``stream:join`` handler answers. An answer of any other shape, or an error, lets the watcher in.

    Source: the references' ``StreamJoinResult``.
    """

    unauthorized: bool = attrs.field(validator=flag)
    """True refuses the subscription; one handler that refuses is enough."""


@attrs.frozen(kw_only=True)
class StreamAuthInput:
    """What the auth function of the streams' public socket gets. Source: the references' ``StreamAuthInput``."""

    headers: dict[str, str]
    """Headers of the handshake, by their names in lower case."""

    path: str
    """Path of the request."""

    query_params: dict[str, list[str]]
    """Parameters of the query, not percent-decoded."""

    addr: str
    """Address and port of the client."""


@attrs.frozen(kw_only=True)
class StreamAuthResult:
    """What the auth function answers. It cannot refuse a connection, only say who it is; `StreamJoinResult` refuses.

    Source: the references' ``StreamAuthResult``.
    """

    context: Any = None
    """Any JSON value; it comes back in `StreamJoinLeaveEvent.context`."""
