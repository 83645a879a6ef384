"""Specification of a simulated device, from the options of its section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from asyncbench.sweep.backends.simulated import Distribution, FaultKind, SimulatedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTime:
    """Service time of an inference, once it has a slot.

    Attributes:
        median_ns: Of batch 1. Of a bimodal one: of its fast mode.
        per_item_ns: What each further item of the batch adds to the median.
        sigma: Lognormal only: standard deviation of the logarithm.
        spread_ratio: Uniform only: how far below and above the median, 0 to 1.
        slow_ratio: Bimodal only: the share of inferences that are slow.
        slow_factor: Bimodal only: how many medians a slow one takes.
    """

    kind: Distribution = Distribution.CONSTANT
    median_ns: int = 1_000_000
    per_item_ns: int = 0
    sigma: float = 0.25
    spread_ratio: float = 0.5
    slow_ratio: float = 0.05
    slow_factor: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, in every cell that the filters let through.

    Attributes:
        at: Number of the inference since the lanes of the cell were opened, over all lanes, from 0.
        batch: Only in cells of this batch; None for all.
        concurrency: Only in cells of so many lanes; None for all.
    """

    at: int
    kind: FaultKind
    batch: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSpec:
    """A simulated device.

    Attributes:
        slots: Inferences that really run at once; more of them wait in order of their issue.
        open_ns: What opening an engine takes: as long as a build, if it should look like one.
        memory_bytes: What the device has. `engine_bytes` of it are taken once, `lane_bytes` by every lane and
            `item_bytes` by every item of every lane's batch.
        wrong_outputs_from: Number of the inference, on the lane with the index `wrong_outputs_lane`, from which its
            outputs are wrong; None for never.
        drift_ratio: What each inference of a lane takes more than the one before it, as a share of the first.
        warmup_factor: How many times longer the first `warmup_inferences` of each lane take.
    """

    service: ServiceTime = field(default_factory=ServiceTime)
    slots: int = 4
    memory_bytes: int = 8 * 2**30
    open_ns: int = 0
    engine_bytes: int = 64 * 2**20
    lane_bytes: int = 16 * 2**20
    item_bytes: int = 4 * 2**20
    faults: tuple[Fault, ...] = ()
    wrong_outputs_from: int | None = None
    wrong_outputs_lane: int = 0
    drift_ratio: float = 0.0
    warmup_factor: float = 1.0
    warmup_inferences: int = 10
    seed: int = 0


def parse_simulated_spec(section: Mapping[str, object]) -> SimulatedSpec:
    """Return the device that a section of a configuration describes, such as `{"service": {"median": "2ms"}}`."""
    return spec_of(SimulatedOptions.model_validate(section))


def spec_of(options: SimulatedOptions, *, seed: int = 0) -> SimulatedSpec:
    """Return the device that the options describe; `seed` is the one of the sweep."""
    service = options.service
    return SimulatedSpec(
        service=ServiceTime(
            kind=service.kind,
            median_ns=service.median.ns,
            per_item_ns=service.per_item.ns,
            sigma=service.sigma,
            spread_ratio=service.spread,
            slow_ratio=service.slow_ratio,
            slow_factor=service.slow_factor,
        ),
        slots=options.slots,
        memory_bytes=options.memory.bytes,
        open_ns=options.open_time.ns,
        engine_bytes=options.engine_bytes.bytes,
        lane_bytes=options.lane_bytes.bytes,
        item_bytes=options.item_bytes.bytes,
        faults=tuple(
            Fault(at=one.at, kind=one.kind, batch=one.batch, concurrency=one.concurrency) for one in options.faults
        ),
        wrong_outputs_from=options.wrong_outputs_from,
        wrong_outputs_lane=options.wrong_outputs_lane,
        drift_ratio=options.drift,
        warmup_factor=options.warmup_factor,
        warmup_inferences=options.warmup_inferences,
        seed=seed if options.seed is None else options.seed,
    )
