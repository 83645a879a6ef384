"""The backends that there are: ours, and those that installed packages add as entry points of `asyncbench.backends`.

The name of an entry point is the backend's, and its value an import string of a `BackendDescriptor`. It is loaded only
where a sweep names that backend: a broken package costs nobody else's sweep.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from asyncbench.added_packages import check_unambiguous, load_entry_point, package_of
from asyncbench.errors import BadInputError
from asyncbench.sweep.backends.descriptor import BackendDescriptor
from asyncbench.sweep.backends.onnxruntime import ONNXRUNTIME
from asyncbench.sweep.backends.simulated import SIMULATED
from asyncbench.sweep.backends.tensorrt import TENSORRT
from asyncbench.sweep.cell import Precision

AUTO_BACKEND = "auto"
"""The best backend that the machine has; no name of one."""
ENTRY_POINT_GROUP = "asyncbench.backends"

BUILT_IN = {one.name: one for one in (ONNXRUNTIME, TENSORRT, SIMULATED)}
# In the order in which they are asked. Never one of another package: installing it must not change what is measured.
AUTOMATIC = (TENSORRT, ONNXRUNTIME)
REFERENCE = next(one for one in AUTOMATIC if Precision.FP32 in one.reference_precisions)
"""The backend that the outputs of others are held to."""


def added_names() -> tuple[str, ...]:
    """Return the names of the backends that installed packages add, sorted. Loads none of them."""
    names = {found.name for found in entry_points(group=ENTRY_POINT_GROUP)}
    return tuple(sorted(names - BUILT_IN.keys() - {AUTO_BACKEND}))


def find_backend(name: str) -> BackendDescriptor | None:
    """Return the description of a backend, None where there is no such backend.

    Raises:
        BadInputError: A package adds it, and its entry point cannot be used.
    """
    if name in BUILT_IN or name == AUTO_BACKEND:
        return BUILT_IN.get(name)
    found = tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))
    check_unambiguous(found, f"backend {name} is added by")
    return _load(found[0]) if found else None


def need_backend(name: str) -> BackendDescriptor:
    """Return the description of a backend.

    Raises:
        BadInputError: There is no such backend, or its entry point cannot be used.
    """
    found = find_backend(name)
    if found is None:
        raise unknown_backend(name)
    return found


def unknown_backend(name: str) -> BadInputError:
    """Return the error of a name that no backend has, with those that there are."""
    *others, last = (AUTO_BACKEND, *BUILT_IN, *added_names())
    return BadInputError(f"there is no backend {name!r}", remedy=f"choose {', '.join(others)} or {last}")


def _load(entry_point: EntryPoint) -> BackendDescriptor:
    where = f"backend {entry_point.name}: the entry point {entry_point.value!r} of {package_of(entry_point)}"
    remedy = f"repair or remove that package, or choose one of {', '.join(BUILT_IN)}"
    loaded = load_entry_point(entry_point, where=where, remedy=remedy)
    if not isinstance(loaded, BackendDescriptor):
        raise BadInputError(f"{where} is no BackendDescriptor but {type(loaded).__name__}", remedy=remedy)
    if loaded.name != entry_point.name:
        raise BadInputError(f"{where} describes a backend with another name, {loaded.name!r}", remedy=remedy)
    return loaded
