"""The schemas that the engine shows, of trigger types and of channels. Nothing is checked against them, there as here."""

from __future__ import annotations

from typing import Any, Final

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_CONDITION: Final = "Optional function ID to evaluate before invoking handler"


def shape(title: str, required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these fields."""
    schema: dict[str, Any] = {"$schema": _DRAFT, "title": title, "type": "object", "properties": properties}
    return {**schema, "required": sorted(required)} if required else schema


def text(description: str) -> dict[str, Any]:
    """A string."""
    return {"description": description, "type": "string"}


def optional_text(description: str) -> dict[str, Any]:
    """A string or null."""
    return {"description": description, "type": ["string", "null"]}


CRON_CONFIG: Final = shape(
    "CronTriggerConfig",
    required=("expression",),
    expression=text("Cron expression (6-field format: sec min hour day month weekday)"),
    condition_function_id=optional_text(_CONDITION),
)
CRON_CALL: Final = shape(
    "CronCallRequest",
    required=("trigger", "job_id", "scheduled_time", "actual_time"),
    trigger=text('Always "cron"'),
    job_id=text("Unique job identifier"),
    scheduled_time=text("Scheduled execution time (RFC3339)"),
    actual_time=text("Actual execution time (RFC3339)"),
)
SUBSCRIBE_CONFIG: Final = shape(
    "SubscribeTriggerConfig",
    required=("topic",),
    topic=text("Topic to subscribe to"),
    condition_function_id=optional_text(_CONDITION),
)

_CONFIGURATION_EVENTS: Final = {
    "ConfigurationEventType": {
        "enum": ["configuration:registered", "configuration:updated", "configuration:deleted"],
        "type": "string",
    }
}
_CONFIGURATION_EVENT: Final = {"$ref": "#/definitions/ConfigurationEventType"}
CONFIGURATION_CONFIG: Final = {
    **shape(
        "ConfigurationTriggerConfig",
        configuration_id=optional_text(
            "Configuration id to watch (exact match filter). When omitted, every id matches."
        ),
        event_types={
            "description": 'Event types to filter on (e.g. ["configuration:updated"]). '
            "When omitted, every event matches.",
            "items": _CONFIGURATION_EVENT,
            "type": ["array", "null"],
        },
        condition_function_id=optional_text("Optional function id to evaluate before invoking the handler"),
    ),
    "definitions": _CONFIGURATION_EVENTS,
}
CONFIGURATION_CALL: Final = {
    **shape(
        "ConfigurationCallRequest",
        required=("type", "event_type", "id", "name", "description", "schema"),
        type=text('Always "configuration"'),
        event_type={"allOf": [_CONFIGURATION_EVENT], "description": "Type of configuration change"},
        id=text("Configuration id (e.g. `iii-stream`)"),
        name=text("Human-readable name"),
        description=text("Description"),
        schema={"description": "JSON Schema describing the value shape"},
        old_value={"description": "Previous value (null on registered/deleted-without-prior-state events)"},
        new_value={"description": "New value with `${VAR:default}` placeholders expanded; null on deletion"},
        metadata={"description": "Optional caller-supplied metadata stored alongside the entry"},
    ),
    "definitions": _CONFIGURATION_EVENTS,
}

_CHANNEL_REF: Final = {"$ref": "#/definitions/StreamChannelRef"}
CREATE_CHANNEL: Final = shape(
    "CreateChannelInput",
    buffer_size={"default": None, "format": "uint", "minimum": 0, "type": ["integer", "null"]},
)
CHANNEL_CREATED: Final = {
    **shape("CreateChannelOutput", required=("writer", "reader"), writer=_CHANNEL_REF, reader=_CHANNEL_REF),
    "definitions": {
        "ChannelDirection": {"enum": ["read", "write"], "type": "string"},
        "StreamChannelRef": {
            "properties": {
                "access_key": {"type": "string"},
                "channel_id": {"type": "string"},
                "direction": {"$ref": "#/definitions/ChannelDirection"},
            },
            "required": ["access_key", "channel_id", "direction"],
            "type": "object",
        },
    },
}
