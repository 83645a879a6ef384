"""States of a results file before and after a start, and the processes of a sweep."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import trio

from asyncbench.stress.descendants import find_processes, wait_none_left
from asyncbench.stress.file_state import (
    FileState,
    cells_begun,
    compare_states,
    logged_events,
    read_state,
    tear_last_line,
)
from asyncbench.stress.sweep_child import open_child

GOLDEN = Path(__file__).parents[1] / "results" / "golden"
WAITING = (sys.executable, "-c", "import time; time.sleep(60)")
# It ends at once and leaves a process behind.
LEAVING = (sys.executable, "-c", "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])")


@pytest.fixture
def results(tmp_path):
    (golden,) = GOLDEN.glob("*.jsonl")
    path = tmp_path / "results.jsonl"
    path.write_bytes(golden.read_bytes())
    return path


def state(whole, *cells):
    return FileState(read=None, complaint="", whole=whole, cell_lines=Counter(cells))


def test_a_file_that_is_not_there_is_neither_broken_nor_begun(tmp_path):
    found = read_state(tmp_path / "none.jsonl")

    assert (found.complaint, found.whole, found.final) == ("", b"", set())


def test_a_torn_last_line_does_not_count(results):
    whole = read_state(results)

    tear_last_line(results, whole, lost_bytes=5)

    torn = read_state(results)
    assert torn.complaint == ""
    assert torn.read.torn_bytes > 0
    assert whole.whole.startswith(torn.whole)
    assert torn.whole.endswith(b"\n")


def test_a_line_that_loses_more_than_it_has_keeps_the_one_before_it(results):
    whole = read_state(results)

    tear_last_line(results, whole, lost_bytes=10**9)

    assert read_state(results).whole == b"".join(whole.whole.splitlines(keepends=True)[:-1])


def test_a_file_that_does_not_parse_says_why(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("{")

    assert "no whole header" in read_state(path).complaint


def test_a_name_that_was_taken_and_got_no_record_is_no_file_yet(tmp_path):
    path = tmp_path / "results.jsonl"
    path.touch()

    state = read_state(path)

    assert (state.read, state.complaint) == (None, "")


def test_the_cell_that_ran_when_it_was_killed_is_the_one_that_is_lost():
    found = compare_states(state(b"a"), state(b"ab", 0, 1), begun={0, 1, 2})

    assert found.lost == (2,)
    assert found.one_cell_at_most


def test_two_lost_cells_are_too_many():
    assert not compare_states(state(b""), state(b"a", 0), begun={0, 1, 2}).one_cell_at_most


def test_a_changed_line_is_noticed():
    found = compare_states(state(b"abc"), state(b"abX", 0), begun=set())

    assert found.rewritten
    assert not found.one_cell_at_most


def test_a_cell_that_was_final_and_is_measured_again_is_noticed(results):
    before = read_state(results)
    index = min(before.final)
    after = FileState(
        read=before.read, complaint="", whole=before.whole, cell_lines=before.cell_lines + Counter([index])
    )

    assert compare_states(before, after, begun={index}).repeated == (index,)


def test_a_log_that_ends_in_the_middle_of_a_line_tells_what_was_begun_before(tmp_path):
    log = tmp_path / "sweep.log"
    log.write_text('{"event": "cell.started", "index": 4}\n{"event": "cell.ended", "index": 4}\n{"event": "cell.st')

    assert cells_begun(logged_events(log)) == {4}


async def test_a_child_is_gone_with_all_that_it_started(tmp_path):
    async with open_child([*LEAVING, WAITING[-1]], errors=tmp_path / "errors") as child:
        ended = await child.wait(10)
        left = await find_processes(child.token)

    assert ended.code == 0
    assert len(left) == 1
    assert await find_processes(child.token) == {}


async def test_what_does_not_end_within_its_limit_has_no_code(tmp_path):
    async with open_child(WAITING, errors=tmp_path / "errors") as child:
        ended = await child.wait(0.01)
        left_s = await wait_none_left(child.token, limit_s=0.05)

    assert ended.code is None
    assert left_s is None
    assert child.ended()


async def test_the_hog_holds_what_it_is_told_and_lets_go(tmp_path):
    command = [sys.executable, "-m", "asyncbench.stress.hog_child"]
    pipe = subprocess.PIPE

    resident_bytes = []
    async with open_child(command, errors=tmp_path / "errors", stdin=pipe, stdout=pipe) as child:
        for size_bytes in (0, 64 << 20, 0):
            await child.process.stdin.send_all(f"{size_bytes}\n".encode())
            await child.process.stdout.receive_some()
            statm = await trio.Path(f"/proc/{child.process.pid}/statm").read_text()
            resident_bytes.append(int(statm.split()[1]) * 4096)

    before, held, after = resident_bytes
    assert held - before > 60 << 20
    assert after - before < 8 << 20
