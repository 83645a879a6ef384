"""One ONNX Runtime session: how it is set up, what the model takes and gives, what one inference of it costs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from asyncbench.backends.base import AnyArray, TensorSpec
from asyncbench.clock import now_ns
from asyncbench.errors import BadInputError
from asyncbench.models.model_hash import model_sha256

_LOG_NOTHING = 4  # what goes wrong is raised as an exception; the native logger would say it a second time on stderr
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(uint16)": "uint16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A session and what was found out while it was opened.

    Attributes:
        smallest_inputs: Zeros for batch 1, or for the fixed batch of the network; what the first inference ran on.
        activation_bytes: Resident memory that the first inference added, per item.
    """

    session: ort.InferenceSession
    model_hash: str
    load_ns: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    smallest_inputs: Mapping[str, AnyArray]
    activation_bytes: int


def load_model(
    path: Path, *, batches: tuple[int, ...], intra_op_threads: int, model_hash: str | None = None
) -> LoadedModel:
    """Open the model and run it once, at batch 1 if it can, on zeros. Blocks: call it on a thread.

    The inference finds the shapes of the outputs, which a graph need not state, and fails now rather than in a cell.

    Args:
        model_hash: What the model is known by; None to find it out.

    Raises:
        BadInputError: Not a file, not a model, or not one that these batches can be asked of.
    """
    model_hash = model_hash or model_sha256(path)
    try:
        started_at_ns = now_ns()
        session = ort.InferenceSession(path, _session_options(intra_op_threads), providers=["CPUExecutionProvider"])
        load_ns = now_ns() - started_at_ns
    except Exception as error:  # onnxruntime's own errors have no base class but this one
        raise _unusable(path, error) from error
    inputs = tuple(_input_spec(path, value, batches) for value in session.get_inputs())
    batch = min(1 if _has_free_batch(session) else batches[0], batches[0])
    smallest_inputs = {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in inputs}
    _return_free_heap()
    resident_bytes = _resident_bytes()
    outputs = _first_inference(path, session, smallest_inputs, batch=batch)
    return LoadedModel(
        session=session,
        model_hash=model_hash,
        load_ns=load_ns,
        inputs=inputs,
        outputs=outputs,
        smallest_inputs=smallest_inputs,
        activation_bytes=max(_resident_bytes() - resident_bytes, 0) // batch,
    )


def shrink_arena(model: LoadedModel) -> None:
    """Give the arena's free memory back to the system. Only while no lane runs.

    The runtime offers this as an option of an inference, not as a call, so it costs one at the smallest batch.
    Measured on MobileNet v1 after 8 concurrent inferences of batch 16: 965 MB resident before, 181 MB after, 88 ms.
    """
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    model.session.run(None, dict(model.smallest_inputs), options)


def _session_options(intra_op_threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _LOG_NOTHING
    # Idle threads of a pool would take the cores that the other lanes are measured on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without the arena every inference maps and faults in its activations again: 10 to 15 % slower on MobileNet v1.
    # It never shrinks by itself (1,034 MB after a small sweep): see `shrink_arena`.
    options.enable_cpu_mem_arena = True
    return options


def _has_free_batch(session: ort.InferenceSession) -> bool:
    return not any(isinstance(value.shape[0], int) for value in session.get_inputs())


def _input_spec(path: Path, value: ort.NodeArg, batches: tuple[int, ...]) -> TensorSpec:
    shape = value.shape
    if not shape or value.type not in _DTYPES:
        raise BadInputError(
            f"{path}: input {value.name!r} is a {value.type} of shape {shape}, without a batch axis that can be fed",
            remedy="export the model with tensor inputs whose first axis is the batch",
        )
    if isinstance(shape[0], int) and batches != (shape[0],):
        raise BadInputError(
            f"{path}: input {value.name!r} has no batch axis, only a fixed batch of {shape[0]}",
            remedy=f"export the model with a free first axis, or ask for --batch {shape[0]}",
        )
    if not all(isinstance(size, int) for size in shape[1:]):
        raise BadInputError(
            f"{path}: input {value.name!r} has the shape {shape}: an axis other than the batch is free",
            remedy="fix it with onnxruntime.tools.make_dynamic_shape_fixed",
        )
    return TensorSpec(name=value.name, item_shape=tuple(shape[1:]), dtype=_DTYPES[value.type])


def _first_inference(
    path: Path, session: ort.InferenceSession, inputs: Mapping[str, AnyArray], *, batch: int
) -> tuple[TensorSpec, ...]:
    try:
        arrays = session.run(None, dict(inputs))
    except Exception as error:  # onnxruntime's own errors have no base class but this one
        raise _unusable(path, error) from error
    named = zip(session.get_outputs(), arrays, strict=True)
    return tuple(_output_spec(path, value.name, array, batch=batch) for value, array in named)


def _output_spec(path: Path, name: str, array: object, *, batch: int) -> TensorSpec:
    if not isinstance(array, np.ndarray) or array.shape[:1] != (batch,):
        shape = array.shape if isinstance(array, np.ndarray) else "no tensor"
        raise BadInputError(
            f"{path}: output {name!r} ({shape}) does not have the batch of {batch} as its first axis",
            remedy="cut the graph before the node that mixes the items, such as its non-maximum suppression",
        )
    return TensorSpec(name=name, item_shape=array.shape[1:], dtype=array.dtype.name)


def _return_free_heap() -> None:
    """Give the system back what the allocator holds for later, or an inference would seem to need less than it does."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _unusable(path: Path, error: Exception) -> BadInputError:
    text = " ".join(str(error).split())
    return BadInputError(
        f"{path} cannot be used as a model: {text}", remedy="give an ONNX file that this ONNX Runtime can load"
    )
