"""Catalogue of the packaged networks. Names and facts only: neither onnx nor cv2 is imported from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncbench.errors import BadInputError
from asyncbench.models.recipe import Recipe
from asyncbench.results.accuracy import MetricName, PublishedFigure
from asyncbench.sweep.problems import did_you_mean
from asyncbench.text_enum import TextEnum


class Task(TextEnum):
    """Purpose of a network, and so the meaning of its outputs."""

    CLASSIFICATION = "classification"
    DETECTION = "detection"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A network that we know.

    Attributes:
        input_size: Side of its square image in pixels.
        classes: What it tells apart, the background included where it has one.
        output_shapes: Of its outputs, without the batch axis.
        multiply_accumulates: Of one item, in convolutions and matrix products.
        parameters: Elements of its weights and biases, batch norms folded.
        published: Accuracy of the published weights on the whole validation set; the packaged ones are seeded noise.
    """

    name: str
    title: str
    task: Task
    input_size: int
    classes: int
    output_shapes: tuple[tuple[int, ...], ...]
    multiply_accumulates: int
    parameters: int
    published: Mapping[MetricName, PublishedFigure]
    recipe: Recipe


MODELS: tuple[ModelInfo, ...] = (
    ModelInfo(
        name="mobilenet",
        title="MobileNet v1 1.0 224",
        task=Task.CLASSIFICATION,
        input_size=224,
        classes=1001,
        output_shapes=((1001,),),
        multiply_accumulates=568_741_376,
        parameters=4_222_057,
        published={MetricName.TOP1: PublishedFigure(low=0.717, high=0.717, source="MLPerf")},
        recipe=Recipe(height=224, width=224, short_side=256, mean=(127.5, 127.5, 127.5), divisor=127.5),
    ),
    ModelInfo(
        name="resnet50",
        title="ResNet-50 v1",
        task=Task.CLASSIFICATION,
        input_size=224,
        classes=1000,
        output_shapes=((1000,),),
        multiply_accumulates=3_857_973_248,
        parameters=25_530_472,
        published={MetricName.TOP1: PublishedFigure(low=0.749, high=0.749, source="Keras")},
        recipe=Recipe(height=224, width=224, short_side=256, mean=(123.68, 116.779, 103.939)),
    ),
    ModelInfo(
        name="ssdmobilenet",
        title="SSD-MobileNet v1 300",
        task=Task.DETECTION,
        input_size=300,
        classes=91,
        output_shapes=((1917, 4), (1917, 90)),
        multiply_accumulates=1_237_129_408,
        parameters=6_807_167,
        published={MetricName.AP: PublishedFigure(low=0.21, high=0.23, source="TensorFlow's model zoo, OpenVINO")},
        recipe=Recipe(height=300, width=300, mean=(127.5, 127.5, 127.5), divisor=127.5),
    ),
)


def find_model(name: str) -> ModelInfo:
    """Return the network of that name.

    Raises:
        BadInputError: There is none; the error lists those there are and names the closest.
    """
    for model in MODELS:
        if model.name == name:
            return model
    names = [model.name for model in MODELS]
    hint = did_you_mean(name, names)
    file = "name a file with --model FILE.onnx (in a configuration: model_file)"
    raise BadInputError(f"there is no model {name!r}", remedy=f"{hint}choose {', '.join(names)}, or {file}")
