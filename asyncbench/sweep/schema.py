"""The JSON schema of configuration files, as `asyncbench schema config` prints it and docs/ publishes it."""

from __future__ import annotations

from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.tasks import Task

CONFIG_SCHEMA_VERSION = 1


def config_schema() -> dict[str, JsonValue]:
    """Return the schema (draft 2020-12). It accepts whatever the loader accepts.

    What no schema can say is left to the loader: `8..1`, a duration in weeks, too many cells, contradictions.
    """
    _, schema = models_json_schema([(SweepConfig, "validation"), (Task, "validation")])
    definitions = schema["$defs"]
    definitions["SweepConfig"]["properties"]["$schema"] = {
        "type": "string",
        "description": "Where an editor finds this schema. Ignored.",
    }
    sweep, task = ({"$ref": f"#/$defs/{model.__name__}"} for model in (SweepConfig, Task))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asyncbench sweep configuration",
        "description": "One sweep, or a list of sweeps, or of the predecessor's tasks.",
        "version": CONFIG_SCHEMA_VERSION,
        "anyOf": [sweep, {"type": "array", "minItems": 1, "items": {"anyOf": [sweep, task]}}],
        "$defs": definitions,
    }
