"""Withdrawing everything, seen from the protocol: what is sent, what proves it, and what a lost link makes of it."""

from __future__ import annotations

import pytest

from iii_trio._session.events import Withdrawn
from iii_trio._session.registry import Verdict
from iii_trio._session.states import Client
from iii_trio._wire.messages import InvokeFunction, RegisterFunction
from tests._session_peer import Peer, kinds


@pytest.fixture
def peer() -> Peer:
    """An engine at the other end of a session."""
    return Peer()


def test_functions_are_withdrawn_behind_the_calls_and_before_a_barrier(peer: Peer) -> None:
    """The pong of that ping, and no other one's, says that the engine sends no invocations any more."""
    peer.register("a")
    peer.ready()
    peer.register("b")
    peer.session.drain()
    assert peer.session.client.state is Client.DRAINING
    peer.session.ping(0.0)
    peer.void("x")
    peer.session.registrar.withdraw(RegisterFunction)
    assert (peer.session.registrar.is_withdrawing, peer.session.registrar.is_withdrawn) == (True, False)
    assert kinds(peer.take()) == [
        "ping",
        "registerfunction b",
        "invokefunction f",
        "unregisterfunction a",
        "unregisterfunction b",
        "ping",
    ]
    assert peer.say("pong") is None
    assert peer.say("pong") == Withdrawn()
    assert (peer.session.registrar.is_withdrawing, peer.session.registrar.is_withdrawn) == (False, True)


def test_what_was_withdrawn_still_serves_what_comes(peer: Peer) -> None:
    """It counts no longer, and is offered on no other connection, but is found."""
    registration = peer.register("f")
    peer.ready()
    peer.session.registrar.withdraw(RegisterFunction)
    peer.take()
    assert list(peer.session.registrar.registry) == []
    frame = peer.say("invokefunction", function_id="f", data=1, invocation_id="00000000-0000-4000-8000-000000000001")
    assert isinstance(frame, InvokeFunction)
    assert peer.session.registrar.registry.find("f") is registration
    peer.session.registrar.unregister(registration)
    assert peer.take() == []
    peer.session.disconnected("gone", 0.0)
    peer.ready("w2")
    assert [kind for kind in kinds(peer.seen) if "function f" in kind] == []


def test_a_lost_link_ends_the_withdrawal_without_a_proof(peer: Peer) -> None:
    """Also one that was lost before the ping was sent; a later pong proves nothing."""
    peer.register("f")
    peer.ready()
    peer.session.registrar.withdraw(RegisterFunction)
    peer.session.disconnected("gone", 0.0)
    assert (peer.session.registrar.is_withdrawing, peer.session.registrar.is_withdrawn) == (False, False)
    peer.ready("w2")
    assert not peer.session.registrar.is_withdrawn


def test_offline_nothing_is_waited_for(peer: Peer) -> None:
    """The engine has no function of a worker that is not connected."""
    peer.register("f")
    peer.session.registrar.withdraw(RegisterFunction)
    assert (peer.session.registrar.is_withdrawing, peer.session.registrar.is_withdrawn) == (False, False)
    assert peer.session.outbox.frames == 0


def test_without_functions_there_is_nothing_to_prove(peer: Peer) -> None:
    """No frame is sent."""
    peer.ready()
    peer.session.registrar.withdraw(RegisterFunction)
    assert (peer.session.registrar.is_withdrawing, peer.session.registrar.is_withdrawn) == (False, True)
    assert peer.take() == []


def test_a_function_of_somebody_elses_is_not_withdrawn(peer: Peer) -> None:
    """The engine refused it, so the id is not ours to give up."""
    peer.register("theirs")
    peer.register("ours")
    peer.ready()
    peer.reject("theirs")
    peer.session.registrar.withdraw(RegisterFunction)
    assert kinds(peer.take()) == ["unregisterfunction ours", "ping"]


def test_a_withdrawal_in_the_replay_follows_it(peer: Peer) -> None:
    """What the replay offers is withdrawn when calls flow."""
    peer.register("f")
    peer.replay()
    peer.session.registrar.withdraw(RegisterFunction)
    assert peer.take() == []
    peer.confirm()
    assert kinds(peer.take()) == ["unregisterfunction f", "ping"]
    assert peer.say("pong") == Withdrawn()


@pytest.mark.parametrize("withdrawn", [False, True])
def test_whoever_waits_for_a_verdict_is_woken_by_the_end(peer: Peer, withdrawn: bool) -> None:
    """Offline none can come; that it was withdrawn meanwhile changes nothing."""
    registration = peer.register("f")
    woken: list[Verdict] = []
    registration.waiters.append(lambda: woken.append(registration.verdict))
    peer.session.drain()
    if withdrawn:
        peer.session.registrar.withdraw(RegisterFunction)
    assert woken == []
    peer.session.close()
    assert woken == [Verdict.PENDING]


def test_only_a_client_that_lives_can_drain(peer: Peer) -> None:
    """A closed one stays closed."""
    peer.session.close()
    peer.session.drain()
    assert peer.session.client.state is Client.CLOSED
    assert not peer.session.is_draining
