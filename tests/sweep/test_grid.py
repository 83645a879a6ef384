from __future__ import annotations

from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.config import SweepConfig


def test_cells_come_by_precision_then_batch_then_concurrency_each_in_the_order_asked_for():
    config = SweepConfig(precision="int8,fp32", batch=[4, 1], concurrency="2,1")

    cells = config.cells("cuda:0")

    assert [(str(cell.precision), cell.batch, cell.concurrency) for cell in cells] == [
        ("int8", 4, 2),
        ("int8", 4, 1),
        ("int8", 1, 2),
        ("int8", 1, 1),
        ("fp32", 4, 2),
        ("fp32", 4, 1),
        ("fp32", 1, 2),
        ("fp32", 1, 1),
    ]


def test_a_cell_says_what_it_is_a_point_of():
    config = SweepConfig(model="resnet50", batch=2, concurrency=3)

    assert config.cells("cpu") == (
        Cell(model="resnet50", precision=Precision.FP32, batch=2, concurrency=3, device="cpu"),
    )


def test_the_default_grid_has_128_cells():
    assert len(SweepConfig().cells("cpu")) == 128
