from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.completion_ring import CompletionRing
from asyncbench.backends.simulated.device import FaultPlan, LaneQueue, SimulatedDevice
from asyncbench.backends.simulated.service import service_times_ns
from asyncbench.backends.simulated.spec import Fault, ServiceTime, SimulatedSpec
from asyncbench.errors import DeviceLostError, DoesNotFitError
from asyncbench.sweep.backends.simulated import Distribution, FaultKind

NO_FAULTS = FaultPlan((), batch=1, lanes=1)


def queue_of(times, index=0, faults=NO_FAULTS):
    return LaneQueue(index=index, ring=CompletionRing(1000), service_times_ns=iter(times), faults=faults)


def closed_loop_reference(services, slots):
    """Run closed loops over a first-come-first-served queue, one nanosecond after the other."""
    waiting = [(0, lane) for lane in range(len(services))]
    left = [list(times) for times in services]
    running, stamps = [], [[] for _ in services]
    for now in range(10_000):
        for item in sorted(running):
            end, _, issued, lane = item
            if end == now:
                running.remove(item)
                stamps[lane].append((issued, now))
                if left[lane]:
                    waiting.append((now, lane))
        while waiting and len(running) < slots:
            issued, lane = waiting.pop(0)
            running.append((now + left[lane].pop(0), now, issued, lane))
    return stamps


@given(
    slots=st.integers(1, 3),
    services=st.integers(1, 6).flatmap(
        lambda count: st.lists(st.integers(1, 40), min_size=count, max_size=count).map(
            lambda row: [row[:] for _ in row]
        )
    ),
    looks=st.lists(st.integers(1, 300), max_size=5),
)
def test_closed_loops_take_turns_exactly_as_a_step_by_step_queue_does(slots, services, looks):
    # Different lanes never complete at one instant, so that the order of a tie does not matter.
    services = [[time * 16 + lane for time in row] for lane, row in enumerate(services)]
    device = SimulatedDevice(slots=slots, memory_bytes=0)
    queues = [queue_of(row, index) for index, row in enumerate(services)]

    for queue, row in zip(queues, services, strict=True):
        device.give(queue, len(row), at_ns=0)
    for now in [*sorted(looks), 10_000]:
        device.advance(now)

    wanted = closed_loop_reference(services, slots)
    for queue, stamps in zip(queues, wanted, strict=True):
        taken = queue.ring.take()
        assert list(zip(taken.issued_at_ns, taken.completed_at_ns, strict=True)) == stamps


def test_a_credit_given_to_an_idle_lane_is_issued_at_that_instant():
    device = SimulatedDevice(slots=1, memory_bytes=0)
    queue = queue_of([10, 10])

    device.give(queue, 1, at_ns=0)
    device.advance(50)
    device.give(queue, 1, at_ns=50)
    device.advance(60)

    assert queue.ring.take().issued_at_ns.tolist() == [0, 50]


def test_memory_is_refused_with_the_bytes_and_nothing_is_taken():
    device = SimulatedDevice(slots=1, memory_bytes=100)
    device.reserve(60, "the engine")

    with pytest.raises(DoesNotFitError, match=r"needs 50 B.* 40 B left") as refusal:
        device.reserve(50, "a lane")

    assert refusal.value.facts == {"requested_bytes": 50, "available_bytes": 40}
    assert device.free_bytes == 40


def test_a_hanging_inference_keeps_its_slot_and_the_others_go_on():
    device = SimulatedDevice(slots=2, memory_bytes=0)
    hanging = queue_of([10] * 9, 0, FaultPlan([Fault(at=0, kind=FaultKind.HANG)], batch=1, lanes=1))
    running = queue_of([10] * 9, 1)

    device.give(hanging, 5, at_ns=0)
    device.give(running, 5, at_ns=0)
    device.advance(10**12)

    assert len(hanging.ring) == 0
    assert len(running.ring) == 5


def test_a_sticky_fault_ends_every_lane_and_every_later_reservation():
    device = SimulatedDevice(slots=2, memory_bytes=100)
    lost = queue_of([10] * 9, 0, FaultPlan([Fault(at=1, kind=FaultKind.STICKY)], batch=1, lanes=1))
    other = queue_of([12] * 9, 1)

    device.give(lost, 5, at_ns=0)
    device.give(other, 5, at_ns=0)
    device.advance(1000)

    assert (len(lost.ring), len(other.ring)) == (1, 1)
    assert isinstance(lost.failure, DeviceLostError)
    assert isinstance(other.failure, DeviceLostError)
    with pytest.raises(DeviceLostError):
        device.reserve(1, "a lane")


@pytest.mark.parametrize(
    ("batch", "lanes", "fails"), [(4, 2, True), (4, 1, False), (2, 2, False)], ids=["both", "lanes", "batch"]
)
def test_a_fault_happens_only_in_the_cells_of_its_filters(batch, lanes, fails):
    fault = Fault(at=0, kind=FaultKind.ERROR, batch=4, concurrency=2)

    assert (FaultPlan([fault], batch=batch, lanes=lanes).next_fault() is not None) == fails


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "returned"), [("kill", -9), ("exit", 70)])
def test_a_fault_can_end_the_process(kind, returned):
    program = (
        "from asyncbench.backends.simulated.device import *\n"
        "from asyncbench.backends.completion_ring import CompletionRing\n"
        f"faults = FaultPlan([Fault(at=1, kind=FaultKind({kind!r}))], batch=1, lanes=1)\n"
        "queue = LaneQueue(index=0, ring=CompletionRing(9), service_times_ns=iter([1] * 9), faults=faults)\n"
        "device = SimulatedDevice(slots=1, memory_bytes=0)\n"
        "device.give(queue, 9, at_ns=0)\n"
        "print('issued', flush=True)\n"
        "device.advance(100)\n"
        "print('never')\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ)

    assert (ended.returncode, ended.stdout) == (returned, "issued\n")


def draws(count=20_000, *, spec=None, batch=1, lanes=1, lane=0, **service):
    spec = spec or SimulatedSpec(service=ServiceTime(**service))
    return np.array(list(islice(service_times_ns(spec, batch=batch, lanes=lanes, lane=lane), count)))


@pytest.mark.parametrize("kind", list(Distribution))
def test_every_distribution_has_the_median_that_was_asked_for(kind):
    assert np.median(draws(kind=kind, median_ns=10**6)) == pytest.approx(10**6, rel=0.03)


def test_each_distribution_has_its_own_shape():
    assert np.ptp(draws(kind=Distribution.CONSTANT)) == 0
    assert np.log(draws(kind=Distribution.LOGNORMAL, sigma=0.5)).std() == pytest.approx(0.5, rel=0.03)
    exponential = draws(kind=Distribution.EXPONENTIAL)
    assert exponential.std() == pytest.approx(exponential.mean(), rel=0.03)
    uniform = draws(kind=Distribution.UNIFORM, median_ns=1000, spread_ratio=0.5)
    assert (uniform.min(), uniform.max()) == (500, 1500)
    bimodal = draws(kind=Distribution.BIMODAL, median_ns=1000, slow_ratio=0.2, slow_factor=5.0)
    assert set(bimodal.tolist()) == {1000, 5000}
    assert np.mean(bimodal == 5000) == pytest.approx(0.2, abs=0.02)


def test_each_further_item_adds_its_time_to_the_median():
    assert draws(1, batch=4, median_ns=1000, per_item_ns=100)[0] == 1300


def test_the_first_inferences_are_slower_and_a_drift_goes_on_for_ever():
    spec = SimulatedSpec(service=ServiceTime(median_ns=1000), warmup_factor=3.0, warmup_inferences=2, drift_ratio=0.001)

    times = draws(5001, spec=spec)

    assert times[:4].tolist() == [3000, 3003, 1002, 1003]
    assert times[5000] == 6000


def test_the_same_cell_and_lane_draw_the_same_times_and_another_lane_others():
    kind = Distribution.LOGNORMAL

    assert np.array_equal(draws(kind=kind, lane=1), draws(kind=kind, lane=1))
    assert not np.array_equal(draws(kind=kind, lane=1), draws(kind=kind, lane=2))
    assert not np.array_equal(draws(kind=kind, lanes=1), draws(kind=kind, lanes=2))
