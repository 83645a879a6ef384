"""Leaks as a soak sees them."""

from __future__ import annotations

import os
from pathlib import Path

from asyncbench.stress.context import ScenarioContext, StressSettings
from asyncbench.stress.soak import FLAT, STEADY, Footprint, judge_laps, read_footprint

MIB = 1 << 20


def judged(by_lap):
    """Return which promises held."""
    findings = []
    context = ScenarioContext(scenario="soak", settings=StressSettings(), folder=Path("unused"), report=findings.append)
    judge_laps(context, "bench", by_lap)
    return {finding.promise: finding.held for finding in findings}


def laps(count, *, resident_mib, threads=lambda _lap: 10):
    return {
        lap: Footprint(resident_bytes=resident_mib(lap) * MIB, threads=threads(lap), descriptors=28)
        for lap in range(count)
    }


def test_memory_that_swings_from_lap_to_lap_is_flat():
    assert judged(laps(30, resident_mib=lambda lap: 380 + 25 * (lap % 2))) == {FLAT: True, STEADY: True}


def test_memory_that_climbs_by_a_mebibyte_a_lap_is_not_flat():
    assert judged(laps(60, resident_mib=lambda lap: 380 + 25 * (lap % 2) + lap))[FLAT] is False


def test_one_thread_more_in_the_end_is_not_steady():
    assert judged(laps(30, resident_mib=lambda _lap: 380, threads=lambda lap: 10 + (lap > 20)))[STEADY] is False


def test_too_few_laps_show_nothing_and_keep_no_promise():
    assert judged(laps(4, resident_mib=lambda _lap: 380)) == {FLAT: False}


def test_threads_that_are_there_for_a_moment_do_not_count_and_memory_does():
    calm = Footprint(resident_bytes=100, threads=10, descriptors=28)
    busy = Footprint(resident_bytes=300, threads=12, descriptors=29)

    assert calm.joined(busy).joined(None) == Footprint(resident_bytes=300, threads=10, descriptors=28)


def test_a_process_is_read_and_one_that_is_gone_is_not():
    own = read_footprint(os.getpid())

    assert own is not None
    assert own.resident_bytes > 10 * MIB
    assert own.descriptors >= 3
    assert read_footprint(2**22 + 1) is None
