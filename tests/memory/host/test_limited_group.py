"""Real processes in real control groups, which need root and a kernel that lets us make them."""

import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.cgroup import CgroupMemory
from asyncbench.memory.host.cgroup_path import CgroupVersion
from asyncbench.memory.host.limited_group import open_limited_group
from asyncbench.memory.host.oom import DeathKind, classify_death
from asyncbench.memory.host.probe import OomCount

MIB = 1 << 20
READ_HERE = """
import sys
from contextlib import closing
from asyncbench.memory.host.probe import HostMemory
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass
with closing(HostMemory()) as memory:
    reading = memory.read()
print(reading.available_bytes, reading.limit_bytes, reading.limited_by)
"""
WATCHED_CHILD = """
import subprocess
import sys
from contextlib import closing
from asyncbench.memory.host.oom import classify_death
from asyncbench.memory.host.probe import HostMemory
with closing(HostMemory()) as memory:
    before = memory.read_oom()
    child = subprocess.run([sys.executable, "-c", sys.argv[1]])
    death = classify_death(child.returncode, before=before, after=memory.read_oom())
print(death.kind, death.memory_suspected, death.facts.get("limit_bytes"), death.sentence, sep="|")
"""
WRITE_FILE = """
import os
import sys
with open(sys.argv[1], "wb") as file:
    for _ in range(40):
        file.write(b"x" * (1 << 20))
    os.fsync(file.fileno())
"""
WAIT = """
import time
print("ready", flush=True)
time.sleep(60)
"""
HOLD_AND_WAIT = "hog = b'x' * (40 << 20)" + WAIT
FORK_AND_WAIT = "import os; os.fork(); os.fork()" + WAIT
RAISE_SCORE = "from asyncbench.memory.host.oom import prefer_to_be_killed; prefer_to_be_killed(1000); "
ALLOCATE = RAISE_SCORE + "hog = b'x' * (200 << 20)"
KILL_MYSELF = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def python(group, code, *arguments):
    command = group.wrap([sys.executable, "-c", code, *arguments])
    return subprocess.run(command, capture_output=True, text=True, check=False)


def start(group, code):
    """Start Python inside of the group; returns once `code` has printed a line."""
    child = subprocess.Popen(group.wrap([sys.executable, "-c", code]), stdout=subprocess.PIPE)
    child.stdout.readline()
    return child


def counted(group):
    with closing(CgroupMemory(group.folder)) as memory:
        reading = memory.read_oom()
    return OomCount(oom_kills=reading.oom_kills, of_own_group=True, groups=(reading,))


def test_a_child_that_allocates_too_much_is_killed_and_the_sentence_says_how_much(make_real_group):
    group = make_real_group(64)
    before = counted(group)

    child = python(group, ALLOCATE)

    death = classify_death(child.returncode, before=before, after=counted(group))
    assert death.kind is DeathKind.OOM_KILLED
    assert (death.facts["oom_kills"], death.facts["limit_bytes"]) == (1, 64 * MIB)
    assert "of 64.0 MiB" in death.sentence


def test_a_parent_in_the_same_group_survives_and_knows_why_its_child_died(make_real_group):
    parent = python(make_real_group(64), WATCHED_CHILD, ALLOCATE)

    kind, memory_suspected, limit_bytes, sentence = parent.stdout.strip().split("|")
    assert parent.returncode == 0
    assert (kind, memory_suspected, limit_bytes) == ("oom_killed", "True", str(64 * MIB))
    assert sentence.startswith("the kernel's out-of-memory killer ended it: the group ")


def test_a_child_that_gets_kill_9_is_not_taken_for_out_of_memory(make_real_group):
    parent = python(make_real_group(64), WATCHED_CHILD, KILL_MYSELF)

    kind, memory_suspected, _, sentence = parent.stdout.strip().split("|")
    assert (kind, memory_suspected) == ("killed", "False")
    assert "another program or a person sent" in sentence


def test_a_process_sees_the_limit_of_its_group(make_real_group):
    group = make_real_group(64)

    child = python(group, READ_HERE)

    available_bytes, limit_bytes, *limited_by = child.stdout.split()
    assert (int(limit_bytes), limited_by) == (64 * MIB, ["cgroup", group.folder.name])
    assert 32 * MIB < int(available_bytes) < 64 * MIB  # less what an interpreter takes


def test_a_tighter_parent_is_the_limit_of_a_process_in_a_looser_group(make_real_group):
    outer = make_real_group(64)
    inner = make_real_group(128, parent=outer.folder)

    child = python(inner, READ_HERE)

    assert child.stdout.split()[1:] == [str(64 * MIB), "cgroup", outer.folder.name]


def test_page_cache_hardly_changes_what_is_left(make_real_group, tmp_path):
    empty, full = make_real_group(64), make_real_group(64)
    big = tmp_path / "big"
    if subprocess.run(["stat", "-fc%T", tmp_path], capture_output=True, check=True).stdout.strip() == b"tmpfs":
        pytest.skip("files of a tmpfs are memory, not page cache")
    # Written inside of the group: pages are charged to whoever brings them in first.
    python(full, WRITE_FILE, str(big))

    without_cache = int(python(empty, READ_HERE).stdout.split()[0])
    with_cache = int(python(full, READ_HERE, str(big)).stdout.split()[0])

    usage_bytes = full.read().usage_bytes
    assert usage_bytes > 24 * MIB  # the cache is there
    assert abs(with_cache - without_cache) < 8 * MIB


def test_a_limit_can_be_shrunk_while_a_process_runs(make_real_group):
    group = make_real_group(64)

    with start(group, WAIT) as sleeper:
        shrunk = group.set_limit(32 * MIB)
        still_runs = sleeper.poll() is None
        group.kill_all()

    assert (shrunk, still_runs) == (True, True)
    assert group.read().limit_bytes == 32 * MIB
    assert sleeper.returncode == -signal.SIGKILL


def test_version_1_keeps_a_limit_that_it_cannot_shrink(make_real_group):
    group = make_real_group(64)
    if group.folder.version is not CgroupVersion.V1:
        pytest.skip("version 2 kills instead of refusing a limit")

    with start(group, HOLD_AND_WAIT) as holder:
        shrunk = group.set_limit(16 * MIB)
        still_runs = holder.poll() is None
        group.kill_all()

    assert (shrunk, still_runs) == (False, True)
    assert group.read().limit_bytes == 64 * MIB


def test_leaving_kills_what_is_inside_and_removes_the_group(make_real_group):
    make_real_group(64)  # skips where none can be made
    started = []

    def fail_inside():
        with open_limited_group(limit_bytes=64 * MIB) as group:
            started.append((group.folder.path, start(group, FORK_AND_WAIT)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()

    (path, child) = started[0]
    with child:
        child.stdout.read()  # ends only when all that it forked have ended
    assert child.returncode == -signal.SIGKILL
    assert not path.exists()


def test_a_group_that_somebody_else_removed_is_gone_as_wanted(make_real_group):
    group = make_real_group(64)

    group.folder.path.rmdir()

    assert group.read() is None


def test_without_a_mounted_hierarchy_the_error_says_so(tmp_path):
    with (
        pytest.raises(BackendUnavailableError, match="no memory control groups are mounted"),
        open_limited_group(limit_bytes=MIB, root=tmp_path),
    ):
        pytest.fail("a group was made")


def test_a_folder_that_is_no_control_group_is_refused_and_left_as_it_was(kernel):
    kernel.hybrid("/")

    with (
        pytest.raises(BackendUnavailableError, match=r"no memory control group can be made \(No such file"),
        open_limited_group(limit_bytes=MIB, root=kernel.root),
    ):
        pytest.fail("a group was made")

    assert os.listdir(kernel.root / "sys/fs/cgroup/memory") == []  # noqa: PTH208 - names are all that is needed


def test_a_top_that_gives_no_memory_controller_is_refused_in_one_line(kernel):
    kernel.v2("/")

    with (
        pytest.raises(BackendUnavailableError) as refused,
        open_limited_group(limit_bytes=MIB, root=kernel.root),
    ):
        pytest.fail("a group was made")

    assert "\n" not in str(refused.value)
    assert refused.value.remedy
