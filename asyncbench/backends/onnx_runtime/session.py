"""One ONNX Runtime session: how it is set up, what the model takes and gives, what one inference of it costs."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import onnx
import onnxruntime as ort

from asyncbench.backends.onnx_runtime.first_inference import (
    check_other_batch,
    declares_other_shapes,
    first_inference,
    shrinking_options,
    type_text,
)
from asyncbench.clock import now_ns
from asyncbench.errors import BackendUnavailableError, BadInputError, DoesNotFitError
from asyncbench.files.user_file import require_regular_file
from asyncbench.memory.host.process_limits import speaks_of_memory
from asyncbench.models.model_hash import model_sha256
from asyncbench.models.onnxruntime_messages import explain_unusable, plain_text
from asyncbench.tensors import AnyArray, TensorSpec

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
    "tensor(uint32)": "uint32",
    "tensor(int64)": "int64",
    "tensor(uint64)": "uint64",
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
    """Open the model and run it once or twice, at batch 1 if it can, on zeros. Blocks: call it on a thread.

    The first inference finds the shapes of the outputs, which a graph need not state, and fails now rather than in a
    cell. One more at the next batch tells whether the batch, which is free in the inputs, is free inside too.

    Args:
        model_hash: What the model is known by; None to find it out.

    Raises:
        BadInputError: Not a file, not a model, or not one that these batches can be asked of.
        BackendUnavailableError: The machine refuses so many threads.
        DoesNotFitError: The host refused the memory of one item.
    """
    require_regular_file(path, what="the model", remedy="name an ONNX file")
    model_hash = model_hash or model_sha256(path)
    _try_threads(intra_op_threads - 1)
    started_at_ns = now_ns()
    session = _open_session(path, path, _session_options(intra_op_threads))
    load_ns = now_ns() - started_at_ns
    inputs = tuple(_input_spec(path, value) for value in session.get_inputs())
    _check_fixed_batch(path, session, batches)
    _return_free_heap()
    resident_bytes = _resident_bytes()
    first = first_inference(path, session, inputs, batches)
    activation_bytes = max(_resident_bytes() - resident_bytes, 0) // first.batch
    check_other_batch(path, session, inputs, batches, first)
    if declares_other_shapes(session, first.outputs, batches):
        del session  # two of them may be more than the memory holds
        session = _open_without_declared_shapes(path, intra_op_threads)
    return LoadedModel(
        session=session,
        model_hash=model_hash,
        load_ns=load_ns,
        inputs=inputs,
        outputs=first.outputs,
        smallest_inputs=first.inputs,
        activation_bytes=activation_bytes,
    )


def _open_session(path: Path, model: Path | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    """Open what `model` holds.

    Raises:
        BadInputError: The runtime does not take it; the message names `path`.
    """
    try:
        # Its fallback is to the provider that has just failed, and prints four lines about that.
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # onnxruntime's own errors have no base class but this one
        raise _unusable(path, error) from error


def _open_without_declared_shapes(path: Path, intra_op_threads: int) -> ort.InferenceSession:
    """Open a model whose file says of its outputs what is not true of them.

    Whoever frees the batch of the inputs by hand forgets the outputs. An inference into memory of the caller's is
    refused for that, and one into memory of the runtime's is not.
    """
    model = onnx.load_model(path, load_external_data=False)
    for value in (*model.graph.value_info, *model.graph.output):
        value.type.tensor_type.ClearField("shape")
    options = _session_options(intra_op_threads)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    return _open_session(path, model.SerializeToString(), options)


def shrink_arena(model: LoadedModel) -> None:
    """Give the arena's free memory back to the system. Only while no lane runs.

    The runtime offers this as an option of an inference, not as a call, so it costs one at the smallest batch.
    Measured on MobileNet v1 after 8 concurrent inferences of batch 16: 965 MB resident before, 181 MB after, 88 ms.
    """
    model.session.run(None, dict(model.smallest_inputs), shrinking_options())


def _try_threads(count: int) -> None:
    """Start as many threads as the runtime will, and end them: where one of its own is refused it hangs for ever.

    Raises:
        BackendUnavailableError: One was refused, by a limit on processes or on memory.
    """
    may_end = Event()
    with ThreadPoolExecutor(max_workers=max(count, 1)) as pool:
        try:
            for _ in range(count):
                pool.submit(may_end.wait)
        except RuntimeError as error:
            raise BackendUnavailableError(
                f"this machine refused one of the {count + 1} threads of an inference ({error})",
                remedy="lower --intra-op-threads",
            ) from error
        finally:
            may_end.set()


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


def _input_spec(path: Path, value: ort.NodeArg) -> TensorSpec:
    shape = value.shape
    if value.type not in _DTYPES:
        raise BadInputError(
            f"{path}: input {value.name!r} is {type_text(value.type)}, which cannot be fed",
            remedy="export the model with tensors of numbers that numpy has, such as float32",
        )
    if not shape:
        raise BadInputError(
            f"{path}: input {value.name!r} has no batch axis: it is a scalar, or of no known shape",
            remedy="export the model with the batch as the first axis of every input",
        )
    if not all(isinstance(size, int) for size in shape[1:]):
        raise BadInputError(
            f"{path}: input {value.name!r} has the shape {shape}: an axis other than the batch is free",
            remedy="fix it with onnxruntime.tools.make_dynamic_shape_fixed",
        )
    return TensorSpec(name=value.name, item_shape=tuple(shape[1:]), dtype=_DTYPES[value.type])


def _check_fixed_batch(path: Path, session: ort.InferenceSession, batches: tuple[int, ...]) -> None:
    fixed = {value.shape[0]: value.name for value in session.get_inputs() if isinstance(value.shape[0], int)}
    for size, name in fixed.items():
        if size < 1:
            raise BadInputError(
                f"{path}: the first axis of input {name!r} has the size {size}", remedy="export it with a free one"
            )
        if batches != (size,):
            raise BadInputError(
                f"{path}: input {name!r} has no batch axis, only a fixed batch of {size}",
                remedy=f"export the model with a free first axis, or ask for --batch {size}",
            )


def _return_free_heap() -> None:
    """Give the system back what the allocator holds for later, or an inference would seem to need less than it does."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _unusable(path: Path, error: Exception) -> BadInputError | DoesNotFitError:
    text = plain_text(error)
    if isinstance(error, MemoryError) or speaks_of_memory(text):
        return DoesNotFitError(f"{path} was refused host memory: {text}", remedy="free host memory")
    explanation = explain_unusable(error)
    return BadInputError(f"{path} {explanation.text}", remedy=explanation.remedy)
