"""What the engine tells of its queues, in its own shapes."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._types.table import typed
from iii_trio._values.queue import DeadLetter, DeadLetterTopic, TopicInfo, TopicStats
from tests._recordings import results


@pytest.mark.parametrize(
    ("function_id", "cls", "unread"),
    [
        ("engine::queue::list_topics", TopicInfo, set[str]()),
        ("engine::queue::topic_stats", TopicStats, {"config"}),
        ("engine::queue::dlq_topics", DeadLetterTopic, set[str]()),
        ("engine::queue::dlq_messages", DeadLetter, set[str]()),
    ],
)
def test_recorded_rows_are_structured(function_id: str, cls: Any, unread: set[str]) -> None:
    """Every key that the engine tells has its field, but for one that is always null."""
    answers = results("queue-dlq", function_id)
    rows = [row for answer in answers for row in (answer if isinstance(answer, list) else [answer])]
    assert rows
    for row in rows:
        assert attrs.asdict(typed(cls).structure(row)) == {key: row[key] for key in row.keys() - unread}
        assert [row[key] for key in unread] == [None] * len(unread)
