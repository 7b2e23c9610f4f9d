"""Bindings, trigger types and services: what the engine is told of them, and what its words make of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from iii_trio._session.events import Withdrawn
from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.trace import Trace
from iii_trio._wire import messages as wire
from iii_trio.errors import ConfigurationError, RegistrationRejectedError
from tests._session_peer import Peer, kinds

SERVICE = wire.RegisterService("shop")
TYPE = wire.RegisterTriggerType("webhook", "calls back")
FUNCTION = wire.RegisterFunction("f")
TRIGGER = wire.RegisterTrigger("t1", "state", "f", {"scope": "s"})


@pytest.fixture
def peer() -> Peer:
    """Nothing is registered, and there is no connection."""
    return Peer()


def register(peer: Peer, *frames: Any) -> list[Registration]:
    """List them all."""
    return [peer.session.registrar.register(frame) for frame in frames]


def verdict(registration: Registration) -> Verdict:
    """What the engine has made of it by now."""
    return registration.verdict


def refuse(peer: Peer, trigger_id: str = "t1", code: str = "trigger_registration_failed") -> None:
    """The engine, or a provider, refuses a binding."""
    error = {"code": code, "message": "bad scope"}
    fields = {"id": trigger_id, "trigger_type": "state", "function_id": "f", "error": error}
    assert peer.say("triggerregistrationresult", **fields) is None


# ---- order ----------------------------------------------------------------------------------------------------------


def test_a_replay_names_a_thing_before_what_refers_to_it(peer: Peer) -> None:
    """Services, trigger types, functions, bindings, in whatever order they were registered; then the barrier."""
    registrations = register(peer, TRIGGER, FUNCTION, TYPE, SERVICE)
    sent = [frame["type"] for frame in peer.replay()][1:]
    assert sent == ["registerservice", "registertriggertype", "registerfunction", "registertrigger", "ping"]
    peer.confirm()
    assert {registration.verdict for registration in registrations} == {Verdict.ACCEPTED}


def test_every_connection_gets_all_of_them_once(peer: Peer) -> None:
    """The bindings with their ids, so that the provider knows them again."""
    register(peer, TRIGGER, FUNCTION, TYPE, SERVICE)
    first = [frame for frame in peer.replay() if frame["type"].startswith("register")]
    peer.confirm()
    peer.session.disconnected("gone", 0.0)
    again = [frame for frame in peer.replay("w2", "t2") if frame["type"].startswith("register")]
    assert first == again
    assert len(first) == 4


def test_what_is_registered_on_a_connection_goes_out_in_order(peer: Peer) -> None:
    """Behind the calls that were made before."""
    peer.ready()
    peer.void()
    register(peer, FUNCTION, TRIGGER)
    assert kinds(peer.take()) == ["invokefunction f", "registerfunction f", "registertrigger f t1"]


# ---- ids ------------------------------------------------------------------------------------------------------------


def test_the_id_of_a_binding_is_used_once(peer: Peer) -> None:
    """The engine would take the first one away."""
    register(peer, TRIGGER)
    with pytest.raises(ConfigurationError, match="trigger 't1' is registered already"):
        register(peer, TRIGGER)


@pytest.mark.parametrize("frame", [TYPE, SERVICE], ids=["trigger type", "service"])
def test_a_trigger_type_or_service_replaces_the_one_before(peer: Peer, frame: Any) -> None:
    """As it does at the engine; whoever holds the first cannot take the second back."""
    peer.ready()
    first, second = register(peer, frame, frame)
    assert (first.verdict, second.verdict) == (Verdict.WITHDRAWN, Verdict.PENDING)
    peer.session.registrar.unregister(first)
    assert list(peer.session.registrar.registry) == [second]
    assert [each["type"] for each in peer.take()] == [frame.TYPE] * 2


def test_a_function_and_a_binding_may_bear_the_same_id(peer: Peer) -> None:
    """Each kind has ids of its own."""
    registry = peer.session.registrar.registry
    function, trigger = register(peer, FUNCTION, wire.RegisterTrigger("f", "state", "f", {}))
    assert registry.find("f") is function
    assert registry.of(wire.RegisterTrigger) == (trigger,)
    assert (registry.count(wire.RegisterTrigger), registry.count(wire.RegisterService)) == (1, 0)


# ---- verdicts -------------------------------------------------------------------------------------------------------


def test_a_barrier_behind_a_binding_proves_that_it_was_not_refused(peer: Peer) -> None:
    """Nothing else does."""
    peer.ready()
    (registration,) = register(peer, TRIGGER)
    peer.session.registrar.confirm(registration)
    assert kinds(peer.take()) == ["registertrigger f t1", "ping"]
    assert verdict(registration) is Verdict.PENDING
    peer.say("pong")
    assert verdict(registration) is Verdict.ACCEPTED


def test_a_refused_binding_says_why(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """With everything that the engine says of it; it is counted and logged."""
    peer.ready()
    (registration,) = register(peer, TRIGGER)
    peer.session.registrar.confirm(registration)
    peer.take()
    with caplog.at_level(logging.WARNING, "iii_trio"):
        refuse(peer)
    peer.say("pong")
    assert verdict(registration) is Verdict.REFUSED
    error = registration.error
    assert isinstance(error, RegistrationRejectedError)
    assert (error.code, error.function_id, error.trigger_id, error.trigger_type) == (
        "trigger_registration_failed",
        "f",
        "t1",
        "state",
    )
    assert str(error) in caplog.text
    assert "bad scope" in str(error)
    assert peer.session.counters.refused_registrations == 1


def test_a_trace_hears_of_a_refused_binding(peer: Peer) -> None:
    """By the function that it is about, as of a refused function."""
    seen: list[Any] = []
    register(peer, TRIGGER)
    peer.ready()
    peer.session.trace = Trace(lambda event, facts: seen.append((event, facts)))
    refuse(peer)
    assert seen == [("registration.refused", {"function_id": "f", "code": "trigger_registration_failed"})]


def test_a_frame_of_another_kind_that_speaks_of_refs_is_taken_as_it_is(peer: Peer) -> None:
    """Only payloads and results are made live."""
    peer.ready()
    peer.session.enliven = lambda value: pytest.fail("this is no payload")
    bound = {"id": "b1", "trigger_type": "webhook", "function_id": "g", "config": {"access_key": "k"}}
    assert peer.say("registertrigger", **bound) == wire.RegisterTrigger("b1", "webhook", "g", {"access_key": "k"})


def test_a_connection_that_was_never_greeted_leaves_no_ghost(peer: Peer) -> None:
    """So its goodbye changes nothing."""
    told: list[None] = []
    peer.session.ghosts.on_change = lambda: told.append(None)
    peer.session.ghosts.departed("nobody")
    peer.session.ghosts.departed(None)
    assert told == []


def test_a_provider_may_refuse_what_was_accepted(peer: Peer) -> None:
    """Then it is refused, until the next connection offers it again."""
    (registration,) = register(peer, TRIGGER)
    peer.ready()
    assert verdict(registration) is Verdict.ACCEPTED
    refuse(peer, code="quota")
    assert verdict(registration) is Verdict.REFUSED
    peer.session.disconnected("gone", 0.0)
    assert (registration.verdict, registration.error) == (Verdict.PENDING, None)


def test_a_prefixed_id_is_known_by_its_end(peer: Peer) -> None:
    """Listeners with a prefix name bindings by it."""
    (registration,) = register(peer, TRIGGER)
    peer.ready()
    refuse(peer, "prefix::t1")
    assert verdict(registration) is Verdict.REFUSED


def test_a_verdict_about_nothing_of_ours_changes_nothing(peer: Peer) -> None:
    """It comes late, for a binding that was taken back."""
    peer.ready()
    refuse(peer, "other")
    assert peer.session.counters.refused_registrations == 0


def test_a_success_is_not_believed_to_be_a_refusal(peer: Peer) -> None:
    """Engines send none to a registrant, and one that does says nothing new."""
    (registration,) = register(peer, TRIGGER)
    peer.ready()
    assert peer.say("triggerregistrationresult", id="t1", trigger_type="state", function_id="f") is None
    assert verdict(registration) is Verdict.ACCEPTED


# ---- taking back ----------------------------------------------------------------------------------------------------


def test_a_binding_is_taken_back_by_id_and_type(peer: Peer) -> None:
    """Once."""
    (registration,) = register(peer, TRIGGER)
    peer.ready()
    peer.session.registrar.unregister(registration)
    peer.session.registrar.unregister(registration)
    assert peer.take() == [{"type": "unregistertrigger", "id": "t1", "trigger_type": "state"}]


@pytest.mark.parametrize(("features", "told"), [(None, False), ([], True)], ids=["0.23", "0.25"])
def test_a_trigger_type_is_taken_back_where_the_engine_knows_how(
    peer: Peer, features: list[str] | None, told: bool
) -> None:
    """Others would drop the frame; here it is gone in any case."""
    (registration,) = register(peer, TYPE)
    peer.connect()
    assert peer.say("workerregistered", worker_id="w1", reattach_token="t1", features=features) is None
    peer.take()
    peer.confirm()
    peer.session.registrar.unregister(registration)
    assert [frame["type"] for frame in peer.take()] == ["unregistertriggertype"] * told
    assert peer.session.registrar.registry.find_type("webhook") is None


def test_bindings_are_withdrawn_before_functions_each_with_a_proof(peer: Peer) -> None:
    """Only the second one says that no invocation will come any more."""
    register(peer, FUNCTION, TRIGGER)
    peer.ready()
    registrar = peer.session.registrar
    registrar.withdraw(wire.RegisterTrigger)
    assert kinds(peer.take()) == ["unregistertrigger t1", "ping"]
    assert peer.say("pong") == Withdrawn()
    assert (registrar.is_withdrawing, registrar.is_withdrawn) == (False, False)
    registrar.withdraw(wire.RegisterFunction)
    assert kinds(peer.take()) == ["unregisterfunction f", "ping"]
    assert peer.say("pong") == Withdrawn()
    assert (registrar.is_withdrawing, registrar.is_withdrawn) == (False, True)


def test_without_bindings_nothing_is_proved_about_functions(peer: Peer) -> None:
    """And nothing is sent."""
    register(peer, FUNCTION)
    peer.ready()
    peer.session.registrar.withdraw(wire.RegisterTrigger)
    assert peer.take() == []
    assert not peer.session.registrar.is_withdrawn


def test_a_provider_hears_of_the_bindings_of_its_type(peer: Peer) -> None:
    """Frames for it are handed on as they are."""
    peer.ready()
    bound = {"id": "b1", "trigger_type": "webhook", "function_id": "g", "config": None}
    assert peer.say("registertrigger", **bound) == wire.RegisterTrigger("b1", "webhook", "g", None)
    assert peer.say("unregistertrigger", id="b1") == wire.UnregisterTrigger("b1")
