"""Where the engine has this worker, and what is done when that is not where it belongs."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._session.events import Event, Fatal, Misplaced, Ready
from iii_trio._session.placement import is_in_default, whereabouts
from iii_trio._wire.messages import ABSENT
from tests._session_peer import Peer, kinds, new_session

ELSEWHERE = Misplaced("the engine put this worker into 'default' in place of 'shop'")


@pytest.fixture
def peer() -> Peer:
    """A worker of another namespace, whose registration the engine has just confirmed."""
    peer = Peer(new_session(namespace="shop"))
    peer.replay()
    assert peer.result(peer.register_id, result={"success": True}) is None
    return peer


def answer(peer: Peer, **answer: Any) -> Event | None:
    """Answer the question where the worker is."""
    (question,) = peer.take()
    assert (question["function_id"], question["data"]) == ("engine::workers::info", whereabouts("worker"))
    return peer.result(question["invocation_id"], **answer)


def test_a_worker_that_is_not_in_default_is_ready(peer: Peer) -> None:
    """It is asked for there, behind the confirmed registration; that nobody is there is the good answer."""
    assert peer.say("pong") is None
    assert answer(peer, error={"code": "NOT_FOUND", "message": "Worker 'worker' is not connected"}) == Ready()
    assert peer.session.is_ready


def test_the_pong_may_come_after_the_answer(peer: Peer) -> None:
    """The engine answers calls in any order."""
    assert answer(peer, error={"code": "NOT_FOUND", "message": "nobody"}) is None
    assert not peer.session.is_ready
    assert peer.say("pong") == Ready()


def test_a_worker_that_is_in_default_does_not_belong_there(peer: Peer) -> None:
    """Calls do not flow on that connection, and it is to be renewed."""
    assert peer.say("pong") is None
    assert answer(peer, result={"worker": {"id": "w1", "name": "worker", "namespace": "default"}}) == ELSEWHERE
    assert not peer.session.is_ready


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"error": {"code": "FORBIDDEN", "message": "not allowed"}}, id="may not ask"),
        pytest.param({"result": {"worker": {"id": "w2", "name": "worker"}}}, id="another worker of that name"),
        pytest.param({"result": None}, id="null"),
    ],
)
def test_an_answer_that_proves_nothing_changes_nothing(peer: Peer, said: dict[str, Any]) -> None:
    """The connection is good until it is known not to be."""
    assert peer.say("pong") is None
    assert answer(peer, **said) == Ready()


def test_a_worker_of_default_does_not_ask() -> None:
    """It cannot end up anywhere else."""
    peer = Peer().ready()
    assert kinds(peer.take()) == []


def test_a_name_that_is_taken_in_another_namespace_says_the_same() -> None:
    """The engine claims the name where it has put the worker; that it is taken there is nothing against the worker."""
    peer = Peer(new_session(namespace="shop"))
    peer.replay()
    taken = {"code": "WORKER_NAMESPACE_CONFLICT", "worker_name": "worker", "owner_worker_id": "w9"}
    assert peer.say("registrationrejected", namespace="default", **taken) == ELSEWHERE
    refused = peer.say("registrationrejected", namespace="shop", **taken)
    assert isinstance(refused, Fatal)


@pytest.mark.parametrize(
    "answer", [ABSENT, None, [], {}, {"worker": None}, {"worker": {}}, {"worker": {"id": None}}, {"worker": {"id": 1}}]
)
def test_only_the_own_id_is_a_proof(answer: Any) -> None:
    """Anything else is none, and raises nothing."""
    assert not is_in_default(answer, "w1")
    assert not is_in_default(answer, None)
    assert is_in_default({"worker": {"id": "w1"}}, "w1")
