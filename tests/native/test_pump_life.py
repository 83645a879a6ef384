"""Opening, closing, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from asyncbench import _pump as pump_module  # noqa: TID251  # these are the tests of that module
from asyncbench.clock import now_ns

pytestmark = pytest.mark.native

A_MINUTE_NS = 60_000_000_000
SOME_CONTEXT = 0xC0DE


def thread_ids() -> set[str]:
    return {task.name for task in Path("/proc/self/task").iterdir()}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def cpu_ticks(thread_id: str) -> int:
    fields = Path(f"/proc/self/task/{thread_id}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_close_during_work_waits_for_the_device_and_frees_everything(pump, add_lane, fake_cuda):
    stream = fake_cuda.stream(low_ns=200_000)
    lane = add_lane(stream, depth=2)
    pump.give_credits(lane, 16)
    while fake_cuda.count("launches", stream) < 3:
        pass

    assert pump.close()

    assert fake_cuda.count("in_flight", stream) == 0
    assert fake_cuda.count("live_events") == 0
    assert len(pump.drain(lane)[0]) == fake_cuda.count("launches", stream)


def test_close_may_be_repeated_and_ends_all_work(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream())

    assert pump.close()
    assert pump.close()

    with pytest.raises(RuntimeError, match="the pump is closed"):
        pump.give_credits(lane, 1)
    with pytest.raises(RuntimeError, match="the pump is closed"):
        add_lane(fake_cuda.stream())
    pump.remove_lane(lane)


def test_pump_leaves_neither_thread_nor_descriptor(fake_cuda):
    threads_before, descriptors_before = thread_ids(), open_descriptors()

    pump = pump_module.Pump(SOME_CONTEXT, library=str(fake_cuda.path))
    pump.add_lane(fake_cuda.stream(), 1, 4)
    del pump

    assert thread_ids() == threads_before
    assert open_descriptors() == descriptors_before


def test_removed_lane_is_unknown_and_its_number_is_not_used_again(pump, add_lane, fake_cuda):
    first = add_lane(fake_cuda.stream())

    pump.remove_lane(first)

    with pytest.raises(IndexError, match=f"there is no lane {first}"):
        pump.give_credits(first, 1)
    assert add_lane(fake_cuda.stream()) == first + 1


def test_lane_with_credits_cannot_be_removed(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 1)

    with pytest.raises(RuntimeError, match=f"lane {lane} still has credits or inferences in flight"):
        pump.remove_lane(lane)
    fake_cuda.release(stream)
    assert pump.wait_idle(lane, A_MINUTE_NS)
    pump.remove_lane(lane)


async def test_interpreter_runs_on_while_the_pump_is_waited_for(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 1)
    idle: list[bool] = []

    async def wait() -> None:
        idle.append(await trio.to_thread.run_sync(pump.wait_idle, lane, A_MINUTE_NS))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert idle == []
        fake_cuda.release(stream)

    assert idle == [True]


def test_waiting_for_a_lane_that_stays_busy_ends_with_the_timeout(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 1)
    started_at_ns = now_ns()

    assert not pump.wait_idle(lane, 2_000_000)

    assert now_ns() - started_at_ns >= 2_000_000
    pump.take_credits_back(lane)
    fake_cuda.release(stream)


@pytest.mark.slow
def test_pump_without_work_uses_no_processor_time(fake_cuda):
    threads_before = thread_ids()
    with pump_module.Pump(SOME_CONTEXT, completion="spin", library=str(fake_cuda.path)) as pump:
        (thread_id,) = thread_ids() - threads_before
        stream = fake_cuda.held_stream()
        lane, other = pump.add_lane(fake_cuda.stream(), 1, 4), pump.add_lane(stream, 1, 4)
        pump.give_credits(lane, 4)
        assert pump.wait_idle(lane, A_MINUTE_NS)

        idle_ticks = -cpu_ticks(thread_id)
        pump.wait_idle(lane, 1)
        trio.run(trio.sleep, 0.5)
        idle_ticks += cpu_ticks(thread_id)
        pump.give_credits(other, 1)
        busy_ticks = -cpu_ticks(thread_id)
        assert not pump.wait_idle(other, 500_000_000)
        busy_ticks += cpu_ticks(thread_id)
        fake_cuda.release(stream)

    assert idle_ticks * 4 <= busy_ticks


def test_missing_library_is_an_os_error_that_names_it():
    with pytest.raises(OSError, match="no-such-libcuda"):
        pump_module.Pump(SOME_CONTEXT, library="no-such-libcuda.so")


def test_library_without_the_driver_s_functions_is_an_os_error_that_names_the_function():
    with pytest.raises(OSError, match="cuCtxSetCurrent"):
        pump_module.Pump(SOME_CONTEXT, library="libc.so.6")


def test_context_that_cannot_be_used_is_refused_at_once(fake_cuda):
    fake_cuda.fail("cuCtxSetCurrent", code=201)

    with pytest.raises(pump_module.DriverError) as caught:
        pump_module.Pump(SOME_CONTEXT, library=str(fake_cuda.path))

    assert caught.value.args == (201, "CUDA_ERROR_INVALID_CONTEXT", "some other error", "cuCtxSetCurrent")


@pytest.mark.parametrize("options", [{"max_credits": 0}, {"max_credits": 1 << 21}, {"max_credits": 4, "depth": 0}])
def test_numbers_out_of_range_are_refused(pump, fake_cuda, options):
    with pytest.raises(ValueError, match=r"is (0|2097152), not 1 to"):
        pump.add_lane(fake_cuda.stream(), 1, **options)


def test_unknown_completion_is_refused_with_the_known_ones(fake_cuda):
    with pytest.raises(ValueError, match="completion is spin, yield or block, not 'busy'"):
        pump_module.Pump(SOME_CONTEXT, completion="busy", library=str(fake_cuda.path))
