"""Difference between the outputs of two engines."""

from __future__ import annotations

import numpy as np

from asyncbench.accuracy.metrics.drift import output_drift, split_items


def outputs(*values):
    return {"prob": np.array(values, dtype=np.float32)}


def by_item(*values):
    return dict(zip("abc", split_items(outputs(*values)), strict=False))


def test_the_largest_difference_over_all_items_is_told_with_the_size_of_the_values():
    (drift,) = output_drift(by_item([1, 2], [3, -9]), by_item([1, 2.5], [3, -8]))

    assert (drift.output, drift.max_abs_difference, drift.reference_max_abs) == ("prob", 1.0, 8.0)


def test_outputs_of_half_precision_are_compared_without_overflow():
    found = {"a": {"x": np.array([60000], dtype=np.float16)}}
    reference = {"a": {"x": np.array([-60000], dtype=np.float32)}}

    (drift,) = output_drift(found, reference)

    assert drift.max_abs_difference == 120_000


def test_a_value_that_is_no_number_leaves_no_difference_to_tell():
    (drift,) = output_drift(by_item([1, np.nan], [1, 2]), by_item([1, 2], [1, 2]))

    assert drift.max_abs_difference is None
    assert drift.reference_max_abs == 2


def test_items_are_copies_that_outlive_their_batch():
    batch = outputs([1, 2])

    (item,) = split_items(batch)
    batch["prob"][:] = 0

    assert item["prob"].tolist() == [1, 2]


def test_nothing_compared_is_an_empty_list():
    assert output_drift({}, {}) == []
