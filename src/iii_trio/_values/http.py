"""HTTP: functions that the engine reaches over HTTP, and the plain values of requests that trigger a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from iii_trio._values.building import build, build_kind
from iii_trio._values.checks import one_of, optional, refuse, text, text_map, whole

HttpMethod: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
"""How the engine asks for a function over HTTP; upper case, as the engine insists."""


@attrs.frozen(kw_only=True)
class HttpAuthHmac:
    """Signs each request: header ``x-iii-Signature``, an HMAC-SHA256 over time stamp and body.

    Source: the references' ``HttpAuthHmac``.
    """

    secret_key: str = attrs.field(validator=text)
    """Name of the engine's environment variable that holds the secret; not the secret."""

    type: Literal["hmac"] = attrs.field(  # pyright: ignore[reportAssignmentType]  # it widens the default to str
        default="hmac", validator=one_of("hmac")
    )
    """Always ``"hmac"``."""


@attrs.frozen(kw_only=True)
class HttpAuthBearer:
    """Sends ``Authorization: Bearer …``. Source: the references' ``HttpAuthBearer``."""

    token_key: str = attrs.field(validator=text)
    """Name of the engine's environment variable that holds the token; not the token."""

    type: Literal["bearer"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="bearer", validator=one_of("bearer")
    )
    """Always ``"bearer"``."""


@attrs.frozen(kw_only=True)
class HttpAuthApiKey:
    """Sends a key in a header of your choice. Source: the references' ``HttpAuthApiKey``."""

    header: str = attrs.field(validator=text)
    """Name of the header."""

    value_key: str = attrs.field(validator=text)
    """Name of the engine's environment variable that holds the key; not the key."""

    type: Literal["api_key"] = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="api_key", validator=one_of("api_key")
    )
    """Always ``"api_key"``."""


HttpAuthConfig: TypeAlias = HttpAuthHmac | HttpAuthBearer | HttpAuthApiKey
"""How the engine authenticates at a function that it reaches over HTTP."""

_AUTHS: Final[Mapping[str, type[HttpAuthConfig]]] = {
    "hmac": HttpAuthHmac,
    "bearer": HttpAuthBearer,
    "api_key": HttpAuthApiKey,
}


def _as_auth(value: HttpAuthConfig | Mapping[str, Any] | None) -> HttpAuthConfig | None:
    return None if value is None else build_kind(_AUTHS, value, "HttpInvocationConfig.auth")


def _url(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """The engine takes any text, and then offers no function and tells nobody."""
    text(instance, attribute, value)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        refuse(instance, attribute, "must be an address that begins with https:// or http://")


@attrs.frozen(kw_only=True)
class HttpInvocationConfig:
    """Where the engine finds a function that no worker runs: each call becomes one HTTP request with the payload as JSON.

    Source: the references' ``HttpInvocationConfig``. The engine says nothing when it does not like it (docs/engine.md,
    "HTTP functions").
    """

    url: str = attrs.field(validator=_url)
    """Address; as the engine is usually configured, https and not private."""

    method: HttpMethod = attrs.field(  # pyright: ignore[reportAssignmentType]
        default="POST", validator=one_of("GET", "POST", "PUT", "PATCH", "DELETE")
    )
    """Method of every request; the payload is its body, whatever the method."""

    timeout_ms: int | None = attrs.field(default=None, validator=optional(whole(1)))
    """Milliseconds that the engine waits for the answer; None leaves the choice to it."""

    headers: dict[str, str] | None = attrs.field(default=None, validator=optional(text_map))
    """Headers that are added to each request."""

    auth: HttpAuthConfig | None = attrs.field(default=None, converter=_as_auth)
    """How the engine authenticates; None does not."""


def as_invocation(value: HttpInvocationConfig | Mapping[str, Any] | None) -> HttpInvocationConfig | None:
    """The config from itself or a dict, as a field of another value takes it."""
    return None if value is None else build(HttpInvocationConfig, value)


MAX_STATUS: Final = 599
"""The largest HTTP status there is. The engine would send those up to 999 too, and no client knows them."""


@attrs.frozen(kw_only=True)
class HttpRequest:
    """An HTTP request as the handler of an ``http`` trigger gets it, without its channels.

    Source: the references' ``HttpRequest``. The engine sends text only where they allow lists: of a parameter or a header
    that comes twice, the last one (docs/engine.md, "HTTP").
    """

    path_params: dict[str, str] = attrs.field(factory=dict)
    """What the ``:name`` segments of the path matched, as it was sent: not percent-decoded."""

    query_params: dict[str, str | list[str]] = attrs.field(factory=dict)
    """The decoded parameters of the query."""

    body: Any = None
    """The decoded JSON body; None for any other content type, and for JSON that cannot be decoded."""

    headers: dict[str, str | list[str]] = attrs.field(factory=dict)
    """Headers by their names in lower case."""

    method: str = "GET"
    """Method of the request, upper case."""


@attrs.frozen(kw_only=True)
class HttpResponse:
    """What the handler of an ``http`` trigger answers.

    Source: the references' ``HttpResponse``. The engine knows the fields by these names and no others.
    """

    status_code: int = attrs.field(validator=whole(100, MAX_STATUS))
    """HTTP status, from 100 to 599. The engine would make 200 of anything that is none."""

    body: Any = None
    """Any JSON value, None too, sent as JSON. With a content type of yours, text is sent as it is, and of None nothing."""

    headers: dict[str, str] = attrs.field(factory=dict, validator=text_map)
    """Headers; without a content type it is ``application/json``."""
