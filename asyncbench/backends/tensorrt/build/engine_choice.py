"""Choice of the engines that a sweep needs: one per batch, or one for all batches. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.sweep.backends.tensorrt import EngineMode


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRange:
    """The batches of one optimization profile; kernels are tuned for `opt`."""

    min: int
    opt: int
    max: int

    def as_tuple(self) -> tuple[int, int, int]:
        """Return (min, opt, max)."""
        return self.min, self.opt, self.max


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShape:
    """Shapes that one engine can run.

    Attributes:
        batches: The batches of the sweep that it is for, ascending.
        opt_profiles: One per group of batches, ascending and disjoint.
        static_shapes: True if the network itself is fixed to its one batch.
    """

    batches: tuple[int, ...]
    opt_profiles: tuple[BatchRange, ...]
    static_shapes: bool

    def profile_of(self, batch: int) -> int:
        """Return the index of the optimization profile to use for `batch`.

        Raises:
            ValueError: The engine was not made for this batch.
        """
        for index, one in enumerate(self.opt_profiles):
            if one.min <= batch <= one.max:
                return index
        raise ValueError(f"no optimization profile holds batch {batch}")

    def __str__(self) -> str:
        first, last = self.batches[0], self.batches[-1]
        return f"batch {first}" if first == last else f"batches {first} to {last}"


# Kernels tuned for one batch are good for batches near it: [1] and [2..16] lose at most 5 % (docs/gpu-validation.md).
MAX_SPREAD = 8
# Each static engine is a build of its own, a minute or more: beyond so many, `auto` builds one dynamic engine
# (docs/gpu-validation.md).
MAX_STATIC_BUILDS = 1


def choose_engines(batches: tuple[int, ...], mode: EngineMode) -> tuple[EngineShape, ...]:
    """Return the engines to build for a sweep over `batches`, smallest batch first.

    Args:
        batches: At least one, each at least 1; order and repetition do not matter.
    """
    ordered = tuple(sorted(set(batches)))
    is_static = mode is EngineMode.STATIC or (mode is EngineMode.AUTO and len(ordered) <= MAX_STATIC_BUILDS)
    if is_static:
        return tuple(_static_shape(batch) for batch in ordered)
    return (EngineShape(batches=ordered, opt_profiles=profile_groups(ordered), static_shapes=False),)


def profile_groups(batches: tuple[int, ...], *, max_spread: int = MAX_SPREAD) -> tuple[BatchRange, ...]:
    """Group ascending batches into optimization profiles, each tuned for its largest batch.

    Batch 1 is a group of its own: it is what latency is asked about, and nothing tuned for more serves it well. From
    there on a group takes in the next batch while that is at most `max_spread` times its smallest.

    Every profile is tuned separately, so that build time grows with their number.
    """
    groups: list[list[int]] = []
    for batch in batches:
        if groups and groups[-1][0] > 1 and batch <= max_spread * groups[-1][0]:
            groups[-1].append(batch)
        else:
            groups.append([batch])
    return tuple(BatchRange(min=group[0], opt=group[-1], max=group[-1]) for group in groups)


def _static_shape(batch: int) -> EngineShape:
    only = BatchRange(min=batch, opt=batch, max=batch)
    return EngineShape(batches=(batch,), opt_profiles=(only,), static_shapes=True)
