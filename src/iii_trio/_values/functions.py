"""What the registration of a function is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import attrs

from iii_trio._values.building import LEFT_OUT, build
from iii_trio._values.checks import flag, instance, one_of, optional, text
from iii_trio._values.http import HttpInvocationConfig, as_invocation
from iii_trio.errors import ConfigurationError

RemoteFunctionHandler: TypeAlias = Callable[..., Any | Awaitable[Any]]
"""What runs a function: it takes the payload, or nothing, and the metadata if it has a parameter of that name."""


def _as_format(value: RegisterFunctionFormat | Mapping[str, Any] | None) -> RegisterFunctionFormat | None:
    return None if value is None else build(RegisterFunctionFormat, value)


def _as_formats(value: list[RegisterFunctionFormat | Mapping[str, Any]] | None) -> list[RegisterFunctionFormat] | None:
    if value is not None and not isinstance(value, list):
        raise ConfigurationError(f"RegisterFunctionFormat.body must be a list, not {type(value).__name__}")
    return None if value is None else [build(RegisterFunctionFormat, item) for item in value]


@attrs.frozen(kw_only=True)
class RegisterFunctionFormat:
    """One node of a tree that describes a payload or a result, for who prefers it to JSON Schema.

    Source: the references' ``RegisterFunctionFormat``. The engine shows it in its listings and enforces nothing.
    """

    name: str = attrs.field(validator=text)
    """Name of the parameter."""

    type: str = attrs.field(validator=one_of("string", "number", "boolean", "object", "array", "null", "map"))
    """``string``, ``number``, ``boolean``, ``object``, ``array``, ``null`` or ``map``."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)), metadata=LEFT_OUT)
    """One line for people and models."""

    body: list[RegisterFunctionFormat] | None = attrs.field(default=None, converter=_as_formats, metadata=LEFT_OUT)
    """The fields of an ``object``."""

    items: RegisterFunctionFormat | None = attrs.field(default=None, converter=_as_format, metadata=LEFT_OUT)
    """What the items of an ``array`` are."""

    required: bool = attrs.field(default=False, validator=flag)
    """Whether it has to be there."""


Format: TypeAlias = RegisterFunctionFormat | dict[str, Any]
"""A tree, or a JSON Schema."""

check_format = optional(instance(RegisterFunctionFormat, dict))
"""Validates a field that holds a `Format`."""


@attrs.frozen(kw_only=True)
class RegisterFunctionInput:
    """A function as it is offered to the engine.

    Source: the references' ``RegisterFunctionInput``, of which the id is required.
    """

    id: str = attrs.field(validator=text)
    """Id under which other workers call it; unique in the worker's namespace."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """One line for people and models."""

    metadata: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """Any JSON object; the engine shows it in its listings."""

    request_format: Format | None = attrs.field(default=None, validator=check_format)
    """JSON Schema of the payload, or a tree; the engine shows it and does not enforce it."""

    response_format: Format | None = attrs.field(default=None, validator=check_format)
    """JSON Schema of the result, or a tree; the engine shows it and does not enforce it."""

    invocation: HttpInvocationConfig | None = attrs.field(default=None, converter=as_invocation)
    """Where the engine finds the function over HTTP; None for one that a handler runs."""
