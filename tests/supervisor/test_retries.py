"""A cell that a process has died of is run once more: on fewer lanes where memory can have been the reason."""

import signal

import pytest

from asyncbench.memory.host.oom import classify_death
from asyncbench.memory.host.probe import OomCount
from asyncbench.supervisor.retries import FirstTry, Retries


def count(kills):
    return OomCount(oom_kills=kills, of_own_group=True, groups=())


def ended(returncode, *, kills=0, lanes=None):
    death = classify_death(returncode, before=count(0), after=count(kills))
    return FirstTry(why=death.sentence, facts=death.facts, lanes=lanes, memory_suspected=death.memory_suspected)


@pytest.mark.parametrize("returncode", [-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT, 1])
def test_a_death_that_memory_has_no_part_in_costs_no_lanes(returncode):
    retry = Retries().plan(0, ended(returncode), concurrency=16, shares_lanes=True)

    assert retry.max_lanes == 16


@pytest.mark.parametrize("returncode", [-signal.SIGKILL, -signal.SIGABRT])
def test_a_death_while_the_kernel_killed_for_memory_costs_half_of_the_lanes(returncode):
    retry = Retries().plan(0, ended(returncode, kills=1), concurrency=16, shares_lanes=True)

    assert retry.max_lanes == 8


def test_half_is_half_of_those_that_it_ran_on():
    retry = Retries().plan(0, ended(-signal.SIGKILL, kills=1, lanes=6), concurrency=16, shares_lanes=True)

    assert retry.max_lanes == 3


def test_where_lanes_may_not_be_shared_it_is_all_of_them():
    retry = Retries().plan(0, ended(-signal.SIGKILL, kills=1), concurrency=16, shares_lanes=False)

    assert retry.max_lanes == 16


def test_a_cell_is_run_once_more_and_no_more():
    retries = Retries()
    retries.plan(0, ended(-signal.SIGSEGV), concurrency=4, shares_lanes=True)

    assert retries.plan(0, ended(-signal.SIGSEGV), concurrency=4, shares_lanes=True) is None
    assert retries.attempt(0) == 2
