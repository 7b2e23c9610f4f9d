"""One queue of jobs: who takes them, when they are tried again, and where those end that nobody could do.

The real engine looks ten times a second for what is due. This one knows when that is, so nothing waits for the next look
(docs/engine.md, "Queues").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import attrs
import orjson

from iii_trio._embedded.clock import Clock
from iii_trio._wire.messages import Json

MAX_ATTEMPTS: Final = 3
BACKOFF_MS: Final = 1_000
CONCURRENCY: Final = 10

_LONGEST_BACKOFF_MS: Final = 2**64 - 1

Done: TypeAlias = Callable[[str | None], None]
"""Takes the text of an error, or None for success."""


@attrs.define(eq=False, kw_only=True)
class Job:
    """A message on its way to one function."""

    id: str
    queue: str
    data: Json
    created_at: int
    """Milliseconds since 1970, as all times here."""
    attempts: int = 0
    max_attempts: int = MAX_ATTEMPTS
    backoff_ms: int = BACKOFF_MS
    process_at: int | None = None
    """When it was or is to be tried again."""

    def record(self) -> Json:
        """As the real engine stores it."""
        return {
            "id": self.id,
            "queue": self.queue,
            "data": self.data,
            "attempts_made": self.attempts,
            "max_attempts": self.max_attempts,
            "backoff_delay_ms": self.backoff_ms,
            "created_at": self.created_at,
            "process_at": self.process_at,
            **dict.fromkeys(("group_id", "traceparent", "baggage", "function_id", "message_id")),
        }


@attrs.frozen(eq=False)
class DeadLetter:
    """A job that failed for the last time."""

    job: Job
    error: str
    failed_at: int

    def row(self) -> dict[str, Json]:
        """As it is listed; the size is that of the real engine's record."""
        record = {"job": self.job.record(), "error": self.error, "failed_at": self.failed_at}
        return {
            "id": self.job.id,
            "payload": self.job.data,
            "error": self.error,
            "failed_at": self.failed_at // 1_000,
            "retries": self.job.attempts,
            "size_bytes": len(orjson.dumps(record)),
        }


@attrs.define(eq=False, kw_only=True)
class Consumer:
    """Who takes jobs from a queue."""

    deliver: Callable[[Json, Done], None]
    """Takes the data of a job, and tells how it ended; never before it returns."""
    concurrency: int = CONCURRENCY
    """Jobs at once; none at all for 0."""
    in_order: bool = False
    """One job at a time, and one that fails is tried again before the next."""
    running: int = attrs.field(default=0, init=False)

    @property
    def has_room(self) -> bool:
        """Whether it takes one more."""
        return self.running < (1 if self.in_order else self.concurrency)


@attrs.define(eq=False)
class JobQueue:
    """Jobs in the order of their coming; one that failed goes before them when it is due."""

    name: str
    _clock: Clock
    consumers: list[Consumer] = attrs.field(factory=list, init=False)
    """They compete."""
    max_attempts: int | None = attrs.field(default=None, init=False)
    """What its last subscriber wants, for jobs that were there before as well; None leaves it to the job."""
    backoff_ms: int | None = attrs.field(default=None, init=False)
    """Likewise."""
    _waiting: deque[Job] = attrs.field(factory=deque, init=False)
    _running: int = attrs.field(default=0, init=False)
    _dead: deque[DeadLetter] = attrs.field(factory=deque, init=False)
    """The newest first."""

    @property
    def depth(self) -> int:
        """Jobs that wait or run; not those that wait to be tried again."""
        return len(self._waiting) + self._running

    def push(self, job_id: str, data: Json) -> None:
        """Take in a job."""
        self._waiting.append(Job(id=job_id, queue=self.name, data=data, created_at=self._now_ms()))
        self.pump()

    def pump(self) -> None:
        """Hand out what waits, to whoever has least to do."""
        while self._waiting:
            free = [consumer for consumer in self.consumers if consumer.has_room]
            if not free:
                return
            consumer = min(free, key=lambda consumer: consumer.running)
            consumer.running += 1
            self._running += 1
            self._try(consumer, self._waiting.popleft())

    # ---- dead letters -----------------------------------------------------------------------------------------------

    @property
    def dead(self) -> int:
        """How many there are."""
        return len(self._dead)

    def dead_letters(self, count: int) -> list[DeadLetter]:
        """The newest."""
        return [letter for letter, _ in zip(self._dead, range(count), strict=False)]

    def redrive(self) -> int:
        """Try all of them again, the oldest first, as if it was the first time; how many there were."""
        count = len(self._dead)
        while self._dead:
            self._revive(self._dead.pop())
        self.pump()
        return count

    def redrive_one(self, job_id: str) -> bool:
        """Try one again; whether it was there."""
        letter = self._take(job_id)
        if letter is not None:
            self._revive(letter)
            self.pump()
        return letter is not None

    def discard(self, job_id: str) -> bool:
        """Forget one; whether it was there."""
        return self._take(job_id) is not None

    def _take(self, job_id: str) -> DeadLetter | None:
        letter = next((letter for letter in self._dead if letter.job.id == job_id), None)
        if letter is not None:
            self._dead.remove(letter)
        return letter

    def _revive(self, letter: DeadLetter) -> None:
        letter.job.attempts = 0
        self._waiting.append(letter.job)

    # ---- attempts ---------------------------------------------------------------------------------------------------

    def _try(self, consumer: Consumer, job: Job) -> None:
        consumer.deliver(job.data, partial(self._end, consumer, job))

    def _end(self, consumer: Consumer, job: Job, error: str | None) -> None:
        if error is None:
            self._make_room(consumer)
            return
        job.attempts += 1
        job.max_attempts = job.max_attempts if self.max_attempts is None else self.max_attempts
        job.backoff_ms = job.backoff_ms if self.backoff_ms is None else self.backoff_ms
        if job.attempts >= job.max_attempts:
            self._dead.appendleft(DeadLetter(job, error, self._now_ms()))
            self._make_room(consumer)
            return
        delay_ms = min(job.backoff_ms * 2 ** (job.attempts - 1), _LONGEST_BACKOFF_MS)
        due = self._clock.now + delay_ms / 1_000
        if consumer.in_order:
            self._clock.at(due, partial(self._try, consumer, job))
            return
        job.process_at = self._now_ms() + delay_ms
        self._clock.at(due, partial(self._return, job))
        self._make_room(consumer)

    def _return(self, job: Job) -> None:
        self._waiting.appendleft(job)
        self.pump()

    def _make_room(self, consumer: Consumer) -> None:
        consumer.running -= 1
        self._running -= 1
        # Not now: a worker that is leaving still has its subscriptions, and would get a job that it cannot do.
        self._clock.soon(self.pump)

    def _now_ms(self) -> int:
        return int(self._clock.time_of_day() * 1_000)
