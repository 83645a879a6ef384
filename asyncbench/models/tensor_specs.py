"""What goes into a graph and comes out of it: names, shapes of one item, types, and whose axis the batch is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

from asyncbench.backends.base import TensorSpec
from asyncbench.errors import BadInputError

# A size, the name of a size that is free, or None for a size of which nothing is said.
Dimension = int | str | None

# What both ONNX and numpy have.
_NUMPY_NAMES: dict[int, str] = {
    TensorProto.BOOL: "bool",
    TensorProto.UINT8: "uint8",
    TensorProto.UINT16: "uint16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.FLOAT16: "float16",
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
}
_EXPORT_WITH_BATCH = "export it with the batch as the first axis of every input and output"
_EXPORT_FIXED = "export it with fixed sizes for all axes but the first"


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return what the caller must feed: up to IR version 3 the inputs of a graph list its weights too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def dimensions(value: onnx.ValueInfoProto) -> tuple[Dimension, ...] | None:
    """Return the shape as the file has it, or None where it has none."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        # Some exporters write 0 or -1 for a size that is free.
        dimension.dim_value if dimension.dim_value > 0 else dimension.dim_param or None
        for dimension in tensor.shape.dim
    )


def find_batch_dimension(inputs: Sequence[onnx.ValueInfoProto], path: Path) -> Dimension:
    """Return the first axis, on which all inputs must agree.

    Raises:
        BadInputError: There is no input, an input has no axis, or two inputs differ in their first one.
    """
    firsts: dict[Dimension, str] = {}
    for value in inputs:
        shape = dimensions(value)
        if not shape:
            raise BadInputError(
                f"{path} has no batch axis: input {value.name!r} {_text(shape)}", remedy=_EXPORT_WITH_BATCH
            )
        firsts.setdefault(shape[0], value.name)
    if len(firsts) == 1:
        return next(iter(firsts))
    if not firsts:
        raise BadInputError(f"{path} has no input", remedy="name a network that takes its data as an input")
    shown = ", ".join(f"{name!r} has {first!r}" for first, name in firsts.items())
    raise BadInputError(
        f"{path} has no batch axis that its inputs share: first axis of {shown}", remedy=_EXPORT_WITH_BATCH
    )


def input_spec(value: onnx.ValueInfoProto, path: Path) -> TensorSpec:
    """Return one input.

    Raises:
        BadInputError: Another axis than the first is free, or numpy has no such type.
    """
    return _spec(value, dimensions(value) or (), what="input", path=path)


def output_spec(value: onnx.ValueInfoProto, *, inferred: tuple[int, ...] | None, batch: int, path: Path) -> TensorSpec:
    """Return one output.

    Args:
        inferred: Its shape at that batch; None where only the file's word is known.

    Raises:
        BadInputError: It has no batch axis, another axis is free, or numpy has no such type.
    """
    shape = inferred or dimensions(value)
    if not shape or (inferred and inferred[0] != batch):
        raise BadInputError(
            f"{path} has no batch axis: output {value.name!r} {_text(dimensions(value))}", remedy=_EXPORT_WITH_BATCH
        )
    return _spec(value, shape, what="output", path=path)


def _spec(value: onnx.ValueInfoProto, shape: Sequence[Dimension], *, what: str, path: Path) -> TensorSpec:
    item_shape = []
    for axis, size in enumerate(shape[1:], start=1):
        if not isinstance(size, int):
            raise BadInputError(
                f"axis {axis} of {what} {value.name!r} of {path} has no fixed size {_text(shape)}", remedy=_EXPORT_FIXED
            )
        item_shape.append(size)
    return TensorSpec(name=value.name, item_shape=tuple(item_shape), dtype=_dtype(value, what=what, path=path))


def _dtype(value: onnx.ValueInfoProto, *, what: str, path: Path) -> str:
    code = value.type.tensor_type.elem_type
    if code not in _NUMPY_NAMES:
        raise BadInputError(
            f"{what} {value.name!r} of {path} is {TensorProto.DataType.Name(code)}, which numpy does not have",
            remedy="export it with numbers that numpy has, such as float32 or float16",
        )
    return _NUMPY_NAMES[code]


def _text(shape: Sequence[Dimension] | None) -> str:
    """Return `is a scalar`, `has no shape` or the shape, with `?` for a size of which nothing is said."""
    if shape is None:
        return "has no shape"
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    return f"has the shape ({sizes})" if shape else "is a scalar"
