"""Whether this machine is one whose processor and GPU share their memory."""

from __future__ import annotations

from pathlib import Path


def is_tegra(root: Path = Path("/")) -> bool:
    """Return whether the board is a Jetson or another Tegra, whose own GPU takes its memory from the host's.

    This is known without loading CUDA. Where CUDA can be asked, its device attribute `integrated` decides: some boards
    carry a second GPU with memory of its own, and not all machines with one pool are Tegras.
    """
    try:
        names = (root / "proc/device-tree/compatible").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(name.startswith(b"nvidia,tegra") for name in names)
