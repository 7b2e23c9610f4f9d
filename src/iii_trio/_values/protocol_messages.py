"""The protocol's registrations as values, by the names that the references give them.

A worker needs none of them: it registers with the inputs. They are for who looks at the protocol itself.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

from iii_trio._values.checks import instance, one_of, optional, text
from iii_trio._values.functions import Format, check_format
from iii_trio._values.http import HttpInvocationConfig, as_invocation


class MessageType(enum.StrEnum):
    """The ``type`` of a message, as far as the references list them (docs/wire.md, "Frames").

    Source: the references' ``MessageType``.
    """

    REGISTER_FUNCTION = "registerfunction"
    UNREGISTER_FUNCTION = "unregisterfunction"
    REGISTER_SERVICE = "registerservice"
    INVOKE_FUNCTION = "invokefunction"
    INVOCATION_RESULT = "invocationresult"
    REGISTER_TRIGGER_TYPE = "registertriggertype"
    UNREGISTER_TRIGGER_TYPE = "unregistertriggertype"
    REGISTER_TRIGGER = "registertrigger"
    UNREGISTER_TRIGGER = "unregistertrigger"
    TRIGGER_REGISTRATION_RESULT = "triggerregistrationresult"
    WORKER_REGISTERED = "workerregistered"


@attrs.frozen(kw_only=True)
class RegisterFunctionMessage:
    """Offers a function. Source: the references' ``RegisterFunctionMessage``."""

    id: str = attrs.field(validator=text)
    """Id of the function."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """One line for people and models."""

    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """Any JSON object."""

    request_format: Format | None = attrs.field(default=None, validator=check_format)
    """JSON Schema of the payload, or a tree."""

    response_format: Format | None = attrs.field(default=None, validator=check_format)
    """JSON Schema of the result, or a tree."""

    invocation: HttpInvocationConfig | None = attrs.field(default=None, converter=as_invocation)
    """Where the engine finds the function over HTTP."""

    message_type: MessageType = attrs.field(
        default=MessageType.REGISTER_FUNCTION, validator=one_of(MessageType.REGISTER_FUNCTION)
    )
    """Always `MessageType.REGISTER_FUNCTION`."""


@attrs.frozen(kw_only=True)
class RegisterTriggerMessage:
    """Binds a function to a trigger type. Source: the references' ``RegisterTriggerMessage``."""

    id: str = attrs.field(validator=text)
    """Id of the binding, made by who registers it; a fresh one each time (docs/engine.md, "Triggers")."""

    trigger_type: str = attrs.field(validator=text)
    """Trigger type."""

    function_id: str = attrs.field(validator=text)
    """Function that runs."""

    config: Any
    """What the trigger type wants to know; written even when it is None."""

    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """Any JSON object."""

    message_type: MessageType = attrs.field(
        default=MessageType.REGISTER_TRIGGER, validator=one_of(MessageType.REGISTER_TRIGGER)
    )
    """Always `MessageType.REGISTER_TRIGGER`."""


@attrs.frozen(kw_only=True)
class RegisterTriggerTypeMessage:
    """Makes the sender the provider of a trigger type. Source: the references' ``RegisterTriggerTypeMessage``."""

    id: str = attrs.field(validator=text)
    """Id of the type."""

    description: str = attrs.field(validator=instance(str))
    """One line for people and models."""

    trigger_request_format: Any = None
    """JSON Schema of a binding's config."""

    call_request_format: Any = None
    """JSON Schema of the payload that functions get."""

    message_type: MessageType = attrs.field(
        default=MessageType.REGISTER_TRIGGER_TYPE, validator=one_of(MessageType.REGISTER_TRIGGER_TYPE)
    )
    """Always `MessageType.REGISTER_TRIGGER_TYPE`."""
