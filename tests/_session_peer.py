"""An engine by hand: it says what a test tells it to say, and shows what the session has sent."""

from __future__ import annotations

import json
from typing import Any, Final

import attrs

from iii_trio._session.calls import Call
from iii_trio._session.events import Event, Ready
from iii_trio._session.outbox import Outbox
from iii_trio._session.registry import Registration
from iii_trio._session.session import Session
from iii_trio._wire import messages as wire

ENDLESS: Final = float("inf")
PLENTY: Final = 1 << 40
"""Bytes: more than any lane holds."""


def new_session(*, max_frames: int = 100, max_bytes: int = 1 << 20, namespace: str = "default") -> Session:
    """A session as a client makes it."""
    return Session({"name": "worker", "namespace": namespace}, Outbox(max_frames, max_bytes), 1 << 20)


@attrs.define(eq=False)
class Peer:
    """A session, the engine at the other end of its connection, and the calls that wait."""

    session: Session = attrs.field(factory=new_session)
    seen: list[dict[str, Any]] = attrs.field(factory=list)
    """Every frame that was sent on the present connection."""

    wakes: dict[str, int] = attrs.field(factory=dict)
    """How often each call was told its outcome."""

    # ---- what the engine says ---------------------------------------------------------------------------------------

    def say(self, kind: str, **fields: Any) -> Event | None:
        """One frame of the engine."""
        return self.session.receive(json.dumps({"type": kind, **fields}))

    def greet(self, worker_id: str = "w1", token: str | None = "t1") -> None:
        """The engine's first word."""
        assert self.say("workerregistered", worker_id=worker_id, reattach_token=token) is None

    def result(self, invocation_id: str, function_id: str = "f", **fields: Any) -> Event | None:
        """An answer: ``result=`` or ``error=``."""
        return self.say("invocationresult", invocation_id=invocation_id, function_id=function_id, **fields)

    def refusal(self, invocation_id: str, code: str, message: str = "refused", **more: Any) -> Event | None:
        """An answer that is an error."""
        return self.result(invocation_id, error={"code": code, "message": message, **more})

    def reject(self, function_id: str) -> Event | None:
        """Somebody else owns a function."""
        return self.say(
            "registrationrejected",
            code="FUNCTION_NAMESPACE_CONFLICT",
            namespace="default",
            function_id=function_id,
            owner_worker_id="other",
        )

    # ---- what the link does -----------------------------------------------------------------------------------------

    def connect(self) -> None:
        """A new connection, on which nothing was said yet."""
        self.seen = []
        self.session.connected()

    def take(self, max_bytes: int = PLENTY) -> list[dict[str, Any]]:
        """Everything that may be sent now, as the engine reads it."""
        frames = [json.loads(frame) for frame in self.session.take(max_bytes)]
        self.seen += frames
        return frames

    def replay(self, worker_id: str = "w1", token: str | None = "t1") -> list[dict[str, Any]]:
        """Connect and greet; returns what is sent at once."""
        self.connect()
        self.greet(worker_id, token)
        return self.take()

    def confirm(self) -> None:
        """Answer the register call and the barrier behind the replay."""
        assert self.result(self.register_id, result={"success": True}) is None
        assert self.say("pong") == Ready()

    def ready(self, worker_id: str = "w1", token: str | None = "t1") -> Peer:
        """A connection from its beginning until calls flow."""
        self.replay(worker_id, token)
        self.confirm()
        return self

    @property
    def register_id(self) -> str:
        """Id of the register call of the present connection."""
        (frame,) = (each for each in self.seen if each.get("function_id") == "engine::workers::register")
        return str(frame["invocation_id"])

    # ---- what the client does ---------------------------------------------------------------------------------------

    def call(self, payload: Any = None, *, deadline: float = ENDLESS) -> Call:
        """Queue a call of ``f``."""
        call_id = self.session.new_invocation_id()
        self.wakes[call_id] = 0

        def wake() -> None:
            self.wakes[call_id] += 1

        call = Call(call_id, "f", deadline, wake)
        self.session.call(call, self.session.encode(wire.InvokeFunction("f", payload, invocation_id=call_id)))
        return call

    def sent_call(self, payload: Any = None, *, deadline: float = ENDLESS) -> Call:
        """A call that the engine has."""
        call = self.call(payload, deadline=deadline)
        self.take()
        assert call.sent
        return call

    def void(self, payload: Any = None) -> None:
        """Queue a call that wants no answer."""
        self.session.send(self.session.encode(wire.InvokeFunction("f", payload)))

    def register(self, function_id: str) -> Registration:
        """Offer a function."""
        return self.session.registrar.register(wire.RegisterFunction(function_id), handler=None)

    def answer(self, payload: Any = None, *, epoch: int | None = None, age: float = 1.0, now: float = 0.0) -> None:
        """Queue the answer of a handler that took `age` seconds."""
        frame = self.session.encode(wire.InvocationResult("00000000-0000-4000-a000-000000000000", "g", payload))
        self.session.answer(self.session.epoch if epoch is None else epoch, frame, age=age, now=now)


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    """Types of frames, each with the function that it is about."""
    return [
        " ".join([frame["type"], *(frame[key] for key in ("function_id", "id") if key in frame)]) for frame in frames
    ]
