"""Distributions with entry points, as an installer would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def write_distribution(
    folder: Path, name: str, *, group: str, entry_points: Mapping[str, str], modules: Mapping[str, str]
) -> Path:
    """Lay a distribution into a folder and return that; with the folder on its path, Python finds it installed.

    Args:
        folder: Made where it is not there; several distributions may share one.
        group: Such as `asyncbench.loads`.
        entry_points: Such as `{"steady": "steady_load:LOAD"}`.
        modules: The source of each module, by its name.
    """
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
    lines = (f"{entry} = {value}\n" for entry, value in entry_points.items())
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}", encoding="utf-8")
    return folder
