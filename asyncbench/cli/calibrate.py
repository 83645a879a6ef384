"""`asyncbench calibrate`: the ranges that int8 needs, from images, as a portable table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from asyncbench.cli.config_options import with_config_options
from asyncbench.cli.show.terminal import people_console
from asyncbench.errors import ExitCode
from asyncbench.models.model_argument import HELP, model_keys
from asyncbench.places import cache_folder
from asyncbench.sweep.config import check_config
from asyncbench.sweep.options import config_option
from asyncbench.units import counted


@with_config_options((config_option("model_file", help="An ONNX file with weights for MODEL."),))
def calibrate(
    model: Annotated[str | None, typer.Argument(help=HELP)] = None,
    *,
    options: dict[str, Any],
    images: Annotated[Path, typer.Option(help="A folder of images; not those that accuracy is measured on.")],
    subset: Annotated[str | None, typer.Option(help="Part of them: 'every 10th', @list.txt.")] = None,
    method: Annotated[str, typer.Option(help="entropy, percentile or min-max.")] = "entropy",
    percentile: Annotated[float | None, typer.Option(help="For --method percentile, such as 99.99.")] = None,
    output: Annotated[Path | None, typer.Option(help="The table. Default: <model>.calibration.json.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a table that is there.")] = False,
) -> int:
    """Find the ranges of a network's tensors on images, for `--precision int8 --calibration`."""
    # Not above: they bring ONNX Runtime and OpenCV along, which no other command needs in this process.
    from asyncbench.accuracy.calibration.image_calibration import calibrate_on_images, parse_method  # noqa: PLC0415
    from asyncbench.files.whole_file import refuse_present  # noqa: PLC0415

    config = check_config(model_keys(model, options.get("model_file")), source="")
    path = output or Path(f"{config.model_label}.calibration.json")
    refuse_present(path, forced=force)
    console = people_console()
    if config.model_file is None:
        text = f"the weights of the built-in {config.model} are random: the table is good for its speed alone"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("calibrating", total=None)
        table = calibrate_on_images(
            config,
            images,
            path,
            subset=subset,
            method=parse_method(method, percentile),
            model_folder=cache_folder() / "models",
            on_left_out=lambda name, reason: typer.echo(f"{name} is left out: {reason}", err=True),
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(
        f"{path}: {counted(len(table.ranges), 'tensor')} of {config.model_label} "
        f"from {counted(len(table.images), 'image')}, "
        f"{table.method}; use it with --precision int8 --calibration {path}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return ExitCode.OK
