"""What the engine does with registrations, namespaces, names and the ends of connections."""

from __future__ import annotations

from iii_trio._embedded.connection import QUEUE_SIZE
from iii_trio._embedded.core import Engine
from iii_trio._wire.messages import ABSENT, Ping, TelemetryFrame
from tests.workers import Bench, uuid_of

NOT_FOUND = "function_not_found"


def test_the_engine_speaks_first(bench: Bench) -> None:
    """With an id and a secret token, both new."""
    worker = bench.connect()
    assert worker.takes() == [
        {"type": "workerregistered", "worker_id": uuid_of(1), "reattach_token": uuid_of(2)},
    ]
    assert "reattach_token" not in repr(worker.link)


def test_ids_are_uuids_and_time_is_told_in_milliseconds() -> None:
    """Unless a test gives others."""
    engine = Engine()
    one, other = (engine.connect(0.0, ip_address="", wake=lambda: None, drop=lambda: None) for _ in range(2))
    assert len({one.id, other.id, one.reattach_token, other.reattach_token}) == 4
    assert one.connected_at_ms > 1_700_000_000_000


def test_a_message_that_cannot_be_decoded_is_remembered_and_not_answered(bench: Bench) -> None:
    """Tests assert that a client caused none."""
    worker = bench.worker()
    bench.engine.receive(worker.link, "[" + "x" * 10_000)
    bench.engine.receive(worker.link, b"\x00")
    bench.engine.receive(worker.link, " ")
    assert worker.takes() == []
    text, binary = bench.engine.undecodable
    assert text.connection_id == worker.id
    assert "not JSON" in text.reason
    assert len(text.raw) == 4_096
    assert binary.raw == b"\x00"


def test_a_ping_is_answered_in_order_and_a_pong_is_not(bench: Bench) -> None:
    """So a pong says that everything before it was handled."""
    worker = bench.worker()
    worker.sends("registerservice", id="s")
    worker.sends("pong")
    worker.sends("workerregistered", worker_id="x")
    worker.sends("ping")
    assert worker.takes() == [{"type": "pong"}]
    assert not bench.engine.undecodable


def test_telemetry_is_kept() -> None:
    """Also on the worker's own connection."""
    seen: list[object] = []
    engine = Engine(on_frame=lambda _, frame: seen.append(frame))
    link = engine.connect(0.0, ip_address="", wake=lambda: None, drop=lambda: None)
    engine.receive(link, b"OTLP{}")
    engine.receive(link, '{"type":"ping"}')
    assert list(engine.telemetry) == [TelemetryFrame("OTLP", b"{}")]
    assert seen == [TelemetryFrame("OTLP", b"{}"), Ping()]


# ---- namespaces -----------------------------------------------------------------------------------------------------


def test_registrations_wait_for_the_namespace_and_are_applied_in_order(bench: Bench) -> None:
    """Invocations do not wait."""
    worker = bench.connect()
    worker.takes()
    worker.sends("registerfunction", id="f")
    worker.sends("registerfunction", id="g")
    worker.sends("unregisterfunction", id="f")
    worker.sends("registertriggertype", id="t", description="")
    (missing,) = worker.calls("g", call=1, namespace="shop")
    assert missing["error"]["code"] == NOT_FOUND
    (registered,) = worker.registers(namespace="shop")
    assert registered["result"] == {"success": True}
    assert worker.calls("f", call=2, namespace="shop")[0]["error"]["code"] == NOT_FOUND
    assert worker.calls("g", call=3, namespace="shop")[0]["type"] == "invokefunction"


def test_the_grace_period_fixes_the_default_namespace(bench: Bench) -> None:
    """For good: a later call succeeds, and its namespace is ignored."""
    worker = bench.connect()
    worker.takes()
    worker.sends("registerfunction", id="f")
    assert bench.engine.next_deadline() == 105.0
    bench.passes(4.9)
    assert worker.calls("f", call=1)[0]["error"]["code"] == NOT_FOUND
    bench.passes(0.1)
    assert bench.engine.next_deadline() is None
    assert worker.calls("f", call=2)[0]["type"] == "invokefunction"
    assert worker.registers(namespace="shop")[0]["result"] == {"success": True}
    assert worker.link.namespace == "default"


def test_the_deadline_is_that_of_the_oldest_worker_that_waits(bench: Bench) -> None:
    """One that has registered does not wait any more."""
    bench.worker()
    bench.passes(1)
    bench.connect()
    bench.passes(1)
    bench.connect()
    assert bench.engine.next_deadline() == 106.0


def test_a_failed_register_call_leaves_the_namespace_open(bench: Bench) -> None:
    """The worker may call again."""
    worker = bench.connect()
    worker.takes()
    assert worker.error_of("engine::workers::register", {"namespace": " "})[0] == "INVALID_NAMESPACE"
    assert worker.error_of("engine::workers::register", None)[0] == "deserialization_error"
    assert worker.link.namespace is None
    worker.registers(namespace="shop")
    assert worker.link.namespace == "shop"


# ---- functions ------------------------------------------------------------------------------------------------------


def test_a_function_of_another_live_worker_is_refused(bench: Bench) -> None:
    """And only that one; in another namespace it is free."""
    owner, other, elsewhere = bench.worker(), bench.worker(), bench.worker(namespace="shop")
    for worker in (owner, other, elsewhere):
        worker.sends("registerfunction", id="f")
    assert owner.takes() == []
    assert elsewhere.takes() == []
    assert other.takes() == [
        {
            "type": "registrationrejected",
            "code": "FUNCTION_NAMESPACE_CONFLICT",
            "namespace": "default",
            "function_id": "f",
            "owner_worker_id": owner.id,
        }
    ]
    assert not other.dropped


def test_the_engines_prefix_is_reserved_outside_default(bench: Bench) -> None:
    """Nobody owns it."""
    worker = bench.worker(namespace="shop")
    worker.sends("registerfunction", id="engine::f")
    (rejected,) = worker.takes()
    assert (rejected["code"], rejected["owner_worker_id"]) == ("FUNCTION_NAMESPACE_CONFLICT", "")


def test_a_worker_can_replace_a_builtin_and_takes_it_along(bench: Bench) -> None:
    """As on the real engine, where nobody owns a builtin."""
    worker, caller = bench.worker(), bench.worker()
    worker.sends("registerfunction", id="engine::workers::list")
    assert caller.calls("engine::workers::list", {}, call=1) == []
    assert worker.takes()[0]["type"] == "invokefunction"
    bench.engine.disconnect(worker.link)
    caller.takes()
    assert caller.error_of("engine::workers::list", {})[0] == NOT_FOUND


def test_only_the_owner_can_withdraw_a_function(bench: Bench) -> None:
    """Anybody else's attempt is silence."""
    owner, other = bench.worker(), bench.worker()
    owner.sends("registerfunction", id="f")
    other.sends("unregisterfunction", id="f")
    assert other.calls("f", call=1) == []
    owner.takes()
    owner.sends("unregisterfunction", id="f")
    owner.sends("unregisterfunction", id="f")
    assert other.calls("f", call=2)[0]["error"]["code"] == NOT_FOUND


def test_a_function_by_http_does_not_come_into_being(bench: Bench) -> None:
    """Nobody is told, as on an engine without the worker that serves them."""
    worker = bench.worker()
    worker.sends("registerfunction", id="f", invocation={"url": "https://example.com"})
    assert worker.takes() == []
    assert worker.calls("f", call=1)[0]["error"]["code"] == NOT_FOUND


# ---- names ----------------------------------------------------------------------------------------------------------


def test_a_name_of_another_live_worker_closes_the_connection(bench: Bench) -> None:
    """Its registrations are never applied, and the result of its call is not sent."""
    holder, loser = bench.worker("orders"), bench.connect()
    loser.takes()
    loser.sends("registerfunction", id="f")
    assert loser.registers(name="orders") == [
        {
            "type": "registrationrejected",
            "code": "WORKER_NAMESPACE_CONFLICT",
            "namespace": "default",
            "worker_name": "orders",
            "owner_worker_id": holder.id,
        },
        "close",
    ]
    bench.passes(60)
    assert holder.calls("f", call=1)[0]["error"]["code"] == NOT_FOUND
    loser.sends("ping")
    assert loser.takes() == []
    assert not loser.dropped


def test_a_refused_worker_is_closed_once(bench: Bench) -> None:
    """However often it asks."""
    bench.worker("orders")
    loser = bench.worker()
    assert loser.registers(name="orders")[-1] == "close"
    assert loser.registers(name="orders") == []


def test_a_name_is_free_in_another_namespace_and_after_its_holder_left(bench: Bench) -> None:
    """Repeating one's own is allowed."""
    holder = bench.worker("orders")
    assert holder.registers(name="orders")[0]["result"] == {"success": True}
    assert bench.worker("orders", namespace="shop").link.profile.name == "orders"
    bench.engine.disconnect(holder.link)
    assert bench.worker("orders").link.profile.name == "orders"


# ---- the end of a connection ----------------------------------------------------------------------------------------


def test_a_connection_ends_once_and_leaves_nothing(bench: Bench) -> None:
    """Whoever ends it."""
    worker = bench.connect()
    worker.sends("registerfunction", id="f")
    bench.engine.disconnect(worker.link)
    bench.engine.disconnect(worker.link)
    assert worker.dropped
    assert worker.takes() == []
    assert bench.engine.connections == ()
    assert bench.engine.next_deadline() is None
    bench.passes(10)
    assert bench.worker().calls("f", call=1)[0]["error"]["code"] == NOT_FOUND


def test_reattach_retires_the_previous_connection_first(bench: Bench) -> None:
    """So that the name and the functions are free for what comes next."""
    old = bench.worker("orders")
    old.sends("registerfunction", id="f")
    new = bench.connect()
    new.takes()
    new.sends("reattach", previous_worker_id=old.id, reattach_token=old.link.reattach_token)
    assert old.dropped
    assert new.registers(name="orders")[0]["result"] == {"success": True}
    new.sends("registerfunction", id="f")
    assert new.takes() == []
    assert bench.engine.connections == (new.link,)


def test_reattach_needs_the_token_of_another_live_connection(bench: Bench) -> None:
    """Everything else is ignored without a word."""
    old, new = bench.worker(), bench.worker()
    for fields in (
        {"previous_worker_id": old.id, "reattach_token": "wrong"},
        {"previous_worker_id": old.id},
        {"previous_worker_id": "garbage", "reattach_token": old.link.reattach_token},
        {"previous_worker_id": new.id, "reattach_token": new.link.reattach_token},
    ):
        new.sends("reattach", **fields)
    assert new.takes() == []
    assert not old.dropped
    assert not new.dropped


# ---- what waits to be sent ------------------------------------------------------------------------------------------


def test_a_full_queue_is_full_at_64_messages(bench: Bench) -> None:
    """Nothing is ever dropped, though."""
    worker = bench.worker()
    for _ in range(QUEUE_SIZE - 1):
        worker.sends("ping")
    assert not worker.link.is_full
    worker.sends("ping")
    assert worker.link.is_full
    worker.sends("ping")
    assert len(worker.takes()) == QUEUE_SIZE + 1 == 65


def test_the_writer_is_woken_once_for_what_it_has_not_taken() -> None:
    """Not for every message."""
    woken: list[None] = []
    engine = Engine()
    link = engine.connect(0.0, ip_address="", wake=lambda: woken.append(None), drop=lambda: None)
    engine.receive(link, '{"type":"ping"}')
    assert len(woken) == 1
    link.outbox.clear()
    engine.receive(link, '{"type":"ping"}')
    assert len(woken) == 2


def test_what_a_connection_sent_before_its_end_was_noticed_has_no_effect(bench: Bench) -> None:
    """A ghost that still took the worker's name would own it for ever, and refuse its successor."""
    ghost = bench.connect()
    bench.engine.disconnect(ghost.link)
    ghost.sends("invokefunction", function_id="engine::workers::register", data={"name": "w"}, invocation_id=uuid_of(1))
    ghost.sends("registerfunction", id="f")
    heir = bench.worker()
    assert heir.calls("engine::workers::register", {"name": "w"}, call=2)[0]["result"] == {"success": True}
    heir.sends("registerfunction", id="f")
    assert heir.takes() == []


def test_somebody_who_is_no_worker_can_call_a_function(bench: Bench) -> None:
    """It has no caller's id in its payload; what becomes of it is told once."""
    worker = bench.worker()
    worker.sends("registerfunction", id="f")
    outcomes: list[object] = []
    for function_id in ("f", "missing"):
        bench.engine.call(
            0.0,
            "default",
            function_id,
            {"n": 1},
            metadata={"m": 1},
            trace=(None, "k=v"),
            finish=lambda value, error: outcomes.append((value, error and error.code)),
        )
    (call,) = worker.takes()
    assert call == {
        "type": "invokefunction",
        "invocation_id": call["invocation_id"],
        "function_id": "f",
        "data": {"n": 1},
        "metadata": {"m": 1},
        "baggage": "k=v",
    }
    worker.sends("invocationresult", invocation_id=call["invocation_id"], function_id="f", result=5)
    assert outcomes == [(ABSENT, NOT_FOUND), (5, None)]
