"""The block of a record that carries quality."""

from __future__ import annotations

import json

import jsonschema
import pytest
from pydantic import ValidationError

from asyncbench.accuracy.metrics.classification import class_metrics
from asyncbench.results.accuracy import Accuracy, Metric, MetricName, OutputDrift, SkippedItem


def block(**changes):
    found = {"a": (1,), "b": (2,)}
    fields = {
        "dataset": "imagenet",
        "subset": "first 5 per class",
        "subset_hash": "0" * 64,
        "n": 2,
        "skipped": 0,
        "skipped_items": [],
        "reference": "onnxruntime 1.20.1 in fp32",
        "metrics": class_metrics(found, {"a": {1}, "b": {1}}, reference=found),
        "drift": [OutputDrift(output="prob", max_abs_difference=0.1, reference_max_abs=1.0)],
        "drift_items": 2,
    }
    return Accuracy(**fields | changes)


def test_a_block_survives_being_written_and_read_and_fits_its_schema():
    text = block().model_dump_json()

    assert Accuracy.model_validate_json(text) == block()
    jsonschema.validate(json.loads(text), Accuracy.model_json_schema(mode="serialization"))


def test_metrics_are_written_under_their_names():
    written = json.loads(block().model_dump_json())["metrics"]

    assert set(written) == {"top1", "top5"}
    assert written["top1"]["value"] == 0.5
    assert written["top1"]["drop_interval"]["low"] < 0 < written["top1"]["drop_interval"]["high"]


def test_a_folder_of_wrong_files_is_counted_whole_and_named_in_part():
    items = [SkippedItem(name=f"{number}.jpg", reason="cannot be decoded") for number in range(5000)]

    skipping = block(skipped=len(items), skipped_items=items)

    assert skipping.skipped == 5000
    assert [item.name for item in skipping.skipped_items] == [f"{number}.jpg" for number in range(20)]


def test_a_figure_that_is_no_number_is_refused():
    with pytest.raises(ValidationError):
        Metric(value=float("nan"), interval=None, method="none", n=1)


def test_metric_names_are_what_is_printed():
    assert [str(name) for name in MetricName] == ["top1", "top5", "ap", "ap50", "ap75"]
