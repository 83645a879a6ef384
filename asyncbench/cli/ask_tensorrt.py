"""`python -m asyncbench.cli.ask_tensorrt`: prints what TensorRT this machine can run; exit code 1 and why, if none.

The last line but one is the installation, the last one its precisions.
"""

from __future__ import annotations

import sys

import typer

from asyncbench.backends.tensorrt.factory import HAS_CUDA_BINDINGS
from asyncbench.errors import AsyncbenchError


def main() -> int:
    """Look, and say what was found."""
    if not HAS_CUDA_BINDINGS:
        typer.echo("the CUDA bindings are not installed: install the extra cuda12, cuda13 or rtx")
        return 1
    # Not above: importing them takes the CUDA bindings.
    from asyncbench.backends.tensorrt.installation import (  # noqa: PLC0415
        describe_installation,
        describe_installed_precisions,
        why_unavailable,
    )

    if why := why_unavailable():
        typer.echo(why)
        return 1
    try:
        precisions = describe_installed_precisions()
    except AsyncbenchError as error:
        precisions = f"not known: {error}"
    typer.echo(f"{describe_installation()}\n{precisions}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
