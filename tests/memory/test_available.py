from __future__ import annotations

import pytest

from asyncbench.memory.available import Available, LimitedBy, Shortage
from asyncbench.memory.forecast import MemoryForecast

NEED = MemoryForecast(device_bytes=60, host_bytes=40)


@pytest.mark.parametrize(
    "available",
    [
        Available(device_bytes=60, host_bytes=40),
        Available(device_bytes=None, host_bytes=40),
        Available(device_bytes=60, host_bytes=None),
        Available(device_bytes=None, host_bytes=None),
        Available(device_bytes=100, host_bytes=None, shared_pool=True),
        Available(device_bytes=None, host_bytes=100, shared_pool=True),
        Available(device_bytes=None, host_bytes=None, shared_pool=True),
    ],
)
def test_what_is_exactly_there_fits_and_what_is_unknown_does_not_limit(available):
    assert available.shortage(NEED) is None


@pytest.mark.parametrize(
    ("available", "limited_by", "requested_bytes", "available_bytes"),
    [
        (Available(device_bytes=59, host_bytes=40), LimitedBy.DEVICE, 60, 59),
        (Available(device_bytes=60, host_bytes=39), LimitedBy.HOST, 40, 39),
        (Available(device_bytes=59, host_bytes=39), LimitedBy.DEVICE, 60, 59),
        (Available(device_bytes=99, host_bytes=200, shared_pool=True), LimitedBy.POOL, 100, 99),
        (Available(device_bytes=200, host_bytes=99, shared_pool=True), LimitedBy.POOL, 100, 99),
    ],
)
def test_a_shortage_names_the_memory_and_both_sizes(available, limited_by, requested_bytes, available_bytes):
    assert available.shortage(NEED) == Shortage(
        limited_by=limited_by, requested_bytes=requested_bytes, available_bytes=available_bytes
    )


def test_a_memory_is_written_as_records_write_it():
    assert [str(memory) for memory in LimitedBy] == ["device", "host", "pool"]
