"""Which transport a client gets."""

from __future__ import annotations

import sys
from typing import get_args

import pytest
import websockets.version

from iii_trio import open_iii
from iii_trio._link.choice import TransportName, best_transport, find_transport
from iii_trio._link.trio_websocket import TrioWebSocketTransport
from iii_trio._link.websockets import WebsocketsTransport
from iii_trio.errors import ConfigurationError, PayloadError
from iii_trio.testing import open_engine
from tests._hostile import first_name_is_free

BEST = best_transport
"""As the product has it: the fixture that chooses for the whole suite replaces the one in the module."""


@pytest.mark.parametrize("name", [name for name in get_args(TransportName) if name != "auto"])
async def test_a_transport_that_is_asked_for_runs(name: TransportName) -> None:
    """And the statistics say which it is."""
    async with open_engine() as engine:
        async with open_iii(engine.url, transport=name, open_stream=engine.open_stream) as iii:
            assert iii.statistics().transport == name
        assert engine.undecodable == ()


def test_the_fast_one_is_chosen_where_it_is_installed() -> None:
    """By itself."""
    assert BEST() is WebsocketsTransport


@pytest.mark.parametrize("missing", ["not installed", "too old"])
def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The other one is chosen, and insisting says what to install."""
    if missing == "too old":
        monkeypatch.setattr(websockets.version, "version", "17.3.1")
    else:
        for module in [name for name in sys.modules if name.split(".")[0] == "websockets"]:
            monkeypatch.setitem(sys.modules, module, None)
    assert BEST() is TrioWebSocketTransport
    with pytest.raises(ConfigurationError, match=r"iii-trio\[fast\]"):
        find_transport("websockets")
    assert find_transport("trio-websocket") is TrioWebSocketTransport


@pytest.mark.parametrize("version", ["17.4", "17.10.dev1+g5678cde", "18.0rc1"])
def test_a_release_that_is_new_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """However it is written."""
    monkeypatch.setattr(websockets.version, "version", version)
    assert find_transport("websockets") is WebsocketsTransport


async def test_a_name_that_is_none() -> None:
    """The error lists those that there are."""
    with pytest.raises(ConfigurationError, match="auto, trio-websocket and websockets"):
        await open_iii(transport="carrier-pigeon").__aenter__()  # type: ignore[arg-type]
    assert first_name_is_free()


async def test_large_messages_go_over_the_fast_one_only() -> None:
    """Over the other one the refusal says what to do."""
    payload = "x" * (17 * 1024 * 1024)
    async with open_engine() as engine:
        async with open_iii(engine.url, transport="websockets", open_stream=engine.open_stream) as iii:
            iii.register_function("length", lambda data: len(data))
            assert await iii.trigger("length", payload) == len(payload)
            with pytest.raises(PayloadError, match=f"at most {64 * 1024 * 1024} can be sent$"):
                await iii.trigger("length", payload * 4)
        async with open_iii(engine.url, transport="trio-websocket", open_stream=engine.open_stream) as iii:
            with pytest.raises(PayloadError, match=r"at most 16777216 can be sent; .* websockets .*iii-trio\[fast\]"):
                await iii.trigger("length", payload)
            with pytest.raises(PayloadError, match=r"16777216 can be sent$"):
                await iii.trigger("length", payload * 4)
