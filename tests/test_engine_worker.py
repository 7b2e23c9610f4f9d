"""The main job end to end, over real sockets: against the embedded engine, and against the one of III_TEST_URL if set.

Every test uses ids, names and namespaces of its own, so that it can run again on an engine that has seen it before.
"""

from __future__ import annotations

import datetime
import os
import uuid
from typing import Any, Final

import attrs
import pytest
import trio

from iii_trio import (
    EnqueueResult,
    InitOptions,
    InvocationError,
    TriggerAction,
    connect_iii,
    current_invocation,
    open_iii,
)
from iii_trio._link.choice import find_transport
from iii_trio.errors import (
    ConnectionLost,
    Fate,
    InvalidResult,
    InvocationTimeout,
    PayloadError,
    RegistrationRejectedError,
)
from tests._engines import Engine, register_when_free, within
from tests.conftest import FaultyStream, Gate, Link, start
from tests.interop.engines import until

pytestmark = pytest.mark.engine

MIB: Final = 1024 * 1024


@pytest.fixture
def sut(engine_url: str) -> Engine:
    """The engine under test."""
    return Engine(engine_url)


@pytest.fixture
def link(sut: Engine) -> Link[Engine]:
    """A link to it that can misbehave."""
    return Link(sut)


async def _echo(data: Any) -> Any:
    return data


# ---- calls ----------------------------------------------------------------------------------------------------------


@within(30)
async def test_a_function_is_registered_called_and_withdrawn(engine_url: str, fresh: str) -> None:
    """The life of a function."""
    async with open_iii(engine_url) as iii:
        ref = iii.register_function(f"{fresh}::echo", _echo)
        await ref.wait_registered()
        payloads: list[Any] = [None, {"a": [1, None, "€"]}, [], 0, False, "text"]
        for payload in payloads:
            assert await iii.trigger(f"{fresh}::echo", payload) == payload
        ref.unregister()
        with pytest.raises(InvocationError) as caught:
            await iii.trigger(f"{fresh}::echo")
        assert (caught.value.code, caught.value.fate) == ("function_not_found", Fate.NOT_RUN)
        await iii.register_function(f"{fresh}::echo", _echo).wait_registered()
        assert await iii.trigger(f"{fresh}::echo", 1) == 1


@within(30)
async def test_one_worker_calls_another(engine_url: str, fresh: str) -> None:
    """Who calls is known to the callee, and is not part of the payload; metadata travels along."""

    async def who(data: Any, metadata: Any) -> Any:
        invocation = current_invocation()
        assert invocation is not None
        return [data, metadata, invocation.caller_worker_id]

    async with open_iii(engine_url) as worker, open_iii(engine_url) as caller:
        await worker.register_function(f"{fresh}::who", who).wait_registered()
        answer = await caller.trigger(f"{fresh}::who", {"a": 1}, metadata={"tenant": "acme"})
        assert answer == [{"a": 1}, {"tenant": "acme"}, caller.statistics().worker_id]


@within(30)
async def test_sync_handlers_run_in_threads_and_call_back(engine_url: str, fresh: str) -> None:
    """Ten of them at once."""
    async with open_iii(engine_url) as iii, trio.open_nursery() as nursery:

        def outer(data: int) -> int:
            return 1 + int(iii.from_thread.trigger(f"{fresh}::inner", data))

        iii.register_function(f"{fresh}::inner", _echo)
        iii.register_function(f"{fresh}::outer", outer)
        calls = [start(nursery, iii.trigger, f"{fresh}::outer", number) for number in range(10)]
        assert [await call.wait() for call in calls] == [*range(1, 11)]


@within(30)
async def test_many_calls_at_once_find_their_answers(engine_url: str, fresh: str) -> None:
    """Two hundred, over one connection each way."""
    async with open_iii(engine_url) as worker, open_iii(engine_url) as caller, trio.open_nursery() as nursery:
        await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
        calls = [start(nursery, caller.trigger, f"{fresh}::echo", number) for number in range(200)]
        assert [await call.wait() for call in calls] == [*range(200)]


@within(30)
async def test_errors_reach_the_caller(engine_url: str, fresh: str) -> None:
    """What the handler raised, a code of its own, results that cannot be sent, and shapes that are not there."""

    async def fail(data: str) -> Any:
        if data == "value":
            raise ValueError("no good")
        if data == "mine":
            raise InvocationError("out_of_stock", "none left")
        return {"price": float(data)}

    async with open_iii(engine_url, InitOptions(send_stack_traces=True)) as iii:
        iii.register_function(f"{fresh}::fail", fail)
        for data, code, words in (
            ("value", "invocation_failed", "ValueError: no good"),
            ("mine", "out_of_stock", "none left"),
            ("nan", "invocation_failed", "$.price"),
        ):
            with pytest.raises(InvocationError, match=code) as caught:
                await iii.trigger(f"{fresh}::fail", data)
            assert caught.value.fate is Fate.RAN
            assert words in caught.value.message
            assert (caught.value.stacktrace is None) == (data == "nan")
        with pytest.raises(InvalidResult):
            await iii.trigger(f"{fresh}::fail", "7", returns=int)


@within(30)
async def test_a_void_call_runs_and_answers_nothing(engine_url: str, fresh: str) -> None:
    """In all three ways to make one; to a function that nobody has as well."""
    gate = Gate()
    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::gate", gate).wait_registered()
        await iii.trigger(f"{fresh}::gate", 1, action=TriggerAction.Void())
        iii.trigger_nowait(f"{fresh}::gate", 2)
        await iii.trigger({"function_id": f"{fresh}::gate", "action": {"type": "void"}})
        iii.trigger_nowait(f"{fresh}::nobody")
        await gate.wait_entered(3)
        gate.open()
        with pytest.raises(InvocationError):
            await iii.trigger(f"{fresh}::nobody")
        statistics = iii.statistics()
        assert (statistics.unknown_results, statistics.calls_in_flight) == (0, 0)


@within(30)
async def test_enqueued_work_gets_a_receipt_and_is_done_later(engine_url: str, fresh: str) -> None:
    """By a queue worker, which neither engine has of its own: this one is as good as any to whoever enqueues meanwhile."""
    done: list[Any] = []
    finished = trio.Event()

    async def job(data: Any) -> None:
        done.append(data)
        finished.set()

    async def provide(data: Any) -> None:
        iii.trigger_nowait(data["function_id"], data["data"], namespace=data.get("namespace", "default"))

    async with open_iii(engine_url) as iii:
        await register_when_free(iii, "engine::queue::enqueue", provide)
        await iii.register_function(f"{fresh}::job", job).wait_registered()
        receipt = await iii.trigger(f"{fresh}::job", {"n": 7}, action=TriggerAction.Enqueue(queue="default"))
        assert isinstance(receipt, EnqueueResult)
        assert str(uuid.UUID(receipt.messageReceiptId)) == receipt.messageReceiptId
        await finished.wait()
    assert done == [{"n": 7}]


@within(30)
async def test_a_late_answer_is_dropped(engine_url: str, fresh: str) -> None:
    """After a time-out and after a cancellation; the next call is not disturbed."""
    gate = Gate()
    async with open_iii(engine_url) as worker, open_iii(engine_url) as iii:
        await worker.register_function(f"{fresh}::gate", gate).wait_registered()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger(f"{fresh}::gate", 1, timeout_ms=100)
        assert caught.value.fate is Fate.MAY_HAVE_RUN
        with trio.move_on_after(0.1) as scope:
            await iii.trigger(f"{fresh}::gate", 2)
        assert scope.cancelled_caught
        await gate.wait_entered(2)
        gate.open()
        assert await iii.trigger(f"{fresh}::gate", 3) == 3
        # Neither engine keeps the order of answers, so they may come after the third.
        while iii.statistics().unknown_results < 2:
            assert await iii.trigger(f"{fresh}::gate", 4) == 4
        assert iii.statistics().calls_in_flight == 0


@within(30)
async def test_a_callee_that_is_lost_ends_the_call(link: Link[Engine], fresh: str) -> None:
    """At once, and the fate says that it may have run."""
    gate = Gate()
    async with open_iii(link.engine.url) as iii, link.client() as worker, trio.open_nursery() as nursery:
        await worker.register_function(f"{fresh}::gate", gate).wait_registered()
        call = start(nursery, iii.trigger, f"{fresh}::gate")
        await gate.wait_entered()
        link.is_up = False
        link.wire.cut()
        with pytest.raises(ConnectionLost) as caught:
            await call.wait()
        assert caught.value.fate is Fate.MAY_HAVE_RUN


# ---- sizes ----------------------------------------------------------------------------------------------------------


@within(60)
async def test_five_mebibytes_travel_both_ways(engine_url: str, fresh: str) -> None:
    """In one message each."""
    payload = "x" * (5 * MIB)
    async with open_iii(engine_url) as worker, open_iii(engine_url) as caller:
        await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
        assert await caller.trigger(f"{fresh}::echo", payload) == payload


@within(60)
async def test_the_largest_message_arrives(engine_url: str, fresh: str) -> None:
    """What is larger is refused here, the connection lives on; a result that is larger is answered with its fault."""
    limit = find_transport("auto").MAX_OUTGOING

    async def produce(size: int) -> str:
        return "x" * size

    async def measure(text: str) -> int:
        return len(text)

    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::produce", produce).wait_registered()
        await iii.register_function(f"{fresh}::measure", measure).wait_registered()
        with pytest.raises(PayloadError, match=f"at most {limit} "):
            await iii.trigger(f"{fresh}::measure", "x" * limit)
        with pytest.raises(InvocationError, match=f"at most {limit} "):
            await iii.trigger(f"{fresh}::produce", limit)
        for size in (16 * MIB - 1_000, limit - 1_000):
            assert await iii.trigger(f"{fresh}::measure", "x" * size) == size
            assert len(await iii.trigger(f"{fresh}::produce", size)) == size
        assert iii.statistics().connects == 1


@within(30)
async def test_a_payload_may_be_nested_126_deep(engine_url: str, fresh: str) -> None:
    """One deeper is refused here, where the engine would drop it without a word."""
    payload: Any = 0
    for _ in range(126):
        payload = [payload]

    async def depth(data: Any) -> int:
        levels = 0
        while isinstance(data, list):
            data, levels = data[0], levels + 1
        return levels

    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::depth", depth).wait_registered()
        assert await iii.trigger(f"{fresh}::depth", payload) == 126
        with pytest.raises(PayloadError, match="nested"):
            await iii.trigger(f"{fresh}::depth", [payload])


@within(30)
async def test_the_largest_numbers_arrive(engine_url: str, fresh: str) -> None:
    """To the last digit."""
    numbers = [2**64 - 1, -(2**63), 1.5, 0.1, 1e300]
    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::echo", _echo).wait_registered()
        assert await iii.trigger(f"{fresh}::echo", numbers) == numbers


# ---- registrations --------------------------------------------------------------------------------------------------


@within(30)
async def test_an_id_has_one_owner(engine_url: str, fresh: str) -> None:
    """The second is refused, by name; once the first has gone, another may have it."""
    async with open_iii(engine_url) as second:
        async with open_iii(engine_url) as first:
            await first.register_function(f"{fresh}::echo", _echo).wait_registered()
            ref = second.register_function(f"{fresh}::echo", lambda: "second")
            with pytest.raises(RegistrationRejectedError) as caught:
                await ref.wait_registered()
            assert caught.value.code == "FUNCTION_NAMESPACE_CONFLICT"
            assert caught.value.function_id == f"{fresh}::echo"
            assert caught.value.owner_worker_id == first.statistics().worker_id
            assert await second.trigger(f"{fresh}::echo", "first") == "first"
            ref.unregister()
        ref = second.register_function(f"{fresh}::echo", lambda: "second")
        await ref.wait_registered()
        assert await second.trigger(f"{fresh}::echo") == "second"


@within(30)
async def test_an_id_that_the_engine_reserves_has_no_owner(engine_url: str, fresh: str) -> None:
    """Outside of ``default`` nobody has an id of the engine's; there is nobody to wait for, and the worker lives on."""
    async with open_iii(engine_url, InitOptions(namespace=fresh)) as iii:
        ref = iii.register_function("engine::mine", _echo, force=True, on_conflict="standby")
        with pytest.raises(RegistrationRejectedError, match="is refused in namespace") as caught:
            await ref.wait_registered()
        assert (caught.value.code, caught.value.owner_worker_id) == ("FUNCTION_NAMESPACE_CONFLICT", "")
        assert (caught.value.namespace, caught.value.function_id) == (fresh, "engine::mine")
        statistics = iii.statistics()
        assert (statistics.refused_registrations, statistics.standby_functions) == (1, 0)
        await iii.register_function("mine", _echo).wait_registered()
        assert await iii.trigger("mine", 1) == 1


@within(30)
async def test_a_name_has_one_owner(engine_url: str, fresh: str) -> None:
    """The second worker is refused on entering, and says whose name it is."""
    options = InitOptions(worker_name=fresh)
    async with open_iii(engine_url, options) as first:
        with pytest.raises(RegistrationRejectedError) as caught:
            async with open_iii(engine_url, options):
                raise AssertionError
        assert (caught.value.code, caught.value.worker_name) == ("WORKER_NAMESPACE_CONFLICT", fresh)
        assert caught.value.owner_worker_id == first.statistics().worker_id
    async with open_iii(engine_url, options):
        pass


@within(30)
async def test_three_hundred_functions_are_registered_together(engine_url: str, fresh: str) -> None:
    """All are listed, and the last one answers."""
    async with open_iii(engine_url) as iii:
        refs = [iii.register_function(f"{fresh}::{number}", _echo) for number in range(300)]
        async with trio.open_nursery() as nursery:
            for ref in refs:
                nursery.start_soon(ref.wait_registered)
        listed = await iii.trigger("engine::functions::list", {"prefix": f"{fresh}::"})
        assert {row["function_id"] for row in listed["functions"]} == {ref.id for ref in refs}
        assert await iii.trigger(f"{fresh}::299", 1) == 1


@within(30)
async def test_the_engine_lists_what_a_function_says_of_itself(engine_url: str, fresh: str) -> None:
    """Description, metadata and formats, and the worker with its name and description."""
    options = InitOptions(worker_name=fresh, worker_description="Sells.")
    async with open_iii(engine_url, options) as iii:
        await iii.register_function(
            f"{fresh}::f",
            _echo,
            description="Says it back.",
            metadata={"public": True},
            request_format={"type": "string"},
            response_format={"type": "integer"},
        ).wait_registered()
        listed = await iii.trigger("engine::functions::list", {"prefix": f"{fresh}::"})
        (row,) = listed["functions"]
        assert (row["function_id"], row["worker_name"], row["namespace"]) == (f"{fresh}::f", fresh, "default")
        info = await iii.trigger("engine::functions::info", {"function_id": f"{fresh}::f"})
        assert (info["description"], info["metadata"]) == ("Says it back.", {"public": True})
        assert (info["request_schema"], info["response_schema"]) == ({"type": "string"}, {"type": "integer"})
        worker = (await iii.trigger("engine::workers::info", {"name": fresh}))["worker"]
        assert (worker["description"], worker["runtime"]) == ("Sells.", "python")
        assert (worker["id"], worker["pid"]) == (iii.statistics().worker_id, os.getpid())


@attrs.frozen
class Leaf:
    """What a tree consists of, and a tree."""

    name: str
    size: float
    at: datetime.datetime
    leaves: list[Leaf] = attrs.field(factory=list)


@within(30)
async def test_a_typed_function_is_listed_with_its_schemas_and_held_to_them(engine_url: str, fresh: str) -> None:
    """Instances arrive as they were, also those that contain themselves; what does not fit is refused with its path."""

    async def grow(leaf: Leaf) -> Leaf:
        return attrs.evolve(leaf, leaves=[leaf])

    leaf = Leaf("a", 1.0, datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC))
    async with open_iii(engine_url) as iii:
        await iii.register_function(f"{fresh}::grow", grow).wait_registered()
        assert await iii.trigger(f"{fresh}::grow", leaf, returns=Leaf) == attrs.evolve(leaf, leaves=[leaf])
        with pytest.raises(InvocationError, match=r"required field missing @ \$\.leaves\[0\]\.name") as caught:
            await iii.trigger(f"{fresh}::grow", {"name": "a", "size": 1, "at": "2024-03-01T00:00:00Z", "leaves": [{}]})
        assert (caught.value.code, caught.value.fate) == ("invalid_input", Fate.NOT_RUN)
        info = await iii.trigger("engine::functions::info", {"function_id": f"{fresh}::grow"})
        assert info["request_schema"] == info["response_schema"]
        assert info["request_schema"]["required"] == ["name", "size", "at"]
        assert info["request_schema"]["properties"]["leaves"] == {"type": "array", "items": {"$ref": "#/$defs/Leaf"}}


class SlowOnce(Link[Engine]):
    """Keeps the first words of the second connection for longer than the engine waits for a namespace."""

    HOLD: Final = 2.0

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        super().__init__(engine)
        self._nursery = nursery
        self._count = 0

    async def open_stream(self) -> trio.abc.Stream:
        stream = await super().open_stream()
        self._count += 1
        if self._count == 2:
            self._nursery.start_soon(self._hold, self.wire)
        return stream

    async def _hold(self, wire: FaultyStream) -> None:
        await wire.upgraded.wait()
        wire.stall()
        await trio.sleep(self.HOLD)
        wire.flow()


@pytest.mark.slow
@within(30)
async def test_a_namespace_that_came_too_late_is_noticed_and_the_connection_renewed(
    sut: Engine, fresh: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine had settled for `default` and confirmed the registration; the functions end up where they belong."""
    async with trio.open_nursery() as nursery:
        link = SlowOnce(sut, nursery)
        async with link.client(worker_name=fresh, namespace=fresh) as worker, open_iii(sut.url) as outside:
            await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
            assert await outside.trigger(f"{fresh}::echo", 1, namespace=fresh) == 1
            link.wire.cut()
            await until(lambda: worker.statistics().connects == 3)
            assert f"the engine put this worker into 'default' in place of {fresh!r}" in caplog.text
            await worker.wait_connected()
            assert await outside.trigger(f"{fresh}::echo", 2, namespace=fresh) == 2
            with pytest.raises(InvocationError, match="not found"):
                await outside.trigger(f"{fresh}::echo", 3)
            assert worker.statistics().reconnects == 1


@within(30)
async def test_a_worker_in_a_namespace_means_its_own(engine_url: str, fresh: str) -> None:
    """Its calls find its functions, the engine's own are found too, and others only by asking for their namespace."""
    async with (
        open_iii(engine_url, InitOptions(namespace=fresh)) as inside,
        open_iii(engine_url) as outside,
    ):
        await inside.register_function(f"{fresh}::where", lambda: "inside").wait_registered()
        await outside.register_function(f"{fresh}::where", lambda: "outside").wait_registered()
        assert await inside.trigger(f"{fresh}::where") == "inside"
        assert await outside.trigger(f"{fresh}::where") == "outside"
        assert await inside.trigger(f"{fresh}::where", namespace="default") == "outside"
        assert await outside.trigger(f"{fresh}::where", namespace=fresh) == "inside"
        assert "functions" in await inside.trigger("engine::functions::list", {"prefix": fresh})
        with pytest.raises(InvocationError, match="function_not_found"):
            await inside.trigger(f"{fresh}::nowhere")
        await inside.register_function(f"{fresh}::only", _echo).wait_registered()
        with pytest.raises(InvocationError, match=fresh) as caught:
            await outside.trigger(f"{fresh}::only")
        assert caught.value.code == "function_not_found"


# ---- connections ----------------------------------------------------------------------------------------------------


@within(60)
@pytest.mark.parametrize("ghost", [False, True], ids=["noticed", "unnoticed"])
async def test_a_cut_link_is_made_anew(link: Link[Engine], fresh: str, ghost: bool) -> None:
    """Name and functions are claimed again, also where the engine believes the old connection to be alive."""
    options = {"worker_name": fresh, "namespace": fresh}
    async with link.client(**options) as worker, open_iii(link.engine.url, InitOptions(namespace=fresh)) as caller:
        ref = worker.register_function(f"{fresh}::echo", _echo)
        await ref.wait_registered()
        before = worker.statistics().worker_id
        old = link.wire
        old.is_ghost = ghost
        old.cut()
        while worker.get_connection_state() == "connected":
            await trio.lowlevel.checkpoint()
        await worker.wait_connected()
        await ref.wait_registered()
        assert await caller.trigger(f"{fresh}::echo", 1) == 1
        assert await worker.trigger(f"{fresh}::echo", 2) == 2
        statistics = worker.statistics()
        assert (statistics.connects, statistics.refused_registrations) == (2, 0)
        assert statistics.worker_id != before
        await old.bury()


@within(30)
async def test_leaving_takes_everything_back(engine_url: str, fresh: str) -> None:
    """At once: after the block nobody finds the function."""
    async with open_iii(engine_url) as caller:
        async with open_iii(engine_url) as worker:
            await worker.register_function(f"{fresh}::echo", _echo).wait_registered()
            assert await caller.trigger(f"{fresh}::echo", 1) == 1
        with pytest.raises(InvocationError, match="function_not_found"):
            await caller.trigger(f"{fresh}::echo", 1)


@within(30)
async def test_what_was_queued_is_sent_before_leaving(engine_url: str, fresh: str) -> None:
    """A void call right before the end of the block arrives."""
    gate = Gate()
    async with open_iii(engine_url) as worker:
        await worker.register_function(f"{fresh}::gate", gate).wait_registered()
        async with open_iii(engine_url) as caller:
            caller.trigger_nowait(f"{fresh}::gate")
        await gate.wait_entered()
        gate.open()


@within(30)
async def test_a_client_in_a_nursery_of_the_callers_own(engine_url: str, fresh: str) -> None:
    """connect_iii and aclose."""
    async with trio.open_nursery() as nursery:
        iii = await connect_iii(nursery, engine_url)
        await iii.register_function(f"{fresh}::echo", _echo).wait_registered()
        assert await iii.trigger(f"{fresh}::echo", 1) == 1
        await iii.aclose()
