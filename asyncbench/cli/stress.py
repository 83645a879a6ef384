"""`asyncbench stress`: tries to break what is promised about memory, death and interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Those of stress/suite.py, which is not imported for a line of help; a test holds the two together.
SCENARIO_NAMES = ("kill", "cancel", "disk", "cgroup", "shrink", "hog", "build", "gpu", "soak")


def stress(
    *,
    seed: Annotated[int, typer.Option(help="Of all chances.")] = 0,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"A scenario, again for more: {', '.join(SCENARIO_NAMES)}. Default: not soak."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few of each thing: two minutes.")] = False,
    gpu_part: Annotated[list[str] | None, typer.Option(help="A part of the scenario gpu, again for more.")] = None,
    soak: Annotated[str | None, typer.Option(help="Run the scenario soak for so long, such as 2h.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write each finding to this file as a JSON line.")] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Put the verdicts onto this page; rows of other scenarios stay.")
    ] = None,
) -> int:
    """Try to break what asyncbench promises about memory, death and interruption. Exit code 1 if anything breaks."""
    # Not above: no other command needs what breaks things.
    from asyncbench.cli.run_stress import run_stress  # noqa: PLC0415

    return run_stress(
        seed=seed, only=only, quick=quick, gpu_parts=tuple(gpu_part or ()), soak=soak, report=report, docs=docs
    )
