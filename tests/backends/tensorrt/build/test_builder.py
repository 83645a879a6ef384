"""The real build child with the real TensorRT-RTX builder, on a CPU."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from asyncbench.backends.tensorrt.bindings.variant import why_plan_is_foreign
from asyncbench.backends.tensorrt.build.builder import BuildProgress, BuildResult, build_engine
from asyncbench.backends.tensorrt.build.engine_choice import EngineShape, choose_engines
from asyncbench.backends.tensorrt.build.messages import REQUESTS, BuildRequest, BuildSettings
from asyncbench.errors import BackendUnavailableError, BadInputError, EngineBuildError
from asyncbench.models.graphs.model_file import write_model
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("rtx")]

DYNAMIC = choose_engines((1, 2, 3, 4, 16), EngineMode.DYNAMIC)[0]
SHARED_MODELS = Path(__file__).parents[4].parent / "shared" / "models"
WATCHDOG_S = 60  # longer than any build here: reaching it is a failure


def request(
    model: Path,
    *,
    precision: Precision = Precision.FP32,
    shape: EngineShape = DYNAMIC,
    settings: BuildSettings | None = None,
    compute_capability: tuple[int, int] = (8, 9),
    calibration_cache: Path | None = None,
) -> BuildRequest:
    return BuildRequest(
        module_name="tensorrt_rtx_bindings",
        model_path=str(model),
        engine_path=str(model.with_suffix(".engine")),
        precision=precision,
        shape=shape,
        settings=settings or BuildSettings(),
        compute_capability=compute_capability,
        calibration_cache_path=None if calibration_cache is None else str(calibration_cache),
    )


async def build(wanted: BuildRequest, progress: list[BuildProgress] | None = None) -> BuildResult:
    with trio.fail_after(WATCHDOG_S):
        return await build_engine(wanted, (progress if progress is not None else []).append)


def engine_of(wanted: BuildRequest) -> bytes:
    return Path(wanted.engine_path).read_bytes()


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.BF16])
@pytest.mark.parametrize("mode", [EngineMode.STATIC, EngineMode.DYNAMIC])
async def test_an_engine_of_this_version_is_built_for_every_precision_and_shape(rtx, write_network, precision, mode):
    wanted = request(write_network(), precision=precision, shape=choose_engines((4,), mode)[0])

    result = await build(wanted)

    assert result.build_ns > 0
    assert why_plan_is_foreign(engine_of(wanted), rtx.variant) is None


async def test_a_quantized_graph_is_built_as_int8(rtx, quantized_network):
    wanted = request(quantized_network, precision=Precision.INT8)

    await build(wanted)

    assert why_plan_is_foreign(engine_of(wanted), rtx.variant) is None


@pytest.mark.parametrize("name", ["mobilenet", "ssdmobilenet"])
async def test_the_packages_own_networks_are_built_in_fp16_with_their_profiles(tmp_path, name):
    path = await trio.to_thread.run_sync(write_model, name, tmp_path, 0)
    progress: list[BuildProgress] = []

    result = await build(request(path, precision=Precision.FP16), progress)

    ratios = [one.done_ratio for one in progress if one.done_ratio is not None]
    assert result.warnings == ()
    assert ratios == sorted(ratios)
    assert len(set(ratios)) > 10
    assert ratios[-1] == 1.0
    assert "Building engine" in {one.phase for one in progress}


@pytest.fixture(params=["mobilenet_v1_1.0_224", "ssd_mobilenet_v1_coco_300"])
def published_model(request):
    """A file of ../shared/models. Not asked for inside an async test, where the reason of a skip is lost."""
    source = SHARED_MODELS / f"{request.param}.onnx"
    if not source.exists():
        pytest.skip("../shared is not beside the repository")
    return source


async def test_the_published_networks_are_built(rtx, tmp_path, published_model):
    path = tmp_path / published_model.name
    path.symlink_to(published_model)

    await build(request(path, precision=Precision.FP16))

    assert why_plan_is_foreign(engine_of(request(path)), rtx.variant) is None


@pytest.mark.parametrize(
    ("network", "options", "error", "message"),
    [
        (
            {"operator": "Det"},
            {},
            BadInputError,
            r"cannot take net.onnx: node 1 \(Det 'last'\): .*--backend onnxruntime",
        ),
        (
            {"batch": 4},
            {},
            BadInputError,
            r"input 'input' has the shape \(4, 3, 8, 8\), which cannot run batches 1 to 16",
        ),
        ({"height": "H"}, {}, BadInputError, "more than its batch is open: export the model"),
        ({}, {"precision": Precision.INT8}, BadInputError, "not quantized to int8"),
        ({}, {"compute_capability": (9, 0)}, BackendUnavailableError, "no support for SM90: use a GPU of .*SM89"),
        (
            {},
            {"settings": BuildSettings(tactic_sources=("CUBLAS",))},
            BadInputError,
            "no tactic source CUBLAS: choose from .*JIT_CONVOLUTIONS",
        ),
    ],
)
async def test_what_cannot_be_built_is_one_line_with_a_remedy(write_network, network, options, error, message):
    wanted = request(write_network(**network), **options)

    with pytest.raises(error, match=message) as raised:
        await build(wanted)

    assert "\n" not in str(raised.value)
    assert raised.value.remedy
    assert not await trio.Path(wanted.engine_path).exists()


async def test_a_file_that_is_no_network_is_named(tmp_path):
    path = tmp_path / "net.onnx"
    await trio.Path(path).write_bytes(b"no network")

    with pytest.raises(BadInputError, match=r"net\.onnx"):
        await build(request(path))


async def test_a_fixed_batch_is_built_where_the_sweep_asks_for_no_other(write_network):
    wanted = request(write_network(batch=4), shape=choose_engines((4,), EngineMode.DYNAMIC)[0])

    assert (await build(wanted)).build_ns > 0


async def test_limits_that_the_user_sets_reach_the_builder(write_network):
    settings = BuildSettings(tactic_sources=("JIT_CONVOLUTIONS",), max_aux_streams=0)
    wanted = dataclasses.replace(request(write_network(), settings=settings), workspace_bytes=1 << 24)

    assert (await build(wanted)).build_ns > 0


async def test_a_build_without_a_gpu_takes_no_device_memory_whatever_its_budget(write_network):
    wanted = dataclasses.replace(request(write_network()), device_budget_bytes=0)

    assert (await build(wanted)).peak_device_bytes == 0


async def test_a_calibration_cache_is_refused_by_a_version_without_calibrators(write_network, tmp_path):
    cache = tmp_path / "scales"
    await trio.Path(cache).write_bytes(b"TRT-8600-EntropyCalibration2\n")
    wanted = request(write_network(), precision=Precision.INT8, calibration_cache=cache)

    with pytest.raises(BadInputError, match="takes no calibration cache: quantize the graph"):
        await build(wanted)


async def test_a_tensorrt_that_is_not_installed_is_named(write_network):
    wanted = BuildRequest(
        module_name="tensorrt_of_tomorrow",
        model_path=str(write_network()),
        engine_path="unused",
        precision=Precision.FP32,
        shape=DYNAMIC,
        settings=BuildSettings(),
    )

    with pytest.raises(BackendUnavailableError, match="no TensorRT is installed"):
        await build(wanted)


# -- a child that does not come to its end. It reads its calibration cache in the middle of a build, after parsing: with
# -- a pipe there instead of a file it waits in that place for as long as the test likes.


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "scales"
    os.mkfifo(path)
    return path


def child_pids(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(one) for children in lists for one in children]


async def wait_in_the_middle(pipe: Path) -> int:
    """Wait until the child stands in the middle of its build; return the pipe's end that keeps it there."""
    return await trio.to_thread.run_sync(os.open, pipe, os.O_WRONLY)


async def test_a_builder_that_is_killed_is_an_error_with_the_signal_and_a_remedy(write_network, pipe):
    wanted = request(write_network(), calibration_cache=pipe)
    errors: list[EngineBuildError] = []

    async def expect_error() -> None:
        with pytest.raises(EngineBuildError) as raised:
            await build(wanted)
        errors.append(raised.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_error)
        end = await wait_in_the_middle(pipe)
        (child,) = child_pids(os.getpid())
        os.kill(child, signal.SIGKILL)
    os.close(end)

    assert errors[0].message.startswith("the builder of fp32 for batches 1 to 16 died after ")
    assert "it was ended by SIGKILL" in errors[0].message
    assert "dmesg" in errors[0].remedy
    assert errors[0].facts["signal"] == "SIGKILL"


async def test_the_child_is_the_one_that_the_kernel_kills_when_memory_ends(write_network, pipe):
    wanted = request(write_network(), calibration_cache=pipe)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(build, wanted)
        end = await wait_in_the_middle(pipe)
        (child,) = child_pids(os.getpid())
        score = await trio.Path(f"/proc/{child}/oom_score_adj").read_text()
        nursery.cancel_scope.cancel()
    os.close(end)

    assert score.strip() == "1000"


async def test_cancelling_kills_the_child_and_waits_until_it_is_gone(write_network, pipe):
    wanted = request(write_network(), calibration_cache=pipe)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(build, wanted)
        end = await wait_in_the_middle(pipe)
        (child,) = child_pids(os.getpid())
        nursery.cancel_scope.cancel()
    os.close(end)

    assert not await trio.Path(f"/proc/{child}").exists()


PARENT = """
import sys, trio
from asyncbench.backends.tensorrt.build.builder import build_engine
from asyncbench.backends.tensorrt.build.messages import REQUESTS

trio.run(build_engine, REQUESTS.validate_json(sys.argv[1]), lambda progress: None)
"""


def test_the_child_of_a_killed_parent_does_not_go_on(write_network, pipe):
    wanted = request(write_network(), calibration_cache=pipe)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, REQUESTS.dump_json(wanted).decode()])
    end = os.open(pipe, os.O_WRONLY)
    (child,) = child_pids(parent.pid)
    child_ends = os.pidfd_open(child)

    parent.kill()
    parent.wait()

    assert select.select([child_ends], [], [], WATCHDOG_S)[0], "the child goes on"
    os.close(end)
    os.close(child_ends)
    assert not Path(wanted.engine_path).exists()
