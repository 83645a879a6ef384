"""Correction of a backend's own forecast of memory, learned from cell to cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from asyncbench.memory.available import LimitedBy
from asyncbench.memory.forecast import MemoryForecast

_LANE_STIFFNESS = 10.0  # guess: what is missed at first is mostly loaded once (modules, handles), not once a lane


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadPrior:
    """Prior belief about the overhead in one memory, and how fast it gives way to readings.

    Attributes:
        fixed_bytes: What is missed once, however many lanes; not negative.
        per_lane_bytes: What is missed for each lane; not negative.
        weight: How many readings the belief so far is worth when one comes, > 0. Small where readings are exact.
        keep_ratio: What is left of a reading's weight when the next one comes, from 0 to below 1: 0.5 has forgotten
            94 % after four cells, 0.75 averages over four.
    """

    fixed_bytes: int = 0
    per_lane_bytes: int = 0
    weight: float
    keep_ratio: float


# Guesses. Device readings are exact up to pages of 2 MiB; the host's move by what Python and libraries do meanwhile.
DEVICE_PRIOR = OverheadPrior(weight=0.002, keep_ratio=0.5)
HOST_PRIOR = OverheadPrior(weight=0.1, keep_ratio=0.75)


class ForecastCorrection:
    """Correction of forecasts by what they missed: rounding of allocators, CUDA graphs, the memory of the context.

    For each memory, `missed = fixed + per_lane x lanes`. Both numbers minimise a sum of squares over all cells seen:
    of the distance of `used - raw` from that line, each cell's weight times `keep_ratio` for each cell since, and of
    the distance from the numbers so far, at first the prior. So one cell is enough to be right about cells like it,
    two with different numbers of lanes separate the two numbers, and a change is followed as old cells fade. The pull
    towards the numbers so far damps noise and leaves no bias behind. Where a number of lanes was not seen for long,
    the line still goes by what was seen then. Five sums are kept, no cells.

    `per_lane` is not allowed below zero (the best line that obeys it is level), so that a corrected forecast never
    falls when lanes rise, if the raw one does not.

    The line is not followed below the least share of its raw forecast that any cell took, all of it until one took
    less. Raw is no bound itself: it may round up, or guess. But one reading that was far too high among good ones tilts
    the line, and would have fewer lanes take next to nothing.

    A refusal is a bound, not a reading: it becomes a surcharge per lane, just large enough, that fades by `keep_ratio`
    with each cell that ran, because who refused may have been short for another reason.

    Source: ridge regression with exponential forgetting, e.g. Haykin, "Adaptive Filter Theory", chapter on RLS.
    """

    def __init__(self, *, device: OverheadPrior = DEVICE_PRIOR, host: OverheadPrior = HOST_PRIOR) -> None:
        self._device = _Overhead(device)
        self._host = _Overhead(host)

    def corrected(self, raw: MemoryForecast, *, lanes: int) -> MemoryForecast:
        """Return what `lanes` lanes will really take, by what was learned; never negative."""
        return MemoryForecast(
            device_bytes=self._device.corrected_bytes(raw.device_bytes, lanes),
            host_bytes=self._host.corrected_bytes(raw.host_bytes, lanes),
        )

    def learn(self, raw: MemoryForecast, used: MemoryForecast, *, lanes: int) -> None:
        """Take what a cell with `lanes` resident lanes really took, against the backend's own forecast of it."""
        self._device.learn(raw.device_bytes, used.device_bytes, lanes)
        self._host.learn(raw.host_bytes, used.host_bytes, lanes)

    def learn_refusal(self, raw: MemoryForecast, *, lanes: int, limited_by: LimitedBy, available_bytes: int) -> None:
        """Take that memory was refused: from now on `lanes` such lanes do not fit into `available_bytes` of it.

        Args:
            available_bytes: What there was of the memory that refused; of a pool, for device and host together.
        """
        if limited_by is LimitedBy.HOST:
            self._host.learn_at_least(raw.host_bytes, available_bytes + 1, lanes)
            return
        elsewhere_bytes = self.corrected(raw, lanes=lanes).host_bytes if limited_by is LimitedBy.POOL else 0
        self._device.learn_at_least(raw.device_bytes, available_bytes + 1 - elsewhere_bytes, lanes)


class _Overhead:
    """Overhead in one memory that the forecast misses: the sums of the regression, and the line through them."""

    def __init__(self, prior: OverheadPrior) -> None:
        self._prior = prior
        self._weight = self._lanes = self._lanes_squared = 0.0
        self._missed = self._missed_lanes = 0.0
        self._fixed_bytes, self._per_lane_bytes = float(prior.fixed_bytes), float(prior.per_lane_bytes)
        self._surcharge_bytes = 0  # per lane
        self._min_ratio = 1.0  # of what was used to what was forecast, over all cells

    def corrected_bytes(self, raw_bytes: int, lanes: int) -> int:
        line_bytes = raw_bytes + ceil(self._fixed_bytes + self._per_lane_bytes * lanes)
        return max(line_bytes, ceil(raw_bytes * self._min_ratio)) + self._surcharge_bytes * lanes

    def learn_at_least(self, raw_bytes: int, used_bytes: int, lanes: int) -> None:
        short_bytes = used_bytes - self.corrected_bytes(raw_bytes, lanes)
        self._surcharge_bytes += max(0, -(-short_bytes // lanes))

    def learn(self, raw_bytes: int, used_bytes: int, lanes: int) -> None:
        if used_bytes < raw_bytes:
            self._min_ratio = min(self._min_ratio, used_bytes / raw_bytes)
        missed_bytes = used_bytes - raw_bytes
        keep = self._prior.keep_ratio
        self._weight = self._weight * keep + 1
        self._lanes = self._lanes * keep + lanes
        self._lanes_squared = self._lanes_squared * keep + lanes * lanes
        self._missed = self._missed * keep + missed_bytes
        self._missed_lanes = self._missed_lanes * keep + missed_bytes * lanes
        self._surcharge_bytes = int(self._surcharge_bytes * keep)
        self._solve()

    def _solve(self) -> None:
        """Solve the two normal equations; the pull towards the line so far keeps them solvable."""
        pull_fixed, pull_per_lane = self._prior.weight, self._prior.weight * _LANE_STIFFNESS
        weight, lanes_squared = self._weight + pull_fixed, self._lanes_squared + pull_per_lane
        missed = self._missed + pull_fixed * self._fixed_bytes
        missed_lanes = self._missed_lanes + pull_per_lane * self._per_lane_bytes
        determinant = weight * lanes_squared - self._lanes * self._lanes
        self._per_lane_bytes = max(0.0, (weight * missed_lanes - self._lanes * missed) / determinant)
        self._fixed_bytes = (missed - self._per_lane_bytes * self._lanes) / weight
