"""`python -m asyncbench.stress.device_hog_child`: takes and gives back memory of the first GPU as it is told on stdin.

It says in one line of JSON what is free and what there is. A number on a line is how many bytes it shall leave free,
from then on; an empty line lets go. It answers each with such a line, once that is so.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from cuda.bindings import driver

_DEVICE = 0


def main() -> None:
    """Obey until stdin closes."""
    _call(driver.cuInit(0))
    context = _call(driver.cuDevicePrimaryCtxRetain(_call(driver.cuDeviceGet(_DEVICE))))
    _call(driver.cuCtxSetCurrent(context))
    held = None
    _write_reading()
    for line in sys.stdin:
        if held is not None:
            _call(driver.cuMemFree(held))
        held = _take(int(line)) if line.strip() else None
        _write_reading()


def _take(left_bytes: int) -> Any:  # noqa: ANN401 # the bindings have no types
    size_bytes = _memory()[0] - left_bytes
    return _call(driver.cuMemAlloc(size_bytes)) if size_bytes > 0 else None


def _write_reading() -> None:
    free_bytes, total_bytes = _memory()
    sys.stdout.write(json.dumps({"free_bytes": free_bytes, "total_bytes": total_bytes}) + "\n")
    sys.stdout.flush()


def _memory() -> tuple[int, int]:
    free_bytes, total_bytes = _call(driver.cuMemGetInfo())
    return int(free_bytes), int(total_bytes)


def _call(answer: tuple[Any, ...]) -> Any:  # noqa: ANN401 # see _take
    error, *values = answer
    if error != driver.CUresult.CUDA_SUCCESS:
        sys.exit(f"the CUDA driver answered {error.name}")
    return values[0] if len(values) == 1 else tuple(values)


if __name__ == "__main__":
    main()
