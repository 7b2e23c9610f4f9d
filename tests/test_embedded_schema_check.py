"""Values against schemas."""

from __future__ import annotations

import sys

import pytest

from iii_trio._embedded.registry import Refusal
from iii_trio._embedded.schema_check import violations
from iii_trio._wire.messages import Json


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        pytest.param({}, [], id="anything"),
        pytest.param(True, [], id="true"),
        pytest.param(False, ['False schema does not allow {"y":1,"z":5}'], id="false"),
        pytest.param({"type": ["string"]}, ['{"y":1,"z":5} is not of type "string"'], id="sorted-keys"),
        pytest.param(
            {"required": ["a"], "minProperties": 3},
            ['{"y":1,"z":5} has less than 3 properties', '"a" is a required property'],
            id="all-faults",
        ),
        pytest.param(
            {"format": "email", "$comment": 1}, ['invalid JSON Schema: 1 is not of type "string"'], id="no-schema"
        ),
        pytest.param(None, ['invalid JSON Schema: null is not of types "boolean", "object"'], id="null"),
        pytest.param("{}", ['invalid JSON Schema: "{}" is not of types "boolean", "object"'], id="text"),
    ],
)
def test_faults_are_told_in_the_engines_words(schema: Json, found: list[str]) -> None:
    """A schema that is none fits nothing."""
    assert violations({"z": 5, "y": 1}, schema) == found


def test_nothing_is_fetched() -> None:
    """A test engine reaches nobody."""
    (fault,) = violations(1, {"$ref": "http://nowhere.invalid/schema"})
    assert "this engine fetches nothing: http://nowhere.invalid/schema" in fault


def test_without_the_library_a_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a word of where it comes from."""
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(Refusal, match=r"iii-trio\[engine\]") as caught:
        violations(1, {})
    assert caught.value.code == "ADAPTER_ERROR"
