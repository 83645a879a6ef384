"""`asyncbench accuracy`: the quality of an engine on a labelled data set, through the lanes of a timed cell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncbench.cli.run_sweep import run_sweep
from asyncbench.cli.settle import settle_defaults
from asyncbench.cli.show.terminal import people_console
from asyncbench.cli.sweep import make_plan
from asyncbench.models.model_argument import HELP, model_keys
from asyncbench.sweep.config import Mode
from asyncbench.sweep.loading import read_flags


def accuracy(
    model: Annotated[str | None, typer.Argument(help=HELP)] = None,
    *,
    model_file: Annotated[str | None, typer.Option("--model", help="An ONNX file with weights for MODEL.")] = None,
    dataset: Annotated[str | None, typer.Option(help="The folder of the pictures, such as ILSVRC2012's or COCO's.")],
    truth: Annotated[str | None, typer.Option(help="The labels, where they are not in that folder.")] = None,
    subset: Annotated[
        str | None, typer.Option(help="Part of it: 'first 5 per class', 'every 10th', @list.txt.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Items of one inference: 4 or 1,16 or 1..16; by default 1.")] = None,
    concurrency: Annotated[str, typer.Option(help="Inferences in flight, written like --batch.")] = "1",
    precision: Annotated[str | None, typer.Option(help="fp32, fp16, bf16, int8, fp8; several with commas.")] = None,
    calibration: Annotated[
        str | None, typer.Option(help="For int8: a table of `asyncbench calibrate`, or a cache of TensorRT.")
    ] = None,
    allow_overlap: Annotated[
        bool | None, typer.Option("--allow-overlap", help="Also on images that the calibration has seen.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="auto, onnxruntime or tensorrt.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0.")] = None,
    engine: Annotated[str | None, typer.Option(help="TensorRT: static, dynamic or auto.")] = None,
    tactic_sources: Annotated[
        str | None,
        typer.Option(help="TensorRT: the libraries that kernels may come from, by TensorRT's names, with commas."),
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Where the records go; - for stdout. Default: results/<time>-<model>.jsonl.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file that --output names.")] = False,
    log: Annotated[Path | None, typer.Option(help="Write events to this file as JSON lines.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the events on stderr.")] = False,
) -> int:
    """Measure the accuracy of every batch x concurrency of a network, against fp32 on ONNX Runtime."""
    flags = read_flags(
        {
            "mode": str(Mode.ACCURACY),
            **model_keys(model, model_file),
            "dataset": dataset,
            "truth": truth,
            "subset": subset,
            "batch": batch,
            "concurrency": concurrency,
            "precision": precision,
            "calibration": calibration,
            "allow_overlap": allow_overlap,
            "backend": backend,
            "device": device,
            "engine": engine,
            "tactic_sources": tactic_sources,
        }
    )
    console = people_console()
    (config,) = settle_defaults((flags,), console)
    if "batch" not in config.model_fields_set:
        config = config.model_copy(update={"batch": (1,)})
    plan = make_plan((config,), flags, output=output, resume=resume, log=log, verbose=verbose)
    return run_sweep(plan, console)
