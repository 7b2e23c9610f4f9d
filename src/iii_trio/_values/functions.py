"""What the registration of a function is made of."""

from __future__ import annotations

from typing import Any

import attrs

from iii_trio._values.checks import instance, optional, text


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

    request_format: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """JSON Schema of the payload; the engine shows it and does not enforce it."""

    response_format: dict[str, Any] | None = attrs.field(default=None, validator=optional(instance(dict)))
    """JSON Schema of the result; the engine shows it and does not enforce it."""
