"""`asyncbench sweep`: its options, checked before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from asyncbench.cli.model_argument import HELP, model_keys_of_each
from asyncbench.cli.named_files import check_named_files
from asyncbench.cli.run_dry import run_dry
from asyncbench.cli.run_sweep import Invocation, refuse_output, run_sweep
from asyncbench.cli.settle import settle_defaults
from asyncbench.cli.show.terminal import people_console
from asyncbench.clock import utc_file_text
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import read_user_text
from asyncbench.supervisor.engine_group import engine_groups
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.loading import load_config, merge_config, read_flags

STDOUT = "-"
RESULTS_FOLDER = Path("results")
MAX_LABEL_BYTES = 200
MAX_BYTES_OF_A_CHARACTER = 4


def sweep(
    model: Annotated[list[str] | None, typer.Argument(help=HELP + " Several: one after the other.")] = None,
    *,
    model_file: Annotated[
        str | None, typer.Option("--model", help="An ONNX file: any network, or other weights for MODEL.")
    ] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="Inferences in flight: 4 or 1,2,4 or 1..8 or 1..64:x2 or 1..32:+4.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Items of one inference, written like --concurrency.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, fp16, bf16, int8, fp8; several with commas.")] = None,
    backend: Annotated[str | None, typer.Option(help="auto, onnxruntime, tensorrt or simulated.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda:0; several with commas, one by one.")] = None,
    duration: Annotated[str | None, typer.Option(help="Measure each cell for this long, such as 10s.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Measure exactly this many inferences per cell.")] = None,
    warmup: Annotated[str | None, typer.Option(help="auto (until steady), none, or a time such as 2s.")] = None,
    driver: Annotated[str | None, typer.Option(help="pump: lanes run by themselves; await: Trio each time.")] = None,
    input_kind: Annotated[str | None, typer.Option("--input", help="images, random or zeros.")] = None,
    images: Annotated[str | None, typer.Option(help="A folder of images in place of the packaged ones.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and random input.")] = None,
    intra_op_threads: Annotated[int | None, typer.Option(help="Threads of one inference on the CPU.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="TensorRT: static (one per batch), dynamic (one for all batches) or auto.")
    ] = None,
    completion: Annotated[str | None, typer.Option(help="The pump's way to notice: spin, yield or block.")] = None,
    depth: Annotated[int | None, typer.Option(help="Inferences queued on each lane of the pump.")] = None,
    transfers: Annotated[
        bool | None, typer.Option("--transfers", help="TensorRT: copies to and from the device are part of it.")
    ] = None,
    gpu_time: Annotated[bool | None, typer.Option("--gpu-time", help="TensorRT: also take the device time.")] = None,
    workspace: Annotated[str | None, typer.Option(help="TensorRT: scratch memory of a kernel, such as 1GiB.")] = None,
    tactic_sources: Annotated[
        str | None,
        typer.Option(help="TensorRT: the libraries that kernels may come from, by TensorRT's names, with commas."),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="throughput, latency (batch 1, one in flight) or accuracy (no speed).")
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            "--accuracy",
            "--dataset",
            help="A labelled data set: also measure each batch's accuracy, at the highest concurrency.",
        ),
    ] = None,
    truth: Annotated[str | None, typer.Option(help="The labels, where they are not in the data set's folder.")] = None,
    subset: Annotated[
        str | None, typer.Option(help="Part of the data set: 'first 5 per class', 'every 10th', @list.txt.")
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="For int8: a table of `asyncbench calibrate`, or a cache of TensorRT.")
    ] = None,
    allow_overlap: Annotated[
        bool | None, typer.Option("--allow-overlap", help="Accuracy also on images that the calibration has seen.")
    ] = None,
    memory_budget: Annotated[
        str | None, typer.Option(help="The most device memory that engine and lanes may take, such as 8GiB.")
    ] = None,
    host_memory_budget: Annotated[
        str | None, typer.Option(help="The most host memory that the lanes of a cell may take.")
    ] = None,
    memory_reserve: Annotated[
        str | None, typer.Option(help="What stays free of each memory. Default: 5 % of it, at most 512MiB.")
    ] = None,
    on_pressure: Annotated[
        str | None,
        typer.Option(help="Where lanes do not all fit: backpressure (share them), skip (the cell) or fail (end)."),
    ] = None,
    latency_limit: Annotated[
        str | None,
        typer.Option(help="Also name the best cell below this latency: p95=20ms, or 20ms, which means p99."),
    ] = None,
    cell_timeout: Annotated[
        str | None, typer.Option(help="A cell in which nothing completes for so long has failed.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A sweep, several, or the predecessor's tasks, as JSON.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Where the records go; - for stdout. Default: results/<time>-<model>.jsonl.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file that --output names.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured, and stop.")] = False,
    log: Annotated[Path | None, typer.Option(help="Write events to this file as JSON lines.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the events on stderr.")] = False,
) -> int:
    """Measure every concurrency x batch of a network on a device, one record a cell."""
    named = model_keys_of_each(model or [], model_file)
    flags = read_flags(
        {
            "concurrency": concurrency,
            "batch": batch,
            "precision": precision,
            "backend": backend,
            "device": device,
            "duration": duration,
            "iterations": iterations,
            "warmup": warmup,
            "driver": driver,
            "input": input_kind,
            "images": images,
            "seed": seed,
            "intra_op_threads": intra_op_threads,
            "engine": engine,
            "completion": completion,
            "depth": depth,
            "transfers": transfers,
            "gpu_time": gpu_time,
            "workspace": workspace,
            "tactic_sources": tactic_sources,
            "mode": mode,
            "dataset": accuracy,
            "truth": truth,
            "subset": subset,
            "calibration": calibration,
            "allow_overlap": allow_overlap,
            "memory_budget": memory_budget,
            "host_memory_budget": host_memory_budget,
            "memory_reserve": memory_reserve,
            "on_pressure": on_pressure,
            "latency_limit": latency_limit,
            "cell_timeout": cell_timeout,
        }
    )
    each = [merge_config(flags, read_flags(keys), source="") for keys in named]
    console = people_console()
    notice = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    configs = settle_defaults(read_configs(config, *each, notice=notice), console)
    plan = make_plan(configs, flags, output=output, resume=resume, log=log, verbose=verbose)
    if dry_run:
        refuse_output(plan)
        return run_dry(plan.groups, console, log=log, verbose=verbose)
    return run_sweep(plan, console)


def make_plan(
    configs: tuple[SweepConfig, ...],
    flags: SweepConfig,
    *,
    output: str | None,
    resume: bool,
    log: Path | None,
    verbose: bool,
) -> Invocation:
    """Return what `run_sweep` is to do; the options are those of the command line, and `flags` is in `configs`.

    Raises:
        BadInputError: A resumed sweep does not say which file, or an option names what is no file.
    """
    for config in () if resume else configs:  # a finished sweep can be gone on with where its data set has gone
        check_named_files(config)
    return Invocation(
        configs=configs,
        groups=engine_groups(configs, flags=flags.given_keys()),
        output=output_path(output, configs[0], resume=resume),
        resume=resume,
        log=log,
        verbose=verbose,
        output_is_named=output is not None,
    )


def read_configs(
    path: Path | None, *flags: SweepConfig, notice: Callable[[str], None] = lambda _: None
) -> tuple[SweepConfig, ...]:
    """Return the sweeps of a file with the flags over them, or those that the flags describe.

    Args:
        flags: What the command line says, for each network that it names. The file is read once: it may be a pipe.
        notice: Takes one line for people about keys of the file that have another place now.

    Raises:
        BadInputError: The file cannot be read, or says something that cannot be used.
    """
    if path is None:
        return flags
    text = read_user_text(path, what="--config", remedy="name a JSON file")
    # What comes through a pipe, such as `--config <(jq ...)` or /dev/stdin, has no folder of its own.
    is_stream = path.is_fifo() or path.is_relative_to("/dev")
    folder = "." if is_stream else str(path.parent)
    loaded = load_config(text, source=str(path), base_folder=folder, notice=notice)
    return tuple(merge_config(one, upper, source=str(path)) for upper in flags for one in loaded)


def output_path(output: str | None, config: SweepConfig, *, resume: bool) -> Path | None:
    """Return the results file, or None for stdout.

    Raises:
        BadInputError: A resumed sweep does not say which file.
    """
    if resume and output in (None, STDOUT):
        raise BadInputError("--resume goes on with a file", remedy="name that file with --output")
    if output is None:
        return RESULTS_FOLDER / f"{utc_file_text()}-{_short_enough(config.model_label)}.jsonl"
    return None if output == STDOUT else Path(output)


def _short_enough(label: str) -> str:
    """Return a model's label as a part of a file's name, which may have 255 bytes in all."""
    return label if len(os.fsencode(label)) <= MAX_LABEL_BYTES else label[: MAX_LABEL_BYTES // MAX_BYTES_OF_A_CHARACTER]
