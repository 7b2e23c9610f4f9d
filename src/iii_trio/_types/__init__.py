"""The table of types: what an annotation takes from JSON, and the JSON Schema that says so (docs/types.md)."""
