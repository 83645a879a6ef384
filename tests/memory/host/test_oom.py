import signal
import subprocess
import sys

import pytest

from asyncbench.memory.host.cgroup import CgroupOomReading
from asyncbench.memory.host.oom import DeathKind, classify_death, prefer_to_be_killed
from asyncbench.memory.host.probe import OomCount

GIB = 1 << 30


def group(name="/own", *, hits=0, limit=3 * GIB, peak=None):
    return CgroupOomReading(name=name, oom_kills=None, limit_hits=hits, limit_bytes=limit, peak_bytes=peak)


def count(kills, *groups, of_own_group=True):
    return OomCount(oom_kills=kills, of_own_group=of_own_group, groups=groups)


def test_a_kill_that_the_group_counted_was_the_out_of_memory_killer():
    before, after = count(1, group(hits=5)), count(2, group(hits=9, peak=3 * GIB))

    death = classify_death(-signal.SIGKILL, before=before, after=after)

    assert death.kind is DeathKind.OOM_KILLED
    assert death.memory_suspected
    assert death.sentence == "the kernel's out-of-memory killer ended it: the group used 3.00 GiB of 3.00 GiB"
    assert death.facts == {
        "signal": "SIGKILL",
        "signal_number": 9,
        "oom_kills": 1,
        "cgroup": "/own",
        "limit_bytes": 3 * GIB,
        "peak_bytes": 3 * GIB,
    }


def test_of_several_groups_the_one_whose_limit_was_met_is_named():
    before = count(0, group(hits=1), group("/parent", hits=1, limit=2 * GIB))
    after = count(1, group(hits=1, peak=GIB), group("/parent", hits=2, limit=2 * GIB, peak=2 * GIB))

    death = classify_death(-signal.SIGKILL, before=before, after=after)

    assert death.facts["cgroup"] == "/parent"
    assert death.sentence.endswith("used 2.00 GiB of 2.00 GiB")


def test_a_kernel_without_a_peak_still_names_the_limit():
    death = classify_death(-signal.SIGKILL, before=count(0, group()), after=count(1, group(hits=1)))

    assert death.sentence.endswith("the group reached its limit of 3.00 GiB")


def test_a_peak_of_a_time_before_the_limit_was_lowered_is_not_told():
    death = classify_death(
        -signal.SIGKILL, before=count(0, group(limit=GIB)), after=count(1, group(hits=1, limit=GIB, peak=3 * GIB))
    )

    assert death.sentence.endswith("the group reached its limit of 1.00 GiB")
    assert death.facts["peak_bytes"] is None


def test_a_kill_without_a_limit_that_was_met_was_for_the_machine():
    death = classify_death(-signal.SIGKILL, before=count(0, group()), after=count(1, group(peak=GIB)))

    assert death.kind is DeathKind.OOM_KILLED
    assert "the machine had no memory left" in death.sentence
    assert "cgroup" not in death.facts


def test_a_kill_that_only_the_machine_counted_is_likely_but_not_certain():
    before, after = count(5, of_own_group=False), count(7, of_own_group=False)

    death = classify_death(-signal.SIGKILL, before=before, after=after)

    assert death.kind is DeathKind.OOM_KILLED
    assert "likely, but not certainly" in death.sentence
    assert "2 processes on this machine" in death.sentence


def test_a_kill_that_was_not_counted_came_from_elsewhere():
    death = classify_death(-signal.SIGKILL, before=count(1), after=count(1))

    assert death.kind is DeathKind.KILLED
    assert not death.memory_suspected
    assert "another program or a person sent" in death.sentence


@pytest.mark.parametrize(("before", "after"), [(None, None), (None, 1), (3, 2)])
def test_where_only_the_signal_is_known_memory_is_suspected(before, after):
    death = classify_death(-signal.SIGKILL, before=count(before), after=count(after))

    assert death.kind is DeathKind.KILLED
    assert death.memory_suspected
    assert "likely, but not certainly" in death.sentence


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_signals_of_a_programming_error_are_crashes(number):
    death = classify_death(-number, before=count(0), after=count(0))

    assert (death.kind, death.facts["signal"]) == (DeathKind.CRASHED, number.name)
    assert death.sentence == f"it crashed with {number.name}"


def test_other_signals_are_kills():
    death = classify_death(-signal.SIGTERM, before=count(0), after=count(0))

    assert (death.kind, death.sentence) == (DeathKind.KILLED, "it was ended by SIGTERM")


@pytest.mark.parametrize("number", [signal.SIGXCPU, signal.SIGKILL])
def test_what_the_kernel_sends_where_cpu_time_is_used_up_names_that_limit(number):
    limited = classify_death(-number, before=count(0), after=count(0), cpu_time_limit="ulimit -t is 3 s")
    unlimited = classify_death(-number, before=count(0), after=count(0))

    assert "CPU time is used up (ulimit -t is 3 s)" in limited.sentence
    assert not limited.memory_suspected
    assert "CPU time" not in unlimited.sentence


def test_a_signal_without_a_name_is_named_by_its_number():
    death = classify_death(-(signal.SIGRTMIN + 3), before=count(0), after=count(0))

    assert death.facts["signal"] == f"signal {signal.SIGRTMIN + 3}"


def test_an_exit_says_its_code():
    death = classify_death(3, before=count(0), after=count(0))

    assert (death.kind, death.memory_suspected) == (DeathKind.EXITED, False)
    assert death.facts == {"exit_code": 3, "oom_kills": 0}


def test_an_exit_after_a_child_was_killed_for_memory_says_so():
    death = classify_death(1, before=count(0), after=count(1))

    assert death.memory_suspected
    assert death.sentence.endswith("the kernel's out-of-memory killer ended 1 process meanwhile")


ASK_TO_BE_KILLED = """
from pathlib import Path
from asyncbench.memory.host.oom import prefer_to_be_killed
print(prefer_to_be_killed({score}), Path("/proc/self/oom_score_adj").read_text().strip())
"""


def test_a_process_can_ask_to_be_killed_first():
    child = subprocess.run([sys.executable, "-c", ASK_TO_BE_KILLED.format(score=1000)], capture_output=True, check=True)

    assert child.stdout.split() == [b"True", b"1000"]


def test_a_score_that_the_kernel_refuses_is_reported_and_changes_nothing():
    child = subprocess.run([sys.executable, "-c", ASK_TO_BE_KILLED.format(score=1001)], capture_output=True, check=True)

    assert child.stdout.split()[0] == b"False"
    assert child.stdout.split()[1] != b"1001"


def test_without_proc_nobody_can_ask(tmp_path):
    assert prefer_to_be_killed(500, root=tmp_path) is False
