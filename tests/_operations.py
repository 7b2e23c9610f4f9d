"""Every operation of the client on the engine's own functions, once, for tests that hold all of them to one promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from iii_trio import III

_ITEM: Final[dict[str, Any]] = {"stream_name": "s", "group_id": "g", "item_id": "i"}

OPERATIONS: Final[Mapping[str, Callable[[III], Awaitable[Any]]]] = {
    "state.get": lambda iii: iii.state.get(scope="s", key="k"),
    "state.set": lambda iii: iii.state.set(scope="s", key="k", value=1),
    "state.delete": lambda iii: iii.state.delete(scope="s", key="k"),
    "state.list": lambda iii: iii.state.list(scope="s"),
    "state.list_groups": lambda iii: iii.state.list_groups(),
    "state.update": lambda iii: iii.state.update(scope="s", key="k", ops=[]),
    "streams.get": lambda iii: iii.streams.get(**_ITEM),
    "streams.set": lambda iii: iii.streams.set(**_ITEM, data=1),
    "streams.delete": lambda iii: iii.streams.delete(**_ITEM),
    "streams.list": lambda iii: iii.streams.list(stream_name="s", group_id="g"),
    "streams.list_groups": lambda iii: iii.streams.list_groups(stream_name="s"),
    "streams.list_all": lambda iii: iii.streams.list_all(),
    "streams.update": lambda iii: iii.streams.update(**_ITEM, ops=[]),
    "streams.send": lambda iii: iii.streams.send(stream_name="s", group_id="g", type="t"),
    "queues.publish": lambda iii: iii.queues.publish("t"),
    "queues.redrive": lambda iii: iii.queues.redrive("t"),
    "queues.redrive_message": lambda iii: iii.queues.redrive_message("t", "m"),
    "queues.discard_message": lambda iii: iii.queues.discard_message("t", "m"),
    "queues.list_topics": lambda iii: iii.queues.list_topics(),
    "queues.topic_stats": lambda iii: iii.queues.topic_stats("t"),
    "queues.dlq_topics": lambda iii: iii.queues.dlq_topics(),
    "queues.dlq_messages": lambda iii: iii.queues.dlq_messages("t"),
    "publish": lambda iii: iii.publish("t"),
    "list_functions": lambda iii: iii.list_functions(),
    "list_workers": lambda iii: iii.list_workers(),
    "list_triggers": lambda iii: iii.list_triggers(),
}
"""By name, as it is written behind ``iii.``."""
