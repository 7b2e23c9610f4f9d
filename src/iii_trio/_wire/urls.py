"""The address of an engine: what may be in it, and how it is shown without its secrets."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import attrs

from iii_trio._values.refs import StreamChannelRef
from iii_trio.errors import ConfigurationError

DEFAULT_URL: Final = "ws://127.0.0.1:49134"
"""Where an engine on this machine listens. The address is spelled out, because ``localhost`` may mean ``::1``."""

_DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}


@attrs.frozen
class EngineUrl:
    """A checked ``ws://`` or ``wss://`` URL, taken apart."""

    tls: bool
    host: str
    port: int
    path: str
    query: str = attrs.field(repr=False)

    @property
    def resource(self) -> str:
        """What goes into the request line: path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def authority(self) -> str:
        """What goes into the ``Host`` header: host and port, the port left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        """``ws`` or ``wss``."""
        return "wss" if self.tls else "ws"

    def __str__(self) -> str:
        """The URL for people. A query may hold a token, so it is not shown."""
        return f"{self.scheme}://{self.authority}{self.path}" + ("?…" if self.query else "")


def parse_url(url: str) -> EngineUrl:
    """Check an engine's URL and take it apart.

    Raises:
        ConfigurationError: It is no ``ws://`` or ``wss://`` URL with a host, or holds what a WebSocket URL cannot.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the engine's URL must be text, not {type(url).__name__}")
    # First of all, since the words of urlsplit for what is wrong here would show a password.
    if any(not 0x20 < ord(character) < 0x7F for character in url):
        raise ConfigurationError("the engine's URL must be printable ASCII without spaces; percent-encode the rest")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"the engine's URL cannot be read: {error}") from None
    if fault := _fault(parts):
        raise ConfigurationError(f"the engine's URL {fault}")
    return EngineUrl(
        tls=parts.scheme == "wss",
        host=parts.hostname or "",
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=parts.path or "/",
        query=parts.query,
    )


def channel_url(engine: EngineUrl, ref: StreamChannelRef) -> EngineUrl:
    """Where one end of a channel is taken. A ref is somebody else's word, so nothing in it can lead elsewhere."""
    query = f"key={quote(ref.access_key, safe='')}&dir={ref.direction}"
    return attrs.evolve(
        engine,
        path=f"{engine.path.rstrip('/')}/ws/channels/{quote(ref.channel_id, safe='')}",
        query=f"{query}&{engine.query}" if engine.query else query,
    )


def _fault(parts: SplitResult) -> str | None:
    if parts.scheme not in _DEFAULT_PORTS:
        return f"must begin with ws:// or wss://, not {parts.scheme + ':' if parts.scheme else 'without a scheme'}"
    if parts.port == 0:
        return "has the port 0, on which nobody can listen"
    if not parts.hostname:
        return "names no host"
    if parts.username is not None:
        return "must not hold a user name or password; use the option token, or headers"
    if parts.fragment:
        return "must not have a fragment (#…)"
    return None
