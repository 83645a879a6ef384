"""Largest difference between the outputs of two engines on the same items."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asyncbench.results.accuracy import OutputDrift
from asyncbench.tensors import AnyArray

ItemOutputs = Mapping[str, AnyArray]
"""The outputs of one item, without the batch axis."""


def split_items(outputs: Mapping[str, AnyArray]) -> list[ItemOutputs]:
    """Return the outputs of each item of a batch. They are kept whole: for a few items only."""
    count = min(len(array) for array in outputs.values())
    return [{name: array[index].copy() for name, array in outputs.items()} for index in range(count)]


def output_drift(found: Mapping[str, ItemOutputs], reference: Mapping[str, ItemOutputs]) -> list[OutputDrift]:
    """Return the largest difference of each output, over the items of `found`.

    Args:
        found: By item.
        reference: Of the same items, and perhaps of more.
    """
    names = next(iter(found.values()), {}).keys()
    return [_drift(name, [(found[item][name], reference[item][name]) for item in found]) for name in names]


def _drift(name: str, pairs: list[tuple[AnyArray, AnyArray]]) -> OutputDrift:
    gap = max(_largest(own.astype(np.float64) - other.astype(np.float64)) for own, other in pairs)
    size = max(_largest(other.astype(np.float64)) for _, other in pairs)
    finite = np.isfinite([gap, size]).all()
    return OutputDrift(
        output=name,
        max_abs_difference=gap if finite else None,
        reference_max_abs=size if np.isfinite(size) else None,
    )


def _largest(values: AnyArray) -> float:
    """Return the largest magnitude; infinity where one is not a number, which `max` would lose."""
    magnitudes = np.abs(values.astype(np.float64))
    return float(np.where(np.isnan(magnitudes), np.inf, magnitudes).max(initial=0.0))
