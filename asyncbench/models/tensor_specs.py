"""Inputs and outputs of a graph: names, shapes of one item, types, and the axis of the batch."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

from asyncbench.errors import BadInputError
from asyncbench.tensors import TensorSpec

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
_TYPE_NAMES: Mapping[int, str] = {code: name for name, code in TensorProto.DataType.items()}
_QUOTES = "'\""
_EXPORT_WITH_BATCH = "export it with the batch as the first axis of every input and output"
_EXPORT_TENSORS = "export it with tensors of numbers, such as float32, as inputs and outputs"
# What nobody's memory holds: 256 TiB, all that a 64-bit processor addresses.
_ADDRESSABLE_BYTES = 1 << 48
_BATCH_NAME = re.compile(r"batch|^(n|b|bs)$", re.IGNORECASE)
_KIND_NAMES = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "optional",
    "sparse_tensor_type": "a sparse tensor",
    "opaque_type": "of a type of its own",
    None: "of no type",
}


def graph_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return what the caller must feed: up to IR version 3 the inputs of a graph list its weights too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    weights |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    return [value for value in model.graph.input if value.name not in weights]


def dimensions(value: onnx.ValueInfoProto) -> tuple[Dimension, ...] | None:
    """Return the shape as the file has it, or None where it has none."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        # Some exporters write -1 for a size that is free, and runtimes take it as that; 0 they take as it is.
        dimension.dim_value
        if dimension.HasField("dim_value") and dimension.dim_value >= 0
        else dimension.dim_param or None
        for dimension in tensor.shape.dim
    )


def find_batch_dimension(inputs: Sequence[onnx.ValueInfoProto], path: Path) -> int | None:
    """Return the size of the first axis where an input fixes it, and None where it is free in all of them.

    The names of free axes are labels: exporters give each input one of its own. Whether they may be equal the first
    inference tells.

    Raises:
        BadInputError: There is no input, an input has no axis, or two inputs fix different sizes.
    """
    fixed: dict[int, str] = {}
    for value in inputs:
        _check_tensor(value, what="input", path=path)
        shape = dimensions(value)
        if not shape:
            raise BadInputError(
                f"{path} has no batch axis: input {value.name!r} {_text(shape)}", remedy=_EXPORT_WITH_BATCH
            )
        if isinstance(shape[0], int):
            fixed.setdefault(shape[0], value.name)
    if not inputs:
        raise BadInputError(f"{path} has no input", remedy="name a network that takes its data as an input")
    if 0 in fixed:
        raise BadInputError(
            f"the first axis of input {fixed[0]!r} of {path} has the size 0", remedy="export it with a free one"
        )
    if len(fixed) > 1:
        shown = ", ".join(f"in {name!r} it is {first}" for first, name in fixed.items())
        raise BadInputError(
            f"{path} has no batch that its inputs share, by their first axis: {shown}", remedy=_EXPORT_WITH_BATCH
        )
    return next(iter(fixed), None)


def input_spec(value: onnx.ValueInfoProto, path: Path) -> TensorSpec:
    """Return one input.

    Raises:
        BadInputError: Another axis than the first is free or of size 0, or numpy has no such type.
    """
    dtype = _dtype(value, what="input", path=path)
    shape = dimensions(value) or ()
    item_shape = tuple(size for size in shape[1:] if isinstance(size, int))
    if len(item_shape) < len(shape) - 1:
        raise _free_axis(value.name, shape, path)
    if 0 in item_shape:
        raise BadInputError(
            f"axis {shape.index(0, 1)} of input {value.name!r} of {path} has the size 0: its shape is {_sizes(shape)}",
            remedy="export it with the size that it is fed with",
        )
    if math.prod(item_shape) >= _ADDRESSABLE_BYTES:
        raise BadInputError(
            f"input {value.name!r} of {path} has the shape {_sizes(shape)}, which no memory holds",
            remedy="export it with the size that it is fed with",
        )
    return TensorSpec(name=value.name, item_shape=item_shape, dtype=dtype)


def check_output(value: onnx.ValueInfoProto, *, shape: Sequence[Dimension] | None, path: Path) -> None:
    """Refuse an output that no lane can take, as far as the file tells: the first inference tells the rest.

    Args:
        shape: As inferred or declared; None where nothing is known.

    Raises:
        BadInputError: It is no tensor, numpy has no such type, or it is known to have no axis.
    """
    _check_tensor(value, what="output", path=path)
    if value.type.tensor_type.elem_type != TensorProto.UNDEFINED:
        _dtype(value, what="output", path=path)
    if shape is not None and not shape:
        raise BadInputError(
            f"{path} has no batch axis: output {value.name!r} {_text(shape)}", remedy=_EXPORT_WITH_BATCH
        )


def output_spec(value: onnx.ValueInfoProto, *, shape: Sequence[Dimension] | None, path: Path) -> TensorSpec | None:
    """Return one output, or None where its type or a size of one item is not known before the engine has run.

    Args:
        shape: As inferred or declared, the batch axis included; None where nothing is known.
    """
    if not shape or value.type.tensor_type.elem_type == TensorProto.UNDEFINED:
        return None
    item_shape = tuple(size for size in shape[1:] if isinstance(size, int))
    if len(item_shape) < len(shape) - 1:
        return None
    return TensorSpec(name=value.name, item_shape=item_shape, dtype=_dtype(value, what="output", path=path))


def output_without_batch(name: str, shape: Sequence[Dimension], *, batch: int, path: Path) -> BadInputError:
    """Return the refusal of a network that has an output of that shape at that batch."""
    shape = [size if isinstance(size, int) else None for size in shape]  # names that the inference gives say nothing
    return BadInputError(
        f"output {name!r} of {path} has no batch axis: at batch {batch} it {_text(shape)}",
        remedy="export it with the batch as the first axis, and without what mixes the items, such as non-maximum "
        "suppression",
    )


def _free_axis(name: str, shape: Sequence[Dimension], path: Path) -> BadInputError:
    free = {axis: size for axis, size in enumerate(shape) if axis and not isinstance(size, int)}
    axis, size = next(iter(free.items()))
    what = f"axis {axis} of input {name!r} of {path} has no fixed size: its shape is {_sizes(shape)}"
    batch_axis = next((one for one, label in free.items() if label and _BATCH_NAME.search(str(label))), None)
    if batch_axis is not None and not (isinstance(shape[0], str) and _BATCH_NAME.search(shape[0])):
        return BadInputError(
            f"{what}; axis {batch_axis} seems to be the batch", remedy="export it with the batch as the first axis"
        )
    if isinstance(size, str):
        fix = f"--dim_param {shlex.quote(size)} --dim_value NUMBER"
    else:
        sizes = ["1", *(str(one) if isinstance(one, int) else "NUMBER" for one in shape[1:])]
        fix = f"--input_name {shlex.quote(name)} --input_shape {','.join(sizes)}"
    return BadInputError(
        what,
        remedy=f"fix all axes but the batch (python -m onnxruntime.tools.make_dynamic_shape_fixed {fix} IN OUT)",
    )


def _check_tensor(value: onnx.ValueInfoProto, *, what: str, path: Path) -> None:
    kind = value.type.WhichOneof("value")
    if kind == "tensor_type" or (kind is None and what == "output"):
        return
    is_zipmap = kind == "sequence_type" and value.type.sequence_type.elem_type.WhichOneof("value") == "map_type"
    raise BadInputError(
        f"{what} {value.name!r} of {path} is {_KIND_NAMES.get(kind, kind)}, not a tensor",
        remedy="export it without ZipMap (skl2onnx: options={'zipmap': False})" if is_zipmap else _EXPORT_TENSORS,
    )


def _dtype(value: onnx.ValueInfoProto, *, what: str, path: Path) -> str:
    code = value.type.tensor_type.elem_type
    if code not in _NUMPY_NAMES:
        raise BadInputError(
            f"{what} {value.name!r} of {path} is {_TYPE_NAMES.get(code, f'of the type {code}')}, "
            "which is no number that numpy has",
            remedy=_EXPORT_TENSORS,
        )
    return _NUMPY_NAMES[code]


def _text(shape: Sequence[Dimension] | None) -> str:
    """Return `is a scalar`, `has no shape` or the shape, with `?` for a size of which nothing is said."""
    if shape is None:
        return "has no shape"
    return f"has the shape {_sizes(shape)}" if shape else "is a scalar"


def _sizes(shape: Sequence[Dimension]) -> str:
    # repr, without its quotes: names come from the file and may have line breaks.
    return f"({', '.join('?' if size is None else repr(size).strip(_QUOTES) for size in shape)})"
