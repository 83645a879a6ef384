"""The service times of one simulated lane, drawn in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from asyncbench.backends.simulated.spec import ServiceTime, SimulatedSpec
from asyncbench.sweep.backends.simulated import Distribution

_BLOCK = 4096  # draws at once: numpy's cost per call is spread, and a lane keeps 32 KiB of them


def service_times_ns(spec: SimulatedSpec, *, batch: int, lanes: int, lane: int) -> Iterator[int]:
    """Yield the service times of a lane, for ever. The same spec, cell and lane give the same ones."""
    random = np.random.default_rng((spec.seed, batch, lanes, lane))
    median_ns = median_service_ns(spec.service, batch=batch)
    first = 0
    while True:
        numbers = np.arange(first, first + _BLOCK)
        factors = _draw_factors(spec.service, random) * (1.0 + spec.drift_ratio * numbers)
        factors[numbers < spec.warmup_inferences] *= spec.warmup_factor
        # Never 0: on a mocked clock, a loop of such inferences would never see time pass.
        yield from np.maximum(np.rint(median_ns * factors), 1).astype(np.int64).tolist()
        first += _BLOCK


def median_service_ns(service: ServiceTime, *, batch: int) -> int:
    """Return the median service time of a batch, undisturbed."""
    return service.median_ns + service.per_item_ns * (batch - 1)


def _draw_factors(service: ServiceTime, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a block of multiples of the median: of median 1, but for the bimodal one, whose fast mode is 1."""
    if service.kind is Distribution.LOGNORMAL:
        return random.lognormal(mean=0.0, sigma=service.sigma, size=_BLOCK)
    if service.kind is Distribution.EXPONENTIAL:
        return random.exponential(scale=1.0 / np.log(2.0), size=_BLOCK)
    if service.kind is Distribution.UNIFORM:
        return random.uniform(1.0 - service.spread_ratio, 1.0 + service.spread_ratio, size=_BLOCK)
    if service.kind is Distribution.BIMODAL:
        return np.where(random.random(_BLOCK) < service.slow_ratio, service.slow_factor, 1.0)
    return np.ones(_BLOCK)
