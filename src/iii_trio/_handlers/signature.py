"""What a handler takes, found out once, when it is registered."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Never, NoReturn

import attrs

from iii_trio._types.hints import resolve, scope_of
from iii_trio._types.shape import Schema, UnknownType
from iii_trio._types.table import Typed, typed
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

    payload_type: Typed | None = None
    """What the payload has to be; None where the annotation says nothing, and it is passed on untouched."""

    _is_plain: bool = attrs.field(
        default=attrs.Factory(lambda self: self._takes_it_as_it_is(), takes_self=True), init=False
    )
    """Whether it takes the payload as it came, and nothing else."""

    def _takes_it_as_it_is(self) -> bool:
        named = self.takes_metadata or self.payload_name is not None
        return self.takes_payload and not named and self.payload_type is None

    def bind(self, payload: Any, metadata: Any) -> Callable[[], Any]:
        """The handler with its arguments.

        Raises:
            Misfit: The payload is not what the handler takes.
        """
        if self._is_plain:
            return functools.partial(self.function, payload)
        if self.payload_type is not None:
            payload = self.payload_type.structure(payload)
        keywords = {"metadata": metadata} if self.takes_metadata else {}
        if self.payload_name is not None:
            return functools.partial(self.function, **keywords, **{self.payload_name: payload})
        arguments = (payload,) if self.takes_payload else ()
        return functools.partial(self.function, *arguments, **keywords)


def inspect_handler(function_id: str, handler: Any) -> Signature:
    """Find out how to call a handler.

    It takes the payload, or nothing, and ``metadata`` if a parameter bears that name.

    Raises:
        ConfigurationError: It is not callable, is an async generator, needs arguments that nobody has, or takes a payload
            of a type that the table does not have.
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
        payload_type=None if payload is None else _payload_type(name, handler, payload),
    )


def response_schema(function_id: str, handler: Any) -> Schema | None:
    """JSON Schema of what a handler returns, from its annotation; None where that says nothing.

    Raises:
        ConfigurationError: The annotation is a type that the table does not have.
    """
    if inspect.isclass(plain := _unwrap(handler)):
        returned: Any = plain
    else:
        try:
            returned = inspect.signature(handler).return_annotation
        except (ValueError, TypeError):
            return None
    if returned is inspect.Signature.empty:
        return None
    words = f"the handler of {function_id!r} returns {_shown(returned)}"
    meant = _meaning(words, returned, handler)
    return None if meant in (Never, NoReturn) else _look_up(words, meant).schema


def _payload_type(name: str, handler: Any, payload: inspect.Parameter) -> Typed | None:
    if payload.annotation is payload.empty:
        return None
    words = f"{name} takes {payload.name}: {_shown(payload.annotation)}"
    found = _look_up(words, _meaning(words, payload.annotation, handler))
    return None if found.is_any else found


def _meaning(words: str, annotation: Any, handler: Any) -> Any:
    while isinstance(handler, functools.partial):
        handler = handler.func
    try:
        return resolve(annotation, scope_of(_unwrap(inspect.unwrap(handler))))
    except UnknownType as error:
        raise ConfigurationError(f"{words}, and {error}") from None


def _look_up(words: str, meant: Any) -> Typed:
    try:
        return typed(meant)
    except UnknownType as error:
        raise ConfigurationError(f"{words}, and {error}") from None


def _shown(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


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
