"""Data sets through lanes: every item once, in order, whatever the batch and the concurrency."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from contextlib import aclosing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trio
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from asyncbench.accuracy.metrics.box_metrics import box_metrics
from asyncbench.accuracy.metrics.classification import class_metrics, read_top_labels
from asyncbench.accuracy.metrics.coco import evaluate_boxes
from asyncbench.accuracy.metrics.coco_truth import read_coco_truth
from asyncbench.accuracy.metrics.detection import read_detections
from asyncbench.accuracy.metrics.drift import output_drift, split_items
from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend
from asyncbench.bench.accuracy.accuracy_run import ItemBatch, run_accuracy
from asyncbench.errors import BadInputError, DoesNotFitError, LaneError
from asyncbench.models.catalog import find_model
from asyncbench.models.preparation import prepare, read_image
from asyncbench.results.accuracy import MetricName
from asyncbench.testing import engine_request, simulated_engine

NAMES = [f"{number:02}" for number in range(10)]


# Inferences take 1 to 5 ms, so that they end in another order than they began.
simulated = partial(simulated_engine, service={"kind": "lognormal", "median": "2ms", "sigma": 0.5})


async def batches_of(names, batch, *, on_batch=lambda: None):
    """Yield inputs that differ by item."""
    for start in range(0, len(names), batch):
        await trio.lowlevel.checkpoint()
        on_batch()
        some = names[start : start + batch]
        values = np.array([int(name) for name in some], dtype=np.float32).reshape(-1, 1, 1, 1)
        yield ItemBatch(
            item_ids=tuple(some), inputs={"input": np.broadcast_to(values, (len(some), 3, 224, 224)).copy()}
        )


def first_values(outputs):
    return [round(float(row[0]), 2) for row in outputs["output"]]


async def answers_at(engine, *, batch, concurrency, names=NAMES, take=first_values):
    async with aclosing(batches_of(names, batch)) as inputs:
        return await run_accuracy(engine, batch=batch, concurrency=concurrency, inputs=inputs, take=take)


async def test_every_item_is_answered_once_and_in_the_order_of_the_data_set(autojump_clock):
    async with simulated() as engine:
        answers = await answers_at(engine, batch=1, concurrency=4)

    # The simulated network adds the mean of an item to its values: twice the value here.
    assert list(answers.items()) == [(name, 2.0 * int(name)) for name in NAMES]


@pytest.mark.parametrize(("batch", "concurrency"), [(1, 3), (3, 1), (4, 2), (4, 8), (16, 2)])
async def test_answers_do_not_depend_on_batch_and_concurrency(batch, concurrency, autojump_clock):
    async with simulated() as engine:
        alone = await answers_at(engine, batch=1, concurrency=1)
        together = await answers_at(engine, batch=batch, concurrency=concurrency)

    assert list(together.items()) == list(alone.items())


async def test_what_fills_the_last_batch_up_is_not_counted(autojump_clock):
    seen = Counter()

    def take(outputs):
        values = first_values(outputs)
        seen.update(values)
        return values

    async with simulated() as engine:
        await answers_at(engine, batch=4, concurrency=2, take=take)

    assert seen == Counter(2.0 * int(name) for name in NAMES)


async def test_an_empty_data_set_has_no_answers(autojump_clock):
    async with simulated() as engine:
        assert await answers_at(engine, batch=4, concurrency=2, names=[]) == {}


async def test_no_more_batches_are_asked_for_than_there_are_lanes(autojump_clock):
    counts = Counter()
    most = 0

    def on_batch():
        nonlocal most
        counts["asked"] += 1
        most = max(most, counts["asked"] - counts["done"])

    def take(outputs):
        counts["done"] += 1
        return first_values(outputs)

    async with simulated() as engine, aclosing(batches_of(NAMES, 1, on_batch=on_batch)) as inputs:
        await run_accuracy(engine, batch=1, concurrency=3, inputs=inputs, take=take)

    assert most <= 3
    assert counts["asked"] == counts["done"] == 10


async def test_a_failed_inference_is_raised_as_the_lanes_own_error(autojump_clock):
    async with simulated(faults=[{"at": 5, "kind": "error"}]) as engine:
        with pytest.raises(LaneError):
            await answers_at(engine, batch=1, concurrency=3)


async def test_refused_memory_is_raised_before_a_batch_is_asked_for(autojump_clock):
    asked = []
    async with simulated(memory="2MiB", engine_bytes="1MiB", lane_bytes="1MiB") as engine:
        async with aclosing(batches_of(NAMES, 1, on_batch=lambda: asked.append(1))) as inputs:
            with pytest.raises(DoesNotFitError):
                await run_accuracy(engine, batch=1, concurrency=3, inputs=inputs, take=first_values)

    assert asked == []


async def test_an_error_of_the_data_set_is_raised_as_it_is(autojump_clock):
    def refuse():
        raise BadInputError("the folder has gone")

    async with simulated() as engine, aclosing(batches_of(NAMES, 1, on_batch=refuse)) as inputs:
        with pytest.raises(BadInputError, match="has gone"):
            await run_accuracy(engine, batch=1, concurrency=3, inputs=inputs, take=first_values)


@pytest.mark.parametrize(
    ("names", "fed", "message"),
    [(["01", "02", "01"], 1, "'01' came twice"), (NAMES, 5, "5 items came to lanes that take 4")],
)
async def test_a_data_set_that_breaks_its_promises_is_refused(names, fed, message, autojump_clock):
    async with simulated() as engine, aclosing(batches_of(names, fed)) as inputs:
        with pytest.raises(Exception) as refusal:  # noqa: PT011 - a group, whose class differs by Python version
            await run_accuracy(engine, batch=4, concurrency=1, inputs=inputs, take=first_values)

    assert message in str(refusal.value.exceptions[0])


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 5, 8, 13])
async def test_a_run_that_is_cancelled_drains_its_lanes_and_leaves_nothing_behind(after_ms, autojump_clock):
    async with simulated(memory="1GiB", lane_bytes="1MiB") as engine:
        before = (await engine.read_memory()).free_bytes, trio.lowlevel.current_statistics().tasks_living

        with trio.move_on_after(after_ms / 1000) as scope:
            await answers_at(engine, batch=1, concurrency=2, names=[str(number) for number in range(100)])

        assert scope.cancelled_caught
        assert ((await engine.read_memory()).free_bytes, trio.lowlevel.current_statistics().tasks_living) == before


# The published weights, through ONNX Runtime.


@pytest.fixture(scope="session")
def shared_folder():
    folder = Path(__file__).parents[3].parent / "shared"
    if not (folder / "models").is_dir() or not (folder / "images").is_dir():
        pytest.skip("../shared is not beside the repository")
    return folder


async def images(folder, names, recipe, batch):
    for start in range(0, len(names), batch):
        some = names[start : start + batch]
        items = await trio.to_thread.run_sync(lambda some=some: [prepare(read_image(folder / n), recipe) for n in some])
        yield ItemBatch(item_ids=tuple(some), inputs={"input": np.stack(items)})


async def run_images(model, weights, folder, names, *, at, take):
    """Return the answers at each (batch, concurrency) of `at`."""
    batches = tuple(sorted({batch for batch, _ in at}))
    request = engine_request(model_name=model, model_path=weights, batches=batches, max_concurrency=2)
    answers = []
    async with OnnxRuntimeBackend().open_engine(request) as engine:
        for batch, concurrency in at:
            async with aclosing(images(folder, names, find_model(model).recipe, batch)) as inputs:
                answers.append(
                    await run_accuracy(engine, batch=batch, concurrency=concurrency, inputs=inputs, take=take)
                )
    return answers


def accepted_labels(folder):
    entries = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return {entry["file"]: frozenset(entry["accept_classes"]) for entry in entries}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "file", "right"), [("mobilenet", "mobilenet_v1_1.0_224.onnx", 8), ("resnet50", "resnet50_v1.onnx", 10)]
)
async def test_the_published_classifiers_are_right_at_any_batch_and_concurrency(shared_folder, model, file, right):
    folder = shared_folder / "images" / "imagenet"
    accepted = accepted_labels(folder)
    run = partial(run_images, model, shared_folder / "models" / file, folder, sorted(accepted))

    alone, together = await run(at=[(1, 1), (4, 2)], take=read_top_labels)
    metrics = class_metrics(together, accepted, reference=alone)

    assert list(together.items()) == list(alone.items())
    assert metrics[MetricName.TOP1].value * 10 >= right - 1e-9
    assert metrics[MetricName.TOP5].value == 1.0
    assert metrics[MetricName.TOP1].n == 10
    assert metrics[MetricName.TOP1].drop == 0


@pytest.mark.slow
async def test_an_engine_at_another_batch_drifts_by_no_more_than_rounding(shared_folder):
    folder = shared_folder / "images" / "imagenet"
    weights = shared_folder / "models" / "mobilenet_v1_1.0_224.onnx"

    alone, together = await run_images(
        "mobilenet", weights, folder, sorted(accepted_labels(folder)), at=[(1, 1), (4, 2)], take=split_items
    )
    (drift,) = output_drift(together, alone)

    assert drift.output == "prob"
    assert drift.max_abs_difference < 1e-5
    assert 0.5 < drift.reference_max_abs <= 1


@pytest.fixture(scope="module")
def coco_folder(shared_folder):
    return shared_folder / "images" / "coco"


@pytest.mark.slow
async def test_the_published_detector_has_pycocotools_precision_at_any_batch_and_concurrency(
    shared_folder, coco_folder
):
    truth = read_coco_truth(coco_folder / "instances.json")
    weights = shared_folder / "models" / "ssd_mobilenet_v1_coco_300.onnx"

    alone, together = await run_images(
        "ssdmobilenet", weights, coco_folder, sorted(truth), at=[(1, 1), (4, 2)], take=read_detections
    )
    metrics = box_metrics(together, truth, reference=alone)

    assert [metric.value for metric in metrics.values()] == by_hand(coco_folder / "instances.json", together)
    assert [metric.drop for metric in metrics.values()] == [0, 0, 0]
    assert metrics[MetricName.AP].n == 20
    assert metrics[MetricName.AP].interval.low < metrics[MetricName.AP].value < metrics[MetricName.AP].interval.high
    right, sure = count_sure(together, truth)
    assert right >= 39
    assert right / sure > 0.85


def count_sure(found, truth):
    """Return how many boxes with a score over 0.5 match an object at an overlap of 0.5, and how many there are."""
    matches = evaluate_boxes(found, truth).matches
    sure = [one.scores > 0.5 for one in matches]
    right = sum(int(one.right[0, chosen].sum()) for one, chosen in zip(matches, sure, strict=True))
    return right, sum(int((one.scores > 0.5).sum()) for one in found.values())


def by_hand(instances, found):
    """Return AP, AP50 and AP75 as everybody gets them from a file of results."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(instances))
        results = [
            {
                "image_id": image["id"],
                "category_id": int(category),
                "bbox": [
                    float(box[1]) * image["width"],
                    float(box[0]) * image["height"],
                    (float(box[3]) * image["width"] - float(box[1]) * image["width"]),
                    (float(box[2]) * image["height"] - float(box[0]) * image["height"]),
                ],
                "score": float(score),
            }
            for image in truth.dataset["images"]
            for one in [found[image["file_name"]]]
            for box, score, category in zip(one.boxes, one.scores, one.category_ids, strict=True)
        ]
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:3].tolist()
