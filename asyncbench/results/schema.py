"""The published schema of a line: docs/record.schema.json is this, and a test holds it to it."""

from __future__ import annotations

from pydantic import JsonValue

from asyncbench.results.record import SCHEMA_VERSION, record_adapter


def record_schema() -> dict[str, JsonValue]:
    """Return the JSON schema of one line of a results file, as it is written: no key is ever left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of an asyncbench results file, schema version {SCHEMA_VERSION}",
        **record_adapter.json_schema(mode="serialization"),
    }
