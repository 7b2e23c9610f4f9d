"""Listeners with rules: refused logins on both engines, permissions and middleware on the real one, which has them."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from iii_trio import III, InitOptions, InvocationError, TriggerAction, open_iii
from iii_trio.errors import AuthenticationError, Fate, RegistrationRejectedError
from iii_trio.testing import open_engine
from tests._engines import ENGINES, register_when_free, within

pytestmark = pytest.mark.engine

_AUTH = "test::rbac::auth"
"""What tests/engine.yaml names as the function that decides about logins."""
_MIDDLEWARE = "test::middleware"
"""And as the one that gets every call of its listener."""


def _listener(variable: str) -> tuple[str, str]:
    """The URLs of the engine and of one of its listeners."""
    urls = os.environ.get("III_TEST_URL"), os.environ.get(variable)
    if urls[0] is None or urls[1] is None:
        pytest.skip(f"III_TEST_URL or {variable} is not set")
    return urls[0], urls[1]


@pytest.mark.parametrize("kind", ENGINES)
async def test_a_refused_login_is_an_authentication_error(kind: str) -> None:
    """Once, and at once: asking again with the same credentials is of no use."""
    with trio.fail_after(30):
        if kind == "embedded":
            async with open_engine(port=0) as engine:
                engine.refuse_logins("Missing credentials")
                await _login_is_refused(engine.url)
                engine.accept_logins()
                async with open_iii(engine.url):
                    pass
        else:
            await _login_is_refused(_listener("III_TEST_RBAC_URL")[1])


async def _login_is_refused(url: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        async with open_iii(url, InitOptions(token="no-such-token")):
            raise AssertionError
    assert caught.value.code == "AUTH_ERROR"
    assert "no-such-token" not in str(caught.value)


@within(30)
async def test_a_login_with_a_token_gets_its_permissions() -> None:
    """What it may not call is FORBIDDEN and did not run; the answer that nobody asked for to a void call harms nothing."""
    engine_url, listener_url = _listener("III_TEST_RBAC_URL")
    token = f"t{uuid.uuid4().hex[:12]}"
    seen: list[Any] = []

    async def authenticate(data: Any) -> Any:
        if data["headers"].get("authorization") != f"Bearer {token}":
            raise InvocationError("unknown_token", "this token is not known")
        seen.append(data)
        return {"allowed_functions": [f"{token}::allowed"]}

    async with open_iii(engine_url) as iii:
        await register_when_free(iii, _AUTH, authenticate)
        iii.register_function(f"{token}::allowed", lambda: "allowed")
        await iii.register_function(f"{token}::denied", lambda: "denied").wait_registered()
        async with open_iii(f"{listener_url}/?q=1", InitOptions(token=token, headers={"X-Extra": "e"})) as guest:
            assert seen[0]["headers"]["x-extra"] == "e"
            assert seen[0]["query_params"] == {"q": ["1"]}
            assert await guest.trigger(f"{token}::allowed") == "allowed"
            with pytest.raises(InvocationError) as caught:
                await guest.trigger(f"{token}::denied")
            assert (caught.value.code, caught.value.fate) == ("FORBIDDEN", Fate.NOT_RUN)
            guest.trigger_nowait(f"{token}::denied")
            while guest.statistics().unknown_results == 0:
                assert await guest.trigger(f"{token}::allowed") == "allowed"
            assert guest.get_connection_state() == "connected"
        await _login_is_refused(listener_url)


@asynccontextmanager
async def _a_listener_that_grants(**permissions: Any) -> AsyncIterator[tuple[III, str, str]]:
    """A client of the engine that lets one token in, with these permissions; the URL to use it at, and the token."""
    engine_url, listener_url = _listener("III_TEST_RBAC_URL")
    token = f"t{uuid.uuid4().hex[:12]}"

    async def authenticate(data: Any) -> Any:
        if data["headers"].get("authorization") != f"Bearer {token}":
            raise InvocationError("unknown_token", "this token is not known")
        return permissions

    async with open_iii(engine_url) as iii:
        await register_when_free(iii, _AUTH, authenticate)
        yield iii, listener_url, token


@within(30)
async def test_a_namespace_that_is_not_granted_is_final() -> None:
    """One error that says so, and no second attempt; in a namespace that is granted the same login opens."""
    async with _a_listener_that_grants(namespaces={"test-granted": ["*"]}) as (_, url, token):
        with pytest.raises(RegistrationRejectedError, match="test-elsewhere") as caught:
            async with open_iii(url, InitOptions(token=token, namespace="test-elsewhere")):
                raise AssertionError
        assert (caught.value.code, caught.value.namespace) == ("FORBIDDEN", "test-elsewhere")
        assert (caught.value.function_id, caught.value.worker_name) == (None, None)
        async with open_iii(url, InitOptions(token=token, namespace="test-granted")) as guest:
            await guest.register_function("f", lambda: "served").wait_registered()
            assert await guest.trigger("f") == "served"


@within(30)
async def test_a_worker_that_may_not_register_itself_is_refused_for_good() -> None:
    """A rule can forbid even what every worker begins with."""
    async with _a_listener_that_grants(forbidden_functions=["engine::workers::register"]) as (_, url, token):
        with pytest.raises(RegistrationRejectedError) as caught:
            async with open_iii(url, InitOptions(token=token)):
                raise AssertionError
        assert caught.value.code == "FORBIDDEN"


@within(30)
async def test_listings_do_without_what_a_listener_forbids() -> None:
    """What it allows is listed, with None where the details are forbidden; a listing that is forbidden itself says so."""
    name = f"t{uuid.uuid4().hex[:12]}"
    rows = [name, "engine::functions::list", "engine::registered-triggers::list"]
    details = ["engine::functions::info", "engine::registered-triggers::info", "engine::workers::list"]
    async with (
        _a_listener_that_grants(allowed_functions=rows, forbidden_functions=details) as (iii, url, token),
        open_iii(url, InitOptions(token=token)) as guest,
    ):
        iii.register_function(name, lambda: "served", request_format={"type": "null"})
        config, metadata = {"scope": name}, {"m": 1}
        trigger = iii.register_trigger(type="state", function_id=name, config=config, metadata=metadata)
        await trigger.wait_registered()
        (whole,) = [row for row in await iii.list_functions() if row.function_id == name]
        (known,) = [row for row in await guest.list_functions() if row.function_id == name]
        assert (whole.request_format, known.request_format) == ({"type": "null"}, None)
        (binding,) = [row for row in await guest.list_triggers() if row.id == trigger.id]
        assert (binding.config, binding.metadata) == (config, None)
        with pytest.raises(InvocationError) as caught:
            await guest.list_workers()
        assert (caught.value.code, caught.value.fate) == ("FORBIDDEN", Fate.NOT_RUN)


@within(30)
async def test_a_function_that_is_refused_without_a_word_cannot_be_seen() -> None:
    """The engine tells nobody: the registration looks like one that was accepted, and calls find no function."""
    async with (
        _a_listener_that_grants(allow_function_registration=False) as (iii, url, token),
        open_iii(url, InitOptions(token=token)) as guest,
    ):
        await guest.register_function(f"{token}::f", lambda: "served").wait_registered()
        assert guest.statistics().refused_registrations == 0
        with pytest.raises(InvocationError) as caught:
            await iii.trigger(f"{token}::f")
        assert (caught.value.code, caught.value.fate) == ("function_not_found", Fate.NOT_RUN)


@within(30)
async def test_a_listener_with_a_prefix_names_the_function_by_it() -> None:
    """The worker serves it under its own id, and a refusal, which names the prefixed one, reaches who waits for it."""
    prefix = f"p{uuid.uuid4().hex[:12]}"
    async with (
        _a_listener_that_grants(function_registration_prefix=prefix) as (iii, url, token),
        open_iii(url, InitOptions(token=token)) as guest,
    ):
        await guest.register_function("mine", lambda: "served").wait_registered()
        assert await iii.trigger(f"{prefix}::mine") == "served"
        await iii.register_function(f"{prefix}::taken", lambda: None).wait_registered()
        with pytest.raises(RegistrationRejectedError) as caught:
            await guest.register_function("taken", lambda: None).wait_registered()
        assert caught.value.function_id == f"{prefix}::taken"
        assert caught.value.owner_worker_id == iii.statistics().worker_id
        assert await iii.trigger(f"{prefix}::mine") == "served"


@within(30)
async def test_a_middleware_gets_every_call() -> None:
    """Its result is the answer, void calls are answered too, and the engine's own functions go around it."""
    engine_url, listener_url = _listener("III_TEST_MIDDLEWARE_URL")
    fresh = f"t{uuid.uuid4().hex[:12]}"

    async def middleware(data: Any) -> Any:
        return [data["function_id"], data["payload"]]

    async with open_iii(engine_url) as iii:
        await register_when_free(iii, _MIDDLEWARE, middleware)
        async with open_iii(listener_url) as guest:
            assert await guest.trigger(f"{fresh}::any", 1) == [f"{fresh}::any", 1]
            assert "functions" in await guest.trigger("engine::functions::list", {"prefix": fresh})
            await guest.trigger(f"{fresh}::void", 2, action=TriggerAction.Void())
            while guest.statistics().unknown_results == 0:
                await guest.trigger(f"{fresh}::any", 3)
            assert guest.statistics().calls_in_flight == 0
