"""What a record says of the memory of a cell that ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from asyncbench.results.cell_parts import LaneChange, Memory, Reason
from asyncbench.runner.admitted_cell import Admitted, AdmittedCell
from asyncbench.runner.retries import lanes_text
from asyncbench.units import format_duration, format_size

_Seen = TypeVar("_Seen")


def memory_block(ran: AdmittedCell) -> Memory:
    """Return what was predicted for the lanes that ran, what they took, and what the governor did."""
    need, seen = ran.admission.need, ran.seen
    opened_at_ns = seen.window.opened_at_ns if seen.window else None
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
                    at_ns=change.at_ns - opened_at_ns,
                    lanes=change.lanes,
                    limited_by=str(change.limited_by),
                    free_bytes=change.free_bytes,
                )
                for change in seen.lane_changes
                if opened_at_ns is not None
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


def _difference(predicted_bytes: int, used_bytes: int | None) -> int | None:
    return None if used_bytes is None else predicted_bytes - used_bytes
