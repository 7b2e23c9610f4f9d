"""Who a worker says it is: its name, its namespace, and the facts in the register call."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
from typing import Any

import pytest
import trio
import trio.testing

from iii_trio import InitOptions, TelemetryOptions, open_iii
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ConfigurationError, EngineUnavailable, PayloadError
from iii_trio.testing import EmbeddedEngine
from tests.conftest import MemoryLink, frames

_BASE = f"{socket.gethostname()}:{os.getpid()}"


def _facts(engine: EmbeddedEngine) -> list[dict[str, Any]]:
    return [frame.data for frame in frames(engine, InvokeFunction, function_id="engine::workers::register")]


# ---- names ----------------------------------------------------------------------------------------------------------


async def test_clients_are_numbered_and_give_their_numbers_back(link: MemoryLink) -> None:
    """hostname:pid, then :2, :3; the lowest free one next."""
    async with link.client() as first:
        assert first.worker_name == _BASE
        async with link.client() as second, link.client() as third:
            assert (second.worker_name, third.worker_name) == (f"{_BASE}:2", f"{_BASE}:3")
        async with link.client() as again:
            assert again.worker_name == f"{_BASE}:2"
    async with link.client() as afresh:
        assert afresh.worker_name == _BASE
    assert [facts["name"] for facts in _facts(link.engine)] == [
        _BASE,
        f"{_BASE}:2",
        f"{_BASE}:3",
        f"{_BASE}:2",
        _BASE,
    ]


async def test_a_client_that_cannot_say_who_it_is_takes_no_number(link: MemoryLink) -> None:
    """The refusal comes before anything is sent, and the next client gets the first number."""
    with pytest.raises(PayloadError, match="lone surrogate"):
        async with link.client(worker_name="\ud800"):
            pytest.fail("it opened")  # pragma: no cover
    async with link.client() as afresh:
        assert afresh.worker_name == _BASE


async def test_the_environment_names_the_first_client_only(link: MemoryLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two live workers cannot bear one name."""
    monkeypatch.setenv("III_WORKER_NAME", " orders ")
    async with link.client() as first, link.client() as second:
        assert (first.worker_name, second.worker_name) == ("orders", f"{_BASE}:2")
    async with link.client() as afresh:
        assert afresh.worker_name == "orders"


async def test_the_option_wins_over_the_environment(link: MemoryLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is used as it is."""
    monkeypatch.setenv("III_WORKER_NAME", "orders")
    async with link.client(worker_name="mail") as iii:
        assert iii.worker_name == "mail"


async def test_a_blank_environment_names_nobody(link: MemoryLink, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts as unset."""
    monkeypatch.setenv("III_WORKER_NAME", "  ")
    async with link.client() as iii:
        assert iii.worker_name == _BASE


async def test_a_failed_opening_gives_its_name_back(link: MemoryLink) -> None:
    """The next client is the first again."""
    link.is_up = False
    with pytest.raises(EngineUnavailable):
        async with link.client(open_timeout=0):
            raise AssertionError
    link.is_up = True
    async with link.client() as iii:
        assert iii.worker_name == _BASE


# ---- facts ----------------------------------------------------------------------------------------------------------


async def test_the_register_call_tells_the_facts(link: MemoryLink) -> None:
    """And the engine lists them."""
    telemetry = TelemetryOptions(language="en_US", project_name="shop", framework="mine", amplitude_api_key="k")
    async with link.client(worker_name="w", worker_description="Sells.", telemetry=telemetry, isolation="vm") as iii:
        info = await iii.trigger("engine::workers::info", {"name": "w"})
    (facts,) = _facts(link.engine)
    assert facts == {
        "runtime": "python",
        "version": importlib.metadata.version("iii-trio"),
        "name": "w",
        "description": "Sells.",
        "os": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "pid": os.getpid(),
        "isolation": "vm",
        "namespace": "default",
        "telemetry": {"language": "en_US", "project_name": "shop", "framework": "mine", "amplitude_api_key": "k"},
    }
    worker = info["worker"]
    assert (worker["description"], worker["runtime"], worker["isolation"]) == ("Sells.", "python", "vm")
    assert worker["id"] == iii.statistics().worker_id


async def test_what_nobody_said_is_left_out(link: MemoryLink) -> None:
    """Except for what this SDK is called."""
    async with link.client():
        pass
    (facts,) = _facts(link.engine)
    assert facts["telemetry"] == {"framework": "iii-trio"}
    assert facts["isolation"] is None
    assert "description" not in facts


@pytest.mark.parametrize(
    ("option", "environment", "used"),
    [
        pytest.param(None, None, "default", id="default"),
        pytest.param(None, "shop", "shop", id="environment"),
        pytest.param(None, "  ", "default", id="blank-environment"),
        pytest.param("bank", "shop", "bank", id="option-wins"),
    ],
)
async def test_the_namespace_is_the_option_or_the_environment(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch, option: str | None, environment: str | None, used: str
) -> None:
    """A blank variable counts as unset."""
    if environment is not None:
        monkeypatch.setenv("III_NAMESPACE", environment)
    async with link.client(namespace=option) as iii:
        assert iii.namespace == used
    assert _facts(link.engine)[0]["namespace"] == used


@pytest.mark.parametrize("blank", ["", " ", "\t"])
async def test_a_blank_namespace_is_refused(blank: str) -> None:
    """The engine would refuse it, or put the worker somewhere else."""
    with pytest.raises(ConfigurationError, match=r"InitOptions\.namespace must not be blank"):
        InitOptions(namespace=blank)


@pytest.mark.parametrize(
    ("option", "environment", "used"),
    [
        pytest.param(None, None, None, id="none"),
        pytest.param(None, "docker", "docker", id="environment"),
        pytest.param("vm", "docker", "vm", id="option-wins"),
        pytest.param(None, " ", None, id="blank-environment"),
    ],
)
async def test_the_isolation_is_the_option_or_the_environment(
    link: MemoryLink, monkeypatch: pytest.MonkeyPatch, option: str | None, environment: str | None, used: str | None
) -> None:
    """Or null."""
    if environment is not None:
        monkeypatch.setenv("III_ISOLATION", environment)
    async with link.client(isolation=option):
        pass
    assert _facts(link.engine)[0]["isolation"] == used


# ---- secrets --------------------------------------------------------------------------------------------------------


async def test_no_repr_shows_a_secret(engine: EmbeddedEngine) -> None:
    """Neither the token, nor headers, nor what stands in the query of the URL."""
    options = InitOptions(
        token="s3cret-token",
        headers={"X-Key": "s3cret-header"},
        telemetry=TelemetryOptions(amplitude_api_key="s3cret-key"),
    )
    url = f"{engine.url}/?token=s3cret-query"
    async with open_iii(url, options, open_stream=engine.open_stream) as iii:
        ref = iii.register_function("f", lambda: None)
        shown = [iii, iii.from_thread, iii.statistics(), options, ref]
        assert not [each for each in shown if "s3cret" in f"{each!r} {each}"]
        assert repr(iii) == f"<III '{_BASE}' at {engine.url}/?…, connected>"
    assert repr(iii).endswith("disconnected>")


async def test_no_error_shows_a_secret() -> None:
    """Not even the one that says where no engine was."""

    async def nowhere() -> trio.abc.Stream:
        raise OSError("no way")

    options = InitOptions(token="s3cret-token", headers={"X-Key": "s3cret-header"}, open_timeout=0)
    with pytest.raises(EngineUnavailable) as caught:
        async with open_iii("ws://engine.invalid/?token=s3cret-query", options, open_stream=nowhere):
            raise AssertionError
    assert "s3cret" not in f"{caught.value!r} {caught.value}"
    assert "ws://engine.invalid/" in str(caught.value)
