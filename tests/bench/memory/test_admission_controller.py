"""Admission of cells: budgets, reserves, lanes that are kept, and what was learned."""

from __future__ import annotations

import pytest
import trio

from asyncbench.backends.base import EngineMemory
from asyncbench.bench.memory.admission_controller import RESERVE_CAP_BYTES, AdmissionController, MemoryPolicy
from asyncbench.errors import DoesNotFitError
from asyncbench.memory.available import LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.testing import host_reading

MIB = 1 << 20
GIB = 1 << 30
ROOMY_HOST = host_reading(GIB)


class PlainEngine:
    """As much of an engine as memory is about: so many bytes a lane and an item."""

    def __init__(self, memory, *, device_bytes=10 * MIB, host_bytes=1 * MIB):
        self.memory = memory
        self.freed = 0
        self._device_bytes = device_bytes
        self._host_bytes = host_bytes

    def forecast(self, *, batch, lanes):
        return MemoryForecast(
            device_bytes=lanes * batch * self._device_bytes, host_bytes=lanes * batch * self._host_bytes
        )

    async def read_memory(self):
        await trio.lowlevel.checkpoint()
        return self.memory

    async def free_lanes(self):
        await trio.lowlevel.checkpoint()
        self.freed += 1


def gpu(free_bytes, **more):
    return EngineMemory(free_bytes=free_bytes, total_bytes=1000 * MIB, **more)


def controller_of(engine, *, reading=ROOMY_HOST, **policy):
    return AdmissionController(engine, MemoryPolicy(**policy), batches=(1, 2, 4, 8), read_host=lambda: reading)


async def test_without_a_word_from_the_user_a_twentieth_of_each_memory_stays_free():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), reading=host_reading(100 * MIB, limit_bytes=400 * MIB))

    available = await controller.available()

    assert available.device_bytes == 450 * MIB
    assert available.host_bytes == 80 * MIB


async def test_a_large_memory_keeps_no_more_than_the_cap_free():
    engine = PlainEngine(EngineMemory(free_bytes=100 * GIB, total_bytes=140 * GIB))
    controller = controller_of(engine, reading=host_reading(100 * GIB))

    available = await controller.available()

    assert available.device_bytes == 100 * GIB - RESERVE_CAP_BYTES
    assert available.host_bytes == 100 * GIB - RESERVE_CAP_BYTES


async def test_the_reserve_is_what_the_user_says():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), reserve_bytes=7 * MIB)

    available = await controller.available()

    assert (available.device_bytes, available.host_bytes) == (493 * MIB, GIB - 7 * MIB)


async def test_the_device_budget_is_for_engine_and_lanes_together():
    controller = controller_of(PlainEngine(gpu(500 * MIB, engine_bytes=60 * MIB)), device_budget_bytes=100 * MIB)

    available = await controller.available()

    assert available.device_bytes == 40 * MIB


async def test_the_host_budget_is_for_lanes():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), host_budget_bytes=3 * MIB)

    available = await controller.available()

    assert available.host_bytes == 3 * MIB


async def test_nothing_is_available_where_the_engine_alone_is_above_the_budget_or_the_reserve_above_what_is_free():
    engine = PlainEngine(gpu(20 * MIB, engine_bytes=60 * MIB))

    for policy in ({"device_budget_bytes": 50 * MIB}, {"reserve_bytes": 2 * GIB}):
        available = await controller_of(engine, **policy).available()
        assert available.device_bytes == 0


async def test_lanes_that_are_kept_may_be_used_again_or_freed_so_they_count_as_available():
    controller = controller_of(PlainEngine(gpu(100 * MIB, kept_bytes=300 * MIB)), reserve_bytes=0)

    available = await controller.available()

    assert available.device_bytes == 400 * MIB


async def test_an_engine_in_host_memory_is_limited_by_the_host_alone():
    controller = controller_of(
        PlainEngine(EngineMemory(), device_bytes=0, host_bytes=10 * MIB), host_budget_bytes=35 * MIB
    )

    admission = await controller.admit(batch=1, concurrency=8)

    assert (admission.lanes, admission.limited_by) == (3, LimitedBy.HOST)


async def test_in_a_shared_pool_device_and_host_bytes_add_up_and_kept_lanes_count_for_both():
    memory = EngineMemory(free_bytes=60 * MIB, total_bytes=1000 * MIB, kept_bytes=28 * MIB, shared_with_host=True)
    engine = PlainEngine(memory, device_bytes=10 * MIB, host_bytes=1 * MIB)
    controller = controller_of(engine, reading=host_reading(60 * MIB), reserve_bytes=0)

    admission = await controller.admit(batch=1, concurrency=9)

    assert (admission.lanes, admission.limited_by) == (8, LimitedBy.POOL)


async def test_in_a_shared_pool_the_sum_is_held_against_the_smaller_of_two_budgets():
    memory = EngineMemory(free_bytes=100 * MIB, total_bytes=1000 * MIB, shared_with_host=True)
    engine = PlainEngine(memory, device_bytes=10 * MIB, host_bytes=1 * MIB)
    controller = controller_of(engine, device_budget_bytes=64 * MIB, host_budget_bytes=32 * MIB, reserve_bytes=0)

    admission = await controller.admit(batch=1, concurrency=9)

    assert (admission.lanes, admission.limited_by) == (2, LimitedBy.POOL)


async def test_as_many_lanes_are_admitted_as_fit():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), device_budget_bytes=95 * MIB)

    admission = await controller.admit(batch=2, concurrency=16)

    assert (admission.lanes, admission.limited_by) == (4, LimitedBy.DEVICE)
    assert admission.need == MemoryForecast(device_bytes=80 * MIB, host_bytes=8 * MIB)


async def test_where_lanes_may_not_be_shared_all_of_them_must_fit():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), device_budget_bytes=95 * MIB, share_lanes=False)

    with pytest.raises(DoesNotFitError) as caught:
        await controller.admit(batch=2, concurrency=16)

    assert caught.value.facts["lanes_that_fit"] == 4


async def test_not_even_one_lane_says_which_batch_would_fit():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), device_budget_bytes=35 * MIB)

    with pytest.raises(DoesNotFitError) as caught:
        await controller.admit(batch=8, concurrency=4)

    assert caught.value.facts["largest_batch_that_fits"] == 3
    assert caught.value.facts["largest_listed_batch_that_fits"] == 2


async def test_a_device_without_a_memory_of_its_own_has_no_headroom_to_watch():
    only_host = controller_of(PlainEngine(EngineMemory()))
    pool = controller_of(PlainEngine(EngineMemory(free_bytes=1, total_bytes=2, shared_with_host=True)))
    both = controller_of(PlainEngine(gpu(500 * MIB)), reserve_bytes=5)

    assert [headroom.limited_by for headroom in await only_host.headrooms()] == [LimitedBy.HOST]
    assert [headroom.limited_by for headroom in await pool.headrooms()] == [LimitedBy.POOL]
    headrooms = {each.limited_by: (each.free_bytes, each.reserve_bytes) for each in await both.headrooms()}
    assert headrooms == {LimitedBy.HOST: (GIB, 5), LimitedBy.DEVICE: (500 * MIB, 5)}


async def test_what_lanes_took_beyond_their_forecast_is_expected_of_the_next_ones():
    controller = controller_of(PlainEngine(gpu(500 * MIB)))
    for lanes in (1, 4, 2):
        used = MemoryForecast(device_bytes=5 * MIB + lanes * 12 * MIB, host_bytes=0)
        controller.learn(batch=1, lanes=lanes, used=used)

    expected = controller.forecast(batch=1, lanes=8)

    assert expected.device_bytes == pytest.approx(5 * MIB + 8 * 12 * MIB, rel=0.05)


async def test_a_host_that_took_less_than_expected_does_not_lower_the_next_prediction():
    controller = controller_of(PlainEngine(gpu(500 * MIB)))

    controller.learn(batch=1, lanes=4, used=MemoryForecast(device_bytes=40 * MIB, host_bytes=0))

    assert controller.forecast(batch=1, lanes=4) == MemoryForecast(device_bytes=40 * MIB, host_bytes=4 * MIB)


async def test_after_a_refusal_as_many_lanes_are_not_admitted_again_and_what_was_kept_is_freed():
    # 60 MiB of lanes were built when the next one was refused, and 50 MiB were free: enough, by the forecast.
    engine = PlainEngine(gpu(50 * MIB, kept_bytes=60 * MIB))
    controller = controller_of(engine, reserve_bytes=0)
    error = DoesNotFitError("no", available_bytes=50 * MIB)
    assert (await controller.admit(batch=1, concurrency=10)).lanes == 10

    await controller.learn_refusal(error, batch=1, lanes=10)

    assert engine.freed == 1
    assert error.facts["lanes_refused"] == 10
    assert (await controller.admit(batch=1, concurrency=10)).lanes == 9


async def test_a_refusal_while_somebody_else_held_the_memory_says_nothing_of_when_it_is_free():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), reserve_bytes=0)
    before = controller.forecast(batch=1, lanes=4)

    await controller.learn_refusal(DoesNotFitError("no", available_bytes=1 * MIB), batch=1, lanes=4)

    assert controller.forecast(batch=1, lanes=4) == before


async def test_a_refusal_of_one_lane_does_not_keep_later_cells_from_trying():
    controller = controller_of(PlainEngine(gpu(500 * MIB)), reserve_bytes=0)

    await controller.learn_refusal(DoesNotFitError("no"), batch=8, lanes=1)

    assert (await controller.admit(batch=1, concurrency=4)).lanes == 4


async def test_a_refusal_in_a_shared_pool_counts_for_device_and_host_together():
    memory = EngineMemory(free_bytes=100 * MIB, total_bytes=1000 * MIB, shared_with_host=True)
    controller = controller_of(PlainEngine(memory), reading=host_reading(100 * MIB), reserve_bytes=0)
    assert (await controller.admit(batch=1, concurrency=9)).lanes == 9

    await controller.learn_refusal(DoesNotFitError("no"), batch=1, lanes=9)

    assert (await controller.admit(batch=1, concurrency=9)).lanes == 8


async def test_a_refusal_of_host_memory_is_learned_for_the_host():
    controller = controller_of(
        PlainEngine(EngineMemory(), device_bytes=0), reading=host_reading(100 * MIB), reserve_bytes=0
    )

    await controller.learn_refusal(DoesNotFitError("no"), batch=1, lanes=10)

    expected = controller.forecast(batch=1, lanes=10)
    assert expected.device_bytes == 0
    assert expected.host_bytes > 100 * MIB
