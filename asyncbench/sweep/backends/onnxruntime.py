"""The `onnxruntime` backend: ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.fields import Flag

MAX_INTRA_OP_THREADS = 1024
"""More than any machine has processors; so many that cannot be started would keep the runtime busy for minutes."""


class OnnxRuntimeOptions(BackendOptions):
    """Options of ONNX Runtime."""

    intra_op_threads: Annotated[int, Flag()] = Field(
        default=1, ge=1, le=MAX_INTRA_OP_THREADS, description="ONNX Runtime: threads of one inference on the CPU."
    )


ONNXRUNTIME = BackendDescriptor(
    name="onnxruntime",
    options=OnnxRuntimeOptions,
    factory="asyncbench.backends.onnx_runtime.backend:make_backend",
    reference_precisions=frozenset({Precision.FP32}),
)
