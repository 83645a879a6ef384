"""The CPU quota of the control groups: in fake trees of both versions, and in a real group where one can be made."""

import os
import secrets
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from asyncbench.memory.host.cgroup_path import CgroupVersion, find_cpu_groups
from asyncbench.memory.host.cpu_quota import CpuQuota, cpu_quota
from asyncbench.results.cell_parts import CpuThrottling


def v1(kernel, group, *, mounted="cpu,cpuacct", top="/"):
    """The cpu controller on version 1, beside memory on another mount and a version 2 without controllers."""
    kernel.write("proc/self/cgroup", f"4:memory:/elsewhere\n3:{mounted}:{group}\n2:cpuset:/set\n0::/\n")
    kernel.write(
        "proc/self/mountinfo",
        "30 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "34 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        f"35 31 0:33 {top} /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,{mounted}\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    )
    for name in ("cpu", "cpuset", "memory", "unified"):
        (kernel.root / "sys/fs/cgroup" / name).mkdir(parents=True, exist_ok=True)


def v1_quota(kernel, folder, quota_us, *, period_us=100_000, periods=0, throttled=0, throttled_ns=0):
    where = f"sys/fs/cgroup/cpu/{folder}"
    kernel.write(f"{where}/cpu.cfs_quota_us", f"{quota_us}\n")
    kernel.write(f"{where}/cpu.cfs_period_us", f"{period_us}\n")
    stat = f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_time {throttled_ns}\nnr_bursts 0\n"
    kernel.write(f"{where}/cpu.stat", stat)


def v2_quota(kernel, folder, text, *, periods=0, throttled=0, throttled_us=0):
    where = f"sys/fs/cgroup/{folder}"
    kernel.write(f"{where}/cpu.max", f"{text}\n")
    stat = f"usage_usec 9\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled_us}\n"
    kernel.write(f"{where}/cpu.stat", stat)


@pytest.mark.parametrize("mounted", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_the_quota_of_version_1_is_found_however_its_controller_is_mounted(kernel, mounted):
    v1(kernel, "/jobs/half", mounted=mounted)
    v1_quota(kernel, "jobs/half", 50_000)

    assert cpu_quota(kernel.root) == 0.5


@pytest.mark.parametrize(("text", "quota"), [("50000 100000", 0.5), ("150000 50000", 3.0), ("1000 1000000", 0.001)])
def test_the_quota_of_version_2_is_found(kernel, text, quota):
    kernel.v2("/user.slice/half")
    v2_quota(kernel, "user.slice/half", text)

    assert cpu_quota(kernel.root) == quota


def test_the_smallest_quota_on_the_way_up_is_the_one_that_holds(kernel):
    kernel.v2("/pod/container")
    v2_quota(kernel, "pod/container", "200000 100000")
    v2_quota(kernel, "pod", "50000 100000")

    assert cpu_quota(kernel.root) == 0.5


def test_the_quota_of_a_parent_on_version_1_holds_too(kernel):
    v1(kernel, "/pod/container")
    v1_quota(kernel, "pod/container", -1)
    v1_quota(kernel, "pod", 25_000)

    assert cpu_quota(kernel.root) == 0.25


def test_a_container_finds_its_quota_at_the_mount_point(kernel):
    v1(kernel, "/docker/0123", top="/docker/0123")
    v1_quota(kernel, "", 50_000)

    assert cpu_quota(kernel.root) == 0.5


def test_a_group_outside_of_its_namespace_falls_back_to_what_is_mounted(kernel):
    kernel.v2("/../sibling")
    v2_quota(kernel, "", "50000 100000")

    assert cpu_quota(kernel.root) == 0.5


@pytest.mark.parametrize("text", ["max 100000", "", "50000", "broken 100000", "50000 0"])
def test_no_quota_and_files_that_say_nothing_are_none(kernel, text):
    kernel.v2("/")
    v2_quota(kernel, "", text)

    assert cpu_quota(kernel.root) is None


def test_version_1_without_a_limit_and_without_files_has_none(kernel):
    v1(kernel, "/jobs/free")
    (kernel.root / "sys/fs/cgroup/cpu/jobs").mkdir()
    v1_quota(kernel, "jobs/free", -1)

    assert cpu_quota(kernel.root) is None


def test_without_proc_there_is_none(tmp_path):
    assert cpu_quota(tmp_path) is None


def test_the_memory_groups_are_not_taken_for_those_of_the_processor(kernel):
    v1(kernel, "/jobs/half")
    (kernel.root / "sys/fs/cgroup/cpu/jobs/half").mkdir(parents=True)

    assert [group.name for group in find_cpu_groups(kernel.root)] == ["/jobs/half", "/jobs", "/"]


def test_what_was_withheld_since_a_reading_is_counted_in_nanoseconds_on_both_versions(kernel_in, tmp_path):
    old, new = kernel_in(tmp_path / "v1"), kernel_in(tmp_path / "v2")
    v1(old, "/half")
    v1_quota(old, "half", 50_000, periods=10, throttled=4, throttled_ns=1_000_000)
    new.v2("/half")
    v2_quota(new, "half", "50000 100000", periods=10, throttled=4, throttled_us=1_000)
    expected = CpuThrottling(quota_cpus=0.5, periods=50, throttled_periods=44, throttled_ns=2_400_000_000)

    with closing(CpuQuota(old.root)) as quota:
        before = quota.read()
        v1_quota(old, "half", 50_000, periods=60, throttled=48, throttled_ns=2_401_000_000)
        assert quota.throttling_since(before) == expected

    with closing(CpuQuota(new.root)) as quota:
        before = quota.read()
        v2_quota(new, "half", "50000 100000", periods=60, throttled=48, throttled_us=2_401_000)
        assert quota.throttling_since(before) == expected


def test_of_several_groups_the_one_that_withheld_most_is_told(kernel):
    kernel.v2("/pod/container")
    v2_quota(kernel, "pod/container", "50000 100000")
    v2_quota(kernel, "pod", "100000 100000")

    with closing(CpuQuota(kernel.root)) as quota:
        before = quota.read()
        v2_quota(kernel, "pod", "100000 100000", periods=9, throttled=5, throttled_us=700)
        assert quota.throttling_since(before) == CpuThrottling(
            quota_cpus=1.0, periods=9, throttled_periods=5, throttled_ns=700_000
        )


def test_without_a_quota_nothing_was_withheld(kernel):
    kernel.v2("/")

    with closing(CpuQuota(kernel.root)) as quota:
        assert quota.cpus is None
        assert quota.throttling_since(quota.read()) is None


BURNED = """
from contextlib import closing
from time import process_time
from asyncbench.memory.host.cpu_quota import CpuQuota
with closing(CpuQuota()) as quota:
    before = quota.read()
    until = process_time() + 0.2
    # On a machine that has less than the quota to spare the quota is used up late: the time limit of the test ends it.
    while process_time() < until or not quota.throttling_since(before).throttled_periods:
        pass
    since = quota.throttling_since(before)
print(quota.cpus, since.quota_cpus, since.throttled_periods > 0)
"""


@pytest.fixture
def quarter_of_a_processor():
    """The folder of a real group that allows a quarter of a processor."""
    top = next(iter(find_cpu_groups(Path("/"))[-1:]), None)
    if top is None:
        pytest.skip("no control groups that limit processors are mounted")
    folder = top.path / f"asyncbench-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        if top.version is CgroupVersion.V2:
            (folder / "cpu.max").write_text("25000 100000")
        else:
            (folder / "cpu.cfs_period_us").write_text("100000")
            (folder / "cpu.cfs_quota_us").write_text("25000")
        yield folder
    except OSError as error:
        pytest.skip(f"the group takes no quota: {error}")
    finally:
        folder.rmdir()


def test_a_process_in_a_real_group_sees_its_quota_and_that_it_was_throttled(quarter_of_a_processor):
    enter = f'echo $$ > {quarter_of_a_processor}/cgroup.procs && exec "$@"'
    command = ["/bin/sh", "-c", enter, "sh", sys.executable, "-c", BURNED]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=os.environ)

    assert done.stdout.split() == ["0.25", "0.25", "True"]
