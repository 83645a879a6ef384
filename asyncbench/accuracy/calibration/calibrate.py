"""Calibration: the float network runs over images, and each tensor that int8 needs a range for gets one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime

from asyncbench.accuracy.calibration.float_graph import calibrated_tensors, load_float_network
from asyncbench.accuracy.calibration.magnitude import MagnitudeHistogram, choose_amax
from asyncbench.accuracy.calibration.table import CalibrationTable, ImageHash, Method
from asyncbench.errors import BadInputError
from asyncbench.models.inspection import inspect_model
from asyncbench.models.onnxruntime_messages import explain_unusable
from asyncbench.tensors import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBatch:
    """Some images, prepared.

    Attributes:
        inputs: By name, each `(batch, *item_shape)`.
        images: Those images.
    """

    inputs: Mapping[str, AnyArray]
    images: tuple[ImageHash, ...]


def calibrate(
    model_path: Path,
    batches: Iterable[CalibrationBatch],
    *,
    method: Method,
    recipe: str | None,
    on_progress: Callable[[int], None],
) -> CalibrationTable:
    """Return the table of the model in `model_path`. Blocking, for minutes: call it on a thread.

    Holds the intermediate tensors of one batch at a time, 41 MB an image for MobileNet, 102 MB for ResNet-50, so
    that small batches are better. Nothing is written.

    Args:
        on_progress: Takes how many images are done, after each batch. What it raises ends the calibration.

    Raises:
        BadInputError: The model cannot be calibrated, there are no images, or a tensor became NaN or infinite.
    """
    facts = inspect_model(model_path)
    images: list[ImageHash] = []

    def drawn() -> Iterable[Mapping[str, AnyArray]]:
        for batch in batches:
            yield batch.inputs
            images.extend(batch.images)
            on_progress(len(images))

    ranges = collect_ranges(load_float_network(model_path), drawn(), method=method)
    return CalibrationTable(
        model_sha256=facts.sha256,
        method=method,
        recipe=recipe,
        images=tuple(images),
        versions={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
        ranges=ranges,
    )


def collect_ranges(
    network: onnx.ModelProto, inputs: Iterable[Mapping[str, AnyArray]], *, method: Method
) -> dict[str, float]:
    """Return the largest absolute value to keep of each tensor that needs a range, in the order of the graph.

    Args:
        network: As `load_float_network` returns it.

    Raises:
        BadInputError: See `calibrate`.
    """
    histograms = {name: MagnitudeHistogram() for name in calibrated_tensors(network.graph)}
    try:
        session = _open_session(network, tuple(histograms))
    except Exception as error:  # onnxruntime's own errors have no base class but this one
        raise _refused_by_runtime(error) from error
    batch = 0
    for batch, feed in enumerate(inputs, start=1):
        try:
            arrays = session.run(list(histograms), dict(feed))
        except Exception as error:
            raise _refused_by_runtime(error) from error
        for name, values in zip(histograms, arrays, strict=True):
            _add(histograms[name], values, name=name, batch=batch)
    if not batch:
        raise BadInputError("there is no image to calibrate on", remedy="name a folder of images with --images")
    return {name: choose_amax(histogram, method) for name, histogram in histograms.items()}


def _open_session(network: onnx.ModelProto, tensors: tuple[str, ...]) -> onnxruntime.InferenceSession:
    """Open a copy of the network that puts out these tensors too."""
    augmented = onnx.ModelProto()
    augmented.CopyFrom(network)
    outputs = {value.name for value in augmented.graph.output}
    augmented.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name not in outputs)
    options = onnxruntime.SessionOptions()
    # Beyond it layouts depend on the processor, and so would the last digits of a range.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Without a fallback: it is to the provider that has just failed, and prints four lines about that.
    return onnxruntime.InferenceSession(
        augmented.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"], enable_fallback=0
    )


def _refused_by_runtime(error: Exception) -> BadInputError:
    explanation = explain_unusable(error)
    return BadInputError(f"the network {explanation.text}", remedy=explanation.remedy)


def _add(histogram: MagnitudeHistogram, values: AnyArray, *, name: str, batch: int) -> None:
    try:
        histogram.add(values.astype("float32", copy=False))
    except ValueError as error:
        raise BadInputError(
            f"tensor {name!r} has {error} on calibration batch {batch}",
            remedy="take that image out, or check the model in fp32",
        ) from error
