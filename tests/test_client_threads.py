"""`from_thread`: what sync handlers and other threads call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from iii_trio import III, EnqueueResult, InvocationError, TriggerAction, current_invocation
from iii_trio._wire.messages import InvokeFunction
from iii_trio.errors import ClientClosed, ConfigurationError, Fate, InvocationTimeout, PayloadError, WouldBlock
from iii_trio.testing import open_engine
from tests.conftest import Gate, Link, MemoryLink, frames


async def _echo(data: Any) -> Any:
    return data


async def in_foreign_thread(function: Callable[[], Any]) -> Any:
    """Run `function` in a thread that trio knows nothing of."""
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend([function(), None])
        except BaseException as error:
            outcome.extend([None, error])
        token.run_sync_soon(done.set)

    threading.Thread(target=run, daemon=True).start()
    await done.wait()
    value, error = outcome
    if error is not None:
        raise error
    return value


WHERE = [
    pytest.param(in_foreign_thread, id="foreign-thread"),
    pytest.param(trio.to_thread.run_sync, id="thread-of-trio"),
]


@attrs.frozen
class User:
    """A result."""

    name: str


@pytest.mark.parametrize("where", WHERE)
async def test_a_thread_can_do_what_a_task_can(link: MemoryLink, where: Any) -> None:
    """Calls with all arguments, void ones and enqueued ones."""
    receipts: list[Any] = []

    def work(iii: III) -> None:
        call = iii.from_thread.trigger
        assert call("echo", [1]) == [1]
        assert call({"function_id": "echo", "payload": 2}) == 2
        assert call("echo", {"name": "Ada"}, returns=User) == User("Ada")
        assert call("echo", 1, action=TriggerAction.Void()) is None
        receipts.append(call("echo", 1, action=TriggerAction.Enqueue(queue="q")))
        iii.from_thread.trigger_nowait("echo", 3)

    with trio.fail_after(10):
        async with link.client() as iii:
            iii.register_function("echo", _echo)
            await iii.register_function("engine::queue::enqueue", _echo, force=True).wait_registered()
            await where(lambda: work(iii))
            await iii.trigger("echo")
    assert isinstance(receipts[0], EnqueueResult)
    sent = [frame.data for frame in frames(link.engine, InvokeFunction, function_id="echo")]
    assert sent == [[1], 2, {"name": "Ada"}, 1, 1, 3, None]


@pytest.mark.parametrize("where", WHERE)
async def test_errors_come_out_of_a_thread_as_out_of_a_task(link: MemoryLink, where: Any) -> None:
    """The same classes."""
    with trio.fail_after(10):
        async with link.client(max_outbox_frames=1) as iii:
            await iii.register_function("gate", Gate()).wait_registered()
            with pytest.raises(InvocationError, match="function_not_found"):
                await where(lambda: iii.from_thread.trigger("nobody"))
            with pytest.raises(InvocationTimeout):
                await where(lambda: iii.from_thread.trigger("gate", timeout_ms=1))
            with pytest.raises(PayloadError):
                await where(lambda: iii.from_thread.trigger("gate", object()))
            with pytest.raises(PayloadError):
                await where(lambda: iii.from_thread.trigger_nowait("gate", object()))
            with pytest.raises(ConfigurationError):
                await where(lambda: iii.from_thread.trigger("gate", timeout_ms=-1))
            link.wire.stall()
            iii.trigger_nowait("gate")
            await trio.testing.wait_all_tasks_blocked()
            iii.trigger_nowait("gate")
            with pytest.raises(WouldBlock):
                await where(lambda: iii.from_thread.trigger_nowait("gate"))
            link.wire.flow()


async def test_trios_own_thread_is_refused(link: MemoryLink) -> None:
    """It would wait for itself."""
    async with link.client() as iii:
        for call in (iii.from_thread.trigger, iii.from_thread.trigger_nowait):
            with pytest.raises(ConfigurationError, match="from_thread is for threads"):
                call("f")
        await trio.testing.wait_all_tasks_blocked()
    assert frames(link.engine, InvokeFunction, function_id="f") == []


@pytest.mark.parametrize("where", WHERE)
async def test_a_closed_client_is_closed_for_threads_too(link: MemoryLink, where: Any) -> None:
    """ClientClosed, at once and while a call is under way."""
    with trio.fail_after(10):
        gate = Gate()
        async with link.client() as iii:
            await iii.register_function("gate", gate).wait_registered()
            errors: list[ClientClosed] = []

            async def call() -> None:
                with pytest.raises(ClientClosed) as caught:
                    await where(lambda: iii.from_thread.trigger("gate"))
                errors.append(caught.value)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(call)
                await gate.wait_entered()
                await iii.aclose()
            assert errors[0].fate is Fate.MAY_HAVE_RUN
            with pytest.raises(ClientClosed):
                await where(lambda: iii.from_thread.trigger("gate"))
            with pytest.raises(ClientClosed):
                await where(lambda: iii.from_thread.trigger_nowait("gate"))


def test_after_the_end_of_the_run_a_client_is_closed() -> None:
    """Nobody is left who could make the call."""
    clients: list[III] = []

    async def main() -> None:
        async with open_engine() as engine, Link(engine).client() as iii:
            clients.append(iii)

    trio.run(main)
    for call in (clients[0].from_thread.trigger, clients[0].from_thread.trigger_nowait):
        with pytest.raises(ClientClosed):
            call("f")


async def test_a_sync_handler_calls_siblings(link: MemoryLink) -> None:
    """Sync ones as well, and knows its own invocation all the while."""
    with trio.fail_after(10):
        async with link.client() as iii:

            def outer(data: int) -> Any:
                before = current_invocation()
                inner = iii.from_thread.trigger("inner", data)
                iii.from_thread.trigger_nowait("inner", data)
                after = current_invocation()
                return [inner, before is after and before is not None and before.function_id]

            def inner(data: int) -> Any:
                invocation = current_invocation()
                return [data, invocation and invocation.function_id]

            iii.register_function("outer", outer)
            iii.register_function("inner", inner)
            assert await iii.trigger("outer", 7) == [[7, "inner"], "outer"]


async def test_cancelling_the_host_of_a_thread_ends_its_call(link: MemoryLink) -> None:
    """A thread that trio waits for comes back, and its call leaves no entry."""
    with trio.fail_after(10):
        gate = Gate()
        async with link.client() as iii, trio.open_nursery() as nursery:
            await iii.register_function("gate", gate).wait_registered()

            async def host() -> None:
                await trio.to_thread.run_sync(lambda: iii.from_thread.trigger("gate"))

            nursery.start_soon(host)
            await gate.wait_entered()
            nursery.cancel_scope.cancel()
        assert iii.statistics().calls_in_flight == 0


async def test_a_thread_of_another_run_calls_in_the_clients_own(link: MemoryLink) -> None:
    """Two runs in two threads: the call is made where the client lives, from a task's thread over there."""
    with trio.fail_after(10):
        async with link.client() as iii:
            await iii.register_function("echo", _echo).wait_registered()

            async def elsewhere() -> Any:
                return await trio.to_thread.run_sync(lambda: iii.from_thread.trigger("echo", 1))

            async def elsewhere_nowait() -> None:
                await trio.to_thread.run_sync(lambda: iii.from_thread.trigger_nowait("echo", 2))

            assert await trio.to_thread.run_sync(lambda: trio.run(elsewhere)) == 1
            await trio.to_thread.run_sync(lambda: trio.run(elsewhere_nowait))
            assert await iii.trigger("echo", 3) == 3
