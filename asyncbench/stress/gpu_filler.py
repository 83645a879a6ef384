"""`python -m asyncbench.stress.gpu_filler RATIO`: takes device memory until so much of it is free, and waits.

It prints one line of JSON, and lets go when stdin closes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from cuda.bindings import driver

_DEVICE = 0


def main() -> None:
    """Take, tell, wait."""
    _call(driver.cuInit(0))
    context = _call(driver.cuDevicePrimaryCtxRetain(_call(driver.cuDeviceGet(_DEVICE))))
    _call(driver.cuCtxSetCurrent(context))
    free_bytes, total_bytes = _memory()
    take_bytes = free_bytes - int(total_bytes * float(sys.argv[1]))
    if take_bytes > 0:
        _call(driver.cuMemAlloc(take_bytes))
    left_bytes, _ = _memory()
    sys.stdout.write(json.dumps({"free_bytes": left_bytes, "total_bytes": total_bytes}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


def _memory() -> tuple[int, int]:
    free_bytes, total_bytes = _call(driver.cuMemGetInfo())
    return int(free_bytes), int(total_bytes)


def _call(answer: tuple[Any, ...]) -> Any:  # noqa: ANN401 # the bindings have no types
    error, *values = answer
    if error != driver.CUresult.CUDA_SUCCESS:
        sys.exit(f"the CUDA driver answered {error.name}")
    return values[0] if len(values) == 1 else tuple(values)


if __name__ == "__main__":
    main()
