"""Records of a sweep, for tests of whatever reads them."""

from __future__ import annotations

from asyncbench.results.record import CellRecord, HeaderRecord
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Precision


def cell_record(index: int = 0, **changes: object) -> CellRecord:
    """Return the record of a measured cell, without figures unless they are given."""
    fields = {
        "sweep_id": "s",
        "index": index,
        "status": Status.MEASURED,
        "model": "mobilenet",
        "device": "cpu",
        "backend": "simulated",
        "precision": Precision.FP32,
        "batch": 1,
        "concurrency": 1,
    }
    return CellRecord.model_validate(fields | changes)


def header_record(**changes: object) -> HeaderRecord:
    """Return the header of a sweep that says no more than it must."""
    fields = {
        "sweep_id": "s",
        "created_at": "2026-01-31T12:00:00Z",
        "asyncbench_version": "0.1.0",
        "command": [],
        "config": [],
        "cells": 1,
        "versions": {},
        "host": {},
        "devices": [],
        "engines": [],
        "runner_cost_ns": {},
        "seed": 0,
    }
    return HeaderRecord.model_validate(fields | changes)
