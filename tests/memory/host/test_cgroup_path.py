from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncbench.memory.host.cgroup_path import (
    find_memory_groups,
    find_memory_top,
    find_pressure_group,
    parse_memberships,
    parse_mounts,
)


def names(groups):
    return [group.name for group in groups]


def test_the_own_group_comes_first_and_then_all_its_parents(kernel):
    kernel.v2("/user.slice/session.scope")
    kernel.v2_group("user.slice/session.scope")

    groups = find_memory_groups(kernel.root)

    assert names(groups) == ["/user.slice/session.scope", "/user.slice", "/"]
    assert groups[0].path == kernel.root / "sys/fs/cgroup/user.slice/session.scope"
    assert str(groups[0].version) == "v2"


def test_where_version_1_has_the_memory_controller_its_group_is_the_one_that_limits(kernel):
    kernel.hybrid("/jobs/one")
    kernel.v1_group("jobs/one")

    groups = find_memory_groups(kernel.root)

    assert names(groups) == ["/jobs/one", "/jobs", "/"]
    assert groups[-1].path == kernel.root / "sys/fs/cgroup/memory"
    assert str(groups[0].version) == "v1"


def test_stalls_are_counted_by_the_group_of_version_2_on_a_hybrid_machine_too(kernel):
    kernel.hybrid("/jobs/one")

    group = find_pressure_group(kernel.root)

    assert group.path == kernel.root / "sys/fs/cgroup/unified"


def test_a_container_without_a_namespace_finds_its_group_at_the_mount_point(kernel):
    kernel.hybrid("/docker/0123", top="/docker/0123")
    kernel.v1_group("")

    groups = find_memory_groups(kernel.root)

    assert names(groups) == ["/docker/0123"]
    assert groups[0].path == kernel.root / "sys/fs/cgroup/memory"


def test_a_group_below_that_of_the_container_is_found_below_the_mount_point(kernel):
    kernel.hybrid("/docker/0123/inner", top="/docker/0123")
    kernel.v1_group("inner")

    assert names(find_memory_groups(kernel.root)) == ["/docker/0123/inner", "/docker/0123"]


def test_a_group_outside_of_its_namespace_falls_back_to_what_is_mounted(kernel):
    kernel.v2("/../sibling")
    kernel.v2_group("")

    assert names(find_memory_groups(kernel.root)) == ["/"]


def test_a_group_outside_of_what_is_mounted_falls_back_to_the_mount_point(kernel):
    kernel.v2("/elsewhere/group", top="/kubepods/pod7")
    kernel.v2_group("")

    assert names(find_memory_groups(kernel.root)) == ["/kubepods/pod7"]


def test_of_two_mounts_the_one_that_shows_the_own_group_is_taken(kernel):
    kernel.v2("/own")
    kernel.v2_group("own")
    mounts = (kernel.root / "proc/self/mountinfo").read_text()
    kernel.write("proc/self/mountinfo", "30 24 0:30 /other /mnt/other rw - cgroup2 cgroup2 rw\n" + mounts)

    assert names(find_memory_groups(kernel.root)) == ["/own", "/"]


def test_a_group_that_was_removed_leaves_its_parents(kernel):
    kernel.v2("/slice/gone")
    kernel.v2_group("slice")

    assert names(find_memory_groups(kernel.root)) == ["/slice", "/"]


def test_a_mount_point_with_a_space_is_found(kernel):
    kernel.write("proc/self/cgroup", "0::/\n")
    kernel.write("proc/self/mountinfo", "35 24 0:30 / /sys/my\\040groups rw shared:9 - cgroup2 cgroup2 rw\n")
    (kernel.root / "sys/my groups").mkdir(parents=True)

    assert find_memory_top(kernel.root).path == kernel.root / "sys/my groups"


def test_without_proc_there_are_no_groups(tmp_path):
    assert find_memory_groups(tmp_path) == ()
    assert find_memory_top(tmp_path) is None
    assert find_pressure_group(tmp_path) is None


def test_a_controller_that_is_mounted_nowhere_limits_nothing_that_can_be_seen(kernel):
    kernel.write("proc/self/cgroup", "4:memory:/jobs\n")
    kernel.write("proc/self/mountinfo", "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n")

    assert find_memory_groups(kernel.root) == ()


@given(cut=st.integers(min_value=0, max_value=200))
@example(cut=200)
def test_lines_that_are_cut_short_are_left_out_or_whole(cut):
    line = "35 31 0:32 /top /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"

    mounts = parse_mounts(line[:cut])
    own = "4:memory:/jobs"
    memberships = parse_memberships(own[:cut])

    assert mounts or cut < len(line)
    assert memberships or cut < len(own)
    assert all(str(mount.top) == "/top" for mount in mounts)
    assert all(each.controllers == {"memory"} and str(each.group).startswith("/") for each in memberships)


def test_the_groups_of_this_very_process_exist():
    groups = find_memory_groups(Path("/"))
    if not groups:
        pytest.skip("no memory control group is mounted here")

    assert all(group.path.is_dir() for group in groups)
    assert len(set(names(groups))) == len(groups)
