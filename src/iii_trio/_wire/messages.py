"""Every frame of the worker protocol, one attrs class each (docs/wire.md, "Frames").

A field without a default must be present on the wire. One whose default is None may be absent or null alike, and is left
out when it is None, with the exceptions that the engine insists on: ``data``, ``config``, ``description`` of a trigger
type, and ``result`` of a success are always written (`ALWAYS`), ``null`` included.

Frames and fields that newer engines (0.25) send are known here by name, so that they can be told from nonsense, and are
otherwise ignored.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, TypeAlias

import attrs

Json: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, list or dict with text keys."""


class _Absent:
    """The type of `ABSENT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""A key that is not on the wire, where that differs from null (only `InvocationResult.result`)."""


@attrs.frozen
class ErrorBody:
    """An error inside another frame. Without text in `code` and `message` the engine drops the whole frame."""

    code: str
    message: str
    stacktrace: str | None = None


@attrs.frozen
class VoidAction:
    """Fire and forget: the engine answers nothing, not even for an unknown function."""

    type: Literal["void"] = "void"


@attrs.frozen
class EnqueueAction:
    """Route through a named queue: the engine answers with a receipt."""

    queue: str
    type: Literal["enqueue"] = "enqueue"


Action: TypeAlias = VoidAction | EnqueueAction


# ---- both directions ------------------------------------------------------------------------------------------------


@attrs.define  # not frozen, which would make it twice as dear: there is one for every call
class InvokeFunction:
    """Run a function: ours to the engine's choice of worker, or the engine's to us."""

    TYPE: ClassVar = "invokefunction"
    ALWAYS: ClassVar = ("data",)

    function_id: str
    data: Json
    invocation_id: str | None = None
    action: Action | None = None
    namespace: str | None = None
    metadata: Json = None
    traceparent: str | None = None
    baggage: str | None = None


@attrs.define  # not frozen, which would make it twice as dear: there is one for every call
class InvocationResult:
    """The answer to one `InvokeFunction`; `error` wins over `result`, and neither means "no value"."""

    TYPE: ClassVar = "invocationresult"
    ALWAYS: ClassVar = ()

    invocation_id: str
    function_id: str
    result: Json = ABSENT
    error: ErrorBody | None = None
    traceparent: str | None = None
    baggage: str | None = None


@attrs.frozen
class RegisterTrigger:
    """Bind a function to a trigger type; a provider of the type receives the same frame."""

    TYPE: ClassVar = "registertrigger"
    ALWAYS: ClassVar = ("config",)

    id: str
    trigger_type: str
    function_id: str
    config: Json
    metadata: Json = None
    namespace: str | None = None
    trigger_namespace: str | None = None


@attrs.frozen
class UnregisterTrigger:
    """Let a binding go."""

    TYPE: ClassVar = "unregistertrigger"
    ALWAYS: ClassVar = ()

    id: str
    trigger_type: str | None = None


@attrs.frozen
class TriggerRegistrationResult:
    """A provider's verdict; to the registrant only ever with `error`."""

    TYPE: ClassVar = "triggerregistrationresult"
    ALWAYS: ClassVar = ()

    id: str
    trigger_type: str
    function_id: str
    error: ErrorBody | None = None


@attrs.frozen
class Ping:
    """Asks for a `Pong`, which comes after everything that was sent before it was handled."""

    TYPE: ClassVar = "ping"
    ALWAYS: ClassVar = ()


@attrs.frozen
class Pong:
    """Answers a `Ping`, in order."""

    TYPE: ClassVar = "pong"
    ALWAYS: ClassVar = ()


# ---- worker to engine -----------------------------------------------------------------------------------------------


@attrs.frozen
class HttpInvocation:
    """How the engine reaches a function over HTTP instead of through a worker."""

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    timeout_ms: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    auth: Json = None


@attrs.frozen
class RegisterFunction:
    """Offer a function. Never acknowledged; sent again it replaces the definition."""

    TYPE: ClassVar = "registerfunction"
    ALWAYS: ClassVar = ()

    id: str
    description: str | None = None
    request_format: Json = None
    response_format: Json = None
    metadata: Json = None
    invocation: HttpInvocation | None = None


@attrs.frozen
class UnregisterFunction:
    """Withdraw a function. Never acknowledged."""

    TYPE: ClassVar = "unregisterfunction"
    ALWAYS: ClassVar = ()

    id: str


@attrs.frozen
class RegisterTriggerType:
    """Become the provider of a trigger type. Never acknowledged; the last one wins."""

    TYPE: ClassVar = "registertriggertype"
    ALWAYS: ClassVar = ("description",)

    id: str
    description: str
    trigger_request_format: Json = None
    call_request_format: Json = None
    namespace: str | None = None


@attrs.frozen
class UnregisterTriggerType:
    """Give a trigger type up. Only engines of 0.25 read it; 0.23 drops the frame."""

    TYPE: ClassVar = "unregistertriggertype"
    ALWAYS: ClassVar = ()

    id: str
    namespace: str | None = None


@attrs.frozen
class RegisterService:
    """Name a group of functions. `name` may be absent, but not null."""

    TYPE: ClassVar = "registerservice"
    ALWAYS: ClassVar = ()

    id: str
    name: str = ""
    description: str | None = None
    parent_service_id: str | None = None


@attrs.frozen
class Reattach:
    """Retire the connection that this one replaces. The first frame of a new connection."""

    TYPE: ClassVar = "reattach"
    ALWAYS: ClassVar = ()

    previous_worker_id: str
    reattach_token: str | None = attrs.field(default=None, repr=False)


# ---- engine to worker -----------------------------------------------------------------------------------------------


@attrs.frozen
class WorkerRegistered:
    """The engine's greeting, always its first frame. It says nothing about `engine::workers::register`."""

    TYPE: ClassVar = "workerregistered"
    ALWAYS: ClassVar = ()

    worker_id: str
    reattach_token: str | None = attrs.field(default=None, repr=False)
    features: list[str] | None = None
    """Only from engines of 0.25; known, and not used."""


@attrs.frozen
class RegistrationRejected:
    """A function id or the worker's name belongs to somebody else."""

    TYPE: ClassVar = "registrationrejected"
    ALWAYS: ClassVar = ()

    code: str
    namespace: str
    owner_worker_id: str
    worker_name: str | None = None
    function_id: str | None = None


@attrs.frozen
class LoginRefused:
    """The frame of type ``error``: the login was refused, after a successful upgrade."""

    TYPE: ClassVar = "error"
    ALWAYS: ClassVar = ()

    error: ErrorBody


@attrs.frozen
class Ignored:
    """A frame of a newer engine (0.25) that we know by name and do not act on."""

    type: str


@attrs.frozen
class TelemetryFrame:
    """A binary frame: four letters, then OTLP/JSON."""

    kind: Literal["OTLP", "MTRC", "LOGS"]
    body: bytes


Frame: TypeAlias = (
    InvokeFunction
    | InvocationResult
    | RegisterTrigger
    | UnregisterTrigger
    | TriggerRegistrationResult
    | Ping
    | Pong
    | RegisterFunction
    | UnregisterFunction
    | RegisterTriggerType
    | UnregisterTriggerType
    | RegisterService
    | Reattach
    | WorkerRegistered
    | RegistrationRejected
    | LoginRefused
)
"""A frame that travels as one JSON object in one text message."""

FRAMES: Final[tuple[type[Frame], ...]] = Frame.__args__
"""The classes of `Frame`."""

IGNORED_TYPES: Final[frozenset[str]] = frozenset(
    {
        "functionregistered",
        "invocationsobserved",
        "localinvocationstats",
        "observe",
        "observeradded",
        "observerack",
        "observerremoved",
        "observerstatechanged",
        "observeresult",
        "unobserve",
    }
)
"""Frame types of 0.25 that become `Ignored`."""
