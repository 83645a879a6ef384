"""Inspection of an ONNX file, without its weights and without a runtime."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import Error
from onnx import TensorProto, shape_inference

from asyncbench.errors import BadInputError
from asyncbench.models.graph_walk import nodes_of, tensors_of
from asyncbench.models.model_hash import model_sha256
from asyncbench.models.multiply_accumulates import Shapes, count_multiply_accumulates
from asyncbench.models.onnx_file import read_without_weights
from asyncbench.models.tensor_specs import (
    Dimension,
    check_output,
    dimensions,
    find_batch_dimension,
    graph_inputs,
    input_spec,
    output_spec,
    output_without_batch,
)
from asyncbench.tensors import TensorSpec

# Where the batch is free, shapes are inferred at this one: a size that equals it by chance is unlikely.
_PROBE_BATCH = 3
_SHOWN_BATCHES = 8

_Shape = tuple[Dimension, ...]
_Inferred = Mapping[str, "_Shape | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerhapsFixed:
    """A first axis of all outputs that stays the same whatever the batch is.

    Attributes:
        refusal: Of every other batch, and of a sweep that names none.
    """

    batch: int
    refusal: BadInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A network, as its file describes it.

    Attributes:
        sha256: What it is known by; see `model_sha256`.
        outputs: Those of a known size: what the file does not tell of the others the engine does.
        fixed_batch: The only batch that it can run; None where the batch is free, as far as the file tells.
        fixed_by: Where the batch is free in the inputs and fixed all the same: what shows it.
        perhaps_fixed: The same batch where it may as well be the size of something else, such as a list of anchors:
            the network can be run at it by whoever asks for that batch alone.
        multiply_accumulates: Of one item, in convolutions and matrix products; None where a node cannot be counted.
        parameters: Elements of all initializers but the 64-bit integers, which are shapes and indices.
    """

    path: Path
    sha256: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fixed_batch: int | None
    fixed_by: str | None = None
    perhaps_fixed: PerhapsFixed | None = None
    multiply_accumulates: int | None
    parameters: int


def inspect_model(path: Path) -> ModelFacts:
    """Return what is true of the model in `path`. Blocking: reads the whole file, a megabyte at a time.

    Raises:
        BadInputError: It is missing, not ONNX, lacks its external data, or its batch axis cannot be told.
    """
    model = read_without_weights(path)
    _check_names(model, path)
    sha256 = model_sha256(path)
    inputs = graph_inputs(model)
    if not model.graph.output:
        raise BadInputError(f"{path} has no output", remedy="export it with one")
    fixed_batch = find_batch_dimension(inputs, path)
    specs = tuple(input_spec(value, path) for value in inputs)
    probe = fixed_batch or _PROBE_BATCH
    shapes = _infer_shapes(model, path, batch=probe)
    fixed_by = perhaps_fixed = None
    if (wrong := _output_without(model, shapes, batch=probe)) is not None:
        perhaps_fixed = _batch_perhaps_fixed(model, path, wrong, shapes, probe=probe)
        if perhaps_fixed is not None:
            probe = perhaps_fixed.batch
        else:
            fixed_batch, fixed_by = _batch_fixed_inside(model, path, wrong, probe=probe)
            probe = fixed_batch
        shapes = _infer_shapes(model, path, batch=probe)
    total = count_multiply_accumulates(model.graph, _known(shapes))
    return ModelFacts(
        path=path,
        sha256=sha256,
        inputs=specs,
        outputs=_outputs(model, shapes, path),
        fixed_batch=fixed_batch,
        fixed_by=fixed_by,
        perhaps_fixed=perhaps_fixed,
        multiply_accumulates=None if total is None else total // probe,
        parameters=_parameters(model.graph),
    )


def check_batches(facts: ModelFacts, batches: Iterable[int]) -> None:
    """Refuse batches that the network cannot run.

    Raises:
        BadInputError: Its batch is fixed, and to another number.
    """
    batches = tuple(batches)
    if facts.perhaps_fixed is not None and set(batches) != {facts.perhaps_fixed.batch}:
        raise facts.perhaps_fixed.refusal
    refused = [batch for batch in batches if facts.fixed_batch not in {None, batch}]
    if refused:
        why = f" ({facts.fixed_by})" if facts.fixed_by else ""
        raise BadInputError(
            f"{facts.path} runs at batch {facts.fixed_batch} only, not at {_shortened(refused)}{why}",
            remedy=f"use --batch {facts.fixed_batch}, or export it with a free first axis",
        )


def _check_names(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a graph with a name that is no text: no runtime can be asked for it, and no record can have it."""
    if not all(isinstance(name, str) for name in _names(model)):  # protobuf gives the bytes of what is no UTF-8
        raise BadInputError(
            f"{path} has a name in its graph that is not UTF-8",
            remedy="export or download it again: the file is damaged",
        )


def _names(model: onnx.ModelProto) -> Iterator[object]:
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        yield value.name
        yield from (dimension.dim_param for dimension in value.type.tensor_type.shape.dim)
    for node in nodes_of(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for tensor in tensors_of(model):
        yield tensor.name
        yield from (text for entry in tensor.external_data for text in (entry.key, entry.value))
    for function in model.functions:
        yield from (function.name, function.domain)


def _shortened(batches: Sequence[int]) -> str:
    shown = ", ".join(map(str, batches[:_SHOWN_BATCHES]))
    return shown if len(batches) <= _SHOWN_BATCHES else f"{shown} and {len(batches) - _SHOWN_BATCHES} more"


def _output_without(model: onnx.ModelProto, shapes: _Inferred, *, batch: int) -> tuple[str, _Shape] | None:
    """Return the name and shape of the first output that is known not to have that batch."""
    for value in model.graph.output:
        shape = shapes.get(value.name)
        if shape and isinstance(shape[0], int) and shape[0] != batch:
            return value.name, shape
    return None


def _batch_perhaps_fixed(
    model: onnx.ModelProto, path: Path, wrong: tuple[str, _Shape], shapes: _Inferred, *, probe: int
) -> PerhapsFixed | None:
    """Return the first axis above 1 that all outputs share, of a network whose inputs have a free batch.

    A Reshape to (8, 4, 16) looks like that, and a list of the best 100 detections of all images together.
    """
    name, shape = wrong
    batch = shape[0]
    first_axes = {(shapes.get(value.name) or (None,))[0] for value in model.graph.output}
    is_fixed_outside = any(isinstance(_first_axis(value), int) for value in graph_inputs(model))
    is_known = all(isinstance(size, int) for size in shape)
    if not isinstance(batch, int) or batch < 2 or first_axes != {batch} or is_fixed_outside:  # noqa: PLR2004 # 1: sure
        return None
    if not is_known or _infer_shapes(model, path, batch=batch).get(name) != shape:
        return None
    plain = output_without_batch(name, shape, batch=probe, path=path)
    remedy = f"{plain.remedy}; if the graph fixes the batch inside, use --batch {batch}"
    return PerhapsFixed(batch=batch, refusal=BadInputError(plain.message, remedy=remedy))


def _batch_fixed_inside(
    model: onnx.ModelProto, path: Path, wrong: tuple[str, _Shape], *, probe: int
) -> tuple[int, str]:
    """Return the one batch at which all outputs have the batch as their first axis, and what shows that.

    A constant shape inside of the graph, such as a Reshape to (1, -1), is the commonest slip of an export: at that
    batch the network runs.

    Args:
        wrong: An output that lacks the batch at `probe`.

    Raises:
        BadInputError: There is no such batch.
    """
    name, shape = wrong
    batch = shape[0]
    refusal = output_without_batch(name, shape, batch=probe, path=path)
    is_fixed_outside = any(isinstance(_first_axis(value), int) for value in graph_inputs(model))
    if not isinstance(batch, int) or batch == 0 or is_fixed_outside:
        raise refusal
    shapes = _infer_shapes(model, path, batch=batch)
    there = shapes.get(name) or (None,)
    is_known = all(isinstance(size, int) for size in there)
    has_no_batch = there == shape and batch > 1  # such as a list of anchors, which is the same at any batch
    if not is_known or has_no_batch or _output_without(model, shapes, batch=batch) is not None:
        raise refusal
    sizes = ", ".join(map(str, shape))
    return batch, f"output {name!r} has the shape ({sizes}) at batch {probe}: the graph fixes the batch inside"


def _first_axis(value: onnx.ValueInfoProto) -> Dimension:
    return (dimensions(value) or (None,))[0]


def _outputs(model: onnx.ModelProto, shapes: _Inferred, path: Path) -> tuple[TensorSpec, ...]:
    specs = []
    for value in model.graph.output:
        inferred = shapes.get(value.name)
        shape = dimensions(value) if inferred is None else inferred
        check_output(value, shape=shape, path=path)
        specs.append(output_spec(value, shape=shape, path=path))
    return tuple(spec for spec in specs if spec is not None)


def _infer_shapes(model: onnx.ModelProto, path: Path, *, batch: int) -> _Inferred:
    """Return the shape of every tensor at that batch as far as it is known, None where nothing is.

    Sizes that are computed inside of the graph, as by `x.view(x.size(0), -1)`, are followed.
    """
    try:
        inferred = shape_inference.infer_shapes(_at_batch(model, batch), data_prop=True).graph
    except (shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError, Error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInputError(f"{path} is not a consistent ONNX model ({reason})", remedy="export it again") from error
    shapes = {value.name: dimensions(value) for value in (*inferred.input, *inferred.value_info, *inferred.output)}
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


def _known(shapes: _Inferred) -> Shapes:
    """Return the shapes of which every size is known."""
    known = {}
    for name, shape in shapes.items():
        sizes = tuple(size for size in shape or () if isinstance(size, int))
        known[name] = sizes if shape is not None and len(sizes) == len(shape) else None
    return known


def _parameters(graph: onnx.GraphProto) -> int:
    return sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type != TensorProto.INT64)
