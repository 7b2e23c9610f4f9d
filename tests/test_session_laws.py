"""Whatever happens in whatever order: what must always hold of a session, against a model of one engine.

The engine of the model handles frames in order, parks registrations until the register call is answered, refuses the ids
in `TAKEN`, and answers through a queue that is delivered one frame at a time.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iii_trio._session.calls import Call
from iii_trio._session.events import Ready
from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.session import REGISTER_WORKER
from iii_trio._session.states import Connection
from iii_trio._wire import messages as wire
from iii_trio.errors import AuthenticationError, ConfigurationError, Fate
from tests._session_peer import ENDLESS, new_session
from tests._session_values import examples

IDS: Final = ("one", "two", "three", "taken")
TAKEN: Final = frozenset({"taken"})
MAX_GHOSTS: Final = 8
ABSENT_ID: Final = "6f0f0000-0000-4000-a000-000000000000"

OPEN, SETTLED, FORGOTTEN = "open", "settled", "forgotten"

JUNK: Final = (
    "{",
    '{"type":"pong","type":7}',
    '{"type":"observe"}',
    '{"type":"reattach","previous_worker_id":"x"}',
    '{"type":"invocationresult","invocation_id":"x","function_id":"f"}',
    '{"type":"triggerregistrationresult","id":"i","trigger_type":"t","function_id":"f"}',
)


@attrs.define(eq=False)
class Watched:
    """A call, and what must have become of it."""

    call: Call
    status: str = OPEN
    expected: Any = None
    """Its result, or code and fate of its error."""

    wakes: int = 0


@attrs.define(eq=False)
class EngineModel:
    """One connection as the engine sees it."""

    epoch: int
    ghosts: list[str]
    """Connections that this one must retire first."""

    expected_replay: list[str]
    replies: deque[dict[str, Any]] = attrs.field(factory=deque)
    parked: list[dict[str, Any]] | None = attrs.field(factory=list)
    functions: set[str] = attrs.field(factory=set)
    replayed: list[str] = attrs.field(factory=list)
    calls: list[str] = attrs.field(factory=list)
    frames: int = 0
    pings: int = 0
    register_id: str | None = None
    is_registered: bool = False
    """Whether the success was delivered."""

    is_confirmed: bool = False
    """Whether the pong of the replay was delivered."""

    is_closing: bool = False

    @property
    def is_ready(self) -> bool:
        return self.is_registered and self.is_confirmed and not self.is_closing

    @property
    def owes_an_answer(self) -> bool:
        return self.register_id is not None and self.parked is not None

    def read(self, frame: dict[str, Any]) -> None:
        """Handle one frame of the session."""
        self.frames += 1
        if self.frames <= len(self.ghosts):
            ghost = self.ghosts[self.frames - 1]
            assert frame == {"type": "reattach", "previous_worker_id": ghost, "reattach_token": ghost}
            return
        match frame["type"]:
            case "ping":
                self.pings += 1
                self.replies.append({"type": "pong", "n": self.pings})
            case "registerfunction" | "unregisterfunction":
                if self.pings == 0:
                    self.replayed.append(frame["id"])
                if self.parked is None:
                    self._apply(frame)
                else:
                    self.parked.append(frame)
            case "invokefunction" if frame["function_id"] == REGISTER_WORKER:
                assert self.register_id is None
                assert self.frames == len(self.ghosts) + 1
                self.register_id = frame["invocation_id"]
            case "invokefunction":
                assert self.is_ready
                if "invocation_id" in frame:
                    assert frame["invocation_id"] not in self.calls
                    self.calls.append(frame["invocation_id"])
            case "invocationresult":
                assert frame["result"] == self.epoch
            case other:
                raise AssertionError(f"a session must not send {other}")

    def register(self) -> None:
        """Do what was parked, then answer the register call."""
        for frame in self.parked or ():
            self._apply(frame)
        self.parked = None
        self.replies.append(_result(self.register_id, result={"success": True}))

    def _apply(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "unregisterfunction":
            self.functions.discard(frame["id"])
        elif frame["id"] in TAKEN:
            self.replies.append(
                {
                    "type": "registrationrejected",
                    "code": "FUNCTION_NAMESPACE_CONFLICT",
                    "namespace": "default",
                    "function_id": frame["id"],
                    "owner_worker_id": "other",
                }
            )
        else:
            self.functions.add(frame["id"])


def _result(call_id: str | None, **fields: Any) -> dict[str, Any]:
    return {"type": "invocationresult", "invocation_id": call_id, "function_id": "f", **fields}


class SessionLaws(RuleBasedStateMachine):
    """Everything that can happen to a session, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.session = new_session()
        self.engine: EngineModel | None = None
        self.calls: list[Watched] = []
        self.registrations: list[Registration] = []
        self.voids = 0
        self.now = 0.0
        self.steps = 0
        self.ghosts: list[str] = []

    # ---- the link ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.session.connection is None)
    @rule()
    def connect(self) -> None:
        self.session.connected()

    @precondition(lambda self: self._state() is Connection.OPENING)
    @rule()
    def greet(self) -> None:
        name = f"worker {self.session.epoch}"
        self.engine = EngineModel(
            self.session.epoch, self.ghosts, [each.id for each in self.session.registrar.registry]
        )
        assert self._receive({"type": "workerregistered", "worker_id": name, "reattach_token": name}) is None
        self.ghosts = [*self.ghosts, name]
        if len(self.ghosts) > MAX_GHOSTS:
            del self.ghosts[1]

    @rule(max_bytes=st.sampled_from([1, 150, 400, 100_000]))
    def take(self, max_bytes: int) -> None:
        frames = self.session.take(max_bytes)
        assert not frames or self.engine is not None
        for frame in frames:
            assert self.engine is not None
            self.engine.read(json.loads(frame))
            self.voids -= b'"void"' in frame

    @precondition(lambda self: self.session.connection is not None)
    @rule()
    def lose(self) -> None:
        self.session.disconnected("lost", 0.0)
        self.engine = None
        for watched in self._open():
            if watched.call.sent:
                self._ended(watched, "CONNECTION_LOST", Fate.MAY_HAVE_RUN)

    @precondition(lambda self: not self.session.is_ready)
    @rule()
    def become_ready(self) -> None:
        if self._state() is Connection.CLOSING:
            self.lose()
        if self.session.connection is None:
            self.connect()
        if self.engine is None:
            self.greet()
        assert self.engine is not None
        self._pump(self.engine)
        assert self.session.is_ready

    @rule()
    def ping(self) -> None:
        self.session.ping(0.0)

    @precondition(lambda self: self.steps > 10 and self.session.connection is not None)
    @rule()
    def begin_to_close(self) -> None:
        self.session.closing()
        if self.engine is not None:
            self.engine.is_closing = True

    # ---- the engine -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.engine is not None and self.engine.owes_an_answer)
    @rule()
    def answer_the_register_call(self) -> None:
        assert self.engine is not None
        self.engine.register()

    @precondition(lambda self: self.engine is not None and self.engine.replies)
    @rule(count=st.integers(1, 4))
    def deliver(self, count: int) -> None:
        engine = self.engine
        assert engine is not None
        for _ in range(min(count, len(engine.replies))):
            reply = engine.replies.popleft()
            was_ready = engine.is_ready
            if not engine.is_closing:
                engine.is_confirmed |= reply["type"] == "pong"
                engine.is_registered |= reply.get("invocation_id") == engine.register_id
            event = self._receive(reply)
            assert (event == Ready()) == (engine.is_ready and not was_ready)
            if event == Ready():
                self.ghosts = self.ghosts[-1:]
            self._note_result(reply)

    @precondition(lambda self: self.engine is not None and self.engine.calls)
    @rule(which=st.integers(0, 50), fails=st.booleans())
    def answer_a_call(self, which: int, fails: bool) -> None:
        assert self.engine is not None
        call_id = self.engine.calls[which % len(self.engine.calls)]
        answer = {"error": {"code": "oops", "message": "m"}} if fails else {"result": call_id}
        self.engine.replies.append(_result(call_id, **answer))

    @rule(which=st.integers(0, 50))
    def say_a_result_of_any_call(self, which: int) -> None:
        call_id = self.calls[which % len(self.calls)].call.id if self.calls else ABSENT_ID
        reply = _result(call_id, result=which)
        assert self._receive(reply) is None
        self._note_result(reply)

    @rule()
    def invoke(self) -> None:
        call = {"type": "invokefunction", "function_id": "one", "data": 1, "invocation_id": ABSENT_ID}
        is_live = self._state() in (Connection.REPLAYING, Connection.READY)
        assert self._receive(call) == (wire.InvokeFunction("one", 1, invocation_id=ABSENT_ID) if is_live else None)

    @rule(message=st.sampled_from(JUNK))
    def say_nonsense(self, message: str) -> None:
        assert self.session.receive(message) is None

    # ---- the client -------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.session.is_final)
    @rule(timeout=st.none() | st.integers(0, 5))
    def call(self, timeout: int | None) -> None:
        watched: Watched

        def wake() -> None:
            watched.wakes += 1

        call_id = self.session.new_invocation_id()
        watched = Watched(Call(call_id, "f", ENDLESS if timeout is None else self.now + timeout, wake))
        self.calls.append(watched)
        self.session.call(watched.call, self.session.encode(wire.InvokeFunction("f", 1, invocation_id=call_id)))

    @precondition(lambda self: not self.session.is_final)
    @rule()
    def call_without_answer(self) -> None:
        self.session.send(self.session.encode(wire.InvokeFunction("f", "void")))
        self.voids += 1

    @precondition(lambda self: self._open())
    @rule(which=st.integers(0, 50))
    def forget(self, which: int) -> None:
        still = self._open()
        watched = still[which % len(still)]
        self.session.forget(watched.call)
        watched.status = FORGOTTEN

    @rule(seconds=st.integers(0, 3))
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds
        self.session.expire(self.now)
        for watched in self._open():
            if watched.call.deadline <= self.now:
                self._ended(watched, "TIMEOUT", Fate.MAY_HAVE_RUN if watched.call.sent else Fate.NEVER_SENT)

    @rule(age=st.sampled_from([0, 0, 1]))
    def answer(self, age: int) -> None:
        epoch = self.session.epoch - age
        self.session.answer(epoch, self.session.encode(wire.InvocationResult(ABSENT_ID, "one", epoch)), age=1, now=0)

    @rule(function_id=st.sampled_from(IDS))
    def register(self, function_id: str) -> None:
        if self.session.registrar.registry.find(function_id) is None:
            self.registrations.append(self.session.registrar.register(wire.RegisterFunction(function_id), None))
        else:
            with pytest.raises(ConfigurationError):
                self.session.registrar.register(wire.RegisterFunction(function_id), None)

    @precondition(lambda self: self.registrations)
    @rule(which=st.integers(0, 50))
    def unregister(self, which: int) -> None:
        self.session.registrar.unregister(self.registrations[which % len(self.registrations)])

    @precondition(lambda self: self.registrations)
    @rule(which=st.integers(0, 50))
    def confirm(self, which: int) -> None:
        self.session.registrar.confirm(self.registrations[which % len(self.registrations)])

    @precondition(lambda self: self.steps > 25 and not self.session.is_final)
    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        if fails:
            self.session.fail(AuthenticationError("no", code="AUTH_ERROR"))
        else:
            self.session.close()
        for watched in self._open():
            self._ended(watched, "SHUTDOWN", Fate.MAY_HAVE_RUN if watched.call.sent else Fate.NEVER_SENT)

    # ---- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def a_call_ends_once_and_leaves_no_entry(self) -> None:
        listed, queued = set(self.session.calls), set(self.session.outbox.calls.frames)
        assert len(self.session.calls) == len(listed) == len(self._open())
        for watched in self.calls:
            call = watched.call
            is_open = watched.status == OPEN
            assert (call in listed) == is_open
            assert (call in queued) == (is_open and not call.sent)
            assert (call.done, watched.wakes) == ((True, 1) if watched.status == SETTLED else (False, 0))
            if watched.status == SETTLED:
                got = call.result if call.error is None else (call.error.code, call.error.fate)
                assert got == watched.expected

    @invariant()
    def sums_are_right(self) -> None:
        outbox = self.session.outbox
        lanes = (outbox.first, outbox.results, outbox.calls)
        for lane in (outbox.first, outbox.calls):
            assert lane.size == sum(map(len, lane.frames.values()))
        assert outbox.results.size == sum(map(len, outbox.results.frames))
        assert outbox.bytes == sum(lane.size for lane in lanes)
        assert outbox.frames == sum(len(lane.frames) for lane in lanes)
        assert sum(b'"void"' in frame for frame in outbox.calls.frames.values()) == self.voids

    @invariant()
    def nothing_is_ready_too_early(self) -> None:
        assert self.session.is_ready == (self.engine is not None and self.engine.is_ready)

    @invariant()
    def functions_are_replayed_exactly_once(self) -> None:
        engine = self.engine
        if engine is not None:
            replayed = engine.replayed
            assert replayed == (engine.expected_replay if engine.pings else engine.expected_replay[: len(replayed)])

    @invariant()
    def verdicts_are_true(self) -> None:
        for registration in self.registrations:
            listed = self.session.registrar.registry.find(registration.id) is registration
            match registration.verdict:
                case Verdict.WITHDRAWN:
                    assert not listed
                case Verdict.ACCEPTED:
                    assert listed
                    assert self.engine is not None
                    assert registration.id in self.engine.functions
                case Verdict.REFUSED:
                    assert listed
                    assert self.engine is not None
                    assert registration.id in TAKEN
                case Verdict.PENDING:
                    assert listed

    def teardown(self) -> None:
        """From wherever it is, a session becomes ready, gets its verdicts, and closes with nothing left."""
        self.become_ready()
        engine = self.engine
        assert engine is not None
        for registration in self.registrations:
            self.session.registrar.confirm(registration)
        self._pump(engine)
        assert {each.id for each in self.session.registrar.registry if each.verdict is Verdict.REFUSED} <= TAKEN
        assert {
            each.id for each in self.session.registrar.registry if each.verdict is Verdict.ACCEPTED
        } == engine.functions
        assert Verdict.PENDING not in {each.verdict for each in self.registrations}
        assert self.session.outbox.frames == self.voids == 0
        if not self.session.is_final:
            self.end(False)
        self.lose()
        self.a_call_ends_once_and_leaves_no_entry()
        assert len(self.session.calls) == self.session.outbox.bytes == 0

    # ---- helpers ----------------------------------------------------------------------------------------------------

    def _pump(self, engine: EngineModel) -> None:
        """Move frames until neither side has any."""
        while self._can_send() or engine.replies or engine.owes_an_answer:
            self.take(100_000)
            if engine.owes_an_answer:
                engine.register()
            if engine.replies:
                self.deliver(len(engine.replies))

    def _can_send(self) -> bool:
        outbox = self.session.outbox
        return bool(outbox.first.frames or outbox.results.frames or (outbox.calls.frames and self.session.is_ready))

    def _state(self) -> Connection | None:
        return None if self.session.connection is None else self.session.connection.state

    def _receive(self, frame: dict[str, Any]) -> object:
        self.steps += 1
        return self.session.receive(json.dumps(frame))

    def _open(self) -> list[Watched]:
        return [watched for watched in self.calls if watched.status == OPEN]

    def _ended(self, watched: Watched, code: str, fate: Fate) -> None:
        watched.status, watched.expected = SETTLED, (code, fate)

    def _note_result(self, reply: dict[str, Any]) -> None:
        for watched in self._open():
            if watched.call.id == reply.get("invocation_id") and watched.call.sent:
                watched.status = SETTLED
                watched.expected = ("oops", Fate.RAN) if "error" in reply else reply["result"]


TestSessionLaws = SessionLaws.TestCase
TestSessionLaws.settings = settings(examples(100), stateful_step_count=50)
