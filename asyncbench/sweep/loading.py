"""Configurations from JSON files and from flags, several of them on top of each other, and the files' schema."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import get_args

from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

from asyncbench.errors import BadInputError
from asyncbench.sweep.backends.registry import AUTO_BACKEND, BUILT_IN, added_names, find_backend
from asyncbench.sweep.config import SweepConfig, check_config, config_with
from asyncbench.sweep.fields import Location
from asyncbench.sweep.json_text import LARGEST_NUMBER, parse_json
from asyncbench.sweep.load import merge_load
from asyncbench.sweep.moved_keys import MOVED_KEYS, in_sections, moved_keys, moved_text
from asyncbench.sweep.options import flag_name
from asyncbench.sweep.problems import shown
from asyncbench.sweep.tasks import Task, convert_task, is_task

CONFIG_SCHEMA_VERSION = 2
ONLY_THE_LOADER = (
    "keys that contradict each other, such as duration and iterations, or stop.min above stop.max",
    "ranges that run backwards, such as 8..1, and axes or grids with too many values",
    "durations and sizes beyond 64 bits, and those below 1ns or 1B",
    "numbers beyond 64 bits inside load and converted_from",
    "keys that stand both at the top and in the section of a backend",
    "whole numbers that are written as 1.0",
    "what only a backend, a load, a data set or a disk knows: loads, devices, subsets, files",
)

_PATH_KEYS = tuple(key for key, field in SweepConfig.model_fields.items() if Location in get_args(field.annotation))
_WHOLE_KEYS = {"converted_from"}  # objects that say one thing together
_SCHEMA_KEY = "$schema"  # editors find the published schema by it
_REMEDY = "write an object, or a list of objects; `asyncbench schema config` says of what"

# A layer that changes the key on the left makes what lower layers said about the right one meaningless.
_OUTDATES = {
    "duration": {"iterations"},
    "iterations": {"duration"},
    "model": {"model_file"},
    "input": {"images"},
    "images": {"input"},
    "dataset": {"truth", "subset"},
}


def load_config(
    text: str, *, source: str, base_folder: str, notice: Callable[[str], None] = lambda _: None
) -> tuple[SweepConfig, ...]:
    """Return the sweeps of a configuration file: one object, or a list of sweeps or of the predecessor's tasks.

    Args:
        text: What the file holds.
        source: The name of the file; it starts every message.
        base_folder: The folder of the file: relative paths inside it start there.
        notice: Takes one line for people about keys that have another place now.

    Raises:
        BadInputError: The text is not JSON, or holds something else than sweeps and tasks.
    """
    document = parse_json(text, source=source)
    entries = document if isinstance(document, list) else [document]
    # What stands beside a task's own keys is ignored, wherever it is.
    if moved := moved_keys([entry for entry in entries if isinstance(entry, dict) and not is_task(entry)]):
        notice(f"{source}: {moved_text(moved)}")
    if document is not entries:
        return (_read_entry(document, source=source, base_folder=base_folder),)
    if not document:
        raise BadInputError(f"{source}: the list is empty", remedy=_REMEDY)
    return tuple(
        _read_entry(entry, source=f"{source}: entry {number}", base_folder=base_folder)
        for number, entry in enumerate(document, start=1)
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
    for key in _PATH_KEYS:
        keys[key]["description"] += " Relative to this file."
    keys[_SCHEMA_KEY] = {"description": "Where an editor finds this schema. Ignored."}
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


def read_flags(values: Mapping[str, object]) -> SweepConfig:
    """Return what the command line says; a flag that is None was not given.

    Raises:
        BadInputError: A flag cannot be used, and the message names it; or flags contradict each other.
    """
    given = {key: value for key, value in values.items() if value is not None}
    return check_config(given, source="", name_of=flag_name)


def read_arguments(values: Mapping[str, object], *, source: str) -> SweepConfig:
    """Return what the arguments of a call say, in Python's own values.

    Beside what a file can hold, paths, enums, `timedelta`, `range`, tuples, and arrays and numbers of NumPy are taken.
    Options of a backend may stand in its section or, as on the command line, at the top.

    Args:
        source: What was called; it starts every message.

    Raises:
        BadInputError: An unknown key, a wrong type or value, or keys that contradict each other.
    """
    try:
        plain = {key: _plain(value) for key, value in values.items()}
    except RecursionError as error:
        raise BadInputError(
            f"{source}: a value contains itself", remedy="give values as a file could hold them"
        ) from error
    config = check_config(in_sections(plain, source=source), source=source)
    # A record must be able to hold it: what comes from a file has passed this before.
    parse_json(json.dumps(config.model_dump()), source=source)
    return config


def load_header(values: Mapping[str, object]) -> SweepConfig:
    """Return a configuration as the header of a results file holds it, whichever version wrote that.

    Raises:
        BadInputError: This version does not know a key, or takes a value no more.
    """
    return check_config(in_sections(values, source=""), source="")


def merge_config(*layers: SweepConfig, source: str) -> SweepConfig:
    """Return the layers on top of each other: a key given by a later layer wins; sections key by key.

    What a later layer changes also outdates what depended on it: `iterations` over `duration`, another model over
    the weights of the first, another kind of input over a folder of images, another backend over simulated settings,
    another data set over the labels and the part of the first. A load that is named again keeps its options.

    Raises:
        BadInputError: Layers that are fine by themselves contradict each other; `source` starts the message.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        given = layer.model_dump(exclude_unset=True)
        outdated = {name for key in given if _changes(merged, given, key) for name in _outdated_by(key, merged)}
        kept = {key: value for key, value in merged.items() if key not in outdated}
        merged = {**_over(kept, given), **_merged_load(merged, given)}
    return check_config(merged, source=source)


def _plain(value: object) -> object:
    """Return a value of Python's as a configuration file holds it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)}us"
    if callable(tolist := getattr(value, "tolist", None)):  # NumPy's, which is not imported for it
        return tolist()
    if isinstance(value, list | tuple | range):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _read_entry(entry: object, *, source: str, base_folder: str) -> SweepConfig:
    if not isinstance(entry, dict):
        raise BadInputError(f"{source}: {shown(entry)} is not an object", remedy=_REMEDY)
    if is_task(entry):
        return convert_task(entry, source=source)
    values = in_sections({key: value for key, value in entry.items() if key != _SCHEMA_KEY}, source=source)
    return _from_folder(check_config(values, source=source), base_folder=base_folder)


def _from_folder(config: SweepConfig, *, base_folder: str) -> SweepConfig:
    paths = {key: getattr(config, key) for key in _PATH_KEYS}
    located = {key: str(PurePath(base_folder, path)) for key, path in paths.items() if path is not None}
    return config.model_copy(update=located)


def _changes(merged: Mapping[str, object], given: Mapping[str, object], key: str) -> bool:
    before = merged.get(key, getattr(SweepConfig(), key, None))
    return given[key] is not None and given[key] != before


def _outdated_by(key: str, merged: Collection[str]) -> Collection[str]:
    """Return the keys that mean nothing more once `key` has another value."""
    if key != "backend":
        return _OUTDATES.get(key, ())
    backends = (find_backend(name) for name in merged)
    return {one.name for one in backends if one is not None and one.is_simulated}


def _merged_load(merged: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    return {"load": merge_load(merged.get("load"), given["load"])} if "load" in given else {}


def _over(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    """Return both, the upper one's where both have a key; objects, such as `stop`, key by key."""
    both = dict(lower)
    for key, value in upper.items():
        before = {} if key in _WHOLE_KEYS else lower.get(key)
        both[key] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both


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
