"""Configurations from the text of a JSON file and from flags, and several of them on top of each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from asyncbench.errors import BadInputError
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.json_text import parse_json
from asyncbench.sweep.load import merge_load
from asyncbench.sweep.problems import flag_name, shown
from asyncbench.sweep.tasks import convert_task, is_task

_PATH_KEYS = ("model_file", "images", "dataset", "truth", "calibration")
_SCHEMA_KEY = "$schema"  # editors find the published schema by it
_REMEDY = "write an object, or a list of objects; `asyncbench schema config` says of what"

# A layer that changes the key on the left makes what lower layers said about the right one meaningless.
_OUTDATES = {
    "duration": {"iterations"},
    "iterations": {"duration"},
    "model": {"model_file"},
    "input": {"images"},
    "images": {"input"},
    "backend": {"simulated"},
    "dataset": {"truth", "subset"},
}


def load_config(text: str, *, source: str, base_folder: str) -> tuple[SweepConfig, ...]:
    """Return the sweeps of a configuration file: one object, or a list of sweeps or of the predecessor's tasks.

    Args:
        text: What the file holds.
        source: The name of the file; it starts every message.
        base_folder: The folder of the file: relative paths inside it start there.

    Raises:
        BadInputError: The text is not JSON, or holds something else than sweeps and tasks.
    """
    document = parse_json(text, source=source)
    if not isinstance(document, list):
        return (_read_entry(document, source=source, base_folder=base_folder),)
    if not document:
        raise BadInputError(f"{source}: the list is empty", remedy=_REMEDY)
    return tuple(
        _read_entry(entry, source=f"{source}: entry {number}", base_folder=base_folder)
        for number, entry in enumerate(document, start=1)
    )


def read_flags(values: Mapping[str, object]) -> SweepConfig:
    """Return what the command line says; a flag that is None was not given.

    Raises:
        BadInputError: A flag cannot be used, and the message names it; or flags contradict each other.
    """
    given = {key: value for key, value in values.items() if value is not None}
    return check_config(given, source="", name_of=flag_name)


def merge_config(*layers: SweepConfig, source: str) -> SweepConfig:
    """Return the layers on top of each other: a key given by a later layer wins, `stop` key by key.

    What a later layer changes also outdates what depended on it: `iterations` over `duration`, another model over
    the weights of the first, another kind of input over a folder of images, another backend over simulated settings,
    another data set over the labels and the part of the first. A load that is named again keeps its options.

    Raises:
        BadInputError: Layers that are fine by themselves contradict each other; `source` starts the message.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        given = layer.model_dump(exclude_unset=True)
        changed = (key for key in given if key in _OUTDATES and _changes(merged, given, key))
        outdated = {name for key in changed for name in _OUTDATES[key]}
        kept = {key: value for key, value in merged.items() if key not in outdated}
        merged = {**kept, **given, **_merged_stop(merged, given), **_merged_load(merged, given)}
    return check_config(merged, source=source)


def _read_entry(entry: object, *, source: str, base_folder: str) -> SweepConfig:
    if not isinstance(entry, dict):
        raise BadInputError(f"{source}: {shown(entry)} is not an object", remedy=_REMEDY)
    if is_task(entry):
        return convert_task(entry, source=source)
    values = {key: value for key, value in entry.items() if key != _SCHEMA_KEY}
    return _from_folder(check_config(values, source=source), base_folder=base_folder)


def _from_folder(config: SweepConfig, *, base_folder: str) -> SweepConfig:
    paths = {key: getattr(config, key) for key in _PATH_KEYS}
    located = {key: str(PurePath(base_folder, path)) for key, path in paths.items() if path is not None}
    return config.model_copy(update=located)


def _changes(merged: Mapping[str, object], given: Mapping[str, object], key: str) -> bool:
    before = merged.get(key, getattr(SweepConfig(), key))
    return given[key] is not None and given[key] != before


def _merged_stop(merged: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    stop = _stop_of(merged) | _stop_of(given)
    return {"stop": stop} if stop else {}


def _merged_load(merged: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    return {"load": merge_load(merged.get("load"), given["load"])} if "load" in given else {}


def _stop_of(layer: Mapping[str, object]) -> dict[str, object]:
    stop = layer.get("stop", {})
    return stop if isinstance(stop, dict) else {}
