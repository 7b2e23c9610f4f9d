"""What arrives of the caller's trace context at a function."""

from __future__ import annotations

import pytest

from iii_trio._embedded.tracing import onward

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("traceparent", "arrives"),
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01", id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-02", f"00-{TRACE}-{SPAN}-00", id="only-one-flag-is-known"),
        pytest.param("garbage", None, id="unparsable"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no-span"),
    ],
)
def test_a_traceparent_arrives_if_it_can_be_parsed(traceparent: str, arrives: str | None) -> None:
    """The baggage names the function in any case."""
    assert onward(traceparent, None, "f") == (arrives, "iii.function.id=f")


def test_nothing_arrives_of_nothing() -> None:
    """The engine starts no trace."""
    assert onward(None, None, "f") == (None, None)


def test_the_function_is_named_in_the_baggage() -> None:
    """It replaces the caller's own name; what is no entry is left out."""
    assert onward(None, "k=v, iii.function.id=caller,broken", "f") == (None, "k=v,iii.function.id=f")


@pytest.mark.parametrize("function_id", ["state::get", "publish"])
def test_functions_of_the_engine_are_not_named(function_id: str) -> None:
    """Also when a worker provides them."""
    assert onward(None, "k=v", function_id) == (None, "k=v")
