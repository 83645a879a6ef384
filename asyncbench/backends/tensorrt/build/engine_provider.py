"""Provide all engines of a sweep before its first cell: from the cache, or built one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.bindings.precision import check_precision
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant, why_plan_is_foreign
from asyncbench.backends.tensorrt.build.builder import BuildProgress, build_engine
from asyncbench.backends.tensorrt.build.engine_choice import EngineShape
from asyncbench.backends.tensorrt.build.memory import build_within_memory, derive_workspace, workspaces_to_try
from asyncbench.backends.tensorrt.build.messages import BuildRequest, BuildSettings
from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.identity import EngineIdentity
from asyncbench.backends.tensorrt.cache.obtain import obtain_engine
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts
from asyncbench.backends.tensorrt.cache.store import StoredEngine
from asyncbench.errors import BadInputError, EngineNotBuiltError
from asyncbench.files.hash import sha256_of
from asyncbench.models.inspection import inspect_model
from asyncbench.sweep.cell import Precision

# Raise it when network.py, versions.py or build_child.py make another engine of the same settings.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """Specification of the engines to have.

    Attributes:
        calibration_cache_path: INT8 scales for a graph that is not quantized, where the version takes them.
        device_budget_bytes: The most device memory that TensorRT may hold while it builds; None for all there is.
        may_build: Whether what the cache does not have may be built.
    """

    model_name: str
    model_path: Path
    precision: Precision
    shapes: tuple[EngineShape, ...]
    variant: TensorRtVariant
    gpu: GpuFacts
    settings: BuildSettings
    calibration_cache_path: Path | None = None
    device_budget_bytes: int | None = None
    may_build: bool = True

    def label(self, shape: EngineShape) -> str:
        """Return what people call one of the engines."""
        return f"{self.model_name} {self.precision} {shape}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesProgress:
    """Progress of the builds of a sweep.

    Attributes:
        position: Of the engine that is being built, from 1.
        left_ns: A guess at what all builds still take; None while there is nothing to guess from.
    """

    label: str
    position: int
    count: int
    build: BuildProgress
    left_ns: int | None


async def provide_engines(
    spec: EngineSpec,
    folder: EngineFolder,
    *,
    on_progress: Callable[[EnginesProgress], None],
    report: Callable[[str], None],
    read_free_bytes: Callable[[], Awaitable[int]] | None = None,
) -> tuple[StoredEngine, ...]:
    """Return one verified engine per shape, building what the cache does not have, one at a time.

    Args:
        report: Takes one line for people: what is built and why, what is waited for.
        read_free_bytes: Asked before each build for what is free on the device; None where there is none.

    Raises:
        BackendUnavailableError: The precision is not to be had; nothing was built.
        BadInputError: The model cannot be used.
        DoesNotFitError: The builder ran out of memory, also with the smallest workspace.
        EngineBuildError: The builder failed or was killed.
        OutputError: The cache folder cannot be written.
    """
    check_precision(spec.precision, spec.variant, spec.gpu)
    model = await trio.to_thread.run_sync(inspect_model, spec.model_path)
    calibration_sha256 = await trio.to_thread.run_sync(_hash_calibration, spec.calibration_cache_path)
    engines: list[StoredEngine] = []
    for position, shape in enumerate(spec.shapes, start=1):
        progress = partial(
            _report_progress,
            on_progress,
            spec,
            position,
            [one.sidecar.build.build_ns for one in engines if one.freshly_built],
        )
        engine = await obtain_engine(
            folder,
            identity_of(spec, shape, model_sha256=model.sha256, calibration_sha256=calibration_sha256),
            label=spec.label(shape),
            build=partial(
                _build,
                spec=spec,
                shape=shape,
                folder=folder,
                on_progress=progress,
                report=report,
                read_free_bytes=read_free_bytes,
            ),
            report=report,
            check_head=lambda head: why_plan_is_foreign(head, spec.variant),
        )
        engines.append(engine)
    return tuple(engines)


def identity_of(
    spec: EngineSpec, shape: EngineShape, *, model_sha256: str, calibration_sha256: str | None
) -> EngineIdentity:
    """Return what the engine for one shape of it is an engine of."""
    return EngineIdentity(
        model_sha256=model_sha256,
        precision=str(spec.precision),
        profiles=tuple(group.as_tuple() for group in shape.opt_profiles),
        static_shapes=shape.static_shapes,
        flags=spec.settings.flags(),
        calibration_sha256=calibration_sha256,
        flavour=str(spec.variant.name),
        flavour_version=spec.variant.version,
        gpu_name=spec.gpu.name,
        compute_capability=spec.gpu.compute_capability_text,
        driver_major=spec.gpu.driver_major,
        cuda_major=spec.gpu.cuda_major,
        recipe=RECIPE,
    )


def time_left_ns(finished_ns: Sequence[int], current: BuildProgress, *, waiting: int) -> int | None:
    """Guess what the current build and the `waiting` ones after it still take.

    A build takes what the mean of the finished ones took; the first is extrapolated from its own steps.

    Args:
        finished_ns: What the builds of this sweep took that are done.
    """
    if finished_ns:
        typical_ns = sum(finished_ns) // len(finished_ns)
    elif current.done_ratio:
        typical_ns = round(current.elapsed_ns / current.done_ratio)
    else:
        return None
    return max(0, typical_ns - current.elapsed_ns) + waiting * typical_ns


async def _build(
    path: Path,
    *,
    spec: EngineSpec,
    shape: EngineShape,
    folder: EngineFolder,
    on_progress: Callable[[BuildProgress], None],
    report: Callable[[str], None],
    read_free_bytes: Callable[[], Awaitable[int]] | None,
) -> BuildFacts:
    if not spec.may_build:
        raise EngineNotBuiltError(
            f"{spec.label(shape)} is not built yet", remedy="run the sweep itself once: it builds before it measures"
        )
    workspace_bytes = spec.settings.workspace_bytes
    if workspace_bytes is None:
        free_bytes = await read_free_bytes() if read_free_bytes else None
        workspace_bytes = derive_workspace(free_bytes, spec.device_budget_bytes)
    environment = {"CUDA_VISIBLE_DEVICES": spec.gpu.uuid} if spec.gpu.uuid else None
    return await build_within_memory(
        _request(spec, shape, folder, path),
        workspaces_to_try(workspace_bytes),
        label=spec.label(shape),
        build=partial(build_engine, on_progress=on_progress, environment=environment),
        report=report,
    )


def _request(spec: EngineSpec, shape: EngineShape, folder: EngineFolder, path: Path) -> BuildRequest:
    variant, gpu = spec.variant, spec.gpu
    timings = folder.timing_cache_path(flavour=variant.name, flavour_version=variant.version, gpu_name=gpu.name)
    calibration = spec.calibration_cache_path
    return BuildRequest(
        module_name=variant.module_name,
        model_path=str(spec.model_path),
        engine_path=str(path),
        precision=spec.precision,
        shape=shape,
        settings=spec.settings,
        compute_capability=gpu.compute_capability if variant.name is TensorRtProduct.RTX else None,
        calibration_cache_path=None if calibration is None else str(calibration),
        timing_cache_path=str(timings) if variant.has_timing_cache else None,
        device_budget_bytes=spec.device_budget_bytes,
    )


def _report_progress(
    on_progress: Callable[[EnginesProgress], None],
    spec: EngineSpec,
    position: int,
    finished_ns: Sequence[int],
    build: BuildProgress,
) -> None:
    count = len(spec.shapes)
    on_progress(
        EnginesProgress(
            label=spec.label(spec.shapes[position - 1]),
            position=position,
            count=count,
            build=build,
            left_ns=time_left_ns(finished_ns, build, waiting=count - position),
        )
    )


def _hash_calibration(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return sha256_of([path])
    except OSError as error:
        raise BadInputError(
            f"cannot read the calibration cache {path}: {error.strerror}", remedy="name the file that was calibrated"
        ) from error
