"""The backends that the contract is held against: each with a network, its inputs, and a way to make it fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from asyncbench.backends.base import Backend, EngineFacts, EngineMemory, EngineRequest, LaneFacts
from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend
from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import Fault, ServiceTime, SimulatedSpec
from asyncbench.clock import now_ns
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.sweep.backends.simulated import FaultKind
from asyncbench.tensors import AnyArray, TensorSpec
from asyncbench.testing import engine_request, write_network

CUDA_ERROR_LAUNCH_FAILED = 719
GRAPH_NS = 5_000  # a lane takes 65,536 credits at a time

Arrays = Mapping[str, AnyArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A backend under the contract.

    Attributes:
        inputs: Returns seeded inputs of a batch.
        reference: Returns what the network makes of inputs, without a lane.
    """

    backend: Backend
    model_path: Path
    device: str = "cpu"
    inputs: Callable[[int, int], Arrays]
    reference: Callable[[Arrays], Arrays]

    def request(self, batches: tuple[int, ...] = (1, 2, 4)) -> EngineRequest:
        return engine_request(model_path=self.model_path, device=self.device, batches=batches, max_concurrency=4)


@pytest.fixture(
    params=[
        "onnxruntime",
        "simulated",
        pytest.param("pump", marks=pytest.mark.native),
        pytest.param("tensorrt", marks=pytest.mark.gpu),
    ]
)
def subject(request, tmp_path) -> Subject:
    """A backend whose inferences succeed."""
    if request.param in ("tensorrt", "pump"):
        return request.getfixturevalue(f"{request.param}_subject")
    if request.param == "onnxruntime":
        path = write_gemm_model(tmp_path / "gemm.onnx")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return Subject(
            backend=OnnxRuntimeBackend(),
            model_path=path,
            inputs=lambda batch, seed: {"x": _random((batch, 8), seed)},
            reference=lambda inputs: {"y": session.run(None, dict(inputs))[0]},
        )
    return _simulated(SimulatedSpec(service=ServiceTime(median_ns=100_000), slots=2), tmp_path)


@pytest.fixture(params=["onnxruntime", "simulated", pytest.param("pump", marks=pytest.mark.native)])
def failing_subject(request, tmp_path) -> Subject:
    """A backend whose first inference in a cell fails; with one lane, that is the lane's first."""
    if request.param == "pump":
        request.addfinalizer(request.getfixturevalue("fake_cuda_library").heal)  # noqa: PT021 # one way of three
        subject = request.getfixturevalue("pump_subject")
        subject.backend.fails = True
        return subject
    if request.param == "onnxruntime":
        return Subject(
            backend=OnnxRuntimeBackend(),
            model_path=write_gather_model(tmp_path / "gather.onnx"),
            inputs=lambda batch, _: {"x": np.full((batch, 1), 99, np.int64)},
            reference=lambda _: {},
        )
    faults = (Fault(at=0, kind=FaultKind.ERROR),)
    return _simulated(SimulatedSpec(service=ServiceTime(median_ns=100_000), faults=faults), tmp_path)


@pytest.fixture
def pump_subject(fake_cuda_library, tmp_path) -> Subject:
    """The lanes of the TensorRT backend and the native pump over a fake driver; the network is one of the test's."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    return Subject(
        backend=PumpOverFake(fake_cuda_library),
        model_path=tmp_path / "there-is-none.onnx",
        inputs=lambda batch, seed: {"x": _random((batch, 8), seed)},
        reference=lambda inputs: {"y": inputs["x"] * 2},
    )


class PumpOverFake:
    """A backend, and its engine, whose graphs are the fake driver's."""

    name = "pump over a fake driver"

    def __init__(self, fake) -> None:
        self._fake = fake
        self.fails = False
        self.lane_facts = LaneFacts()
        self.facts = EngineFacts(
            backend=self.name,
            backend_version="0",
            device="cpu",
            device_name="fake",
            engine_hash="0" * 64,
            load_ns=1,
            inputs=(TensorSpec(name="x", item_shape=(8,), dtype="float32"),),
            outputs=(TensorSpec(name="y", item_shape=(8,), dtype="float32"),),
        )

    @asynccontextmanager
    async def open_engine(self, _request):
        from asyncbench.backends.tensorrt.run.pump import open_pump

        async with open_pump(0xC0DE, completion="spin", library=str(self._fake.path)) as self._reactor:
            yield self

    def now_ns(self):
        return now_ns()

    def forecast(self, *, batch, lanes):
        return MemoryForecast(device_bytes=64 * batch * lanes, host_bytes=0)

    @asynccontextmanager
    async def open_lanes(self, *, batch, count, inputs):
        from asyncbench.backends.tensorrt.run.pump import open_pump_lanes

        if inputs["x"].shape != (batch, 8):
            message = f"input 'x' has the shape {inputs['x'].shape}, the lane needs {(batch, 8)}"
            raise ValueError(message)
        bodies = [DoublingBody(self._fake, inputs["x"]) for _ in range(count)]
        if self.fails:
            for body in bodies:
                self._fake.fail("cuGraphLaunch", stream=body.stream, code=CUDA_ERROR_LAUNCH_FAILED)
        async with open_pump_lanes(self._reactor, bodies) as lanes:
            yield lanes

    async def read_memory(self):
        return EngineMemory()

    async def free_lanes(self):
        pass

    @asynccontextmanager
    async def open_empty_lane(self):
        from asyncbench.backends.tensorrt.run.pump import open_empty_pump_lane

        async with open_empty_pump_lane(self._reactor) as lane:
            yield lane


class DoublingBody:
    """What a lane of `PumpOverFake` owns: a stream of the fake driver and its own inputs."""

    graph_exec = 1

    def __init__(self, fake, first) -> None:
        self._fake = fake
        self._first = first
        self._own = first.copy()
        self.stream = fake.stream(low_ns=GRAPH_NS)

    def read_outputs(self):
        return {"y": self._own * 2}

    def write_inputs(self, inputs):
        self._own[:] = inputs["x"]

    async def free_memory(self):
        self._own = None

    async def take_memory(self):
        self._own = self._first.copy()
        self.stream = self._fake.stream(low_ns=GRAPH_NS)


@pytest.fixture(scope="session")
def engine_folder(tmp_path_factory):
    """One cache for all tests: each engine is built once."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
def tensorrt_subject(tmp_path, engine_folder, gpu) -> Subject:
    """TensorRT on the GPU that is there."""
    path = write_conv_model(tmp_path / "conv.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return Subject(
        backend=gpu.backend(engine_folder),
        model_path=path,
        device="auto",
        inputs=lambda batch, seed: {"x": _random((batch, 8, 16, 16), seed)},
        reference=lambda inputs: {"y": session.run(None, dict(inputs))[0]},
    )


@pytest.fixture
async def engine(subject):
    async with subject.backend.open_engine(subject.request()) as engine:
        yield engine


def write_gemm_model(path: Path) -> Path:
    """Write `y = relu(x · weights)`, `(N, 8)` to `(N, 4)` float32."""
    nodes = [helper.make_node("MatMul", ["x", "weights"], ["product"]), helper.make_node("Relu", ["product"], ["y"])]
    weights = {"weights": _random((8, 4), 7)}
    return write_network(path, nodes, {"x": ["N", 8]}, {"y": ["N", 4]}, constants=weights)


def write_conv_model(path: Path) -> Path:
    """Write `y = relu(conv3x3(x))`, `(N, 8, 16, 16)` float32 to the same: what needs neither cuBLAS nor cuDNN."""
    nodes = [
        helper.make_node("Conv", ["x", "weights"], ["product"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["product"], ["y"]),
    ]
    shape, weights = ["N", 8, 16, 16], {"weights": _random((8, 8, 3, 3), 7)}
    return write_network(path, nodes, {"x": shape}, {"y": shape}, constants=weights)


def write_gather_model(path: Path) -> Path:
    """Write a look-up in a table of four rows, which fails for any other index: `(N, 1)` int64 to float32."""
    nodes, table = [helper.make_node("Gather", ["table", "x"], ["y"])], {"table": _random((4,), 7)}
    shape = ["N", 1]
    return write_network(
        path, nodes, {"x": shape}, {"y": shape}, constants=table, element_types={"x": TensorProto.INT64}
    )


def _simulated(spec: SimulatedSpec, tmp_path: Path) -> Subject:
    return Subject(
        backend=SimulatedBackend(spec),
        model_path=tmp_path / "there-is-none.onnx",
        inputs=lambda batch, seed: {"input": _random((batch, 3, 224, 224), seed)},
        reference=_simulated_reference,
    )


def _simulated_reference(inputs: Arrays) -> Arrays:
    flat = inputs["input"].reshape(len(inputs["input"]), -1)
    return {"output": flat[:, :150_000:150] + flat.mean(axis=1, keepdims=True)}


def _random(shape: tuple[int, ...], seed: int) -> AnyArray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
