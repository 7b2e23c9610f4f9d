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
    payload_name: str | None = None
    """The parameter that takes the payload, where it cannot be passed as the first one: ``metadata`` stands before it."""

    def bind(self, payload: Any, metadata: Any) -> Callable[[], Any]:
        """The handler with its arguments."""
        keywords = {"metadata": metadata} if self.takes_metadata else {}
        if self.payload_name is not None:
            return functools.partial(self.function, **keywords, **{self.payload_name: payload})
        arguments = (payload,) if self.takes_payload else ()
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
    payload = _payload_parameter(name, parameters)
    return Signature(
        handler,
        is_async=inspect.iscoroutinefunction(plain),
        takes_payload=payload is not None,
        takes_metadata=any(map(_is_metadata, parameters)),
        payload_name=payload.name if payload is not None and payload in parameters[1:] else None,
    )


def _unwrap(handler: Any) -> Any:
    """The function at the bottom: under partials, and the ``__call__`` of an object."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not inspect.isroutine(handler) and not inspect.isclass(handler):
        handler = handler.__call__
    return handler


def _payload_parameter(name: str, parameters: list[inspect.Parameter]) -> inspect.Parameter | None:
    """What takes the payload: the first parameter that a positional argument can reach; None when there is none."""
    others = [p for p in parameters if not _is_metadata(p)]
    positional = [p for p in others if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in others if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if surplus := [p.name for p in needed if p not in positional[:1]]:
        raise ConfigurationError(f"{name} takes the payload and metadata, and nobody has its {', '.join(surplus)}")
    if not positional and parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return parameters[0]
    return positional[0] if positional else None


def _is_metadata(parameter: inspect.Parameter) -> bool:
    return parameter.name == "metadata" and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
