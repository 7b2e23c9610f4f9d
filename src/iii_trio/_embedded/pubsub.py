"""`publish`, and the trigger type `subscribe` (docs/engine.md, "Publish and subscribe").

The subscriptions of a topic go together when one of them is removed, as they do in the real engine: whoever is left
hears nothing until it subscribes again.
"""

from __future__ import annotations

from typing import Final

import attrs

from iii_trio._embedded import schemas
from iii_trio._embedded.connection import DEFAULT_NAMESPACE, Connection
from iii_trio._embedded.inputs import Field, Input, anything, read, text
from iii_trio._embedded.parts import Host, Part
from iii_trio._embedded.registry import Function, Refusal
from iii_trio._embedded.triggers import Binding, TriggerType
from iii_trio._wire.messages import ABSENT, Json

WORKER: Final = "iii-pubsub"
PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"

_INPUT: Final = Input("PubSubInput", (Field("topic", text, required=True), Field("data", anything, required=True)))


def pubsub(host: Host) -> Part:
    """What `iii-pubsub` offers."""
    topics = _Topics(host)
    return Part(
        worker=WORKER,
        description="Topic-based publish/subscribe messaging for real-time event distribution.",
        functions=(Function(id=PUBLISH, description="Publishes an event", run=topics.publish, worker=WORKER),),
        trigger_types=(
            TriggerType(
                id=SUBSCRIBE,
                description="Subscribe to a topic",
                trigger_request_format=schemas.SUBSCRIBE_CONFIG,
                worker=WORKER,
                accept=topics.subscribe,
                release=topics.unsubscribe,
            ),
        ),
    )


def _topic(binding: Binding) -> str:
    topic = binding.config.get("topic") if isinstance(binding.config, dict) else None
    return topic if isinstance(topic, str) else ""


@attrs.define(eq=False)
class _Topics:
    _host: Host
    _functions: dict[str, dict[str, str]] = attrs.field(factory=dict, init=False)
    """By topic and binding, the functions to call."""

    def publish(self, _: Connection | None, data: Json) -> Json:
        told = read(PUBLISH, _INPUT, data)
        if not told["topic"]:
            raise Refusal("topic_not_set", "Topic is not set")
        for binding_id, function_id in self._functions.get(told["topic"], {}).items():
            # Neither metadata nor a condition counts here, and the namespace is the one that the binding has now.
            binding = self._host.triggers.binding(binding_id)
            namespace = DEFAULT_NAMESPACE if binding is None else binding.namespace
            self._host.calls.call(namespace, function_id, told["data"])
        return ABSENT

    def subscribe(self, binding: Binding) -> None:
        # Without a topic it is taken, and never fires.
        if topic := _topic(binding):
            self._functions.setdefault(topic, {})[binding.id] = binding.function_id

    def unsubscribe(self, binding: Binding) -> None:
        self._functions.pop(_topic(binding), None)
