"""Memory block of a cell's record, and the reasons that speak of memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from asyncbench.bench.cell.admitted_cell import Admitted, AdmittedCell
from asyncbench.errors import Fact
from asyncbench.memory.admission import lanes_text
from asyncbench.memory.available import LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.results.cell_parts import Memory, Reason
from asyncbench.results.status import ReasonCode
from asyncbench.units import format_duration, format_size

_Seen = TypeVar("_Seen")


def memory_block(ran: AdmittedCell) -> Memory:
    """Return what was predicted for the lanes that ran, what they took, and what the governor did."""
    need, available, seen = ran.admission.need, ran.admission.available, ran.seen
    return Memory(
        predicted_device_bytes=need.device_bytes,
        predicted_host_bytes=need.host_bytes,
        used_device_bytes=seen.used_device_bytes,
        used_host_bytes=seen.used_host_bytes,
        device_error_bytes=_difference(need.device_bytes, seen.used_device_bytes),
        host_error_bytes=_difference(need.host_bytes, seen.used_host_bytes),
        host_peak_bytes=seen.conditions.host_peak_bytes,
        budget_bytes=available.device_bytes,
        host_budget_bytes=available.host_bytes,
        resident_lanes=ran.admission.lanes,
        backpressure_ns=seen.withheld_ns,
        lane_changes=list(seen.lane_changes),
    )


def admitted_memory(ran: Admitted[_Seen]) -> Memory:
    """Return what was predicted for the lanes that ran, and what there was for them."""
    need, available = ran.admission.need, ran.admission.available
    return Memory(
        predicted_device_bytes=need.device_bytes,
        predicted_host_bytes=need.host_bytes,
        budget_bytes=available.device_bytes,
        host_budget_bytes=available.host_bytes,
        resident_lanes=ran.admission.lanes,
    )


def memory_reasons(ran: AdmittedCell, *, concurrency: int) -> Iterator[Reason]:
    """Return what a reader must know: that lanes were shared, refused, or withheld for a time."""
    yield from admission_reasons(ran, concurrency=concurrency)
    seen = ran.seen
    if seen.withheld_ns:
        least = min((change.lanes for change in seen.lane_changes), default=0)
        lowest_bytes = min((change.free_bytes for change in seen.lane_changes), default=0)
        text = (
            f"lanes were withheld for {format_duration(seen.withheld_ns)}, down to {least} of {seen.resident_lanes}: "
            f"{format_size(lowest_bytes)} of memory were left"
        )
        yield Reason(code=ReasonCode.MEMORY_PRESSURE, text=text)


def admission_reasons(ran: Admitted[_Seen], *, concurrency: int) -> Iterator[Reason]:
    """Return that lanes were shared, and which were refused."""
    admission = ran.admission
    if admission.lanes < concurrency:
        short = f": {admission.limited_by} memory is short" if admission.limited_by else ""
        text = f"{concurrency} workers took turns on {lanes_text(admission.lanes)}{short}"
        yield Reason(code=ReasonCode.BACKPRESSURE, text=text)
    for refusal in ran.refused:
        yield Reason(code=ReasonCode.MEMORY_REFUSED, text=refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starvation:
    """Reason and facts of a cell that was given up because all its lanes were withheld."""

    text: str
    facts: dict[str, Fact]


def starvation_of(ran: AdmittedCell) -> Starvation:
    """Return why a cell got no memory: what was free when its last lane went, and what a lane takes."""
    need, lanes, last = ran.admission.need, ran.admission.lanes, ran.seen.lane_changes[-1]
    by_memory = {LimitedBy.DEVICE: need.device_bytes, LimitedBy.HOST: need.host_bytes}
    lane_bytes = by_memory.get(LimitedBy(last.limited_by), need.device_bytes + need.host_bytes) // lanes
    text = (
        f"the memory of all lanes was taken away and did not come back: {format_size(last.free_bytes)} of "
        f"{last.limited_by} memory were left, a lane takes {format_size(lane_bytes)}"
    )
    facts: dict[str, Fact] = {
        "limited_by": last.limited_by,
        "requested_bytes": lane_bytes,
        "available_bytes": last.free_bytes,
    }
    return Starvation(text=text, facts=facts)


def predicted_memory(forecast: MemoryForecast, *, refusal: Mapping[str, Fact] | None = None) -> Memory:
    """Return the memory block of a cell that did not run: what was predicted for all its lanes.

    Args:
        refusal: The facts of an error, which may say what there was of the memory that was short.
    """
    facts = refusal or {}
    available_bytes = facts.get("available_bytes")
    known_bytes = available_bytes if isinstance(available_bytes, int) else None
    return Memory(
        predicted_device_bytes=forecast.device_bytes,
        predicted_host_bytes=forecast.host_bytes,
        budget_bytes=known_bytes if facts.get("limited_by") == LimitedBy.DEVICE else None,
        host_budget_bytes=known_bytes if facts.get("limited_by") == LimitedBy.HOST else None,
    )


def _difference(predicted_bytes: int, used_bytes: int | None) -> int | None:
    return None if used_bytes is None else predicted_bytes - used_bytes
