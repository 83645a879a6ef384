"""Admission of cells: the memory they may take, corrected by what earlier cells really took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncbench.backends.base import Engine, EngineMemory
from asyncbench.bench.input_supply import InputSupply
from asyncbench.errors import DoesNotFitError
from asyncbench.memory.admission import Admission, admit
from asyncbench.memory.available import Available, LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.forecast_correction import ForecastCorrection
from asyncbench.memory.host.probe import HostReading
from asyncbench.sweep.config import OnPressure, SweepConfig

# What stays free unless the user says otherwise. The cap is a guess at what a desktop, a driver or another service
# takes in the time of one reading.
RESERVE_RATIO = 0.05
RESERVE_CAP_BYTES = 512 << 20

ReadHost = Callable[[], HostReading]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPolicy:
    """The user's limits on memory.

    Attributes:
        device_budget_bytes: For engine and lanes; None for as much as there is.
        host_budget_bytes: For lanes; None as above.
        reserve_bytes: What stays free of each memory; None for 5 % of it, at most 512 MiB.
        share_lanes: Whether a cell may run on fewer lanes than its concurrency.
    """

    device_budget_bytes: int | None = None
    host_budget_bytes: int | None = None
    reserve_bytes: int | None = None
    share_lanes: bool = True

    def remedies(self) -> dict[LimitedBy, tuple[str, ...]]:
        """Return what can be changed of this for more of each memory."""
        device = () if self.device_budget_bytes is None else ("raise --memory-budget",)
        host = () if self.host_budget_bytes is None else ("raise --host-memory-budget",)
        reserve = () if self.reserve_bytes is None else ("lower --memory-reserve",)
        return {
            LimitedBy.DEVICE: (*device, *reserve),
            LimitedBy.HOST: (*host, *reserve),
            LimitedBy.POOL: (*device, *host, *reserve),
        }


def memory_policy_of(config: SweepConfig) -> MemoryPolicy:
    """Return the limits that a sweep's configuration sets."""
    return MemoryPolicy(
        device_budget_bytes=config.memory_budget_bytes,
        host_budget_bytes=config.host_memory_budget_bytes,
        reserve_bytes=config.memory_reserve_bytes,
        share_lanes=config.on_pressure is OnPressure.BACKPRESSURE,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """One memory at one instant.

    Attributes:
        free_bytes: What could be taken by anybody now.
        reserve_bytes: What of it is to stay.
    """

    limited_by: LimitedBy
    free_bytes: int
    reserve_bytes: int


class AdmissionController:
    """Admission of cells, which learns from each of them. One per open engine; on the Trio thread only.

    Args:
        batches: Every batch of the sweep.
        read_host: Some 50 µs of reading /proc, on the Trio thread: a hop to another thread would cost more.
        inputs: What all lanes of a cell are fed with, in host memory.
    """

    def __init__(
        self,
        engine: Engine,
        policy: MemoryPolicy,
        *,
        batches: Sequence[int],
        read_host: ReadHost,
        inputs: InputSupply | None = None,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._batches = batches
        self._read_host = read_host
        self._correction = ForecastCorrection()
        self._inputs = inputs
        host = read_host()
        self._host_reserve_bytes = self._reserve_bytes(host.limit_bytes or host.available_bytes)

    @property
    def shares_lanes(self) -> bool:
        """True where a cell may run on fewer lanes than its concurrency."""
        return self._policy.share_lanes

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict what lanes and their inputs take, by the engine's own forecast and what it missed so far."""
        own = self._correction.corrected(self._engine.forecast(batch=batch, lanes=lanes), lanes=lanes)
        return MemoryForecast(device_bytes=own.device_bytes, host_bytes=own.host_bytes + self.inputs_bytes(batch=batch))

    def inputs_bytes(self, *, batch: int) -> int:
        """Return what of a forecast the inputs are, which all lanes of a cell share."""
        return 0 if self._inputs is None else self._inputs.needed_bytes(batch)

    def lane_need(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Return what the last of so many lanes takes beside the others: what is taken once is not in it."""
        whole = self.forecast(batch=batch, lanes=lanes)
        if lanes == 1:
            return self._engine.forecast(batch=batch, lanes=1)
        without = self.forecast(batch=batch, lanes=lanes - 1)
        return MemoryForecast(
            device_bytes=whole.device_bytes - without.device_bytes, host_bytes=whole.host_bytes - without.host_bytes
        )

    async def available(self) -> Available:
        """Return what lanes and inputs may take now, those included that are kept and would be used again or freed."""
        memory, host = await self._engine.read_memory(), self._read_host()
        kept_bytes = memory.kept_bytes if memory.shared_with_host else 0
        kept_bytes += 0 if self._inputs is None else self._inputs.held_bytes
        left_bytes = host.available_bytes + kept_bytes - self._host_reserve_bytes
        host_bytes = _smallest(self._policy.host_budget_bytes, left_bytes)
        return Available(
            device_bytes=self._device_bytes(memory),
            host_bytes=None if host_bytes is None else max(0, host_bytes),
            shared_pool=memory.shared_with_host,
            remedies=self._policy.remedies(),
        )

    async def admit(self, *, batch: int, concurrency: int) -> Admission:
        """Return how many lanes a cell may have.

        Raises:
            DoesNotFitError: Not one, or not all where lanes may not be shared.
        """
        return admit(
            lambda batch, lanes: self.forecast(batch=batch, lanes=lanes),
            batch=batch,
            concurrency=concurrency,
            batches=self._batches,
            available=await self.available(),
            share_lanes=self._policy.share_lanes,
        )

    async def headrooms(self) -> list[Headroom]:
        """Read every memory that the lanes take something of."""
        memory, host = await self._engine.read_memory(), self._read_host()
        found = [
            Headroom(
                limited_by=LimitedBy.POOL if memory.shared_with_host else LimitedBy.HOST,
                free_bytes=host.available_bytes,
                reserve_bytes=self._host_reserve_bytes,
            )
        ]
        if memory.free_bytes is not None and not memory.shared_with_host:
            reserve_bytes = self._reserve_bytes(memory.total_bytes or memory.free_bytes)
            found.append(
                Headroom(limited_by=LimitedBy.DEVICE, free_bytes=memory.free_bytes, reserve_bytes=reserve_bytes)
            )
        return found

    def learn(self, *, batch: int, lanes: int, used: MemoryForecast) -> None:
        """Take what the lanes of a cell really took.

        The host's figure is a peak over what libraries do meanwhile: it may raise a prediction, and never lower it.
        """
        raw = self._engine.forecast(batch=batch, lanes=lanes)
        host_bytes = max(used.host_bytes - self.inputs_bytes(batch=batch), raw.host_bytes)
        self._correction.learn(raw, MemoryForecast(device_bytes=used.device_bytes, host_bytes=host_bytes), lanes=lanes)

    async def learn_refusal(self, error: DoesNotFitError, *, batch: int, lanes: int) -> None:
        """Take that memory was refused to lanes that had been admitted; what is kept of them is freed.

        Of a lane alone nothing is learned: a bound that keeps all further cells from running would never fade.
        """
        available, memory = await self.available(), await self._engine.read_memory()
        await self._engine.free_lanes()
        error.facts["lanes_refused"] = lanes
        raw = self._engine.forecast(batch=batch, lanes=lanes)
        limited_by, available_bytes = _refused(available, raw)
        if lanes > 1 and available_bytes is not None:
            # Who has refused may have had less than there is by now: somebody else held it for a moment.
            left_bytes = error.facts.get("available_bytes")
            if isinstance(left_bytes, int):
                available_bytes = min(available_bytes, left_bytes + memory.kept_bytes)
            self._correction.learn_refusal(raw, lanes=lanes, limited_by=limited_by, available_bytes=available_bytes)

    def _device_bytes(self, memory: EngineMemory) -> int | None:
        if memory.free_bytes is None:
            return None
        reserve_bytes = self._reserve_bytes(memory.total_bytes or memory.free_bytes)
        left_bytes = memory.free_bytes + memory.kept_bytes - reserve_bytes
        budget_bytes = self._policy.device_budget_bytes
        if budget_bytes is not None:
            left_bytes = min(left_bytes, budget_bytes - memory.engine_bytes)
        return max(0, left_bytes)

    def _reserve_bytes(self, total_bytes: int) -> int:
        if self._policy.reserve_bytes is not None:
            return self._policy.reserve_bytes
        return min(int(total_bytes * RESERVE_RATIO), RESERVE_CAP_BYTES)


def _refused(available: Available, raw: MemoryForecast) -> tuple[LimitedBy, int | None]:
    """Return which memory it will have been that was refused, and what there is of it."""
    if available.shared_pool:
        return LimitedBy.POOL, _smallest(available.device_bytes, available.host_bytes)
    if available.device_bytes is None or raw.device_bytes == 0:
        return LimitedBy.HOST, available.host_bytes
    return LimitedBy.DEVICE, available.device_bytes


def _smallest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
