"""Versions of everything that can change a figure."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = (
    "numpy",
    "trio",
    "onnxruntime",
    "onnx",
    "opencv-python-headless",
    "tensorrt",
    "cuda-python",
    "cuda-bindings",
)


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries, without importing any of them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
