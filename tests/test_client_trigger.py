"""`trigger` and `trigger_nowait`: what they take, what they send, what comes back, and what is refused at the call."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Optional

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from iii_trio import III, EnqueueResult, InvocationError, TriggerAction
from iii_trio._link.choice import find_transport
from iii_trio._wire.messages import EnqueueAction, InvokeFunction
from iii_trio.errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    Fate,
    InvalidResult,
    InvocationTimeout,
    PayloadError,
    RegistrationRejectedError,
)
from iii_trio.protocol import TriggerRequest
from iii_trio.testing import EmbeddedEngine
from iii_trio.trigger import TriggerActionVoid
from tests.conftest import Gate, Link, MemoryLink, frames, start


async def _echo(data: Any, metadata: Any) -> Any:
    return {"data": data, "metadata": metadata}


async def _register(iii: III, function_id: str, handler: Any, **options: Any) -> None:
    await iii.register_function(function_id, handler, **options).wait_registered()


# ---- the three forms of a request -----------------------------------------------------------------------------------


@attrs.frozen
class Case:
    """One way to ask for the same call."""

    request: Any
    keywords: dict[str, Any] = attrs.field(factory=dict)


def _value(function_id: str = "echo", **fields: Any) -> TriggerRequest:
    return TriggerRequest(function_id=function_id, **fields)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case("echo", {"payload": [1], "metadata": {"a": 1}, "timeout_ms": 5_000}), id="id-and-keywords"),
        pytest.param(Case(_value(payload=[1], metadata={"a": 1}, timeout_ms=5_000)), id="value"),
        pytest.param(
            Case({"function_id": "echo", "payload": [1], "metadata": {"a": 1}, "timeout_ms": 5_000}), id="dict"
        ),
    ],
)
async def test_a_call_can_be_an_id_with_keywords_a_value_or_a_dict(link: MemoryLink, case: Case) -> None:
    """All three forms make the same call."""
    async with link.client() as iii:
        await _register(iii, "echo", _echo)
        assert await iii.trigger(case.request, **case.keywords) == {"data": [1], "metadata": {"a": 1}}


@pytest.mark.parametrize(
    ("request_", "keywords", "names"),
    [
        pytest.param({"function_id": "f", "paylod": 1, "tiemout": 2}, {}, ["paylod", "tiemout"], id="unknown"),
        pytest.param({"payload": 1}, {}, ["function_id"], id="missing"),
        pytest.param({"function_id": "f"}, {"payload": 1}, ["payload"], id="twice-dict"),
        pytest.param(_value(), {"payload": 1, "namespace": "x"}, ["payload", "namespace"], id="twice-value"),
        pytest.param(7, {}, ["int"], id="no-request-at-all"),
        pytest.param("", {}, ["function_id"], id="blank-id"),
        pytest.param({"function_id": None}, {}, ["function_id"], id="null-id"),
        pytest.param("f", {"timeout_ms": -1}, ["timeout_ms"], id="negative-timeout"),
        pytest.param("f", {"timeout_ms": math.nan}, ["timeout_ms"], id="nan-timeout"),
        pytest.param("f", {"timeout_ms": 10**400}, ["timeout_ms"], id="endless-timeout"),
        pytest.param("f", {"timeout_ms": "5"}, ["timeout_ms"], id="text-timeout"),
        pytest.param("f", {"timeout_ms": True}, ["timeout_ms"], id="true-timeout"),
        pytest.param("f", {"namespace": " "}, ["namespace"], id="blank-namespace"),
        pytest.param("f", {"action": "void"}, ["action"], id="text-action"),
        pytest.param(
            {"function_id": "f", "action": {"type": "void", "queue": "q"}}, {}, ["Void", "queue"], id="void-queue"
        ),
        pytest.param({"function_id": "f", "action": {"type": "later"}}, {}, ["action"], id="unknown-action"),
        pytest.param({"function_id": "f", "action": {}}, {}, ["action"], id="empty-action"),
        pytest.param({"function_id": "f", "action": {"type": "enqueue"}}, {}, ["Enqueue", "queue"], id="no-queue"),
        pytest.param({"function_id": "f", "action": {"type": "enqueue", "queue": ""}}, {}, ["queue"], id="blank-queue"),
        pytest.param("f", {"action": TriggerAction.Void(), "returns": int}, ["returns"], id="void-has-no-result"),
        pytest.param("f", {"returns": complex}, ["returns"], id="unknown-type"),
        pytest.param("f", {"returns": list[complex]}, ["returns"], id="list-of-unknown-type"),
        pytest.param("f", {"returns": complex | None}, ["returns"], id="optional-unknown-type"),
        pytest.param("f", {"returns": "User"}, ["returns"], id="name-of-a-type"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_with_the_names_of_its_faults(
    link: MemoryLink, request_: Any, keywords: dict[str, Any], names: list[str]
) -> None:
    """ConfigurationError at the call, naming the fields, and nothing is sent."""
    async with link.client() as iii:
        before = len(link.engine.received)
        with pytest.raises(ConfigurationError) as caught:
            await iii.trigger(request_, **keywords)
        assert all(name in str(caught.value) for name in names)
        await trio.testing.wait_all_tasks_blocked()
        assert len(link.engine.received) == before
        assert iii.statistics().calls_in_flight == 0


async def test_trigger_nowait_takes_the_three_forms_too(link: MemoryLink) -> None:
    """And sends void calls, whether the request says so or not."""
    async with link.client() as iii:
        iii.trigger_nowait("f", 1, namespace="shop", metadata={"a": 1})
        iii.trigger_nowait(_value("f", payload=2))
        iii.trigger_nowait({"function_id": "f", "payload": 3, "action": {"type": "void"}})
        await trio.testing.wait_all_tasks_blocked()
    sent = frames(link.engine, InvokeFunction, function_id="f")
    assert [(frame.data, frame.namespace, frame.metadata) for frame in sent] == [
        (1, "shop", {"a": 1}),
        (2, None, None),
        (3, None, None),
    ]
    assert {frame.invocation_id for frame in sent} == {None}


async def test_trigger_nowait_refuses_enqueueing(link: MemoryLink) -> None:
    """Its receipt would have nobody to go to."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="receipt"):
            iii.trigger_nowait({"function_id": "f", "action": {"type": "enqueue", "queue": "q"}})


# ---- routing --------------------------------------------------------------------------------------------------------


async def test_a_void_call_returns_at_once_and_runs_the_handler(link: MemoryLink) -> None:
    """Its handler has not ended yet when it returns, and its failure is nobody's."""
    gate = Gate()
    async with link.client() as iii:
        await _register(iii, "gate", gate)
        assert await iii.trigger("gate", 1, action=TriggerActionVoid()) is None  # type: ignore[func-returns-value]
        assert await iii.trigger("nobody", 1, action=TriggerAction.Void()) is None  # type: ignore[func-returns-value]
        await gate.wait_entered()
        assert iii.statistics().calls_in_flight == 0


async def test_a_void_action_can_be_a_dict(link: MemoryLink) -> None:
    """As the references' requests have it."""
    async with link.client() as iii:
        assert await iii.trigger({"function_id": "nobody", "action": {"type": "void"}}) is None


async def test_enqueueing_gives_a_receipt(link: MemoryLink) -> None:
    """The queue provider gets queue, function, data and receipt; the caller gets an EnqueueResult, and no metadata goes."""
    jobs: list[Any] = []

    async def enqueue(job: Any, metadata: Any) -> None:
        jobs.append((job, metadata))

    async with link.client() as provider, link.client(namespace="shop") as iii:
        await _register(provider, "engine::queue::enqueue", enqueue, force=True)
        receipt = await iii.trigger(
            "mail", {"to": "Ada"}, action=TriggerAction.Enqueue(queue="out"), metadata={"lost": True}
        )
    assert isinstance(receipt, EnqueueResult)
    ((job, metadata),) = jobs
    assert job["messageReceiptId"] == receipt.messageReceiptId
    assert (job["queue"], job["function_id"], job["data"], job["namespace"]) == ("out", "mail", {"to": "Ada"}, "shop")
    assert metadata is None


async def test_enqueueing_without_a_provider_is_an_enqueue_error(link: MemoryLink) -> None:
    """The work may have been taken, since a provider may fail late: the fate says so."""
    async with link.client() as iii:
        with pytest.raises(InvocationError) as caught:
            await iii.trigger("mail", action=TriggerAction.Enqueue(queue="out"))
    assert (caught.value.code, caught.value.fate) == ("enqueue_error", Fate.MAY_HAVE_RUN)
    assert [frame.action for frame in frames(link.engine, InvokeFunction, function_id="mail")] == [EnqueueAction("out")]


# ---- namespaces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "function_id", "asked", "sent"),
    [
        pytest.param(None, "f", None, None, id="default-worker"),
        pytest.param("default", "f", None, None, id="default-by-name"),
        pytest.param("shop", "f", None, "shop", id="inherited"),
        pytest.param("shop", "f", "bank", "bank", id="explicit-wins"),
        pytest.param("shop", "f", "default", "default", id="explicit-default"),
        pytest.param("shop", "engine::functions::list", None, None, id="engine"),
        pytest.param("shop", "state::get", None, None, id="state"),
        pytest.param("shop", "stream::get", None, None, id="stream"),
        pytest.param("shop", "iii::x", None, None, id="iii"),
        pytest.param("shop", "configuration::x", None, None, id="configuration"),
        pytest.param("shop", "publish", None, None, id="publish"),
        pytest.param("shop", "publisher", None, "shop", id="only-looks-like-publish"),
        pytest.param("shop", "state::get", "bank", "bank", id="explicit-wins-for-builtins"),
        pytest.param("shop", "state::mine", None, "shop", id="the-worker-owns-it"),
    ],
)
async def test_a_call_means_the_workers_own_namespace(
    link: MemoryLink, own: str | None, function_id: str, asked: str | None, sent: str | None
) -> None:
    """Except for the engine's own functions, which live in default unless this worker took their id."""
    async with link.client(namespace=own) as iii:
        await _register(iii, "state::mine", _echo, force=True)
        iii.trigger_nowait(function_id, namespace=asked)
        await trio.testing.wait_all_tasks_blocked()
    (frame,) = frames(link.engine, InvokeFunction, function_id=function_id)
    assert frame.namespace == sent


async def test_an_id_of_the_engine_that_it_refused_to_give_away_is_still_called_in_default(link: MemoryLink) -> None:
    """`engine::` ids cannot be taken outside of default, and asking for one must not hide the engine's own."""
    async with link.client(namespace="shop") as iii:
        ref = iii.register_function("engine::functions::list", _echo, force=True)
        with pytest.raises(RegistrationRejectedError):
            await ref.wait_registered()
        assert "functions" in await iii.trigger("engine::functions::list", {})


async def test_a_function_of_another_namespace_is_not_found_without_asking_for_it(link: MemoryLink) -> None:
    """The engine searches nowhere, and says where it is."""
    async with link.client(namespace="bank") as bank, link.client(namespace="shop") as iii:
        await _register(bank, "echo", _echo)
        with pytest.raises(InvocationError, match="bank") as caught:
            await iii.trigger("echo", 1)
        assert (caught.value.code, caught.value.fate) == ("function_not_found", Fate.NOT_RUN)
        assert await iii.trigger("echo", 1, namespace="bank") == {"data": 1, "metadata": None}


# ---- payload and metadata -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [None, {}, {"a": [1, {"b": None}]}, [1], "text", 7, False])
async def test_metadata_travels_beside_the_payload(link: MemoryLink, metadata: Any) -> None:
    """Any JSON value; None is none."""
    async with link.client() as iii:
        await _register(iii, "echo", _echo)
        assert await iii.trigger("echo", 1, metadata=metadata) == {"data": 1, "metadata": metadata}


async def test_no_payload_is_sent_as_null(link: MemoryLink) -> None:
    """A frame without data would be dropped by the engine, and its caller would wait for ever."""
    async with link.client() as iii:
        await _register(iii, "echo", _echo)
        assert await iii.trigger("echo") == {"data": None, "metadata": None}


@attrs.frozen
class Item:
    """A payload of the test's own."""

    name: str
    tags: list[str] = attrs.field(factory=list)


@dataclasses.dataclass
class Plain:
    """A payload that is a dataclass."""

    name: str


@pytest.mark.parametrize(
    ("payload", "arrives"),
    [
        pytest.param(Item("a", ["x"]), {"name": "a", "tags": ["x"]}, id="attrs"),
        pytest.param([Item("a")], [{"name": "a", "tags": []}], id="attrs-inside"),
        pytest.param(Plain("a"), {"name": "a"}, id="dataclass"),
        pytest.param((1, 2), [1, 2], id="tuple"),
        pytest.param(2**64 - 1, 2**64 - 1, id="largest-integer"),
        pytest.param("€\x00\U0001f600", "€\x00\U0001f600", id="unicode"),
    ],
)
async def test_values_arrive_as_the_json_that_stands_for_them(link: MemoryLink, payload: Any, arrives: Any) -> None:
    """attrs instances and dataclasses as their fields."""
    async with link.client() as iii:
        await _register(iii, "echo", _echo)
        assert (await iii.trigger("echo", payload))["data"] == arrives


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        pytest.param(math.nan, "$", id="nan"),
        pytest.param({"a": [1, math.inf]}, "$.a[1]", id="infinity"),
        pytest.param([{"b": -math.inf}], "$[0].b", id="minus-infinity"),
        pytest.param({"a": "\ud800"}, "$.a", id="surrogate"),
        pytest.param({"a": 2**64}, "$.a", id="large-integer"),
        pytest.param({"a": -(2**63) - 1}, "$.a", id="small-integer"),
        pytest.param({"a": {1: 2}}, "$.a", id="key-that-is-no-text"),
        pytest.param({"a": {b""}}, "$.a[0]", id="bytes-in-a-set"),
        pytest.param({"a": object()}, "$.a", id="object"),
        pytest.param(Item("a", [math.nan]), "$.tags[0]", id="in-attrs"),  # type: ignore[list-item]
    ],
)
async def test_what_the_engine_could_not_decode_is_refused_at_the_call(
    link: MemoryLink, payload: Any, path: str
) -> None:
    """PayloadError with the path of the fault, from every kind of call, and nothing is sent or left behind."""
    async with link.client() as iii:
        before = len(link.engine.received)
        for call in (
            lambda: iii.trigger("f", payload),
            lambda: iii.trigger("f", payload, action=TriggerAction.Void()),
            lambda: iii.trigger("f", payload, action=TriggerAction.Enqueue(queue="q")),
        ):
            with pytest.raises(PayloadError) as caught:
                await call()
            assert caught.value.path == path
        with pytest.raises(PayloadError):
            iii.trigger_nowait("f", payload)
        with pytest.raises(PayloadError) as caught:
            await iii.trigger("f", metadata=payload)
        assert caught.value.path == path.replace("$", "metadata")
        await trio.testing.wait_all_tasks_blocked()
        assert len(link.engine.received) == before
        assert (iii.statistics().calls_in_flight, iii.statistics().outbox_frames) == (0, 0)


@pytest.mark.parametrize(("depth", "fits"), [(126, True), (127, False)])
async def test_a_payload_may_be_nested_as_deep_as_the_engine_reads(link: MemoryLink, depth: int, fits: bool) -> None:
    """126 containers, since the frame around it is the 127th."""
    payload: Any = 0
    for _ in range(depth):
        payload = [payload]
    async with link.client() as iii:
        if not fits:
            with pytest.raises(PayloadError, match="nested"):
                await iii.trigger("nobody", payload)
        else:
            with pytest.raises(InvocationError, match="function_not_found"):
                await iii.trigger("nobody", payload)


async def test_a_message_over_the_limit_is_refused_at_the_call(link: MemoryLink) -> None:
    """That of the transport, and the one of the options; the connection lives on."""
    limit = find_transport("auto").MAX_OUTGOING
    async with link.client() as iii:
        with pytest.raises(PayloadError, match=f"at most {limit} "):
            await iii.trigger("f", "x" * limit)
        assert iii.get_connection_state() == "connected"
    async with link.client(max_message_size=20_000) as iii:
        with pytest.raises(PayloadError, match="20000"):
            iii.trigger_nowait("f", "x" * 20_000)


# ---- returns= -------------------------------------------------------------------------------------------------------


@attrs.frozen
class User:
    """A result."""

    name: str
    age: int
    nick: str | None = None
    tags: list[str] = attrs.field(factory=list)


@dataclasses.dataclass
class Flag:
    """A result that is a dataclass."""

    on: bool


_ADA = {"name": "Ada", "age": 36}


@pytest.mark.parametrize(
    ("answer", "returns", "result"),
    [
        pytest.param(_ADA, User, User("Ada", 36), id="attrs"),
        pytest.param({**_ADA, "new": 1}, User, User("Ada", 36), id="unknown-fields-are-ignored"),
        pytest.param({"on": True}, Flag, Flag(True), id="dataclass"),
        pytest.param([_ADA], list[User], [User("Ada", 36)], id="list"),
        pytest.param({"a": _ADA}, dict[str, User], {"a": User("Ada", 36)}, id="dict"),
        pytest.param(None, User | None, None, id="optional-none"),
        pytest.param(_ADA, User | None, User("Ada", 36), id="optional"),
        pytest.param(_ADA, Optional[User], User("Ada", 36), id="optional-as-typing-has-it"),  # noqa: UP045
        pytest.param([1, "a", None], list, [1, "a", None], id="bare-list"),
        pytest.param({"a": 1}, dict, {"a": 1}, id="bare-dict"),
        pytest.param(7, int, 7, id="int"),
        pytest.param("x", str, "x", id="str"),
        pytest.param(True, bool, True, id="bool"),
        pytest.param(1, float, 1.0, id="whole-numbers-are-floats"),
        pytest.param({"a": [1]}, dict[str, list[int]], {"a": [1]}, id="nested"),
        pytest.param([1], Any, [1], id="any"),
    ],
)
async def test_returns_gives_the_answer_its_shape(link: MemoryLink, answer: Any, returns: Any, result: Any) -> None:
    """attrs classes, dataclasses, primitives, and lists, dicts and optionals of these."""

    async def handler() -> Any:
        return answer

    async with link.client() as iii:
        await _register(iii, "f", handler)
        assert await iii.trigger("f", returns=returns) == result


@pytest.mark.parametrize(
    ("answer", "returns", "path"),
    [
        pytest.param("no", bool, "$", id="text-is-no-bool"),
        pytest.param(1, bool, "$", id="a-number-is-no-bool"),
        pytest.param(True, int, "$", id="true-is-no-int"),
        pytest.param("7", int, "$", id="text-is-no-int"),
        pytest.param(7, str, "$", id="a-number-is-no-text"),
        pytest.param(7.0, int, "$", id="a-float-is-no-int"),
        pytest.param(None, int, "$", id="null"),
        pytest.param("abc", list, "$", id="text-is-no-list"),
        pytest.param([["a", 1]], dict, "$", id="pairs-are-no-dict"),
        pytest.param({"name": "Ada"}, User, "$.age", id="missing-field"),
        pytest.param({**_ADA, "age": "36"}, User, "$.age", id="field"),
        pytest.param({**_ADA, "nick": 1}, User, "$.nick", id="optional-field"),
        pytest.param([1], User, "$", id="a-list-is-no-object"),
        pytest.param({**_ADA, "tags": "ab"}, User, "$.tags", id="text-is-no-list-field"),
    ],
)
async def test_an_answer_of_another_shape_is_an_invalid_result(
    link: MemoryLink, answer: Any, returns: Any, path: str
) -> None:
    """InvalidResult with the path, and the fate says that the handler ran. Nothing is converted."""

    async def handler() -> Any:
        return answer

    async with link.client() as iii:
        await _register(iii, "f", handler)
        with pytest.raises(InvalidResult) as caught:
            await iii.trigger("f", returns=returns)
    error = caught.value
    assert (error.code, error.fate, error.function_id) == ("invalid_result", Fate.RAN, "f")
    assert error.invocation_id is not None
    assert path in error.message


# ---- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "keywords", "seconds"),
    [
        pytest.param({}, {}, 30.0, id="the-default-is-30-s"),
        pytest.param({"invocation_timeout_ms": 2_000}, {}, 2.0, id="the-clients"),
        pytest.param({}, {"timeout_ms": 500}, 0.5, id="the-calls"),
        pytest.param({}, {"timeout_ms": 0.5}, 0.0005, id="less-than-a-millisecond"),
    ],
)
async def test_a_call_ends_at_its_time_out(
    link: MemoryLink, autojump_clock: MockClock, options: Any, keywords: Any, seconds: float
) -> None:
    """To the moment, and says that the handler may have run."""
    async with link.client(**options) as iii:
        await _register(iii, "gate", Gate())
        began = trio.current_time()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger("gate", **keywords)
        assert trio.current_time() - began == pytest.approx(seconds)
        assert (caught.value.code, caught.value.fate) == ("TIMEOUT", Fate.MAY_HAVE_RUN)
        assert (iii.statistics().calls_in_flight, iii.statistics().timed_out_calls) == (0, 1)


async def test_a_time_out_of_zero_ends_a_call_before_anything_is_waited_for(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """It still counts as sent when it was: the fate is what the outbox can prove."""
    async with link.client() as iii:
        began = trio.current_time()
        with pytest.raises(InvocationTimeout):
            await iii.trigger("nobody", timeout_ms=0)
        assert trio.current_time() == began


async def test_an_infinite_time_out_waits_for_ever(link: MemoryLink, autojump_clock: MockClock) -> None:
    """An hour, here."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await _register(iii, "gate", gate)
        call = start(nursery, iii.trigger, "gate", 1, timeout_ms=math.inf)
        await trio.sleep(3_600)
        assert not call.done.is_set()
        gate.open()
        assert await call.wait() == 1


async def test_a_call_that_times_out_offline_was_never_sent(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And it is never sent afterwards."""
    async with link.client() as iii:
        await link.go_down()
        with pytest.raises(InvocationTimeout) as caught:
            await iii.trigger("late", timeout_ms=5_000)
        assert caught.value.fate is Fate.NEVER_SENT
        assert iii.statistics().outbox_frames == 0
        link.is_up = True
        await iii.wait_connected()
    assert frames(link.engine, InvokeFunction, function_id="late") == []


async def test_a_call_that_times_out_in_the_queue_of_a_stalled_link_was_never_sent(
    link: MemoryLink, autojump_clock: MockClock
) -> None:
    """The call before it was handed to the socket, and may have run."""
    async with link.client() as iii, trio.open_nursery() as nursery:
        link.wire.stall()
        handed_over = start(nursery, iii.trigger, "first", timeout_ms=1_000)
        await trio.testing.wait_all_tasks_blocked()
        queued = start(nursery, iii.trigger, "second", timeout_ms=1_000)
        for call, fate in ((handed_over, Fate.MAY_HAVE_RUN), (queued, Fate.NEVER_SENT)):
            with pytest.raises(InvocationTimeout) as caught:
                await call.wait()
            assert caught.value.fate is fate
        link.wire.flow()
        await trio.testing.wait_all_tasks_blocked()
    assert len(frames(link.engine, InvokeFunction, function_id="first")) == 1
    assert frames(link.engine, InvokeFunction, function_id="second") == []


async def test_the_callers_own_scope_raises_nothing_of_ours(link: MemoryLink, autojump_clock: MockClock) -> None:
    """trio's exception only; the entry is gone, and the late answer is dropped by its id and counted."""
    gate = Gate()
    async with link.client() as iii:
        await _register(iii, "gate", gate)
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(1):
                await iii.trigger("gate", 1)
        assert iii.statistics().calls_in_flight == 0
        gate.open()
        await trio.testing.wait_all_tasks_blocked()
        assert iii.statistics().unknown_results == 1
        assert await iii.trigger("gate", 2) == 2


async def test_the_handler_of_a_cancelled_call_is_not_told(link: MemoryLink) -> None:
    """The protocol has no word for it: the handler goes on to its end."""
    gate = Gate()
    async with link.client() as iii, trio.open_nursery() as nursery:
        await _register(iii, "gate", gate)
        scope = trio.CancelScope()

        async def call() -> None:
            with scope:
                await iii.trigger("gate")

        nursery.start_soon(call)
        await gate.wait_entered()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert gate.inside == 1


async def test_calls_are_answered_in_any_order(link: MemoryLink) -> None:
    """The answers find their callers by id."""
    gates = {name: Gate() for name in "abc"}
    async with link.client() as iii, trio.open_nursery() as nursery:
        for name, gate in gates.items():
            await _register(iii, name, gate)
        calls = {name: start(nursery, iii.trigger, name, name) for name in gates}
        for name in "cab":
            gates[name].open()
            assert await calls[name].wait() == name


# ---- after the end --------------------------------------------------------------------------------------------------


async def test_everything_is_refused_once_the_client_is_closed(engine: EmbeddedEngine, link: MemoryLink) -> None:
    """ClientClosed, which names the function and says that nothing was sent; handles stay usable."""
    async with link.client() as iii:
        ref = iii.register_function("f", _echo)
        await iii.shutdown()
        with pytest.raises(ClientClosed) as caught:
            await iii.trigger("f")
        assert (caught.value.code, caught.value.fate, caught.value.function_id) == ("SHUTDOWN", Fate.NEVER_SENT, "f")
        with pytest.raises(ClientClosed):
            await iii.trigger("f", action=TriggerAction.Void())
        with pytest.raises(ClientClosed):
            iii.trigger_nowait("f")
        with pytest.raises(ClientClosed):
            iii.register_function("g", _echo)
        with pytest.raises(ClientClosed):
            await iii.wait_connected()
        ref.unregister()
        await iii.aclose()
        assert iii.get_connection_state() == "disconnected"


async def test_calls_in_flight_end_with_the_client(link: MemoryLink) -> None:
    """Sent ones may have run, and their error says so."""
    gate = Gate()
    async with link.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await _register(worker, "gate", gate)
        call = start(nursery, iii.trigger, "gate")
        await gate.wait_entered()
        await iii.aclose()
        with pytest.raises(ClientClosed) as caught:
            await call.wait()
        assert (caught.value.code, caught.value.fate) == ("SHUTDOWN", Fate.MAY_HAVE_RUN)


async def test_a_lost_link_ends_sent_calls_and_keeps_the_others(link: MemoryLink, autojump_clock: MockClock) -> None:
    """What was sent may have run; what was not is sent on the next connection."""
    gate = Gate()
    other = Link(link.engine)
    async with other.client() as worker, link.client() as iii, trio.open_nursery() as nursery:
        await _register(worker, "gate", gate)
        await _register(worker, "echo", _echo)
        sent = start(nursery, iii.trigger, "gate")
        await gate.wait_entered()
        await link.go_down()
        with pytest.raises(ConnectionLost) as caught:
            await sent.wait()
        assert caught.value.fate is Fate.MAY_HAVE_RUN
        waiting = start(nursery, iii.trigger, "echo", 1)
        await trio.testing.wait_all_tasks_blocked()
        link.is_up = True
        assert await waiting.wait() == {"data": 1, "metadata": None}
        assert iii.statistics().lost_calls == 1


async def test_a_worker_that_is_lost_ends_the_calls_to_it(link: MemoryLink) -> None:
    """`invocation_stopped`, as ConnectionLost: the handler may have run."""
    gate = Gate()
    far = Link(link.engine)
    async with link.client() as iii, far.client() as worker, trio.open_nursery() as nursery:
        await _register(worker, "gate", gate)
        call = start(nursery, iii.trigger, "gate")
        await gate.wait_entered()
        await far.go_down()
        with pytest.raises(ConnectionLost) as caught:
            await call.wait()
        assert (caught.value.code, caught.value.fate) == ("invocation_stopped", Fate.MAY_HAVE_RUN)
        await worker.aclose()
