"""Listeners that ask who calls: the functions that decide about logins, calls and registrations.

A listener is configured with the ids of these functions; any worker on another listener registers them.
"""

from __future__ import annotations

from typing import Any

import attrs

from iii_trio._values.building import LEFT_OUT
from iii_trio._values.checks import flag, instance, optional, refuse, text, texts
from iii_trio._values.requests import Action


def _grants(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, dict):
        refuse(instance, attribute, f"must be a dict, not {type(value).__name__}")
    for namespace, grants in value.items():
        text(instance, attribute, namespace)
        texts(instance, attribute, grants)


@attrs.frozen(kw_only=True)
class AuthInput:
    """What an auth function gets about a connection that wants in. Source: the references' ``AuthInput``."""

    headers: dict[str, str]
    """Headers of the handshake, by their names in lower case."""

    query_params: dict[str, list[str]]
    """Parameters of the query."""

    ip_address: str
    """Where the connection comes from."""


@attrs.frozen(kw_only=True)
class AuthResult:
    """What an auth function answers: what the connection may do. One that raises refuses the login.

    A list that is null would refuse it as well, so none of them may be None (docs/engine.md, "Logins").

    Source: the references' ``AuthResult``.
    """

    namespaces: dict[str, list[str]] = attrs.field(factory=dict, validator=_grants)
    """What it may call in which namespace: ids, or ids that end in ``*``. If there are any, it may register nowhere else."""

    allowed_functions: list[str] = attrs.field(factory=list, validator=texts)
    """Ids in ``default`` that it may call, beside what the listener exposes."""

    forbidden_functions: list[str] = attrs.field(factory=list, validator=texts)
    """Ids that it may call nowhere, whatever else is said."""

    allowed_trigger_types: list[str] | None = attrs.field(default=None, validator=optional(texts))
    """Trigger types that it may bind to; None means all."""

    allow_trigger_type_registration: bool = attrs.field(default=False, validator=flag)
    """Whether it may provide trigger types."""

    allow_function_registration: bool = attrs.field(default=True, validator=flag)
    """Whether it may offer functions."""

    function_registration_prefix: str | None = attrs.field(default=None, validator=optional(text))
    """Put before the ids of its functions, with ``::`` between."""

    context: dict[str, Any] = attrs.field(factory=dict, validator=instance(dict))
    """Any JSON object; middleware and hooks get it."""


@attrs.frozen(kw_only=True)
class MiddlewareFunctionInput:
    """What a listener's middleware gets in place of each call. What it answers is the answer of the call.

    Source: the references' ``MiddlewareFunctionInput``, of which `function_id` is required; `namespace` is the engine's.
    """

    function_id: str
    """Function that was called; it need not exist."""

    payload: Any = attrs.field(factory=dict)
    """What the caller sent, any JSON value."""

    action: Action | None = None
    """The caller's routing. It is the middleware's to honour."""

    context: Any = attrs.field(factory=dict)
    """`AuthResult.context` of the connection."""

    namespace: str = "default"
    """Where the function was called."""


@attrs.frozen(kw_only=True)
class OnFunctionRegistrationInput:
    """What the hook gets when a worker offers a function. Source: the references' ``OnFunctionRegistrationInput``."""

    function_id: str
    """Id as the worker gave it, without the prefix."""

    description: str | None = None
    """Its description."""

    metadata: dict[str, Any] | None = None
    """Its metadata."""

    namespace: str = "default"
    """The worker's namespace."""

    context: Any
    """`AuthResult.context` of the connection."""


@attrs.frozen(kw_only=True)
class OnFunctionRegistrationResult:
    """What the hook answers: this admits the function, with what is not None in place of the worker's own.

    A hook that raises, or answers anything but an object, denies it, and the worker is not told.

    Source: the references' ``OnFunctionRegistrationResult``.
    """

    function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Id under which it is registered."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Its description."""

    # To the engine null is metadata too, and would replace the worker's.
    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)), metadata=LEFT_OUT)
    """Its metadata."""


@attrs.frozen(kw_only=True)
class OnTriggerRegistrationInput:
    """What the hook gets when a worker binds a function to a trigger type.

    Source: the references' ``OnTriggerRegistrationInput``.
    """

    trigger_id: str
    """Id of the binding."""

    trigger_type: str
    """Trigger type."""

    function_id: str
    """Function that is to run."""

    config: Any = None
    """Config of the binding."""

    metadata: dict[str, Any] | None = None
    """Metadata of the binding."""

    namespace: str = "default"
    """Where the function is looked up."""

    context: Any
    """`AuthResult.context` of the connection."""


@attrs.frozen(kw_only=True)
class OnTriggerRegistrationResult:
    """What the hook answers: this admits the binding, with what is not None in place of the worker's own.

    Source: the references' ``OnTriggerRegistrationResult``.
    """

    trigger_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Id of the binding."""

    trigger_type: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Trigger type."""

    function_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Function that is to run."""

    # To the engine null is a config too, and would replace the worker's.
    config: Any = attrs.field(default=None, metadata=LEFT_OUT)
    """Config of the binding."""


@attrs.frozen(kw_only=True)
class OnTriggerTypeRegistrationInput:
    """What the hook gets when a worker wants to provide a trigger type.

    Source: the references' ``OnTriggerTypeRegistrationInput``.
    """

    trigger_type_id: str
    """Id of the type."""

    description: str
    """Its description."""

    context: Any
    """`AuthResult.context` of the connection."""


@attrs.frozen(kw_only=True)
class OnTriggerTypeRegistrationResult:
    """What the hook answers: this admits the type, with what is not None in place of the worker's own.

    Source: the references' ``OnTriggerTypeRegistrationResult``.
    """

    trigger_type_id: str | None = attrs.field(default=None, validator=optional(text), metadata=LEFT_OUT)
    """Id of the type."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """Its description."""
