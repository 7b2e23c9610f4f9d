"""`III.queues` and `III.publish`, on the embedded engine in memory, whose queues are polled by the clock."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from iii_trio import EnqueueResult, InvocationError, TriggerAction
from iii_trio.errors import ConfigurationError, Fate, PayloadError
from iii_trio.queue import DeadLetterTopic, TopicInfo, TopicStats
from tests.conftest import Gate, MemoryLink


async def test_a_durable_message_reaches_a_subscriber(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Whatever it is; null when nothing was given."""
    send, receive = trio.open_memory_channel[Any](10)
    async with link.client() as iii:
        iii.register_function("job", send.send)
        await iii.register_trigger(type="queue", function_id="job", config={"topic": "jobs"}).wait_registered()
        await iii.queues.publish("jobs", {"n": 1})
        assert await receive.receive() == {"n": 1}
        await iii.queues.publish("jobs")
        assert await receive.receive() is None


async def test_a_topic_tells_how_full_it_is(link: MemoryLink, autojump_clock: MockClock) -> None:
    """And is listed while somebody is subscribed; an unknown one has nothing."""
    gate = Gate()
    async with link.client() as iii:
        iii.register_function("job", gate)
        await iii.register_trigger(type="queue", function_id="job", config={"topic": "jobs"}).wait_registered()
        await iii.queues.publish("jobs")
        await gate.wait_entered()
        assert await iii.queues.topic_stats("jobs") == TopicStats(depth=1, consumer_count=1, dlq_depth=0)
        assert TopicInfo(name="jobs", broker_type="builtin", subscriber_count=1) in await iii.queues.list_topics()
        gate.open()
        assert await iii.queues.topic_stats("unknown") == TopicStats(depth=0, consumer_count=0, dlq_depth=0)


async def test_dead_letters_are_listed_tried_again_and_thrown_away(link: MemoryLink, autojump_clock: MockClock) -> None:
    """One by one or all together; each method says whether there was anything."""
    done: list[Any] = []
    dead = 0
    works = False

    async def job(data: Any) -> None:
        nonlocal dead
        if not works:
            dead += 1
            raise InvocationError("BOOM", f"no {data}")
        done.append(data)

    async with link.client() as iii:
        iii.register_function("job", job)
        config = {"topic": "jobs", "queue_config": {"maxRetries": 0}}
        await iii.register_trigger(type="queue", function_id="job", config=config).wait_registered()
        for number in range(4):
            await iii.queues.publish("jobs", number)
            await trio.sleep(1)  # longer than the engine waits before it looks
        letters = await iii.queues.dlq_messages("jobs")
        assert [letter.payload for letter in letters] == [3, 2, 1, 0]
        assert {(letter.retries, "BOOM" in letter.error) for letter in letters} == {(1, True)}
        assert [letter.payload for letter in await iii.queues.dlq_messages("jobs", offset=1, limit=2)] == [2, 1]
        assert DeadLetterTopic(topic="jobs", broker_type="builtin", message_count=4) in await iii.queues.dlq_topics()
        assert dead == 4
        works = True
        assert await iii.queues.discard_message("jobs", letters[0].id) is True
        assert await iii.queues.discard_message("jobs", letters[0].id) is False
        assert await iii.queues.redrive_message("jobs", letters[1].id) is True
        assert await iii.queues.redrive_message("jobs", letters[1].id) is False
        assert await iii.queues.redrive("jobs") == 2
        assert await iii.queues.redrive("jobs") == 0
        await trio.sleep(1)
        assert sorted(done) == [0, 1, 2]


async def test_a_published_message_reaches_who_is_there(link: MemoryLink, autojump_clock: MockClock) -> None:
    """Once, and nobody who comes later."""
    got: list[Any] = []

    async def early(data: Any) -> None:
        got.append(("early", data))

    async def late(data: Any) -> None:
        got.append(("late", data))

    async with link.client() as iii:
        iii.register_function("early", early)
        iii.register_function("late", late)
        await iii.register_trigger(type="subscribe", function_id="early", config={"topic": "news"}).wait_registered()
        await iii.publish("news", {"n": 1})
        await iii.publish("news")
        await iii.register_trigger(type="subscribe", function_id="late", config={"topic": "news"}).wait_registered()
        await trio.sleep(1)
        assert got == [("early", {"n": 1}), ("early", None)]


async def test_enqueueing_needs_a_provider(link: MemoryLink) -> None:
    """The engine has none of its own; with one the caller gets its receipt."""
    jobs: list[Any] = []

    async def provide(data: dict[str, Any]) -> None:
        jobs.append(data)

    async with link.client() as iii:
        with pytest.raises(InvocationError, match="No queue provider is installed") as caught:
            await iii.trigger("mail::send", {"to": "Ada"}, action=TriggerAction.Enqueue(queue="mail"))
        assert (caught.value.code, caught.value.fate) == ("enqueue_error", Fate.MAY_HAVE_RUN)
        await iii.register_function("engine::queue::enqueue", provide, force=True).wait_registered()
        receipt = await iii.trigger("mail::send", {"to": "Ada"}, action=TriggerAction.Enqueue(queue="mail"))
        assert isinstance(receipt, EnqueueResult)
        (job,) = jobs
        assert (job["queue"], job["function_id"], job["data"]) == ("mail", "mail::send", {"to": "Ada"})
        assert job["messageReceiptId"] == receipt.messageReceiptId


@pytest.mark.parametrize(
    ("operation", "arguments", "reason"),
    [
        pytest.param("publish", {"topic": ""}, "topic must be text", id="no topic"),
        pytest.param("publish", {"topic": None}, "topic must be text", id="None"),
        pytest.param("redrive", {"queue": " "}, "queue must be text", id="blank"),
        pytest.param("redrive_message", {"queue": "q", "message_id": ""}, "message_id must be text", id="no message"),
        pytest.param("redrive_message", {"queue": "", "message_id": "m"}, "queue must be text", id="no queue"),
        pytest.param("discard_message", {"queue": "q", "message_id": 7}, "message_id must be text", id="a number"),
        pytest.param("topic_stats", {"queue": ""}, "queue must be text", id="stats of nothing"),
        pytest.param("dlq_messages", {"queue": ""}, "queue must be text", id="letters of nothing"),
        pytest.param("dlq_messages", {"queue": "q", "offset": -1}, "offset must be a whole", id="before the first"),
        pytest.param("dlq_messages", {"queue": "q", "limit": 1.5}, "limit must be a whole", id="a fraction"),
        pytest.param("dlq_messages", {"queue": "q", "limit": True}, "limit must be a whole", id="a truth"),
        pytest.param("dlq_messages", {"queue": "q", "limit": 2**63}, "limit must be a whole", id="too large"),
    ],
)
async def test_a_bad_argument_is_refused_before_it_is_sent(
    link: MemoryLink, operation: str, arguments: dict[str, Any], reason: str
) -> None:
    """The error names it."""
    async with link.client() as iii:
        await iii.wait_connected()
        before = len(link.engine.received)
        with pytest.raises(ConfigurationError, match=reason):
            await getattr(iii.queues, operation)(**arguments)
        assert len(link.engine.received) == before


async def test_publishing_refuses_what_cannot_work(link: MemoryLink) -> None:
    """A blank topic, and data that cannot be sent."""
    async with link.client() as iii:
        with pytest.raises(ConfigurationError, match="topic must be text"):
            await iii.publish("")
        with pytest.raises(PayloadError, match=r"\$\.data"):
            await iii.publish("news", float("nan"))
        with pytest.raises(PayloadError, match=r"\$\.data"):
            await iii.queues.publish("jobs", float("nan"))
