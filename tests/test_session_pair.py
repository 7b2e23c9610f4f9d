"""Our session against our engine, in memory: two programs that share no decoder must understand each other.

Frames move one batch at a time and in any order that two sockets allow; links are lost with and without the engine
noticing. The engine remembers whatever it could not decode, and at the end there must be nothing.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii_trio._embedded.connection import CLOSE, TEXT
from iii_trio._embedded.connection import Connection as EngineSide
from iii_trio._embedded.core import Engine
from iii_trio._session.calls import Call
from iii_trio._session.events import Fatal, Ready
from iii_trio._session.outbox import Outbox
from iii_trio._session.registry import Registration, Verdict
from iii_trio._session.session import Session
from iii_trio._wire import messages as wire
from iii_trio.errors import Fate, IIIError, RegistrationRejectedError
from tests._session_peer import ENDLESS, PLENTY
from tests._session_values import examples, json_values

CALLER_KEY: Final = "_caller_worker_id"


@attrs.define(eq=False)
class Pending:
    """A call that was made, and what a handler said to it."""

    call: Call
    payload: Any
    wakes: int = 0
    is_forgotten: bool = False


@attrs.define(eq=False)
class World:
    """One engine, everybody who ever connected to it, and what all handlers answered."""

    engine: Engine = attrs.field(factory=Engine)
    clients: list[Client] = attrs.field(factory=list)
    answers: dict[str, wire.InvocationResult] = attrs.field(factory=dict)
    """By the id of the call. A call may be answered only once."""

    losses: int = 0
    now: float = 0.0

    def client(self, name: str, *functions: str) -> Client:
        """Somebody new, who is not connected yet."""
        session = Session({"name": name, "namespace": "default"}, Outbox(1000, 1 << 20), 1 << 20)
        client = Client(self, session)
        for function_id in functions:
            client.register(function_id)
        self.clients.append(client)
        return client

    def settle(self) -> None:
        """Everybody connects again, and everything that waits moves."""
        for client in self.clients:
            if client.link is None and client.fatal is None:
                client.connect()
            self.pump()

    def pump(self) -> None:
        """Move frames until nobody has any."""
        while sum(client.step() for client in self.clients):
            pass

    def check(self) -> None:
        """What must hold of every world."""
        assert not self.engine.undecodable
        for client in self.clients:
            counters = client.session.counters
            assert (counters.undecodable_frames, counters.unexpected_frames, counters.ignored_frames) == (0, 0, 0)
            for pending in client.calls:
                assert pending.wakes == (1 if pending.call.done else 0)
                assert not (pending.is_forgotten and pending.call.done)


@attrs.define(eq=False)
class Client:
    """A session, the engine's side of its link, and a handler: it answers what it got, or fails on ``fail``."""

    world: World = attrs.field(repr=False)
    session: Session
    link: EngineSide | None = None
    invocations: list[tuple[int, wire.InvokeFunction]] = attrs.field(factory=list)
    calls: list[Pending] = attrs.field(factory=list)
    ready: int = 0
    fatal: IIIError | None = None

    # ---- the link ---------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Open a link, unless there is one."""
        if self.link is None:
            self.link = self.world.engine.connect(
                self.world.now, ip_address="127.0.0.1", wake=lambda: None, drop=lambda: None
            )
            self.session.connected()

    def lose(self, *, noticed: bool) -> None:
        """The link breaks. An engine that does not notice keeps it, with everything that it owns."""
        if self.link is not None:
            link, self.link = self.link, None
            self.world.losses += 1
            self.session.disconnected("lost", 0.0)
            if noticed:
                self.world.engine.disconnect(link)

    def send(self, max_bytes: int) -> bool:
        """Hand one batch to the engine."""
        frames = self.session.take(max_bytes)
        for frame in frames:
            if self.link is not None:
                self.world.engine.receive(self.link, frame.decode())
        return bool(frames)

    def read(self, count: int) -> bool:
        """Take some messages of the engine."""
        taken = 0
        while self.link is not None and self.link.outbox and taken < count:
            opcode, payload = self.link.outbox.popleft()
            taken += 1
            if opcode == CLOSE:
                self.lose(noticed=True)
                break
            assert opcode == TEXT
            event = self.session.receive(payload.decode())
            self.ready += event == Ready()
            if isinstance(event, wire.InvokeFunction):
                self.invocations.append((self.session.epoch, event))
            elif isinstance(event, Fatal):
                self.fatal = self.fatal or event.error
        return taken > 0

    def step(self) -> bool:
        """Do everything once."""
        return bool(self.send(PLENTY) + self.read(1000) + self.work(0))

    # ---- the user ---------------------------------------------------------------------------------------------------

    def register(self, function_id: str) -> Registration | None:
        """Offer a function, unless it is offered already."""
        if self.session.registrar.registry.find(function_id) is not None:
            return None
        return self.session.registrar.register(wire.RegisterFunction(function_id, metadata={"by": "test"}), None)

    def unregister(self, function_id: str) -> None:
        """Take it back."""
        registration = self.session.registrar.registry.find(function_id)
        if registration is not None:
            self.session.registrar.unregister(registration)

    def confirm(self) -> None:
        """Ask for the verdicts that are missing."""
        for registration in self.session.registrar.registry:
            self.session.registrar.confirm(registration)

    def call(self, payload: Any, function_id: str = "echo") -> Pending:
        """Call and wait."""
        session = self.session
        call_id = session.new_invocation_id()

        def wake() -> None:
            pending.wakes += 1

        pending = Pending(Call(call_id, function_id, ENDLESS, wake), payload)
        self.calls.append(pending)
        session.call(pending.call, session.encode(wire.InvokeFunction(function_id, payload, invocation_id=call_id)))
        return pending

    def send_void(self, payload: Any, function_id: str = "echo") -> None:
        """Call and do not wait."""
        self.session.send(self.session.encode(wire.InvokeFunction(function_id, payload, action=wire.VoidAction())))

    def forget(self, which: int) -> None:
        """Stop waiting for a call."""
        still = [pending for pending in self.calls if not pending.call.done and not pending.is_forgotten]
        if still:
            pending = still[which % len(still)]
            pending.is_forgotten = True
            self.session.forget(pending.call)

    def work(self, which: int) -> bool:
        """Finish one of the invocations that run here."""
        if not self.invocations:
            return False
        epoch, frame = self.invocations.pop(which % len(self.invocations))
        data = frame.data
        if isinstance(data, dict):
            assert data.pop(CALLER_KEY)
        assert frame.invocation_id is not None
        if data == "fail":
            answer = wire.InvocationResult(frame.invocation_id, frame.function_id, error=wire.ErrorBody("oops", "no"))
        else:
            answer = wire.InvocationResult(frame.invocation_id, frame.function_id, result={"echo": data})
        assert frame.invocation_id not in self.world.answers
        self.world.answers[frame.invocation_id] = answer
        self.session.answer(epoch, self.session.encode(answer), age=1, now=0)
        return True

    def verdict(self, function_id: str = "echo") -> Verdict:
        """What the engine made of a function."""
        registration = self.session.registrar.registry.find(function_id)
        assert registration is not None
        return registration.verdict


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: True is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def ended_as_answered(world: World, pending: Pending) -> bool:
    """Whether a call ended exactly as its handler said."""
    call, answer = pending.call, world.answers.get(pending.call.id)
    if answer is None or not call.done:
        return False
    if answer.error is not None:
        return call.error is not None and (call.error.code, call.error.fate) == (answer.error.code, Fate.RAN)
    return call.error is None and same(call.result, answer.result) and same(call.result, {"echo": pending.payload})


payloads: Final = json_values | st.just("fail")
who: Final = st.integers(0, 2)
batch: Final = st.sampled_from([1, 200, 1000, 100_000])
calm: Final = st.one_of(
    st.tuples(st.just("send"), who, batch),
    st.tuples(st.just("read"), who, st.integers(1, 5)),
    st.tuples(st.just("work"), who, st.integers(0, 9)),
    st.tuples(st.just("call"), who, payloads),
    st.tuples(st.just("void"), who, payloads),
)
stormy: Final = st.one_of(
    calm,
    st.tuples(st.just("connect"), who, st.none()),
    st.tuples(st.just("drop"), who, st.booleans()),
    st.tuples(st.just("forget"), who, st.integers(0, 9)),
    st.tuples(st.just("register"), who, st.sampled_from(["echo", "other"])),
    st.tuples(st.just("unregister"), who, st.sampled_from(["echo", "other"])),
    st.tuples(st.just("confirm"), who, st.none()),
    st.tuples(st.just("ping"), who, st.none()),
    st.tuples(st.just("settle"), who, st.none()),
)


def act(world: World, step: str, index: int, argument: Any) -> None:
    """Do one thing of those above."""
    client = world.clients[index % len(world.clients)]
    match step:
        case "send":
            client.send(argument)
        case "read":
            client.read(argument)
        case "work":
            client.work(argument)
        case "call":
            client.call(argument)
        case "void":
            client.send_void(argument)
        case "connect":
            client.connect()
        case "drop":
            client.lose(noticed=argument)
        case "forget":
            client.forget(argument)
        case "register":
            client.register(argument)
        case "unregister":
            client.unregister(argument)
        case "confirm":
            client.confirm()
        case "ping":
            client.session.ping(0.0)
        case "settle":
            world.settle()
        case unknown:
            raise AssertionError(unknown)
    world.check()


@given(st.lists(calm, max_size=40))
@examples(100)
def test_every_call_returns_what_its_handler_returned(steps: list[tuple[str, int, Any]]) -> None:
    """However the frames of a worker and a caller interleave; a handler that fails is a call that fails."""
    world = World()
    worker, caller = world.client("worker", "echo"), world.client("caller")
    world.settle()
    for step in steps:
        act(world, *step)
    world.settle()
    world.check()
    assert (worker.ready, caller.ready) == (1, 1)
    for client in world.clients:
        assert all(ended_as_answered(world, pending) for pending in client.calls)
        assert (len(client.session.calls), client.session.outbox.frames) == (0, 0)
        assert client.session.counters.unknown_results == 0
    voids = sum(step == "void" for step, _, _ in steps)
    assert len(world.answers) == voids + len(worker.calls) + len(caller.calls)


@given(st.lists(stormy, max_size=150))
@examples(200)
def test_every_call_ends_once_and_truly_whatever_happens_to_the_links(steps: list[tuple[str, int, Any]]) -> None:
    """With losses, ghosts, reconnections and a rival for the same function; afterwards everybody finds back."""
    world = World()
    clients = [world.client("worker", "echo"), world.client("caller"), world.client("rival", "echo")]
    for step in steps:
        act(world, *step)
    world.settle()
    for client in clients:
        client.confirm()
    world.settle()
    world.check()
    for client in clients:
        assert client.fatal is None
        assert client.session.is_ready
        assert (len(client.session.calls), client.session.outbox.frames) == (0, 0)
        for pending in client.calls:
            if not pending.is_forgotten and not ended_as_answered(world, pending):
                assert pending.call.error is not None
                expected = {"function_not_found": Fate.NOT_RUN}
                if world.losses:
                    expected |= dict.fromkeys(["CONNECTION_LOST", "invocation_stopped"], Fate.MAY_HAVE_RUN)
                assert expected[pending.call.error.code] is pending.call.error.fate
                if pending.call.error.fate is Fate.NOT_RUN:
                    assert pending.call.id not in world.answers
    for function_id in ("echo", "other"):
        verdicts = [
            client.verdict(function_id) for client in clients if client.session.registrar.registry.find(function_id)
        ]
        assert verdicts.count(Verdict.PENDING) == 0
        assert verdicts.count(Verdict.ACCEPTED) <= 1


def test_two_workers_cannot_have_one_function_and_the_second_hears_of_it() -> None:
    """Calls go on to the first; when it has left, the second gets the function with its next connection."""
    world = World()
    first, second = world.client("first", "echo"), world.client("second", "echo")
    world.settle()
    assert (first.verdict(), second.verdict()) == (Verdict.ACCEPTED, Verdict.REFUSED)
    call = second.call(1)
    world.settle()
    assert ended_as_answered(world, call)
    first.lose(noticed=True)
    second.lose(noticed=True)
    second.connect()
    world.pump()
    assert second.verdict() is Verdict.ACCEPTED
    world.check()


def test_two_workers_cannot_have_one_name_and_the_second_is_told_why() -> None:
    """It is closed, and the first one does not notice."""
    world = World()
    first, second = world.client("same", "echo"), world.client("same", "other")
    world.settle()
    assert isinstance(second.fatal, RegistrationRejectedError)
    assert (second.fatal.code, second.fatal.worker_name) == ("WORKER_NAMESPACE_CONFLICT", "same")
    assert second.link is None
    assert (first.fatal, first.verdict()) == (None, Verdict.ACCEPTED)
    world.check()


@pytest.mark.parametrize("noticed", [True, False], ids=["the engine saw it", "the engine keeps a ghost"])
def test_a_worker_that_lost_its_link_gets_everything_back(noticed: bool) -> None:
    """Calls that it served are stopped, its function and its name are its own again, and calls reach it."""
    world = World()
    worker, caller = world.client("worker", "echo"), world.client("caller")
    world.settle()
    served = caller.call(1)
    caller.send(PLENTY)
    worker.read(100)
    assert len(worker.invocations) == 1
    worker.lose(noticed=noticed)
    world.settle()
    assert served.call.error is not None
    assert (served.call.error.code, served.call.error.fate) == ("invocation_stopped", Fate.MAY_HAVE_RUN)
    assert worker.session.counters.dropped_results == 1
    assert worker.verdict() is Verdict.ACCEPTED
    again = caller.call(2)
    world.settle()
    assert ended_as_answered(world, again)
    assert worker.fatal is None
    world.check()


@pytest.mark.parametrize("deaf", list(itertools.product([0, 1, PLENTY], repeat=2)), ids=str)
def test_a_worker_that_loses_link_after_link_in_silence_still_gets_its_name_back(deaf: tuple[int, int]) -> None:
    """However much of each attempt reached the engine: nothing, its first frame, or everything."""
    world = World()
    worker = world.client("worker", "echo")
    world.settle()
    for max_bytes in deaf:
        worker.lose(noticed=False)
        worker.connect()
        worker.read(1)
        if max_bytes:
            worker.send(max_bytes)
    worker.lose(noticed=False)
    world.settle()
    assert worker.fatal is None
    assert worker.verdict() is Verdict.ACCEPTED
    assert [each.profile.name for each in world.engine.connections if each.profile.name] == ["worker"]
    world.check()
