"""Registry of loads: the built-in ones, and those that other installed packages offer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from asyncbench.added_packages import check_unambiguous, load_entry_point, package_of
from asyncbench.bench.load.closed_loop import CLOSED_LOOP
from asyncbench.bench.load.generator import ChosenLoad, LoadDescriptor, NoOptions
from asyncbench.errors import BadInputError, named_line
from asyncbench.sweep.load import CLOSED, LoadConfig
from asyncbench.sweep.problems import bad_input, did_you_mean, quoted_key, shown

ENTRY_POINT_GROUP = "asyncbench.loads"
"""Each entry point names a `LoadDescriptor`; its own name is the load's."""

BUILT_IN: dict[str, LoadDescriptor[Any]] = {CLOSED: CLOSED_LOOP}

CLOSED_LOAD = ChosenLoad(name=CLOSED, descriptor=CLOSED_LOOP, options=NoOptions())
"""The load of a sweep that asks for no other."""


def choose_load(config: LoadConfig, *, seed: int) -> ChosenLoad:
    """Return the load that a configuration asks for. Reads files where it is not built in: call it in a thread.

    Raises:
        BadInputError: There is no such load, it cannot be loaded, or it does not take these options.
    """
    descriptor = BUILT_IN.get(config.kind) or _installed(config.kind)
    try:
        options = descriptor.options.model_validate(config.options)
    except ValidationError as error:
        raise bad_input(
            error,
            source=f"load {config.kind}",
            model=descriptor.options,
            name_of=lambda path: quoted_key(("load", *path)),
        ) from error
    return ChosenLoad(name=config.kind, descriptor=descriptor, options=options, seed=seed)


def _installed(name: str) -> LoadDescriptor[Any]:
    """Return the load of another package.

    Raises:
        BadInputError: There is none of that name, or it cannot be loaded.
    """
    offered = _entry_points()
    found = [each for each in offered if each.name == name]
    if not found:
        raise _unknown(name, offered)
    check_unambiguous(found, f"load {shown(name)} is offered by")
    return _load(found[0])


def _entry_points() -> Sequence[EntryPoint]:
    try:
        return tuple(entry_points(group=ENTRY_POINT_GROUP))
    except Exception as error:  # what others wrote into the metadata of their packages may be anything
        raise BadInputError(
            f"the installed packages cannot be searched for loads: {named_line(error)}",
            remedy="mend or uninstall the one whose metadata are damaged",
        ) from error


def _load(entry_point: EntryPoint) -> LoadDescriptor[Any]:
    where = f"load {shown(entry_point.name)} of {package_of(entry_point)} ({entry_point.value})"
    remedy = f"mend it, or choose --load {' or '.join(BUILT_IN)}"
    loaded = load_entry_point(entry_point, where=where, remedy=remedy)
    if not isinstance(loaded, LoadDescriptor):
        raise BadInputError(f"{where} is of type {type(loaded).__name__}, and no LoadDescriptor", remedy=remedy)
    return loaded


def _unknown(name: str, offered: Sequence[EntryPoint]) -> BadInputError:
    names = [*BUILT_IN, *sorted({each.name for each in offered} - BUILT_IN.keys())]
    return BadInputError(
        f"there is no load {shown(name)}", remedy=f"{did_you_mean(name, names)}choose {', '.join(names)}"
    )
