"""Values against JSON schemas, by the library that the engine itself uses, so that it says the same of what does not fit."""

from __future__ import annotations

import orjson

from iii_trio._embedded.registry import Refusal
from iii_trio._wire.messages import Json


def violations(value: Json, schema: Json) -> list[str]:
    """What does not fit, in the engine's words; a schema that is none fits nothing.

    Raises:
        Refusal: jsonschema-rs is not installed.
    """
    try:
        import jsonschema_rs
    except ImportError:
        message = "values are checked with jsonschema-rs, which is not installed: the extra iii-trio[engine] brings it"
        raise Refusal("ADAPTER_ERROR", message) from None
    if not isinstance(schema, dict | bool):
        return [f'invalid JSON Schema: {orjson.dumps(schema).decode()} is not of types "boolean", "object"']
    try:
        validator = jsonschema_rs.validator_for(_sorted(schema), retriever=_retrieve)
    except jsonschema_rs.ValidationError as error:
        return [f"invalid JSON Schema: {error.message}"]
    return [error.message for error in validator.iter_errors(_sorted(value))]


def _sorted(tree: Json) -> Json:
    """The engine sorts the keys of every object, so that is the order of what it finds and cites."""
    return orjson.loads(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS))


def _retrieve(url: str) -> Json:
    raise ValueError(f"this engine fetches nothing: {url}")
