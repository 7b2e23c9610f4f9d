"""Services: names for groups of functions."""

from __future__ import annotations

import attrs

from iii_trio._values.checks import instance, optional, text


@attrs.frozen(kw_only=True)
class RegisterServiceInput:
    """A group of functions, for people: it changes nothing about how calls are routed.

    Source: the older reference's ``RegisterServiceInput``.
    """

    id: str = attrs.field(validator=text)
    """Id of the service, such as ``"payments::refunds"``."""

    name: str | None = attrs.field(default=None, validator=optional(text))
    """Name that is shown; None takes the id."""

    description: str | None = attrs.field(default=None, validator=optional(instance(str)))
    """One line for people. The engine drops it."""

    parent_service_id: str | None = attrs.field(default=None, validator=optional(text))
    """Id of the service that this one is a part of."""
