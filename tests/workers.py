"""Workers of an engine without I/O: what they send is a dict, and so is what they get."""

from __future__ import annotations

import itertools
import json
from typing import Any

import attrs

from iii_trio._embedded.connection import CLOSE, TEXT, Connection
from iii_trio._embedded.core import Engine


def uuid_of(number: int) -> str:
    """A UUID that a person can tell from others."""
    return f"00000000-0000-4000-8000-{number:012d}"


@attrs.define
class Worker:
    """One connection, as its worker sees it."""

    engine: Engine
    link: Connection = attrs.field(init=False)
    dropped: bool = False

    @property
    def id(self) -> str:
        """Its worker id."""
        return self.link.id

    def _drop(self) -> None:
        self.dropped = True

    def sends(self, kind: str, **fields: Any) -> None:
        """One frame."""
        self.engine.receive(self.link, json.dumps({"type": kind, **fields}))

    def takes(self) -> list[Any]:
        """What was sent to it since the last time: frames as dicts, a Close as the text ``close``."""
        taken = [json.loads(payload) if opcode == TEXT else opcode for opcode, payload in self.link.outbox]
        self.link.outbox.clear()
        return ["close" if item == CLOSE else item for item in taken]

    def calls(self, function_id: str, data: Any = None, *, call: int | None = None, **fields: Any) -> list[Any]:
        """Invoke a function, and take what comes at once."""
        if call is not None:
            fields["invocation_id"] = uuid_of(call)
        self.sends("invokefunction", function_id=function_id, data=data, **fields)
        return self.takes()

    def result_of(self, function_id: str, data: Any) -> Any:
        """The result of a builtin."""
        (frame,) = self.calls(function_id, data, call=900)
        return frame["result"]

    def error_of(self, function_id: str, data: Any) -> tuple[str, str]:
        """The code and message of a builtin that fails."""
        (frame,) = self.calls(function_id, data, call=900)
        return frame["error"]["code"], frame["error"]["message"]

    def registers(self, **data: Any) -> list[Any]:
        """`engine::workers::register`, and what comes at once."""
        return self.calls("engine::workers::register", data, call=901)


@attrs.define
class Bench:
    """An engine whose ids are counted and whose clock stands still."""

    now: float = 100.0
    engine: Engine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        ids = itertools.count(1)
        self.engine = Engine(grace=5.0, new_id=lambda: uuid_of(next(ids)), epoch_ms=lambda: 1_700_000_000_000)

    def connect(self) -> Worker:
        """A new worker, greeted."""
        worker = Worker(self.engine)
        worker.link = self.engine.connect(
            self.now, ip_address="127.0.0.1", wake=lambda: None, drop=lambda: worker._drop()
        )
        return worker

    def worker(self, name: str | None = None, **data: Any) -> Worker:
        """A new worker that has registered itself."""
        worker = self.connect()
        worker.takes()
        worker.registers(name=name, **data)
        return worker

    def passes(self, seconds: float) -> None:
        """Time."""
        self.now += seconds
        self.engine.tick(self.now)


def answer(worker: Worker, call: int, **fields: Any) -> None:
    """The result of a call."""
    worker.sends("invocationresult", invocation_id=uuid_of(call), function_id="f", **fields)
