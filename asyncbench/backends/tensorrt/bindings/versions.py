"""Differences in the use of TensorRT 8.6, 10, 11, its lean runtime and TensorRT-RTX: all of them are here.

What is the same in all of them is typed in `protocols`, the facts that decide here are in `variant`, and `required_api`
says what each version must have. Longer than other modules, so that the next version has one place to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from asyncbench.backends.tensorrt.bindings.protocols import (
    Builder,
    IBuilderConfig,
    ICudaEngine,
    IExecutionContext,
    IHostMemory,
    INetworkDefinition,
    OnnxParser,
    Runtime,
)
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, variant_of
from asyncbench.errors import BackendUnavailableError, BadInputError, DoesNotFitError
from asyncbench.sweep.cell import Precision
from asyncbench.text_enum import TextEnum

# The bindings have no type stubs. Nothing of this type leaves the module.
Foreign: TypeAlias = Any


class Severity(TextEnum):
    """Severity of a message of TensorRT."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserFailure:
    """One thing that the ONNX parser could not do; `node_index` is its position in the graph, or -1."""

    description: str
    node_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IoTensor:
    """One input or output of an engine. `shape` has -1 where an engine with dynamic shapes leaves it open."""

    name: str
    is_input: bool
    shape: tuple[int, ...]
    dtype: str


_NUMPY_NAMES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


class Bindings:
    """One imported TensorRT. Not thread-safe by itself; TensorRT's own rules hold for what it returns."""

    def __init__(self, module: ModuleType) -> None:
        self.module: Foreign = module
        self.variant = variant_of(module)

    # -- for both sides

    def create_logger(self, on_message: Callable[[Severity, str], None]) -> object:
        """Return a logger that passes messages on, the verbose ones left out. Called from threads of TensorRT."""
        module = self.module
        severities = {
            module.ILogger.Severity.INTERNAL_ERROR: Severity.ERROR,
            module.ILogger.Severity.ERROR: Severity.ERROR,
            module.ILogger.Severity.WARNING: Severity.WARNING,
            module.ILogger.Severity.INFO: Severity.INFO,
        }

        base: Foreign = module.ILogger

        class ForwardingLogger(base):  # type: ignore[misc] # the bindings have no stubs
            def __init__(self) -> None:
                base.__init__(self)  # pybind11 insists on the explicit call

            def log(self, severity: Foreign, msg: str) -> None:
                known = severities.get(severity)
                if known is not None:
                    on_message(known, msg)

        return ForwardingLogger()

    def create_gpu_allocator(self, *, allocate: Callable[[int, int], int], free: Callable[[int], bool]) -> object:
        """Return an allocator for a builder or a runtime, which keep it alive. Called from threads of TensorRT.

        8.6 calls the first three methods. So do 10 and later, also for memory in stream order, until somebody derives
        from IGpuAsyncAllocator; their documentation asks for the other two all the same. Null is 0 here: the
        bindings cannot turn None into an address.

        Args:
            allocate: Given the bytes and the alignment (0 for any), returns an address, or 0 to refuse.
            free: Given an address, whether it was freed.
        """
        base: Foreign = self.module.IGpuAllocator

        class ForwardingAllocator(base):  # type: ignore[misc] # the bindings have no stubs
            def __init__(self) -> None:
                base.__init__(self)

            def allocate(self, size: int, alignment: int, _flags: int) -> int:
                return allocate(size, alignment)

            def reallocate(self, _address: int, _alignment: int, _new_size: int) -> int:
                return 0  # what is there stays; TensorRT allocates anew and copies

            def deallocate(self, memory: int) -> bool:
                return free(memory)

            def allocate_async(self, size: int, alignment: int, _flags: int, _stream: int) -> int:
                return allocate(size, alignment)

            def deallocate_async(self, memory: int, _stream: int) -> bool:
                return free(memory)

        return ForwardingAllocator()

    # -- for the builder

    def create_builder(self, logger: object) -> Builder:
        """Return a builder.

        Raises:
            BackendUnavailableError: There is no GPU, and this variant cannot build without.
        """
        try:
            return cast("Builder", self.module.Builder(logger))
        except (TypeError, RuntimeError) as error:  # pybind11 says TypeError when the factory returns null
            raise BackendUnavailableError(
                f"{self.variant} cannot build here: {error}", remedy="run nvidia-smi to see whether a GPU can be used"
            ) from error

    def create_network(self, builder: Builder) -> INetworkDefinition:
        """Return an empty network with an explicit batch axis, strongly typed where precision is in the graph."""
        kinds = self.module.NetworkDefinitionCreationFlag
        if not self.variant.has_user_managed_contexts:
            flags = 1 << int(kinds.EXPLICIT_BATCH)  # 8.6 would leave the batch axis out; later ones cannot
        elif self.variant.has_precision_flags:
            flags = 0
        else:
            flags = 1 << int(kinds.STRONGLY_TYPED)
        return cast("INetworkDefinition", _untyped(builder).create_network(flags))

    def create_parser(self, network: INetworkDefinition, logger: object) -> OnnxParser:
        """Return an ONNX parser that fills `network` in. It owns the weights: keep it until the build is done."""
        return cast("OnnxParser", self.module.OnnxParser(network, logger))

    def parser_failures(self, parser: OnnxParser) -> tuple[ParserFailure, ...]:
        """Return what the last parse stumbled over."""
        errors = [_untyped(parser).get_error(index) for index in range(parser.num_errors)]
        return tuple(ParserFailure(description=one.desc(), node_index=one.node()) for one in errors)

    def enable_precision(self, config: IBuilderConfig, precision: Precision) -> None:
        """Allow kernels of `precision`; nothing to do where the network is strongly typed.

        fp32 means fp32: TF32, which TensorRT allows by itself, is switched off. int8 and fp8 may fall back to fp16,
        without which their layers that are not quantized would run in fp32.
        """
        flags, any_config = self.module.BuilderFlag, _untyped(config)
        if precision is Precision.FP32:
            any_config.clear_flag(flags.TF32)
        elif self.variant.has_precision_flags:
            any_config.set_flag(getattr(flags, precision.name))
            if precision in (Precision.INT8, Precision.FP8):
                any_config.set_flag(flags.FP16)

    def use_calibration_cache(self, config: IBuilderConfig, cache: bytes) -> object:
        """Take the INT8 scales from a calibration cache; return what the caller must keep until the build is done.

        Raises:
            BadInputError: This version has no calibrators.
        """
        if not self.variant.has_calibrators:
            raise BadInputError(
                f"{self.variant} takes no calibration cache",
                remedy="quantize the graph instead (QuantizeLinear and DequantizeLinear nodes)",
            )
        module = self.module

        base: Foreign = module.IInt8EntropyCalibrator2

        class CachedScales(base):  # type: ignore[misc] # the bindings have no stubs
            def __init__(self) -> None:
                base.__init__(self)

            def get_batch_size(self) -> int:
                return 1

            def get_batch(self, _names: list[str]) -> None:
                return None  # no images: the cache must be complete

            def read_calibration_cache(self) -> bytes:
                return cache

            def write_calibration_cache(self, _cache: bytes) -> None:
                """Keep the caller's file as it is."""

        calibrator = CachedScales()
        _untyped(config).int8_calibrator = calibrator
        return calibrator

    def limit_workspace(self, config: IBuilderConfig, size_bytes: int) -> None:
        """Let no kernel that is tried or chosen take more scratch memory than this."""
        _untyped(config).set_memory_pool_limit(self.module.MemoryPoolType.WORKSPACE, size_bytes)

    def limit_tactic_sources(self, config: IBuilderConfig, names: Iterable[str]) -> None:
        """Take kernels only from these sources, such as `JIT_CONVOLUTIONS`.

        Raises:
            BadInputError: This version has no such source.
        """
        known = {name: int(value) for name, value in self.module.TacticSource.__members__.items()}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise BadInputError(
                f"{self.variant} has no tactic source {', '.join(unknown)}", remedy=f"choose from {', '.join(known)}"
            )
        config.set_tactic_sources(sum(1 << known[name] for name in set(names)))

    def prepare_for_lanes(self, config: IBuilderConfig) -> None:
        """Let execution contexts share a profile, and activation memory shrink with the batch, where that is optional.

        Sharing is always on from 10 on. Shrinking came with 10.10; before it, a context takes what the largest needs.
        """
        features = self.module.PreviewFeature
        for name in ("PROFILE_SHARING_0806", "RUNTIME_ACTIVATION_RESIZE_10_10"):
            if hasattr(features, name):
                _untyped(config).set_preview_feature(getattr(features, name), True)

    def target_compute_capability(self, config: IBuilderConfig, compute_capability: tuple[int, int]) -> None:
        """Build for this GPU rather than for all that RTX knows; other variants build for the GPU that is there.

        Raises:
            BackendUnavailableError: RTX does not know this GPU.
        """
        if self.variant.name is not TensorRtProduct.RTX:
            return
        name = "SM{}{}".format(*compute_capability)
        known = self.module.ComputeCapability.__members__
        if name not in known:
            names = ", ".join(one for one in known if one.startswith("SM"))
            raise BackendUnavailableError(
                f"{self.variant} has no support for {name}", remedy=f"use a GPU of {names}, or --backend tensorrt"
            )
        any_config = _untyped(config)
        any_config.num_compute_capabilities = 1
        any_config.set_compute_capability(known[name], 0)

    def watch_progress(
        self,
        config: IBuilderConfig,
        *,
        on_start: Callable[[str, str | None, int], None],
        on_step: Callable[[str, int], None],
        on_finish: Callable[[str], None],
    ) -> None:
        """Have phases reported, from several threads of TensorRT; nothing happens where there is no monitor."""
        if not self.variant.has_progress_monitor:
            return
        module = self.module

        base: Foreign = module.IProgressMonitor

        class ForwardingMonitor(base):  # type: ignore[misc] # the bindings have no stubs
            def __init__(self) -> None:
                base.__init__(self)

            def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
                on_start(phase_name, parent_phase, num_steps)

            def step_complete(self, phase_name: str, step: int) -> bool:
                on_step(phase_name, step)
                return True  # False would cancel the build

            def phase_finish(self, phase_name: str) -> None:
                on_finish(phase_name)

        _untyped(config).progress_monitor = ForwardingMonitor()

    def load_timing_cache(self, config: IBuilderConfig, known: bytes) -> None:
        """Give the build the kernel timings of earlier ones; what another version or GPU wrote is not used."""
        if not self.variant.has_timing_cache:
            return
        any_config = _untyped(config)
        cache = any_config.create_timing_cache(known) or any_config.create_timing_cache(b"")
        if not any_config.set_timing_cache(cache, False):
            any_config.set_timing_cache(any_config.create_timing_cache(b""), False)

    def merged_timing_cache(self, config: IBuilderConfig, meanwhile: bytes) -> bytes:
        """Return the timings after the build, together with what others wrote `meanwhile`; empty if there are none."""
        if not self.variant.has_timing_cache:
            return b""
        any_config = _untyped(config)
        cache = any_config.get_timing_cache()
        other = any_config.create_timing_cache(meanwhile) if meanwhile else None
        if other is not None:
            cache.combine(other, False)
        return bytes(cache.serialize())

    def write_plan(self, plan: IHostMemory, path: Path) -> None:
        """Write a serialized engine without a second copy in memory."""
        with path.open("wb") as stream:
            stream.write(memoryview(_untyped(plan)))

    # -- for the runtime

    def create_runtime(self, logger: object) -> Runtime:
        """Return a runtime.

        Raises:
            BackendUnavailableError: There is no GPU.
        """
        try:
            return cast("Runtime", self.module.Runtime(logger))
        except (TypeError, RuntimeError) as error:
            raise BackendUnavailableError(
                f"{self.variant} cannot run here: {error}", remedy="run nvidia-smi to see whether a GPU can be used"
            ) from error

    def io_tensors(self, engine: ICudaEngine) -> tuple[IoTensor, ...]:
        """Return inputs and outputs in the engine's order.

        Raises:
            BadInputError: One has a type that numpy lacks.
        """
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return tuple(
            IoTensor(
                name=name,
                is_input=_untyped(engine).get_tensor_mode(name) == self.module.TensorIOMode.INPUT,
                shape=tuple(engine.get_tensor_shape(name)),
                dtype=self._numpy_name(_untyped(engine).get_tensor_dtype(name), name),
            )
            for name in names
        )

    def create_user_managed_context(self, engine: ICudaEngine) -> IExecutionContext:
        """Return an execution context without device memory; `set_activation` gives it some before its first inference.

        Raises:
            DoesNotFitError: TensorRT could not make it: even without activation memory a context holds some.
        """
        any_engine = _untyped(engine)
        if not self.variant.has_user_managed_contexts:
            exec_context = any_engine.create_execution_context_without_device_memory()
        elif self.variant.name is TensorRtProduct.RTX:
            exec_context = any_engine.create_execution_context(self._rtx_runtime_config(any_engine))
        else:
            strategy = self.module.ExecutionContextAllocationStrategy.USER_MANAGED
            exec_context = any_engine.create_execution_context(strategy)
        if exec_context is None:
            raise DoesNotFitError("TensorRT could not create an execution context", remedy="lower --concurrency")
        return cast("IExecutionContext", exec_context)

    def activation_bytes(self, engine: ICudaEngine, exec_context: IExecutionContext) -> int:
        """Return the device memory that the context needs for the shapes and the profile that are set on it.

        8.6 cannot tell: it returns what the largest shapes of all profiles need.
        """
        if not self.variant.has_user_managed_contexts:
            return int(_untyped(engine).device_memory_size)
        return int(_untyped(exec_context).update_device_memory_size_for_shapes())

    def profile_activation_bytes(self, engine: ICudaEngine, profile_index: int) -> int:
        """Return the device memory that one profile's largest shapes need; in 8.6 that of all profiles."""
        any_engine = _untyped(engine)
        if not self.variant.has_user_managed_contexts:
            return int(any_engine.device_memory_size)
        if hasattr(any_engine, "get_device_memory_size_for_profile_v2"):  # from 10.1 on
            return int(any_engine.get_device_memory_size_for_profile_v2(profile_index))
        return int(any_engine.get_device_memory_size_for_profile(profile_index))

    def set_activation(self, exec_context: IExecutionContext, *, address: int, size_bytes: int) -> None:
        """Give the context its device memory, aligned to 256 bytes and its own until the last inference is done."""
        any_context = _untyped(exec_context)
        if hasattr(any_context, "set_device_memory"):  # from 10.1 on
            any_context.set_device_memory(address, size_bytes)
        else:
            any_context.device_memory = address

    def _rtx_runtime_config(self, any_engine: Foreign) -> Foreign:
        config = any_engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(self.module.ExecutionContextAllocationStrategy.USER_MANAGED)
        # Lazy, the default, compiles better kernels behind the back of the first inferences: they would be measured.
        config.dynamic_shapes_kernel_specialization_strategy = (
            self.module.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        return config

    def _numpy_name(self, data_type: Foreign, tensor: str) -> str:
        # TensorRT 8.6's own `nptype` needs `numpy.bool`, which numpy removed for good in 1.24.
        name = _NUMPY_NAMES.get(data_type.name)
        if name is None:
            raise BadInputError(
                f"tensor {tensor} of the engine is {data_type.name}", remedy="give the model float32 inputs and outputs"
            )
        return name


def _untyped(handle: object) -> Foreign:
    return handle
