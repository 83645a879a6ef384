"""Engines of a sweep, out of the real cache and the real TensorRT-RTX builder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.build.builder import BuildProgress
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.build.engine_provider import (
    EngineSpec,
    EnginesProgress,
    provide_engines,
    time_left_ns,
)
from asyncbench.backends.tensorrt.build.messages import BuildSettings
from asyncbench.backends.tensorrt.cache import EngineFolder, StoredEngine
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision


class Buyer:
    """Orders engines of one network, and remembers what was said."""

    def __init__(self, order: EngineSpec, folder: EngineFolder) -> None:
        self.order, self.folder = order, folder
        self.said: list[str] = []
        self.progress: list[EnginesProgress] = []
        self.read_free_bytes: Callable[[], Awaitable[int]] | None = None

    async def buy(self) -> tuple[StoredEngine, ...]:
        self.said.clear()
        return await provide_engines(
            self.order,
            self.folder,
            on_progress=self.progress.append,
            report=self.said.append,
            read_free_bytes=self.read_free_bytes,
        )


@pytest.fixture
def buyer(rtx, ada, write_network, tmp_path: Path) -> Buyer:
    order = EngineSpec(
        model_name="net",
        model_path=write_network(),
        precision=Precision.FP16,
        shapes=choose_engines((1, 4), EngineMode.STATIC),
        variant=rtx.variant,
        gpu=ada,
        settings=BuildSettings(),
    )
    return Buyer(order, EngineFolder(root=tmp_path / "cache"))


@pytest.mark.slow
async def test_the_first_sweep_builds_each_engine_and_the_second_none(buyer):
    first = await buyer.buy()
    progress = buyer.progress.copy()
    second = await buyer.buy()

    assert [one.freshly_built for one in first] == [True, True]
    assert [one.freshly_built for one in second] == [False, False]
    assert [one.path for one in first] == [one.path for one in second]
    assert {(one.label, one.position, one.count) for one in progress} == {
        ("net fp16 batch 1", 1, 2),
        ("net fp16 batch 4", 2, 2),
    }
    assert buyer.said == []


@pytest.mark.slow
async def test_a_bit_that_flipped_in_an_engine_is_noticed_and_that_engine_alone_rebuilt(buyer):
    first = await buyer.buy()
    _flip_last_bit(first[1].path)

    second = await buyer.buy()

    assert [one.freshly_built for one in second] == [False, True]
    assert buyer.said == [
        "net fp16 batch 4: building an engine (the stored one was put into quarantine: its checksum differs)"
    ]


@pytest.mark.slow
async def test_a_plan_of_another_version_under_our_name_is_foreign(buyer):
    buyer.order = dataclasses.replace(buyer.order, shapes=buyer.order.shapes[:1])
    first = await buyer.buy()
    _write_version(first[0].path, bytes([1, 6, 0, 1]))

    second = await buyer.buy()

    assert second[0].freshly_built
    assert "it was built by tensorrt_rtx 1.6.0.1, this is tensorrt_rtx 1.7" in buyer.said[0]


@pytest.mark.slow
async def test_another_driver_means_another_engine_and_the_reason_is_said(buyer):
    buyer.order = dataclasses.replace(buyer.order, shapes=buyer.order.shapes[:1])
    await buyer.buy()
    buyer.order = dataclasses.replace(buyer.order, gpu=dataclasses.replace(buyer.order.gpu, cuda_major=14))

    await buyer.buy()

    assert buyer.said[0] == ("net fp16 batch 1: building an engine (the stored one has cuda_major 13, this is 14)")


async def five_gib_free() -> int:
    return 5 << 30


@pytest.mark.slow
async def test_the_workspace_follows_what_is_free_and_the_engine_stays_the_same_one(buyer):
    buyer.order = dataclasses.replace(buyer.order, shapes=buyer.order.shapes[:1])
    buyer.read_free_bytes = five_gib_free
    built = await buyer.buy()
    buyer.read_free_bytes = None

    found = await buyer.buy()

    assert built[0].sidecar.build.workspace_bytes == (5 * 1024 - 512) // 2 << 20
    assert [one.outcome for one in built[0].sidecar.build.tries] == ["built"]
    assert built[0].sidecar.identity.flags == ()
    assert not found[0].freshly_built


@pytest.mark.slow
async def test_the_workspace_that_the_user_set_comes_before_what_is_free(buyer):
    settings = BuildSettings(workspace_bytes=64 << 20)
    buyer.order = dataclasses.replace(buyer.order, shapes=buyer.order.shapes[:1], settings=settings)
    buyer.read_free_bytes = five_gib_free

    built = await buyer.buy()

    assert built[0].sidecar.build.workspace_bytes == 64 << 20


async def test_a_precision_that_the_gpu_lacks_is_refused_before_anything_is_read(buyer):
    gpu = dataclasses.replace(buyer.order.gpu, compute_capability=(7, 5))
    absent = Path("absent.onnx")
    buyer.order = dataclasses.replace(buyer.order, gpu=gpu, precision=Precision.FP8, model_path=absent)

    with pytest.raises(BackendUnavailableError, match=r"from fp32, fp16$"):
        await buyer.buy()


def progress(done_ratio: float | None, elapsed_ns: int) -> BuildProgress:
    return BuildProgress(phase="", done_ratio=done_ratio, elapsed_ns=elapsed_ns)


def test_the_first_build_is_extrapolated_from_its_steps_and_the_others_from_it():
    assert time_left_ns([], progress(0.25, 100), waiting=2) == 300 + 2 * 400


def test_later_builds_take_what_the_finished_ones_took():
    assert time_left_ns([100, 200], progress(None, 50), waiting=1) == 100 + 150


@pytest.mark.parametrize("done_ratio", [None, 0.0])
def test_without_steps_and_finished_builds_there_is_nothing_to_guess_from(done_ratio):
    assert time_left_ns([], progress(done_ratio, 100), waiting=2) is None


@given(st.lists(st.integers(1, 10**12), max_size=5), st.floats(0.001, 1), st.integers(0, 10**12), st.integers(0, 20))
def test_the_time_left_is_never_negative(finished_ns, done_ratio, elapsed_ns, waiting):
    left_ns = time_left_ns(finished_ns, progress(done_ratio, elapsed_ns), waiting=waiting)

    assert left_ns is not None
    assert left_ns >= 0


def _flip_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _write_version(path: Path, version: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR)
    os.pwrite(descriptor, version, 24)
    os.close(descriptor)
