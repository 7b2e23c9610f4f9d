"""What the store of state and streams keeps, and in which order."""

from __future__ import annotations

from iii_trio._embedded.store import Change, Store
from iii_trio._embedded.updates import Operation
from iii_trio._wire.messages import ABSENT


def test_a_value_is_kept_until_it_is_deleted() -> None:
    """Null is a value; no value is `ABSENT`."""
    store = Store()
    assert store.get("g", "k") is ABSENT
    assert store.set("g", "k", None) == Change(ABSENT, None)
    assert store.get("g", "k") is None
    assert store.set("g", "k", 1) == Change(None, 1)
    assert store.delete("g", "k") == 1
    assert store.delete("g", "k") is ABSENT
    assert store.delete("other", "k") is ABSENT


def test_values_stay_in_the_order_of_their_first_write() -> None:
    """A value that was deleted comes last again, and an empty group stays known."""
    store = Store()
    for key in "abc":
        store.set("g", key, key)
    store.set("g", "a", 1)
    store.delete("g", "b")
    store.set("g", "b", 2)
    assert store.values("g") == [1, "c", 2]
    assert store.values("unknown") == []
    store.set("other", "a", 1)
    store.delete("other", "a")
    assert store.groups() == ["g", "other"]


def test_an_update_always_writes() -> None:
    """Also when nothing applied, or nothing was asked."""
    store = Store()
    failing = Operation("merge", (), 5)
    change = store.update("g", "k", [failing])
    assert (change.old, change.new, len(change.errors)) == (ABSENT, {}, 1)
    assert store.get("g", "k") == {}
    assert store.update("g", "new", []) == Change(ABSENT, {}, [])


def test_a_result_has_null_for_no_value_and_errors_only_if_there_are_any() -> None:
    """As the callers of the real engine know it."""
    assert Change(ABSENT, 1).as_result() == {"old_value": None, "new_value": 1}
    assert Change(0, 1, [{"code": "c"}]).as_result() == {"old_value": 0, "new_value": 1, "errors": [{"code": "c"}]}
