"""What an ONNX file says about itself, read without its weights and without a runtime."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto, shape_inference

from asyncbench.backends.base import TensorSpec
from asyncbench.errors import BadInputError
from asyncbench.models.model_hash import model_sha256
from asyncbench.models.multiply_accumulates import Shapes, count_multiply_accumulates
from asyncbench.models.onnx_file import read_without_weights
from asyncbench.models.tensor_specs import dimensions, find_batch_dimension, graph_inputs, input_spec, output_spec

# Where the batch is free, shapes are inferred at this one: a size that equals it by chance is unlikely.
_PROBE_BATCH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A network, as its file describes it.

    Attributes:
        sha256: What it is known by; see `model_sha256`.
        fixed_batch: The only batch that it can run; None where the batch is free.
        multiply_accumulates: Of one item, in convolutions and matrix products; None where a node cannot be counted.
        parameters: Elements of all initializers but the 64-bit integers, which are shapes and indices.
    """

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fixed_batch: int | None
    multiply_accumulates: int | None
    parameters: int


def inspect_model(path: Path) -> ModelFacts:
    """Return what is true of the model in `path`. Blocking: reads the whole file, a megabyte at a time.

    Raises:
        BadInputError: It is missing, not ONNX, lacks its external data, or its batch axis cannot be told.
    """
    model = read_without_weights(path)
    sha256 = model_sha256(path)
    inputs = graph_inputs(model)
    batch = find_batch_dimension(inputs, path)
    fixed_batch = batch if isinstance(batch, int) else None
    specs = tuple(input_spec(value, path) for value in inputs)
    probe = fixed_batch or _PROBE_BATCH
    shapes = _infer_shapes(model, path, batch=probe)
    total = count_multiply_accumulates(model.graph, shapes)
    return ModelFacts(
        path=path,
        sha256=sha256,
        inputs=specs,
        outputs=tuple(
            output_spec(value, inferred=shapes.get(value.name), batch=probe, path=path) for value in model.graph.output
        ),
        fixed_batch=fixed_batch,
        multiply_accumulates=None if total is None else total // probe,
        parameters=_parameters(model.graph),
    )


def check_batches(facts: ModelFacts, batches: Iterable[int]) -> None:
    """Refuse batches that the network cannot run.

    Raises:
        BadInputError: Its batch is fixed, and to another number.
    """
    refused = [batch for batch in batches if facts.fixed_batch not in {None, batch}]
    if refused:
        raise BadInputError(
            f"{facts.path} runs at batch {facts.fixed_batch} only, not at {', '.join(map(str, refused))}",
            remedy=f"use --batch {facts.fixed_batch}, or export it with a free first axis",
        )


def _infer_shapes(model: onnx.ModelProto, path: Path, *, batch: int) -> Shapes:
    """Return the shape of every tensor at that batch, None where it is not known."""
    try:
        inferred = shape_inference.infer_shapes(_at_batch(model, batch)).graph
    except shape_inference.InferenceError as error:
        reason = str(error).splitlines()[0]
        raise BadInputError(f"{path} is not a consistent ONNX model ({reason})", remedy="export it again") from error
    shapes = {value.name: _known(value) for value in (*inferred.input, *inferred.value_info, *inferred.output)}
    shapes.update({tensor.name: tuple(tensor.dims) for tensor in inferred.initializer})
    return shapes


def _at_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Return a copy whose inputs have that batch and whose other shapes are open."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    for value in graph_inputs(probed):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    for value in (*probed.graph.value_info, *probed.graph.output):
        value.type.tensor_type.ClearField("shape")  # they were written for the file's own batch axis
    return probed


def _known(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    shape = dimensions(value)
    if shape is None:
        return None
    sizes = tuple(size for size in shape if isinstance(size, int))
    return sizes if len(sizes) == len(shape) else None


def _parameters(graph: onnx.GraphProto) -> int:
    return sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type != TensorProto.INT64)
