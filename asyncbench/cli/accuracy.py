"""`asyncbench accuracy`: the accuracy of an engine on a labelled data set, through the lanes of a timed cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from asyncbench.cli.config_options import with_config_options
from asyncbench.cli.run_sweep import run_sweep
from asyncbench.cli.settle import settle_defaults
from asyncbench.cli.show.terminal import people_console
from asyncbench.cli.sweep import make_plan
from asyncbench.models.model_argument import HELP, model_keys
from asyncbench.sweep.config import Mode
from asyncbench.sweep.loading import read_flags
from asyncbench.sweep.options import config_option

OPTIONS = (
    config_option("model_file", help="An ONNX file with weights for MODEL."),
    replace(
        config_option("dataset", help="The folder of the images, such as ILSVRC2012's or COCO's."),
        names=("--dataset",),
        is_required=True,
    ),
    config_option("truth"),
    config_option("subset"),
    config_option("batch", help="Items of one inference: 4 or 1,16 or 1..16; by default 1."),
    replace(config_option("concurrency"), default="1"),
    config_option("precision"),
    config_option("calibration"),
    config_option("allow_overlap"),
    config_option("backend", help="The runtime: auto, onnxruntime or tensorrt."),
    config_option("device"),
    config_option("engine"),
    config_option("tactic_sources"),
)


@with_config_options(OPTIONS)
def accuracy(
    model: Annotated[str | None, typer.Argument(help=HELP)] = None,
    *,
    options: dict[str, Any],
    output: Annotated[
        str | None, typer.Option(help="Where the records go; - for stdout. Default: results/<time>-<model>.jsonl.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file that --output names.")] = False,
    log: Annotated[Path | None, typer.Option(help="Write events to this file as JSON lines.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the events on stderr.")] = False,
) -> int:
    """Measure the accuracy of every batch x concurrency of a network, against fp32 on ONNX Runtime."""
    named = model_keys(model, options.pop("model_file", None))
    flags = read_flags({"mode": str(Mode.ACCURACY), **named, **options})
    console = people_console()
    (config,) = settle_defaults((flags,), console)
    if "batch" not in config.model_fields_set:
        config = config.model_copy(update={"batch": (1,)})
    plan = make_plan((config,), flags, output=output, resume=resume, log=log, verbose=verbose)
    return run_sweep(plan, console)
