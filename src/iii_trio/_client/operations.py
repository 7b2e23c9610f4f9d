"""What the operations on the engine's own functions share: how they call, and how they take what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, TypeVar, overload

from iii_trio._values.building import build
from iii_trio.errors import ConfigurationError

T = TypeVar("T")


class Caller(Protocol):
    """What an operation needs of a client; `III` is one. It addresses the engine's own functions in ``default``."""

    @overload
    async def trigger(self, request: str, payload: Any = None, *, returns: type[T]) -> T: ...

    @overload
    async def trigger(self, request: str, payload: Any = None) -> Any: ...


class _Unsaid:
    """The default of what has none, since None is a value like others."""

    def __repr__(self) -> str:
        return "<left out>"


UNSAID: Final[Any] = _Unsaid()


def as_input(cls: type[T], given: T | Mapping[str, Any] | None, **keywords: Any) -> T:
    """The input of an operation from any of its forms: the value, a dict, or keywords.

    Raises:
        ConfigurationError: As `build`.
    """
    return build(cls, given, **{name: value for name, value in keywords.items() if value is not UNSAID})


def check_name(what: str, value: Any) -> None:
    """Make sure that it is text, and not blank: the engine refuses an empty name, or takes it and never answers for it.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{what} must be text that is not blank, not {value!r}")
