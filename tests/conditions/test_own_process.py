"""The bench process itself: its processor time in the window, and its memory over the whole cell."""

from __future__ import annotations

import mmap
import time

import pytest

from asyncbench.conditions.own_process import OwnProcess, reset_peak_resident, resident_bytes
from asyncbench.conditions.probe import Block

MIB = 1 << 20


def compute_for(cpu_ns):
    until_ns = time.process_time_ns() + cpu_ns
    while time.process_time_ns() < until_ns:
        pass


async def test_processor_time_counts_from_the_opening_of_the_window_to_its_closing():
    async with OwnProcess().watch() as watch:
        compute_for(20_000_000)
        before_ns = time.process_time_ns()
        watch.window_opened()
        compute_for(5_000_000)
        watch.window_closed()
        around_ns = time.process_time_ns() - before_ns
        compute_for(20_000_000)

        assert 5_000_000 <= watch.block(None).cpu_ns <= around_ns


async def test_of_a_window_that_never_opened_only_the_memory_is_known():
    async with OwnProcess().watch() as watch:
        block = watch.block(None)

    assert block.cpu_ns is None
    assert block.details == Block().details


def take_and_give_back(size_bytes):
    """Make so much resident and unmap it: straight from the kernel, as `malloc` may have kept what others gave back."""
    with mmap.mmap(-1, size_bytes) as memory:
        for offset in range(0, size_bytes, mmap.PAGESIZE):
            memory[offset] = 1


@pytest.mark.skipif(not reset_peak_resident(), reason="the kernel does not let a process start its peak anew")
async def test_the_peak_is_that_of_the_cell_and_holds_what_was_given_back_before_its_end():
    take_and_give_back(96 * MIB)  # before the cell
    before_bytes = resident_bytes()

    async with OwnProcess().watch() as watch:
        take_and_give_back(48 * MIB)
        watch.window_opened()
        watch.window_closed()
        block = watch.block(None)

    assert 47 * MIB < block.host_rise_bytes < 80 * MIB
    assert 47 * MIB < block.host_peak_bytes - before_bytes < 80 * MIB
