"""The tree of errors: who is to blame, what is known of the handler, and that errors travel whole."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import trio

from iii_trio import errors
from iii_trio.errors import Fate, IIIError, InvocationError, fate_of, is_reserved

CALL: dict[str, Any] = {"function_id": "f", "invocation_id": "i", "stacktrace": "line 1", "fate": Fate.NEVER_SENT}

EXAMPLES = [
    IIIError("something"),
    errors.ConfigurationError("wrong"),
    errors.PayloadError("bad", path="$.a[3]"),
    errors.WouldBlock("full"),
    errors.AuthenticationError("no", code="AUTH_ERROR"),
    errors.HandshakeRefused("no", status=404),
    errors.RegistrationRejectedError(
        "taken", code="c", namespace="n", function_id="f", worker_name="w", owner_worker_id="o"
    ),
    errors.InternalError("bug"),
    errors.ChannelError("odd"),
    errors.ChannelBroken("lost", received=7, partial=b"\0partial"),
    errors.ChannelNotFound("nowhere", received=0),
    errors.ChannelTaken("gone"),
    errors.ChannelEnded("read"),
    errors.ChannelOverflow("more"),
    errors.ChannelClosed("closed"),
    errors.ChannelBusy("busy"),
    InvocationError("code", "message", **CALL),
    errors.InvocationTimeout("TIMEOUT", "late", **CALL),
    errors.ConnectionLost("CONNECTION_LOST", "gone", **CALL),
    errors.EngineUnavailable("OFFLINE", "nobody", **CALL),
    errors.ClientClosed("SHUTDOWN", "closed", **CALL),
    errors.InvalidResult("invalid_result", "odd", **CALL),
]


def _name(error: object) -> str:
    return type(error).__name__


def test_every_public_error_has_an_example() -> None:
    """What is tested below is tested of all of them, and all are listed at the top of the module."""
    classes = {_name(error) for error in EXAMPLES}
    assert classes == set(errors.__all__) - {"Fate"}
    assert all(name in (errors.__doc__ or "") for name in classes)


@pytest.mark.parametrize("error", EXAMPLES, ids=_name)
@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_travels_whole(error: IIIError, carry: Any) -> None:
    """Between processes and tasks, with everything that is known about it."""
    error.add_note("seen in a test")
    carried = carry(error)
    assert type(carried) is type(error)
    assert (str(carried), carried.args, vars(carried)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("error", EXAMPLES, ids=_name)
def test_every_error_has_one_root(error: IIIError) -> None:
    """So that one except clause catches what this package raises."""
    assert isinstance(error, IIIError)
    assert isinstance(error, Exception)


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        pytest.param(errors.ConfigurationError, ValueError, id="an option is a value"),
        pytest.param(errors.PayloadError, ValueError, id="a payload is a value"),
        pytest.param(errors.WouldBlock, trio.WouldBlock, id="a full outbox is what trio calls it"),
        pytest.param(errors.ChannelBroken, trio.BrokenResourceError, id="a lost stream is what trio calls it"),
        pytest.param(errors.ChannelNotFound, errors.ChannelBroken, id="nothing comes of a wrong ref"),
        pytest.param(errors.ChannelTaken, errors.ChannelBroken, id="nothing comes of a spent ref"),
        pytest.param(errors.ChannelEnded, trio.EndOfChannel, id="an end is what trio calls it"),
        pytest.param(errors.ChannelClosed, trio.ClosedResourceError, id="a closed end is what trio calls it"),
        pytest.param(errors.ChannelBusy, trio.BusyResourceError, id="a second task is what trio calls it"),
        *[
            pytest.param(kind, InvocationError, id=f"{kind.__name__} is how a call ended")
            for kind in (
                errors.InvocationTimeout,
                errors.ConnectionLost,
                errors.EngineUnavailable,
                errors.ClientClosed,
                errors.InvalidResult,
            )
        ],
    ],
)
def test_an_error_is_also_what_others_know_it_as(kind: type[IIIError], also: type[Exception]) -> None:
    """Code that knows nothing of this package can catch it."""
    assert issubclass(kind, also)


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        *[
            pytest.param(code, Fate.NOT_RUN, id=f"{code}: refused")
            for code in (
                "function_not_found",
                "FORBIDDEN",
                "INVALID_NAMESPACE",
                "overloaded",
                "invalid_input",
                "deserialization_error",
                "function_not_invokable",
                "url_validation_failed",
            )
        ],
        *[
            pytest.param(code, Fate.MAY_HAVE_RUN, id=f"{code}: nobody knows")
            for code in (
                "TIMEOUT",
                "CONNECTION_LOST",
                "invocation_stopped",
                "channel_send_failed",
                "invocation_error",
                "enqueue_error",
                "http_request_failed",
            )
        ],
        *[pytest.param(code, Fate.NEVER_SENT, id=f"{code}: still here") for code in ("OFFLINE", "SHUTDOWN")],
        pytest.param("invalid_result", Fate.RAN, id="invalid_result: it answered"),
    ],
)
def test_a_known_code_has_this_fate_and_is_reserved(code: str, fate: Fate) -> None:
    """A handler cannot answer with it, since it would lie about its own call."""
    assert fate_of(code) is fate
    assert is_reserved(code)
    assert InvocationError(code, "m").fate is fate


@pytest.mark.parametrize("code", ["invocation_failed", "out_of_stock", "timeout", ""])
def test_any_other_code_means_that_the_handler_ran(code: str) -> None:
    """It is the handler's own word."""
    assert fate_of(code) is Fate.RAN
    assert not is_reserved(code)


def test_a_fate_that_is_known_better_wins_over_the_code() -> None:
    """The outbox can prove that a call was never sent."""
    assert errors.InvocationTimeout("TIMEOUT", "m", fate=Fate.NEVER_SENT).fate is Fate.NEVER_SENT


def test_an_invocation_error_says_everything_but_the_stack_trace() -> None:
    """A stack trace of another process belongs into no log line."""
    error = InvocationError("code", "message", **CALL)
    assert str(error) == "code: message (f)"
    assert str(InvocationError("code", "message")) == "code: message"
    assert (error.code, error.message, error.function_id) == ("code", "message", "f")
    assert (error.invocation_id, error.stacktrace) == ("i", "line 1")


@pytest.mark.parametrize("name", ["code", "message", "function_id", "invocation_id", "stacktrace", "fate"])
def test_what_an_invocation_error_says_cannot_be_changed(name: str) -> None:
    """One error may be shared by all who wait."""
    with pytest.raises(AttributeError):
        setattr(InvocationError("code", "message"), name, "other")


def test_a_payload_error_names_the_place() -> None:
    """The value itself when nothing else is said."""
    assert str(errors.PayloadError("bad", path="$.a[3]")) == "$.a[3]: bad"
    assert errors.PayloadError("bad").path == "$"
