"""Every async method of the client is a checkpoint when it returns, and no sync one is."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from trio.testing import assert_checkpoints, assert_no_checkpoints

from iii_trio import TriggerAction, connect_iii, current_invocation, open_iii
from tests._operations import OPERATIONS
from tests.conftest import MemoryLink
from tests.test_client_custom_streams import Shelf


async def _echo(data: Any) -> Any:
    return data


async def test_every_async_method_checkpoints(link: MemoryLink) -> None:
    """Also where there is nothing to wait for."""
    async with link.client() as iii:
        ref = iii.register_function("echo", _echo)
        with assert_checkpoints():
            await ref.wait_registered()
        with assert_checkpoints():
            await ref.wait_registered()
        with assert_checkpoints():
            await iii.wait_connected()
        with assert_checkpoints():
            await iii.trigger("echo")
        with assert_checkpoints():
            await iii.trigger("echo", action=TriggerAction.Void())
        stream = iii.create_stream("todos", Shelf())
        with assert_checkpoints():
            await stream.wait_registered()
        with assert_checkpoints():
            await stream.wait_registered()
        for operation in OPERATIONS.values():
            with assert_checkpoints():
                await operation(iii)
        with assert_checkpoints():
            await iii.aclose()
        with assert_checkpoints():
            await iii.aclose()
        with assert_checkpoints():
            await iii.shutdown()
        with assert_checkpoints():
            await iii.drain()
        with assert_checkpoints():
            await iii.serve()


async def test_the_doors_checkpoint(link: MemoryLink) -> None:
    """On the way in and on the way out."""
    manager = open_iii(link.engine.url, open_stream=link.open_stream)
    with assert_checkpoints():
        await manager.__aenter__()
    with assert_checkpoints():
        await manager.__aexit__(None, None, None)
    async with trio.open_nursery() as nursery:
        with assert_checkpoints():
            iii = await connect_iii(nursery, link.engine.url, open_stream=link.open_stream)
        await iii.aclose()


async def test_no_sync_method_checkpoints(link: MemoryLink) -> None:
    """They may be called between any two steps of a task."""
    async with link.client() as iii:
        with assert_no_checkpoints():
            ref = iii.register_function("echo", _echo)
            iii.function("echo2")(_echo)
            iii.trigger_nowait("echo")
            iii.statistics()
            iii.get_connection_state()
            repr(iii)
            repr(ref)
            assert ref.id == "echo"
            ref.unregister()
            iii.create_stream("todos", Shelf()).unregister()
            iii.on_functions_available(lambda functions: None)()
            current_invocation()
