"""What a worker registers as values, made into the frames that say so.

Null and absent are the same to the engine in most fields. Where they are not, the frame is made so that it is decoded: a
frame that is not gets no answer (docs/wire.md, "Frames").
"""

from __future__ import annotations

import attrs

from iii_trio._values.functions import RegisterFunctionInput
from iii_trio._values.http import HttpInvocationConfig
from iii_trio._values.services import RegisterServiceInput
from iii_trio._values.trigger_types import RegisterTriggerTypeInput
from iii_trio._values.triggers import RegisterTriggerInput
from iii_trio._wire.messages import (
    HttpInvocation,
    RegisterFunction,
    RegisterService,
    RegisterTrigger,
    RegisterTriggerType,
)


def function_frame(value: RegisterFunctionInput) -> RegisterFunction:
    """The frame that offers a function."""
    return RegisterFunction(
        id=value.id,
        description=value.description,
        request_format=value.request_format,
        response_format=value.response_format,
        metadata=value.metadata,
        invocation=None if value.invocation is None else _invocation(value.invocation),
    )


def _invocation(config: HttpInvocationConfig) -> HttpInvocation:
    return HttpInvocation(
        url=config.url,
        method=config.method,
        timeout_ms=config.timeout_ms,
        headers=config.headers or {},  # null headers would make the frame undecodable
        auth=None if config.auth is None else attrs.asdict(config.auth),  # its type is a default, and must be written
    )


def trigger_frame(value: RegisterTriggerInput, id: str, *, namespace: str | None) -> RegisterTrigger:
    """The frame that makes a binding with the id `id`, whose function is looked up in `namespace`."""
    return RegisterTrigger(
        id=id,
        trigger_type=value.engine_type,
        function_id=value.function_id,
        config={} if value.config is None else value.config,  # most types refuse null
        metadata=value.metadata,
        namespace=namespace,
        trigger_namespace=value.trigger_namespace,
    )


def trigger_type_frame(value: RegisterTriggerTypeInput) -> RegisterTriggerType:
    """The frame that makes the sender the provider of a trigger type."""
    return RegisterTriggerType(
        id=value.id,
        description=value.description,
        trigger_request_format=value.trigger_request_format,
        call_request_format=value.call_request_format,
    )


def service_frame(value: RegisterServiceInput) -> RegisterService:
    """The frame that names a group of functions."""
    return RegisterService(
        id=value.id,
        name=value.name or value.id,  # it may be absent, but not null
        description=value.description,
        parent_service_id=value.parent_service_id,
    )
