"""`asyncbench models`: the networks that need no file."""

from __future__ import annotations

import typer

from asyncbench.models.catalog import MODELS


def models() -> None:
    """List the built-in networks; any other one is given with `sweep --model FILE.onnx`."""
    for info in MODELS:
        size = f"3x{info.input_size}x{info.input_size}"
        work = f"{info.multiply_accumulates / 1e6:,.0f} M multiply-accumulates"
        typer.echo(f"{info.name:<13} {info.title:<22} {size:<10} {work}, {info.parameters / 1e6:.1f} M parameters")
        typer.echo(f"{'':<13} published weights: {info.published_accuracy}")
