"""`iii-trio engine` as somebody types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial

import pytest
import trio

from iii_trio import _cli
from iii_trio._cli.engine import _serve
from tests.http_client import Client
from tests.replay import Socket


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_listens_and_ends_well_on_a_signal(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its links are dropped."""
    codes = []
    output = ""

    async def serve() -> None:
        codes.append(await _serve("127.0.0.1", 0, None, 5_000, 30_000))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            while not output:
                await trio.sleep(0.01)
                output = capsys.readouterr().out
            port = int(output.rpartition(":")[2])
            assert output == f"iii-trio engine listening on ws://127.0.0.1:{port}\n"
            client = Socket(await trio.open_tcp_stream("127.0.0.1", port))
            await client.upgrade("/", {})
            nursery.start_soon(client.pump)
            signal.raise_signal(number)
            await client.ended.wait()
            await client.finish()
    assert codes == [0]


@pytest.mark.parametrize("for_http", [False, True])
async def test_a_busy_port_is_one_clear_line(for_http: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """And exit code 1."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        assert await _serve("127.0.0.1", 0 if for_http else port, port if for_http else None, 5_000, 30_000) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"iii-trio engine: cannot listen on 127.0.0.1:{port}: Address already in use\n"


async def test_it_says_where_it_serves_http(capsys: pytest.CaptureFixture[str]) -> None:
    """On a second line, when it was asked to."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, "127.0.0.1", 0, 0, 5_000, 30_000)
            output = ""
            while "HTTP" not in output:
                await trio.sleep(0.01)
                output += capsys.readouterr().out
            assert output.count("\n") == 2
            port = int(output.rpartition(":")[2])
            assert output.endswith(f"iii-trio engine serving HTTP on http://127.0.0.1:{port}\n")
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                assert (await Client(stream).request("GET", "/nothing")).status == 404
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("arguments", "environment", "asked"),
    [
        pytest.param([], {}, ("127.0.0.1", 49134, None, 5_000, 30_000), id="defaults"),
        pytest.param(
            [], {"III_NAMESPACE_GRACE_MS": "70"}, ("127.0.0.1", 49134, None, 70, 30_000), id="from-the-environment"
        ),
        pytest.param(
            ["--namespace-grace-ms", "80"],
            {"III_NAMESPACE_GRACE_MS": "70"},
            ("127.0.0.1", 49134, None, 80, 30_000),
            id="flag-wins",
        ),
        pytest.param(
            ["--http-port", "3111", "--http-timeout-ms", "9"], {}, ("127.0.0.1", 49134, 3111, 5_000, 9), id="http"
        ),
    ],
)
def test_options_come_from_flags_and_the_environment(
    arguments: list[str], environment: dict[str, str], asked: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the exit code is that of the engine."""
    calls: list[tuple[object, ...]] = []

    def run_engine(*arguments: object) -> int:
        calls.append(arguments)
        return 3

    monkeypatch.delenv("III_NAMESPACE_GRACE_MS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("iii_trio._cli.engine.run_engine", run_engine)
    monkeypatch.setattr(sys, "argv", ["iii-trio", "engine", *arguments])
    with pytest.raises(SystemExit) as exited:
        _cli.main()
    assert exited.value.code == 3
    assert calls == [asked]


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, with exit code 2."""
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    monkeypatch.delitem(sys.modules, "iii_trio._cli.app", raising=False)
    with pytest.raises(SystemExit) as exited:
        _cli.main()
    assert exited.value.code == 2
    assert "pip install iii-trio[cli]" in capsys.readouterr().err


def test_another_missing_module_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a fault of the installation, and says so itself."""
    monkeypatch.setitem(sys.modules, "iii_trio._cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"iii_trio\._cli\.app"):
        _cli.main()


def test_it_runs_as_a_process() -> None:
    """From the first line to the exit code."""
    command = [sys.executable, "-c", "from iii_trio._cli import main; main()", "engine", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        trio.run(partial(_open_and_close, port))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0


async def _open_and_close(port: int) -> None:
    await trio.aclose_forcefully(await trio.open_tcp_stream("127.0.0.1", port))
