"""Addresses and facts of the published weights of the built-in networks."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.models.catalog import find_model

_RECORDS = "https://zenodo.org/records"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """One published file.

    Attributes:
        model: The built-in network that it belongs to.
        licence: Of the weights; shown before and recorded after a pull.
        accuracy: Of this very file on the whole validation set, with its source.
        outputs: Names by which a copy of it is recognized.
        remark: How it differs from the built-in network of that name; empty where it does not.
    """

    model: str
    title: str
    url: str
    licence: str
    accuracy: str
    outputs: frozenset[str]
    remark: str = ""


# Addresses, accuracies and names of outputs: MLPerf inference, vision/classification_and_detection (README.md and the
# profiles of python/main.py). The files are conversions of TensorFlow's own models, which are Apache-2.0.
PUBLISHED: tuple[PublishedWeights, ...] = (
    PublishedWeights(
        model="mobilenet",
        title="MobileNet v1 1.0 224",
        url=f"{_RECORDS}/4735651/files/mobilenet_v1_1.0_224.onnx?download=1",
        licence="Apache-2.0",
        accuracy="71.676 % top-1, ImageNet (MLPerf)",
        outputs=frozenset({"MobilenetV1/Predictions/Reshape_1:0"}),
    ),
    PublishedWeights(
        model="resnet50",
        title="ResNet-50 v1.5",
        url=f"{_RECORDS}/4735647/files/resnet50_v1.onnx?download=1",
        licence="Apache-2.0",
        accuracy="76.456 % top-1, ImageNet (MLPerf)",
        outputs=frozenset({"ArgMax:0", "softmax_tensor:0"}),
        remark="it is v1.5, with 6 % more work than the built-in v1, 1001 classes and an ArgMax beside the scores",
    ),
    PublishedWeights(
        model="ssdmobilenet",
        title="SSD-MobileNet v1 300",
        url=f"{_RECORDS}/4735652/files/ssd_mobilenet_v1_coco_2018_01_28.onnx?download=1",
        licence="Apache-2.0",
        accuracy="mAP 0.23, COCO (MLPerf)",
        outputs=frozenset({"num_detections:0", "detection_boxes:0", "detection_scores:0", "detection_classes:0"}),
        remark="it takes images of any size and has loops and non-maximum suppression inside, which no backend here "
        "runs; a copy that is cut before the suppression can be kept with --from",
    ),
)


def find_published(model: str) -> PublishedWeights:
    """Return the published weights of that network.

    Raises:
        BadInputError: There is no such network.
    """
    name = find_model(model).name
    return next(weights for weights in PUBLISHED if weights.model == name)
