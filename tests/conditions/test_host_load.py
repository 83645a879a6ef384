"""The host's load: throttling, pressure and frequency, in fake trees of /proc and /sys, and on this machine."""

from __future__ import annotations

import pytest

from asyncbench.conditions.host_load import HostLoad, cpu_frequency_hz
from asyncbench.conditions.probe import Block
from asyncbench.results.cell_parts import CpuThrottling

STAT_OF_CPU_3 = "71 (a) name with (brackets)) R " + " ".join(["0"] * 35) + " 3 0 0\n"


class Kernel:
    """Files as the kernel shows them, below a folder; one hierarchy of version 2."""

    def __init__(self, root):
        self.root = root
        self.write("proc/self/cgroup", "0::/own\n")
        self.write("proc/self/mountinfo", "35 24 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")

    def pressure(self, path, *, avg10, total_us):
        self.write(path, f"some avg10={avg10:.2f} avg60=0.00 avg300=0.00 total={total_us}\n")

    def throttled(self, *, periods, throttled, us):
        self.write("sys/fs/cgroup/own/cpu.max", "50000 100000\n")
        stat = f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {us}\n"
        self.write("sys/fs/cgroup/own/cpu.stat", stat)

    def runs_at(self, khz):
        self.write("proc/thread-self/stat", STAT_OF_CPU_3)
        self.write("sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", f"{khz}\n")


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


async def test_what_the_kernel_counts_in_the_window_is_told(kernel):
    kernel.throttled(periods=10, throttled=1, us=5_000)
    kernel.pressure("proc/pressure/cpu", avg10=1, total_us=1_000)
    kernel.pressure("sys/fs/cgroup/own/io.pressure", avg10=0, total_us=7)

    async with HostLoad(kernel.root).watch() as watch:
        watch.window_opened()
        kernel.throttled(periods=30, throttled=5, us=25_000)
        kernel.pressure("proc/pressure/cpu", avg10=12.5, total_us=4_000)
        kernel.runs_at(2_596_128)
        watch.window_closed()

        block = watch.block(None)

    assert block == Block(
        throttling=CpuThrottling(quota_cpus=0.5, periods=20, throttled_periods=4, throttled_ns=20_000_000),
        details={
            "cpu_frequency_hz": 2_596_128_000,
            "cpu_pressure": {"some_avg10": 12.5, "some_ns": 3_000_000},
            "memory_pressure": None,
            "io_pressure": {"some_avg10": 0.0, "some_ns": 0},
        },
    )


async def test_where_nothing_is_told_all_is_null(tmp_path):
    async with HostLoad(tmp_path).watch() as watch:
        watch.window_opened()
        watch.window_closed()

        block = watch.block(None)

    assert block.throttling is None
    assert set(block.details.values()) == {None}


async def test_of_a_window_that_never_opened_nothing_is_said(kernel):
    kernel.pressure("proc/pressure/cpu", avg10=1, total_us=1_000)

    async with HostLoad(kernel.root).watch() as watch:
        assert watch.block(None) == Block()


def test_the_frequency_is_unknown_where_sys_does_not_tell(kernel):
    kernel.write("proc/thread-self/stat", STAT_OF_CPU_3)

    assert cpu_frequency_hz(kernel.root) is None


async def test_on_this_machine_the_probe_has_an_answer():
    async with HostLoad().watch() as watch:
        watch.window_opened()
        watch.window_closed()

        assert {*watch.block(None).details} == {"cpu_frequency_hz", "cpu_pressure", "memory_pressure", "io_pressure"}
