"""The `tensorrt` backend: TensorRT on one NVIDIA GPU."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions
from asyncbench.sweep.fields import Flag, Names, SizeText
from asyncbench.text_enum import TextEnum


class EngineMode(TextEnum):
    """Distribution of the batches over engines: one per batch, one for all batches, or the better of the two."""

    AUTO = "auto"
    STATIC = "static"
    DYNAMIC = "dynamic"


class Completion(TextEnum):
    """Waiting of the native pump between two polls: spin on a core, yield it, or sleep until the device calls."""

    SPIN = "spin"
    YIELD = "yield"
    BLOCK = "block"


class TensorRtOptions(BackendOptions):
    """Options of TensorRT."""

    engine: Annotated[EngineMode, Flag()] = Field(
        default=EngineMode.AUTO,
        strict=False,
        description="TensorRT: static (one engine per batch), dynamic (one for all batches) or auto (the better).",
    )
    completion: Annotated[Completion, Flag()] = Field(
        default=Completion.SPIN,
        strict=False,
        description="TensorRT: the native pump's way to notice completions: spin, yield or block.",
    )
    depth: Annotated[int, Flag()] = Field(
        default=1, ge=1, le=16, description="TensorRT: inferences queued on each lane of the native pump."
    )
    transfers: Annotated[bool, Flag()] = Field(
        default=False, description="TensorRT: copies to and from the device are part of an inference."
    )
    gpu_time: Annotated[bool, Flag()] = Field(
        default=False, description="TensorRT: also take the device time of each inference, by a pair of events."
    )
    workspace: Annotated[SizeText | None, Flag()] = Field(
        default=None, description="TensorRT: scratch memory of a kernel while engines are built, at most, such as 1GiB."
    )
    tactic_sources: Annotated[Names | None, Flag()] = Field(
        default=None,
        description="TensorRT: the libraries that kernels may come from, by TensorRT's names, with commas.",
    )

    @property
    def workspace_bytes(self) -> int | None:
        """Limit of the scratch memory of a kernel (TensorRT's workspace); None leaves it to TensorRT."""
        return None if self.workspace is None else self.workspace.bytes


TENSORRT = BackendDescriptor(
    name="tensorrt",
    options=TensorRtOptions,
    factory="asyncbench.backends.tensorrt.factory:make_backend",
    why_unavailable="asyncbench.backends.tensorrt.factory:why_unavailable",
    has_plans=True,
)
