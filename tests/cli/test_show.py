"""The lines that people read of a sweep: plurals, several models and devices, nothing absurd where nothing is known."""

from __future__ import annotations

import pytest

from asyncbench.cli.show.dry_run import dry_run_lines
from asyncbench.cli.show.plain import PlainLines
from asyncbench.cli.show.text import engine_text
from asyncbench.errors import ExitCode
from asyncbench.results.cell_parts import Reason
from asyncbench.results.status import Status
from asyncbench.supervisor.engine_group import engine_groups
from asyncbench.supervisor.events import EngineOpening, RecordWritten
from asyncbench.supervisor.trailer import make_trailer
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.testing import cell_record, header_record

CPU = {"device_name": "a processor", "backend": "simulated"}


def configs_of(*models, **keys):
    return tuple(check_config({"model": model, "concurrency": 1, "batch": 1, **keys}, source="") for model in models)


def header_of(configs, **changes):
    fields = {
        "config": [config.model_dump(mode="json") for config in configs],
        "cells": sum(config.cell_count for config in configs),
        "devices": [CPU],
        "runner_cost_ns": {"pump": 400.0, "await": None},
    }
    return header_record(**(fields | changes))


def record_of(index, cell, **changes):
    fields = {name: getattr(cell, name) for name in ("model", "device", "precision", "batch", "concurrency")}
    return cell_record(index, **(fields | {"throughput_items_s": 100.0 * (index + 1)} | changes))


def shown(configs, *, change=lambda _: {}, **header_changes):
    """Return the lines of a whole sweep."""
    lines = []
    cells = {index: cell for group in engine_groups(configs) for index, cell in group.cells}
    show = PlainLines(cells=cells, done={}, write=lines.append)
    show(EngineOpening(cell=cells[0]))
    show(RecordWritten(record=header_of(configs, **header_changes)))
    records = []
    for index, cell in cells.items():
        record = record_of(index, cell)
        records.append(record.model_copy(update=change(record)))
        show(RecordWritten(record=records[-1]))
    trailer = make_trailer(records, sweep_id="s", exit_code=ExitCode.OK, duration_ns=1_000_000_000, latency_limit=None)
    show(RecordWritten(record=trailer))
    return lines


def test_one_cell_is_a_cell_and_two_are_cells():
    assert "1 cell on a processor (simulated)" in shown(configs_of("mobilenet"))
    assert "2 cells on a processor (simulated)" in shown(configs_of("mobilenet", concurrency="1,2"))


def test_where_no_device_was_opened_none_is_announced():
    assert "1 cell" in shown(configs_of("mobilenet"), devices=[])


def test_a_cost_that_was_not_measured_is_not_told():
    lines = shown(configs_of("mobilenet"), runner_cost_ns={"pump": None, "await": None})

    assert not [line for line in lines if "runner cost" in line]


@pytest.mark.parametrize(
    ("concurrency", "said"),
    [("1", "(cell 1 of 1)"), ("1,2", "(cells 1, 2 of 2)"), ("1..200", "(cells 1 to 200 of 200)")],
)
def test_failed_cells_are_numbered_as_in_their_own_lines(concurrency, said):
    failed = {"status": Status.ERROR, "reasons": [Reason(code="lane", text="it broke")]}

    lines = shown(configs_of("mobilenet", concurrency=concurrency), change=lambda _: failed)

    assert f"error: it broke {said}" in lines


def test_failed_cells_that_are_apart_are_named_up_to_eight_and_counted():
    failed = {"status": Status.ERROR, "reasons": [Reason(code="lane", text="it broke")]}

    lines = shown(
        configs_of("mobilenet", concurrency="1..30"), change=lambda cell: failed if cell.index % 3 == 0 else {}
    )

    assert "error: it broke (cells 1, 4, 7, 10, 13, 16, 19, 22 and 2 more of 30)" in lines


def test_a_device_that_was_not_chosen_is_not_called_auto():
    lines = shown(configs_of("mobilenet")) + dry_run_lines(engine_groups(configs_of("mobilenet")))

    assert "opening mobilenet fp32 ..." in lines
    assert not [line for line in lines if "auto" in line]


def test_a_device_that_was_chosen_is_named():
    cell = Cell(model="resnet50", precision=Precision.FP16, batch=1, concurrency=1, device="cuda:1")

    assert engine_text(cell) == "resnet50 fp16 on cuda:1"
    assert str(cell) == "resnet50 fp16 batch=1 concurrency=1 on cuda:1"


def test_a_cell_on_a_device_that_was_not_chosen_names_none():
    cell = Cell(model="resnet50", precision=Precision.FP16, batch=1, concurrency=1, device="auto")

    assert str(cell) == "resnet50 fp16 batch=1 concurrency=1"


def test_a_dry_run_of_one_cell_has_one_engine():
    *_, whole = dry_run_lines(engine_groups(configs_of("mobilenet", duration="2s")))

    assert whole == "1 cell, 1 engine, windows at most 2.00 s; nothing was measured"


def test_of_one_model_on_one_device_no_line_repeats_their_names():
    lines = shown(configs_of("mobilenet", concurrency="1,2"))

    (line,) = [line for line in lines if line.startswith("[2/2]")]
    assert line.startswith("[2/2] fp32 b=1 c=2 ")


def test_of_several_models_every_line_names_its_own_and_the_summary_has_the_best_cells_of_each():
    lines = shown(configs_of("mobilenet", "resnet50", concurrency="1,2"))

    assert [line.split()[1] for line in lines if line.startswith("[")] == ["mobilenet"] * 2 + ["resnet50"] * 2
    best = [line.partition(" at ")[2].partition(";")[0] for line in lines if line.startswith("best throughput:")]
    assert best == [
        "mobilenet fp32 batch=1 concurrency=2",
        "resnet50 fp32 batch=1 concurrency=2",
    ]
    assert len([line for line in lines if line.startswith("knee")]) == 2


def test_a_model_whose_cells_all_failed_has_no_best_cell_beside_one_that_has():
    def fail_the_second(record):
        if record.model == "mobilenet":
            return {}
        return {"status": Status.ERROR, "throughput_items_s": None, "reasons": [Reason(code="lane", text="it broke")]}

    lines = shown(configs_of("mobilenet", "resnet50"), change=fail_the_second)

    (best,) = [line for line in lines if line.startswith("best throughput:")]
    assert "mobilenet fp32" in best


def test_of_several_devices_every_line_names_its_own():
    lines = shown(configs_of("mobilenet", device="first,second"))

    cells = [line for line in lines if line.startswith("[")]
    assert ["on first" in line for line in cells] == [True, False]
    assert ["on second" in line for line in cells] == [False, True]
    (best,) = [line for line in lines if line.startswith("best throughput:")]
    assert " on second;" in best


def test_the_best_cells_of_models_of_one_file_are_those_of_a_configuration_that_can_be_read_again():
    configs = (SweepConfig(model_file="a/one.onnx", batch=1, concurrency=1), *configs_of("mobilenet"))

    lines = shown(configs)

    assert len([line for line in lines if line.startswith("best throughput:")]) == 2
