import os
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.cgroup import CgroupReading
from asyncbench.memory.host.pressure import Pressure, parse_pressure
from asyncbench.memory.host.probe import HostMemory

MIB = 1 << 20
MEMINFO_AVAILABLE_BYTES = 4096000 * 1024
PRESSURE = "some avg10=12.50 avg60=3.00 avg300=1.00 total=92482\nfull avg10=2.25 avg60=0.00 avg300=0.00 total=84287\n"


def read(kernel):
    with closing(HostMemory(kernel.root)) as memory:
        return memory.read()


def read_oom(kernel):
    with closing(HostMemory(kernel.root)) as memory:
        return memory.read_oom()


def test_without_any_limit_the_machine_is_what_limits(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", usage=5 * MIB)

    reading = read(kernel)

    assert (reading.available_bytes, reading.limited_by) == (MEMINFO_AVAILABLE_BYTES, "system")
    assert reading.limit_bytes is None


def test_the_huge_number_of_version_1_is_no_limit(kernel):
    kernel.hybrid("/own")
    kernel.v1_group("own", usage=5 * MIB)

    assert read(kernel).limited_by == "system"


def test_headroom_is_the_limit_less_usage_plus_files_that_nobody_has_mapped(kernel):
    kernel.v2("/own")
    stat = f"anon {9 * MIB}\ninactive_file {30 * MIB}\nactive_file {10 * MIB}\nfile_mapped {5 * MIB}"
    kernel.v2_group("own", limit=100 * MIB, usage=60 * MIB, stat=stat)

    reading = read(kernel)

    assert reading.available_bytes == (100 - 60 + 30 + 10 - 5) * MIB
    assert (reading.limited_by, reading.limit_bytes) == ("cgroup /own", 100 * MIB)


def test_version_1_counts_the_cache_of_the_groups_below_too(kernel):
    kernel.hybrid("/own")
    stat = f"inactive_file 0\ntotal_inactive_file {30 * MIB}\ntotal_active_file 0\ntotal_mapped_file {4 * MIB}"
    kernel.v1_group("own", limit=100 * MIB, usage=60 * MIB, stat=stat)

    assert read(kernel).available_bytes == (100 - 60 + 30 - 4) * MIB


def test_the_parent_counts_where_it_is_tighter(kernel):
    kernel.v2("/slice/own")
    kernel.v2_group("slice/own", limit=100 * MIB, usage=10 * MIB)
    kernel.v2_group("slice", limit=200 * MIB, usage=180 * MIB)

    reading = read(kernel)

    assert (reading.available_bytes, reading.limited_by) == (20 * MIB, "cgroup /slice")
    assert reading.limit_bytes == 200 * MIB


def test_memory_high_limits_like_memory_max(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", limit=100 * MIB, high=80 * MIB, usage=50 * MIB)

    assert read(kernel).available_bytes == 30 * MIB


def test_a_limit_that_was_lowered_below_the_usage_leaves_nothing(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", limit=10 * MIB, usage=50 * MIB)

    assert read(kernel).available_bytes == 0


def test_a_limit_that_changes_is_seen_at_the_next_reading(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", limit=100 * MIB)

    with closing(HostMemory(kernel.root)) as memory:
        before = memory.read()
        kernel.v2_group("own", limit=70 * MIB)
        after = memory.read()

    assert (before.available_bytes, after.available_bytes) == (100 * MIB, 70 * MIB)


@pytest.mark.parametrize("missing", ["current", "max"])
def test_a_group_that_does_not_tell_limit_and_usage_is_left_out(kernel, missing):
    kernel.v2("/own")
    kernel.v2_group("own", limit=10 * MIB)
    (kernel.root / f"sys/fs/cgroup/own/memory.{missing}").unlink()

    assert read(kernel).limited_by == "system"


@pytest.mark.parametrize("stat", ["", "inactive_file", "inactive_file x", "inactive_fil"])
def test_statistics_that_are_cut_short_count_as_no_cache(kernel, stat):
    kernel.v2("/own")
    kernel.v2_group("own", limit=10 * MIB, usage=4 * MIB)
    (kernel.root / "sys/fs/cgroup/own/memory.stat").write_text(stat)

    assert read(kernel).available_bytes == 6 * MIB


def test_a_number_without_the_end_of_its_line_is_not_believed(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", limit=10 * MIB, usage=4 * MIB)
    (kernel.root / "sys/fs/cgroup/own/memory.stat").write_text("inactive_file 10485")

    assert read(kernel).available_bytes == 6 * MIB


def test_the_kills_of_the_own_group_are_counted(kernel):
    kernel.v2("/own")
    kernel.v2_group("own", limit=10 * MIB, events="low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 1")
    kernel.write("proc/vmstat", "oom_kill 77\n")

    count = read_oom(kernel)

    assert (count.oom_kills, count.of_own_group) == (2, True)
    assert (count.groups[0].limit_hits, count.groups[0].limit_bytes, count.groups[0].peak_bytes) == (3, 10 * MIB, None)


def test_version_1_counts_kills_and_failed_charges(kernel):
    kernel.hybrid("/own")
    kernel.v1_group("own", limit=10 * MIB, oom_kill=4, failcnt=51)

    count = read_oom(kernel)

    assert (count.oom_kills, count.groups[0].limit_hits) == (4, 51)


def test_where_no_group_counts_the_kills_of_the_machine_do(kernel):
    kernel.v2("/")
    kernel.write("proc/vmstat", "nr_free_pages 1\n" * 5000 + "oom_kill 77\n")

    count = read_oom(kernel)

    assert (count.oom_kills, count.of_own_group) == (77, False)


def test_where_nobody_counts_kills_the_count_is_unknown(kernel):
    assert read_oom(kernel).oom_kills is None


def test_without_meminfo_the_error_says_what_is_missing(tmp_path):
    with closing(HostMemory(tmp_path)) as memory, pytest.raises(BackendUnavailableError, match="MemAvailable"):
        memory.read()


def test_pressure_is_percent_and_nanoseconds():
    reading = parse_pressure(PRESSURE)

    assert (reading.some_avg10, reading.some_total_ns) == (12.5, 92_482_000)


@given(cut=st.integers(min_value=0, max_value=PRESSURE.index("\n")))
def test_pressure_that_is_cut_short_is_unknown(cut):
    assert parse_pressure(PRESSURE[:cut]) is None


def test_the_pressure_of_the_own_group_goes_before_that_of_the_machine(kernel):
    kernel.v2("/own")
    kernel.v2_group("own")
    kernel.write("proc/pressure/memory", PRESSURE.replace("12.50", "99.00"))
    kernel.write("sys/fs/cgroup/own/memory.pressure", PRESSURE)

    with closing(Pressure(kernel.root, "memory")) as pressure:
        assert pressure.read().some_avg10 == 12.5


def test_the_pressure_of_the_machine_stands_in_where_the_group_counts_none(kernel):
    kernel.v2("/own")
    kernel.write("proc/pressure/memory", PRESSURE)

    with closing(Pressure(kernel.root, "memory")) as pressure:
        assert pressure.read().some_avg10 == 12.5


def test_where_nobody_counts_pressure_it_is_unknown(kernel):
    with closing(Pressure(kernel.root, "memory")) as pressure:
        assert pressure.read() is None


sizes = st.integers(min_value=0, max_value=1 << 45)


@given(limit=sizes, usage=sizes, cache=sizes)
def test_headroom_is_never_negative_and_never_above_the_limit(limit, usage, cache):
    headroom = CgroupReading(limit_bytes=limit, usage_bytes=usage, reclaimable_bytes=cache).headroom_bytes

    assert 0 <= headroom <= limit


@given(groups=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=4))
def test_the_tightest_of_all_groups_and_the_machine_counts(tmp_path_factory, kernel_in, groups):
    kernel = kernel_in(tmp_path_factory.mktemp("tightest"))
    kernel.v2("/" + "/".join(f"g{depth}" for depth in range(len(groups))))
    for depth, (limit, usage) in enumerate(groups):
        kernel.v2_group("/".join(f"g{above}" for above in range(depth + 1)), limit=limit, usage=usage)

    reading = read(kernel)

    assert reading.available_bytes == min(MEMINFO_AVAILABLE_BYTES, *(max(0, limit - usage) for limit, usage in groups))


def open_files():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder's own descriptor is counted alike both times


def test_closing_leaves_no_file_open(kernel):
    kernel.v2("/a/b")
    kernel.v2_group("a/b")
    kernel.v2_group("a")
    before = open_files()

    memory = HostMemory(kernel.root)
    while_open = open_files()
    memory.read()
    memory.read_oom()
    memory.close()
    memory.close()

    assert while_open > before
    assert open_files() == before


def test_this_machine_can_be_read():
    with closing(HostMemory()) as memory:
        reading = memory.read()

    assert reading.available_bytes > 0
    assert reading.limited_by == "system" or reading.limited_by.startswith("cgroup /")
