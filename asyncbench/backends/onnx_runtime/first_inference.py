"""The first inferences of an ONNX Runtime session: what the outputs are, and whether they grow with the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from asyncbench.errors import BadInputError, DoesNotFitError
from asyncbench.memory.host.process_limits import speaks_of_memory
from asyncbench.models.onnxruntime_messages import batch_inside, plain_text
from asyncbench.tensors import AnyArray, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstInference:
    """Inputs and outputs of the network at one batch."""

    batch: int
    inputs: Mapping[str, AnyArray]
    outputs: tuple[TensorSpec, ...]


def first_inference(
    path: Path, session: ort.InferenceSession, inputs: Sequence[TensorSpec], batches: tuple[int, ...]
) -> FirstInference:
    """Run at batch 1, or where that is not to be had, at the first that was asked for."""
    has_free_batch = not any(isinstance(value.shape[0], int) for value in session.get_inputs())
    if has_free_batch and batches[0] > 1:
        with suppress(BadInputError):  # of a graph that fixes another batch inside
            return _infer(path, session, inputs, batch=1)
    return _infer(path, session, inputs, batch=batches[0])


def check_other_batch(
    path: Path,
    session: ort.InferenceSession,
    inputs: Sequence[TensorSpec],
    batches: tuple[int, ...],
    first: FirstInference,
) -> None:
    """Refuse a network whose outputs do not grow with the batch.

    One item more than in the first inference takes the least memory. A network that refuses that is asked at a batch
    that the sweep will ask of it, too.

    Raises:
        BadInputError: It is one, or fails at another batch than its first.
    """
    asked = [batch for batch in batches if batch != first.batch]
    refusals: list[BadInputError] = []
    for batch in dict.fromkeys((first.batch + 1, *asked[:1])) if asked else ():
        try:
            _check_same_items(path, first, _infer(path, session, inputs, batch=batch, options=shrinking_options()))
        except BadInputError as error:
            refusals.append(error)
        except DoesNotFitError:  # which is for the cells to find out
            return
        else:
            return
    if refusals:
        raise BadInputError(
            f"{refusals[-1].message}; at batch {first.batch} it runs: the graph fixes the batch inside",
            remedy=f"use --batch {first.batch}, or export it with a batch that is free inside too",
        ) from refusals[-1]


def declares_other_shapes(
    session: ort.InferenceSession, outputs: Sequence[TensorSpec], batches: tuple[int, ...]
) -> bool:
    """Return whether the session expects other shapes of its outputs than they have at these batches."""
    return any(
        _contradicts(value.shape, (batch, *spec.item_shape))
        for value, spec in zip(session.get_outputs(), outputs, strict=True)
        for batch in batches
    )


def _contradicts(declared: Sequence[object], shape: Sequence[int]) -> bool:
    if not declared:  # nothing is said, or that it is a scalar, which a run has told from one
        return False
    return len(declared) != len(shape) or any(
        isinstance(said, int) and said != size for said, size in zip(declared, shape, strict=True)
    )


def _check_same_items(path: Path, first: FirstInference, other: FirstInference) -> None:
    for one, two in zip(first.outputs, other.outputs, strict=True):
        if one.item_shape != two.item_shape:
            raise BadInputError(
                f"{path}: an item of output {one.name!r} has the shape {two.item_shape} at batch {other.batch}, and "
                f"{one.item_shape} at batch {first.batch}"
            )


def _infer(
    path: Path,
    session: ort.InferenceSession,
    inputs: Sequence[TensorSpec],
    *,
    batch: int,
    options: ort.RunOptions | None = None,
) -> FirstInference:
    """Run once on zeros.

    Raises:
        BadInputError: The network refuses the batch, or an output lacks it.
    """
    fed = _zeros(path, inputs, batch)
    try:
        arrays = session.run(None, dict(fed), options)
    except Exception as error:  # onnxruntime's own errors have no base class but this one
        raise _cannot_run(path, error, batch=batch) from error
    named = zip(session.get_outputs(), arrays, strict=True)
    outputs = tuple(_output_spec(path, value, array, batch=batch) for value, array in named)
    return FirstInference(batch=batch, inputs=fed, outputs=outputs)


def _zeros(path: Path, inputs: Sequence[TensorSpec], batch: int) -> Mapping[str, AnyArray]:
    try:
        return {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in inputs}
    except (MemoryError, ValueError) as error:  # ValueError: more than an address can tell
        raise DoesNotFitError(
            f"{path}: the inputs of batch {batch} were refused host memory: {error}",
            remedy="lower --batch, or export the model with smaller inputs",
        ) from error


def _output_spec(path: Path, value: ort.NodeArg, array: object, *, batch: int) -> TensorSpec:
    if not isinstance(array, np.ndarray):
        is_zipmap = value.type.startswith("seq(map")
        raise BadInputError(
            f"{path}: output {value.name!r} is no tensor but {value.type}",
            remedy="export it without ZipMap (skl2onnx: options={'zipmap': False})"
            if is_zipmap
            else "export it with tensors of numbers as outputs",
        )
    if array.dtype.kind not in "biuf":
        raise BadInputError(
            f"{path}: output {value.name!r} is {type_text(value.type)}, which cannot be compared",
            remedy="export it with numbers as outputs, such as scores or indices",
        )
    if array.shape[:1] != (batch,):
        shape = f"has the shape {array.shape} at batch {batch}" if array.shape else "is a scalar"
        raise BadInputError(
            f"{path}: output {value.name!r} {shape}, without the batch as its first axis",
            remedy="cut the graph before the node that mixes the items, such as its non-maximum suppression",
        )
    return TensorSpec(name=value.name, item_shape=array.shape[1:], dtype=array.dtype.name)


def shrinking_options() -> ort.RunOptions:
    """Return options of an inference that gives the arena's free memory back to the system."""
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def type_text(name: str) -> str:
    """Return `of the type string` for ONNX Runtime's `tensor(string)`; other types are no tensors."""
    inner = name.removeprefix("tensor(")
    return f"of the type {inner.removesuffix(')')}" if inner != name else f"no tensor but {name}"


def _cannot_run(path: Path, error: Exception, *, batch: int) -> BadInputError | DoesNotFitError:
    text = plain_text(error)
    if isinstance(error, MemoryError) or speaks_of_memory(text):
        return DoesNotFitError(
            f"an inference of {path} at batch {batch} was refused host memory: {text}", remedy="free host memory"
        )
    inside = batch_inside(error, batch=batch)
    return BadInputError(
        f"{path} cannot be run at batch {batch}: {text}",
        remedy="try another --batch, or export it again"
        if inside is None
        else f"the graph seems to fix the batch inside: use --batch {inside}, or export it with a free one",
    )
