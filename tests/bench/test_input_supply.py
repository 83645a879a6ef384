"""Inputs of one batch at a time, seen by whoever admits cells."""

import numpy as np
import pytest

from asyncbench.backends.base import EngineMemory
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController, MemoryPolicy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.tensors import TensorSpec
from asyncbench.testing import host_reading

SPECS = (TensorSpec(name="a", item_shape=(4,), dtype="float32"), TensorSpec(name="b", item_shape=(2,), dtype="int8"))
ITEM_BYTES = 4 * 4 + 2
AVAILABLE_BYTES = 1000


class Recipe:
    """Makes zeros, and says of which batches; None where there is no memory."""

    def __init__(self):
        self.made = []
        self.has_memory = True

    def __call__(self, specs, batch):
        if not self.has_memory:
            raise MemoryError
        self.made.append(batch)
        return {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in specs}


@pytest.fixture
def recipe():
    return Recipe()


@pytest.fixture
def supply(recipe):
    return InputSupply(SPECS, recipe)


async def test_nothing_is_made_before_a_cell_asks(supply, recipe):
    assert (supply.held_bytes, recipe.made) == (0, [])


async def test_the_cells_of_a_batch_share_its_inputs(supply, recipe):
    first, second = await supply.of(3), await supply.of(3)

    assert first is second
    assert supply.held_bytes == supply.needed_bytes(3) == 3 * ITEM_BYTES
    assert recipe.made == [3]


async def test_another_batch_takes_the_place_of_the_last(supply, recipe):
    await supply.of(3)

    inputs = await supply.of(2)

    assert {name: len(array) for name, array in inputs.items()} == {"a": 2, "b": 2}
    assert supply.held_bytes == 2 * ITEM_BYTES
    assert recipe.made == [3, 2]


async def test_where_there_is_no_memory_nothing_is_held_and_the_next_batch_may_be_made(supply, recipe):
    await supply.of(3)
    recipe.has_memory = False
    with pytest.raises(MemoryError):
        await supply.of(100)
    held_bytes = supply.held_bytes
    recipe.has_memory = True

    inputs = await supply.of(1)

    assert held_bytes == 0
    assert len(inputs["a"]) == 1


async def test_others_are_released_and_the_own_batch_is_not(supply):
    await supply.of(3)

    supply.release_others(3)
    kept_bytes = supply.held_bytes
    supply.release_others(2)

    assert (kept_bytes, supply.held_bytes) == (3 * ITEM_BYTES, 0)


class Engine:
    """Lanes of 10 bytes."""

    def forecast(self, *, batch, lanes):  # noqa: ARG002 # as Engine has it
        return MemoryForecast(device_bytes=0, host_bytes=10 * lanes)

    async def read_memory(self):
        return EngineMemory()


@pytest.fixture
def controller(supply):
    policy = MemoryPolicy(reserve_bytes=0)
    return AdmissionController(
        Engine(), policy, batches=(1, 2, 100), read_host=lambda: host_reading(AVAILABLE_BYTES), inputs=supply
    )


async def test_a_forecast_has_the_inputs_of_its_batch_once_for_all_lanes(controller):
    assert controller.forecast(batch=2, lanes=3).host_bytes == 2 * ITEM_BYTES + 30
    assert controller.forecast(batch=1, lanes=1).host_bytes == ITEM_BYTES + 10


async def test_what_is_held_for_the_last_cell_is_there_for_the_next(controller, supply):
    before = await controller.available()
    await supply.of(2)

    after = await controller.available()

    assert before.host_bytes == AVAILABLE_BYTES
    assert after.host_bytes == AVAILABLE_BYTES + 2 * ITEM_BYTES


async def test_inputs_are_no_part_of_what_is_learned_of_lanes(controller):
    controller.learn(batch=2, lanes=3, used=MemoryForecast(device_bytes=0, host_bytes=2 * ITEM_BYTES + 30))

    assert controller.forecast(batch=2, lanes=3).host_bytes == 2 * ITEM_BYTES + 30


async def test_one_lane_more_takes_no_inputs_more(controller):
    assert [controller.lane_need(batch=2, lanes=lanes).host_bytes for lanes in (1, 2)] == [10, 10]
