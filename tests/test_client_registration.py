"""Registering functions: the forms, what the engine hears of them, and how one learns what it made of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, InvocationError
from iii_trio._wire.messages import InvocationResult, RegisterFunction, UnregisterFunction
from iii_trio.errors import ClientClosed, ConfigurationError, Fate, PayloadError, RegistrationRejectedError
from iii_trio.protocol import RegisterFunctionInput
from iii_trio.runtime import FunctionRef
from tests.conftest import Gate, MemoryLink, frames, start


async def _echo(data: Any) -> Any:
    return data


_DESCRIBED: dict[str, Any] = {
    "description": "Says it back.",
    "metadata": {"public": True},
    "request_format": {"type": "string"},
    "response_format": {"type": "string"},
}


# ---- the forms ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["keywords", "value", "dict", "decorator", "decorator-of-a-dict"])
async def test_a_function_can_be_described_in_every_form(link: MemoryLink, form: str) -> None:
    """Id and keywords, a value or a dict, as a call or as a decorator: the engine hears the same, and lists it."""
    async with link.client() as iii:
        ref: FunctionRef[Any]
        match form:
            case "keywords":
                ref = iii.register_function("echo", _echo, **_DESCRIBED)
            case "value":
                ref = iii.register_function(RegisterFunctionInput(id="echo", **_DESCRIBED), _echo)
            case "dict":
                ref = iii.register_function({"id": "echo", **_DESCRIBED}, _echo)
            case "decorator":
                ref = iii.function("echo", **_DESCRIBED)(_echo)
            case _:
                ref = iii.function({"id": "echo", **_DESCRIBED})(_echo)
        await ref.wait_registered()
        assert ref.id == "echo"
        info = await iii.trigger("engine::functions::info", {"function_id": "echo"})
        assert await iii.trigger("echo", 1) == 1
    (frame,) = frames(link.engine, RegisterFunction)
    assert frame == RegisterFunction(id="echo", **_DESCRIBED)
    assert (info["description"], info["metadata"]) == (_DESCRIBED["description"], _DESCRIBED["metadata"])
    assert (info["request_schema"], info["response_schema"]) == ({"type": "string"}, {"type": "string"})


async def test_calling_the_handle_calls_the_handler(link: MemoryLink) -> None:
    """Here, without the engine; so a decorated function stays of use to its own module."""
    async with link.client() as iii:

        @iii.function("double")
        async def double(data: int) -> int:
            return 2 * data

        @iii.function("half", concurrency=2, timeout=5)
        def half(data: int) -> float:
            return data / 2

        assert await double(4) == 8
        assert half(4) == 2
        assert double.handler is not double
        assert repr(double).startswith("<FunctionRef 'double'")


async def test_two_decorators_offer_one_handler_under_two_ids(link: MemoryLink) -> None:
    """The second one takes the handler out of the first one's handle."""
    async with link.client() as iii:

        @iii.function("second")
        @iii.function("first")
        async def handler(data: Any) -> Any:
            return data

        await handler.wait_registered()
        assert await iii.trigger("first", 1) == 1
        assert await iii.trigger("second", 2) == 2


def _nothing() -> None:
    """A handler."""


@pytest.mark.parametrize(
    ("function", "keywords", "names"),
    [
        pytest.param("", {}, ["id"], id="blank"),
        pytest.param("  ", {}, ["id"], id="spaces"),
        pytest.param(7, {}, ["int"], id="number"),
        pytest.param({"description": "x"}, {}, ["id"], id="no-id"),
        pytest.param({"id": "f", "descripton": "x", "nam": 1}, {}, ["descripton", "nam"], id="unknown-fields"),
        pytest.param({"id": "f"}, {"description": "x"}, ["description"], id="twice"),
        pytest.param("f", {"description": 7}, ["description"], id="description"),
        pytest.param("f", {"metadata": [1]}, ["metadata"], id="metadata"),
        pytest.param("f", {"request_format": "x"}, ["request_format"], id="format"),
        pytest.param("f", {"concurrency": 0}, ["concurrency", "'f'"], id="no-concurrency"),
        pytest.param("f", {"concurrency": True}, ["concurrency", "'f'"], id="true-concurrency"),
        pytest.param("f", {"concurrency": 1.5}, ["concurrency", "'f'"], id="half-concurrency"),
        pytest.param("f", {"timeout": 0}, ["timeout", "'f'"], id="no-time"),
        pytest.param("f", {"timeout": -1}, ["timeout", "'f'"], id="negative-time"),
        pytest.param("f", {"timeout": math.nan}, ["timeout", "'f'"], id="nan-time"),
        pytest.param("f", {"timeout": "5"}, ["timeout", "'f'"], id="text-time"),
        pytest.param("f", {"timeout": 10**400}, ["timeout", "'f'"], id="endless-time"),
        pytest.param("f", {"timeout": True}, ["timeout", "'f'"], id="true-time"),
    ],
)
async def test_a_description_that_is_wrong_is_refused_with_the_names_of_its_faults(
    link: MemoryLink, function: Any, keywords: dict[str, Any], names: list[str]
) -> None:
    """And nothing is registered."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError) as caught:
            iii.register_function(function, _nothing, **keywords)
        assert all(name in str(caught.value) for name in names)
        assert iii.statistics().functions == 0
        await trio.testing.wait_all_tasks_blocked()
    assert frames(link.engine, RegisterFunction) == []


async def test_a_description_that_cannot_be_sent_is_refused(link: MemoryLink) -> None:
    """PayloadError with the path, and the id stays free."""
    async with link.client() as iii:
        with pytest.raises(PayloadError) as caught:
            iii.register_function("f", _nothing, metadata={"a": [math.nan]})
        assert caught.value.path == "metadata.a[0]"
        await iii.register_function("f", _nothing).wait_registered()


async def test_an_id_can_be_registered_once(link: MemoryLink) -> None:
    """Until it is unregistered; the second handler is not taken."""
    async with link.client() as iii:
        iii.register_function("echo", _echo)
        with pytest.raises(ConfigurationError, match="'echo' is registered already"):
            iii.register_function("echo", _nothing)
        assert await iii.trigger("echo", 1) == 1
        assert iii.statistics().functions == 1


@pytest.mark.parametrize(
    "function_id", ["engine::workers::register", "state::get", "stream::x", "iii::x", "configuration::x", "publish"]
)
async def test_ids_of_the_engine_need_force(link: MemoryLink, function_id: str) -> None:
    """A worker that registers one takes it from everybody."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="force=True"):
            iii.register_function(function_id, _echo)
        with pytest.raises(ConfigurationError, match="force=True"):
            iii.function(function_id)(_echo)
        await iii.register_function(function_id, _echo, force=True).wait_registered()


# ---- what the engine makes of it ------------------------------------------------------------------------------------


async def test_wait_registered_ends_when_the_engine_has_the_function(link: MemoryLink) -> None:
    """And at once when it is known already."""
    async with link.client() as iii:
        ref = iii.register_function("echo", _echo)
        await ref.wait_registered()
        rows = await iii.trigger("engine::functions::list", {"prefix": "echo"})
        assert [row["function_id"] for row in rows["functions"]] == ["echo"]
        await ref.wait_registered()


async def test_functions_registered_offline_are_offered_on_the_next_connection(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """Waiting for one waits for the connection too."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        await link.go_down()
        ref = iii.register_function("echo", _echo)
        waiting = start(nursery, ref.wait_registered)
        await trio.sleep(10)
        assert not waiting.done.is_set()
        link.is_up = True
        await waiting.wait()
        assert await iii.trigger("echo", 1) == 1


async def test_a_lost_link_makes_registrations_wait_for_the_next_one(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """What the old engine had accepted is nothing to the new connection until it was replayed."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        ref = iii.register_function("echo", _echo)
        await ref.wait_registered()
        await link.go_down()
        waiting = start(nursery, ref.wait_registered)
        await trio.sleep(10)
        assert not waiting.done.is_set()
        link.is_up = True
        await waiting.wait()
        assert len(frames(link.engine, RegisterFunction, id="echo")) == 2


async def test_a_conflict_is_raised_where_it_is_waited_for(link: MemoryLink) -> None:
    """It names the id, the namespace and the owner; the first owner keeps the function."""
    async with link.client(namespace="shop") as first, link.client(namespace="shop") as second:
        await first.register_function("echo", _echo).wait_registered()
        ref = second.register_function("echo", _nothing)
        with pytest.raises(RegistrationRejectedError):
            await ref.wait_registered()
        with pytest.raises(RegistrationRejectedError) as caught:
            await ref.wait_registered()
        error = caught.value
        assert (error.code, error.namespace) == ("FUNCTION_NAMESPACE_CONFLICT", "shop")
        assert (error.function_id, error.owner_worker_id) == ("echo", first.statistics().worker_id)
        assert "'echo'" in str(error)
        assert "refused" in repr(ref)
        assert await second.trigger("echo", 1) == 1


async def test_every_wait_gets_an_error_of_its_own(link: MemoryLink) -> None:
    """Two tasks that raise one exception object would mix their tracebacks."""
    async with link.client() as first, link.client() as second, trio.open_nursery() as nursery:
        await first.register_function("echo", _echo).wait_registered()
        ref = second.register_function("echo", _echo)
        waits = [start(nursery, ref.wait_registered) for _ in range(2)]
        for wait in waits:
            await wait.done.wait()
        errors = [wait.error for wait in waits]
        assert all(isinstance(error, RegistrationRejectedError) for error in errors)
        assert errors[0] is not errors[1]


async def test_a_refused_function_can_be_withdrawn_and_offered_again(link: MemoryLink) -> None:
    """Once its owner has let it go, it is ours."""
    async with link.client() as first, link.client() as second:
        theirs = first.register_function("echo", _echo)
        await theirs.wait_registered()
        ref = second.register_function("echo", _echo)
        with pytest.raises(RegistrationRejectedError):
            await ref.wait_registered()
        ref.unregister()
        theirs.unregister()
        await first.register_function("barrier", _echo).wait_registered()
        await second.register_function("echo", _echo).wait_registered()


async def test_waiting_for_a_withdrawn_function_is_an_error(link: MemoryLink) -> None:
    """Withdrawn before, or while it is waited for."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        ref = iii.register_function("echo", _echo)
        waiting = start(nursery, ref.wait_registered)
        await trio.lowlevel.checkpoint()
        ref.unregister()
        for wait in (waiting.wait, ref.wait_registered):
            with pytest.raises(ConfigurationError, match="'echo' was unregistered"):
                await wait()


@pytest.mark.parametrize("offline", [False, True], ids=["online", "offline"])
async def test_waiting_for_a_registration_ends_with_the_client(
    link: MemoryLink, autojump_clock: MockClock, offline: bool
) -> None:
    """ClientClosed, with a link or without one, closed before or meanwhile."""
    async with trio.open_nursery() as nursery:
        async with link.client() as iii:
            if offline:
                await link.go_down()
            else:
                link.wire.stall()
            ref = iii.register_function("echo", _echo)
            waiting = start(nursery, ref.wait_registered)
            await trio.testing.wait_all_tasks_blocked()
            assert not waiting.done.is_set()
        for wait in (waiting.wait, ref.wait_registered):
            with pytest.raises(ClientClosed) as caught:
                await wait()
            assert (caught.value.function_id, caught.value.fate) == ("echo", Fate.NEVER_SENT)


async def test_a_thousand_functions_are_waited_for_together(link: MemoryLink) -> None:
    """Each is confirmed, by barriers that they share."""
    async with link.client() as iii:
        refs = [iii.register_function(f"f{number}", _echo) for number in range(1_000)]
        async with trio.open_nursery() as nursery:
            for ref in refs:
                nursery.start_soon(ref.wait_registered)
        assert iii.statistics().functions == 1_000
        assert await iii.trigger("f999", 1) == 1
        listed = await iii.trigger("engine::functions::list", {"prefix": "f"})
        assert len(listed["functions"]) == 1_000


async def test_a_thousand_functions_survive_a_lost_link(link: MemoryLink, autojump_clock: MockClock) -> None:
    """All of them are replayed before calls flow."""
    async with link.client() as iii:
        refs = [iii.register_function(f"f{number}", _echo) for number in range(1_000)]
        await refs[-1].wait_registered()
        await link.go_down()
        link.is_up = True
        assert await iii.trigger("f0", 1) == 1
        assert await iii.trigger("f999", 1) == 1
        for ref in refs:
            await ref.wait_registered()


# ---- unregistering --------------------------------------------------------------------------------------------------


async def test_an_unregistered_function_is_not_found(link: MemoryLink) -> None:
    """A second time does nothing, and the id can be registered again."""
    async with link.client() as iii:
        ref = iii.register_function("echo", _echo)
        await ref.wait_registered()
        ref.unregister()
        ref.unregister()
        with pytest.raises(InvocationError) as caught:
            await iii.trigger("echo", 1)
        assert (caught.value.code, caught.value.fate) == ("function_not_found", Fate.NOT_RUN)
        again = iii.register_function("echo", _echo)
        ref.unregister()
        await again.wait_registered()
        assert await iii.trigger("echo", 1) == 1
        assert len(frames(link.engine, UnregisterFunction)) == 1


async def test_what_runs_goes_on_when_its_function_is_unregistered(link: MemoryLink) -> None:
    """Its answer arrives."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        ref = iii.register_function("gate", gate)
        await ref.wait_registered()
        call = start(nursery, iii.trigger, "gate", 1)
        await gate.wait_entered()
        ref.unregister()
        await iii.register_function("barrier", _echo).wait_registered()
        gate.open()
        assert await call.wait() == 1


async def test_an_invocation_that_was_on_its_way_is_refused(link: MemoryLink) -> None:
    """function_not_found: the handler did not run."""
    async with link.client() as iii:
        before = iii.statistics().accepted_invocations
        link.say(type="invokefunction", invocation_id="7d0f5b5e-0b6f-4a55-8a58-3f6a6d5a8f11", function_id="x", data=1)
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().accepted_invocations == before
        (answer,) = frames(link.engine, InvocationResult)
        assert answer.error is not None
        assert (answer.error.code, "'x'" in answer.error.message) == ("function_not_found", True)


async def test_unregistering_offline_needs_no_word_to_the_engine(link: MemoryLink, autojump_clock: MockClock) -> None:
    """It is simply not replayed."""
    async with link.client() as iii:
        ref = iii.register_function("echo", _echo)
        await ref.wait_registered()
        await link.go_down()
        ref.unregister()
        link.is_up = True
        with pytest.raises(InvocationError, match="function_not_found"):
            await iii.trigger("echo", 1)
        assert frames(link.engine, UnregisterFunction) == []


async def test_order_is_kept_between_registrations_and_calls(link: MemoryLink) -> None:
    """A call that is made after a registration finds it, without waiting for it."""

    async def round_trip(iii: III, number: int) -> None:
        ref = iii.register_function(f"f{number}", _echo)
        assert await iii.trigger(f"f{number}", number) == number
        ref.unregister()
        with pytest.raises(InvocationError):
            await iii.trigger(f"f{number}", number)

    async with link.client() as iii:
        for number in range(20):
            await round_trip(iii, number)
