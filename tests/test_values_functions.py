"""The registration of a function as a value."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.functions import RegisterFunctionInput
from iii_trio.errors import ConfigurationError


def test_only_the_id_is_needed() -> None:
    """All else is None."""
    assert RegisterFunctionInput(id="f") == RegisterFunctionInput(
        id="f", description=None, metadata=None, request_format=None, response_format=None
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"id": " "}, "id must not be blank", id="a blank id, which the engine takes and nobody finds"),
        pytest.param({"id": 7}, "id must be text", id="a number for an id"),
        pytest.param({"id": "f", "description": 7}, "description must be str", id="a description that is no text"),
        pytest.param({"id": "f", "metadata": []}, "metadata must be dict", id="metadata is an object"),
        pytest.param({"id": "f", "request_format": "{}"}, "request_format must be dict", id="a schema is an object"),
        pytest.param({"id": "f", "response_format": 1}, "response_format must be dict", id="both schemas"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When the value is made, not when the engine drops it."""
    with pytest.raises(ConfigurationError, match=f"RegisterFunctionInput.{reason}"):
        RegisterFunctionInput(**fields)
