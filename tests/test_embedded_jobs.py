"""A queue tries its jobs as often as it was told, as many at once as may run, and keeps what nobody could do."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._embedded.clock import Clock
from iii_trio._embedded.jobs import Consumer, Done, JobQueue


@attrs.define
class Taker:
    """A consumer that answers when it is told to."""

    taken: list[tuple[Any, Done]] = attrs.field(factory=list)

    def deliver(self, data: Any, done: Done) -> None:
        """Remember it."""
        self.taken.append((data, done))

    def data(self) -> list[Any]:
        """What is running."""
        return [data for data, _ in self.taken]

    def end(self, data: Any, error: str | None = None) -> None:
        """Answer one."""
        index = self.data().index(data)
        self.taken.pop(index)[1](error)


@attrs.define
class Post:
    """A queue with one consumer, and a clock that is moved by hand."""

    clock: Clock = attrs.field(
        factory=lambda: Clock(epoch_ms=lambda: 1_700_000_000_000, on_alarm=lambda: None, now=0.0)
    )
    taker: Taker = attrs.field(factory=Taker)
    queue: JobQueue = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.queue = JobQueue("q", self.clock)

    def subscribe(self, **options: Any) -> None:
        """Let the taker have its jobs."""
        self.queue.consumers.append(Consumer(deliver=self.taker.deliver, **options))
        self.queue.pump()

    def passes(self, seconds: float) -> None:
        """Time."""
        self.clock.tick(self.clock.now + seconds)


@pytest.fixture
def post() -> Post:
    """A queue without a consumer."""
    return Post()


def test_jobs_wait_for_a_consumer_and_come_in_order(post: Post) -> None:
    """Waiting and running ones make the depth."""
    for number in range(3):
        post.queue.push(str(number), number)
    assert post.queue.depth == 3
    post.subscribe()
    assert post.taker.data() == [0, 1, 2]
    post.taker.end(1)
    assert post.queue.depth == 2


def test_no_more_run_at_once_than_may(post: Post) -> None:
    """The next comes when there is room."""
    post.subscribe(concurrency=2)
    for number in range(4):
        post.queue.push(str(number), number)
    assert post.taker.data() == [0, 1]
    post.taker.end(0)
    assert post.taker.data() == [1]
    post.passes(0)
    assert post.taker.data() == [1, 2]


def test_ten_run_at_once_unless_told_otherwise(post: Post) -> None:
    """And for 0 none does."""
    post.subscribe(concurrency=0)
    for number in range(12):
        post.queue.push(str(number), number)
    assert post.taker.data() == []
    post.subscribe()
    assert len(post.taker.data()) == 10


def test_consumers_share_what_comes(post: Post) -> None:
    """Each job goes to whoever has least to do."""
    post.subscribe(concurrency=2)
    other = Taker()
    post.queue.consumers.append(Consumer(deliver=other.deliver, concurrency=1))
    for number in range(4):
        post.queue.push(str(number), number)
    assert (post.taker.data(), other.data()) == ([0, 2], [1])


def test_a_job_is_tried_three_times_with_growing_pauses(post: Post) -> None:
    """One second, two seconds, and then it is a dead letter."""
    post.subscribe()
    post.queue.push("id", "data")
    for pause in (1.0, 2.0):
        post.taker.end("data", "broken")
        assert post.queue.depth == 0
        post.passes(pause - 0.01)
        assert post.taker.data() == []
        post.passes(0.01)
        assert post.taker.data() == ["data"]
    post.taker.end("data", "broken")
    (letter,) = post.queue.dead_letters(5)
    assert letter.row() == {
        "id": "id",
        "payload": "data",
        "error": "broken",
        "failed_at": 1_700_000_003,
        "retries": 3,
        "size_bytes": 288,
    }
    post.passes(1_000)
    assert post.taker.data() == []


def test_a_job_that_failed_goes_before_those_that_wait(post: Post) -> None:
    """When it is due."""
    post.subscribe(concurrency=1)
    for number in range(3):
        post.queue.push(str(number), number)
    post.taker.end(0, "broken")
    post.passes(0)
    assert post.taker.data() == [1]
    post.passes(1)
    post.taker.end(1)
    post.passes(0)
    assert post.taker.data() == [0]


def test_in_order_a_job_that_failed_blocks_the_next(post: Post) -> None:
    """It is tried again in its place, whatever the concurrency."""
    post.subscribe(in_order=True)
    post.queue.push("0", 0)
    post.queue.push("1", 1)
    assert post.taker.data() == [0]
    post.taker.end(0, "broken")
    post.passes(0.99)
    assert (post.taker.data(), post.queue.depth) == ([], 2)
    post.passes(0.01)
    post.taker.end(0)
    post.passes(0)
    assert post.taker.data() == [1]


def test_what_the_subscriber_wants_holds_for_jobs_that_were_there_before(post: Post) -> None:
    """Attempts and backoff, doubled without an overflow."""
    post.queue.push("0", 0)
    post.queue.max_attempts, post.queue.backoff_ms = 2, 2**63
    post.subscribe()
    post.taker.end(0, "broken")
    assert post.clock.next_deadline() == 2**63 / 1_000
    post.passes(2**63 / 1_000)
    post.taker.end(0, "broken")
    assert post.queue.dead == 1


def fail(post: Post, *numbers: int) -> None:
    """Let jobs become dead letters."""
    post.queue.max_attempts = 1
    post.subscribe()
    for number in numbers:
        post.queue.push(str(number), number)
        post.taker.end(number, f"broken {number}")


def test_dead_letters_come_newest_first_and_are_redriven_oldest_first(post: Post) -> None:
    """As if it was the first time."""
    fail(post, 0, 1, 2)
    assert [letter.job.id for letter in post.queue.dead_letters(2)] == ["2", "1"]
    assert post.queue.redrive() == 3
    assert post.taker.data() == [0, 1, 2]
    assert (post.queue.dead, post.queue.depth) == (0, 3)
    post.queue.max_attempts = 2
    post.taker.end(0, "broken again")
    assert post.queue.dead == 0


def test_one_dead_letter_can_be_redriven_or_discarded(post: Post) -> None:
    """By its id."""
    fail(post, 0, 1, 2)
    assert post.queue.redrive_one("1")
    assert not post.queue.redrive_one("1")
    assert post.taker.data() == [1]
    assert post.queue.discard("0")
    assert not post.queue.discard("0")
    assert [letter.job.id for letter in post.queue.dead_letters(5)] == ["2"]


def test_a_consumer_that_leaves_with_its_last_answer_gets_nothing_more(post: Post) -> None:
    """What waits stays for the next one."""
    post.subscribe(concurrency=1)
    post.queue.push("0", 0)
    post.queue.push("1", 1)
    post.taker.end(0, "gone")
    post.queue.consumers.clear()
    post.passes(5)
    assert post.taker.data() == []
    assert post.queue.depth == 2
