"""Services as values."""

from __future__ import annotations

from typing import Any

import pytest

from iii_trio._values.building import build
from iii_trio._values.services import RegisterServiceInput
from iii_trio.errors import ConfigurationError


def test_an_id_is_enough() -> None:
    """A dict with it as well."""
    service = RegisterServiceInput(id="payments")
    assert (service.name, service.description, service.parent_service_id) == (None, None, None)
    assert build(RegisterServiceInput, {"id": "payments"}) == service


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"id": ""}, "id must not be blank", id="a blank id"),
        pytest.param({"name": " "}, "name must not be blank", id="a blank name"),
        pytest.param({"description": 1}, "description must be str", id="a number for words"),
        pytest.param({"parent_service_id": ""}, "parent_service_id must not be blank", id="a blank parent"),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], reason: str) -> None:
    """When the value is made."""
    with pytest.raises(ConfigurationError, match=f"RegisterServiceInput.{reason}"):
        RegisterServiceInput(**{"id": "payments", **fields})
