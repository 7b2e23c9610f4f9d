"""What can go wrong, and who is to blame.

    IIIError
    ├── ConfigurationError          you: an option, a URL, a handler that cannot work
    ├── PayloadError                you: a value the engine could not decode; names its path
    ├── WouldBlock                  nobody: the outbox is full just now (also a trio.WouldBlock)
    ├── AuthenticationError         the engine: this login is refused
    ├── HandshakeRefused            the server: it answered the WebSocket handshake with an HTTP status
    ├── RegistrationRejectedError   the engine: it refused the worker, or somebody else owns the id or the name
    ├── InternalError               us: a bug in iii-trio; please report it
    ├── ChannelError                one end of a channel
    │   ├── ChannelBroken           the link: a stream ended without its end (also a trio.BrokenResourceError)
    │   │   ├── ChannelNotFound     the engine: it has no such channel, or no longer
    │   │   └── ChannelTaken        somebody: this end was opened before
    │   ├── ChannelEnded            nobody: everything was read (also a trio.EndOfChannel)
    │   ├── ChannelOverflow         the peer: it sent more than was asked for
    │   ├── ChannelClosed           you: this end was closed here (also a trio.ClosedResourceError)
    │   └── ChannelBusy             you: another task is at it (also a trio.BusyResourceError)
    └── InvocationError             one call: `code`, `fate`
        ├── InvocationTimeout
        ├── ConnectionLost
        ├── EngineUnavailable
        ├── ClientClosed
        └── InvalidResult

Every class can be pickled, and none carries a secret. The table of fates is in docs/fates.md.
"""

from __future__ import annotations

import enum
from typing import Any, Final

import trio

__all__ = [
    "AuthenticationError",
    "ChannelBroken",
    "ChannelBusy",
    "ChannelClosed",
    "ChannelEnded",
    "ChannelError",
    "ChannelNotFound",
    "ChannelOverflow",
    "ChannelTaken",
    "ClientClosed",
    "ConfigurationError",
    "ConnectionLost",
    "EngineUnavailable",
    "Fate",
    "HandshakeRefused",
    "IIIError",
    "InternalError",
    "InvalidResult",
    "InvocationError",
    "InvocationTimeout",
    "PayloadError",
    "RegistrationRejectedError",
    "WouldBlock",
]


class Fate(enum.Enum):
    """What is known about the handler of a call that failed."""

    NEVER_SENT = "never_sent"
    """The call did not leave this process: the handler has not run."""

    NOT_RUN = "not_run"
    """The engine or the handler's worker refused the call before the handler ran."""

    MAY_HAVE_RUN = "may_have_run"
    """The call was sent, and nothing tells whether the handler ran."""

    RAN = "ran"
    """The handler ran, and failed or answered something unusable."""


_FATES: Final[dict[str, Fate]] = {
    "function_not_found": Fate.NOT_RUN,
    "FORBIDDEN": Fate.NOT_RUN,
    "INVALID_NAMESPACE": Fate.NOT_RUN,
    "overloaded": Fate.NOT_RUN,
    "invalid_input": Fate.NOT_RUN,
    "deserialization_error": Fate.NOT_RUN,
    "function_not_invokable": Fate.NOT_RUN,
    "url_validation_failed": Fate.NOT_RUN,
    "invocation_stopped": Fate.MAY_HAVE_RUN,
    "channel_send_failed": Fate.MAY_HAVE_RUN,
    "invocation_error": Fate.MAY_HAVE_RUN,
    "enqueue_error": Fate.MAY_HAVE_RUN,
    "http_request_failed": Fate.MAY_HAVE_RUN,
    "TIMEOUT": Fate.MAY_HAVE_RUN,
    "CONNECTION_LOST": Fate.MAY_HAVE_RUN,
    "OFFLINE": Fate.NEVER_SENT,
    "SHUTDOWN": Fate.NEVER_SENT,
    "invalid_result": Fate.RAN,
}


def fate_of(code: str) -> Fate:
    """The fate that an error code of the engine, of a handler or of this SDK stands for."""
    return _FATES.get(code, Fate.RAN)


def is_reserved(code: str) -> bool:
    """Whether `code` belongs to the engine or to this SDK, so that a handler must not answer with it."""
    return code in _FATES


def _restore(cls: type[IIIError], args: tuple[Any, ...], state: dict[str, Any]) -> IIIError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class IIIError(Exception):
    """The root of every error that iii-trio raises of its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class ConfigurationError(IIIError, ValueError):
    """An option, a URL, an id or a handler cannot work. Nothing was sent."""


class PayloadError(IIIError, ValueError):
    """A value cannot be sent, because the engine could not decode it. Nothing was sent."""

    def __init__(self, message: str, *, path: str = "$") -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        """Where in the value the fault is, as in ``$.items[3].price``; ``$`` is the value itself."""


class WouldBlock(IIIError, trio.WouldBlock):
    """The outbox is full: `trigger_nowait` sent nothing. Use ``await trigger(...)`` to wait for room."""


class AuthenticationError(IIIError):
    """The engine refused this login; asking again with the same credentials is of no use.

    It comes from HTTP status 401 or 403, or from the ``error`` frame that the engine sends after a successful upgrade.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
        """``AUTH_ERROR``, or the HTTP status as text."""


class HandshakeRefused(IIIError):
    """The server answered the WebSocket handshake with something other than an upgrade."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the answer."""


class RegistrationRejectedError(IIIError):
    """The engine refused this worker, an id or name of it that somebody else owns, or a trigger that cannot be bound."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        namespace: str | None = None,
        function_id: str | None = None,
        worker_name: str | None = None,
        owner_worker_id: str | None = None,
        trigger_id: str | None = None,
        trigger_type: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """``FUNCTION_NAMESPACE_CONFLICT``, ``WORKER_NAMESPACE_CONFLICT``, ``INVALID_NAMESPACE``, ``FORBIDDEN``,
        ``trigger_registration_failed``, a provider's own …"""
        self.namespace = namespace
        """The namespace in which it was refused, where the engine says it."""
        self.function_id = function_id
        """The refused function, or the one that the refused trigger was to call."""
        self.worker_name = worker_name
        """The refused worker name, when it was one."""
        self.owner_worker_id = owner_worker_id
        """The worker that owns the id or the name; empty or None when there is none."""
        self.trigger_id = trigger_id
        """The refused trigger, when it was one."""
        self.trigger_type = trigger_type
        """The type of the refused trigger."""


class InternalError(IIIError):
    """A bug in iii-trio. The cause is chained; please report it."""


class ChannelError(IIIError):
    """One end of a channel cannot do what it was asked to do."""


class ChannelBroken(ChannelError, trio.BrokenResourceError):
    """The stream did not come to its end: the link was lost, or the other side went away.

    A channel cannot be taken up again: what it carried has to be sent over a new one.
    """

    def __init__(self, message: str, *, received: int = 0, partial: bytes = b"") -> None:
        super().__init__(message)
        self.received = received
        """Bytes that a reader was given before; 0 at a writer."""
        self.partial = partial
        """What `ChannelReader.read_all` had read; empty everywhere else, where the caller has it already."""


class ChannelNotFound(ChannelBroken):
    """The engine knows no channel of this id and key: a wrong ref, or one that nobody opened within five minutes."""


class ChannelTaken(ChannelBroken):
    """This end was opened before, by somebody else or in another life. Each end can be taken once."""


class ChannelEnded(ChannelError, trio.EndOfChannel):
    """Everything was read, and the writer has closed."""


class ChannelOverflow(ChannelError):
    """There are more bytes than `ChannelReader.read_all` was to take."""


class ChannelClosed(ChannelError, trio.ClosedResourceError):
    """This end was closed here, by its user or with its client."""


class ChannelBusy(ChannelError, trio.BusyResourceError):
    """Another task is reading, or sending, at this moment."""


class InvocationError(IIIError):
    """One call failed. `code` says how, `fate` what that means for the handler.

    Raise it in a handler to answer the caller with a code of your own. Attributes are read-only.

    Source: the references' ``InvocationError``.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        function_id: str | None = None,
        invocation_id: str | None = None,
        stacktrace: str | None = None,
        fate: Fate | None = None,
    ) -> None:
        super().__init__(code, message)
        self._code = code
        self._message = message
        self._function_id = function_id
        self._invocation_id = invocation_id
        self._stacktrace = stacktrace
        self._fate = fate_of(code) if fate is None else fate

    @property
    def code(self) -> str:
        """The kind of failure; the engine's, the SDK's or the handler's own word."""
        return self._code

    @property
    def message(self) -> str:
        """What happened, for people."""
        return self._message

    @property
    def function_id(self) -> str | None:
        """The function that was called; None for an error that a handler made and nobody called yet."""
        return self._function_id

    @property
    def invocation_id(self) -> str | None:
        """The id of the call; None as for `function_id`, and for calls that want no answer."""
        return self._invocation_id

    @property
    def stacktrace(self) -> str | None:
        """The remote stack trace, when the other side chose to send one. Never part of ``str(error)``."""
        return self._stacktrace

    @property
    def fate(self) -> Fate:
        """Whether the handler ran."""
        return self._fate

    def __str__(self) -> str:
        where = f" ({self._function_id})" if self._function_id else ""
        return f"{self._code}: {self._message}{where}"


class InvocationTimeout(InvocationError):
    """No answer came within the call's own time-out."""


class ConnectionLost(InvocationError):
    """The link, or the link of the handler's worker, was lost after the call was sent."""


class EngineUnavailable(InvocationError):
    """No engine could be reached: within `open_timeout` at the start, or for too long afterwards."""


class ClientClosed(InvocationError):
    """This client is closed, or was closed while the call was under way."""


class InvalidResult(InvocationError):
    """The answer does not have the shape that ``returns=`` asked for."""
