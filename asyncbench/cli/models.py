"""`asyncbench models`: the networks that need no file."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from asyncbench.models.catalog import MODELS

_NUMBERS = ("MAC/item", "parameters")


def models() -> None:
    """List the built-in networks; any other one is given with `sweep --model FILE.onnx`."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "network", "input", *_NUMBERS, "published accuracy"):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=heading == "network")
    for info in MODELS:
        table.add_row(
            info.name,
            info.title,
            f"3x{info.input_size}x{info.input_size}",
            f"{info.multiply_accumulates / 1e6:,.0f} M",
            f"{info.parameters / 1e6:.1f} M",
            info.published_accuracy,
        )
    Console().print(table, highlight=False)
