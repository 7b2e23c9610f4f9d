"""`III.create_stream`: a stream that this worker keeps in place of the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

import attrs

from iii_trio._client.handles import FunctionRef
from iii_trio._client.operations import check_name
from iii_trio._values.stream import (
    IStream,
    StreamDeleteInput,
    StreamGetInput,
    StreamListGroupsInput,
    StreamListInput,
    StreamSetInput,
)
from iii_trio.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

# The engine would call an `update` as well. The references do not register it, so that operations stay the engine's.
OPERATIONS: Final[Mapping[str, type[Any]]] = {
    "get": StreamGetInput,
    "set": StreamSetInput,
    "delete": StreamDeleteInput,
    "list": StreamListInput,
    "list_groups": StreamListGroupsInput,
}


class Client(Protocol):
    """What a custom stream needs of the client that makes it; `III` is one."""

    @property
    def namespace(self) -> str: ...

    def register_function(self, function_id: str, handler_or_invocation: F, /, *, force: bool) -> FunctionRef[F]: ...


@attrs.frozen(eq=False, repr=False)
class StreamRef:
    """A stream that this worker keeps."""

    name: str
    """Name of the stream."""

    _functions: tuple[FunctionRef[Any], ...]

    def __repr__(self) -> str:
        return f"<StreamRef {self.name!r}>"

    def unregister(self) -> None:
        """Leave the stream to the engine, which has none of its items; a second time does nothing. Never blocks.

        Operations that the engine passed on before it knew end ``function_not_found``.
        """
        for function in self._functions:
            function.unregister()

    async def wait_registered(self) -> None:
        """Wait until the engine asks this worker for the stream's items.

        Raises:
            RegistrationRejectedError: Another worker keeps the stream.
            ConfigurationError: The stream was unregistered.
            ClientClosed: The client is closed.

        Cancelling it is safe: the registration stays as it is.
        """
        for function in self._functions:
            await function.wait_registered()


def create_stream(client: Client, stream_name: str, stream: IStream[Any]) -> StreamRef:
    """See `III.create_stream`."""
    check_name("stream_name", stream_name)
    if not isinstance(stream, IStream):
        raise ConfigurationError(f"stream must be an IStream, not {type(stream).__name__}")
    if client.namespace != "default":
        raise ConfigurationError(
            f"stream_name {stream_name!r}: the engine looks for the functions of a stream in 'default' alone, and this "
            f"worker's are in {client.namespace!r}"
        )
    functions: list[FunctionRef[Any]] = []
    try:
        for name, cls in OPERATIONS.items():
            handler = _handler(getattr(stream, name), cls)
            functions.append(client.register_function(f"stream::{name}({stream_name})", handler, force=True))
    except BaseException:
        for function in functions:
            function.unregister()
        raise
    return StreamRef(stream_name, tuple(functions))


def _handler(operation: Callable[[Any], Awaitable[Any]], cls: type[Any]) -> Callable[[Any], Awaitable[Any]]:
    async def handle(input: Any) -> Any:
        return await operation(input)

    handle.__annotations__["input"] = cls  # what a handler is annotated with is what it gets
    return handle
