from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from asyncbench.results.lines import encode_line
from asyncbench.results.record import TrailerRecord
from asyncbench.results.status import Status
from asyncbench.testing import cell_record, header_record

SWEEP_ID = "0190b5c2"


@pytest.fixture(scope="session")
def make_header():
    return partial(
        header_record,
        sweep_id=SWEEP_ID,
        command=["asyncbench", "sweep"],
        config=[{"model": "mobilenet", "batch": [1, 2], "stop": {"min_duration_ns": 500_000_000}}],
        cells=4,
        versions={"python": "3.12.3", "trio": "0.35.0"},
        host={"logical_cpus": 2},
        devices=[{"device": "cpu", "backend": "simulated"}],
        runner_cost_ns={"pump": 812.5, "await": None},
        seed=1,
    )


@pytest.fixture(scope="session")
def make_cell():
    return partial(cell_record, sweep_id=SWEEP_ID)


@pytest.fixture(scope="session")
def make_trailer():
    def make(**changes):
        fields = {
            "sweep_id": SWEEP_ID,
            "ended_at": "2026-01-31T12:10:00Z",
            "status_counts": {Status.MEASURED: 2},
            "exit_code": 0,
            "duration_ns": 600_000_000_000,
        }
        return TrailerRecord(**{**fields, **changes})

    return make


@pytest.fixture(scope="session")
def lines_of():
    def encode(*records):
        return b"".join(encode_line(record) for record in records)

    return encode


@pytest.fixture(scope="session")
def golden_path():
    return Path(__file__).parent / "golden" / "results.jsonl"
