import os
import resource

import pytest

from asyncbench.memory.host.process_limits import address_space_limit_text, open_files_limit_text, thread_limit_text


def pids(kernel, folder, *, most, current, refusals=0):
    for name, text in (("max", most), ("current", current), ("events", f"max {refusals}")):
        kernel.write(f"{folder}/pids.{name}", f"{text}\n")


def test_of_version_2_the_group_that_is_full_is_named(kernel):
    kernel.v2("/jobs/few")
    pids(kernel, "sys/fs/cgroup/jobs/few", most="max", current=24)
    pids(kernel, "sys/fs/cgroup/jobs", most=24, current=24)

    assert thread_limit_text(kernel.root) == "pids.max of the control group /jobs is 24"


def test_of_version_1_the_group_of_the_pids_controller_is_read(kernel):
    kernel.write("proc/self/cgroup", "9:pids:/few\n4:memory:/other\n0::/\n")
    kernel.write(
        "proc/self/mountinfo",
        "32 31 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n",
    )
    pids(kernel, "sys/fs/cgroup/pids/few", most=24, current=24)

    assert thread_limit_text(kernel.root) == "pids.max of the control group /few is 24"


def test_a_group_that_has_refused_is_named_though_there_is_room_again(kernel):
    kernel.v2("/few")
    pids(kernel, "sys/fs/cgroup/few", most=24, current=7, refusals=3)

    assert "/few is 24" in thread_limit_text(kernel.root)


def test_a_group_with_room_is_not_blamed(kernel):
    kernel.v2("/wide")
    pids(kernel, "sys/fs/cgroup/wide", most=1000, current=7)

    assert "pids.max" not in thread_limit_text(kernel.root)


@pytest.fixture
def limited():
    """Lower soft limits for one test."""
    before = []

    def lower(which, soft):
        before.append((which, resource.getrlimit(which)))
        resource.setrlimit(which, (soft, before[-1][1][1]))

    yield lower
    for which, limits in before:
        resource.setrlimit(which, limits)


def test_an_address_space_without_room_for_a_stack_is_named(kernel, limited):
    kernel.write("proc/self/statm", f"{(1 << 40) // os.sysconf('SC_PAGE_SIZE')} 1 1\n")
    limited(resource.RLIMIT_AS, 1 << 40)

    assert thread_limit_text(kernel.root) == f"ulimit -v is {1 << 30} (KiB)"


def test_no_limit_of_the_address_space_has_no_text():
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        pytest.skip("this process has one")

    assert address_space_limit_text() is None


def test_the_limit_of_open_files_is_the_one_that_holds_now(limited):
    limited(resource.RLIMIT_NOFILE, 200)

    assert open_files_limit_text() == "ulimit -n is 200"


@pytest.mark.skipif(os.geteuid() == 0, reason="root is exempt from ulimit -u")
def test_the_users_limit_of_processes_is_named_where_no_group_is_full(kernel, limited):
    limited(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC)[1])

    assert "ulimit -u" in thread_limit_text(kernel.root) or "threads-max" in thread_limit_text(kernel.root)


def test_where_nothing_else_is_known_it_is_the_kernels_own_limit(kernel, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kernel.write("proc/sys/kernel/threads-max", "9000\n")

    assert thread_limit_text(kernel.root) == "kernel.threads-max is 9000"
