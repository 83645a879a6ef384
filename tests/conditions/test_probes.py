"""Probes of anybody: what they say becomes a block, and what they do wrong costs nothing else and is told once."""

from __future__ import annotations

import math
import time
from contextlib import asynccontextmanager

import pytest
import trio
from pydantic import BaseModel
from structlog.testing import capture_logs

from asyncbench.conditions.probe import Block, Span
from asyncbench.conditions.probes import ProbeSource, built_in_probes, checked_block, open_probes, watch_nothing
from asyncbench.errors import BackendUnavailableError

SPAN = Span(opened_at_ns=10, ended_at_ns=20)
LEFT_OUT = "its block is left out of the records"


@pytest.fixture(autouse=True)
def log():
    """What is logged, which would otherwise be printed."""
    with capture_logs() as entries:
        yield entries


class Reading(BaseModel):
    """A model of a plugin's own."""

    value: int


class Dummy:
    """A probe, its watch of a cell, and what happened to both in order; `fails` names the step that goes wrong."""

    def __init__(self, *, block=None, fails="", error=None):
        self.events = []
        self._block = {"seen": 1} if block is None else block
        self._fails = fails
        self._error = ValueError("no sensor") if error is None else error

    def source(self, name="dummy"):
        return ProbeSource(name=name, load=self._load)

    def _load(self):
        self._step("load")
        return self._open

    @asynccontextmanager
    async def _open(self, device):
        self._step("open", device)
        yield self
        self._step("close")

    @asynccontextmanager
    async def watch(self):
        self._step("enter")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sample)
            yield self
            nursery.cancel_scope.cancel()
        self._step("leave")

    async def _sample(self):
        while True:
            await trio.sleep(1)
            self._step("sample")

    def window_opened(self):
        self._step("opened")

    def window_closed(self):
        self._step("closed")

    def block(self, window):
        self._step("block", window)
        return self._block

    def _step(self, name, *facts):
        self.events.append((name, *facts) if facts else name)
        if name == self._fails:
            raise self._error


async def run_cell(probes, *, device="cpu", for_s=1.5):
    """Do what a cell runner does with the probes."""
    await probes.open(device)
    async with probes.watch() as watches:
        watches.window_opened()
        await trio.sleep(for_s)
        watches.window_closed()
        return watches.conditions(SPAN)


@asynccontextmanager
async def probes_of(*sources, notices=None):
    async with open_probes(lambda: sources, [].append if notices is None else notices.append) as probes:
        yield probes


async def test_a_probe_is_opened_once_for_a_device_and_watches_each_cell(autojump_clock):
    dummy = Dummy()
    cell = ["enter", "opened", "sample", "closed", ("block", SPAN), "leave"]

    async with probes_of(dummy.source()) as probes:
        for _ in range(2):
            conditions = await run_cell(probes, device="cuda:1")

    assert dummy.events == ["load", ("open", "cuda:1"), *cell, *cell, "close"]
    assert conditions.details == {"dummy": {"seen": 1}}


async def test_another_device_has_probes_of_its_own(autojump_clock):
    dummy = Dummy()

    async with probes_of(dummy.source()) as probes:
        await probes.open("cuda:0")
        await probes.open("cuda:1")

    assert dummy.events == ["load", ("open", "cuda:0"), "close", "load", ("open", "cuda:1"), "close"]


async def test_a_probe_that_has_nothing_to_watch_on_a_device_says_nothing(autojump_clock):
    @asynccontextmanager
    async def open_nothing(device):
        yield None

    notices = []

    async with probes_of(ProbeSource(name="gpu", load=lambda: open_nothing), notices=notices) as probes:
        conditions = await run_cell(probes)

    assert (conditions.details, notices) == ({}, [])


STEPS = ("load", "open", "enter", "sample", "opened", "closed", "block")


@pytest.mark.parametrize("fails", STEPS)
async def test_whatever_fails_costs_the_block_alone_and_is_told_once(fails, autojump_clock):
    notices = []

    async with probes_of(Dummy(fails=fails).source(), Dummy().source("other"), notices=notices) as probes:
        details = [(await run_cell(probes)).details for _ in range(2)]

    assert details == [{"other": {"seen": 1}}] * 2
    assert notices == [f"probe dummy: ValueError: no sensor; {LEFT_OUT}"]


@pytest.mark.parametrize("fails", ["leave", "close"])
async def test_a_probe_that_fails_at_its_end_has_said_all_that_it_had_to_say(fails, autojump_clock):
    notices = []

    async with probes_of(Dummy(fails=fails).source(), notices=notices) as probes:
        conditions = await run_cell(probes)

    assert conditions.details == {"dummy": {"seen": 1}}
    assert notices == [f"probe dummy: ValueError: no sensor; {LEFT_OUT}"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            BackendUnavailableError("there is no NVML", remedy="install the driver"),
            "there is no NVML: install the driver",
        ),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
        (RuntimeError("\udcff"), "RuntimeError: \\udcff"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
async def test_an_error_of_a_probe_is_told_in_one_line(error, text, autojump_clock):
    notices = []

    async with probes_of(Dummy(fails="open", error=error).source(), notices=notices) as probes:
        await probes.open("cpu")

    assert notices == [f"probe dummy: {text}; {LEFT_OUT}"]


@pytest.mark.parametrize("where", ["open", "watch", "leave"])
async def test_a_probe_that_hangs_holds_a_cell_up_for_some_seconds_once(where, autojump_clock):
    class Hanging(Dummy):
        @asynccontextmanager
        async def _open(self, _device):
            if where == "open":
                await trio.sleep_forever()
            yield self

        @asynccontextmanager
        async def watch(self):
            if where == "watch":
                await trio.sleep_forever()
            yield self
            if where == "leave":
                await trio.sleep_forever()

    notices = []

    async with probes_of(Hanging().source(), notices=notices) as probes:
        for _ in range(3):
            await run_cell(probes, for_s=1)

    what = "end" if where == "leave" else "begin"
    assert notices == [f"probe dummy: it did not {what} within 5 s; {LEFT_OUT}"]
    assert trio.current_time() == 5 + 3


async def test_a_cell_that_is_cancelled_leaves_no_watch_behind(autojump_clock):
    dummies = [Dummy(), Dummy()]

    async with probes_of(dummies[0].source("a"), dummies[1].source("b")) as probes:
        with trio.move_on_after(0.5):
            await run_cell(probes)
        await trio.testing.wait_all_tasks_blocked()

        assert [dummy.events[-1] for dummy in dummies] == ["leave", "leave"]


@pytest.mark.parametrize("junk", [42, Reading(value=1)])
async def test_what_is_no_probe_is_told_and_left_out(junk, autojump_clock):
    @asynccontextmanager
    async def open_junk(_device):
        yield junk

    notices = []

    async with probes_of(ProbeSource(name="junk", load=lambda: open_junk), notices=notices) as probes:
        conditions = await run_cell(probes)

    assert conditions.details == {}
    assert notices[0].startswith("probe junk: AttributeError: ")


async def test_a_probe_that_blocks_where_the_window_opens_is_named():
    class Slow(Dummy):
        def window_opened(self):
            time.sleep(0.06)  # the stimulus itself

    notices = []

    async with probes_of(Slow().source(), notices=notices) as probes:
        conditions = await run_cell(probes, for_s=0)

    assert conditions.details == {"dummy": {"seen": 1}}
    assert notices[0].startswith("probe dummy: it held inferences up for ")
    assert notices[0].endswith(" where the window opens")


async def test_the_probe_that_comes_last_is_the_last_to_begin_and_the_first_to_be_read(autojump_clock):
    events = []

    class Named(Dummy):
        def _step(self, name, *_facts):
            events.append((self.name, name))

    first, last = Named(), Named()
    first.name, last.name = "first", "last"

    async with probes_of(first.source("first"), last.source("last")) as probes:
        await run_cell(probes, for_s=0)

    steps = [step for step in events if step[1] in {"enter", "opened", "closed", "block"}]
    begin = [(name, step) for step in ("enter", "opened") for name in ("first", "last")]
    assert steps == begin + [(name, step) for step in ("closed", "block") for name in ("last", "first")]


async def test_of_several_probes_with_one_name_the_package_s_own_runs(autojump_clock):
    notices, usurper = [], Dummy(block=Block(cpu_ns=1))

    async with probes_of(usurper.source("own_process"), *built_in_probes(), notices=notices) as probes:
        await run_cell(probes)

    assert usurper.events == []
    assert notices == ["probe own_process: several probes have this name, and only one of them runs"]


async def test_probes_of_others_that_cannot_be_listed_leave_those_of_the_package():
    def broken():
        raise OSError("entry_points.txt cannot be read")

    notices = []

    async with open_probes(broken, notices.append) as probes:
        conditions = await run_cell(probes, for_s=0)

    assert conditions.cpu_ns is not None
    assert notices == [f"probe of other packages: OSError: entry_points.txt cannot be read; {LEFT_OUT}"]


async def test_the_fields_of_a_record_are_filled_by_the_first_probe_that_tells(autojump_clock):
    counter, meter = Dummy(block=Block(joules=2.0)), Dummy(block=Block(joules=3.0, gpu={"sm_mhz": 1_980}))

    async with probes_of(meter.source("meter"), counter.source("counter")) as probes:
        conditions = await run_cell(probes)

    assert (conditions.joules, conditions.gpu, conditions.details) == (2.0, {"sm_mhz": 1_980}, {})


async def test_without_probes_nothing_is_known():
    async with watch_nothing() as watches:
        conditions = watches.conditions(SPAN)

    assert (conditions.cpu_ns, conditions.host_peak_bytes, conditions.details) == (None, None, {})


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return {"deep": value}


def endless():
    block = {}
    block["itself"] = block
    return block


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param("text", id="text"),
        pytest.param([1], id="list"),
        pytest.param({"a": math.nan}, id="not a number"),
        pytest.param({"a": [math.inf]}, id="infinity"),
        pytest.param({1: "a"}, id="key that is no text"),
        pytest.param({"a": object()}, id="object"),
        pytest.param({"a": b"\xff"}, id="bytes"),
        pytest.param({"a": "x" * 70_000}, id="too long"),
        pytest.param(nested(17), id="nested too deep for readers"),
        pytest.param(nested(500), id="nested absurdly deep"),
        pytest.param(endless(), id="inside itself"),
        pytest.param(Block.model_construct(gpu={"a": math.nan}, details={}), id="block that was not validated"),
    ],
)
def test_junk_is_refused(junk):
    with pytest.raises((TypeError, ValueError, RecursionError)):
        checked_block(junk)


def test_a_block_may_be_a_mapping_or_a_model():
    assert checked_block({"a": (1, 2)}) == Block(details={"a": [1, 2]})
    assert checked_block(Reading(value=1)) == Block(details={"value": 1})
    assert checked_block(None) is None
