"""What a record says of the memory of a cell that ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from asyncbench.bench.cell.admitted_cell import Admitted, AdmittedCell
from asyncbench.errors import Fact
from asyncbench.memory.admission import lanes_text
from asyncbench.memory.available import LimitedBy
from asyncbench.results.cell_parts import LaneChange, Memory, Reason
from asyncbench.units import format_duration, format_size

_Seen = TypeVar("_Seen")


def memory_block(ran: AdmittedCell) -> Memory:
    """Return what was predicted for the lanes that ran, what they took, and what the governor did."""
    need, seen = ran.admission.need, ran.seen
    return admitted_memory(ran).model_copy(
        update={
            "used_device_bytes": seen.used_device_bytes,
            "used_host_bytes": seen.used_host_bytes,
            "device_error_bytes": _difference(need.device_bytes, seen.used_device_bytes),
            "host_error_bytes": _difference(need.host_bytes, seen.used_host_bytes),
            "host_peak_bytes": seen.host_peak_bytes,
            "backpressure_ns": seen.withheld_ns,
            "lane_changes": [
                LaneChange(
                    at_ns=change.at_ns - seen.opened_at_ns,
                    lanes=change.lanes,
                    limited_by=str(change.limited_by),
                    free_bytes=change.free_bytes,
                )
                for change in seen.lane_changes
            ],
        }
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
        yield Reason(code="memory_pressure", text=text)


def admission_reasons(ran: Admitted[_Seen], *, concurrency: int) -> Iterator[Reason]:
    """Return that lanes were shared, and which were refused."""
    admission = ran.admission
    if admission.lanes < concurrency:
        short = f": {admission.limited_by} memory is short" if admission.limited_by else ""
        text = f"{concurrency} workers took turns on {lanes_text(admission.lanes)}{short}"
        yield Reason(code="backpressure", text=text)
    for refusal in ran.refused:
        yield Reason(code="memory_refused", text=refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Starvation:
    """What is to be said of a cell that was given up because all its lanes were withheld."""

    text: str
    facts: dict[str, Fact]


def starvation_of(ran: AdmittedCell) -> Starvation:
    """Return why a cell got no memory: what was free when its last lane went, and what a lane takes."""
    need, lanes, last = ran.admission.need, ran.admission.lanes, ran.seen.lane_changes[-1]
    by_memory = {LimitedBy.DEVICE: need.device_bytes, LimitedBy.HOST: need.host_bytes}
    lane_bytes = by_memory.get(last.limited_by, need.device_bytes + need.host_bytes) // lanes
    text = (
        f"the memory of all lanes was taken away and did not come back: {format_size(last.free_bytes)} of "
        f"{last.limited_by} memory were left, a lane takes {format_size(lane_bytes)}"
    )
    facts: dict[str, Fact] = {
        "limited_by": str(last.limited_by),
        "requested_bytes": lane_bytes,
        "available_bytes": last.free_bytes,
    }
    return Starvation(text=text, facts=facts)


def refused_memory(memory: Memory, facts: Mapping[str, Fact]) -> Memory:
    """Return the memory block of a cell that was refused with what there was of the memory that was short."""
    limited_by, available_bytes = facts.get("limited_by"), facts.get("available_bytes")
    names = {LimitedBy.DEVICE: "budget_bytes", LimitedBy.HOST: "host_budget_bytes"}
    known = {name: available_bytes for limit, name in names.items() if limited_by == str(limit)}
    return memory.model_copy(update=known)


def _difference(predicted_bytes: int, used_bytes: int | None) -> int | None:
    return None if used_bytes is None else predicted_bytes - used_bytes
