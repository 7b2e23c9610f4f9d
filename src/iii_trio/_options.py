"""Options, their defaults and bounds, and what the environment says (docs/options.md).

An explicit option always wins over the environment; a blank environment variable counts as unset.
"""

from __future__ import annotations

import math
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs

from iii_trio._values.checks import (
    between,
    flag,
    function,
    instance,
    non_negative,
    one_of,
    optional,
    path,
    positive,
    text,
    whole,
)
from iii_trio._wire.codec import MAX_MESSAGE_SIZE
from iii_trio._wire.urls import DEFAULT_URL
from iii_trio.errors import ConfigurationError, IIIError

MIB: Final = 1024 * 1024

OnConflict: TypeAlias = Literal["raise", "standby"]
"""What to do when another worker owns an id or a name: end with the error, or ask again until it is free."""

OnConnectionLost: TypeAlias = Literal["finish", "cancel"]
"""What becomes of a handler whose connection is lost: it goes on to its end, or it is cancelled."""


@attrs.frozen(kw_only=True)
class ReconnectionConfig:
    """How long to wait between attempts to reach the engine.

    The wait before attempt *n* is ``initial_delay_ms * backoff_multiplier ** n``, at most ``max_delay_ms``, spread by
    ``jitter_factor``. It starts over once a connection was ready.

    Source: the references' ``ReconnectionConfig``; the cap on refused connections is ours (docs/engine.md, "Restarts").
    """

    initial_delay_ms: float = attrs.field(default=1_000, validator=positive)
    """First wait, in milliseconds."""

    max_delay_ms: float = attrs.field(default=30_000, validator=positive)
    """Longest wait before jitter, in milliseconds."""

    backoff_multiplier: float = attrs.field(default=2.0, validator=between(1.0, math.inf))
    """What each wait is longer than the one before."""

    jitter_factor: float = attrs.field(default=0.3, validator=between(0.0, 1.0))
    """Share of the wait by which it may be longer or shorter; 0 makes it exact."""

    max_retries: int = attrs.field(default=-1, validator=whole(-1))
    """Attempts in a row that may fail before the client gives up; −1 never gives up."""


@attrs.frozen(kw_only=True)
class TelemetryOptions:
    """What the worker tells the engine about itself when it registers.

    Source: the references' ``TelemetryOptions``. The engine stores `language`, `project_name` and `framework`.
    """

    language: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """Language of the worker's users, such as ``en_US``."""

    project_name: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """Project that this worker belongs to."""

    framework: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """Framework on top of this SDK."""

    amplitude_api_key: str | None = attrs.field(default=None, validator=optional(instance(str)), repr=False)
    """Key for product analytics; sent on, and ignored by the engine."""


def _headers(instance: object, attribute: attrs.Attribute[Mapping[str, str]], value: object) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise ConfigurationError(f"InitOptions.{attribute.name} must map text to text")
    for name, content in value.items():
        if not _is_header(name, content):
            raise ConfigurationError(f"InitOptions.{attribute.name}: {name!r} cannot be sent as an HTTP header")


def _is_header(name: str, content: str) -> bool:
    plain = all(0x20 <= ord(c) < 0x7F for c in name + content)
    return plain and bool(name) and content == content.strip() and not any(c in ' ():<>@,;\\"/[]?={}' for c in name)


def _reconnection_config(value: ReconnectionConfig | None) -> ReconnectionConfig:
    return ReconnectionConfig() if value is None else value


@attrs.frozen(kw_only=True)
class InitOptions:
    """Everything that can be chosen for one client. Times are seconds unless the name ends in ``_ms``.

    Source: the references' ``InitOptions``; fields that they do not have are ours (docs/options.md).
    """

    worker_name: str | None = attrs.field(default=None, validator=optional(text))
    """Name in the engine's listings; one live worker a namespace may bear it. None takes ``III_WORKER_NAME`` (first
    client of the process only), else ``hostname:pid``, then ``hostname:pid:2`` and so on."""

    worker_description: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """One line about what this worker does."""

    namespace: str | None = attrs.field(default=None, validator=optional(text))
    """Where this worker's functions live; None takes ``III_NAMESPACE``, else ``default``."""

    isolation: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """How this worker is isolated, for the engine's listings; None takes ``III_ISOLATION``."""

    on_conflict: OnConflict = attrs.field(default="raise", validator=one_of("raise", "standby"))
    """What happens while another worker has the name: ``raise`` fails, ``standby`` asks again every few seconds until it is
    free, however long the opening takes (docs/engine.md, "Names")."""

    telemetry: TelemetryOptions | None = attrs.field(default=None, validator=optional(instance(TelemetryOptions)))
    """Facts about the worker for the engine."""

    headers: Mapping[str, str] | None = attrs.field(default=None, validator=optional(_headers), repr=False)
    """HTTP headers of the WebSocket handshake, for listeners that authenticate."""

    token: str | None = attrs.field(default=None, validator=optional(text), repr=False)
    """Sent as ``Authorization: Bearer …``. None takes ``III_TOKEN``, but only for the URL from ``III_URL``."""

    ssl_context: ssl.SSLContext | None = attrs.field(default=None, validator=optional(instance(ssl.SSLContext)))
    """For ``wss://``; None verifies against the system's certificates."""

    invocation_timeout_ms: float = attrs.field(default=30_000, validator=non_negative)
    """Milliseconds that `trigger` waits when nothing else is said; ``math.inf`` waits for ever."""

    reconnection_config: ReconnectionConfig = attrs.field(
        factory=ReconnectionConfig,
        converter=_reconnection_config,
        validator=instance(ReconnectionConfig),
    )
    """Waits between attempts to reach the engine."""

    connect_timeout: float = attrs.field(default=10.0, validator=positive)
    """Seconds for one attempt: connection, TLS, handshake and greeting."""

    open_timeout: float = attrs.field(default=10.0, validator=non_negative)
    """Seconds for which transient failures of the first connection are retried; ``math.inf`` waits for the engine."""

    is_fatal: Callable[[IIIError, bool], bool | None] | None = attrs.field(default=None, validator=optional(function))
    """Called with the error of an attempt that was refused, and whether no connection was ready before; says whether the
    client fails with it or tries again. None, as the option or as its answer, leaves it at what is usual
    (docs/options.md, "What is tried again"). It must not block."""

    close_timeout: float = attrs.field(default=5.0, validator=non_negative)
    """Seconds in which closing sends what is queued, says goodbye and waits for the end of the connection."""

    offline_grace: float = attrs.field(default=120.0, validator=non_negative)
    """Seconds after a loss for which calls wait for the next connection, within their own time-outs; after it they are
    refused at once until the engine is back. ``math.inf`` lets them wait."""

    reattach_file: str | os.PathLike[str] | None = attrs.field(default=None, validator=optional(path))
    """File of this client alone, in which the ids and tokens of its newest connections outlive a crash: the next client
    with this file has the engine end what is left of them, and so gets the worker's name and functions back at once."""

    drain_timeout: float = attrs.field(default=25.0, validator=non_negative)
    """Seconds for which leaving waits for handlers to end before it cancels them; ``math.inf`` waits for ever."""

    drain_on_cancel: bool = attrs.field(default=False, validator=flag)
    """Whether a block that is cancelled, or left with an exception, is drained like one that ends. Ctrl-C is not."""

    heartbeat_interval: float = attrs.field(default=20.0, validator=positive)
    """Seconds without a byte received after which the engine is pinged."""

    heartbeat_timeout: float = attrs.field(default=60.0, validator=positive)
    """Seconds without a byte received after which the link counts as lost."""

    max_outbox_frames: int = attrs.field(default=10_000, validator=whole(1))
    """Frames that may wait to be sent; beyond it `trigger` waits and `trigger_nowait` raises `WouldBlock`."""

    max_outbox_bytes: int = attrs.field(default=64 * MIB, validator=whole(1))
    """Bytes that may wait to be sent, likewise."""

    max_message_size: int = attrs.field(default=MAX_MESSAGE_SIZE, validator=whole(1))
    """Bytes of the largest message that is taken in or sent out."""

    max_running_handlers: int | None = attrs.field(default=None, validator=optional(whole(1)))
    """Handlers that may run at once; what comes beyond it is refused ``overloaded``. None sets no limit, since handlers
    that call functions of the same worker could otherwise wait for each other."""

    max_pending_invocations: int = attrs.field(default=10_000, validator=whole(0))
    """Accepted invocations that may wait for their function's ``concurrency`` or for a thread."""

    max_threads: int = attrs.field(default=40, validator=whole(1))
    """Threads for sync handlers."""

    heal_early_results: bool = attrs.field(default=True, validator=flag)
    """Whether small answers that are given at once are sent a second time a little later, since the engine loses an answer
    that comes before it has filed the call (docs/engine.md, "Early answers")."""

    send_stack_traces: bool = attrs.field(default=False, validator=flag)
    """Whether callers get the stack trace of a handler that failed."""

    loop_watch: float | None = attrs.field(default=None, validator=optional(positive))
    """Seconds for which one step of a task may hold trio's loop up; what takes longer is logged, with the function that
    did it, and counted. None does not look, since looking costs every step of every task of the run something."""

    trace: Callable[[str, Mapping[str, Any]], object] | None = attrs.field(default=None, validator=optional(function))
    """Called with the name and the facts of each event (docs/watching.md, "The trace hook"); it must not block."""


@attrs.frozen
class Address:
    """Where to connect, and the headers to say it with."""

    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)


def resolve_address(url: str | None, options: InitOptions, environ: Mapping[str, str] = os.environ) -> Address:
    """The URL and the headers, from arguments, options and the environment.

    ``III_TOKEN`` is a secret of the engine that ``III_URL`` names, so it is sent to no other.

    Raises:
        ConfigurationError: The token cannot be part of a header: it ends in a newline, say.
    """
    from_environment = _set(environ, "III_URL") if url is None else None
    headers = dict(options.headers or {})
    token = options.token or (_set(environ, "III_TOKEN") if from_environment else None)
    if token and not any(name.lower() == "authorization" for name in headers):
        headers["Authorization"] = f"Bearer {token}"
        if not _is_header("Authorization", headers["Authorization"]):
            raise ConfigurationError("the token must be printable ASCII: it is sent in an HTTP header")
    address = from_environment or DEFAULT_URL if url is None else url
    return Address(url=address, headers=tuple(headers.items()))


def resolve_namespace(options: InitOptions, environ: Mapping[str, str] = os.environ) -> str:
    """The worker's namespace."""
    return options.namespace or _set(environ, "III_NAMESPACE") or "default"


def resolve_isolation(options: InitOptions, environ: Mapping[str, str] = os.environ) -> str | None:
    """How the worker is isolated, if anybody says so."""
    return options.isolation if options.isolation is not None else _set(environ, "III_ISOLATION")


def _set(environ: Mapping[str, str], name: str) -> str | None:
    value = environ.get(name, "")
    return value if value.strip() else None
