"""What a lane is taken to have taken, while others take memory of the same device and let go of it."""

from __future__ import annotations

import ctypes
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.forecast_correction import ForecastCorrection
from asyncbench.tensors import TensorSpec

MIB = 1 << 20
GIB = 1 << 30
PAGE = 2 * MIB
SPEC = TensorSpec(name="input", item_shape=(MIB // 4,), dtype=np.dtype(np.float32))
BATCH = 3
INPUTS = {SPEC.name: np.zeros((BATCH, *SPEC.item_shape), SPEC.dtype)}

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")

from asyncbench.backends.tensorrt.run.lane_pool import (  # noqa: E402 - it imports cuda.bindings, which may be missing
    LANE_MARGIN_BYTES,
    LanePool,
    taken_bytes,
)


class PagedDevice:
    """A device that gives memory away in pages, and on which others take some when a stream is created for a lane."""

    def __init__(self, *, others_bytes=()):
        self.account = SimpleNamespace(unlimited=nullcontext)
        self.free_bytes = 140 * GIB
        self._others_bytes = list(others_bytes)
        self._pinned = {}
        self._sizes = {}
        self._handles = iter(range(1, 1_000_000))

    def memory_bytes(self):
        return self.free_bytes, 200 * GIB

    def create_stream(self):
        if self._others_bytes:
            self.free_bytes -= self._others_bytes.pop(0)
        return next(self._handles)

    def allocate(self, size_bytes):
        address = next(self._handles)
        self._sizes[address] = -(-size_bytes // PAGE) * PAGE
        self.free_bytes -= self._sizes[address]
        return address

    def free(self, address):
        self.free_bytes += self._sizes.pop(address)

    def allocate_pinned(self, size_bytes):
        memory = (ctypes.c_byte * size_bytes)()
        self._pinned[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    def free_pinned(self, address):
        del self._pinned[address]

    def capture(self, *_):
        self.free_bytes -= PAGE
        return Graph(self)

    def activate(self):
        """Be current on every thread."""

    def synchronize(self, stream):
        """Have nothing in flight."""

    def copy_to_device(self, *_):
        """Keep no contents."""

    def destroy_stream(self, stream):
        """Take no memory for streams."""


class Graph:
    def __init__(self, device):
        self._device = device

    def destroy(self):
        self._device.free_bytes += PAGE


def plan_of(activation_bytes):
    """A plan with one input, whose contexts take no memory but the activation memory they are given."""
    exec_context = SimpleNamespace(set_tensor_address=lambda *_: None, execute_async_v3=lambda _: True)
    return SimpleNamespace(
        inputs=(SPEC,),
        outputs=(),
        engine=SimpleNamespace(num_aux_streams=0),
        shape=SimpleNamespace(profile_of=lambda _: 0),
        bindings=SimpleNamespace(
            profile_activation_bytes=lambda *_: activation_bytes, set_activation=lambda *_, **__: None
        ),
        create_context=lambda *_: exec_context,
        set_batch=lambda *_: None,
    )


def pool_of(device, *, lanes, activation_bytes=5 * MIB):
    pool = LanePool(device, transfers=False)
    pool.lanes(plan_of(activation_bytes), batch=BATCH, count=lanes, inputs=INPUTS)
    return pool


def test_lanes_hold_what_the_device_saw_them_take_and_give_it_all_back():
    device = PagedDevice()
    pool = pool_of(device, lanes=3)

    held_bytes = [pool.held_bytes(count) for count in (1, 2, 3)]
    seen_bytes = 140 * GIB - device.free_bytes
    pool.close()

    # 5 MiB of activations, 3 of input, a graph.
    assert held_bytes == [12 * MIB, 24 * MIB, 36 * MIB]
    assert held_bytes[-1] == seen_bytes
    assert (pool.held_bytes(), device.free_bytes) == (0, 140 * GIB)


@settings(max_examples=settings.default.max_examples // 4)
@given(
    others_bytes=st.integers(-60 * GIB, 60 * GIB),
    built_before=st.integers(0, 3),
    activation_bytes=st.integers(0, GIB),
)
def test_whatever_others_take_or_free_while_a_lane_is_built_only_that_lane_is_off_and_by_a_margin(
    others_bytes, built_before, activation_bytes
):
    quiet = pool_of(PagedDevice(), lanes=4, activation_bytes=activation_bytes)

    disturbed = pool_of(
        PagedDevice(others_bytes=[*[0] * built_before, others_bytes]), lanes=4, activation_bytes=activation_bytes
    )

    held = [(quiet.held_bytes(count), disturbed.held_bytes(count)) for count in range(5)]
    off = [after - before for before, after in held]
    assert set(off[: built_before + 1]) == {0}
    assert len(set(off[built_before + 1 :])) == 1
    assert abs(off[-1]) <= LANE_MARGIN_BYTES


@pytest.mark.parametrize(("others_bytes", "lane_bytes"), [(-GIB, 8 * MIB), (GIB, 8 * MIB + LANE_MARGIN_BYTES)])
def test_a_disturbed_lane_is_taken_to_hold_its_own_activations_and_inputs_or_a_margin_more(others_bytes, lane_bytes):
    pool = pool_of(PagedDevice(others_bytes=[others_bytes]), lanes=1, activation_bytes=5 * MIB)

    assert pool.held_bytes() == lane_bytes


sizes = st.lists(st.integers(0, 2 * GIB), max_size=6)


@given(fall_bytes=st.integers(-(2**40), 2**40), allocations=sizes)
def test_a_lane_never_takes_less_than_what_fills_pages_of_its_own_nor_more_than_a_margin_beside_all_of_it(
    fall_bytes, allocations
):
    taken = taken_bytes(fall_bytes, allocations)

    assert sum(size for size in allocations if size >= PAGE) <= taken <= sum(allocations) + LANE_MARGIN_BYTES


@given(allocations=sizes, beside_bytes=st.integers(0, LANE_MARGIN_BYTES))
def test_what_a_lane_can_have_taken_is_believed_to_the_byte(allocations, beside_bytes):
    fall_bytes = sum(allocations) + beside_bytes

    assert taken_bytes(fall_bytes, allocations) == fall_bytes


def test_small_tensors_that_lie_in_a_page_of_the_lane_before_take_nothing():
    assert taken_bytes(0, [300_000, 4_000]) == 0


LANE = [11 * MIB, 6 * MIB]


def prediction_after(cells, *, hog_bytes, hog_at=-1):
    """Return the prediction after cells (lanes, MiB a lane beside its allocations), one of them with a hog."""
    correction = ForecastCorrection()
    for position, (lanes, beside) in enumerate(cells):
        falls_bytes = [sum(LANE) + beside * MIB] * lanes
        falls_bytes[-1] += hog_bytes if position == hog_at % len(cells) else 0
        used_bytes = sum(taken_bytes(fall_bytes, LANE) for fall_bytes in falls_bytes)
        used = MemoryForecast(device_bytes=used_bytes, host_bytes=0)
        correction.learn(raw_of(lanes), used, lanes=lanes)
    return lambda lanes: correction.corrected(raw_of(lanes), lanes=lanes).device_bytes


def raw_of(lanes):
    return MemoryForecast(device_bytes=lanes * (sum(LANE) + 3 * MIB), host_bytes=0)


@given(
    lanes_before=st.lists(st.integers(1, 64), max_size=8),
    lanes=st.integers(1, 64),
    beside=st.integers(3, 10),
    hog_bytes=st.integers(0, 2**40),
)
def test_a_hog_of_any_size_while_a_lane_is_built_moves_the_prediction_for_such_cells_and_for_a_lane_by_a_margin(
    lanes_before, lanes, beside, hog_bytes
):
    cells = [(each, beside) for each in (*lanes_before, lanes)]

    quiet = prediction_after(cells, hog_bytes=0)
    disturbed = prediction_after(cells, hog_bytes=hog_bytes)

    assert abs(disturbed(lanes) - quiet(lanes)) <= LANE_MARGIN_BYTES
    # What the governor gives a lane back by.
    lane_need_bytes = [predict(lanes + 1) - predict(lanes) for predict in (quiet, disturbed)]
    assert abs(lane_need_bytes[1] - lane_need_bytes[0]) <= LANE_MARGIN_BYTES
    # And no number of lanes is predicted to take less than forecast: no cell did.
    assert all(disturbed(each) >= raw_of(each).device_bytes for each in range(1, 65))


@pytest.mark.parametrize("before", [(), (1, 2, 4), (1, 2, 4, 8, 16, 32)])
def test_six_good_cells_after_a_hog_bring_the_prediction_back_to_within_a_page(before):
    cells = [(lanes, 4) for lanes in (*before, 8, *[8] * 6)]

    predicted = prediction_after(cells, hog_bytes=40 * GIB, hog_at=len(before))

    assert abs(predicted(8) - 8 * (sum(LANE) + 4 * MIB)) <= PAGE
