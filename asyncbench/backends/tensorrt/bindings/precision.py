"""Precisions that a variant of TensorRT can build for a GPU, decided before anything is built. Pure.

A GPU is known by its compute capability, never by its name: a board that came after this was written is judged like
the others. TensorRT itself could be asked for fp16 and int8 up to version 10 (`platform_has_fast_fp16`, deprecated in
10.5: "query data type support from CUDA directly", gone in 11), but only through a builder, which loads its kernels
into the very process that measures. So only `asyncbench doctor` asks it, and says where it disagrees.

Sources: TensorRT support matrix, "Hardware and Precision", of 8.4 (GPUs from 5.0 on), of 10.1 ("compiled to support all
NVIDIA hardware with capability SM 7.0 or higher") and of TensorRT-RTX 1.5; release notes of 10.5 ("Volta support has
been removed"); CUDA C++ Programming Guide, "Arithmetic Instructions", for GPUs that the matrices leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.cell import Precision

ComputeCapability = tuple[int, int]

# Smallest compute capability with hardware for it.
_NEEDS: Mapping[Precision, ComputeCapability] = {
    Precision.FP32: (0, 0),
    Precision.FP16: (5, 3),
    Precision.INT8: (6, 1),
    Precision.BF16: (8, 0),
    Precision.FP8: (8, 9),
}
# GPUs above the threshold that lack it all the same: P4 and GTX 10 have no fp16, TX2 has no int8.
_LACKS: Mapping[Precision, frozenset[ComputeCapability]] = {
    Precision.FP16: frozenset({(6, 1)}),
    Precision.INT8: frozenset({(6, 2)}),
}
# TensorRT-RTX leaves the int8 of Turing unused. Above it, its matrix has int8 for the weights of matrix products only;
# quantized convolutions build as well, in which arithmetic it does not say.
_RTX_NEEDS: Mapping[Precision, ComputeCapability] = {Precision.INT8: (8, 0)}

# Newest first: from this version on, GPUs older than this are not supported at all.
_OLDEST_GPU: tuple[tuple[tuple[int, int], ComputeCapability], ...] = (((10, 5), (7, 5)), ((10, 0), (7, 0)))
_OLDEST_GPU_BEFORE: ComputeCapability = (5, 0)
_RTX_OLDEST_GPU: ComputeCapability = (7, 5)


def supported_precisions(variant: TensorRtVariant, gpu: GpuFacts) -> tuple[Precision, ...]:
    """Return what can be built, the most widespread first."""
    return tuple(precision for precision in _NEEDS if why_not(precision, variant, gpu) is None)


def why_not(precision: Precision, variant: TensorRtVariant, gpu: GpuFacts) -> str | None:
    """Return why a precision is not to be had, or None where it is."""
    oldest, capability = _oldest_gpu(variant), gpu.compute_capability
    if not variant.can_build(precision):
        return f"{variant} cannot build {precision}"
    if capability < oldest:
        needed = "{}.{}".format(*oldest)
        return f"{variant} needs a GPU of compute capability {needed} or newer, {_named(gpu)} is older"
    if capability < _NEEDS[precision] or capability in _LACKS.get(precision, ()):
        return f"{_named(gpu)} has no hardware for {precision}"
    if variant.name is TensorRtProduct.RTX and capability < _RTX_NEEDS.get(precision, oldest):
        return f"{variant} has no {precision} for {_named(gpu)}"
    return None


def check_precision(precision: Precision, variant: TensorRtVariant, gpu: GpuFacts) -> None:
    """Refuse a precision that this variant or this GPU does not have.

    Raises:
        BackendUnavailableError: With what is supported instead.
    """
    why = why_not(precision, variant, gpu)
    if why is None:
        return
    names = ", ".join(supported_precisions(variant, gpu))
    remedy = f"choose --precision from {names}" if names else "choose --backend onnxruntime"
    raise BackendUnavailableError(why, remedy=remedy, precision=str(precision), supported=names)


def describe_precisions(variant: TensorRtVariant, gpu: GpuFacts, *, called_slow: Iterable[Precision] = ()) -> str:
    """Return what is supported and why the rest is not, on one line for people.

    Args:
        called_slow: What TensorRT's own builder says the GPU has no fast hardware for, as `slow_precisions` asks it.
    """
    supported = supported_precisions(variant, gpu)
    reasons = [why for precision in _NEEDS if (why := why_not(precision, variant, gpu)) is not None]
    disputed = [f"{variant} itself calls {name} slow here" for name in called_slow if name in supported]
    return "; ".join([", ".join(supported) or "none", *dict.fromkeys(reasons), *disputed])


def slow_precisions(builder: object) -> tuple[Precision, ...]:
    """Return what a builder says the GPU has no fast hardware for. TensorRT 11's and RTX's say nothing of it."""
    asked = {Precision.FP16: "platform_has_fast_fp16", Precision.INT8: "platform_has_fast_int8"}
    return tuple(precision for precision, name in asked.items() if not getattr(builder, name, True))


def _oldest_gpu(variant: TensorRtVariant) -> ComputeCapability:
    if variant.name is TensorRtProduct.RTX:
        return _RTX_OLDEST_GPU
    major, minor = (int(number) for number in re.findall(r"\d+", variant.version)[:2])
    return next((oldest for since, oldest in _OLDEST_GPU if (major, minor) >= since), _OLDEST_GPU_BEFORE)


def _named(gpu: GpuFacts) -> str:
    return f"{gpu.name} (compute capability {gpu.compute_capability_text})"
