"""What a simulated device is told to be, and how that is written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from asyncbench.errors import BadInputError
from asyncbench.text_enum import TextEnum
from asyncbench.units import parse_duration_ns, parse_size_bytes

_ClosedSet = TypeVar("_ClosedSet", bound=TextEnum)
_Fields = Mapping[str, tuple[str, Callable[[str, object], object]]]


class Distribution(TextEnum):
    """How the service times of inferences of one batch are spread."""

    CONSTANT = "constant"
    LOGNORMAL = "lognormal"
    EXPONENTIAL = "exponential"
    UNIFORM = "uniform"
    BIMODAL = "bimodal"


class FaultKind(TextEnum):
    """What goes wrong: the lane, for ever on that lane, the process by a signal or by itself, the whole device."""

    ERROR = "error"
    HANG = "hang"
    KILL = "kill"
    EXIT = "exit"
    STICKY = "sticky"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTime:
    """How long an inference takes once it has a slot.

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


def parse_simulated_spec(mapping: Mapping[str, object]) -> SimulatedSpec:
    """Return the device that a configuration describes; a key that is left out has its default.

    Durations and sizes are text with a unit: `{"service": {"kind": "lognormal", "median": "2ms"}, "memory": "1GiB"}`.

    Raises:
        BadInputError: A key is unknown, or its value of the wrong type or out of range.
    """
    return SimulatedSpec(**_parse_fields("simulated", mapping, _device_fields()))


def _device_fields() -> _Fields:
    return {
        "service": ("service", _service),
        "slots": ("slots", partial(_integer, least=1)),
        "memory": ("memory_bytes", _size_bytes),
        "open_time": ("open_ns", _duration_ns),
        "engine_bytes": ("engine_bytes", _size_bytes),
        "lane_bytes": ("lane_bytes", _size_bytes),
        "item_bytes": ("item_bytes", _size_bytes),
        "faults": ("faults", _faults),
        "wrong_outputs_from": ("wrong_outputs_from", _integer),
        "wrong_outputs_lane": ("wrong_outputs_lane", _integer),
        "drift": ("drift_ratio", _number),
        "warmup_factor": ("warmup_factor", _number),
        "warmup_inferences": ("warmup_inferences", _integer),
        "seed": ("seed", _integer),
    }


def _service(where: str, value: object) -> ServiceTime:
    fields: _Fields = {
        "kind": ("kind", partial(_member, closed_set=Distribution)),
        "median": ("median_ns", _duration_ns),
        "per_item": ("per_item_ns", _duration_ns),
        "sigma": ("sigma", _number),
        "spread": ("spread_ratio", partial(_number, most=1.0)),
        "slow_ratio": ("slow_ratio", partial(_number, most=1.0)),
        "slow_factor": ("slow_factor", _number),
    }
    return ServiceTime(**_parse_fields(where, value, fields))


def _faults(where: str, value: object) -> tuple[Fault, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(where, value, "a list of faults")
    return tuple(_fault(f"{where}[{position}]", fault) for position, fault in enumerate(value))


def _fault(where: str, value: object) -> Fault:
    fields: _Fields = {
        "at": ("at", _integer),
        "kind": ("kind", partial(_member, closed_set=FaultKind)),
        "batch": ("batch", partial(_integer, least=1)),
        "concurrency": ("concurrency", partial(_integer, least=1)),
    }
    parsed = _parse_fields(where, value, fields)
    if not {"at", "kind"} <= parsed.keys():
        raise BadInputError(f"{where}: a fault needs 'at' and 'kind'", remedy="add the one that is missing")
    return Fault(**parsed)


def _parse_fields(where: str, value: object, fields: _Fields) -> dict[str, Any]:
    """Return the keyword arguments of a dataclass; each field says which one it fills and how its value is read."""
    if not isinstance(value, Mapping):
        raise _wrong(where, value, "an object")
    for key in value:
        if key not in fields:
            raise BadInputError(f"{where}: unknown key {key!r}", remedy=f"use one of {', '.join(fields)}")
    return {name: parse(f"{where}.{key}", value[key]) for key, (name, parse) in fields.items() if key in value}


def _integer(where: str, value: object, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(where, value, f"an integer of at least {least}")
    return value


def _number(where: str, value: object, *, most: float = 1e6) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise _wrong(where, value, f"a number from 0 to {most:g}")
    return float(value)


def _duration_ns(where: str, value: object) -> int:
    if not isinstance(value, str):
        raise _wrong(where, value, "a duration as text, such as '2ms'")
    return parse_duration_ns(value)


def _size_bytes(where: str, value: object) -> int:
    if not isinstance(value, str):
        raise _wrong(where, value, "a size as text, such as '64MiB'")
    return parse_size_bytes(value)


def _member(where: str, value: object, *, closed_set: type[_ClosedSet]) -> _ClosedSet:
    values = [member.value for member in closed_set]
    if value not in values:
        raise _wrong(where, value, f"one of {', '.join(values)}")
    return closed_set(value)


def _wrong(where: str, value: object, wanted: str) -> BadInputError:
    return BadInputError(f"{where}: {value!r} is not {wanted}", remedy="correct it in the configuration")
