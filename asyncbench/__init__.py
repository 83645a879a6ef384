"""asyncbench: how many inferences in flight, at which batch, does this device really take?"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers see of `_HOMES`; nothing of it is imported before it is asked for
    from asyncbench.api import Sweep, open_sweep, read, run
    from asyncbench.engine_api import OpenEngine, OpenLane, Outputs, open_engine
    from asyncbench.errors import AsyncbenchError, BadInputError
    from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
    from asyncbench.results.sweep_results import SweepResults
    from asyncbench.supervisor.running_sweep import RunningSweep

__all__ = [
    "AsyncbenchError",
    "BadInputError",
    "CellRecord",
    "HeaderRecord",
    "OpenEngine",
    "OpenLane",
    "Outputs",
    "RunningSweep",
    "Sweep",
    "SweepResults",
    "TrailerRecord",
    "__version__",
    "open_engine",
    "open_sweep",
    "read",
    "run",
]

__version__ = "0.1.0"

# The bench process and `--help` import this package, and pay for none of these.
_HOMES = {
    "Sweep": "api",
    "open_sweep": "api",
    "OpenEngine": "engine_api",
    "OpenLane": "engine_api",
    "Outputs": "engine_api",
    "open_engine": "engine_api",
    "read": "api",
    "run": "api",
    "AsyncbenchError": "errors",
    "BadInputError": "errors",
    "CellRecord": "results.record",
    "HeaderRecord": "results.record",
    "TrailerRecord": "results.record",
    "SweepResults": "results.sweep_results",
    "RunningSweep": "supervisor.running_sweep",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
