"""Probes of other packages: a real distribution on the path, and a real sweep whose records have its blocks."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

THERMOMETER = """
    from contextlib import asynccontextmanager

    import trio


    @asynccontextmanager
    async def open_thermometer(device):
        yield Thermometer(device)


    class Thermometer:
        def __init__(self, device):
            self.device = device

        @asynccontextmanager
        async def watch(self):
            async with trio.open_nursery() as nursery:
                watch = Watch(self.device)
                nursery.start_soon(watch.sample)
                yield watch
                nursery.cancel_scope.cancel()


    class Watch:
        def __init__(self, device):
            self.device, self.samples, self.edges = device, 0, []

        async def sample(self):
            while True:
                self.samples += 1
                await trio.sleep(0.001)

        def window_opened(self):
            self.edges.append("opened")

        def window_closed(self):
            self.edges.append("closed")

        def block(self, window):
            return {
                "device": self.device,
                "is_sampled": self.samples > 1,
                "edges": self.edges,
                "has_window": window.ended_at_ns > window.opened_at_ns,
            }
"""
NO_SENSOR = 'raise RuntimeError("no sensor")'
FAULTY = {
    "in_window": THERMOMETER.replace('self.edges.append("opened")', NO_SENSOR),
    "that_exits": THERMOMETER.replace('self.edges.append("closed")', "raise SystemExit(0)"),
    "in_its_task": THERMOMETER.replace("self.samples += 1", NO_SENSOR),
    "at_opening": THERMOMETER.replace("yield Thermometer(device)", f"{NO_SENSOR}\n        yield"),
    "junk": THERMOMETER.replace("return {", 'return {"celsius": float("nan"),'),
    "not_a_probe": "open_thermometer = 42",
    "not_importable": "import a_library_that_is_not_installed",
    "no_such_name": "",
}
COMPLAINTS = {
    "in_window": "RuntimeError: no sensor",
    "that_exits": "SystemExit: 0",
    "in_its_task": "RuntimeError: no sensor",
    "at_opening": "RuntimeError: no sensor",
    "junk": "nan is no JSON number",
    "not_a_probe": "TypeError: 'int' object is not callable",
    "not_importable": "ModuleNotFoundError: No module named 'a_library_that_is_not_installed'",
    "no_such_name": "AttributeError: module 'probe_no_such_name' has no attribute 'open_thermometer'",
}


def install(tool, **sources):
    """Install a distribution with these probes."""
    tool.install(
        "more_probes",
        group="asyncbench.probes",
        entry_points={name: f"probe_{name}:open_thermometer" for name in sources},
        modules={f"probe_{name}": source for name, source in sources.items()},
    )


def sweep(tool):
    """Run a sweep of two cells; return what it says to people of probes."""
    path = tool.write_config(concurrency=[1, 2], batch=1, iterations=30)
    told = tool.run("sweep", "--config", path, "--output", "out.jsonl", "--log", "log.jsonl").stderr
    assert {cell["status"] for cell in tool.cells()} <= {"measured", "imprecise"}  # a busy machine stalls a cell
    return [line for line in told.splitlines() if "probe" in line]


def test_a_probe_of_another_package_has_a_block_in_the_record_of_each_cell(tool):
    install(tool, thermometer=THERMOMETER)

    assert sweep(tool) == []

    for cell in tool.cells():
        assert {*cell["conditions"]} == {"thermometer", "host"}
        assert cell["conditions"]["thermometer"] == {
            "device": cell["device"],
            "is_sampled": True,
            "edges": ["opened", "closed"],
            "has_window": True,
        }


def test_probes_that_do_not_work_are_told_once_each_and_harm_no_cell(tool):
    install(tool, **FAULTY)

    told = sweep(tool)

    assert len(told) == len(FAULTY)
    for name, complaint in COMPLAINTS.items():
        (line,) = [line for line in told if f"probe {name}: " in line]
        assert complaint in line
        assert line.endswith("; its block is left out of the records")
    for cell in tool.cells():
        assert {*cell["conditions"]} == {"host"}
        assert cell["cpu_s_per_item"] is not None
        assert cell["memory"]["host_peak_bytes"] is not None
    events = map(json.loads, (tool.folder / "log.jsonl").read_text().splitlines())
    failed = [event["probe"] for event in events if event["event"] == "probe.failed"]
    assert failed.count("in_window") == 2  # the log has each time


def test_a_probe_fills_fields_of_the_record_but_takes_no_place_of_the_package_s_own(tool):
    source = THERMOMETER.replace("return {", "return Block(joules=2.0, gpu={'sm_clock_hz': 1_980_000_000}) or {")
    source = "    from asyncbench.conditions.probe import Block\n" + source
    install(tool, thermometer=source, own_process=THERMOMETER)

    (line,) = sweep(tool)

    assert "probe own_process: several probes have this name, and only one of them runs" in line
    for cell in tool.cells():
        assert {*cell["conditions"]} == {"host"}
        assert cell["gpu"] == {"sm_clock_hz": 1_980_000_000}
        assert 0 < cell["joules_per_item"] <= 2.0 / cell["n"]  # of all that ran until the window was closed
        assert cell["cpu_s_per_item"] is not None


def test_a_dry_run_opens_no_probe(tool):
    install(tool, **FAULTY)

    path = tool.write_config(concurrency=1, batch=1)

    assert "probe" not in tool.run("sweep", "--config", path, "--dry-run").stderr
