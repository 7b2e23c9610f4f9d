"""The connections of ours that the engine may still hold, and the tokens that prove that they are ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

MAX_GHOSTS: Final = 8


@attrs.define(eq=False)
class Ghosts:
    """Ids and tokens, oldest first: nothing that came after proves that they were retired."""

    on_change: Callable[[], None] = attrs.field(default=lambda: None)
    """Called whenever they are others than before."""

    _tokens: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(tuple(self._tokens.items()))

    def adopt(self, tokens: Mapping[str, str]) -> None:
        """The engine may hold connections of a predecessor."""
        self._tokens = {**tokens, **self._tokens}

    def greeted(self, worker_id: str, token: str | None) -> None:
        """There is a new connection."""
        if token is not None:
            self._tokens[worker_id] = token
        if len(self._tokens) > MAX_GHOSTS:
            # The oldest was ready once and owns everything; the next ones may not even have been heard.
            del self._tokens[list(self._tokens)[1]]
        self.on_change()

    def retired(self, worker_id: str | None) -> None:
        """The engine has read what this connection began with: the others are gone."""
        self._tokens = {name: token for name, token in self._tokens.items() if name == worker_id}
        self.on_change()

    def departed(self, worker_id: str | None) -> None:
        """The engine has heard the goodbye of this connection."""
        if worker_id is not None and self._tokens.pop(worker_id, None) is not None:
            self.on_change()
