"""A session against an engine by hand: what is sent when, what each frame means, and how calls end."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from iii_trio._session.calls import Call
from iii_trio._session.events import Event, Fatal, Ready
from iii_trio._session.outbox import Outbox
from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.session import Session
from iii_trio._session.states import Client, Connection
from iii_trio._wire import messages as wire
from iii_trio.errors import (
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    ConnectionLost,
    Fate,
    InternalError,
    InvocationError,
    InvocationTimeout,
    PayloadError,
    RegistrationRejectedError,
)
from tests._session_peer import Peer, kinds, new_session

REGISTER = "invokefunction engine::workers::register"


@pytest.fixture
def peer() -> Peer:
    """An engine at the other end of a session."""
    return Peer()


def outcome(call: Call) -> tuple[type | None, str | None, Fate | None]:
    """Class, code and fate of a call that failed."""
    return (type(call.error), call.error.code, call.error.fate) if call.error else (None, None, None)


def verdict_of(registration: Registration) -> Verdict:
    """What the engine made of it by now."""
    return registration.verdict


def is_gone(peer: Peer, call: Call) -> bool:
    """Whether a call has no entry anywhere."""
    return peer.session.calls.get(call.id) is None and call not in peer.session.outbox.calls.frames


# ---- the beginning of a connection ----------------------------------------------------------------------------------


def test_nothing_is_sent_before_the_greeting(peer: Peer) -> None:
    """Who speaks first could not prove later that the connection was its own."""
    peer.register("g")
    peer.void()
    peer.call()
    assert peer.take() == []
    peer.connect()
    peer.session.ping(0.0)
    peer.register("h")
    assert peer.take() == []


def test_the_replay_goes_out_in_order(peer: Peer) -> None:
    """The register call with an id, then functions as they came, then the barrier; calls wait."""
    for function_id in ("b", "a"):
        peer.register(function_id)
    peer.call()
    assert kinds(peer.replay()) == [REGISTER, "registerfunction b", "registerfunction a", "ping"]
    register = peer.seen[0]
    assert register["data"] == {"name": "worker", "namespace": "default"}
    assert register["invocation_id"]
    assert "namespace" not in register


def retired(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Which connections a replay begins to retire, before anything else."""
    retiring = list(itertools.takewhile(lambda frame: frame["type"] == "reattach", frames))
    assert "reattach" not in kinds(frames[len(retiring) :])
    return [(frame["previous_worker_id"], frame["reattach_token"]) for frame in retiring]


def test_a_new_connection_retires_the_last_one_first(peer: Peer) -> None:
    """With id and token of the newest greeting, before its name and functions are claimed."""
    peer.ready("w1", "t1")
    peer.session.disconnected("gone", 0.0)
    peer.ready("w2", "t2")
    peer.session.disconnected("gone", 0.0)
    peer.register("f")
    frames = peer.replay("w3", "t3")
    assert retired(frames) == [("w2", "t2")]
    assert kinds(frames) == ["reattach", REGISTER, "registerfunction f", "ping"]
    assert peer.session.worker_id == "w3"


def test_a_connection_is_retired_again_until_one_was_ready(peer: Peer) -> None:
    """Nobody knows whether the engine heard it; once a connection is ready, all before it are gone."""
    peer.ready("w1", "t1")
    for worker_id, known in (("w2", ["w1"]), ("w3", ["w1", "w2"])):
        peer.session.disconnected("gone", 0.0)
        assert [name for name, _ in retired(peer.replay(worker_id))] == known
    peer.confirm()
    peer.session.disconnected("gone", 0.0)
    assert [name for name, _ in retired(peer.replay("w4"))] == ["w3"]


def test_connections_to_retire_do_not_pile_up(peer: Peer) -> None:
    """The one that was ready is kept, since it owns everything, and then the newest."""
    peer.ready("w0")
    for number in range(1, 30):
        peer.session.disconnected("gone", 0.0)
        frames = peer.replay(f"w{number}")
    assert [name for name, _ in retired(frames)] == ["w0", *(f"w{number}" for number in range(22, 29))]


def test_without_a_token_nothing_can_be_retired(peer: Peer) -> None:
    """Older engines give none."""
    peer.ready("w1", None)
    peer.session.disconnected("gone", 0.0)
    assert kinds(peer.replay("w2", "t2")) == [REGISTER, "ping"]


def test_a_connection_that_was_lost_before_its_greeting_changes_nothing(peer: Peer) -> None:
    """The one before it is still the one to retire."""
    peer.ready("w1", "t1")
    peer.session.disconnected("gone", 0.0)
    peer.connect()
    peer.session.disconnected("gone again", 0.0)
    assert peer.replay("w2")[0] == {"type": "reattach", "previous_worker_id": "w1", "reattach_token": "t1"}


def test_every_connection_registers_under_an_id_of_its_own(peer: Peer) -> None:
    """A late answer to the old one cannot be taken for the new one's."""
    peer.replay()
    old = peer.register_id
    peer.session.disconnected("gone", 0.0)
    peer.replay("w2")
    assert peer.register_id != old
    assert peer.result(old, result={"success": True}) is None
    assert peer.say("pong") is None
    assert not peer.session.is_ready
    assert peer.session.counters.unknown_results == 1


def test_a_late_refusal_of_a_lost_connection_is_ignored(peer: Peer) -> None:
    """It neither ends the client nor counts for the next connection."""
    peer.replay()
    old = peer.register_id
    peer.session.disconnected("gone", 0.0)
    peer.connect()
    assert peer.refusal(old, "FORBIDDEN") is None
    assert peer.session.counters.unknown_results == 1


@pytest.mark.parametrize("pong_first", [True, False], ids=["pong first", "answer first"])
def test_ready_is_the_register_call_and_the_barrier_in_either_order(peer: Peer, pong_first: bool) -> None:
    """The engine answers the ping while it still parks what was replayed, so one of them proves nothing."""
    registration = peer.register("f")
    peer.replay()
    replies: list[Callable[[], Event | None]] = [
        lambda: peer.say("pong"),
        lambda: peer.result(peer.register_id, result={"success": True}),
    ]
    first, second = replies if pong_first else reversed(replies)
    assert first() is None
    assert not peer.session.is_ready
    assert [each.verdict for each in peer.session.registrar.registry] == [Verdict.PENDING]
    assert second() == Ready()
    assert peer.session.is_ready
    assert peer.session.client.state is Client.ONLINE
    assert registration.verdict is Verdict.ACCEPTED


def test_calls_flow_once_the_connection_is_ready(peer: Peer) -> None:
    """Those that waited, in the order in which they came; the writer is told."""
    woken: list[str] = []
    peer.session.wake_writer = lambda: woken.append("writer")
    first = peer.call(1)
    peer.void(2)
    second = peer.call(3)
    peer.replay()
    woken.clear()
    peer.confirm()
    assert woken == ["writer"]
    assert not first.sent
    assert [frame["data"] for frame in peer.take()] == [1, 2, 3]
    assert first.sent
    assert second.sent


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("INVALID_NAMESPACE", "namespace is empty", id="a blank namespace"),
        pytest.param("FORBIDDEN", "outside the session's scope", id="a namespace that the login may not use"),
        pytest.param("deserialization_error", "pid: out of range", id="a payload of ours that does not fit"),
    ],
)
def test_a_refused_register_call_is_fatal(peer: Peer, code: str, message: str) -> None:
    """The engine would file this worker under another namespace, so the connection never becomes ready."""
    peer.replay()
    event = peer.refusal(peer.register_id, code, message)
    assert isinstance(event, Fatal)
    assert isinstance(event.error, RegistrationRejectedError)
    assert (event.error.code, event.error.namespace) == (code, "default")
    assert message in str(event.error)
    assert peer.say("pong") is None
    assert not peer.session.is_ready


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"result": {"success": False}}, id="no success"),
        pytest.param({"result": {"success": "yes"}}, id="'yes' is not True"),
        pytest.param({"result": {"success": 1}}, id="1 is not True"),
        pytest.param({"result": {}}, id="an empty object"),
        pytest.param({"result": [True]}, id="a list"),
        pytest.param({"result": None}, id="null"),
        pytest.param({}, id="no value"),
    ],
)
def test_an_answer_that_is_no_success_is_fatal(peer: Peer, answer: dict[str, Any]) -> None:
    """Only success says that the namespace is ours."""
    peer.replay()
    event = peer.result(peer.register_id, **answer)
    assert isinstance(event, Fatal)
    assert isinstance(event.error, RegistrationRejectedError)
    assert event.error.code == "registration_failed"
    assert peer.say("pong") is None


def test_a_register_call_that_was_stopped_is_no_refusal(peer: Peer) -> None:
    """The connection is being torn down; its end follows, and the next one tries again."""
    peer.replay()
    assert peer.refusal(peer.register_id, "invocation_stopped") is None
    assert peer.say("pong") is None
    assert not peer.session.is_ready
    peer.session.disconnected("gone", 0.0)
    assert peer.ready("w2").session.is_ready


def test_a_worker_whose_name_is_taken_is_told_so(peer: Peer) -> None:
    """Who has it, and where."""
    peer.replay()
    event = peer.say(
        "registrationrejected",
        code="WORKER_NAMESPACE_CONFLICT",
        namespace="default",
        worker_name="worker",
        owner_worker_id="other",
    )
    assert isinstance(event, Fatal)
    error = event.error
    assert isinstance(error, RegistrationRejectedError)
    assert (error.code, error.worker_name, error.function_id) == ("WORKER_NAMESPACE_CONFLICT", "worker", None)
    assert (error.namespace, error.owner_worker_id) == ("default", "other")
    assert "worker name 'worker' is taken" in str(error)
    assert peer.session.counters.refused_registrations == 0


def test_a_refused_login_is_fatal(peer: Peer) -> None:
    """It comes instead of the greeting, after a successful handshake."""
    peer.connect()
    event = peer.say("error", error={"code": "AUTH_ERROR", "message": "Missing credentials"})
    assert isinstance(event, Fatal)
    assert isinstance(event.error, AuthenticationError)
    assert event.error.code == "AUTH_ERROR"
    assert "Missing credentials" in str(event.error)


@pytest.mark.parametrize(
    "worker",
    [
        pytest.param({"name": "host\udcff", "namespace": "default"}, id="a name that is not Unicode"),
        pytest.param({"name": "w" * 1000, "namespace": "default"}, id="more than may be sent"),
    ],
)
def test_a_worker_that_cannot_be_announced_is_refused_at_once(worker: dict[str, Any]) -> None:
    """And not when the first connection is there."""
    with pytest.raises(PayloadError):
        Session(worker, Outbox(10, 1000), 900)


def test_a_value_that_changes_after_its_registration_cannot_spoil_a_replay(peer: Peer) -> None:
    """What was checked is what is sent."""
    schema = {"type": "object"}
    peer.session.registrar.register(wire.RegisterFunction("f", request_format=schema), None)
    schema["type"] = "\ud800"
    assert peer.replay()[1]["request_format"] == {"type": "object"}


# ---- registrations --------------------------------------------------------------------------------------------------


def test_a_function_is_offered_at_once_while_connected(peer: Peer) -> None:
    """Behind the calls that were made before it."""
    peer.ready()
    peer.call()
    peer.register("g")
    assert kinds(peer.take()) == ["invokefunction f", "registerfunction g"]


def test_a_function_that_comes_during_the_replay_follows_it(peer: Peer) -> None:
    """It is sent once, when the connection is ready."""
    peer.replay()
    registration = peer.register("g")
    assert peer.take() == []
    peer.confirm()
    assert registration.verdict is Verdict.PENDING
    assert kinds(peer.take()) == ["registerfunction g"]


def test_a_function_that_comes_before_the_greeting_is_replayed(peer: Peer) -> None:
    """It is sent once."""
    peer.connect()
    peer.register("g")
    peer.greet()
    peer.take()
    peer.confirm()
    peer.take()
    assert kinds(peer.seen).count("registerfunction g") == 1


def test_an_id_that_is_taken_or_cannot_be_sent_changes_nothing(peer: Peer) -> None:
    """The first one stays, and nothing is offered."""
    peer.ready()
    first = peer.register("f")
    peer.take()
    with pytest.raises(ConfigurationError, match="registered already"):
        peer.register("f")
    with pytest.raises(PayloadError):
        peer.register("\ud800")
    assert list(peer.session.registrar.registry) == [first]
    assert peer.take() == []


def test_a_barrier_confirms_all_that_was_offered_before_it(peer: Peer) -> None:
    """One is enough for all of them, and those that come later need their own."""
    peer.ready()
    one, other = peer.register("one"), peer.register("other")
    for _ in range(2):
        peer.session.registrar.confirm(one)
        peer.session.registrar.confirm(other)
    late = peer.register("late")
    peer.session.registrar.confirm(late)
    assert kinds(peer.take()) == [
        "registerfunction one",
        "registerfunction other",
        "ping",
        "registerfunction late",
        "ping",
    ]
    peer.say("pong")
    assert (one.verdict, other.verdict, late.verdict) == (Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.PENDING)
    peer.say("pong")
    assert late.verdict is Verdict.ACCEPTED


def test_barriers_are_answered_in_the_order_in_which_they_were_sent(peer: Peer) -> None:
    """A sign of life that overtakes a registration does not confirm it."""
    peer.ready()
    registration = peer.register("f")
    peer.session.registrar.confirm(registration)
    peer.session.ping(0.0)
    assert kinds(peer.take()) == ["ping", "registerfunction f", "ping"]
    peer.say("pong")
    assert verdict_of(registration) is Verdict.PENDING
    peer.say("pong")
    assert verdict_of(registration) is Verdict.ACCEPTED


def test_a_pong_to_a_barrier_that_was_not_sent_yet_confirms_nothing(peer: Peer) -> None:
    """It waits in the outbox, so this pong is about something else."""
    peer.ready()
    registration = peer.register("f")
    peer.session.registrar.confirm(registration)
    peer.say("pong")
    assert registration.verdict is Verdict.PENDING
    assert peer.session.counters.unexpected_frames == 1


def test_a_confirmed_or_offline_registration_needs_no_barrier(peer: Peer) -> None:
    """The replay has one already."""
    registration = peer.register("f")
    peer.session.registrar.confirm(registration)
    peer.ready()
    peer.session.registrar.confirm(registration)
    assert peer.take() == []


def test_a_registration_that_was_withdrawn_or_replayed_needs_no_barrier_either(peer: Peer) -> None:
    """The one has its verdict, the other a barrier of the new connection."""
    peer.ready()
    withdrawn, replayed = peer.register("withdrawn"), peer.register("replayed")
    peer.session.registrar.unregister(withdrawn)
    peer.take()
    peer.session.registrar.confirm(withdrawn)
    assert peer.take() == []
    peer.session.disconnected("gone", 0.0)
    peer.ready("w2")
    peer.session.registrar.confirm(replayed)
    assert peer.take() == []


@pytest.mark.parametrize("named", ["f", "tenant::f"], ids=["by its id", "by a prefixed id"])
def test_a_refused_function_says_why_and_the_connection_lives_on(
    peer: Peer, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The barrier that follows does not make it accepted; the others are."""
    refused, accepted = peer.register("f"), peer.register("g")
    woken: list[Verdict] = []
    refused.waiters.append(lambda: woken.append(refused.verdict))
    peer.replay()
    with caplog.at_level(logging.WARNING, "iii_trio"):
        assert peer.reject(named) is None
    peer.confirm()
    assert (refused.verdict, accepted.verdict) == (Verdict.REFUSED, Verdict.ACCEPTED)
    assert woken == [Verdict.REFUSED]
    error = refused.error
    assert isinstance(error, RegistrationRejectedError)
    assert (error.code, error.function_id, error.owner_worker_id) == ("FUNCTION_NAMESPACE_CONFLICT", named, "other")
    assert peer.session.counters.refused_registrations == 1
    assert f"function '{named}' is taken" in caplog.text


def test_a_refusal_of_something_unknown_is_counted(peer: Peer) -> None:
    """It is about a function that was withdrawn meanwhile."""
    peer.ready()
    assert peer.reject("gone") is None
    assert peer.session.counters.refused_registrations == 1


def test_a_refused_function_is_offered_again_on_the_next_connection(peer: Peer) -> None:
    """Its owner may have left."""
    registration = peer.register("f")
    peer.replay()
    peer.reject("f")
    peer.confirm()
    peer.session.disconnected("gone", 0.0)
    assert (registration.verdict, registration.error) == (Verdict.PENDING, None)
    peer.ready("w2")
    assert registration.verdict is Verdict.ACCEPTED


def test_a_withdrawn_function_is_withdrawn_once(peer: Peer) -> None:
    """Later answers do not bring it back."""
    peer.ready()
    registration = peer.register("f")
    peer.session.registrar.confirm(registration)
    assert kinds(peer.take()) == ["registerfunction f", "ping"]
    for _ in range(2):
        peer.session.registrar.unregister(registration)
    assert kinds(peer.take()) == ["unregisterfunction f"]
    peer.say("pong")
    assert registration.verdict is Verdict.WITHDRAWN
    assert len(peer.session.registrar.registry) == 0
    peer.session.registrar.confirm(registration)
    assert peer.take() == []


@pytest.mark.parametrize("connected", [False, True], ids=["offline", "before the greeting"])
def test_a_function_that_the_engine_never_had_is_not_withdrawn_there(peer: Peer, connected: bool) -> None:
    """Nothing is sent about it."""
    registration = peer.register("f")
    if connected:
        peer.connect()
    peer.session.registrar.unregister(registration)
    assert registration.verdict is Verdict.WITHDRAWN
    if not connected:
        peer.connect()
    peer.greet()
    peer.take()
    peer.confirm()
    peer.take()
    assert kinds(peer.seen) == [REGISTER, "ping"]


def test_control_frames_die_with_their_connection_and_are_replayed_once(peer: Peer) -> None:
    """Offers, withdrawals and barriers that wait: the next replay does it all anew."""
    kept, withdrawn = peer.register("kept"), peer.register("withdrawn")
    peer.ready()
    peer.void("stays")
    peer.session.registrar.unregister(withdrawn)
    new = peer.register("new")
    peer.session.registrar.confirm(new)
    peer.session.ping(0.0)
    peer.session.disconnected("gone", 0.0)
    assert peer.session.outbox.frames == 1
    peer.ready("w2")
    peer.take()
    assert kinds(peer.seen) == [
        "reattach",
        REGISTER,
        "registerfunction kept",
        "registerfunction new",
        "ping",
        "invokefunction f",
    ]
    assert (kept.verdict, new.verdict) == (Verdict.ACCEPTED, Verdict.ACCEPTED)


@pytest.mark.parametrize("end", ["close", "fail"])
def test_whoever_waits_for_a_verdict_is_woken_when_the_client_ends(peer: Peer, end: str) -> None:
    """There will be none any more."""
    registration = peer.register("f")
    woken: list[bool] = []
    registration.waiters.append(lambda: woken.append(peer.session.is_final))
    if end == "close":
        peer.session.close()
    else:
        peer.session.fail(AuthenticationError("no", code="AUTH_ERROR"))
    assert woken == [True]
    assert registration.verdict is Verdict.PENDING


# ---- calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        pytest.param({"result": {"id": 7}}, {"id": 7}, id="a value"),
        pytest.param({"result": None}, None, id="null"),
        pytest.param({}, None, id="no value means null"),
        pytest.param({"result": False, "error": None}, False, id="an error that is null is none"),
    ],
)
def test_an_answer_settles_its_call(peer: Peer, answer: dict[str, Any], result: Any) -> None:
    """Once, and it leaves no entry."""
    peer.ready()
    call = peer.sent_call()
    assert peer.result(call.id, **answer) is None
    assert (call.done, call.result, call.error) == (True, result, None)
    assert peer.result(call.id, result="again") is None
    assert call.result == result
    assert peer.wakes[call.id] == 1
    assert is_gone(peer, call)
    assert peer.session.counters.unknown_results == 1


@pytest.mark.parametrize(
    ("code", "kind", "fate"),
    [
        pytest.param("function_not_found", InvocationError, Fate.NOT_RUN, id="refused by the engine"),
        pytest.param("invocation_stopped", ConnectionLost, Fate.MAY_HAVE_RUN, id="the handler's worker was lost"),
        pytest.param("invocation_failed", InvocationError, Fate.RAN, id="the handler failed"),
        pytest.param("out_of_stock", InvocationError, Fate.RAN, id="the handler's own code"),
    ],
)
def test_an_error_settles_its_call_with_code_and_fate(peer: Peer, code: str, kind: type, fate: Fate) -> None:
    """An error wins over a result in the same frame."""
    peer.ready()
    call = peer.sent_call()
    peer.result(call.id, result=1, error={"code": code, "message": "why", "stacktrace": "line 1"})
    assert outcome(call) == (kind, code, fate)
    assert call.result is None
    error = call.error
    assert error is not None
    assert (error.message, error.stacktrace, error.function_id) == ("why", "line 1", "f")
    assert error.invocation_id == call.id


def test_an_answer_to_a_call_that_was_not_sent_is_no_answer(peer: Peer) -> None:
    """Nobody can have run it; it stays where it is."""
    call = peer.call()
    peer.replay()
    peer.result(call.id, result=1)
    assert not call.done
    assert peer.session.counters.unknown_results == 1
    peer.confirm()
    peer.take()
    peer.result(call.id, result=2)
    assert call.result == 2


def test_results_nobody_asked_for_are_dropped_by_id(peer: Peer) -> None:
    """They are normal: late ones, and those that the engine invents."""
    peer.ready()
    call = peer.sent_call()
    assert peer.result("6f0f0000-0000-4000-a000-000000000000", result=1) is None
    assert peer.refusal("", "FORBIDDEN") is None
    assert peer.session.counters.unknown_results == 2
    assert not call.done


def test_a_call_that_waits_is_taken_back(peer: Peer) -> None:
    """Its frame is never sent."""
    peer.ready()
    call = peer.call()
    peer.session.forget(call)
    assert is_gone(peer, call)
    assert peer.take() == []
    assert peer.session.outbox.bytes == 0
    assert peer.wakes[call.id] == 0


def test_a_call_that_was_sent_is_forgotten_and_its_late_answer_dropped(peer: Peer) -> None:
    """Forgetting it again does nothing."""
    peer.ready()
    call = peer.sent_call()
    for _ in range(2):
        peer.session.forget(call)
    peer.result(call.id, result=1)
    assert is_gone(peer, call)
    assert not call.done
    assert peer.session.counters.unknown_results == 1


def test_a_call_ends_at_its_deadline_and_says_whether_it_was_sent(peer: Peer) -> None:
    """One that still waits is taken out of the outbox."""
    peer.ready()
    sent = peer.sent_call(deadline=5.0)
    waits = peer.call(deadline=5.0)
    later = peer.call(deadline=5.5)
    peer.session.expire(4.9)
    assert not sent.done
    peer.session.expire(5.0)
    assert outcome(sent) == (InvocationTimeout, "TIMEOUT", Fate.MAY_HAVE_RUN)
    assert outcome(waits) == (InvocationTimeout, "TIMEOUT", Fate.NEVER_SENT)
    assert not later.done
    assert (peer.wakes[sent.id], peer.wakes[waits.id]) == (1, 1)
    assert is_gone(peer, sent)
    assert is_gone(peer, waits)
    assert peer.session.counters.timed_out_calls == 2
    assert kinds(peer.take()) == ["invokefunction f"]


def test_the_timer_is_woken_for_an_earlier_deadline_only(peer: Peer) -> None:
    """It sleeps until the earliest; all others concern it later, those included that come when that one has ended."""
    woken: list[float] = []
    peer.session.wake_timer = lambda: woken.append(peer.session.arm())
    for deadline in (5.0, 7.0, 5.0, 3.0, float("inf"), 2.5):
        peer.call(deadline=deadline)
    assert woken == [5.0, 3.0, 2.5]
    for call in peer.session.calls:
        peer.session.forget(call)
    peer.call(deadline=4.0)
    assert woken == [5.0, 3.0, 2.5]


def test_every_call_wakes_the_writer(peer: Peer) -> None:
    """So do answers, offers and pings."""
    peer.ready()
    woken: list[int] = []
    peer.session.wake_writer = lambda: woken.append(peer.session.outbox.frames)
    peer.call()
    peer.void()
    peer.answer()
    registration = peer.register("f")
    peer.session.registrar.confirm(registration)
    peer.take()
    peer.session.registrar.unregister(registration)
    peer.session.ping(0.0)
    assert woken == [1, 2, 3, 4, 5, 1, 2]


# ---- the end of a connection ----------------------------------------------------------------------------------------


def test_a_lost_link_settles_sent_calls_and_keeps_unsent_ones(peer: Peer) -> None:
    """Those that were sent may have run; the others are sent on the next connection."""
    peer.ready()
    sent = peer.sent_call("sent")
    waits = peer.call("waits")
    peer.session.disconnected("the link was reset", 0.0)
    assert outcome(sent) == (ConnectionLost, "CONNECTION_LOST", Fate.MAY_HAVE_RUN)
    assert "the link was reset" in str(sent.error)
    assert not waits.done
    assert not waits.sent
    assert peer.session.counters.lost_calls == 1
    assert peer.session.client.state is Client.OFFLINE
    peer.ready("w2")
    assert [frame["data"] for frame in peer.take()] == ["waits"]
    peer.result(sent.id, result="too late")
    peer.result(waits.id, result="in time")
    assert (waits.result, sent.result) == ("in time", None)
    assert peer.wakes == {sent.id: 1, waits.id: 1}


def test_a_loss_between_two_batches_tells_sent_from_unsent(peer: Peer) -> None:
    """What was handed to the writer counts as sent, and nothing else."""
    peer.ready()
    calls = [peer.call(number) for number in range(5)]
    assert len(peer.take(150)) < 5
    peer.session.disconnected("gone", 0.0)
    assert [call.done for call in calls] == [call.sent for call in calls]
    assert {outcome(call)[1] for call in calls if call.sent} == {"CONNECTION_LOST"}
    assert any(call.sent for call in calls)
    assert not all(call.sent for call in calls)


def test_void_calls_outlive_a_connection(peer: Peer) -> None:
    """In order with the calls between which they were made."""
    peer.ready()
    peer.void(1)
    call = peer.call(2)
    peer.void(3)
    peer.session.disconnected("gone", 0.0)
    peer.ready("w2")
    assert [frame["data"] for frame in peer.take()] == [1, 2, 3]
    assert call.sent


def test_answers_die_with_the_connection_that_asked(peer: Peer) -> None:
    """The engine has told the caller already; they are counted, whether they waited or come late."""
    peer.ready()
    old = peer.session.epoch
    peer.answer("waits")
    peer.session.disconnected("gone", 0.0)
    peer.answer("late")
    peer.connect()
    peer.answer("later", epoch=old)
    peer.answer("before the greeting")
    peer.greet("w2")
    peer.answer("even later", epoch=old)
    peer.answer("in time")
    assert [frame["result"] for frame in peer.take() if frame["type"] == "invocationresult"] == ["in time"]
    assert peer.session.counters.dropped_results == 5


def test_no_answer_is_queued_once_the_connection_is_being_closed(peer: Peer) -> None:
    """Nor sent, if it waited."""
    peer.ready()
    peer.answer("waits")
    peer.session.closing()
    peer.answer("late")
    assert peer.take() == []
    peer.session.disconnected("closed", 0.0)
    assert peer.session.counters.dropped_results == 2


def test_nothing_is_sent_on_a_connection_that_is_being_closed(peer: Peer) -> None:
    """Calls wait for another one; answers to what was sent still count."""
    peer.ready()
    sent = peer.sent_call()
    peer.call()
    peer.session.closing()
    peer.session.closing()
    peer.session.ping(0.0)
    peer.register("f")
    assert peer.take() == []
    assert not peer.session.is_ready
    peer.result(sent.id, result=1)
    assert sent.result == 1


def test_a_connection_that_is_being_closed_never_becomes_ready(peer: Peer) -> None:
    """Answers that still come change nothing, and end nothing a second time."""
    peer.replay()
    peer.session.closing()
    assert peer.say("pong") is None
    assert peer.result(peer.register_id, result={"success": True}) is None
    assert peer.refusal(peer.register_id, "FORBIDDEN") is None
    assert not peer.session.is_ready
    assert peer.session.counters.unknown_results == 2


def test_without_a_connection_there_is_nothing_to_end(peer: Peer) -> None:
    """The states stay, and nothing raises."""
    peer.call()
    peer.session.disconnected("not even connected", 0.0)
    peer.session.closing()
    peer.session.ping(0.0)
    assert peer.session.client.state is Client.STARTING
    assert peer.session.outbox.frames == 1
    peer.connect()
    peer.session.disconnected("never greeted", 0.0)
    assert peer.session.client.state is Client.STARTING


def test_a_client_that_was_online_is_offline_until_ready_again(peer: Peer) -> None:
    """Connected is not enough."""
    peer.ready()
    peer.session.disconnected("gone", 0.0)
    peer.replay("w2")
    states = [peer.session.client.state]
    peer.confirm()
    assert [*states, peer.session.client.state] == [Client.OFFLINE, Client.ONLINE]


# ---- the end of a client --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "fail"])
def test_the_end_of_a_client_settles_every_call_with_the_right_fate(peer: Peer, end: str) -> None:
    """Those that waited were never sent."""
    peer.ready()
    sent = peer.sent_call()
    waits = peer.call()
    for _ in range(2):
        if end == "close":
            peer.session.close()
        else:
            peer.session.fail(AuthenticationError("the engine refused the login", code="AUTH_ERROR"))
    assert outcome(sent) == (ClientClosed, "SHUTDOWN", Fate.MAY_HAVE_RUN)
    assert outcome(waits) == (ClientClosed, "SHUTDOWN", Fate.NEVER_SENT)
    assert peer.wakes == {sent.id: 1, waits.id: 1}
    assert (len(peer.session.calls), peer.session.outbox.frames) == (0, 0)
    assert peer.session.is_final
    assert ("the engine refused the login" in str(sent.error)) == (end == "fail")


def test_a_closed_client_still_sends_what_needs_no_answer(peer: Peer) -> None:
    """Void calls and answers go out until the connection is closed."""
    peer.ready()
    peer.void(1)
    peer.call(2)
    peer.answer(3)
    peer.session.close()
    assert kinds(peer.take()) == ["invocationresult g", "invokefunction f"]
    peer.session.disconnected("closed", 0.0)
    assert peer.session.client.state is Client.CLOSED


def test_a_closed_client_stays_closed_whatever_its_connection_does(peer: Peer) -> None:
    """Closed and failed are final, and the first of them counts."""
    peer.session.close()
    peer.session.fail(InternalError("too late"))
    peer.ready()
    assert peer.session.client.state is Client.CLOSED
    peer.session.disconnected("gone", 0.0)
    assert peer.session.client.state is Client.CLOSED


# ---- what the engine sends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["replaying", "ready"])
def test_an_invocation_is_handed_on_as_it_is(peer: Peer, stage: str) -> None:
    """Also while the replay runs: functions that the engine has can be called."""
    peer.replay()
    if stage == "ready":
        peer.confirm()
    frame = {"function_id": "f", "data": {"a": 1}, "invocation_id": "i", "metadata": 7, "traceparent": "t"}
    assert peer.say("invokefunction", **frame) == wire.InvokeFunction(
        "f", {"a": 1}, invocation_id="i", metadata=7, traceparent="t"
    )
    assert peer.session.counters.unexpected_frames == 0


def test_a_ping_of_the_engine_is_answered(peer: Peer) -> None:
    """Before everything that waits, and also during the replay."""
    peer.ready()
    peer.call()
    assert peer.say("ping") is None
    assert kinds(peer.take()) == ["pong", "invokefunction f"]


def test_frames_of_newer_engines_are_counted_and_ignored(peer: Peer) -> None:
    """In any state."""
    assert peer.say("observeradded", whatever=1) is None
    peer.ready()
    assert peer.say("invocationsobserved") is None
    assert peer.session.counters.ignored_frames == 2
    assert peer.session.counters.unexpected_frames == 0


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="nothing"),
        pytest.param("{]", id="no JSON"),
        pytest.param('{"type":"teleport"}', id="an unknown type"),
        pytest.param('{"type":"invokefunction","function_id":"f"}', id="a call without data"),
        pytest.param(b"\xff\xfe", id="bytes"),
    ],
)
def test_what_is_no_frame_is_counted_and_logged(
    peer: Peer, message: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """And the connection lives on."""
    peer.ready()
    with caplog.at_level(logging.WARNING, "iii_trio"):
        assert peer.session.receive(message) is None
    assert peer.session.counters.undecodable_frames == 1
    assert "no frame" in caplog.text
    assert peer.session.is_ready


STAGES = ["offline", "opening", "replaying", "ready", "closing"]
GREETING = {"type": "workerregistered", "worker_id": "w9", "reattach_token": "t9"}
CALL = {"type": "invokefunction", "function_id": "f", "data": None, "invocation_id": "i"}
REJECTION = {"type": "registrationrejected", "code": "c", "namespace": "n", "owner_worker_id": "o"}
LOGIN = {"type": "error", "error": {"code": "AUTH_ERROR", "message": "no"}}

ALLOWED: list[tuple[str, dict[str, Any], set[str]]] = [
    ("a greeting", GREETING, {"opening"}),
    ("a refused login", LOGIN, {"opening"}),
    ("an invocation", CALL, {"replaying", "ready"}),
    ("an invocation without an id", {**CALL, "invocation_id": None}, set()),
    ("a refused function", {**REJECTION, "function_id": "f"}, {"replaying", "ready"}),
    ("a refused name", {**REJECTION, "worker_name": "w"}, {"replaying", "ready"}),
    ("a ping", {"type": "ping"}, {"replaying", "ready"}),
    ("a pong", {"type": "pong"}, {"replaying"}),
    ("a reattach, which only workers send", {"type": "reattach", "previous_worker_id": "w"}, set()),
    ("a registration, which only workers send", {"type": "registerfunction", "id": "f"}, set()),
    ("a service, which only workers send", {"type": "registerservice", "id": "s"}, set()),
    (
        "a binding for a provider, which this client is not",
        {"type": "registertrigger", "id": "i", "trigger_type": "t", "function_id": "f", "config": None},
        set(),
    ),
]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("what", "frame", "stages"), ALLOWED, ids=[what for what, _, _ in ALLOWED])
def test_a_frame_that_the_state_does_not_allow_is_counted_and_changes_nothing(
    peer: Peer, what: str, frame: dict[str, Any], stages: set[str], stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Every frame meets every state; none of them raises."""
    if stage != "offline":
        peer.connect()
    if stage in ("replaying", "ready", "closing"):
        peer.greet()
        peer.take()
    if stage == "ready":
        peer.confirm()
    if stage == "closing":
        peer.session.closing()
    session = peer.session
    before = (session.connection and session.connection.state, session.worker_id, session.outbox.frames)
    with caplog.at_level(logging.WARNING, "iii_trio"):
        event = session.receive(json.dumps(frame))
    allowed = stage in stages
    assert session.counters.unexpected_frames == (0 if allowed else 1)
    if not allowed:
        assert event is None
        assert (session.connection and session.connection.state, session.worker_id, session.outbox.frames) == before
        assert "unexpected frame" in caplog.text


def test_telemetry_from_an_engine_is_unexpected(peer: Peer) -> None:
    """It is for engines only."""
    peer.ready()
    assert peer.session.receive(b"OTLP{}") is None
    assert peer.session.counters.unexpected_frames == 1


# ---- batches and bounds ---------------------------------------------------------------------------------------------


def test_what_belongs_to_the_connection_goes_before_answers_and_those_before_calls(peer: Peer) -> None:
    """A reply that is overdue does not wait behind new work."""
    peer.ready()
    peer.call()
    peer.answer()
    peer.session.ping(0.0)
    assert kinds(peer.take()) == ["ping", "invocationresult g", "invokefunction f"]


@pytest.mark.parametrize("max_bytes", [1, 100, 500, 2000])
def test_batches_keep_order_and_are_bounded(max_bytes: int) -> None:
    """Each lane stops at the frame that reaches the limit, and nothing is lost or sent twice."""
    peer = Peer().ready()
    for number in range(20):
        peer.void(number)
        peer.answer(number)
    calls, answers = list[int](), list[int]()
    while batch := peer.take(max_bytes):
        sizes = {"invokefunction": 0, "invocationresult": 0}
        for frame in batch:
            assert sizes[frame["type"]] < max_bytes
            sizes[frame["type"]] += len(json.dumps(frame, separators=(",", ":")))
            if frame["type"] == "invokefunction":
                calls.append(frame["data"])
            else:
                answers.append(frame["result"])
    assert calls == answers == list(range(20))
    assert peer.session.outbox.bytes == 0


def test_a_replay_in_batches_still_ends_with_its_barrier(peer: Peer) -> None:
    """One frame at a time: the pong counts only after the ping was sent."""
    peer.register("f")
    peer.connect()
    peer.greet()
    for _ in range(2):
        assert len(peer.take(1)) == 1
    assert peer.result(peer.register_id, result={"success": True}) is None
    assert peer.say("pong") is None
    assert peer.session.counters.unexpected_frames == 1
    assert kinds(peer.take(1)) == ["ping"]
    assert peer.say("pong") == Ready()


def test_room_is_bounded_by_frames_and_by_bytes() -> None:
    """Calls that wait fill it, taking and forgetting makes room again; the lane of answers has its own."""
    peer = Peer(new_session(max_frames=2, max_bytes=400)).ready()
    outbox = peer.session.outbox
    call = peer.call("x" * 100)
    size = outbox.calls.size
    assert outbox.has_room(outbox.calls, 400 - size)
    assert not outbox.has_room(outbox.calls, 401 - size)
    peer.void()
    assert not outbox.has_room(outbox.calls, 0)
    assert outbox.has_room(outbox.results, 10_000)
    peer.session.forget(call)
    assert outbox.has_room(outbox.calls, 1)
    peer.take()
    assert outbox.has_room(outbox.calls, 10_000)


def test_the_namespace_is_the_one_that_is_announced() -> None:
    """And it is the one that a refusal names."""
    peer = Peer(new_session(namespace="shop"))
    assert peer.session.namespace == "shop"
    assert peer.replay()[0]["data"]["namespace"] == "shop"
    event = peer.refusal(peer.register_id, "FORBIDDEN")
    assert isinstance(event, Fatal)
    assert isinstance(event.error, RegistrationRejectedError)
    assert event.error.namespace == "shop"


def test_the_token_is_not_shown(peer: Peer) -> None:
    """A session ends up in logs."""
    peer.ready("w1", "s3cret")
    assert "s3cret" not in repr(peer.session)


def test_states_follow_the_connection(peer: Peer) -> None:
    """From its beginning to its end."""
    states: list[Connection | None] = []

    def note() -> None:
        connection = peer.session.connection
        states.append(connection.state if connection else None)

    note()
    peer.connect()
    note()
    peer.greet()
    note()
    peer.take()
    peer.confirm()
    note()
    peer.session.closing()
    note()
    peer.session.disconnected("closed", 0.0)
    note()
    assert states == [None, Connection.OPENING, Connection.REPLAYING, Connection.READY, Connection.CLOSING, None]


def test_who_changes_his_mind_on_a_stalled_link_fills_no_queue(peer: Peer) -> None:
    """What the engine was not told of is taken out of the queue, and not followed by its withdrawal."""
    peer.ready()
    for _ in range(100):
        peer.session.registrar.unregister(peer.register("f"))
    assert peer.take() == []
    told = peer.register("g")
    peer.take()
    peer.session.registrar.unregister(told)
    assert kinds(peer.take()) == ["unregisterfunction g"]


def test_a_heartbeat_says_when_it_was_asked_for(peer: Peer) -> None:
    """Its pong does; that of another barrier does not."""
    peer.ready()
    peer.session.registrar.confirm(peer.register("f"))
    peer.session.ping(5.0)
    peer.take()
    answered = []
    for _ in range(2):
        peer.say("pong")
        answered.append(peer.session.answered_ping)
    assert set(answered) == {None, 5.0}
