"""What a handler takes, found out once, when it is registered."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import attrs

from iii_trio.errors import ConfigurationError


@attrs.frozen
class Signature:
    """How to call a handler."""

    function: Callable[..., Any]
    is_async: bool
    takes_payload: bool
    takes_metadata: bool

    def bind(self, payload: Any, metadata: Any) -> Callable[[], Any]:
        """The handler with its arguments."""
        arguments = (payload,) if self.takes_payload else ()
        keywords = {"metadata": metadata} if self.takes_metadata else {}
        return functools.partial(self.function, *arguments, **keywords)


def inspect_handler(function_id: str, handler: Any) -> Signature:
    """Find out how to call a handler.

    It takes the payload, or nothing, and ``metadata`` if a parameter bears that name.

    Raises:
        ConfigurationError: It is not callable, is an async generator, or needs arguments that nobody has.
    """
    name = f"the handler of {function_id!r}"
    if not callable(handler):
        raise ConfigurationError(f"{name} must be callable, not {type(handler).__name__}")
    plain = _unwrap(handler)
    if inspect.isasyncgenfunction(plain) or inspect.isgeneratorfunction(plain):
        raise ConfigurationError(f"{name} must return one result; generators cannot serve a function")
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (ValueError, TypeError):
        # Some built-in callables do not tell. They are given the payload, which is what handlers usually take.
        return Signature(handler, is_async=False, takes_payload=True, takes_metadata=False)
    return Signature(
        handler,
        is_async=inspect.iscoroutinefunction(plain),
        takes_payload=_takes_payload(name, parameters),
        takes_metadata=any(p.name == "metadata" and p.kind is not p.POSITIONAL_ONLY for p in parameters),
    )


def _unwrap(handler: Any) -> Any:
    """The function at the bottom: under partials, and the ``__call__`` of an object."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not inspect.isroutine(handler) and not inspect.isclass(handler):
        handler = handler.__call__
    return handler


def _takes_payload(name: str, parameters: list[inspect.Parameter]) -> bool:
    others = [p for p in parameters if p.name != "metadata"]
    positional = [p for p in others if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in others if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if surplus := [p.name for p in needed if p not in positional[:1]]:
        raise ConfigurationError(f"{name} takes the payload and metadata, and nobody has its {', '.join(surplus)}")
    return bool(positional) or any(p.kind is p.VAR_POSITIONAL for p in others)
