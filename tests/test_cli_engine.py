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
from tests.replay import Socket


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_listens_and_ends_well_on_a_signal(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its links are dropped."""
    codes = []
    output = ""

    async def serve() -> None:
        codes.append(await _serve("127.0.0.1", 0, 5_000))

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


async def test_a_busy_port_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And exit code 1."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        assert await _serve("127.0.0.1", port, 5_000) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"iii-trio engine: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "grace"),
    [
        pytest.param([], {}, 5_000, id="default"),
        pytest.param([], {"III_NAMESPACE_GRACE_MS": "70"}, 70, id="environment"),
        pytest.param(["--namespace-grace-ms", "80"], {"III_NAMESPACE_GRACE_MS": "70"}, 80, id="flag-wins"),
    ],
)
def test_options_come_from_flags_and_the_environment(
    arguments: list[str], environment: dict[str, str], grace: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the exit code is that of the engine."""
    asked = []

    def run_engine(host: str, port: int, namespace_grace_ms: int) -> int:
        asked.append((host, port, namespace_grace_ms))
        return 3

    monkeypatch.delenv("III_NAMESPACE_GRACE_MS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("iii_trio._cli.engine.run_engine", run_engine)
    monkeypatch.setattr(sys, "argv", ["iii-trio", "engine", *arguments])
    with pytest.raises(SystemExit) as exited:
        _cli.main()
    assert exited.value.code == 3
    assert asked == [("127.0.0.1", 49134, grace)]


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
