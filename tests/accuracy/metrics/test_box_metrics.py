"""Average precision: the cases that broke the predecessor's own, and pycocotools by hand."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from asyncbench.accuracy.metrics.average_precision import bootstrap_errors, resample_count, weighted_precision
from asyncbench.accuracy.metrics.box_metrics import box_metrics
from asyncbench.accuracy.metrics.coco import evaluate_boxes
from asyncbench.accuracy.metrics.detection import ImageTruth, TrueObject
from asyncbench.models.decoding import Detections
from asyncbench.results.accuracy import MetricName

HERE, THERE = (10, 10, 30, 30), (60, 60, 30, 30)
ALL_RECALLS = 101


def values_of(found, truth):
    return [metric.value for metric in box_metrics({"a": found}, {"a": truth}).values()]


def test_one_perfect_box_is_exactly_one(detected, marked):
    assert values_of(detected((0.9, 1, HERE)), marked((1, HERE))) == pytest.approx([1.0] * 3)  # predecessor: 0.9901


def test_a_category_that_is_never_detected_halves_the_mean_of_two(detected, marked):
    values = values_of(detected((0.9, 1, HERE)), marked((1, HERE), (2, THERE)))

    assert values == pytest.approx([0.5] * 3)  # predecessor: 0.9901


def test_duplicates_of_one_object_do_not_find_the_other(detected, marked):
    found = detected(*[(0.9 - number / 100, 1, HERE) for number in range(10)])

    values = values_of(found, marked((1, HERE), (1, THERE)))

    assert values == pytest.approx([51 / ALL_RECALLS] * 3)  # recall 0 to 0.50; predecessor: 1.0


def test_a_duplicate_between_two_right_boxes_costs_precision(detected, marked):
    found = detected((0.9, 1, HERE), (0.8, 1, HERE), (0.7, 1, THERE))

    values = values_of(found, marked((1, HERE), (1, THERE)))

    assert values == pytest.approx([(51 + 50 * 2 / 3) / ALL_RECALLS] * 3)


def test_nothing_found_is_zero_and_not_undefined(detected, marked):
    assert values_of(detected(), marked((1, HERE))) == [0.0] * 3  # predecessor: NaN


def test_images_without_any_object_have_no_average_precision(detected, marked):
    metrics = box_metrics({"a": detected((0.9, 1, HERE))}, {"a": marked()})

    assert [(metric.value, metric.interval) for metric in metrics.values()] == [(None, None)] * 3
    assert metrics[MetricName.AP].n == 1


def test_no_images_have_no_average_precision():
    assert [metric.value for metric in box_metrics({}, {}).values()] == [None] * 3


def test_a_box_in_an_image_without_objects_is_a_false_one(detected, marked):
    found = {"empty": detected((0.9, 1, HERE)), "full": detected((0.8, 1, HERE))}

    metrics = box_metrics(found, {"empty": marked(), "full": marked((1, HERE))})

    assert metrics[MetricName.AP].value == pytest.approx(0.5)


def test_boxes_inside_a_crowd_are_neither_right_nor_wrong(detected, marked):
    crowd = (1, (50, 50, 50, 50))
    found = detected((0.9, 1, (55, 55, 20, 20)), (0.8, 1, (70, 70, 20, 20)), (0.7, 1, HERE))

    values = values_of(found, marked((1, HERE), crowds=[crowd]))

    assert values == pytest.approx([1.0] * 3)


def test_a_category_that_is_only_a_crowd_does_not_count(detected, marked):
    values = values_of(detected((0.9, 1, HERE)), marked((1, HERE), crowds=[(2, THERE)]))

    assert values == pytest.approx([1.0] * 3)


def test_the_overlap_decides_which_of_the_three_count(detected, marked):
    values = values_of(detected((0.9, 1, (10, 10, 30, 19))), marked((1, HERE)))  # an overlap of 0.63

    assert values == pytest.approx([0.3, 1.0, 0.0])


def test_images_without_a_truth_do_not_count(detected, marked):
    metrics = box_metrics({"a": detected((0.9, 1, HERE)), "b": detected((0.9, 1, HERE))}, {"a": marked((1, HERE))})

    assert (metrics[MetricName.AP].value, metrics[MetricName.AP].n) == (pytest.approx(1.0), 1)


def test_nothing_is_printed(detected, marked, capsys):
    box_metrics({"a": detected((0.9, 1, HERE))}, {"a": marked((1, HERE))})

    assert capsys.readouterr() == ("", "")


def test_a_reference_of_other_images_is_refused(detected, marked):
    with pytest.raises(ValueError, match="different images"):
        box_metrics({"a": detected()}, {"a": marked()}, reference={"b": detected()})


def some_images(seed, count):
    """Return random truths and detections, about half of them right, with scores that are often equal."""
    generator = np.random.default_rng(seed)
    found, truth = {}, {}
    for number in range(count):
        left_top = generator.uniform(0, 60, (4, 2))
        size = generator.uniform(5, 40, (4, 2))
        categories = generator.integers(1, 4, 4)
        true_boxes = np.concatenate([left_top, size], axis=1)
        guesses = np.concatenate([true_boxes + generator.normal(0, 2, (4, 4)), generator.uniform(1, 50, (4, 4))])
        truth[f"{number:03}"] = ImageTruth(
            height=100,
            width=100,
            objects=tuple(
                TrueObject(category_id=int(category), box_xywh=tuple(box), is_crowd=bool(generator.random() < 0.1))
                for category, box in zip(categories, true_boxes.tolist(), strict=True)
            ),
        )
        corners = np.concatenate([guesses[:, 1::-1], guesses[:, 1::-1] + np.abs(guesses[:, :1:-1])], axis=1) / 100
        found[f"{number:03}"] = Detections(
            boxes=corners.astype(np.float32),
            scores=generator.integers(1, 20, 8).astype(np.float32) / 20,
            category_ids=np.concatenate([categories, generator.integers(1, 4, 4)]),
        )
    return found, truth


def by_hand(found, truth):
    """Return AP, AP50 and AP75 as everybody gets them: results loaded, evaluated, summarized."""
    names = list(truth)
    annotations = [
        {
            "id": len(truth) * 100 + number * 100 + position,
            "image_id": number,
            "category_id": item.category_id,
            "bbox": list(item.box_xywh),
            "area": item.box_xywh[2] * item.box_xywh[3],
            "iscrowd": int(item.is_crowd),
        }
        for number, name in enumerate(names)
        for position, item in enumerate(truth[name].objects)
    ]
    results = [
        {
            "image_id": number,
            "category_id": int(category),
            "bbox": [
                float(box[1]) * truth[name].width,
                float(box[0]) * truth[name].height,
                float(box[3]) * truth[name].width - float(box[1]) * truth[name].width,
                float(box[2]) * truth[name].height - float(box[0]) * truth[name].height,
            ],
            "score": float(score),
        }
        for number, name in enumerate(names)
        for box, score, category in zip(found[name].boxes, found[name].scores, found[name].category_ids, strict=True)
    ]
    return coco_stats(
        {
            "images": [{"id": number} for number in range(len(names))],
            "annotations": annotations,
            "categories": [{"id": category} for category in range(1, 91)],
        },
        results,
    )


def coco_stats(instances, results):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3].tolist()


@settings(max_examples=settings.default.max_examples // 10)
@given(st.integers(0, 1000))
def test_the_values_are_those_of_pycocotools_by_hand(seed):
    found, truth = some_images(seed, 12)

    values = list(evaluate_boxes(found, truth).values.values())

    assert values == by_hand(found, truth)


@settings(max_examples=settings.default.max_examples // 10)
@given(st.integers(0, 1000))
def test_with_every_image_once_the_bootstraps_precision_is_pycocotools(seed):
    found, truth = some_images(seed, 12)
    evaluation = evaluate_boxes(found, truth)

    weighted = weighted_precision(evaluation.matches, np.ones(12, dtype=np.int64))

    assert weighted == pytest.approx(list(evaluation.values.values()), abs=1e-12)


def test_an_image_that_is_drawn_twice_counts_as_two_equal_images():
    found, truth = some_images(5, 12)
    weights = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12))
    # Scores made different, because of equal ones of two images COCO takes the first image's first.
    found = {
        name: Detections(
            boxes=one.boxes,
            scores=one.scores + np.arange(8, dtype=np.float32) / 300 + np.float32(number / 5000),
            category_ids=one.category_ids,
        )
        for number, (name, one) in enumerate(found.items())
    }
    drawn = [name for name, weight in zip(found, weights, strict=True) for _ in range(weight)]

    weighted = weighted_precision(evaluate_boxes(found, truth).matches, weights)
    repeated = evaluate_boxes(
        {str(number): found[name] for number, name in enumerate(drawn)},
        {str(number): truth[name] for number, name in enumerate(drawn)},
    )

    assert weighted == pytest.approx(list(repeated.values.values()), abs=0.01)


@pytest.mark.slow
def test_the_interval_holds_the_value_and_the_drop_is_paired():
    found, truth = some_images(1, 60)
    worse = {
        name: Detections(boxes=one.boxes * np.float32(1.05), scores=one.scores, category_ids=one.category_ids)
        for name, one in found.items()
    }

    metric = box_metrics(worse, truth, reference=found)[MetricName.AP]
    same = box_metrics(found, truth, reference=found)[MetricName.AP]

    assert metric.interval.low < metric.value < metric.interval.high
    assert 0 < metric.drop_interval.low < metric.drop < metric.drop_interval.high
    assert metric.drop == pytest.approx(metric.reference_value - metric.value)
    # Of the same images, differences spread less than the values.
    assert metric.drop_interval.high - metric.drop_interval.low < metric.interval.high - metric.interval.low
    assert (same.drop, same.drop_interval.low, same.drop_interval.high) == (0, 0, 0)


def test_equal_seeds_give_equal_intervals():
    evaluation = evaluate_boxes(*some_images(1, 20))

    assert bootstrap_errors([evaluation], seed=3) == bootstrap_errors([evaluation], seed=3)
    assert bootstrap_errors([evaluation], seed=3) != bootstrap_errors([evaluation], seed=4)


def test_few_images_have_no_interval_and_the_method_says_so():
    metric = box_metrics(*some_images(1, 19))[MetricName.AP]

    assert metric.value is not None
    assert metric.interval is None
    assert "fewer than 20" in metric.method


def test_many_detections_are_resampled_less_often_but_never_too_rarely():
    assert resample_count(1000) == 200
    assert resample_count(7_000_000) == 142
    assert resample_count(10**12) == 100
