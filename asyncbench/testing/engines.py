"""Engines and lanes of a simulated device, and what any backend is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import trio
import trio.testing

from asyncbench.backends.base import Engine, EngineRequest, Lane
from asyncbench.backends.simulated.backend import SimulatedBackend, SimulatedEngine
from asyncbench.backends.simulated.spec import parse_simulated_spec
from asyncbench.sweep.cell import Precision
from asyncbench.tensors import AnyArray, TensorSpec

_Result = TypeVar("_Result")
_UNDISTURBED = {"service": {"median": "2ms"}, "slots": 64}


def engine_request(
    *,
    model_name: str = "any",
    model_path: Path = Path("simulated"),
    precision: Precision = Precision.FP32,
    device: str = "cpu",
    batches: tuple[int, ...] = (1,),
    max_concurrency: int = 8,
) -> EngineRequest:
    """Return what to ask of a backend. A simulated one opens no file."""
    return EngineRequest(
        model_name=model_name,
        model_path=model_path,
        precision=precision,
        device=device,
        batches=batches,
        max_concurrency=max_concurrency,
    )


@asynccontextmanager
async def simulated_engine(**device: object) -> AsyncIterator[SimulatedEngine]:
    """Open an engine on a device of its own, whose inferences take 2 ms each and do not wait for each other.

    Args:
        device: Keys of the section `simulated` of a configuration, such as `memory="1GiB"` or
            `faults=[{"at": 20, "kind": "hang"}]`.

    Raises:
        ValueError: A key or a value is none of that section.
        DoesNotFitError: The device has less memory than the engine needs.
    """
    async with SimulatedBackend(parse_simulated_spec({**_UNDISTURBED, **device})).open_engine(engine_request()) as it:
        yield it


@asynccontextmanager
async def simulated_lanes(count: int, *, batch: int = 1, **device: object) -> AsyncIterator[Sequence[Lane]]:
    """Open lanes on a device of their own; see `simulated_engine`."""
    async with simulated_engine(**device) as engine:
        inputs = ones_for(engine.facts.inputs, batch)
        async with engine.open_lanes(batch=batch, count=count, inputs=inputs) as lanes:
            yield lanes


def ones_for(specs: Sequence[TensorSpec], batch: int) -> Mapping[str, AnyArray]:
    """Return inputs full of ones, each `(batch, *item_shape)`."""
    return {spec.name: np.ones((batch, *spec.item_shape), spec.dtype) for spec in specs}


async def open_lane_bytes(engine: Engine) -> int:
    """Return what the lanes hold of the device: 0 once a cell has left nothing behind."""
    return (await engine.read_memory()).open_bytes


def run_on_mock_clock(main: Callable[[], Awaitable[_Result]]) -> _Result:
    """Run `main` on a clock that jumps to whatever comes next, where a test is no task of Trio itself."""
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
