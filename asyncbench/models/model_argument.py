"""The networks that a command line names: built-in ones, ONNX files, or weights for a built-in one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS
from asyncbench.sweep.problems import did_you_mean

HELP = "A built-in network (`asyncbench models` lists them), or an ONNX file."
_BUILT_IN = tuple(model.name for model in MODELS)
_ENDING = ".onnx"
_FILES_NAMED = 3


def model_keys(name: str | None, model_file: str | None) -> Mapping[str, str]:
    """Return the keys of a configuration that name the network, as far as the command line does.

    Args:
        name: The argument: a built-in network or an ONNX file.
        model_file: The file of `--model`.

    Raises:
        BadInputError: There is no such network, the argument is a folder, or there are two files.
    """
    file_key = {} if model_file is None else {"model_file": model_file}
    if name is None:
        return file_key
    if name in _BUILT_IN:
        return {"model": name, **file_key}
    if not _is_file_name(name):
        raise _unknown(name)
    if model_file is not None:
        raise BadInputError(f"{name} and --model {model_file} are two files", remedy="give one of them")
    if Path(name).is_dir():
        raise BadInputError(f"{name} is a folder", remedy=f"name an ONNX file{_examples(Path(name))}")
    return {"model_file": name}


def model_keys_of_each(names: Sequence[str], model_file: str | None) -> list[Mapping[str, str]]:
    """Return `model_keys` of every network that is named; one without keys where none is.

    Raises:
        BadInputError: See `model_keys`; or two networks cannot be told apart.
    """
    if len(names) > 1 and model_file is not None:
        raise BadInputError(
            f"--model {model_file} is one file, and {len(names)} networks are named",
            remedy="leave out --model and give every file as an argument",
        )
    if not names:
        return [model_keys(None, model_file)]
    keys = [model_keys(name, model_file) for name in names]
    labels = [Path(one.get("model", one.get("model_file", ""))).stem for one in keys]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise BadInputError(
            f"two of the networks would both be called {twice} in the records",
            remedy="rename one of the files, or give each a sweep of its own",
        )
    return keys


def _is_file_name(name: str) -> bool:
    """Return whether the argument is a path. A file that is called like a built-in network is named `./mobilenet`."""
    return name.lower().endswith(_ENDING) or os.sep in name or (name != "" and Path(name).exists())


def _unknown(name: str) -> BadInputError:
    hint = did_you_mean(name, [*_BUILT_IN, *_networks(Path())])
    return BadInputError(
        f"{name!r} is neither a built-in network nor a file",
        remedy=f"{hint}choose {', '.join(_BUILT_IN)}, or name an ONNX file",
    )


def _examples(folder: Path) -> str:
    found = _networks(folder)
    more = ", ..." if len(found) > _FILES_NAMED else ""
    return f": {', '.join(found[:_FILES_NAMED])}{more}" if found else ""


def _networks(folder: Path) -> list[str]:
    try:
        return sorted(str(path) for path in folder.iterdir() if path.name.lower().endswith(_ENDING))
    except OSError:
        return []
