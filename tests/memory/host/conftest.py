"""Fake trees of /proc and /sys/fs/cgroup, and real control groups where they can be made."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.limited_group import open_limited_group

MIB = 1 << 20


class FakeKernel:
    """Files as the kernel shows them, below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write(
            "proc/meminfo", "MemTotal:       8192000 kB\nMemFree:         100000 kB\nMemAvailable:    4096000 kB\n"
        )

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="ascii")

    def v2(self, group, *, top="/"):
        """One hierarchy of version 2, as on a machine of today, or in its containers."""
        self.write("proc/self/cgroup", f"0::{group}\n")
        self.write(
            "proc/self/mountinfo", f"35 24 0:30 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
        )
        (self.root / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)

    def hybrid(self, group, *, top="/"):
        """The memory controller on version 1, and a version 2 without it beside."""
        self.write("proc/self/cgroup", f"5:devices:/\n4:memory:{group}\n1:name=systemd:/\n0::/\n")
        self.write(
            "proc/self/mountinfo",
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
            "32 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n"
            f"35 31 0:32 {top} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        )
        for name in ("memory", "unified"):
            (self.root / "sys/fs/cgroup" / name).mkdir(parents=True, exist_ok=True)

    def v2_group(self, folder, *, limit="max", high="max", usage=0, stat="", events=""):
        for name, text in (("max", limit), ("high", high), ("current", usage), ("stat", stat), ("events", events)):
            self.write(f"sys/fs/cgroup/{folder}/memory.{name}", f"{text}\n")

    def v1_group(self, folder, *, limit=9223372036854771712, usage=0, stat="", oom_kill=0, failcnt=0):
        files = {
            "limit_in_bytes": limit,
            "usage_in_bytes": usage,
            "stat": stat,
            "oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {oom_kill}",
            "failcnt": failcnt,
        }
        for name, text in files.items():
            self.write(f"sys/fs/cgroup/memory/{folder}/memory.{name}", f"{text}\n")


@pytest.fixture
def kernel(tmp_path):
    return FakeKernel(tmp_path)


@pytest.fixture(scope="session")
def kernel_in():
    """Return what makes a fake kernel in a folder, for tests that need many."""
    return FakeKernel


@pytest.fixture
def make_real_group():
    """Return what makes a real group of so many MiB; skips where the kernel or our rights do not allow it."""
    with ExitStack() as groups:

        def make(limit_mib, *, parent=None):
            try:
                return groups.enter_context(open_limited_group(limit_bytes=limit_mib * MIB, parent=parent))
            except BackendUnavailableError as error:
                pytest.skip(f"no real memory control groups here: {error.message}")

        yield make
