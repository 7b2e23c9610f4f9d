"""Functions on standby, frame by frame: only the answer to the last question counts."""

from __future__ import annotations

import math

import pytest

from iii_trio._session.events import Conflict, Fatal
from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.states import Client
from iii_trio._wire.messages import RegisterFunction
from tests._session_peer import Peer

OFFER_AND_PING = ["registerfunction", "ping"]


@pytest.fixture
def peer() -> Peer:
    return Peer().ready()


def stand_by(peer: Peer, function_id: str = "f") -> Registration:
    """A function that somebody else owns."""
    registration = peer.session.registrar.register(RegisterFunction(function_id), None, "standby")
    peer.take()
    peer.reject(function_id)
    return registration


def test_the_wait_begins_with_the_refusal(peer: Peer) -> None:
    """The session is woken for it, and asks 5 s later with a barrier behind the question."""
    woken: list[float] = []
    peer.session.wake_timer = lambda: woken.append(peer.session.next_deadline())
    registration = stand_by(peer)
    assert woken == [-math.inf]
    peer.session.expire(100.0)
    assert peer.session.next_deadline() == 105.0
    peer.session.expire(104.9)
    assert peer.take() == []
    peer.session.expire(105.0)
    assert [frame["type"] for frame in peer.take()] == OFFER_AND_PING
    assert peer.session.next_deadline() == math.inf
    assert registration.verdict is Verdict.STANDBY
    peer.say("pong")
    assert (registration.verdict, registration.error) == (Verdict.ACCEPTED, None)
    assert len(peer.session.registrar.standby) == 0


def test_a_pong_for_an_earlier_barrier_grants_nothing(peer: Peer) -> None:
    """It was behind the question that was refused; only the one behind the last question proves anything."""
    registration = peer.session.registrar.register(RegisterFunction("f"), None, "standby")
    peer.session.registrar.confirm(registration)
    peer.take()
    peer.reject("f")
    peer.session.expire(0.0)
    peer.session.expire(5.0)
    assert [frame["type"] for frame in peer.take()] == OFFER_AND_PING
    peer.say("pong")
    assert registration.verdict is Verdict.STANDBY
    peer.reject("f")
    peer.say("pong")
    assert registration.verdict is Verdict.STANDBY
    peer.session.expire(5.0)
    assert peer.session.next_deadline() == 10.0


def test_what_was_refused_together_is_asked_for_together(peer: Peer) -> None:
    """One ping is behind all of it; what was refused later has a time of its own."""
    first = [stand_by(peer, name) for name in ("a", "b")]
    peer.session.expire(0.0)
    later = stand_by(peer, "c")
    peer.session.expire(2.0)
    peer.session.expire(5.0)
    assert [frame.get("id") for frame in peer.take()] == ["a", "b", None]
    assert peer.session.next_deadline() == 7.0
    peer.reject("b")
    peer.say("pong")
    assert [each.verdict for each in (*first, later)] == [Verdict.ACCEPTED, Verdict.STANDBY, Verdict.STANDBY]


def test_a_question_in_flight_is_taken_back_by_unregistering(peer: Peer) -> None:
    """The engine may have granted it; what only waits is the owner's, and nothing is said about it."""
    asked, waiting = stand_by(peer, "a"), stand_by(peer, "b")
    peer.session.registrar.unregister(waiting)
    peer.session.expire(0.0)
    peer.session.expire(5.0)
    peer.take()
    peer.session.registrar.unregister(asked)
    assert [(frame["type"], frame["id"]) for frame in peer.take()] == [("unregisterfunction", "a")]
    peer.say("pong")
    assert (asked.verdict, waiting.verdict) == (Verdict.WITHDRAWN, Verdict.WITHDRAWN)
    assert (len(peer.session.registrar.standby), peer.session.next_deadline()) == (0, math.inf)


def test_nothing_is_asked_without_a_ready_connection(peer: Peer) -> None:
    """The next replay asks; a refusal in it waits for its turn until the connection is ready."""
    registration = stand_by(peer)
    peer.session.expire(0.0)
    peer.session.disconnected("gone", 1.0)
    assert (registration.verdict, registration.error) == (Verdict.PENDING, None)
    assert len(peer.session.registrar.standby) == 0
    peer.session.expire(50.0)
    peer.replay("w2")
    peer.reject("f")
    peer.session.expire(60.0)
    assert registration.verdict is Verdict.STANDBY
    peer.confirm()
    assert registration.verdict is Verdict.STANDBY
    assert peer.session.next_deadline() == -math.inf
    peer.session.expire(61.0)
    assert peer.session.next_deadline() == 66.0


@pytest.mark.parametrize(
    ("code", "owner"),
    [
        pytest.param("RESERVED", "somebody", id="another reason"),
        pytest.param("FUNCTION_NAMESPACE_CONFLICT", "", id="the engine keeps the id for itself"),
    ],
)
def test_only_an_owner_can_leave(peer: Peer, code: str, owner: str) -> None:
    """A refusal that nobody's leaving can change ends a standby too."""
    registration = stand_by(peer)
    peer.session.expire(0.0)
    peer.session.expire(5.0)
    peer.take()
    peer.say("registrationrejected", code=code, namespace="default", function_id="f", owner_worker_id=owner)
    assert registration.verdict is Verdict.REFUSED
    peer.say("pong")
    assert registration.verdict is Verdict.REFUSED
    assert (len(peer.session.registrar.standby), peer.session.next_deadline()) == (0, math.inf)


# ---- the name -------------------------------------------------------------------------------------------------------


def take_name(peer: Peer, code: str = "WORKER_NAMESPACE_CONFLICT") -> object:
    """Another worker has the name."""
    return peer.say("registrationrejected", code=code, namespace="default", worker_name="worker", owner_worker_id="x")


def test_a_taken_name_is_a_conflict_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """The client is on standby until a connection is ready, and says so once; what was refused is not named as a ghost."""
    peer = Peer()
    peer.session.on_conflict = "standby"
    for number in range(3):
        sent = peer.replay(f"w{number}")
        assert "reattach" not in [frame["type"] for frame in sent]
        assert isinstance(take_name(peer), Conflict)
        assert peer.session.client.state is Client.STANDBY
        peer.session.disconnected("taken", 0.0)
        assert peer.session.client.state is Client.STANDBY
    assert caplog.text.count("asked for again") == 1
    peer.ready("w9")
    assert peer.session.client.state is Client.ONLINE


def test_a_worker_that_is_refused_for_another_reason_fails() -> None:
    """Only an owner can leave."""
    peer = Peer()
    peer.session.on_conflict = "standby"
    peer.replay()
    assert isinstance(take_name(peer, "NAME_RESERVED"), Fatal)


def test_a_conflict_while_draining_changes_no_state() -> None:
    """The connection is given up all the same."""
    peer = Peer().ready()
    peer.session.on_conflict = "standby"
    peer.session.drain()
    peer.session.disconnected("gone", 0.0)
    peer.replay("w2")
    assert isinstance(take_name(peer), Conflict)
    assert peer.session.client.state is Client.DRAINING
