"""Variant of TensorRT that is installed: its product, its version, and which of the things that differ it has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType

from asyncbench.sweep.cell import Precision
from asyncbench.text_enum import TextEnum


class TensorRtProduct(TextEnum):
    """Product of NVIDIA. An engine of one cannot be used by another."""

    TENSORRT = "tensorrt"
    RTX = "tensorrt_rtx"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRtVariant:
    """One installed TensorRT, and what it can do.

    Attributes:
        version: The full version, such as `8.6.0` or `11.4.0.106`.
        has_builder: False for the lean runtime, which only runs engines.
        has_precision_flags: True up to 10: the builder picks kernels of a lower precision by itself. From 11 on, and in
            RTX, a network is strongly typed: the precision is in the graph.
        has_user_managed_contexts: True from 10 on: a context takes memory of ours together with its size.
        has_calibrators: True up to 10: INT8 without a quantized graph.
    """

    name: TensorRtProduct
    version: str
    module_name: str
    has_builder: bool
    has_progress_monitor: bool
    has_timing_cache: bool
    has_precision_flags: bool
    has_calibrators: bool
    has_user_managed_contexts: bool
    precision_flags: frozenset[Precision]

    def can_build(self, precision: Precision) -> bool:
        """Return whether this version has the precision at all; whether the GPU has it is another question."""
        if not self.has_builder:
            return False
        return precision is Precision.FP32 or not self.has_precision_flags or precision in self.precision_flags

    def __str__(self) -> str:
        name = "TensorRT-RTX" if self.name is TensorRtProduct.RTX else "TensorRT"
        return f"{name} {self.version}{'' if self.has_builder else ' (runtime only)'}"


def variant_of(module: ModuleType) -> TensorRtVariant:
    """Return the facts of an imported TensorRT, asked of what it has rather than concluded from its number.

    JetPack, lean and RTX builds differ from the desktop ones of the same number.
    """
    flags = getattr(module, "BuilderFlag", object())
    is_rtx = "rtx" in module.__name__
    has_builder = hasattr(module, "Builder")
    # 8.6 has an FP8 flag already, for plug-ins only; layers take it from 10 on.
    named = {precision: hasattr(flags, precision.name) for precision in Precision}
    named[Precision.FP8] = named[Precision.FP8] and hasattr(module, "IProgressMonitor")
    return TensorRtVariant(
        name=TensorRtProduct.RTX if is_rtx else TensorRtProduct.TENSORRT,
        version=module.__version__,
        module_name=module.__name__,
        has_builder=has_builder,
        has_progress_monitor=hasattr(module, "IProgressMonitor"),
        # RTX keeps the functions, warns that they are deprecated, and does nothing in them.
        has_timing_cache=has_builder and not is_rtx,
        has_precision_flags=has_builder and named[Precision.FP16],
        has_calibrators=hasattr(module, "IInt8EntropyCalibrator2"),
        has_user_managed_contexts=hasattr(module, "ExecutionContextAllocationStrategy"),
        precision_flags=frozenset(precision for precision, there in named.items() if there),
    )


# Where a plan carries (major, minor, patch, build), one byte each.
_PLAN_VERSION = slice(24, 28)
_PLAN_TAGS = {b"ftrt": TensorRtProduct.TENSORRT, b"vtrt": TensorRtProduct.RTX}


def why_plan_is_foreign(head: bytes, variant: TensorRtVariant) -> str | None:
    """Say why a plan that starts with `head` is not one of this variant and version, or return None.

    A plan starts with a tag; the version follows further on. Source: `printPlanVersion` of trtexec
    (samples/common/sampleEngines.cpp); for RTX, which only has another tag, seen in engines of 1.7.
    """
    name = _PLAN_TAGS.get(head[:4])
    if name is None or len(head) < _PLAN_VERSION.stop:
        return "it is no TensorRT engine"
    wanted = [int(number) for number in re.findall(r"\d+", variant.version)[:4]]
    version = list(head[_PLAN_VERSION])
    if name is variant.name and version[: len(wanted)] == [number % 256 for number in wanted]:
        return None
    return f"it was built by {name} {'.'.join(map(str, version))}, this is {variant.name} {variant.version}"
