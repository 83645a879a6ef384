"""Keys that stood at the top of a configuration before each backend had a section of its own. Pure.

Files and headers of before are still read; on the command line the options keep their short names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from asyncbench.errors import BadInputError
from asyncbench.sweep.problems import quoted_key

MOVED_KEYS: Mapping[str, str] = {
    "intra_op_threads": "onnxruntime",
    "engine": "tensorrt",
    "completion": "tensorrt",
    "depth": "tensorrt",
    "transfers": "tensorrt",
    "gpu_time": "tensorrt",
    "workspace": "tensorrt",
    "tactic_sources": "tensorrt",
}
"""Each with the section that holds it now, under the same name."""


def moved_keys(sweeps: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the keys of before that the sweeps of a configuration file still have at their top, each once."""
    found = (key for sweep in sweeps for key in sweep if key in MOVED_KEYS)
    return tuple(dict.fromkeys(found))


def moved_text(keys: Sequence[str]) -> str:
    """Return what to tell whoever still writes these keys at the top."""
    sections: dict[str, list[str]] = {}
    for key in keys:
        sections.setdefault(MOVED_KEYS[key], []).append(f'"{key}": ...')
    now = ", ".join(f"{key} is now {MOVED_KEYS[key]}.{key}" for key in keys)
    written = ", ".join(f'"{section}": {{{", ".join(inner)}}}' for section, inner in sections.items())
    return f"{now}: write {written}"


def in_sections(values: Mapping[str, object], *, source: str) -> dict[str, object]:
    """Return the values with every moved key in its section.

    Args:
        source: Where they come from; it starts the message.

    Raises:
        BadInputError: A key is there twice, at the top and in its section, with different values.
    """
    placed = {key: value for key, value in values.items() if key not in MOVED_KEYS}
    for key in MOVED_KEYS.keys() & values.keys():
        name = MOVED_KEYS[key]
        section = placed.get(name)
        if section is not None and not isinstance(section, dict):
            continue  # no section at all: that is refused where it is checked
        inner = section or {}
        if key in inner and inner[key] != values[key]:
            old, new = quoted_key((key,)), quoted_key((name, key))
            prefix = f"{source}: " if source else ""
            raise BadInputError(f"{prefix}{old} and {new} differ", remedy=f"keep the latter: {key} is now {name}.{key}")
        placed[name] = {**inner, key: values[key]}
    return placed
