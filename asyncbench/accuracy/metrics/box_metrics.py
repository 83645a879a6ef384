"""AP, AP50 and AP75 of a detector, and what it lost against a reference."""

from __future__ import annotations

from collections.abc import Mapping

from asyncbench.accuracy.metrics.average_precision import (
    MIN_IMAGES,
    BootstrapErrors,
    bootstrap_errors,
    normal_interval,
)
from asyncbench.accuracy.metrics.coco import AP_THRESHOLDS, BoxEvaluation, evaluate_boxes
from asyncbench.accuracy.metrics.detection import ImageTruth
from asyncbench.models.decoding import Detections
from asyncbench.results.accuracy import Interval, Metric, MetricName, PublishedFigure


def box_metrics(
    found: Mapping[str, Detections],
    truth: Mapping[str, ImageTruth],
    *,
    reference: Mapping[str, Detections] | None = None,
    published: Mapping[MetricName, PublishedFigure] | None = None,
    seed: int = 0,
) -> dict[MetricName, Metric]:
    """Return the metrics over the images of `found` that have a truth. Blocking: seconds to a minute.

    Args:
        found: What the engine found, by image.
        reference: What the reference found in the same images.
        published: For the whole validation set, where known.
        seed: Of the bootstrap.

    Raises:
        ValueError: The reference has other images.
    """
    if reference is not None and found.keys() != reference.keys():
        raise ValueError("the engine and its reference saw different images")
    own = evaluate_boxes(found, truth)
    other = None if reference is None else evaluate_boxes({item: reference[item] for item in found}, truth)
    errors = bootstrap_errors([own] if other is None else [own, other], seed=seed)
    return {
        name: _metric(name, own, other, errors, seed=seed, published=(published or {}).get(name))
        for name in AP_THRESHOLDS
    }


def _metric(
    name: MetricName,
    own: BoxEvaluation,
    other: BoxEvaluation | None,
    errors: BootstrapErrors | None,
    *,
    seed: int,
    published: PublishedFigure | None,
) -> Metric:
    value = own.values[name]
    reference_value = None if other is None else other.values[name]
    drop = None if value is None or reference_value is None else reference_value - value
    return Metric(
        value=value,
        interval=_interval(value, errors.own if errors else {}, name, lowest=0.0),
        method=_method(errors, seed=seed),
        n=own.images,
        reference_value=reference_value,
        drop=drop,
        drop_interval=_interval(drop, errors.drop if errors else {}, name, lowest=-1.0),
        published=published,
    )


def _interval(
    value: float | None, errors: Mapping[MetricName, float], name: MetricName, *, lowest: float
) -> Interval | None:
    if value is None or name not in errors:
        return None
    return normal_interval(value, errors[name], lowest=lowest, highest=1.0)


def _method(errors: BootstrapErrors | None, *, seed: int) -> str:
    if errors is None:
        return f"none: fewer than {MIN_IMAGES} images, or no object in them"
    return f"1.96 standard errors: bootstrap over images, {errors.resamples} resamples, seed {seed}"
