"""The `tensorrt` backend: engines from the cache or built, deserialized once, shared by all lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256

import trio

from asyncbench.backends.base import EngineFacts, EngineRequest, Report
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.backends.tensorrt.bindings.allocator import CountingAllocator
from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings, system_folders
from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.backends.tensorrt.build.calibrated_model import CalibratedModel, calibrated_model
from asyncbench.backends.tensorrt.build.engine_choice import EngineShape, choose_engines
from asyncbench.backends.tensorrt.build.engine_provider import EngineSpec, EnginesProgress, provide_engines
from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.obtain import reject_engine
from asyncbench.backends.tensorrt.cache.store import StoredEngine
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.run.engine import TensorRtEngine
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.backends.tensorrt.run.pump import open_pump
from asyncbench.backends.tensorrt.settings import TensorRtSettings
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.errors import BadInputError
from asyncbench.event_log import get_logger
from asyncbench.units import format_duration

# A build takes a minute or more, and a plain log is read by people.
REPORT_EVERY_NS = 5 * NS_PER_S

_log = get_logger()


class TensorRtBackend:
    """TensorRT on one NVIDIA GPU.

    Args:
        folder: The cache of engines.
        report: Takes one line for people: what is built and why, how far it is.
    """

    name = "tensorrt"

    def __init__(self, settings: TensorRtSettings, folder: EngineFolder, *, report: Report) -> None:
        self._settings = settings
        self._folder = folder
        self._report_to_people = report
        self._reported_at_ns = 0

    @asynccontextmanager
    async def open_engine(self, request: EngineRequest) -> AsyncIterator[TensorRtEngine]:
        """Have the engines built, load them once and start the pump; see `Backend.open_engine`."""
        bindings = await trio.to_thread.run_sync(lambda: find_bindings(folders=system_folders()))
        device = await trio.to_thread.run_sync(
            partial(CudaDevice, device_ordinal(request.device), limit_bytes=self._settings.memory_budget_bytes)
        )
        # Outputs are read on the Trio thread, outside of windows.
        device.activate()
        gpu = device.facts()
        spec = await trio.to_thread.run_sync(self._spec, request, bindings, gpu)
        started_at_ns = now_ns()
        stored, plans = await self._load(device, bindings, spec)
        for plan in plans:
            plan.check_outputs()
        async with open_pump(device.cuda_context, completion=self._settings.lanes.completion) as reactor:
            engine = TensorRtEngine(
                device,
                reactor,
                plans,
                facts=self._facts(request, bindings, gpu, stored, plans, opened_ns=now_ns() - started_at_ns),
                settings=self._settings.lanes,
            )
            try:
                await engine.learn_activation_sizes()
                yield engine
            finally:
                with trio.move_on_after(DRAIN_LIMIT_S, shield=True):
                    await engine.free_lanes()

    def _spec(self, request: EngineRequest, bindings: Bindings, gpu: GpuFacts) -> EngineSpec:
        if request.calibration_path is None:
            model = CalibratedModel(model_path=request.model_path, calibration_cache_path=None)
        else:
            model = calibrated_model(
                request.model_path, request.calibration_path, bindings.variant, folder=self._folder.calibrations
            )
        return EngineSpec(
            model_name=request.model_name,
            model_path=model.model_path,
            calibration_cache_path=model.calibration_cache_path,
            precision=request.precision,
            shapes=choose_engines(request.batches, self._settings.engine_mode),
            variant=bindings.variant,
            gpu=gpu,
            settings=self._settings.build,
            device_budget_bytes=self._settings.memory_budget_bytes,
            may_build=request.may_build,
        )

    async def _load(
        self, device: CudaDevice, bindings: Bindings, spec: EngineSpec
    ) -> tuple[Sequence[StoredEngine], Sequence[LoadedPlan]]:
        """Load every engine; one that TensorRT refuses though it is whole is quarantined and built anew, once."""
        provide = partial(
            provide_engines,
            spec,
            self._folder,
            on_progress=self._note_progress,
            report=self._report,
            read_free_bytes=partial(_free_bytes, device),
        )
        load = partial(_load_all, bindings, spec.shapes, allocator_of(device))
        stored = await provide()
        try:
            return stored, await device.run(partial(load, stored))
        except BadInputError as error:
            for one in stored:
                await reject_engine(self._folder, one, error.message)
        stored = await provide()
        return stored, await device.run(partial(load, stored))

    def _report(self, text: str) -> None:
        _log.info("engine", text=text)
        self._report_to_people(text)

    def _note_progress(self, progress: EnginesProgress) -> None:
        now = now_ns()
        if now - self._reported_at_ns >= REPORT_EVERY_NS:
            self._reported_at_ns = now
            self._report_to_people(_progress_text(progress))

    def _facts(
        self,
        request: EngineRequest,
        bindings: Bindings,
        gpu: GpuFacts,
        stored: Sequence[StoredEngine],
        plans: Sequence[LoadedPlan],
        *,
        opened_ns: int,
    ) -> EngineFacts:
        hashes = [one.sidecar.engine_sha256 for one in stored]
        return EngineFacts(
            backend=self.name,
            backend_version=bindings.variant.version,
            device=f"cuda:{device_ordinal(request.device)}",
            device_name=gpu.name,
            engine_hash=hashes[0] if len(hashes) == 1 else sha256("".join(hashes).encode()).hexdigest(),
            load_ns=sum(plan.load_ns for plan in plans),
            inputs=plans[0].inputs,
            outputs=plans[0].outputs,
            extra={
                "flavour": str(bindings.variant),
                "compute_capability": gpu.compute_capability_text,
                "driver_cuda_major": gpu.cuda_major,
                "driver_major": gpu.driver_major or None,
                "engines": len(plans),
                "engines_built": sum(one.freshly_built for one in stored),
                "build_ns": sum(one.sidecar.build.build_ns for one in stored),
                "open_ns": opened_ns,
                "static_shapes": plans[0].shape.static_shapes,
                "opt_profiles": sum(len(plan.shape.opt_profiles) for plan in plans),
                "aux_streams": max(plan.engine.num_aux_streams for plan in plans),
                "transfers": self._settings.lanes.transfers,
                "build_flags": ", ".join(self._settings.build.flags()) or None,
            },
        )


def device_ordinal(device: str) -> int:
    """Return the number in `cuda:1`; `auto` and `cuda` are the first.

    Raises:
        BadInputError: It is none of these.
    """
    if device in ("auto", "cuda"):
        return 0
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number.isdecimal():
        raise BadInputError(f"--device {device!r} is no CUDA device", remedy="write cuda:0, or auto")
    return int(number)


def _load_all(
    bindings: Bindings, shapes: Sequence[EngineShape], allocator: CountingAllocator, stored: Sequence[StoredEngine]
) -> Sequence[LoadedPlan]:
    return [
        LoadedPlan(bindings, one.path, shape, allocator=allocator) for one, shape in zip(stored, shapes, strict=True)
    ]


def allocator_of(device: CudaDevice) -> CountingAllocator:
    """Return what TensorRT takes its memory of `device` from, on whichever thread it likes."""

    def allocate(size_bytes: int) -> int:
        device.activate()
        return device.allocate(size_bytes)

    def free(address: int) -> None:
        device.activate()
        device.free(address)

    return CountingAllocator(allocate, free)


async def _free_bytes(device: CudaDevice) -> int:
    return (await device.run(device.memory_bytes))[0]


def _progress_text(progress: EnginesProgress) -> str:
    """Return `building mobilenet fp16 batch 4 (2 of 3), 35 s, 40 % of its steps, about 52 s left`."""
    parts = [f"building {progress.label} ({progress.position} of {progress.count})"]
    parts.append(format_duration(progress.build.elapsed_ns))
    if progress.build.done_ratio:
        parts.append(f"{progress.build.done_ratio:.0%} of its steps")
    if progress.left_ns is not None:
        parts.append(f"about {format_duration(progress.left_ns)} left")
    return ", ".join(parts)
