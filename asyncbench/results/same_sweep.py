"""Check that a results file is of the sweep that is asked for now."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from pydantic import JsonValue

from asyncbench.errors import BadInputError
from asyncbench.results.record import HeaderRecord
from asyncbench.sweep.loading import load_header

_SHOWN_CHARS = 60  # of each value, so that the message stays one line


def check_same_sweep(header: HeaderRecord, configs: Sequence[Mapping[str, JsonValue]]) -> None:
    """Refuse to go on with a file of another sweep.

    Args:
        header: Of the file that is to be resumed.
        configs: What the command line asks for, dumped like the header's `config`.

    Raises:
        BadInputError: They differ; the message names the first key and both values.
    """
    for number, (theirs, ours) in enumerate(zip_longest(header.config, configs), start=1):
        prefix = f"sweep {number}: " if len(header.config) > 1 or len(configs) > 1 else ""
        difference = _first_difference(_as_now(theirs), _as_now(ours), key="")
        if difference is not None:
            raise BadInputError(
                f"the results file is of another sweep: {prefix}{difference}",
                remedy="repeat the options that the file was begun with, or give another --output",
            )


def _as_now(config: Mapping[str, JsonValue] | None) -> JsonValue:
    """Return a configuration as this version writes it, whichever one wrote it; as it is where that cannot be said."""
    if config is None:
        return None
    try:
        return load_header(config).model_dump(mode="json")
    except BadInputError:
        return dict(config)


def _first_difference(theirs: JsonValue, ours: JsonValue, *, key: str) -> str | None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in [*theirs, *(name for name in ours if name not in theirs)]:
            inner = f"{key}.{name}" if key else name
            difference = _first_difference(theirs.get(name), ours.get(name), key=inner)
            if difference is not None:
                return difference
        return None
    if theirs == ours:
        return None
    return f"{key or 'the config'} was {_shown(theirs)}, now it is {_shown(ours)}"


def _shown(value: JsonValue) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
