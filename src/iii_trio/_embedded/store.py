"""Values by group and key, in memory: what state and streams keep.

Values are replaced, never changed, so whoever got one may hold it. A group stays known when its last key is gone, as in
the real engine (docs/engine.md, "State").
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from iii_trio._embedded import updates
from iii_trio._wire.messages import ABSENT, Json


@attrs.frozen
class Change:
    """What a write did."""

    old: Json
    """The value before; `ABSENT` when there was none."""
    new: Json
    errors: Sequence[Json] = ()
    """Of an update."""

    def as_result(self) -> dict[str, Json]:
        """What the caller gets."""
        result = {"old_value": None if self.old is ABSENT else self.old, "new_value": self.new}
        return {**result, "errors": list(self.errors)} if self.errors else result


@attrs.define
class Store:
    """Groups of values, both in the order in which they were first written."""

    _groups: dict[str, dict[str, Json]] = attrs.field(factory=dict, init=False)

    def get(self, group: str, key: str) -> Json:
        """A value; `ABSENT` for none."""
        return self._groups.get(group, {}).get(key, ABSENT)

    def set(self, group: str, key: str, value: Json) -> Change:
        """Write a value, in the place of the one before."""
        old = self.get(group, key)
        self._groups.setdefault(group, {})[key] = value
        return Change(old, value)

    def update(self, group: str, key: str, operations: Sequence[updates.Operation]) -> Change:
        """Write what comes of a value's operations, also when none of them applied."""
        old = self.get(group, key)
        new, errors = updates.apply(old, operations)
        self.set(group, key, new)
        return Change(old, new, errors)

    def delete(self, group: str, key: str) -> Json:
        """Remove a value and return it; `ABSENT` if there was none."""
        return self._groups.get(group, {}).pop(key, ABSENT)

    def values(self, group: str) -> list[Json]:
        """All of a group."""
        return list(self._groups.get(group, {}).values())

    def groups(self) -> list[str]:
        """Every group that was ever written to."""
        return list(self._groups)
