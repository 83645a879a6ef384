"""From outputs to the hundred surest objects."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.accuracy.metrics.coco_truth import read_coco_truth
from asyncbench.accuracy.metrics.detection import SCORE_THRESHOLD, TrueObject, read_detections, surest_detections
from asyncbench.errors import BadInputError
from asyncbench.models.decoding import decode_boxes


def some_outputs(seed, *, anchors=300, sharpness=20):
    generator = np.random.default_rng(seed)
    boxes = generator.uniform(0, 0.5, (anchors, 4)).astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    scores = (generator.uniform(0, 1, (anchors, 90)) ** sharpness).round(3).astype(np.float32)
    return boxes, scores


@settings(max_examples=settings.default.max_examples // 6)
@given(st.integers(0, 1000), st.sampled_from([2, 20, 200, 2000]))
def test_the_surest_are_exactly_those_of_all_candidates(seed, sharpness):
    boxes, scores = some_outputs(seed, sharpness=sharpness)

    quick = surest_detections(boxes, scores)
    whole = decode_boxes(boxes, scores, score_threshold=SCORE_THRESHOLD)

    assert np.array_equal(quick.boxes, whole.boxes)
    assert np.array_equal(quick.scores, whole.scores)
    assert np.array_equal(quick.category_ids, whole.category_ids)


def test_outputs_that_suppress_each_other_need_more_candidates():
    boxes, scores = some_outputs(0, anchors=2000)
    boxes[:] = [0.1, 0.1, 0.5, 0.5]  # one object a category is left

    assert sorted(surest_detections(boxes, scores).category_ids) == list(range(1, 91))


def test_values_that_are_no_numbers_are_no_objects():
    boxes, scores = some_outputs(0)
    scores[:] = np.nan
    scores[3, 7], scores[4, 7] = 0.9, 0.8
    boxes[4, 0] = np.inf

    found = surest_detections(boxes, scores)

    assert found.category_ids.tolist() == [8]


def test_each_image_of_a_batch_is_read_whichever_output_comes_first():
    items = [some_outputs(seed) for seed in (1, 2)]
    boxes, scores = (np.stack(arrays) for arrays in zip(*items, strict=True))

    one_way = read_detections({"boxes": boxes, "scores": scores})
    other_way = read_detections({"a": scores, "b": boxes})

    assert [len(found.scores) for found in one_way] == [100, 100]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(one_way, other_way, strict=True))


def test_outputs_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"prob \(1, 1000\)"):
        read_detections({"prob": np.zeros((1, 1000), dtype=np.float32)})


def test_the_truth_is_read_by_file_name(tmp_path):
    path = tmp_path / "instances.json"
    images = [{"id": 9, "file_name": "a.jpg", "height": 3, "width": 4}]
    images.append({"id": 7, "file_name": "b.jpg", "height": 5, "width": 6})
    annotations = [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 1}]
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")

    truth = read_coco_truth(path)

    assert truth["a.jpg"].objects == ()
    assert truth["b.jpg"].objects == (TrueObject(category_id=2, box_xywh=(1.0, 2.0, 3.0, 4.0), is_crowd=True),)
    assert (truth["b.jpg"].height, truth["b.jpg"].width) == (5, 6)


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}', '{"images": [{}], "annotations": []}'])
def test_a_file_of_another_form_is_refused_by_name(tmp_path, text):
    path = tmp_path / "instances.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(BadInputError, match=r"instances\.json"):
        read_coco_truth(path)
    with pytest.raises(BadInputError, match="nowhere"):
        read_coco_truth(tmp_path / "nowhere")


def write_instances(path, *, image=None, annotation=None):
    """Write one good image with one good object, some of their entries replaced; None takes an entry out."""
    images = [{"id": 9, "file_name": "a.jpg", "height": 3, "width": 4} | (image or {})]
    annotations = [{"id": 7, "image_id": 9, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 0} | (annotation or {})]
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "annotation",
    [{"bbox": [-1, -2, 3.5, 0]}, {"iscrowd": 1}, {"iscrowd": True}, {"bbox": [1, 2, 0, 0]}],
)
def test_objects_that_can_be_are_taken(tmp_path, annotation):
    truth = read_coco_truth(write_instances(tmp_path / "instances.json", annotation=annotation))

    assert len(truth["a.jpg"].objects) == 1


@pytest.mark.parametrize("side", ["height", "width"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True, float("nan"), None])
def test_an_image_of_no_size_is_refused_by_id(tmp_path, side, value):
    path = write_instances(tmp_path / "instances.json", image={side: value})

    with pytest.raises(BadInputError, match=rf"instances\.json: image 9 has the {side} .*not a whole number of pixels"):
        read_coco_truth(path)


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        ({"bbox": [1, 2, float("nan"), 4]}, r"bbox \[1, 2, nan, 4\], not left, top"),
        ({"bbox": [float("inf"), 2, 3, 4]}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "bbox"),
        ({"bbox": [1, 2, 3, -4]}, "bbox"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, 3, "4"]}, "bbox"),
        ({"bbox": None}, "bbox"),
        ({"iscrowd": "0"}, "iscrowd '0', not 0 or 1"),
        ({"iscrowd": 2}, "iscrowd 2"),
        ({"iscrowd": None}, "iscrowd None"),
    ],
)
def test_an_object_that_cannot_be_is_refused_by_id(tmp_path, annotation, complaint):
    path = write_instances(tmp_path / "instances.json", annotation=annotation)

    with pytest.raises(BadInputError, match=rf"instances\.json: annotation 7 has (the )?{complaint}"):
        read_coco_truth(path)


def test_boxes_in_shares_of_the_sides_are_refused_since_nothing_would_ever_be_found(tmp_path):
    path = write_instances(tmp_path / "instances.json", annotation={"bbox": [0.25, 0.25, 0.5, 0.75]})

    with pytest.raises(BadInputError, match=r"instances\.json: every bbox lies within the first pixel"):
        read_coco_truth(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [], "annotations": ' + "[" * 100_000,
        '{"images": [{"id": 1e999, "file_name": "a", "height": 1, "width": 1}], "annotations": []}',
        f'{{"images": [{{"id": {"1" * 5000}, "file_name": "a", "height": 1, "width": 1}}], "annotations": []}}',
    ],
    ids=["deep", "infinite", "long"],
)
def test_what_python_s_reader_gives_up_on_is_refused_in_one_short_line(tmp_path, text):
    path = tmp_path / "instances.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(BadInputError, match=r"instances\.json has no instances in COCO's form") as caught:
        read_coco_truth(path)

    assert len(caught.value.message) < 1000
