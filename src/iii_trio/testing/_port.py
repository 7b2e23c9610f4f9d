"""A port that can refuse connections for a while."""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable

import trio

_BACKLOG = 128


class Port:
    """Accepts connections, and stays ours while it does not.

    A port that nobody holds could be given to somebody else, even to the client that asks for it: a TCP connection from a
    free port to the same one succeeds. So the address is taken again at once when the listeners are closed, by sockets
    that do not listen, and on which connections are refused.
    """

    def __init__(
        self, listeners: list[trio.SocketListener], handler: Callable[[trio.SocketStream], Awaitable[object]]
    ) -> None:
        self._listeners = listeners
        self._handler = handler
        self._addresses = [(each.socket.family, each.socket.getsockname()) for each in listeners]
        self._held: list[socket.socket] = []
        self._accepting = trio.CancelScope()
        self._opened = trio.Event()
        self.number: int = self._addresses[0][1][1]

    async def run(self) -> None:
        """Accept until cancelled; then nothing of the port is left."""
        try:
            async with trio.open_nursery() as connections:
                while True:
                    with self._accepting:
                        await trio.serve_listeners(self._handler, self._listeners, handler_nursery=connections)
                    await self._opened.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Give the port up."""
        for each in self._held:
            each.close()
        for listener in self._listeners:
            listener.socket.close()
        self._held, self._listeners, self._addresses = [], [], []

    def shut(self) -> None:
        """Refuse connections, beginning with those that wait to be accepted; nothing happens the second time."""
        if self._held:
            return
        self._opened = trio.Event()
        self._accepting.cancel()
        for listener in self._listeners:
            listener.socket.close()
        self._held = [_bind(family, address) for family, address in self._addresses]

    def open(self) -> None:
        """Accept connections again; nothing happens if it does."""
        if not self._held:
            return
        for each in self._held:
            each.listen(_BACKLOG)
        self._listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in self._held]
        self._held = []
        self._accepting = trio.CancelScope()
        self._opened.set()


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    holder = socket.socket(family, socket.SOCK_STREAM)
    if sys.platform != "win32":  # where the option means that anybody may take the address
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    holder.bind(address)
    return holder
