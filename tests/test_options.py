"""Options: defaults, bounds, and what the environment may say."""

from __future__ import annotations

import math
import ssl
from typing import Any

import attrs
import pytest

from iii_trio._options import (
    InitOptions,
    ReconnectionConfig,
    TelemetryOptions,
    resolve_address,
    resolve_isolation,
    resolve_namespace,
)
from iii_trio.errors import ConfigurationError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("invocation_timeout_ms", 30_000, id="a call: 30 s"),
        pytest.param("connect_timeout", 10.0, id="one attempt: 10 s"),
        pytest.param("open_timeout", 10.0, id="the first connection: 10 s"),
        pytest.param("close_timeout", 5.0, id="closing: 5 s"),
        pytest.param("heartbeat_interval", 20.0, id="a ping after 20 s"),
        pytest.param("heartbeat_timeout", 60.0, id="lost after 60 s"),
        pytest.param("max_outbox_frames", 10_000, id="10,000 frames"),
        pytest.param("max_outbox_bytes", 64 * 1024 * 1024, id="64 MiB wait"),
        pytest.param("max_message_size", 64 * 1024 * 1024, id="64 MiB a message"),
        pytest.param("max_running_handlers", None, id="handlers without limit"),
        pytest.param("max_pending_invocations", 10_000, id="10,000 invocations"),
        pytest.param("max_threads", 40, id="40 threads"),
        pytest.param("send_stack_traces", False, id="no stack traces"),
        pytest.param("loop_watch", None, id="the loop is not watched"),
        pytest.param("trace", None, id="nothing is traced"),
        pytest.param("reconnection_config", ReconnectionConfig(), id="the references' backoff"),
    ],
)
def test_defaults_are_the_documented_ones(field: str, value: object) -> None:
    """Who relies on one finds it here when it changes."""
    assert getattr(InitOptions(), field) == value


def test_the_backoff_starts_at_a_second_and_doubles_to_thirty() -> None:
    """With 30 % jitter, for ever."""
    assert attrs.asdict(ReconnectionConfig()) == {
        "initial_delay_ms": 1_000,
        "max_delay_ms": 30_000,
        "backoff_multiplier": 2.0,
        "jitter_factor": 0.3,
        "max_retries": -1,
    }


def test_no_backoff_given_is_the_default_one() -> None:
    """None is what callers pass on when they were given nothing."""
    assert InitOptions(reconnection_config=None).reconnection_config == ReconnectionConfig()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        pytest.param("worker_name", " ", "must not be blank", id="a blank name"),
        pytest.param("worker_description", 1, "must be str", id="a description that is no text"),
        pytest.param("namespace", "", "must not be blank", id="a blank namespace is not an absent one"),
        pytest.param("isolation", 1, "must be str", id="isolation that is no text"),
        pytest.param("telemetry", {}, "must be TelemetryOptions", id="telemetry as a dict"),
        pytest.param("reconnection_config", {}, "must be ReconnectionConfig", id="backoff as a dict"),
        pytest.param("headers", [("a", "b")], "must map text to text", id="headers as pairs"),
        pytest.param("headers", {"a": 1}, "must map text to text", id="a header that is a number"),
        pytest.param("headers", {1: "a"}, "must map text to text", id="a header whose name is a number"),
        pytest.param("headers", {"": "a"}, "cannot be sent", id="a header without a name"),
        pytest.param("headers", {"a b": "c"}, "cannot be sent", id="a header name with a space"),
        pytest.param("headers", {"é": "c"}, "cannot be sent", id="a header name beyond ASCII"),
        pytest.param("headers", {"a": " b"}, "cannot be sent", id="a header that begins with a space"),
        pytest.param("headers", {"a": "b\r\nc: d"}, "cannot be sent", id="a header that smuggles another one in"),
        pytest.param("token", "", "must not be blank", id="a blank token"),
        pytest.param("reattach_file", " ", "must not be blank", id="a file without a name"),
        pytest.param("reattach_file", b"f", "must be text", id="a file named in bytes"),
        pytest.param("ssl_context", "tls", "must be SSLContext", id="no SSL context"),
        pytest.param("invocation_timeout_ms", -1, "must be from 0", id="a time-out in the past"),
        pytest.param("connect_timeout", 0, "must be more than 0", id="no time to connect"),
        pytest.param("open_timeout", math.nan, "must be from 0", id="NaN"),
        pytest.param("close_timeout", "5", "must be a number", id="a time that is text"),
        pytest.param("heartbeat_interval", 0.0, "must be more than 0", id="pinging without pause"),
        pytest.param("heartbeat_timeout", True, "must be a number", id="True is not 1"),
        pytest.param("max_outbox_frames", 0, "must be at least 1", id="room for nothing"),
        pytest.param("max_outbox_bytes", 1.5, "must be a whole number", id="half a byte"),
        pytest.param("max_message_size", 0, "must be at least 1", id="messages without bytes"),
        pytest.param("max_running_handlers", 0, "must be at least 1", id="no handlers"),
        pytest.param("max_pending_invocations", -1, "must be at least 0", id="less than no queue"),
        pytest.param("max_threads", 0, "must be at least 1", id="no threads"),
        pytest.param("send_stack_traces", "no", "must be True or False", id="'no' is not a truth value"),
        pytest.param("loop_watch", 0, "must be more than 0", id="every step is a block"),
        pytest.param("trace", "events.log", "must be callable", id="a trace to a file name"),
    ],
)
def test_an_option_that_cannot_work_is_refused(field: str, value: Any, reason: str) -> None:
    """By name, when it is given."""
    with pytest.raises(ConfigurationError, match=f"InitOptions.{field}.* {reason}"):
        InitOptions(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("initial_delay_ms", 0, id="no wait at all"),
        pytest.param("max_delay_ms", -1, id="a negative wait"),
        pytest.param("backoff_multiplier", 0.5, id="waits that become shorter"),
        pytest.param("jitter_factor", 1.1, id="more jitter than wait"),
        pytest.param("max_retries", -2, id="fewer than for ever"),
    ],
)
def test_a_backoff_that_cannot_work_is_refused(field: str, value: Any) -> None:
    """The same for its parts."""
    with pytest.raises(ConfigurationError, match=f"ReconnectionConfig.{field} "):
        ReconnectionConfig(**{field: value})


@pytest.mark.parametrize("field", ["language", "project_name", "framework", "amplitude_api_key"])
def test_telemetry_is_text(field: str) -> None:
    """The engine decodes nothing else."""
    assert getattr(TelemetryOptions(**{field: "x"}), field) == "x"
    with pytest.raises(ConfigurationError, match=f"TelemetryOptions.{field} must be str"):
        TelemetryOptions(**{field: 1})  # type: ignore[arg-type]


def test_secrets_are_not_shown() -> None:
    """Options end up in logs."""
    options = InitOptions(
        token="s3cret",
        headers={"Authorization": "s3cret"},
        telemetry=TelemetryOptions(amplitude_api_key="s3cret"),
        ssl_context=ssl.create_default_context(),
    )
    assert "s3cret" not in repr(options)
    assert "s3cret" not in repr(resolve_address(None, options, {}))


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        pytest.param(None, {}, "ws://127.0.0.1:49134", id="neither: this machine"),
        pytest.param(None, {"III_URL": "ws://e"}, "ws://e", id="the environment"),
        pytest.param(None, {"III_URL": " "}, "ws://127.0.0.1:49134", id="a blank variable is unset"),
        pytest.param("ws://a", {"III_URL": "ws://e"}, "ws://a", id="the argument wins"),
        pytest.param("", {"III_URL": "ws://e"}, "", id="an empty argument is not replaced by another engine"),
    ],
)
def test_the_url_comes_from_the_argument_or_the_environment(
    url: str | None, environ: dict[str, str], expected: str
) -> None:
    """In this order; what it must be is checked elsewhere."""
    assert resolve_address(url, InitOptions(), environ).url == expected


@pytest.mark.parametrize(
    ("url", "options", "environ", "expected"),
    [
        pytest.param(None, {}, {}, {}, id="none"),
        pytest.param("ws://a", {"token": "t"}, {}, {"Authorization": "Bearer t"}, id="the option"),
        pytest.param(None, {"token": "t"}, {}, {"Authorization": "Bearer t"}, id="the option, to the default engine"),
        pytest.param(
            None,
            {},
            {"III_TOKEN": "t", "III_URL": "ws://e"},
            {"Authorization": "Bearer t"},
            id="the environment, to the engine of the environment",
        ),
        pytest.param("ws://a", {}, {"III_TOKEN": "t", "III_URL": "ws://e"}, {}, id="but to no other engine"),
        pytest.param("ws://e", {}, {"III_TOKEN": "t", "III_URL": "ws://e"}, {}, id="even if it has the same name"),
        pytest.param(None, {}, {"III_TOKEN": "t"}, {}, id="nor to the default one"),
        pytest.param(None, {}, {"III_TOKEN": " ", "III_URL": "ws://e"}, {}, id="a blank variable is unset"),
        pytest.param(
            None,
            {"token": "mine"},
            {"III_TOKEN": "t", "III_URL": "ws://e"},
            {"Authorization": "Bearer mine"},
            id="the option wins",
        ),
        pytest.param(
            None,
            {"token": "t", "headers": {"authorization": "Basic x", "X-A": "b"}},
            {},
            {"authorization": "Basic x", "X-A": "b"},
            id="a header of that name wins, whatever its case",
        ),
    ],
)
def test_the_token_goes_where_it_belongs(
    url: str | None, options: dict[str, Any], environ: dict[str, str], expected: dict[str, str]
) -> None:
    """And nowhere else: it is a secret of one engine."""
    assert dict(resolve_address(url, InitOptions(**options), environ).headers) == expected


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        pytest.param({"token": "s3cret\r\nX: y"}, {}, id="one that smuggles a header in"),
        pytest.param({"token": "s3crét"}, {}, id="one beyond ASCII"),
        pytest.param({}, {"III_URL": "ws://e", "III_TOKEN": "s3cret\n"}, id="one that was read from a file"),
    ],
)
def test_a_token_that_is_no_header_is_refused(options: dict[str, Any], environ: dict[str, str]) -> None:
    """Without being shown."""
    with pytest.raises(ConfigurationError, match="token must be printable ASCII") as caught:
        resolve_address(None, InitOptions(**options), environ)
    assert "s3" not in str(caught.value)


def test_the_namespace_comes_from_the_option_the_environment_or_is_default() -> None:
    """In this order; a blank variable is unset."""
    assert resolve_namespace(InitOptions(namespace="shop"), {"III_NAMESPACE": "env"}) == "shop"
    assert resolve_namespace(InitOptions(), {"III_NAMESPACE": "env"}) == "env"
    assert resolve_namespace(InitOptions(), {"III_NAMESPACE": "  "}) == "default"
    assert resolve_namespace(InitOptions(), {}) == "default"


def test_isolation_comes_from_the_option_or_the_environment() -> None:
    """An empty option says that there is none."""
    assert resolve_isolation(InitOptions(isolation="docker"), {"III_ISOLATION": "vm"}) == "docker"
    assert resolve_isolation(InitOptions(isolation=""), {"III_ISOLATION": "vm"}) == ""
    assert resolve_isolation(InitOptions(), {"III_ISOLATION": "vm"}) == "vm"
    assert resolve_isolation(InitOptions(), {}) is None


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when the client is made, not when the module is imported."""
    monkeypatch.setenv("III_URL", "ws://from-environment")
    monkeypatch.setenv("III_NAMESPACE", "ns")
    monkeypatch.setenv("III_ISOLATION", "vm")
    assert resolve_address(None, InitOptions()).url == "ws://from-environment"
    assert (resolve_namespace(InitOptions()), resolve_isolation(InitOptions())) == ("ns", "vm")
