# ruff: noqa: D102 - the members are TensorRT's; its documentation explains them
"""The TensorRT classes and members that are the same in all versions we use, typed. `versions` has what differs.

Each protocol is named like the class in the bindings, and a test holds every member and parameter name to the real
ones. Sizes are bytes, addresses are device addresses, streams are `cudaStream_t` as integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class IHostMemory(Protocol):
    """Host memory that TensorRT owns."""

    @property
    def nbytes(self) -> int: ...


class ITensor(Protocol):
    """A tensor of a network under construction; the shape may be set while the network has no layers beyond it."""

    name: str
    shape: Sequence[int]


class INetworkDefinition(Protocol):
    """A network as the parser filled it in."""

    @property
    def num_inputs(self) -> int: ...
    def get_input(self, index: int) -> ITensor: ...


class IOptimizationProfile(Protocol):
    """The shapes that one profile allows."""

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None: ...  # noqa: A002 - TensorRT's names


class IBuilderConfig(Protocol):
    """The settings of one build."""

    max_aux_streams: int

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int: ...
    def set_tactic_sources(self, tactic_sources: int) -> bool: ...


class Builder(Protocol):
    """Builder of serialized engines. Keeps its allocator alive."""

    gpu_allocator: object

    def create_builder_config(self) -> IBuilderConfig: ...
    def create_optimization_profile(self) -> IOptimizationProfile: ...
    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        """Return None on failure; why is in the log only."""


class OnnxParser(Protocol):
    """Parser that fills a network in from ONNX."""

    @property
    def num_errors(self) -> int: ...
    def parse(self, model: bytes) -> bool: ...
    def parse_from_file(self, model: str) -> bool: ...


class ICudaEngine(Protocol):
    """A deserialized engine."""

    @property
    def num_io_tensors(self) -> int: ...
    @property
    def num_aux_streams(self) -> int: ...
    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...


class IExecutionContext(Protocol):
    """Execution context: what one inference in flight needs of an engine."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def set_aux_streams(self, aux_streams: Sequence[int]) -> None: ...
    def infer_shapes(self) -> list[str]:
        """Return the names of inputs whose shape is still missing."""

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Enqueue one inference; False on failure, and why is in the log only."""


class Runtime(Protocol):
    """Loader of engines. Keeps its allocator alive, and is kept alive by its engines and their contexts."""

    gpu_allocator: object

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """Return None on failure; why is in the log only."""
