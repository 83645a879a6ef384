"""Which precisions a TensorRT flavour can build for a GPU, decided before anything is built. Pure."""

from __future__ import annotations

from asyncbench.backends.tensorrt.flavour import Flavour
from asyncbench.backends.tensorrt.gpu_facts import GpuFacts
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.cell import Precision

# Smallest compute capability with hardware for it. Source: TensorRT support matrix, "Hardware and Precision", and for
# what came before the GPUs listed there the CUDA C++ Programming Guide, "Arithmetic Instructions".
_NEEDS_COMPUTE_CAPABILITY = {
    Precision.FP32: (0, 0),
    Precision.FP16: (5, 3),
    Precision.INT8: (6, 1),
    Precision.BF16: (8, 0),
    Precision.FP8: (8, 9),
}
# GPUs above the threshold that lack it all the same.
_LACKS = {Precision.FP16: {(6, 1)}, Precision.INT8: {(6, 2)}}


def supported_precisions(flavour: Flavour, gpu: GpuFacts) -> tuple[Precision, ...]:
    """Return what can be built, in the order of `Precision`."""
    return tuple(
        precision
        for precision, needed in _NEEDS_COMPUTE_CAPABILITY.items()
        if flavour.can_build(precision)
        and gpu.compute_capability >= needed
        and gpu.compute_capability not in _LACKS.get(precision, ())
    )


def check_precision(precision: Precision, flavour: Flavour, gpu: GpuFacts) -> None:
    """Refuse a precision that this flavour or this GPU does not have.

    Raises:
        BackendUnavailableError: With what is supported instead.
    """
    supported = supported_precisions(flavour, gpu)
    if precision in supported:
        return
    if flavour.can_build(precision):
        blame = f"{gpu.name} (compute capability {gpu.compute_capability_text}) has no hardware for"
    else:
        blame = f"{flavour} cannot build"
    names = ", ".join(supported)
    raise BackendUnavailableError(
        f"{blame} {precision}", remedy=f"choose --precision from {names}", precision=str(precision), supported=names
    )
