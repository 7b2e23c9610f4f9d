"""What the engine's core does wrong on purpose, and exactly that."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.workers import Bench, Worker, answer, uuid_of


def results(worker: Worker) -> list[Any]:
    """What the calls of a worker came to, as far as they did."""
    return [frame.get("result", frame.get("error")) for frame in worker.takes()]


def late(bench: Bench, share: float = 1.0, by: float = 0.02) -> None:
    """Switch the fault on."""
    faults = bench.engine.call_faults
    faults.late_share, faults.late_by, faults.chance = share, by, random.Random(7)


def test_an_answer_that_is_earlier_than_its_call_is_lost_and_heals(
    bench: Bench, caller: Worker, callee: Worker
) -> None:
    """The same result sent once more, when the call is stored, ends it; a third one has no effect."""
    late(bench)
    caller.calls("f", call=1)
    assert len(callee.takes()) == 1
    answer(callee, 1, result="early")
    assert results(caller) == []
    assert bench.engine.next_deadline() == pytest.approx(bench.now + 0.02)
    bench.passes(0.01)
    answer(callee, 1, result="early")
    bench.passes(0.01)
    assert bench.engine.next_deadline() is None
    assert results(caller) == []
    answer(callee, 1, result="again")
    answer(callee, 1, result="again")
    assert results(caller) == ["again"]
    assert bench.engine.call_faults.early_answers == 2


def test_an_answer_in_time_is_not_lost(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Though the call was stored late."""
    late(bench)
    caller.calls("f", call=1)
    bench.passes(0.02)
    answer(callee, 1, result=1)
    assert results(caller) == [1]
    assert bench.engine.call_faults.early_answers == 0


def test_calls_are_stored_in_the_order_of_their_times(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Whatever the delay was when each was made."""
    late(bench, by=1.0)
    caller.calls("f", call=1)
    late(bench, by=0.1)
    caller.calls("f", call=2)
    bench.passes(0.1)
    answer(callee, 1, result=1)
    answer(callee, 2, result=2)
    assert results(caller) == [2]
    bench.passes(0.9)
    answer(callee, 1, result=1)
    assert results(caller) == [1]


def test_only_the_asked_share_of_the_calls_is_late_and_the_same_ones_every_time(caller: Worker) -> None:
    """A test that fails fails again."""

    def lost(seed: int) -> list[int]:
        bench = Bench()
        one, other = bench.worker("one"), bench.worker("other")
        other.sends("registerfunction", id="f")
        faults = bench.engine.call_faults
        faults.late_share, faults.late_by, faults.chance = 0.1, 0.02, random.Random(seed)
        for call in range(1_000):
            one.sends("invokefunction", function_id="f", data=None, invocation_id=uuid_of(call))
            other.takes()
            answer(other, call, result=call)
        answered = {*results(one)}
        return [call for call in range(1_000) if call not in answered]

    assert 50 < len(lost(0)) < 150
    assert lost(0) == lost(0) != lost(1)


def test_an_end_that_is_earlier_than_the_call_does_not_end_it(bench: Bench, caller: Worker, callee: Worker) -> None:
    """As on the real engine: nobody tells the caller, for good."""
    late(bench)
    caller.calls("f", call=1)
    bench.engine.disconnect(callee.link)
    bench.passes(60)
    assert results(caller) == []
    bench.engine.disconnect(caller.link)


def test_a_late_call_takes_over_an_id_in_use_when_it_is_stored(bench: Bench, caller: Worker, callee: Worker) -> None:
    """The earlier call is answered until then."""
    caller.calls("f", call=1)
    late(bench)
    caller.calls("f", call=1)
    bench.passes(0.01)
    caller.calls("f", call=1)
    assert results(caller) == []
    bench.passes(0.01)
    assert results(caller) == [{"code": "invocation_error", "message": "channel closed"}]
    answer(callee, 1, result=1)
    assert results(caller) == [1]
    assert bench.engine.call_faults.early_answers == 1
    bench.passes(0.01)
    assert results(caller) == []


def test_void_calls_can_be_late_as_well(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Nobody notices."""
    late(bench)
    caller.calls("f", action={"type": "void"})
    bench.passes(1)
    assert len(callee.takes()) == 1
    assert results(caller) == []


def test_the_time_of_a_message_counts_when_it_is_told(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Between two ticks time goes on."""
    late(bench)
    call = f'{{"type":"invokefunction","function_id":"f","data":1,"invocation_id":"{uuid_of(1)}"}}'
    bench.engine.receive(caller.link, call, bench.now + 3)
    assert bench.engine.next_deadline() == pytest.approx(bench.now + 3.02)


def test_the_next_deadline_is_the_earliest_of_every_kind(bench: Bench, caller: Worker, callee: Worker) -> None:
    """A grace period, an end that was set, a call that is stored late."""
    late(bench, by=7.0)
    caller.calls("f", call=1)
    assert bench.engine.next_deadline() == bench.now + 7
    bench.engine.close(callee.link, b"", bench.now + 6)
    assert bench.engine.next_deadline() == bench.now + 6
    bench.connect()
    assert bench.engine.next_deadline() == bench.now + 5


def test_a_refused_function_is_rejected_though_nobody_owns_it(bench: Bench, caller: Worker) -> None:
    """In any namespace, and only while it is refused."""
    bench.engine.refused_functions.add("f")
    other = bench.worker("other", namespace="elsewhere")
    for worker in (caller, other):
        worker.sends("registerfunction", id="f")
        (frame,) = worker.takes()
        assert (frame["type"], frame["code"]) == ("registrationrejected", "FUNCTION_NAMESPACE_CONFLICT")
        assert (frame["function_id"], frame["namespace"]) == ("f", worker.link.home)
        assert frame["owner_worker_id"] not in {caller.id, other.id, ""}
    assert caller.error_of("f", None)[0] == "function_not_found"
    bench.engine.refused_functions.clear()
    caller.sends("registerfunction", id="f")
    assert caller.takes() == []


def test_a_swallowed_call_goes_nowhere(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Whether there is such a function or not, and however it is called."""
    bench.engine.call_faults.swallowed |= {"f", "nothing"}
    assert caller.calls("f", call=1) == caller.calls("nothing", call=2) == []
    assert caller.calls("f", call=3, action={"type": "enqueue", "queue": "q"}) == []
    assert callee.takes() == []
    bench.engine.call_faults.swallowed.clear()
    caller.calls("f", call=4)
    assert len(callee.takes()) == 1


def test_an_answer_can_come_twice(bench: Bench, caller: Worker, callee: Worker) -> None:
    """A result, and an error; of no other function."""
    bench.engine.call_faults.answered_twice.add("f")
    caller.calls("f", call=1)
    answer(callee, 1, result=1)
    assert results(caller) == [1, 1]
    caller.calls("f", call=2)
    answer(callee, 2, error={"code": "c", "message": "m"})
    assert results(caller) == [{"code": "c", "message": "m"}, {"code": "c", "message": "m"}]
    assert len(caller.calls("nothing", call=3)) == 1


def test_a_close_ends_a_connection_in_time(bench: Bench, caller: Worker) -> None:
    """Whoever does not leave is dropped; what came before the Close is sent before it."""
    caller.sends("ping")
    bench.engine.close(caller.link, b"\x03\xe9", bench.now + 1)
    assert list(caller.link.outbox) == [(0x1, b'{"type":"pong"}'), (0x8, b"\x03\xe9")]
    bench.passes(0.9)
    assert not caller.dropped
    bench.passes(0.1)
    assert caller.dropped
    assert bench.engine.next_deadline() is None


def test_a_restart_forgets_everything_but_the_faults(bench: Bench, caller: Worker, callee: Worker) -> None:
    """Links, functions, names, calls, tokens, and what a worker did to a builtin."""
    callee.sends("registerfunction", id="engine::workers::list")
    bench.engine.call_faults.answered_twice.add("f")
    caller.sends("nonsense")
    caller.calls("f", call=1)
    late(bench)
    caller.calls("f", call=2)
    bench.engine.restart()
    assert caller.dropped
    assert callee.dropped
    assert bench.engine.connections == ()
    assert bench.engine.next_deadline() is None
    successor = bench.connect()
    successor.takes()
    successor.sends("reattach", previous_worker_id=caller.id, reattach_token=caller.link.reattach_token)
    assert successor.registers(name="caller")[0]["result"] == {"success": True}
    assert successor.result_of("engine::workers::list", {"status": "connected"}) == {"workers": []}
    assert len(successor.calls("f", call=3)) == 2
    assert len(bench.engine.undecodable) == 1
