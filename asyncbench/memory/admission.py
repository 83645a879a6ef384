"""Admission: the number of lanes of a cell that fit, found before anything of it is allocated."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.available import Available, LimitedBy, Shortage
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.units import counted, format_size

NeedOf = Callable[[int, int], MemoryForecast]
"""From (batch, lanes) to what they take; must not fall when either rises."""

_WHOSE = {LimitedBy.DEVICE: "device memory", LimitedBy.HOST: "host memory", LimitedBy.POOL: "shared memory"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Lanes that a cell may have.

    Attributes:
        lanes: Lanes that may be resident, from 1 to the cell's concurrency.
        need: What they are expected to take.
        limited_by: The memory that one lane more would not fit into; None where all lanes fit.
    """

    lanes: int
    need: MemoryForecast
    available: Available
    limited_by: LimitedBy | None


def admit(
    need_of: NeedOf,
    *,
    batch: int,
    concurrency: int,
    batches: Sequence[int],
    available: Available,
    share_lanes: bool,
) -> Admission:
    """Return the most lanes of a cell that fit, up to `concurrency`.

    Args:
        batches: Every batch of the sweep, to say which of them would have fitted.
        share_lanes: Whether fewer lanes than `concurrency` will do; one is needed at least.

    Raises:
        DoesNotFitError: Fewer lanes fit than are needed. Facts: lanes_requested (1 where lanes may be shared),
            lanes_that_fit, and for lanes_requested lanes: requested_bytes, available_bytes, limited_by,
            largest_batch_that_fits (of all numbers), largest_listed_batch_that_fits (of `batches`); 0 where none does.
    """
    fit = _Fit(need_of=need_of, available=available)
    lanes = fit.max_lanes(batch, concurrency)
    lanes_requested = 1 if share_lanes else concurrency
    too_much = fit.shortage(batch, lanes_requested)
    if too_much is not None:
        raise _refusal(fit, too_much, batch=batch, batches=batches, lanes_requested=lanes_requested, lanes=lanes)
    one_more = None if lanes == concurrency else fit.shortage(batch, lanes + 1)
    return Admission(
        lanes=lanes,
        need=need_of(batch, lanes),
        available=available,
        limited_by=one_more.limited_by if one_more else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """The largest lanes and batches that fit, by bisection: needs never fall when batch or lanes rise."""

    need_of: NeedOf
    available: Available

    def shortage(self, batch: int, lanes: int) -> Shortage | None:
        return self.available.shortage(self.need_of(batch, lanes))

    def max_lanes(self, batch: int, limit: int) -> int:
        """Return the most lanes up to `limit` that fit at `batch`; 0 where none does."""
        return bisect_left(range(1, limit + 1), True, key=lambda lanes: self.shortage(batch, lanes) is not None)

    def largest_batch(self, lanes: int, limit: int) -> int:
        """Return the largest batch up to `limit` that fits with `lanes` lanes; 0 where none does."""
        return bisect_left(range(1, limit + 1), True, key=lambda batch: self.shortage(batch, lanes) is not None)


def _refusal(
    fit: _Fit, shortage: Shortage, *, batch: int, batches: Sequence[int], lanes_requested: int, lanes: int
) -> DoesNotFitError:
    largest = fit.largest_batch(lanes_requested, batch - 1)
    largest_listed = max((listed for listed in batches if listed <= largest), default=0)
    return DoesNotFitError(
        f"batch {batch} with {lanes_text(lanes_requested)} needs {format_size(shortage.requested_bytes)} of "
        f"{_WHOSE[shortage.limited_by]}, {format_size(shortage.available_bytes)} are available; "
        f"{_batch_text(largest, largest_listed)}",
        remedy=_remedy(shortage.limited_by, fit.available, largest=largest, lanes=lanes),
        requested_bytes=shortage.requested_bytes,
        available_bytes=shortage.available_bytes,
        limited_by=str(shortage.limited_by),
        lanes_requested=lanes_requested,
        lanes_that_fit=lanes,
        largest_batch_that_fits=largest,
        largest_listed_batch_that_fits=largest_listed,
    )


def lanes_text(lanes: int) -> str:
    """Return `1 lane`, `2 lanes`."""
    return counted(lanes, "lane")


def _batch_text(largest: int, largest_listed: int) -> str:
    if largest == 0:
        return "no batch fits"
    listed = f"{largest_listed}" if largest_listed else "none"
    return f"the largest batch that fits is {largest}, of those asked for {listed}"


def _remedy(limited_by: LimitedBy, available: Available, *, largest: int, lanes: int) -> str:
    remedies = [f"lower --batch to {largest}"] if largest else []
    if lanes:
        remedies += [f"lower --concurrency to {lanes}", "let lanes be shared by --on-pressure backpressure"]
    return ", or ".join([*remedies, f"free {_WHOSE[limited_by]}", *available.remedies.get(limited_by, ())])
