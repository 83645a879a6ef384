"""Configurations from the text of a JSON file and from flags, and several of them on top of each other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import PurePath

from asyncbench.errors import BadInputError
from asyncbench.sweep.backend_options import option_flag
from asyncbench.sweep.backends.registry import find_backend
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.json_text import parse_json
from asyncbench.sweep.moved_keys import in_sections, moved_keys, moved_text
from asyncbench.sweep.problems import shown
from asyncbench.sweep.tasks import convert_task, is_task

_PATH_KEYS = ("model_file", "images", "dataset", "truth", "calibration")
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
    if moved := moved_keys(document):
        notice(f"{source}: {moved_text(moved)}")
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
    return check_config(in_sections(given, source=""), source="", name_of=option_flag)


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
    another data set over the labels and the part of the first.

    Raises:
        BadInputError: Layers that are fine by themselves contradict each other; `source` starts the message.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        given = layer.model_dump(exclude_unset=True)
        outdated = {name for key in given if _changes(merged, given, key) for name in _outdated_by(key, merged)}
        kept = {key: value for key, value in merged.items() if key not in outdated}
        merged = _over(kept, given)
    return check_config(merged, source=source)


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


def _over(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    """Return both, the upper one's where both have a key; objects, such as `stop`, key by key."""
    both = dict(lower)
    for key, value in upper.items():
        before = {} if key in _WHOLE_KEYS else lower.get(key)
        both[key] = _over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return both
