"""The JSON schema of configuration files, as `asyncbench schema config` prints it and docs/ publishes it."""

from __future__ import annotations

from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

from asyncbench.sweep.backends.registry import AUTO_BACKEND, BUILT_IN, added_names
from asyncbench.sweep.config import SweepConfig, config_with
from asyncbench.sweep.json_text import LARGEST_NUMBER
from asyncbench.sweep.moved_keys import MOVED_KEYS
from asyncbench.sweep.tasks import Task

CONFIG_SCHEMA_VERSION = 2
ONLY_THE_LOADER = (
    "keys that contradict each other, such as duration and iterations, or stop.min above stop.max",
    "ranges that run backwards, such as 8..1, and axes or grids with too many values",
    "durations and sizes beyond 64 bits, and those below 1ns or 1B",
    "numbers beyond 64 bits inside converted_from",
    "keys that stand both at the top and in the section of a backend",
    "whole numbers that are written as 1.0",
    "what only a backend, a data set or a disk knows: devices, subsets, files",
)


def config_schema() -> dict[str, JsonValue]:
    """Return the schema (draft 2020-12). It accepts whatever the loader accepts, and else only `ONLY_THE_LOADER`.

    Backends that installed packages add are in it, too.

    Raises:
        BadInputError: The entry point of one cannot be used.
    """
    added = added_names()
    sweeps = config_with(added) if added else SweepConfig
    _, schema = models_json_schema([(sweeps, "validation"), (Task, "validation")])
    definitions = schema["$defs"]
    _bound_integers(definitions)
    keys = definitions["SweepConfig"]["properties"]
    keys["$schema"] = {"description": "Where an editor finds this schema. Ignored."}
    keys["backend"]["enum"] = [AUTO_BACKEND, *BUILT_IN, *added]
    for name in sweeps.section_names():
        described = f"Options of the {name} backend."
        keys[name] = {"anyOf": [keys[name], {"type": "null"}], "description": described}
    for key, section in MOVED_KEYS.items():
        options = definitions[BUILT_IN[section].options.__name__]["properties"]
        keys[key] = options[key] | {"description": f"Now {section}.{key}.", "deprecated": True}
    sweep, task = ({"$ref": f"#/$defs/{model.__name__}"} for model in (SweepConfig, Task))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "asyncbench sweep configuration",
        "description": "One sweep or task of the predecessor, or a list of them.",
        "$comment": f"Left to the program, because no schema can say it: {'; '.join(ONLY_THE_LOADER)}.",
        "version": CONFIG_SCHEMA_VERSION,
        "anyOf": [sweep, task, {"type": "array", "minItems": 1, "items": {"anyOf": [sweep, task]}}],
        "$defs": definitions,
    }


def _bound_integers(schema: JsonValue) -> None:
    """Add the bound of `parse_json` to every whole number that has none."""
    if isinstance(schema, list):
        for each in schema:
            _bound_integers(each)
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("maximum", LARGEST_NUMBER)
        for each in schema.values():
            _bound_integers(each)
