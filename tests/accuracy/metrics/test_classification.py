"""Top-1 and Top-5."""

from __future__ import annotations

import numpy as np
import pytest

from asyncbench.accuracy.metrics.classification import class_metrics, read_top_labels
from asyncbench.results.accuracy import MetricName, PublishedFigure


def scores_of(*rows, classes=1000):
    """Return scores in which the classes of each row are the surest, in that order."""
    scores = np.zeros((len(rows), classes), dtype=np.float32)
    for row, ranked in zip(scores, rows, strict=True):
        row[list(ranked)] = np.linspace(1, 0.5, len(ranked))
    return {"prob": scores}


def test_the_five_surest_labels_are_read_in_order():
    assert read_top_labels(scores_of((7, 3, 9, 1, 4, 5))) == [(7, 3, 9, 1, 4)]


def test_a_background_takes_a_place_and_is_never_right():
    (labels,) = read_top_labels(scores_of((0, 8, 4), classes=1001))

    assert labels[:3] == (-1, 7, 3)


def test_scores_that_are_no_numbers_have_no_labels_and_count_as_wrong():
    outputs = scores_of((7,), (7,))
    outputs["prob"][1, 3] = np.nan

    labels = read_top_labels(outputs)
    metrics = class_metrics(dict(zip("ab", labels, strict=True)), {"a": {7}, "b": {7}})

    assert labels[1] == ()
    assert (metrics[MetricName.TOP1].value, metrics[MetricName.TOP1].n) == (0.5, 2)


def test_any_accepted_label_is_right():
    found = {"cat": (281, 1, 2, 3, 4), "dog": (5, 6, 7, 8, 258), "tree": (1, 2, 3, 4, 5)}

    metrics = class_metrics(found, {"cat": {282, 281}, "dog": {258}, "tree": {900}})

    assert metrics[MetricName.TOP1].value == pytest.approx(1 / 3)
    assert metrics[MetricName.TOP5].value == pytest.approx(2 / 3)


def test_items_without_a_label_do_not_count():
    metric = class_metrics({"a": (1,), "b": (2,)}, {"a": {1}})[MetricName.TOP1]

    assert (metric.value, metric.n) == (1.0, 1)


def test_without_any_label_there_is_no_figure():
    metric = class_metrics({"a": (1,)}, {}, reference={"a": (1,)})[MetricName.TOP1]

    assert (metric.value, metric.interval, metric.drop, metric.n) == (None, None, None, 0)


def test_a_drop_is_what_was_lost_less_what_was_won_on_the_same_items():
    items = [f"{number:03}" for number in range(100)]
    accepted = {item: {0} for item in items}
    reference = {item: (0 if number < 80 else 1,) for number, item in enumerate(items)}
    found = {item: (0 if 10 <= number < 84 else 1,) for number, item in enumerate(items)}

    metric = class_metrics(found, accepted, reference=dict(reversed(reference.items())))[MetricName.TOP1]

    assert (metric.value, metric.reference_value, metric.drop) == pytest.approx((0.74, 0.80, 0.06))
    assert metric.drop_interval.low < 0.06 < metric.drop_interval.high


def test_a_reference_of_other_items_is_refused():
    with pytest.raises(ValueError, match="different items"):
        class_metrics({"a": (1,)}, {"a": {1}}, reference={"b": (1,)})


def test_the_published_figure_stands_beside_the_measured_one():
    published = {MetricName.TOP1: PublishedFigure(low=0.749, high=0.749, source="Keras")}

    metrics = class_metrics({"a": (1,)}, {"a": {1}}, published=published)

    assert metrics[MetricName.TOP1].published.source == "Keras"
    assert metrics[MetricName.TOP5].published is None
