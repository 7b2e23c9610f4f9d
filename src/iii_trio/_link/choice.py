"""Which WebSocket implementation a client gets.

Each is imported when it is chosen, since a client uses one, and `websockets` may not be installed.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias, get_args

from iii_trio._link.transport import Transport
from iii_trio.errors import ConfigurationError

TransportName: TypeAlias = Literal["auto", "trio-websocket", "websockets"]

_OLDEST: Final = (17, 4)
"""The first release of `websockets` that this is tested with. An environment may hold an older one for something else."""


def find_transport(name: str) -> type[Transport]:
    """The implementation of this name.

    Raises:
        ConfigurationError: There is none, or it is `websockets`, and that is not installed or too old.
    """
    if name == "auto":
        return best_transport()
    if name == "trio-websocket":
        return _trio_websocket()
    if name == "websockets":
        try:
            return _websockets()
        except ImportError as error:
            missing = f"the transport 'websockets' needs an extra: pip install iii-trio[fast] ({error})"
            raise ConfigurationError(missing) from error
    *names, last = get_args(TransportName)
    raise ConfigurationError(f"there is no transport {name!r}; there are {', '.join(names)} and {last}")


def best_transport() -> type[Transport]:
    """The fastest one that is installed."""
    try:
        return _websockets()
    except ImportError:
        return _trio_websocket()


def _trio_websocket() -> type[Transport]:
    from iii_trio._link.trio_websocket import TrioWebSocketTransport

    return TrioWebSocketTransport


def _websockets() -> type[Transport]:
    from websockets.version import version

    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _OLDEST:
        raise ImportError(f"websockets {version} is too old")
    from iii_trio._link.websockets import WebsocketsTransport

    return WebsocketsTransport
