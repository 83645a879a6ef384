"""`python -m asyncbench.stress.network_child FOLDER`: writes a built-in network there, and prints where."""

from __future__ import annotations

import sys
from pathlib import Path

from asyncbench.models.graphs.model_file import write_model

if __name__ == "__main__":
    sys.stdout.write(f"{write_model('mobilenet', Path(sys.argv[1]), 0)}\n")
