"""The protocol's registrations under the references' names."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from iii_trio._values.building import build
from iii_trio._values.protocol_messages import (
    MessageType,
    RegisterFunctionMessage,
    RegisterTriggerMessage,
    RegisterTriggerTypeMessage,
)
from iii_trio._wire import messages
from iii_trio.errors import ConfigurationError


def test_every_message_type_is_a_frame_of_ours() -> None:
    """By the same word."""
    assert {member.value for member in MessageType} <= {cls.TYPE for cls in messages.FRAMES}


@pytest.mark.parametrize("cls", [RegisterFunctionMessage, RegisterTriggerMessage, RegisterTriggerTypeMessage])
def test_a_message_says_what_its_frame_says(cls: type[Any]) -> None:
    """Under the same names, but for the type."""
    fields = attrs.fields_dict(cls)
    (frame,) = (each for each in messages.FRAMES if fields["message_type"].default == each.TYPE)
    assert fields.keys() - {"message_type"} <= attrs.fields_dict(frame).keys()


@pytest.mark.parametrize(
    ("cls", "given", "type"),
    [
        (RegisterFunctionMessage, {"id": "f"}, MessageType.REGISTER_FUNCTION),
        (
            RegisterTriggerMessage,
            {"id": "t", "trigger_type": "cron", "function_id": "f", "config": None},
            MessageType.REGISTER_TRIGGER,
        ),
        (RegisterTriggerTypeMessage, {"id": "t", "description": ""}, MessageType.REGISTER_TRIGGER_TYPE),
    ],
)
def test_a_message_knows_its_type(cls: type[Any], given: dict[str, Any], type: MessageType) -> None:
    """And takes no other, though a dict may say it."""
    message = build(cls, given)
    assert message.message_type is type
    assert build(cls, {**given, "message_type": type.value}) == message
    with pytest.raises(ConfigurationError, match="message_type must be"):
        build(cls, {**given, "message_type": MessageType.INVOKE_FUNCTION})


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: RegisterFunctionMessage(id=""), "RegisterFunctionMessage.id must not be blank", id="id"),
        pytest.param(
            lambda: build(RegisterTriggerMessage, {"id": "t", "trigger_type": "cron", "function_id": "f"}),
            "RegisterTriggerMessage needs its config",
            id="no config",
        ),
        pytest.param(
            lambda: RegisterTriggerTypeMessage(id="t", description=None),  # type: ignore[arg-type]
            "RegisterTriggerTypeMessage.description must be str",
            id="no description",
        ),
    ],
)
def test_a_message_that_the_engine_would_drop_is_refused(make: Any, reason: str) -> None:
    """When it is made."""
    with pytest.raises(ConfigurationError, match=reason):
        make()
