"""Ready-made parts for tests of backends, loads, probes and cells, ours and those of other packages.

Nothing in asyncbench imports this package, and it needs no test framework. A simulated engine runs on Trio's clock: on
`trio.testing.MockClock` hours of inferences take no time, and every figure is exact:

    async with simulated_engine(service={"median": "4ms"}, slots=2) as engine:
        record = await CellBench(engine, cell_policy(iterations=100)).record(4)

A load is tried on simulated lanes, with what it records kept by `SeenCompletions`; a cell under it with
`cell_policy(load=…)`. A backend of another package opens its engine for an `engine_request`, of a file such as
`write_network` makes, and `CellBench` measures cells on it. `cell_record` and `header_record` are for whatever reads
results. What a package offers by entry points is found where `write_distribution` has laid it on the path.
"""

from asyncbench.testing.cells import CellBench, cell_policy
from asyncbench.testing.completions import SeenCompletions
from asyncbench.testing.distributions import write_distribution
from asyncbench.testing.engines import (
    engine_request,
    ones_for,
    open_lane_bytes,
    run_on_mock_clock,
    simulated_engine,
    simulated_lanes,
)
from asyncbench.testing.memory import MemoryHog, ScriptedHeadrooms, host_reading
from asyncbench.testing.networks import write_network
from asyncbench.testing.records import cell_record, header_record

__all__ = [
    "engine_request",
    "simulated_engine",
    "simulated_lanes",
    "ones_for",
    "open_lane_bytes",
    "run_on_mock_clock",
    "CellBench",
    "cell_policy",
    "SeenCompletions",
    "MemoryHog",
    "ScriptedHeadrooms",
    "host_reading",
    "cell_record",
    "header_record",
    "write_network",
    "write_distribution",
]
