"""Who is connected, and who owns which function and which name.

Functions are keyed by id, then namespace, names by namespace and name; the first live worker wins. Builtins have no
owner, so a worker in the default namespace can replace one, and takes it along when it leaves, as on the real engine
(docs/engine.md, "Ownership").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import attrs

from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection
from iii_trio._wire.messages import ABSENT, ErrorBody, Json

Builtin: TypeAlias = Callable[[Connection | None, Json], Json]
"""A function of the engine: the caller and the payload to the result, or to a `Later`. Raises `Refusal`.

The caller is None when the engine itself calls, as a trigger does."""

Finish: TypeAlias = Callable[[Json, ErrorBody | None], None]
"""Takes a value (`ABSENT` for none), or an error."""


class Refusal(Exception):
    """A builtin's answer is an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@attrs.define(eq=False)
class Later:
    """The answer of a builtin that does not know it yet. It is settled once."""

    _outcome: tuple[Json, ErrorBody | None] | None = attrs.field(default=None, init=False)
    _finish: Finish | None = attrs.field(default=None, init=False)

    def settle(self, value: Json = ABSENT, error: ErrorBody | None = None) -> None:
        """Give the answer; it can be passed on as what a call tells when it ends."""
        if self._finish is not None:
            self._finish(value, error)
        else:
            self._outcome = (value, error)

    def then(self, finish: Finish) -> None:
        """Have the answer told, now or when it is there."""
        if self._outcome is not None:
            finish(*self._outcome)
        else:
            self._finish = finish


@attrs.frozen(eq=False, kw_only=True)
class Function:
    """One entry: a worker's function, or a builtin."""

    id: str
    namespace: str = DEFAULT_NAMESPACE
    description: str | None = None
    request_format: Json = None
    response_format: Json = None
    metadata: Json = None
    owner: Connection | None = None
    run: Builtin | None = None
    """What a builtin does; None for a worker's function."""
    worker: str = ""
    """The name of the part of the engine that a builtin belongs to; empty for a worker's function."""


@attrs.define
class Registry:
    """The tables. Nothing in here sends anything."""

    connections: dict[str, Connection] = attrs.field(factory=dict)
    """Live ones by id, in the order in which they came."""
    _functions: dict[str, dict[str, Function]] = attrs.field(factory=dict)
    _names: dict[tuple[str, str], Connection] = attrs.field(factory=dict)

    def find(self, namespace: str, function_id: str) -> Function | None:
        """The function that a call reaches: exactly there, or none."""
        by_namespace = self._functions.get(function_id)
        return by_namespace.get(namespace) if by_namespace else None

    def namespaces_of(self, function_id: str) -> list[str]:
        """Where an id is registered, sorted."""
        return sorted(self._functions.get(function_id, ()))

    def functions(self) -> Iterator[Function]:
        """All of them."""
        return (function for by_namespace in self._functions.values() for function in by_namespace.values())

    def put(self, function: Function) -> Connection | None:
        """Enter or replace a function, unless another worker owns its key: then that worker is returned."""
        by_namespace = self._functions.setdefault(function.id, {})
        present = by_namespace.get(function.namespace)
        if present is not None and present.owner is not None and present.owner is not function.owner:
            return present.owner
        by_namespace[function.namespace] = function
        if function.owner is not None:
            function.owner.functions[function.id] = None
        return None

    def withdraw(self, owner: Connection, function_id: str) -> None:
        """Remove a function of `owner`; nothing happens if it has no such function."""
        if function_id not in owner.functions:
            return
        del owner.functions[function_id]
        by_namespace = self._functions[function_id]
        del by_namespace[owner.home]
        if not by_namespace:
            del self._functions[function_id]

    def claim_name(self, namespace: str, name: str, claimant: Connection) -> Connection | None:
        """Take a worker name, unless another worker holds it: then that worker is returned."""
        holder = self._names.setdefault((namespace, name), claimant)
        return None if holder is claimant else holder

    def release_names(self, holder: Connection) -> None:
        """Give up every name that a connection has ever claimed."""
        for key in [key for key, owner in self._names.items() if owner is holder]:
            del self._names[key]
