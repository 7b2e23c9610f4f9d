"""Bindings and their providers, where the recordings do not look; and how a target is called."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._embedded import core
from iii_trio._embedded.connection import Connection
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.registry import Function
from iii_trio._embedded.triggers import PROVIDER_PATIENCE, Binding, BindingRefused, Triggers, TriggerType
from iii_trio._wire.messages import ABSENT, ErrorBody, Json
from tests.workers import Bench, Worker, uuid_of

REGISTER, UNREGISTER = "engine::register_trigger", "engine::unregister_trigger"


@pytest.fixture
def owner(bench: Bench) -> Worker:
    """Who binds, and has the function."""
    owner = bench.worker("owner")
    owner.sends("registerfunction", id="f")
    return owner


def binds(owner: Worker, binding: str = "b", kind: str = "kind", **fields: Any) -> list[Any]:
    """A binding to `f`."""
    owner.sends("registertrigger", **{"id": binding, "trigger_type": kind, "function_id": "f", "config": {}, **fields})
    return owner.takes()


def provides(worker: Worker, kind: str = "kind", **fields: Any) -> list[Any]:
    """A type."""
    worker.sends("registertriggertype", id=kind, description="d", **fields)
    return worker.takes()


def shown(bench: Bench, **query: Any) -> list[str]:
    """Ids of live bindings."""
    rows = bench.worker().result_of("engine::registered-triggers::list", query)["registered_triggers"]
    return [row["id"] for row in rows]


# ---- registering ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["namespace", "trigger_namespace"])
def test_a_blank_namespace_is_refused_by_name(owner: Worker, field: str) -> None:
    """It is never taken for an absent one."""
    (refusal,) = binds(owner, **{field: " "})
    assert refusal["error"]["code"] == "INVALID_NAMESPACE"
    assert refusal["error"]["message"].startswith(f"`{field}` is empty")


def test_a_type_with_a_blank_namespace_does_not_come_into_being(bench: Bench, owner: Worker) -> None:
    """And nobody is told."""
    provider = bench.worker("provider")
    assert provides(provider, namespace="") == []
    binds(owner)
    assert provider.takes() == []
    assert shown(bench, trigger_type="kind") == []


def test_a_worker_may_provide_a_type_elsewhere_than_at_home(bench: Bench, owner: Worker) -> None:
    """The type's namespace is told to the provider."""
    provider = bench.worker("provider")
    provides(provider, namespace="there")
    binds(owner, trigger_namespace="there", namespace="target")
    (frame,) = provider.takes()
    assert (frame["trigger_namespace"], frame["namespace"]) == ("there", "target")


def test_an_unknown_type_leaves_a_live_binding_with_that_id_alone(bench: Bench, owner: Worker) -> None:
    """One unregister removes both."""
    provider = bench.worker("provider")
    provides(provider)
    binds(owner)
    binds(owner, kind="other")
    assert shown(bench, trigger_type="kind") == ["b"]
    owner.sends("unregistertrigger", id="b")
    assert provides(provider, "other") == [
        {"type": "registertrigger", "id": "b", "trigger_type": "kind", "function_id": "f", "config": {}},
        {"type": "unregistertrigger", "id": "b", "trigger_type": "kind"},
    ]


def test_a_parked_binding_that_is_refused_leaves_a_live_one_with_its_id_alone(
    owner: Worker, bench: Bench, triggers: Triggers
) -> None:
    """It stays parked."""

    def refuse(_: Binding) -> None:
        raise BindingRefused("no")

    provides(bench.worker("provider"))
    binds(owner)
    binds(owner, kind="other")
    triggers.provide(TriggerType(id="other", description="", accept=refuse))
    assert shown(bench, trigger_type="kind") == ["b"]
    assert owner.takes() == []
    triggers.provide(TriggerType(id="other", description=""))
    assert shown(bench, trigger_type="other") == ["b"]


def test_an_error_of_a_stranger_is_not_believed(bench: Bench, owner: Worker) -> None:
    """Nor one for a binding that nobody has."""
    provides(bench.worker("provider"))
    binds(owner)
    result = {"trigger_type": "kind", "function_id": "f", "error": {"code": "E", "message": "m"}}
    bench.worker("stranger").sends("triggerregistrationresult", id="b", **result)
    owner.sends("triggerregistrationresult", id="none", **result)
    assert shown(bench, trigger_type="kind") == ["b"]
    assert owner.takes() == []


def test_a_worker_that_leaves_takes_its_bindings_along_parked_ones_too(bench: Bench, owner: Worker) -> None:
    """And its types: who else was bound to them is parked."""
    provider = bench.worker("provider")
    provides(provider)
    binds(owner, "of-owner")
    binds(owner, "parked", kind="nobodys")
    binds(provider, "of-provider")
    provider.takes()
    bench.engine.disconnect(owner.link)
    assert [frame["id"] for frame in provider.takes()] == ["of-owner"]
    assert provides(provider, "nobodys") == []
    other = bench.worker("other")
    binds(other, "of-other")
    bench.engine.disconnect(provider.link)
    assert shown(bench, trigger_type="kind") == []
    successor = bench.worker("successor")
    assert [frame["id"] for frame in provides(successor)] == ["of-other"]


def test_a_binding_falls_back_to_the_engines_own_type_when_its_provider_leaves(bench: Bench) -> None:
    """And is parked if that refuses it."""
    provider = bench.worker("provider", namespace="ns")
    provides(provider, "cron")
    owner = bench.worker("owner", namespace="ns")
    binds(owner, "good", kind="cron", config={"expression": "@daily"})
    binds(owner, "bad", kind="cron", config={"expression": "?"})
    assert shown(bench, trigger_type="cron") == ["bad", "good"]
    bench.engine.disconnect(provider.link)
    assert shown(bench, trigger_type="cron") == ["good"]
    assert owner.takes() == []


def test_services_are_accepted_without_any_effect(owner: Worker) -> None:
    """Not even a word."""
    owner.sends("registerservice", id="s", name="n")
    assert owner.takes() == []


# ---- without an owner -----------------------------------------------------------------------------------------------


def asks(worker: Worker, call: int = 1, **fields: Any) -> list[Any]:
    """`engine::register_trigger`."""
    return worker.calls(REGISTER, {"trigger_type": "kind", "function_id": "f", **fields}, call=call)


def test_a_provider_that_is_silent_has_agreed_after_ten_seconds(bench: Bench, owner: Worker) -> None:
    """Its answer is not waited for any longer, and an error later parks the binding."""
    provider = bench.worker("provider")
    provides(provider)
    assert asks(owner) == []
    assert PROVIDER_PATIENCE == 10.0
    (frame,) = provider.takes()
    assert frame["config"] is None
    bench.passes(9.9)
    assert (owner.takes(), shown(bench, trigger_type="kind")) == ([], [])
    bench.passes(0.2)
    (result,) = owner.takes()
    assert result["result"] == {"id": frame["id"]}
    assert shown(bench, trigger_type="kind") == [frame["id"]]
    provider.sends(
        "triggerregistrationresult", id=frame["id"], trigger_type="", function_id="", error={"code": "E", "message": ""}
    )
    assert shown(bench, trigger_type="kind") == []
    assert owner.takes() == []


@pytest.mark.parametrize(("error", "answered"), [(None, "result"), ({"code": "E", "message": "m"}, "error")])
def test_a_provider_that_answers_is_waited_for(
    bench: Bench, owner: Worker, error: dict[str, str] | None, answered: str
) -> None:
    """Nothing is left to wait for then."""
    provider = bench.worker("provider")
    provides(provider)
    asks(owner)
    (frame,) = provider.takes()
    bench.worker("stranger").sends("triggerregistrationresult", id=frame["id"], trigger_type="", function_id="")
    assert owner.takes() == []
    provider.sends("triggerregistrationresult", id=frame["id"], trigger_type="", function_id="", error=error)
    (result,) = owner.takes()
    assert answered in result
    assert len(shown(bench, trigger_type="kind")) == (error is None)
    assert bench.engine.next_deadline() is None


def test_a_provider_that_leaves_without_an_answer_leaves_a_parked_binding(bench: Bench, owner: Worker) -> None:
    """It goes to the next provider, and the caller waits for its ten seconds."""
    provider = bench.worker("provider")
    provides(provider)
    asks(owner)
    bench.engine.disconnect(provider.link)
    bench.passes(10.0)
    (result,) = owner.takes()
    assert shown(bench, trigger_type="kind") == []
    successor = bench.worker("successor")
    assert [frame["id"] for frame in provides(successor)] == [result["result"]["id"]]


def test_a_caller_that_left_still_gets_its_binding(bench: Bench, owner: Worker) -> None:
    """It has no owner."""
    provides(bench.worker("provider"))
    asks(owner)
    bench.engine.disconnect(owner.link)
    bench.passes(10.0)
    assert len(shown(bench, trigger_type="kind")) == 1


def test_a_waiting_call_counts_as_one_of_its_caller(bench: Bench, owner: Worker) -> None:
    """Until it is answered."""
    provides(bench.worker("provider"))
    asks(owner)
    assert list(owner.link.calls) == [uuid_of(1)]
    bench.passes(10.0)
    assert not owner.link.calls


# ---- firing ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[Host]:
    """What the engine of this test shows to its parts; this one brings nothing, and keeps it."""
    hosts: list[Host] = []

    def spy(host: Host) -> Part:
        hosts.append(host)
        return Part(worker="spy", description="")

    monkeypatch.setattr(core, "PARTS", (*core.PARTS, spy))
    return hosts


@pytest.fixture
def bench(hosts: list[Host]) -> Bench:
    """An engine with a part of this test."""
    return Bench()


@pytest.fixture
def triggers(bench: Bench, hosts: list[Host]) -> Triggers:
    """As a part has them."""
    return hosts[0].triggers


def binding(**fields: Any) -> Binding:
    """A binding to `f`."""
    return Binding(**{"id": "b", "trigger_type": "kind", "function_id": "f", "config": {}, **fields})


def settled(bench: Bench) -> None:
    """What is to happen soon has happened."""
    bench.passes(0.0)


def test_a_target_gets_payload_and_metadata_in_the_bindings_namespace(bench: Bench, triggers: Triggers) -> None:
    """No caller is added to the payload, and how it ended is told."""
    worker = bench.worker(namespace="ns")
    worker.sends("registerfunction", id="f")
    outcomes: list[tuple[Json, ErrorBody | None]] = []
    triggers.deliver(
        binding(namespace="ns", metadata={"m": 1}), {"n": 1}, done=lambda *outcome: outcomes.append(outcome)
    )
    settled(bench)
    (call,) = worker.takes()
    assert (call["data"], call["metadata"]) == ({"n": 1}, {"m": 1})
    assert outcomes == []
    worker.sends("invocationresult", invocation_id=call["invocation_id"], function_id="f", result=5)
    assert outcomes == [(5, None)]


def test_a_target_that_is_missing_is_an_error_without_a_hint(bench: Bench, triggers: Triggers) -> None:
    """And nobody minds if nobody asked."""
    outcomes: list[Any] = []
    triggers.deliver(binding(function_id="none"), None, done=lambda *outcome: outcomes.append(outcome[1]))
    triggers.deliver(binding(function_id="none"), None)
    settled(bench)
    assert outcomes == [ErrorBody("function_not_found", "Function none not found in namespace default")]


@pytest.mark.parametrize(
    ("outcome", "runs"),
    [
        pytest.param({"result": False}, False, id="false"),
        pytest.param({"result": True}, True, id="true"),
        pytest.param({"result": None}, True, id="null"),
        pytest.param({"result": 0}, True, id="zero"),
        pytest.param({}, True, id="nothing"),
        pytest.param({"error": {"code": "E", "message": "m"}}, False, id="error"),
    ],
)
def test_exactly_false_and_an_error_skip_the_target(
    bench: Bench, owner: Worker, triggers: Triggers, outcome: dict[str, Any], runs: bool
) -> None:
    """The condition gets the payload alone; whoever waits hears of the error, and of nothing when it said false."""
    owner.sends("registerfunction", id="c")
    ends: list[ErrorBody | None] = []
    triggers.deliver(binding(metadata={"m": 1}), {"n": 1}, condition="c", done=lambda _, error: ends.append(error))
    settled(bench)
    (call,) = owner.takes()
    assert (call["function_id"], call["data"], "metadata" in call) == ("c", {"n": 1}, False)
    owner.sends("invocationresult", invocation_id=call["invocation_id"], function_id="c", **outcome)
    settled(bench)
    assert [frame["function_id"] for frame in owner.takes()] == ["f"] * runs
    assert ends == ([] if runs else [ErrorBody("E", "m") if outcome.get("error") else None])


def test_a_skipped_target_needs_nobody_who_waits(bench: Bench, owner: Worker, triggers: Triggers) -> None:
    """A missing condition is an error."""
    triggers.deliver(binding(), {"n": 1}, condition="none")
    settled(bench)
    settled(bench)
    assert owner.takes() == []


def test_deliveries_in_turn_wait_for_each_other(bench: Bench, owner: Worker, triggers: Triggers) -> None:
    """However they end."""
    deliveries = [(binding(), {"n": n}, None) for n in range(3)]
    triggers.deliver_in_turn(iter(deliveries))
    settled(bench)
    outcomes: list[dict[str, Any]] = [{"result": 1}, {"error": {"code": "E", "message": "m"}}, {}]
    for n, outcome in enumerate(outcomes):
        (call,) = owner.takes()
        assert call["data"] == {"n": n}
        owner.sends("invocationresult", invocation_id=call["invocation_id"], function_id="f", **outcome)
    assert owner.takes() == []


def test_firing_reaches_every_live_binding_whatever_its_config_says(
    bench: Bench, owner: Worker, triggers: Triggers
) -> None:
    """Of one type, in every namespace."""
    accepted: list[str] = []
    triggers.provide(TriggerType(id="mine", description="", accept=lambda bound: accepted.append(bound.id)))
    binds(owner, "one", kind="mine", config={"condition_function_id": "none"}, metadata=1)
    binds(owner, "two", kind="mine", config=None)
    binds(owner, "other", kind="engine::workers-available")
    owner.takes()
    triggers.fire("mine", "payload")
    settled(bench)
    assert accepted == ["one", "two"]
    assert [(frame["data"], frame.get("metadata")) for frame in owner.takes()] == [("payload", 1), ("payload", None)]


def test_a_binding_that_fires_itself_takes_a_step_a_tick(bench: Bench, hosts: list[Host], triggers: Triggers) -> None:
    """It does not stop the engine."""
    runs: list[Json] = []

    def fire(caller: Connection | None, data: Json) -> Json:
        assert caller is None
        runs.append(data)
        triggers.fire("mine", len(runs))
        return ABSENT

    hosts[0].registry.put(Function(id="mine::fire", run=fire, worker="spy"))
    triggers.provide(TriggerType(id="mine", description=""))
    triggers.bind(binding(trigger_type="mine", function_id="mine::fire"))
    triggers.fire("mine", 0)
    for steps in range(1, 4):
        assert bench.engine.next_deadline() in (None, bench.now)
        settled(bench)
        assert len(runs) >= steps
    assert runs == [*range(len(runs))]
    assert bench.engine.next_deadline() == bench.now


def test_a_part_is_asked_and_told(bench: Bench, owner: Worker, triggers: Triggers) -> None:
    """What it refuses is not live, and what goes is released; an earlier binding with the id stays."""
    released: list[str] = []

    def accept(bound: Binding) -> None:
        if bound.config is None:
            raise BindingRefused("no config")

    triggers.provide(TriggerType(id="mine", description="", accept=accept, release=lambda b: released.append(b.id)))
    assert binds(owner, kind="mine") == []
    (refusal,) = binds(owner, kind="mine", config=None)
    assert refusal["error"] == {"code": "trigger_registration_failed", "message": "no config"}
    assert shown(bench, trigger_type="mine") == ["b"]
    assert owner.error_of(REGISTER, {"trigger_type": "mine", "function_id": "f"}) == (
        "trigger_registration_failed",
        "no config",
    )
    assert released == []
    assert owner.result_of(UNREGISTER, {"id": "b"}) == {"removed": True}
    assert owner.result_of(UNREGISTER, {"id": "b"}) == {"removed": False}
    assert released == ["b"]


@pytest.mark.parametrize(
    ("config", "condition"),
    [({"condition_function_id": "c"}, "c"), ({"condition_function_id": 1}, None), ({}, None), ([], None), (None, None)],
)
def test_a_condition_is_a_name_in_an_object(config: Json, condition: str | None) -> None:
    """Anything else is none."""
    assert binding(config=config).condition == condition


def test_a_binding_that_is_parked_has_its_id_at_once(owner: Worker) -> None:
    """There is nobody to wait for."""
    (result,) = asks(owner)
    assert set(result["result"]) == {"id"}
