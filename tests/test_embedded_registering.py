"""What a worker's announcement changes."""

from __future__ import annotations

import pytest

from iii_trio._embedded.connection import Profile
from iii_trio._embedded.registering import read_announcement
from iii_trio._embedded.registry import Refusal
from tests.workers import Bench


def test_what_is_left_out_keeps_its_value_except_runtime_and_version() -> None:
    """A worker may announce itself again and again."""
    first = read_announcement(
        {
            "_caller_worker_id": "w",
            "name": "n",
            "description": "d",
            "runtime": "python",
            "version": "1",
            "os": "o",
            "pid": 1,
            "isolation": "i",
            "telemetry": {"language": "en"},
        }
    ).renew(Profile())
    assert first == Profile("n", "d", "python", "1", "o", 1, "i")
    second = read_announcement({"_caller_worker_id": "w", "name": "m"}).renew(first)
    assert second == Profile("m", "d", "unknown", None, "o", 1, "i")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("a\u202e\u0007b\u2028", "ab", id="unsafe-characters"),
        pytest.param("  a  ", "a", id="blanks-around"),
        pytest.param("x" * 300, "x" * 280, id="too-long"),
        pytest.param("\x00 \x7f", None, id="nothing-left"),
    ],
)
def test_a_name_is_made_fit_to_be_shown(raw: str, shown: str | None) -> None:
    """A name of nothing is none."""
    assert read_announcement({"_caller_worker_id": "w", "name": raw}).profile.name == shown


@pytest.mark.parametrize(("name", "called"), [(None, "<unnamed>"), ("n", "n")])
def test_a_blank_namespace_is_refused(name: str | None, called: str) -> None:
    """It is never taken for an absent one."""
    with pytest.raises(Refusal) as caught:
        read_announcement({"_caller_worker_id": "w", "name": name, "namespace": "\t"})
    assert caught.value.code == "INVALID_NAMESPACE"
    assert caught.value.message == (
        f"namespace is empty: worker '{called}' declared \"\\t\". "
        "Give it a name, or omit the field to register in 'default'."
    )


def test_a_namespace_that_is_left_out_is_the_default_one() -> None:
    """And null is as good as absent."""
    assert read_announcement({"_caller_worker_id": "w", "namespace": None}).namespace == "default"


def test_nobody_is_announced_by_a_binding(bench: Bench) -> None:
    """Even if the payload names a worker."""
    worker = bench.worker("worker")
    worker.sends(
        "registertrigger",
        id="b",
        trigger_type="subscribe",
        function_id="engine::workers::register",
        config={"topic": "t"},
    )
    data = {"_caller_worker_id": worker.id, "name": "renamed"}
    worker.calls("publish", {"topic": "t", "data": data}, call=1)
    bench.passes(0.0)
    assert worker.link.profile.name == "worker"
