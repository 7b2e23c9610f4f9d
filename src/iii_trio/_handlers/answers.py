"""What a caller is told of a handler that gave no result."""

from __future__ import annotations

import traceback
from typing import Final

from iii_trio._wire.messages import ErrorBody, InvocationResult, InvokeFunction
from iii_trio.errors import InvocationError, is_reserved

FAILED: Final = "invocation_failed"
"""The code of a handler that raised, or whose result cannot be sent."""

OVERLOADED: Final = ErrorBody("overloaded", "this worker has more to do than it may accept")
LATE: Final = ErrorBody("TIMEOUT", "the handler was cancelled, since its caller does not wait any more")


def of_exception(error: BaseException, *, with_stack: bool) -> ErrorBody:
    """What a handler's exception becomes: its own code and message only if the handler has made them for its caller.

    An error of a call that the handler made keeps its code in the message alone: as the code it would say of this call what
    was true of the other one (docs/fates.md).
    """
    stack = sendable("".join(traceback.format_exception(error))) if with_stack else None
    if not isinstance(error, InvocationError):
        return ErrorBody(FAILED, f"{type(error).__name__}: {sendable(error)}", stack)
    if error.invocation_id is None and _is_free(error.code):
        return ErrorBody(error.code, sendable(error.message), stack)
    return ErrorBody(FAILED, sendable(error), stack)


def _is_free(code: str) -> bool:
    """Whether a handler may answer with this code: text that can be sent, and that nobody else gives a meaning to."""
    return sendable(code) == code and not is_reserved(code)


def sendable(said: object) -> str:
    """Text that can be sent, from anything: an error of a handler's may hold lone surrogates, or not even have text."""
    try:
        return str(said).encode(errors="replace").decode()
    except Exception:
        return "(it has no text)"


def failure(frame: InvokeFunction, error: ErrorBody) -> InvocationResult:
    """The answer that tells of an error."""
    return InvocationResult(frame.invocation_id or "", frame.function_id, error=error)
