"""Engines in the process of the program that opens them: our lanes under an application's own load.

Beside `api`, because it imports numpy and the backends, which nobody needs who only runs sweeps.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
import trio

from asyncbench.backends.base import Engine, EngineFacts, Lane
from asyncbench.bench.compose import make_backend
from asyncbench.bench.model_under_test import ModelUnderTest, model_of
from asyncbench.error_translation import own_or_system_error
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import path_of, require_regular_file
from asyncbench.models.inputs import make_inputs
from asyncbench.models.model_argument import model_keys
from asyncbench.places import cache_folder
from asyncbench.sweep.backend_options import check_backend_options
from asyncbench.sweep.cell import InputKind
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.loading import read_arguments
from asyncbench.tensors import AnyArray, TensorSpec

Array: TypeAlias = "npt.NDArray[Any]"
Inputs: TypeAlias = "Array | Mapping[str, Array]"
T = TypeVar("T")

_COPIED_AT_ONCE_BYTES = 1 << 18
"""A guess: what takes less time to copy than to hand to a thread and back."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs(Mapping[str, Array]):
    """The outputs of one inference by name, each `(batch, *item_shape)`, and when it ran.

    Attributes:
        arrays: Copies; they are the caller's.
        issued_at_ns: When it started, on the engine's clock: CLOCK_MONOTONIC, but for the simulated backend.
        completed_at_ns: When it had ended.
    """

    arrays: Mapping[str, Array]
    issued_at_ns: int
    completed_at_ns: int

    @property
    def service_ns(self) -> int:
        """Return the time from the issue of the inference to its completion."""
        return self.completed_at_ns - self.issued_at_ns

    def __getitem__(self, name: str) -> Array:
        """Return one output."""
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.arrays)

    def __len__(self) -> int:
        """Return how many outputs there are."""
        return len(self.arrays)


class OpenLane:
    """A lane: buffers for one inference in flight, on an engine that lanes share. For one task at a time."""

    def __init__(self, lane: Lane, specs: Sequence[TensorSpec], *, batch: int) -> None:
        self.index = lane.index
        self.batch = batch
        self._lane = lane
        self._specs = specs
        self._is_busy = False
        self._is_closed = False
        self._was_left = False  # with an inference that nobody waits for any more

    async def infer(self, inputs: Inputs) -> Outputs:
        """Run one inference and return its outputs. Cancelling leaves the lane usable: the next call waits for it.

        Args:
            inputs: An array for each input by name, `(batch, *item_shape)` of the input's type; the array alone where
                there is one input. They are copied.

        Raises:
            BadInputError: A name, a shape or a type is another one, the lane is closed, or another task is using it.
            LaneError: The inference failed; the lane is stopped.
            DoesNotFitError: It was refused memory; as above.
        """
        arrays = self._checked(inputs)
        if self._is_closed:
            raise BadInputError(f"lane {self.index} is closed", remedy="use lanes inside of their `async with`")
        if self._is_busy:
            raise BadInputError(
                f"lane {self.index} is used by two tasks at once", remedy="open a lane for each task (count=...)"
            )
        self._is_busy = True
        try:
            return await self._infer(arrays)
        finally:
            self._is_busy = False

    def close(self) -> None:
        """Refuse further calls."""
        self._is_closed = True

    async def _infer(self, arrays: Mapping[str, AnyArray]) -> Outputs:
        if self._was_left:
            await self._lane.wait_idle()
            self._lane.completions_nowait()
            self._was_left = False
        if sum(array.nbytes for array in arrays.values()) > _COPIED_AT_ONCE_BYTES:
            await trio.to_thread.run_sync(self._lane.write_inputs, arrays)
        else:
            self._lane.write_inputs(arrays)
        self._was_left = True
        stamps = await self._lane.infer()
        self._was_left = False
        return Outputs(
            arrays=self._lane.read_outputs(),
            issued_at_ns=stamps.issued_at_ns,
            completed_at_ns=stamps.completed_at_ns,
        )

    def _checked(self, inputs: Inputs) -> dict[str, AnyArray]:
        if not isinstance(inputs, Mapping):
            if len(self._specs) != 1:
                names = ", ".join(repr(spec.name) for spec in self._specs)
                raise BadInputError(
                    f"the network has {len(self._specs)} inputs ({names})", remedy="give a mapping from name to array"
                )
            inputs = {self._specs[0].name: inputs}
        known = [spec.name for spec in self._specs]
        unknown = [str(name) for name in inputs if name not in known]
        missing = [name for name in known if name not in inputs]
        if unknown or missing:
            what = f"there is no input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
            raise BadInputError(what, remedy=f"give {', '.join(map(repr, known))}")
        return {spec.name: self._checked_array(inputs[spec.name], spec) for spec in self._specs}

    def _checked_array(self, array: object, spec: TensorSpec) -> AnyArray:
        if not isinstance(array, np.ndarray):
            raise BadInputError(
                f"input {spec.name!r} is of type {type(array).__name__}", remedy="give an array of numpy"
            )
        if array.dtype != np.dtype(spec.dtype):
            raise BadInputError(
                f"input {spec.name!r} is {array.dtype}, the network takes {spec.dtype}",
                remedy=f'give array.astype("{spec.dtype}")',
            )
        shape = (self.batch, *spec.item_shape)
        if array.shape != shape:
            raise BadInputError(
                f"input {spec.name!r} has the shape {array.shape}, the lane takes {shape}",
                remedy="give a whole batch, or open lanes of another batch",
            )
        return array


class OpenEngine:
    """A network on a device, in this process; lanes share it."""

    def __init__(self, engine: Engine, *, config: SweepConfig) -> None:
        self._engine = engine
        self._config = config
        self._open_lanes = 0
        self._is_closed = False

    @property
    def facts(self) -> EngineFacts:
        """Return what is true of the engine: backend, device, hash."""
        return self._engine.facts

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Return the inputs of the network: name, shape of an item, type."""
        return self._engine.facts.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Return its outputs."""
        return self._engine.facts.outputs

    def now_ns(self) -> int:
        """Return the clock that inferences are stamped with."""
        return self._engine.now_ns()

    @asynccontextmanager
    async def open_lanes(self, *, batch: int = 1, count: int = 1) -> AsyncIterator[tuple[OpenLane, ...]]:
        """Open `count` lanes for inferences of `batch` items; leaving waits for what is in flight.

        Raises:
            BadInputError: The engine was not opened for that batch, or for so many lanes at once; or it is closed.
            DoesNotFitError: Memory was refused; nothing is held.
        """
        batch, count = self._check(batch=batch, count=count)
        zeros = make_inputs(self.inputs, kind=InputKind.ZEROS, batch=batch, seed=0, recipe=None, image_paths=())
        async with AsyncExitStack() as stack:
            self._open_lanes += count
            stack.callback(self._forget, count)
            lanes = await _enter(stack, self._engine.open_lanes(batch=batch, count=count, inputs=zeros))
            opened = tuple(OpenLane(lane, self.inputs, batch=batch) for lane in lanes)
            try:
                yield opened
            finally:
                for lane in opened:
                    lane.close()

    def close(self) -> None:
        """Refuse further lanes."""
        self._is_closed = True

    def _forget(self, lanes: int) -> None:
        self._open_lanes -= lanes

    def _check(self, *, batch: object, count: object) -> tuple[int, int]:
        """Return both as Python's own numbers."""
        if self._is_closed:
            raise BadInputError("the engine is closed", remedy="open lanes inside of its `async with`")
        if not _is_whole(count):
            raise BadInputError(f"{count!r} lanes were asked for", remedy="give a whole number from 1")
        if not _is_whole(batch) or batch not in self._config.batch:
            raise BadInputError(
                f"the engine was opened for batches {', '.join(map(str, self._config.batch))}, not {batch}",
                remedy=f"open it with batches=[..., {batch}]",
            )
        most = max(self._config.concurrency)
        if not 1 <= count <= most - self._open_lanes:
            beside = f" beside {self._open_lanes} that are open" if self._open_lanes else ""
            raise BadInputError(
                f"{count} lanes were asked for{beside}, and the engine was opened for 1 to {most}",
                remedy=f"open it with concurrency={max(count, 1) + self._open_lanes}",
            )
        return int(batch), int(count)


@asynccontextmanager
async def open_engine(
    model: str | os.PathLike[str],
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "fp32",
    batches: Sequence[int] = (1,),
    concurrency: int = 1,
    on_progress: Callable[[str], None] = lambda _: None,
    **options: object,
) -> AsyncIterator[OpenEngine]:
    """Open an engine in this process: load it, or build it where it is in no cache. Under Trio.

    Args:
        model: A built-in network, or an ONNX file.
        backend: `auto`, `onnxruntime`, `tensorrt` or `simulated`.
        device: `auto`, `cpu`, `cuda:0`.
        precision: One of `fp32`, `fp16`, `bf16`, `int8`, `fp8`.
        batches: Every batch that lanes will be opened for.
        concurrency: The most lanes that will be open at once.
        on_progress: Takes a line about the opening, such as how far a build is.
        options: Other keys of a configuration, such as `calibration`, or `completion="block"` of TensorRT.

    Raises:
        BadInputError: The model or an option cannot be used.
        BackendUnavailableError: This machine cannot run it at that precision.
        DoesNotFitError: Memory was refused.
    """
    if not trio.lowlevel.in_trio_run():
        raise BadInputError("an engine is opened under Trio, and no Trio is running", remedy="call it under trio.run")
    name = path_of(model, what="model", remedy="give a built-in network, or an ONNX file")
    config = read_arguments(
        {
            "input": InputKind.ZEROS,
            **model_keys(model if isinstance(model, str) else str(name), None),
            "backend": backend,
            "device": device,
            "precision": precision,
            "batch": batches,
            "concurrency": concurrency,
            **options,
        },
        source="open_engine",
    )
    if len(config.precision) > 1 or len(config.device) > 1:
        raise BadInputError("an engine has one precision and one device", remedy="open an engine for each")
    async with AsyncExitStack() as stack:
        opened = OpenEngine(await _enter(stack, _opening(config, on_progress)), config=config)
        try:
            yield opened
        finally:
            opened.close()


@asynccontextmanager
async def _opening(config: SweepConfig, on_progress: Callable[[str], None]) -> AsyncIterator[Engine]:
    backend = await trio.to_thread.run_sync(make_backend, config, on_progress)
    check_backend_options(config, backend=backend.name, flags=config.given_keys())
    model = await trio.to_thread.run_sync(_find_model, config)
    request = model.request(precision=config.precision[0], device=config.device[0])
    async with backend.open_engine(request) as engine:
        yield engine


def _find_model(config: SweepConfig) -> ModelUnderTest:
    if config.model_file is not None and not config.runs_simulated:
        require_regular_file(Path(config.model_file), what="the model", remedy="name an ONNX file")
    return model_of(config, model_folder=cache_folder() / "models")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, Integral) and not isinstance(value, bool)


async def _enter(stack: AsyncExitStack, context: AbstractAsyncContextManager[T]) -> T:
    """Enter a context; what that is refused is raised as an error of ours, and what happens inside as it is."""
    try:
        return await stack.enter_async_context(context)
    except Exception as error:
        known = own_or_system_error(error)
        if known is None or known is error:
            raise
        raise known from error
