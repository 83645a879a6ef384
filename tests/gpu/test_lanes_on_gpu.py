"""Lanes over TensorRT on a real GPU: what the contract suite does not ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import trio
from onnx import helper

from asyncbench.backends.base import EngineRequest
from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.sweep.cell import Driver
from asyncbench.testing import engine_request, write_network

pytestmark = pytest.mark.gpu

BATCHES = (1, 2, 4)


@pytest.fixture(scope="session")
def engine_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session")
def conv_model(tmp_path_factory) -> Path:
    """Four 3x3 convolutions, `(N, 16, 32, 32)` float32 to the same: activation memory is really used."""
    random = np.random.default_rng(3)
    weights = {f"w{i}": random.standard_normal((16, 16, 3, 3), dtype=np.float32) / 12 for i in range(4)}
    nodes, last = [], "x"
    for index in range(4):
        nodes.append(helper.make_node("Conv", [last, f"w{index}"], [f"c{index}"], kernel_shape=[3, 3], pads=[1] * 4))
        last = "y" if index == 3 else f"r{index}"
        nodes.append(helper.make_node("Relu", [f"c{index}"], [last]))
    path, shape = tmp_path_factory.mktemp("model") / "convs.onnx", ["N", 16, 32, 32]
    return write_network(path, nodes, {"x": shape}, {"y": shape}, constants=weights, opsets={"": 13})


def request_for(path: Path, batches=BATCHES) -> EngineRequest:
    return engine_request(model_name="convs", model_path=path, device="auto", batches=batches, max_concurrency=16)


def inputs_of(batch, seed=0):
    return {"x": np.random.default_rng(seed).standard_normal((batch, 16, 32, 32), dtype=np.float32)}


async def drive(lanes, driver, duration_s=0.2):
    """Run all lanes at once; return how many inferences completed."""
    counts = []
    loop = ClosedLoop(
        lanes,
        concurrency=len(lanes),
        driver=driver,
        record=lambda done, _worker: counts.append(len(done)),
    )

    async def wait():
        await trio.sleep(duration_s)

    await loop.run(wait)
    return sum(counts)


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize("completion", ["spin", "yield", "block"])
async def test_sixteen_lanes_at_once_give_the_outputs_of_onnx_runtime(
    gpu, engine_folder, conv_model, driver, completion
):
    inputs = inputs_of(2)
    expected = onnxruntime.InferenceSession(conv_model).run(None, inputs)[0]

    async with gpu.backend(engine_folder, completion=completion).open_engine(request_for(conv_model)) as engine:
        async with engine.open_lanes(batch=2, count=16, inputs=inputs) as lanes:
            count = await drive(lanes, driver)
            outputs = [lane.read_outputs()["y"] for lane in lanes]

    assert count > 16
    for output in outputs:
        np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)


async def test_the_lanes_replay_a_captured_graph(gpu, engine_folder, conv_model):
    async with gpu.backend(engine_folder).open_engine(request_for(conv_model)) as engine:
        async with engine.open_lanes(batch=1, count=1, inputs=inputs_of(1)):
            facts = engine.lane_facts

    assert facts.graph is True
    assert facts.graph_reason is None


async def test_copies_inside_the_inference_bring_the_outputs_along(gpu, engine_folder, conv_model):
    inputs = inputs_of(1, seed=5)
    expected = onnxruntime.InferenceSession(conv_model).run(None, inputs)[0]

    async with gpu.backend(engine_folder, transfers=True).open_engine(request_for(conv_model)) as engine:
        async with engine.open_lanes(batch=1, count=2, inputs=inputs) as lanes:
            await drive(lanes, Driver.PUMP)
            output = lanes[1].read_outputs()["y"]

    np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-3)


async def test_gpu_time_is_within_the_service_time(gpu, engine_folder, conv_model):
    async with gpu.backend(engine_folder, gpu_time=True).open_engine(request_for(conv_model)) as engine:
        async with engine.open_lanes(batch=4, count=1, inputs=inputs_of(4)) as (lane,):
            lane.give_credits(50)
            await lane.wait_idle()
            done = lane.completions_nowait()

    assert len(done) == 50
    assert (done.gpu_ns > 0).all()
    # Events tick in half microseconds.
    assert (done.gpu_ns <= done.completed_at_ns - done.issued_at_ns + 1_000).all()


async def test_depth_two_keeps_two_in_flight_on_a_lane(gpu, engine_folder, conv_model):
    async with gpu.backend(engine_folder, depth=2).open_engine(request_for(conv_model)) as engine:
        async with engine.open_lanes(batch=4, count=1, inputs=inputs_of(4)) as (lane,):
            lane.give_credits(100)
            await lane.wait_idle()
            done = lane.completions_nowait()

    assert (done.issued_at_ns[2:] < done.completed_at_ns[1:-1]).mean() > 0.9


async def test_cells_of_changing_size_leave_no_device_memory_behind(gpu, engine_folder, conv_model):
    async with gpu.backend(engine_folder).open_engine(request_for(conv_model)) as engine:
        free_bytes = []
        inputs = {batch: inputs_of(batch) for batch in BATCHES}
        for _ in range(6):
            for batch in BATCHES:
                async with engine.open_lanes(batch=batch, count=8, inputs=inputs[batch]) as lanes:
                    await drive(lanes, Driver.PUMP, 0.02)
            async with engine.open_lanes(batch=1, count=1, inputs=inputs[1]):
                free_bytes.append((await engine.read_memory()).free_bytes)

    assert min(free_bytes[1:]) == max(free_bytes[1:])


@pytest.mark.parametrize("driver", list(Driver))
async def test_cancelling_a_loop_drains_before_anything_is_freed(gpu, engine_folder, conv_model, driver):
    async with gpu.backend(engine_folder).open_engine(request_for(conv_model)) as engine:
        for _ in range(20):
            with trio.move_on_after(0.005):
                async with engine.open_lanes(batch=4, count=8, inputs=inputs_of(4)) as lanes:
                    await drive(lanes, driver, 60)
        async with engine.open_lanes(batch=4, count=8, inputs=inputs_of(4)) as lanes:
            count = await drive(lanes, driver, 0.02)

    assert count > 0


@pytest.mark.parametrize("damage", ["truncated", "bit-flipped", "foreign"])
async def test_an_engine_that_is_damaged_is_rebuilt_with_a_reason(gpu, tmp_path, conv_model, damage):
    folder = tmp_path / "engines"
    async with gpu.backend(folder).open_engine(request_for(conv_model, (1,))) as engine:
        first = engine.facts
    (path,) = folder.glob("*.engine")
    plan = bytearray(path.read_bytes())
    if damage == "truncated":
        plan = plan[: len(plan) // 2]
    elif damage == "bit-flipped":
        plan[len(plan) // 2] ^= 1
    else:
        plan[24] ^= 0x0F  # where a plan carries its version
    path.write_bytes(plan)

    async with gpu.backend(folder).open_engine(request_for(conv_model, (1,))) as engine:
        second = engine.facts
        async with engine.open_lanes(batch=1, count=1, inputs=inputs_of(1)) as (lane,):
            stamps = await lane.infer()

    assert first.extra["engines_built"] == second.extra["engines_built"] == 1
    assert stamps.service_ns > 0
    assert list((folder / "quarantine").iterdir())


async def test_memory_that_is_not_there_is_refused_with_bytes_and_the_engine_goes_on(gpu, engine_folder, conv_model):
    from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
    from asyncbench.errors import DoesNotFitError

    device = CudaDevice(0)
    async with gpu.backend(engine_folder).open_engine(request_for(conv_model)) as engine:
        free_bytes, _ = device.memory_bytes()
        hog = device.allocate(free_bytes - (64 << 20))
        try:
            with pytest.raises(DoesNotFitError) as refusal:
                async with engine.open_lanes(batch=4, count=2000, inputs=inputs_of(4)):
                    pass
        finally:
            device.free(hog)
        async with engine.open_lanes(batch=4, count=1, inputs=inputs_of(4)) as (lane,):
            await lane.infer()

    assert "lower --concurrency" in refusal.value.remedy or "lower --batch" in refusal.value.remedy
