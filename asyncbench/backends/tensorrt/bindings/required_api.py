"""The members of the bindings that `versions` uses and that not every version has, by what a version is.

What all versions share is in `protocols`. Tests hold both to the real bindings; `missing_members` also tells on a
user's machine whether a TensorRT that came after this was written can be used.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType

from asyncbench.backends.tensorrt.bindings import protocols
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant, variant_of

Members = Mapping[str, tuple[str, ...]]

_BUILDER_CLASSES = ("Builder", "INetworkDefinition", "ITensor", "IOptimizationProfile", "OnnxParser", "IBuilderConfig")

RUNTIME: Members = {
    "ILogger": ("Severity", "log", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO"),
    "ICudaEngine": ("get_tensor_mode", "get_tensor_dtype", "create_execution_context"),
    "TensorIOMode": ("INPUT",),
    "DataType": ("FLOAT", "HALF", "INT8", "INT32", "BOOL"),
    "IGpuAllocator": ("reallocate",),
}
# RTX has left the plain names out of the class, and calls them all the same.
PLAIN_ALLOCATOR: Members = {"IGpuAllocator": ("allocate", "deallocate")}
STREAM_ALLOCATOR: Members = {"IGpuAllocator": ("allocate_async", "deallocate_async")}
FIXED_ACTIVATION: Members = {
    "ICudaEngine": ("device_memory_size", "create_execution_context_without_device_memory"),
    "IExecutionContext": ("device_memory",),
}
ACTIVATION_FOR_SHAPES: Members = {
    "ICudaEngine": ("get_device_memory_size_for_profile_v2",),
    "IExecutionContext": ("set_device_memory", "update_device_memory_size_for_shapes"),
    "ExecutionContextAllocationStrategy": ("USER_MANAGED",),
}
BUILDER: Members = {
    "Builder": ("create_network",),
    "BuilderFlag": ("TF32",),
    "IBuilderConfig": ("clear_flag", "set_flag", "set_memory_pool_limit", "set_preview_feature"),
    "MemoryPoolType": ("WORKSPACE",),
    "OnnxParser": ("get_error",),
    "PreviewFeature": ("__members__",),
    "TacticSource": ("JIT_CONVOLUTIONS",),
}
PARSER_ERRORS: Members = {"ParserError": ("desc", "node")}
EXPLICIT_BATCH: Members = {
    "NetworkDefinitionCreationFlag": ("EXPLICIT_BATCH",),
    "PreviewFeature": ("PROFILE_SHARING_0806",),
}
PRECISION_FLAGS: Members = {"BuilderFlag": ("FP16", "INT8")}
STRONG_TYPES: Members = {"NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",)}
CALIBRATORS: Members = {
    "IInt8EntropyCalibrator2": ("read_calibration_cache", "write_calibration_cache", "get_batch", "get_batch_size"),
    "IBuilderConfig": ("int8_calibrator",),
}
PROGRESS: Members = {
    "IProgressMonitor": ("phase_start", "step_complete", "phase_finish"),
    "IBuilderConfig": ("progress_monitor",),
}
TIMING_CACHE: Members = {
    "IBuilderConfig": ("create_timing_cache", "set_timing_cache", "get_timing_cache"),
    "ITimingCache": ("combine", "serialize"),
}
RTX_BUILDER: Members = {
    "ComputeCapability": ("SM89",),
    "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability"),
}
RTX_RUNTIME: Members = {
    "ICudaEngine": ("create_runtime_config",),
    "IRuntimeConfig": ("set_execution_context_allocation_strategy", "dynamic_shapes_kernel_specialization_strategy"),
    "DynamicShapesKernelSpecializationStrategy": ("EAGER",),
}


def required_members(variant: TensorRtVariant) -> Iterator[tuple[str, str]]:
    """Yield every (class, member) that we use of this variant."""
    yield from _shared_members(has_builder=variant.has_builder)
    for members in _differing_members(variant):
        for class_name, names in members.items():
            yield from ((class_name, name) for name in names)


def missing_members(module: ModuleType) -> tuple[str, ...]:
    """Return the `Class.member` names that we use and that this TensorRT lacks."""
    return tuple(
        f"{class_name}.{name}"
        for class_name, name in required_members(variant_of(module))
        if not hasattr(getattr(module, class_name, None), name)
    )


def _shared_members(*, has_builder: bool) -> Iterator[tuple[str, str]]:
    for class_name, protocol in inspect.getmembers(protocols, inspect.isclass):
        if protocol.__module__ != protocols.__name__ or (class_name in _BUILDER_CLASSES and not has_builder):
            continue
        names = {name for name in (*vars(protocol), *protocol.__annotations__) if not name.startswith("_")}
        yield from ((class_name, name) for name in sorted(names))


def _differing_members(variant: TensorRtVariant) -> Iterator[Members]:
    yield RUNTIME
    yield ACTIVATION_FOR_SHAPES if variant.has_user_managed_contexts else FIXED_ACTIVATION
    yield STREAM_ALLOCATOR if variant.has_user_managed_contexts else PLAIN_ALLOCATOR
    if variant.name is TensorRtProduct.RTX:
        yield RTX_RUNTIME
    if variant.has_builder:
        yield from _builder_members(variant)


def _builder_members(variant: TensorRtVariant) -> Iterator[Members]:
    yield BUILDER
    yield PARSER_ERRORS
    yield PRECISION_FLAGS if variant.has_precision_flags else STRONG_TYPES
    choices = (
        (not variant.has_user_managed_contexts, EXPLICIT_BATCH),
        (variant.has_calibrators, CALIBRATORS),
        (variant.has_progress_monitor, PROGRESS),
        (variant.has_timing_cache, TIMING_CACHE),
        (variant.name is TensorRtProduct.RTX, RTX_BUILDER),
    )
    yield from (members for is_used, members in choices if is_used)
